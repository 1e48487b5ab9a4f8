"""The sampling run behind a report: every sample drawn once, stored at once, judged as soon as it is there.

`in_flight` samples are in the works at a time, problem by problem; a kill loses those at most. Leaves out what the samples mean for strategies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from toolwright.episodes import Episode, Problem, RunStore, StopReason, ToolResult, Verdict, VerdictKey, Verifier, digest
from toolwright.errors import EngineFault
from toolwright.evaluation._cells import SamplePool
from toolwright.evaluation._progress import OnProgress, Progress, estimate_s
from toolwright.rollouts import Rollout
from toolwright.scaling import Candidate, StoredVerifier, as_candidate, clustered, judge_each, sample_key, stored_attempt, with_verdicts


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """What is to be drawn."""

    problems: Sequence[Problem]
    samples: int
    rollout: Rollout
    greedy: Rollout | None
    """How the greedy sample of each problem is drawn; None for none."""
    verifiers: Sequence[Verifier]
    run_seed: int
    in_flight: int
    give_up_after: int
    """So many faults in a row, and nothing else, end the run."""
    keep_texts: bool
    """Whether candidates keep their spans; without them a large run stays small in memory."""


@dataclass(slots=True)
class _Counts:
    done: int = 0
    stored: int = 0
    drawn: int = 0
    faults: int = 0
    faults_in_row: int = 0
    latency_s: float = 0.0


class Sampling:
    """One sampling run."""

    def __init__(self, plan: SamplingPlan, store: RunStore | None, progress: OnProgress | None) -> None:
        self._plan, self._store, self._progress = plan, store, progress
        self._counts = _Counts()
        self._total = len(plan.problems) * (plan.samples + (plan.greedy is not None))
        self._began = 0.0
        self._found: dict[tuple[str, int], Candidate] = {}
        self._verdicts: dict[tuple[str, int], list[Verdict]] = {}
        self._judging: dict[str, dict[str, asyncio.Task[list[Verdict]]]] = {problem.id: {} for problem in plan.problems}
        self._left = {problem.id: self._total // max(1, len(plan.problems)) for problem in plan.problems}
        self._asked: Sequence[Verifier] = plan.verifiers
        if store is not None:
            self._asked = [StoredVerifier(v, store, plan.rollout, run_seed=plan.run_seed) for v in plan.verifiers]

    async def run(self) -> list[SamplePool]:
        """The pools, in the order of the problems.

        Cancelling it leaves the store consistent. Raises: EngineFault after too many faults in a row; UsageError as soon as one attempt or verifier does.
        """
        self._began = time.monotonic()
        jobs = iter(self._jobs())
        workers = [asyncio.ensure_future(self._work(jobs)) for _ in range(min(self._plan.in_flight, max(1, self._total)))]
        try:
            await asyncio.gather(*workers)
        finally:
            judging = [task for tasks in self._judging.values() for task in tasks.values()]
            for worker in workers:
                worker.cancel()
            for task in judging:
                task.cancel()
            await asyncio.gather(*workers, *judging, return_exceptions=True)
        return [self._pool(problem) for problem in self._plan.problems]

    def _jobs(self) -> Iterator[tuple[Problem, int]]:
        """(problem, index); the greedy sample has the index −1 here."""
        for problem in self._plan.problems:
            for index in range(0 if self._plan.greedy is None else -1, self._plan.samples):
                yield problem, index

    async def _work(self, jobs: Iterator[tuple[Problem, int]]) -> None:
        for problem, index in jobs:
            # The stored ones need no waiting, but others must get their turn between them.
            await asyncio.sleep(0)
            rollout = self._plan.rollout if index >= 0 or self._plan.greedy is None else self._plan.greedy
            episode = await stored_attempt(rollout, problem.asked(), self._store, run_seed=self._plan.run_seed, on_episode=self._count)(max(index, 0))
            candidate = as_candidate(problem, episode)
            if index >= 0 and self._plan.verifiers and candidate.usable:
                found = [without_evidence(v) for v in await self._judged(problem, episode)]
                self._verdicts[problem.id, index] = found
                candidate = with_verdicts(candidate, found)
            self._found[problem.id, index] = candidate if self._plan.keep_texts else replace(candidate, episode=_slim(episode))
            self._counts.done += 1
            self._left[problem.id] -= 1
            if not self._left[problem.id]:
                self._judging[problem.id].clear()
            self._report()

    async def _judged(self, problem: Problem, episode: Episode) -> list[Verdict]:
        """The verdicts on an episode; equal texts of a problem share one judging, and each has it stored under its own name."""
        judging, key = self._judging[problem.id], digest(episode.text)
        first = key not in judging
        if first:
            judging[key] = asyncio.ensure_future(judge_each(problem.asked(), episode, self._asked, seed=self._plan.run_seed))
        # Shielded: whoever waits may be cancelled without taking the judging from the others; `run` cancels it itself.
        found = await asyncio.shield(judging[key])
        if not first and self._store is not None:
            self._store_twin(problem, episode, found)
        return found

    def _store_twin(self, problem: Problem, episode: Episode, found: Sequence[Verdict]) -> None:
        if self._store is None:
            return
        sample = sample_key(self._plan.rollout, problem, episode.index, run_seed=self._plan.run_seed)
        for verifier, verdict in zip(self._plan.verifiers, found, strict=False):
            # A verifier that could not be run leaves neither, and is to be asked again.
            if verdict.score is not None or verdict.evidence:
                self._store.put_verdict(VerdictKey(sample, verifier.digest), verdict)

    def _count(self, episode: Episode, drawn: bool) -> None:
        counts = self._counts
        counts.stored += not drawn
        counts.drawn += drawn
        counts.latency_s += episode.cost.wall_s if drawn else 0.0
        if episode.stop is not StopReason.FAULT:
            counts.faults_in_row = 0
            return
        counts.faults += 1
        counts.faults_in_row += 1
        if counts.faults_in_row >= self._plan.give_up_after:
            raise EngineFault(
                f"{counts.faults_in_row} samples in a row ended in a fault, the last with: {episode.fault}; "
                "what was drawn before is stored, so mend that and run the same command again"
            )

    def _report(self) -> None:
        if self._progress is None:
            return
        counts = self._counts
        elapsed_s = time.monotonic() - self._began
        left_s = estimate_s(left=self._total - counts.done, drawn=counts.drawn, elapsed_s=elapsed_s, in_flight=self._plan.in_flight, latency_s=counts.latency_s)
        self._progress(Progress(counts.done, self._total, counts.stored, counts.faults, elapsed_s, left_s))

    def _pool(self, problem: Problem) -> SamplePool:
        candidates = [self._found[problem.id, index] for index in range(self._plan.samples)]
        verdicts = [self._verdicts.get((problem.id, index), []) for index in range(self._plan.samples)]
        return SamplePool(problem, clustered(problem, candidates), self._found.get((problem.id, -1)), verdicts)


def without_evidence(verdict: Verdict) -> Verdict:
    """The verdict without what was seen, but for which checks ran out of time: a report counts those."""
    return replace(verdict, evidence=tuple(ToolResult("", ok=False, outcome=r.outcome) for r in verdict.evidence if r.outcome.startswith("timeout")))


def _slim(episode: Episode) -> Episode:
    """The episode without its texts and tokens: what strategies need of them stands on the candidate."""
    return replace(episode, spans=(), tool_results=(), verdicts=())
