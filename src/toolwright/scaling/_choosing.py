"""From candidates to a choice: what a rule is, how votes are counted, what weighs a candidate. Pure; leaves out drawing and judging."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolwright.episodes import Choice, Problem, Tried
from toolwright.errors import NoUsableEpisode
from toolwright.scaling._candidates import Candidate, Judging, total_cost


@dataclass(frozen=True, slots=True)
class Pick:
    """What a rule picked."""

    answer: str | None
    rewards: tuple[float, ...]
    """What each candidate was ranked or voted with, in their order."""
    fallback: str | None = None
    unfiltered: bool = False
    """True where the filter was dropped: then the reward of every candidate was asked for."""


Rule = Callable[[Sequence[Candidate]], Pick]
"""Picks from candidates that are all usable, at least one, in draw order."""


def chosen(
    name: str, rule: Rule, judging: Judging, problem: Problem, candidates: Sequence[Candidate], *, seed: int, keep_tried: bool = True, first: int | None = None
) -> Choice:
    """The rule's choice among clustered candidates in draw order; those that ended in a fault have no say.

    `first`: only so many of them have a say; the others were drawn too, so they are kept and paid for. Raises: NoUsableEpisode where all ended in a fault.
    """
    usable = [c for c in candidates[:first] if c.usable]
    if not usable:
        faults = list(dict.fromkeys(c.episode.fault or c.episode.stop.value for c in candidates))
        raise NoUsableEpisode(f"all {len(candidates)} episodes of problem {problem.id} ended in a fault: {'; '.join(faults[:3])}")
    picked = rule(usable)
    fallback = picked.fallback
    if picked.answer is None and fallback is None:
        fallback = "No candidate gave an answer."
    tried = _tried(candidates, picked.rewards) if keep_tried else ()
    paid: Judging = "all" if picked.unfiltered and judging == "t1" else judging
    return Choice(problem.id, picked.answer, tried, name, fallback, total_cost(candidates, paid), seed)


def _tried(candidates: Sequence[Candidate], rewards: Sequence[float]) -> tuple[Tried, ...]:
    """All candidates, unusable ones and those beyond the rewards with reward 0, clusters numbered in the order they appear."""
    left = iter(rewards)
    order: dict[int, int] = {}
    return tuple(
        Tried(
            episode=c.episode,
            answer=c.answer,
            verdict=c.verdict,
            reward=next(left, 0.0) if c.usable else 0.0,
            cluster=None if c.cluster is None or not c.votes else order.setdefault(c.cluster, len(order)),
        )
        for c in candidates
    )


def vote(candidates: Sequence[Candidate], weights: Sequence[float]) -> str | None:
    """The answer of the cluster with the largest sum of weights; None where no candidate with a weight above 0 has an answer.

    Ties go to the cluster drawn first; the answer is its first member's with a weight.
    """
    votes: dict[int, list[float]] = defaultdict(list)
    first: dict[int, str] = {}
    for candidate, weight in zip(candidates, weights, strict=True):
        if candidate.answer is not None and candidate.cluster is not None and weight > 0:
            votes[candidate.cluster].append(weight)
            first.setdefault(candidate.cluster, candidate.answer)
    if not votes:
        return None
    # `max` keeps the first of equals, and the clusters stand in draw order. fsum: the order of drawing must not make a tie into a win.
    return first[max(votes, key=lambda cluster: math.fsum(votes[cluster]))]


def best(candidates: Sequence[Candidate], weights: Sequence[float]) -> str | None:
    """The answer of the candidate with the largest weight above 0; ties go to the one drawn first."""
    voting = [(c, w) for c, w in zip(candidates, weights, strict=True) if c.votes and w > 0]
    return max(voting, key=lambda pair: pair[1])[0].answer if voting else None


def ones(candidates: Sequence[Candidate]) -> tuple[float, ...]:
    """1 for each candidate that votes, 0 for the others."""
    return tuple(1.0 if c.votes else 0.0 for c in candidates)


def scores(candidates: Sequence[Candidate]) -> tuple[float, ...] | None:
    """What each candidate is worth by itself: its reward where reward models gave any, else its probability; None where there is neither.

    A candidate without a reward among others with one counts as their mean. The probability is the geometric mean per token, in (0, 1]. Candidates that do not
    vote are worth 0; a reward of 0 leaves a trace of weight, since it ranks last and is not refuted.
    """
    voting = [c for c in candidates if c.votes]
    rewards = [c.reward for c in voting if c.reward is not None]
    if rewards:
        middle = sum(rewards) / len(rewards)
        return tuple(0.0 if not c.votes else max(_LEAST, middle if c.reward is None else c.reward) for c in candidates)
    if any(c.mean_logp is None for c in voting):
        return None
    return tuple(math.exp(c.mean_logp) if c.votes and c.mean_logp is not None else 0.0 for c in candidates)


def ranking(candidates: Sequence[Candidate], *, filtered: bool) -> list[tuple[float, float]] | None:
    """By what each candidate is ranked, whatever other ones it is drawn with; None where that depends on them (rewards or probabilities that not all have).

    `filtered`: what is not refuted stands above what is. Candidates that do not vote stand below all.
    """
    voting = [c for c in candidates if c.votes]
    rewarded = sum(c.reward is not None for c in voting)
    if 0 < rewarded < len(voting):
        return None
    worth = scores(candidates)
    if worth is None:
        return None
    return [(float(not (filtered and c.verdict.refuted)), w) if c.votes else (-1.0, 0.0) for c, w in zip(candidates, worth, strict=True)]


_LEAST = 1e-9
