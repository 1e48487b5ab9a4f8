"""One strategy at one n on one problem: what to expect of it, from the samples that are there.

Exact where that is cheap (every subset of n samples, or for strategies that take the highest-ranked candidate the chance of each to be it); else the mean over
random subsets, the same for every strategy.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, runtime_checkable

from toolwright.checks import grade
from toolwright.episodes import Budget, Choice, Cost, Problem, Strategy, Verdict, derive_seed
from toolwright.errors import NoUsableEpisode
from toolwright.scaling import Candidate, ParallelStrategy, RecordedVerifier, judging_costs, recorded_attempt


@dataclass(slots=True)
class SamplePool:
    """One problem's samples, with what was concluded about each."""

    problem: Problem
    candidates: list[Candidate]
    """Clustered, by index, faults included."""
    greedy: Candidate | None = None
    verdicts: list[list[Verdict]] = field(default_factory=list)
    """Of each candidate, one per verifier asked."""
    grades: dict[str, bool | None] = field(default_factory=dict)
    """Of each answer that was judged so far."""

    def grade(self, answer: str | None) -> bool | None:
        """Whether an answer is right; None could not be decided."""
        if answer is None or self.problem.gold is None:
            return False if self.problem.gold is not None else None
        if answer not in self.grades:
            self.grades[answer] = grade(answer, self.problem.gold, choices=self.problem.choices)
        return self.grades[answer]


