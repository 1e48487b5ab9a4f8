"""Strategies that need a model: run for each problem and n, from the store where it has what they would draw."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from toolwright.episodes import Budget, RunStore, Strategy, Verifier
from toolwright.errors import NoUsableEpisode
from toolwright.evaluation._cells import Cell, SamplePool, count_choice
from toolwright.evaluation._sampling import SamplingPlan
from toolwright.scaling import StoredVerifier, stored_attempt


async def run_live(
    pools: Sequence[SamplePool], strategies: Sequence[Strategy], ns: Sequence[int], plan: SamplingPlan, store: RunStore | None
) -> dict[tuple[str, int], list[Cell]]:
    """What each strategy comes to at each n, a cell per problem; `plan.in_flight` problems at a time, divided by n.

    Raises: UsageError as soon as one strategy does.
    """
    found: dict[tuple[str, int], list[Cell]] = {}
    for strategy in strategies:
        for n in sorted(set(ns)):
            room = asyncio.Semaphore(max(1, plan.in_flight // n))
            work = [asyncio.ensure_future(_cell(pool, strategy, n, plan, store, room)) for pool in pools]
            try:
                found[strategy.name, n] = list(await asyncio.gather(*work))
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)
    return found


async def _cell(pool: SamplePool, strategy: Strategy, n: int, plan: SamplingPlan, store: RunStore | None, room: asyncio.Semaphore) -> Cell:
    problem, cell = pool.problem.asked(), Cell()
    async with room:
        attempt = stored_attempt(plan.rollout, problem, store, run_seed=plan.run_seed)
        verifiers: Sequence[Verifier] = plan.verifiers
        if store is not None:
            verifiers = [StoredVerifier(v, store, plan.rollout, run_seed=plan.run_seed) for v in plan.verifiers]
        try:
            choice = await strategy(problem, attempt, verifiers, Budget(samples=n), seed=plan.run_seed)
        except NoUsableEpisode:
            cell.unusable += 1
            return cell
    count_choice(cell, pool, choice)
    return cell
