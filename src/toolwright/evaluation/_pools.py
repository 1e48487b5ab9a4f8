"""The same evaluation over recorded pools: solutions that other models wrote, no model here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolwright.episodes import Strategy, Verdict, Verifier
from toolwright.errors import UsageError
from toolwright.evaluation._evaluate import check_ns, named
from toolwright.evaluation._report import Report
from toolwright.evaluation._tabulate import SamplePool, tabulate
from toolwright.scaling import as_candidate, clustered, judge_each, with_verdicts
from toolwright.tasks import Pool


async def evaluate_pool(
    pool: Pool,
    verifiers: Sequence[Verifier] = (),
    strategies: Sequence[str | Strategy] = ("majority", "t1"),
    ns: Sequence[int] | None = None,
    *,
    run_seed: int = 0,
    subsets: int = 20,
    recorded_answers: bool = False,
) -> Report:
    """The report of strategies over recorded samples; without `ns`, powers of two up to the samples every problem has.

    `recorded_answers` takes the answers the pool recorded (of programs: what they computed) in place of those in the text.

    Raises: UsageError for problems without gold answers, and for an n above what some problem has.
    """
    chosen = named(strategies)
    if greedy := [s.name for s in chosen if getattr(s, "temperature", None) == 0.0]:
        raise UsageError(f"{greedy[0]} needs a sample at temperature 0, and a pool records no such thing; leave it out")
    fewest = min(len(pool.of(problem.id)) for problem in pool.problems)
    if ns is None:
        ns = sorted({2**k for k in range(fewest.bit_length()) if 2**k <= fewest} | {fewest})
    check_ns(ns)
    if max(ns) > fewest:
        raise UsageError(f"n = {max(ns)}, but some problem of the pool {pool.name} has {fewest} samples; use n ≤ {fewest}")
    if without := [problem.id for problem in pool.problems if problem.gold is None]:
        raise UsageError(f"{len(without)} problems of the pool {pool.name} have no gold answer, the first is {without[0]!r}")
    pools = [await _sample_pool(pool, index, verifiers, run_seed, recorded_answers) for index in range(len(pool.problems))]
    report = Report(pool.name, ", ".join(pool.models), fewest, len(pools), run_seed, (), task_digest=pool.digest)
    return await tabulate(report, pools, chosen, ns, subsets=subsets)


async def _sample_pool(pool: Pool, number: int, verifiers: Sequence[Verifier], run_seed: int, recorded_answers: bool) -> SamplePool:
    problem = pool.problems[number]
    candidates, verdicts = [], []
    for episode in pool.of(problem.id):
        found: list[Verdict] = await judge_each(problem.asked(), episode, verifiers, seed=run_seed)
        candidate = as_candidate(problem, episode)
        if recorded_answers:
            candidate = replace(candidate, answer=pool.answers.get((problem.id, episode.index)))
        candidates.append(with_verdicts(candidate, found))
        verdicts.append(found)
    return SamplePool(problem, clustered(problem, candidates), None, verdicts)
