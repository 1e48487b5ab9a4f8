"""Many evaluations as one resumable run: the part that the studies with a model share.

Samples are drawn in rounds of growing size, so that a run that is stopped (by the clock, or by hand) has measured everything a little instead of a part of it
well. All samples go through one run store: the same command goes on where the last one stopped. The tables are made at the end, from stored samples only.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from types import TracebackType
from typing import Any

from toolwright.episodes import Engine, RunStore, SamplingParams
from toolwright.evaluation import Difference, Progress, Report, Row, evaluate, wilson
from toolwright.recipes._results import Measured, model_facts
from toolwright.recipes._solver import Solver
from toolwright.tasks import Task

RUN_SEED = 0
PARAMS = SamplingParams(max_new_tokens=320, temperature=0.8)
"""As `toolwright solve` draws with the embedded models."""
_ROUNDS = (4, 2, 1)
"""A quarter of the problems, half of them, all."""
_TOLD_EVERY_S = 10.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One model on one task in one dialect."""

    key: str
    """Names it among the jobs."""
    model: str
    dialect: str
    task: Callable[[int], Task]
    """The task of so many problems; a larger number only adds problems."""
    strategies: tuple[str, ...]
    ns: tuple[int, ...]


@dataclass(slots=True)
class Found:
    """What a run measured."""

    reports: dict[str, Report] = field(default_factory=dict)
    """By the key of the job; a job whose first round was not reached has none."""
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Parameters and digest of each model."""
    complete: bool = True
    """Whether the time was enough for all samples."""


class Study:
    """One run over jobs; a context manager, for the store and the model that it keeps open."""

    def __init__(self, store: Path, *, max_minutes: float | None = None, tell: Tell | None = None, engine: Engine | None = None) -> None:
        """`max_minutes` bounds the drawing; tables come after it. `engine` stands for every model: for tests."""
        self._tell, self._engine = tell or _to_stderr, engine
        self._until = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._store = RunStore(store)
        self._open: tuple[tuple[str, str], Solver] | None = None
        self._models: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Study:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._open is not None:
            self._open[1].close()
        self._store.close()

    def run(self, jobs: Sequence[Job], problems: int, finals: Sequence[Job] = ()) -> Found:
        """The reports of jobs over `problems` problems each, or as many as the time allowed, and of `finals`: jobs over samples that `jobs` have drawn.

        Finals are asked for as many problems as every job reached, and have no report where some job reached none.
        """
        sizes: dict[str, int] = {}
        complete = all(self._round(jobs, size, sizes) for size in sorted({-(-problems // part) for part in _ROUNDS}))
        wanted = [(job, sizes[job.key]) for job in jobs if job.key in sizes]
        if len(wanted) == len(jobs):
            wanted += [(job, min(sizes.values())) for job in finals]
        return Found({job.key: self._report(job, size) for job, size in wanted}, self._models, complete)

    def _round(self, jobs: Sequence[Job], size: int, sizes: dict[str, int]) -> bool:
        """Whether there was time for it; `sizes` takes what each job reached."""
        for number, job in enumerate(jobs, 1):
            task, solver = job.task(size), self._solver(job)
            # Greedy and majority at one n cost nothing to tabulate; what is wanted here is that the samples and verdicts are stored.
            cheap = tuple(s for s in job.strategies if s in ("greedy", "majority")) or job.strategies
            name = f"{size} problems each, {number} of {len(jobs)}, {job.key}"
            drawing = evaluate(
                task, solver.rollout, solver.verifiers, cheap, (max(job.ns),), store=self._store, run_seed=RUN_SEED, progress=self._progress(name)
            )
            try:
                asyncio.run(_within(drawing, None if self._until is None else self._until - time.monotonic()))
            except TimeoutError:
                self._tell(f"time is up at: {name}; the same command goes on from there")
                return False
            sizes[job.key] = size
        return True

    def _report(self, job: Job, size: int) -> Report:
        solver = self._solver(job)
        report = asyncio.run(evaluate(job.task(size), solver.rollout, solver.verifiers, job.strategies, job.ns, store=self._store, run_seed=RUN_SEED))
        self._tell(f"{job.key}: " + ", ".join(f"{row.strategy}@{row.n} {100 * (row.accuracy or 0):.1f}" for row in report.results))
        return report

    def _solver(self, job: Job) -> Solver:
        """The solver of a job; one is open at a time."""
        wanted = (job.model, job.dialect)
        if self._open is None or self._open[0] != wanted:
            if self._open is not None:
                self._open[1].close()
            solver = Solver(job.model, dialect=job.dialect, verify=("claims",), params=PARAMS, engine=self._engine)
            self._open = wanted, solver
            self._models[label(job.model)] = model_facts(solver.engine)
        return self._open[1]

    def _progress(self, name: str) -> Callable[[Progress], None]:
        told = time.monotonic()

        def tell(now: Progress) -> None:
            nonlocal told
            if time.monotonic() - told >= _TOLD_EVERY_S:
                told = time.monotonic()
                left = "" if now.left_s is None else f", about {now.left_s:.0f} s left of these"
                self._tell(f"{name}: {now.done} of {now.total} samples ({now.stored} stored){left}")

        return tell


async def _within(work: Any, seconds: float | None) -> Any:
    """What the work gives. Raises: TimeoutError where the time is not enough, or has run out before."""
    async with asyncio.timeout(seconds):
        return await work


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def label(model: str) -> str:
    """What a model is called in results: its name, of a folder the last part (results hold no paths)."""
    return Path(model).name


def row_to_json(where: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """A table row of one strategy at one n."""
    cost = {name: round(row.cost[name], 1) for name in ("prompt_tokens", "model_tokens", "tool_calls")}
    kept = ("strategy", "n", "accuracy", "low", "high", "problems", "undecided", "unusable", "fallbacks")
    return {**where, **{name: getattr(row, name) for name in kept}, **cost}


def tables_of(reports: Sequence[tuple[Mapping[str, Any], Report]]) -> dict[str, list[dict[str, Any]]]:
    """The tables that every study with a model has: accuracies (with pass@n), paired differences, and the filters' report cards."""
    return {
        "accuracy": [row_to_json(where, row) for where, report in reports for row in (*report.results, *report.oracle)],
        "differences": [{**where, **asdict(difference)} for where, report in reports for difference in report.differences],
        "filters": [
            {**where, **asdict(card), "false_refutation": card.false_refutation, "caught": card.caught, "precision": card.precision}
            for where, report in reports
            for card in report.filters
        ],
    }