@runtime_checkable
class Replayable(Protocol):
    """A strategy that chooses among candidates that are there already."""

    def choose(self, problem: Problem, candidates: list[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """The choice among clustered candidates in draw order."""


@dataclass(slots=True)
class Cell:
    """Weights of what can become of a choice, and what it costs; the weights add up to `draws`."""

    right: float = 0.0
    wrong: float = 0.0
    undecided: float = 0.0
    unusable: float = 0.0
    fallbacks: float = 0.0
    cost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(asdict(Cost()), 0.0))

    @property
    def draws(self) -> float:
        return self.right + self.wrong + self.undecided + self.unusable

    @property
    def value(self) -> float:
        """Expected accuracy; NaN where nothing could be judged."""
        judged = self.right + self.wrong
        return self.right / judged if judged else math.nan

    def add(self, right: bool | None, weight: float = 1.0) -> None:
        """Count an answer."""
        self.right += weight * (right is True)
        self.wrong += weight * (right is False)
        self.undecided += weight * (right is None)

    def pay(self, cost: Cost | Mapping[str, float], weight: float = 1.0) -> None:
        """Count a cost."""
        for name, value in (asdict(cost) if isinstance(cost, Cost) else cost).items():
            self.cost[name] += weight * value


async def cell_of(pool: SamplePool, strategy: Strategy, n: int, seed: int, subsets: int) -> Cell:
    """What to expect of a strategy with n samples of a problem."""
    n = min(n, len(pool.candidates)) if getattr(strategy, "temperature", None) != 0.0 else 1
    few = math.comb(len(pool.candidates), n) <= max(subsets, len(pool.candidates))
    if isinstance(strategy, ParallelStrategy) and strategy.ranks is not None and not few:
        exact = _ranked_cell(pool, strategy, n)
        if exact is not None:
            return exact
    cell = Cell()
    for subset in subsets_of(pool, strategy, n, seed, subsets):
        try:
            choice = await _choice(pool, strategy, subset, seed)
        except NoUsableEpisode:
            cell.unusable += 1
            for candidate in subset:
                cell.pay(candidate.episode.cost)
            continue
        count_choice(cell, pool, choice)
    return cell


def count_choice(cell: Cell, pool: SamplePool, choice: Choice) -> None:
    """Count one choice."""
    cell.add(pool.grade(choice.answer))
    cell.fallbacks += choice.fallback is not None
    cell.pay(choice.cost)


def random_cell(pool: SamplePool) -> Cell:
    """What to expect of one sample picked blindly: exact."""
    cell = Cell()
    for candidate in pool.candidates:
        cell.pay(candidate.episode.cost)
        if candidate.usable:
            cell.add(pool.grade(candidate.answer))
        else:
            cell.unusable += 1
    return cell


def subsets_of(pool: SamplePool, strategy: Strategy, n: int, seed: int, subsets: int) -> list[list[Candidate]]:
    """The sets of n samples to average over, in draw order: all there are where they are few, else random ones, the same for every strategy."""
    if getattr(strategy, "temperature", None) == 0.0:
        return [[pool.greedy]] if pool.greedy else []
    count = len(pool.candidates)
    n = min(n, count)
    if math.comb(count, n) <= max(subsets, count):
        chosen: list[tuple[int, ...]] = list(itertools.combinations(range(count), n))
    else:
        generator = random.Random(derive_seed(seed, "subsets", pool.problem.id, n))
        chosen = [tuple(sorted(generator.sample(range(count), n))) for _ in range(subsets)]
    return [[pool.candidates[i] for i in subset] for subset in chosen]


def _ranked_cell(pool: SamplePool, strategy: ParallelStrategy, n: int) -> Cell | None:
    """The exact expectation over all subsets of n, for a strategy that takes the candidate it ranks highest; None where ranks depend on the subset.

    The candidate with r better ones among M is the best of n with probability C(M − 1 − r, n − 1) / C(M, n). Rewards asked for only because all were refuted
    are not counted in the cost.
    """
    candidates = pool.candidates
    usable = [c for c in candidates if c.usable]
    keys = strategy.ranks(usable) if strategy.ranks is not None else None
    if keys is None:
        return None
    all_, total = len(candidates), math.comb(len(candidates), n)
    ranked = sorted((pair for pair in zip(usable, keys, strict=True) if pair[0].votes), key=lambda pair: pair[1], reverse=True)
    cell = Cell()
    for better, (candidate, key) in enumerate(ranked):
        weight = math.comb(all_ - 1 - better, n - 1) / total
        cell.add(pool.grade(candidate.answer), weight)
        cell.fallbacks += weight * (key[0] == 0.0)
    cell.unusable = math.comb(all_ - len(usable), n) / total
    silent = math.comb(all_ - len(ranked), n) / total - cell.unusable
    cell.add(False, silent)
    cell.fallbacks += silent
    for candidate in candidates:
        cell.pay(candidate.episode.cost, n / all_)
    for key_, count in Counter(c.text_key for c in usable).items():
        drawn = 1 - math.comb(all_ - count, n) / total
        for cost in judging_costs(next(c for c in usable if c.text_key == key_), strategy.judging):
            cell.pay(cost, drawn)
    return cell


async def _choice(pool: SamplePool, strategy: Strategy, subset: list[Candidate], seed: int) -> Choice:
    if isinstance(strategy, Replayable):
        return strategy.choose(pool.problem, subset, seed=seed, keep_tried=False)
    attempt = recorded_attempt(replace(c.episode, index=i) for i, c in enumerate(subset))
    # The recorded verdicts stand under the samples' own numbers; a strategy counts from 0.
    moved = [verifier.renumbered({c.episode.index: i for i, c in enumerate(subset)}) for verifier in _replayed(pool)]
    return await strategy(pool.problem, attempt, moved, Budget(samples=len(subset)), seed=seed)


def _replayed(pool: SamplePool) -> list[RecordedVerifier]:
    names = list(dict.fromkeys(v.verifier for found in pool.verdicts for v in found))
    unasked = Verdict(None, "Not asked: an earlier verifier refuted it.")
    made = []
    for name in names:
        by_sample = {
            (pool.problem.id, c.episode.index): next((v for v in found if v.verifier == name), unasked)
            for c, found in zip(pool.candidates, pool.verdicts, strict=True)
        }
        made.append(RecordedVerifier(name, by_sample))
    return made
