"""The same evaluation over recorded pools: solutions that other models wrote, no model here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from toolwright.episodes import Episode, Strategy, Verdict, Verifier
from toolwright.errors import UsageError
from toolwright.evaluation._cells import SamplePool
from toolwright.evaluation._evaluate import check_ns, named
from toolwright.evaluation._report import Report
from toolwright.evaluation._sampling import without_evidence
from toolwright.evaluation._tabulate import tabulate
from toolwright.scaling import RecordedVerifier, as_candidate, clustered, judge_each, with_second_passes, with_verdicts
from toolwright.tasks import Pool

Key = tuple[str, int]
"""(problem id, sample index)."""


async def evaluate_pool(
    pool: Pool,
    verifiers: Sequence[Verifier] = (),
    strategies: Sequence[str | Strategy] = ("majority", "t1"),
    ns: Sequence[int] | None = None,
    *,
    run_seed: int = 0,
    subsets: int = 20,
    recorded_answers: bool = False,
    rewards: Mapping[Key, float] | None = None,
    baselines: bool = True,
) -> Report:
    """The report of strategies over recorded samples; without `ns`, powers of two up to the samples every problem has.

    `rewards`: scores in [0, 1] by (problem id, sample index) that a reward model gave when the pool was recorded; what ranks then ranks by them.
    `recorded_answers` takes the answers the pool recorded (of programs: what they computed) in place of those in the text. Tokens that were not recorded are
    estimated at four characters each.

    Raises: UsageError for problems without gold answers, and for an n above what some problem has.
    """
    chosen = named(strategies)
    if live := [s.name for s in chosen if getattr(s, "live", False)]:
        raise UsageError(f"{live[0]} needs a model to write more, and a pool only records; leave it out")
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
    asked = with_second_passes(verifiers) if any(getattr(s, "second_passes", False) for s in chosen) else verifiers
    pools = await recorded_pools(pool, asked, run_seed=run_seed, recorded_answers=recorded_answers, rewards=rewards)
    report = Report(pool.name, ", ".join(pool.models), fewest, len(pools), run_seed, (), task_digest=pool.digest)
    return await tabulate(report, pools, chosen, ns, subsets=subsets, baselines=baselines)


async def recorded_pools(
    pool: Pool, verifiers: Sequence[Verifier], *, run_seed: int = 0, recorded_answers: bool = False, rewards: Mapping[Key, float] | None = None
) -> list[SamplePool]:
    """Every problem's recorded samples, judged and clustered."""
    asked = [*verifiers, *([_recorded_rewards(rewards)] if rewards is not None else [])]
    return [await _sample_pool(pool, index, asked, run_seed, recorded_answers) for index in range(len(pool.problems))]


def _recorded_rewards(rewards: Mapping[Key, float]) -> RecordedVerifier:
    if wrong := [key for key, score in rewards.items() if not 0 <= score <= 1]:
        raise UsageError(f"the reward of sample {wrong[0][1]} of {wrong[0][0]} is {rewards[wrong[0]]}, but rewards go from 0 to 1")
    verdicts = {key: Verdict(score, "Recorded with the sample.", "recorded reward", is_reward=True) for key, score in rewards.items()}
    return RecordedVerifier("recorded reward", verdicts)


def _with_tokens(episode: Episode) -> Episode:
    """The episode with its tokens estimated from its length where none were recorded: four characters each, as where a server does not tell."""
    if episode.cost.model_tokens:
        return episode
    return replace(episode, cost=replace(episode.cost, model_tokens=max(1, len(episode.model_text) // 4)))


async def _sample_pool(pool: Pool, number: int, verifiers: Sequence[Verifier], run_seed: int, recorded_answers: bool) -> SamplePool:
    problem = pool.problems[number]
    candidates, verdicts = [], []
    for episode in map(_with_tokens, pool.of(problem.id)):
        found = [without_evidence(v) for v in await judge_each(problem.asked(), episode, verifiers, seed=run_seed)]
        candidate = as_candidate(problem, episode)
        if recorded_answers:
            candidate = replace(candidate, answer=pool.answers.get((problem.id, episode.index)))
        candidates.append(with_verdicts(candidate, found))
        verdicts.append(found)
    return SamplePool(problem, clustered(problem, candidates), None, verdicts)
