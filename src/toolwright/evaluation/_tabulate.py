"""From pools of judged samples to a report. No model, no tool, no clock: the same pools give the same report."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from toolwright.episodes import Cost, StopReason, Strategy, derive_seed
from toolwright.evaluation._cards import filter_cards, score_cards
from toolwright.evaluation._cells import Cell, SamplePool, cell_of, random_cell
from toolwright.evaluation._report import Difference, Report, Row
from toolwright.evaluation._statistics import mean_interval, paired_bootstrap, pass_at_n, wilson
from toolwright.scaling import greedy, majority

Column = list[Cell]
"""A cell per problem."""


async def tabulate(
    report: Report,
    pools: Sequence[SamplePool],
    strategies: Sequence[Strategy],
    ns: Sequence[int],
    *,
    subsets: int,
    live: Mapping[tuple[str, int], Column] | None = None,
    baselines: bool = True,
) -> Report:
    """The report with everything that follows from the pools; `live`: what strategies that need a model came to, problem by problem."""
    replayed = [strategy for strategy in strategies if not getattr(strategy, "live", False)]
    columns = await _columns(report, pools, replayed, ns, subsets) | dict(live or {})
    named = {strategy.name: place for place, strategy in enumerate(strategies)}
    columns = dict(sorted(columns.items(), key=lambda item: (named[item[0][0]], item[0][1])))
    beside = await _baselines(report, pools, strategies, ns, subsets) if baselines else {}
    sampled = any(pool.candidates for pool in pools)
    oracle = tuple(_oracle_row(report, pools, n) for n in sorted(set(ns))) if sampled else ()
    perfect = {row.n: row.accuracy for row in oracle}
    faults = [
        c.episode.fault or "?" for pool in pools for c in (*pool.candidates, *([pool.greedy] if pool.greedy else [])) if c.episode.stop is StopReason.FAULT
    ]
    return replace(
        report,
        results=tuple(_with_gap(_row(report, name, n, column), perfect) for (name, n), column in columns.items()),
        oracle=oracle,
        baselines=tuple(_with_gap(_row(report, name, n, column), perfect) for (name, n), column in beside.items()),
        differences=tuple(_differences(columns | beside, named, report.run_seed)),
        filters=filter_cards(pools),
        scores=score_cards(pools) if sampled else (),
        faults=len(faults),
        fault_reasons=dict(Counter(faults).most_common(5)),
        undecided_grades=sum(pool.grade(c.answer) is None for pool in pools for c in pool.candidates if c.usable),
    )


async def _columns(
    report: Report, pools: Sequence[SamplePool], strategies: Sequence[Strategy], ns: Sequence[int], subsets: int
) -> dict[tuple[str, int], Column]:
    columns: dict[tuple[str, int], Column] = {}
    for pool in pools:
        await asyncio.sleep(0)  # an interrupt gets through between problems
        for strategy in strategies:
            for n in ns_of(strategy, ns):
                columns.setdefault((strategy.name, n), []).append(await cell_of(pool, strategy, n, report.run_seed, subsets))
    return columns


async def _baselines(
    report: Report, pools: Sequence[SamplePool], strategies: Sequence[Strategy], ns: Sequence[int], subsets: int
) -> dict[tuple[str, int], Column]:
    """A random sample, greedy where it was drawn, and the majority, those that are not among the strategies."""
    asked = {strategy.name for strategy in strategies}
    found: dict[tuple[str, int], Column] = {}
    sampled = any(pool.candidates for pool in pools)
    if greedy.name not in asked and any(pool.greedy for pool in pools):
        found |= await _columns(report, pools, [greedy], [1], subsets)
    if sampled:
        found["random", 1] = [random_cell(pool) for pool in pools]
    if sampled and majority.name not in asked:
        found |= await _columns(report, pools, [majority], ns, subsets)
    return found


def ns_of(strategy: Strategy, ns: Sequence[int]) -> list[int]:
    """The numbers of samples that a strategy is evaluated at."""
    samples = getattr(strategy, "samples", None)
    return sorted(set(ns) if samples is None else {min(n, samples) for n in ns})


def _row(report: Report, strategy: str, n: int, cells: Sequence[Cell]) -> Row:
    judged = [cell.value for cell in cells if not math.isnan(cell.value)]
    right = math.fsum(judged)
    low, high = wilson(right, len(judged))
    band = mean_interval(judged, seed=derive_seed(report.run_seed, "band")) if judged else (None, None, None)
    draws = [cell for cell in cells if cell.draws]
    cost = _mean_cost([{name: value / cell.draws for name, value in cell.cost.items()} for cell in draws])
    return Row(
        report.task,
        strategy,
        n,
        right / len(judged) if judged else None,
        low,
        high,
        len(judged),
        cost,
        undecided=math.fsum(cell.undecided / cell.draws for cell in draws),
        unusable=math.fsum(cell.unusable / cell.draws for cell in draws),
        fallbacks=math.fsum(cell.fallbacks / cell.draws for cell in draws) / len(draws) if draws else 0.0,
        band_low=band[1],
        band_high=band[2],
        flops=_flops(report, cost),
    )


def _with_gap(row: Row, perfect: Mapping[int, float | None]) -> Row:
    best = perfect.get(row.n)
    return row if best is None or row.accuracy is None else replace(row, gap=best - row.accuracy)


def _flops(report: Report, cost: Mapping[str, float]) -> float | None:
    return None if report.parameters is None else 2.0 * report.parameters * (cost["prompt_tokens"] + cost["model_tokens"])


def _mean_cost(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: math.fsum(cost[name] for cost in costs) / max(1, len(costs)) for name in asdict(Cost())}


def _oracle_row(report: Report, pools: Sequence[SamplePool], n: int) -> Row:
    values: list[float] = []
    costs: list[Mapping[str, float]] = []
    for pool in pools:
        grades = [pool.grade(c.answer) for c in pool.candidates if c.usable]
        judged = [g for g in grades if g is not None]
        if judged:
            values.append(pass_at_n(len(judged), sum(judged), min(n, len(judged))))
        share = min(n, len(pool.candidates)) / max(1, len(pool.candidates))
        total = sum((c.episode.cost for c in pool.candidates), Cost())
        costs.append({name: value * share for name, value in asdict(total).items()})
    right = math.fsum(values)
    low, high = wilson(right, len(values))
    band = mean_interval(values, seed=derive_seed(report.run_seed, "band")) if values else (None, None, None)
    accuracy = right / len(values) if values else None
    cost = _mean_cost(costs)
    return Row(report.task, "pass@n", n, accuracy, low, high, len(values), cost, band_low=band[1], band_high=band[2], flops=_flops(report, cost))


def _differences(columns: Mapping[tuple[str, int], Column], asked: Mapping[str, int], seed: int) -> list[Difference]:
    """Every pair at the same n, and everything against a single sample (greedy, random), on the same problems; one of the two was asked for."""
    found = []
    single = {name for name, _ in columns if sum(other == name for other, _ in columns) == 1}
    for (b, b_n), (a, a_n) in itertools.combinations(columns, 2):
        if a == b or not (a_n == b_n or b in single or a in single) or not {a, b} & set(asked):
            continue
        if a in single and b not in single:
            # The single-sample one is what is compared with.
            a, a_n, b, b_n = b, b_n, a, a_n
        first, second = [cell.value for cell in columns[a, a_n]], [cell.value for cell in columns[b, b_n]]
        both = sum(not math.isnan(x - y) for x, y in zip(first, second, strict=True))
        if both:
            found.append(Difference(a, a_n, b, b_n, *paired_bootstrap(first, second, seed=derive_seed(seed, "difference")), both))
    return found
