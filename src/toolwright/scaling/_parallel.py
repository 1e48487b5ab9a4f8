"""Parallel strategies: draw independent candidates, then pick. Each one adds a pure rule (`pick`); all else is here.

Leaves out strategies that draw with regard to what they saw (revise, beams, adaptive): they have the same call, but no `choose`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from toolwright.episodes import Attempt, Budget, Choice, Problem, Tried, Verifier
from toolwright.errors import NoUsableEpisode
from toolwright.scaling._candidates import Candidate, gather, total_cost


@dataclass(frozen=True, slots=True)
class Pick:
    """What a rule picked."""

    answer: str | None
    rewards: tuple[float, ...]
    """What each candidate was ranked or voted with, in their order."""
    fallback: str | None = None


Rule = Callable[[Sequence[Candidate]], Pick]
"""Picks from candidates that are all usable, at least one, in draw order."""


@dataclass(frozen=True, slots=True)
class ParallelStrategy:
    """A strategy that draws candidates independently and picks once it has them.

    Episodes that ended in a fault stay in `Choice.tried` and have no say. Raises: UsageError for a budget without a sample; NoUsableEpisode where every episode
    ended in a fault.
    """

    name: str
    pick: Rule
    about: str
    """One sentence for a list of strategies."""
    asks_verifiers: bool = False
    temperature: float | None = None
    """What its attempts are to be drawn with; None leaves that to the caller."""
    samples: int | None = None
    """How many it draws at most, whatever the budget; None: all of it."""

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice; its cost's `wall_s` is how long the call took."""
        if self.samples is not None:
            budget = replace(budget, samples=min(budget.samples, self.samples))
        got = await gather(problem, attempt, verifiers if self.asks_verifiers else (), budget, seed=seed)
        choice = self.choose(problem, got.candidates, seed=seed)
        unfiltered = f"No verifier was given, so {self.name} chose without one." if self.asks_verifiers and not verifiers else None
        told = " ".join(filter(None, (got.cut, unfiltered, choice.fallback))) or None
        return replace(choice, fallback=told, cost=replace(choice.cost, wall_s=got.wall_s))

    def choose(self, problem: Problem, candidates: Sequence[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """The choice among clustered candidates that were drawn already, in draw order; its cost's `wall_s` is their sum.

        Without `keep_tried` the choice's `tried` stays empty: for choosing thousands of times.
        """
        candidates = candidates[: self.samples]
        usable = [c for c in candidates if c.usable]
        if not usable:
            faults = list(dict.fromkeys(c.episode.fault or c.episode.stop.value for c in candidates))
            raise NoUsableEpisode(f"all {len(candidates)} episodes of problem {problem.id} ended in a fault: {'; '.join(faults[:3])}")
        picked = self.pick(usable)
        fallback = picked.fallback
        if picked.answer is None and fallback is None:
            fallback = "No candidate gave an answer."
        tried = _tried(candidates, picked.rewards) if keep_tried else ()
        return Choice(problem.id, picked.answer, tried, self.name, fallback, total_cost(candidates, judged=self.asks_verifiers), seed)


def _tried(candidates: Sequence[Candidate], rewards: Sequence[float]) -> tuple[Tried, ...]:
    """All candidates, unusable ones with reward 0, clusters numbered in the order they appear."""
    left = iter(rewards)
    order: dict[int, int] = {}
    return tuple(
        Tried(
            episode=c.episode,
            answer=c.answer,
            verdict=c.verdict,
            reward=next(left) if c.usable else 0.0,
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


def confidences(candidates: Sequence[Candidate]) -> list[float]:
    """The geometric mean probability per token of each, in (0, 1]; all 1 where any candidate that votes has no log-probabilities."""
    if any(c.mean_logp is None for c in candidates if c.votes):
        return [1.0] * len(candidates)
    return [math.exp(c.mean_logp) if c.mean_logp is not None else 1.0 for c in candidates]
