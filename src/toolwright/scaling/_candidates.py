"""Candidates: episodes of one problem with their answers, verdicts, rewards and clusters. What every strategy shares; leaves out drawing and choosing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from toolwright.checks import Equivalence, extract_answer
from toolwright.episodes import Cost, Episode, Problem, StopReason, Verdict, digest
from toolwright.scaling._judging import NOT_ASKED, SECOND
from toolwright.verifiers import combine

LEFT_OUT = (StopReason.FAULT, StopReason.CANCELLED)
Judging = Literal["nothing", "filters", "rewards", "t1", "all"]
"""Whose verdicts are paid for: `rewards` those of reward models alone, `t1` filters and the rewards of what they left, `all` everything."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One episode, with what a strategy needs to know of it."""

    episode: Episode
    answer: str | None
    """From the model's own words; None where it gave none, and for faults."""
    verdict: Verdict
    """Of all filters as one; undecided where none was asked."""
    cluster: int | None = None
    """Candidates with equivalent answers share a number."""
    mean_logp: float | None = None
    text_key: str = ""
    """Digest of the whole text: equal texts are judged, and their judging paid for, once."""
    rewards: tuple[Verdict, ...] = ()
    """Of the reward models that were asked, second passes included."""

    @property
    def usable(self) -> bool:
        """False for an episode that ended in a fault or was cancelled: it says nothing about the problem."""
        return self.episode.stop not in LEFT_OUT

    @property
    def votes(self) -> bool:
        """Whether it is usable and has an answer."""
        return self.usable and self.answer is not None

    @property
    def reward(self) -> float | None:
        """The mean score of the reward models; None where none gave one."""
        return _mean(v.score for v in self.rewards if not v.verifier.endswith(SECOND))

    @property
    def second_reward(self) -> float | None:
        """The mean score of their second passes; None where there was none."""
        return _mean(v.score for v in self.rewards if v.verifier.endswith(SECOND))


def as_candidate(problem: Problem, episode: Episode, verdict: Verdict = NOT_ASKED) -> Candidate:
    """The candidate of an episode, not yet clustered."""
    usable = episode.stop not in LEFT_OUT
    answer = extract_answer(episode.model_text, choices=problem.choices) if usable else None
    if not usable:
        verdict = Verdict(None, f"Left out: the episode ended in a fault ({episode.fault or episode.stop.value}).")
    return Candidate(episode, answer, verdict, None, episode.mean_logp, digest(episode.text))


def with_verdicts(candidate: Candidate, found: Sequence[Verdict]) -> Candidate:
    """The candidate with what `judge_each` found; filters as one verdict, rewards apart."""
    filters = [v for v in found if not v.is_reward]
    return replace(candidate, verdict=combine(filters) if filters else candidate.verdict, rewards=tuple(v for v in found if v.is_reward))


def clustered(problem: Problem, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with their clusters: equal letters for a multiple-choice problem, equivalent answers else."""
    answers = [c.answer for c in candidates]
    if problem.choices:
        order: dict[str, int] = {}
        numbers = [None if answer is None else order.setdefault(answer, len(order)) for answer in answers]
    else:
        numbers = _equivalence().cluster(answers)
    return [replace(c, cluster=number) for c, number in zip(candidates, numbers, strict=True)]


def judging_costs(candidate: Candidate, judging: Judging) -> list[Cost]:
    """What judging the candidate cost, as far as a strategy asks for it."""
    costs = []
    if judging in ("filters", "t1", "all"):
        costs.append(candidate.verdict.cost)
    if judging in ("rewards", "all") or (judging == "t1" and not candidate.verdict.refuted):
        costs += [v.cost for v in candidate.rewards]
    return costs


def total_cost(candidates: Sequence[Candidate], judging: Judging) -> Cost:
    """What the candidates cost, and their judging; that of equal texts once."""
    costs = [c.episode.cost for c in candidates]
    costs += [cost for candidate in {c.text_key: c for c in candidates}.values() for cost in judging_costs(candidate, judging)]
    return Cost(
        sum(cost.prompt_tokens for cost in costs),
        sum(cost.model_tokens for cost in costs),
        sum(cost.tool_calls for cost in costs),
        sum(cost.wall_s for cost in costs),
    )


def _mean(scores: Iterable[float | None]) -> float | None:
    given = [score for score in scores if score is not None]
    return sum(given) / len(given) if given else None


@cache
def _equivalence() -> Equivalence:
    """One for the process: its workers start at the first pair that needs them and end with the process."""
    return Equivalence()
