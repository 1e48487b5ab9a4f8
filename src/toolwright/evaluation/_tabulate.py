"""From pools of judged samples to a report. No model, no tool, no clock: the same pools give the same report."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from toolwright.checks import grade
from toolwright.episodes import Budget, Choice, Cost, Problem, StopReason, Strategy, Verdict, derive_seed
from toolwright.errors import NoUsableEpisode
from toolwright.evaluation._report import Difference, FilterCard, Report, Row
from toolwright.evaluation._statistics import paired_bootstrap, pass_at_n, wilson
from toolwright.scaling import Candidate, ParallelStrategy, RecordedVerifier, recorded_attempt


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


@dataclass(slots=True)
class _Cell:
    """One strategy at one n on one problem, summed over subsets."""

    right: int = 0
    wrong: int = 0
    undecided: int = 0
    unusable: int = 0
    fallbacks: int = 0
    cost: Cost = field(default_factory=Cost)

    @property
    def draws(self) -> int:
        return self.right + self.wrong + self.undecided + self.unusable

    @property
    def value(self) -> float:
        """Expected accuracy; NaN where nothing could be judged."""
        judged = self.right + self.wrong
        return self.right / judged if judged else math.nan


async def tabulate(report: Report, pools: Sequence[SamplePool], strategies: Sequence[Strategy], ns: Sequence[int], *, subsets: int) -> Report:
    """The report with everything that follows from the pools."""
    cells: dict[tuple[str, int], list[_Cell]] = {}
    for pool in pools:
        await asyncio.sleep(0)  # an interrupt gets through between problems
        for strategy in strategies:
            for n in _ns_of(strategy, ns):
                cells.setdefault((strategy.name, n), []).append(await _cell(pool, strategy, n, report.run_seed, subsets))
    faults = [
        c.episode.fault or "?" for pool in pools for c in (*pool.candidates, *([pool.greedy] if pool.greedy else [])) if c.episode.stop is StopReason.FAULT
    ]
    return replace(
        report,
        results=tuple(_row(report.task, name, n, column) for (name, n), column in cells.items()),
        oracle=tuple(_oracle_row(report.task, pools, n) for n in sorted(set(ns))) if any(pool.candidates for pool in pools) else (),
        differences=tuple(_differences(cells, report.run_seed)),
        filters=_cards(pools),
        faults=len(faults),
        fault_reasons=dict(Counter(faults).most_common(5)),
        undecided_grades=sum(pool.grade(c.answer) is None for pool in pools for c in pool.candidates if c.usable),
    )


def _ns_of(strategy: Strategy, ns: Sequence[int]) -> list[int]:
    samples = getattr(strategy, "samples", None)
    return sorted(set(ns) if samples is None else {min(n, samples) for n in ns})


async def _cell(pool: SamplePool, strategy: Strategy, n: int, seed: int, subsets: int) -> _Cell:
    cell = _Cell()
    for subset in _subsets(pool, strategy, n, seed, subsets):
        try:
            choice = await _choice(pool, strategy, subset, seed)
        except NoUsableEpisode:
            cell.unusable += 1
            cell.cost += sum((c.episode.cost for c in subset), Cost())
            continue
        right = pool.grade(choice.answer)
        cell.right += right is True
        cell.wrong += right is False
        cell.undecided += right is None
        cell.fallbacks += choice.fallback is not None
        cell.cost += choice.cost
    return cell


def _subsets(pool: SamplePool, strategy: Strategy, n: int, seed: int, subsets: int) -> list[list[Candidate]]:
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


async def _choice(pool: SamplePool, strategy: Strategy, subset: list[Candidate], seed: int) -> Choice:
    if isinstance(strategy, ParallelStrategy):
        return strategy.choose(pool.problem, subset, seed=seed, keep_tried=False)
    verifiers = _replayed(pool)
    attempt = recorded_attempt(replace(c.episode, index=i) for i, c in enumerate(subset))
    # The recorded verdicts stand under the samples' own numbers; a strategy counts from 0.
    moved = [verifier.renumbered({c.episode.index: i for i, c in enumerate(subset)}) for verifier in verifiers]
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


def _row(task: str, strategy: str, n: int, cells: Sequence[_Cell]) -> Row:
    judged = [cell for cell in cells if not math.isnan(cell.value)]
    right = math.fsum(cell.value for cell in judged)
    low, high = wilson(right, len(judged))
    draws = [cell for cell in cells if cell.draws]
    return Row(
        task,
        strategy,
        n,
        right / len(judged) if judged else None,
        low,
        high,
        len(judged),
        _mean_cost([cell.cost for cell in draws], [cell.draws for cell in draws]),
        undecided=math.fsum(cell.undecided / cell.draws for cell in draws),
        unusable=math.fsum(cell.unusable / cell.draws for cell in draws),
        fallbacks=math.fsum(cell.fallbacks / cell.draws for cell in draws) / len(draws) if draws else 0.0,
    )


def _mean_cost(costs: Sequence[Cost], draws: Sequence[int]) -> dict[str, float]:
    names = asdict(Cost())
    return {name: math.fsum(getattr(cost, name) / count for cost, count in zip(costs, draws, strict=True)) / max(1, len(costs)) for name in names}


def _oracle_row(task: str, pools: Sequence[SamplePool], n: int) -> Row:
    values: list[float] = []
    costs: list[Cost] = []
    for pool in pools:
        grades = [pool.grade(c.answer) for c in pool.candidates if c.usable]
        judged = [g for g in grades if g is not None]
        if judged:
            values.append(pass_at_n(len(judged), sum(judged), min(n, len(judged))))
        share = min(n, len(pool.candidates)) / max(1, len(pool.candidates))
        total = sum((c.episode.cost for c in pool.candidates), Cost())
        costs.append(Cost(*(value * share for value in asdict(total).values())))
    right = math.fsum(values)
    low, high = wilson(right, len(values))
    return Row(task, "pass@n", n, right / len(values) if values else None, low, high, len(values), _mean_cost(costs, [1] * len(costs)))


def _differences(cells: dict[tuple[str, int], list[_Cell]], seed: int) -> list[Difference]:
    """Every pair of strategies at the same n, and every strategy against a single-sample one (greedy), on the same problems."""
    found = []
    single = {name for name, _ in cells if sum(other == name for other, _ in cells) == 1}
    for (b, b_n), (a, a_n) in itertools.combinations(cells, 2):
        if a == b or not (a_n == b_n or b in single):
            continue
        first, second = [cell.value for cell in cells[a, a_n]], [cell.value for cell in cells[b, b_n]]
        both = sum(not math.isnan(x - y) for x, y in zip(first, second, strict=True))
        if both:
            found.append(Difference(a, a_n, b, b_n, *paired_bootstrap(first, second, seed=derive_seed(seed, "difference")), both))
    return found


def _cards(pools: Sequence[SamplePool]) -> tuple[FilterCard, ...]:
    """A card per verifier that was asked, and one for all as one."""
    names = list(dict.fromkeys(v.verifier for pool in pools for found in pool.verdicts for v in found))
    if not names:
        return ()
    cards = [_card(name, [(pool, [next((v for v in found if v.verifier == name), None) for found in pool.verdicts]) for pool in pools]) for name in names]
    together = _card("all", [(pool, [c.verdict if found else None for c, found in zip(pool.candidates, pool.verdicts, strict=True)]) for pool in pools])
    return (*cards, together) if len(names) > 1 else (replace(together, verifier=names[0]),)


def _card(name: str, judged: Sequence[tuple[SamplePool, Sequence[Verdict | None]]]) -> FilterCard:
    counts: Counter[str] = Counter()
    for pool, verdicts in judged:
        kept_right = lost_right = 0
        for candidate, verdict in zip(pool.candidates, verdicts, strict=True):
            if verdict is None or not candidate.usable:
                continue
            right = pool.grade(candidate.answer)
            if right is None:
                counts["ungraded"] += 1
                continue
            said = "refuted" if verdict.refuted else "undecided" if verdict.score is None else "passed"
            counts[f"{said}_{'right' if right else 'wrong'}"] += 1
            kept_right += right and not verdict.refuted
            lost_right += right and verdict.refuted
        counts["problems_with_right"] += kept_right + lost_right > 0
        counts["problems_lost"] += lost_right > 0 and kept_right == 0
    return FilterCard(name, **counts)