def difference(report: Report, a: str, b: str, n: int) -> Difference:
    """The paired difference of strategy a less strategy b at n (greedy at its one sample). Raises: KeyError where the report has none."""
    for found in report.differences:
        if (found.a, found.b) == (a, b) and found.a_n == n and found.b_n in (n, 1):
            return found
        if (found.a, found.b) == (b, a) and found.b_n == n and found.a_n in (n, 1):
            return Difference(a, n, b, found.a_n, -found.difference, -found.high, -found.low, found.problems)
    raise KeyError(f"no difference {a} − {b} at n = {n}")


def unpaired(a: Row, b: Row) -> Measured:
    """Accuracy of a less accuracy of b where the two are of different models or dialects, as if on different problems: wider than a paired interval.

    Source: Newcombe 1998, method 10 (from the two Wilson intervals).
    """
    if a.accuracy is None or b.accuracy is None:
        return Measured()
    apart = a.accuracy - b.accuracy
    low = apart - sqrt((a.accuracy - a.low) ** 2 + (b.high - b.accuracy) ** 2)
    return Measured(apart, low, apart + sqrt((a.high - a.accuracy) ** 2 + (b.accuracy - b.low) ** 2))


def measured(row: Row) -> Measured:
    """A row's accuracy with its interval."""
    return Measured(row.accuracy, row.low, row.high) if row.accuracy is not None else Measured()


def share(part: int, whole: int) -> Measured:
    """A share with its 95 % Wilson interval; nothing of nothing."""
    return Measured(part / whole, *wilson(part, whole)) if whole else Measured()
