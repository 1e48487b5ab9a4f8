"""Drawing candidates: many at once or in growing batches, each judged as soon as it is there, within a budget of samples, tokens and seconds.

Equal texts are judged once. What is in flight when the budget is spent, or when enough is known, is cancelled. Leaves out the choosing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from toolwright.episodes import Attempt, Budget, Episode, Problem, StopReason, Verdict, Verifier, digest
from toolwright.errors import EpisodeFault, UsageError
from toolwright.scaling._candidates import LEFT_OUT, Candidate, as_candidate, clustered, with_verdicts
from toolwright.scaling._judging import NOT_ASKED, judge_each

T = TypeVar("T")
Settled = Callable[[Sequence[Candidate]], str | None]
"""Why no more samples are needed, from the clustered first candidates; None while they are."""


@dataclass(slots=True)
class Gathered:
    """What a strategy had drawn when its budget let it."""

    candidates: list[Candidate] = field(default_factory=list)
    wall_s: float = 0.0
    cut: str | None = None
    """Why fewer than asked for were drawn."""
    settled: str | None = None
    """Why no more were needed."""
    settled_at: int | None = None
    """How many of the first candidates told so."""


async def gather(
    problem: Problem,
    attempt: Attempt,
    verifiers: Sequence[Verifier],
    budget: Budget,
    *,
    seed: int,
    spare_refuted: bool = False,
    batches: Sequence[int] = (),
    settled: Settled | None = None,
) -> Gathered:
    """The candidates of ``budget.samples`` attempts, clustered, in draw order; fewer where time or tokens ran out, but at least one.

    `batches`: how many are to be in the works one after the other, summed up; what is beyond their end is drawn at once. `settled` is asked about the first
    1, 2, 3, … candidates as they come, so what it says does not depend on who was quickest. What is in flight at the end is cancelled; an episode whose judging
    was cut off counts as undecided.

    Raises: UsageError for a budget that allows no sample; whatever UsageError an attempt or verifier raises.
    """
    check_budget(budget)
    drawing = _Drawing(problem, attempt, verifiers, seed, spare_refuted)
    got = Gathered()
    ends = [*(end for end in sorted(set(batches)) if end < budget.samples), budget.samples]
    began = time.monotonic()
    arrival = asyncio.ensure_future(drawing.arrived.wait())
    tasks: list[asyncio.Task[None]] = []
    pending: set[asyncio.Task[None]] = set()
    known = 0
    try:
        while got.cut is None and got.settled is None and (pending or len(tasks) < budget.samples):
            if not pending:
                started = [asyncio.ensure_future(drawing.one(index)) for index in range(len(tasks), ends.pop(0))]
                tasks += started
                pending = set(started)
            left_s = None if budget.seconds is None else budget.seconds - (time.monotonic() - began)
            if left_s is not None and left_s <= 0:
                # With nothing in hand, time may run over: the first episode is always waited for.
                await asyncio.wait({arrival, *pending}, return_when=asyncio.FIRST_COMPLETED)
                left_s = 0.0
            done, pending = await asyncio.wait(pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if settled is not None:
                known = _ask(settled, drawing, got, known)
            got.cut = _cut(budget, drawing, began) if got.settled is None and (pending or len(tasks) < budget.samples) else None
    finally:
        arrival.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(arrival, *tasks, *drawing.judging.values(), return_exceptions=True)
    got.candidates = clustered(problem, [drawing.candidate(index) for index in sorted(drawing.drawn)])
    if got.cut:
        got.cut = f"{got.cut} after {len(got.candidates)} of {budget.samples} samples."
    got.wall_s = time.monotonic() - began
    return got


def check_budget(budget: Budget) -> None:
    """Nothing. Raises: UsageError for a budget that no strategy can keep."""
    if budget.samples < 1:
        raise UsageError(f"n = {budget.samples} samples give no answer; ask for 1 or more")
    if budget.cost_usd is not None:
        raise UsageError(f"a budget of {budget.cost_usd} USD cannot be kept, since no engine states its prices yet; bound samples, tokens or seconds")
    for name, bound in (("tokens", budget.tokens), ("seconds", budget.seconds)):
        if bound is not None and bound <= 0:
            raise UsageError(f"a budget of {bound} {name} gives no answer; allow more, or leave the bound out")


async def within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result; None, with the work cancelled, where it took longer."""
    try:
        return await asyncio.wait_for(work, None if seconds is None else max(0.0, seconds))
    except TimeoutError:
        return None


def _ask(settled: Settled, drawing: _Drawing, got: Gathered, known: int) -> int:
    """Ask about every new beginning of the draws that is through; how many of them there are now."""
    through = drawing.through(known)
    if through == known:
        return known
    first = clustered(drawing.problem, [drawing.candidate(index) for index in range(through)])
    for count in range(known + 1, through + 1):
        got.settled = settled(first[:count])
        if got.settled is not None:
            got.settled_at = count
            break
    return through


def _cut(budget: Budget, drawing: _Drawing, began: float) -> str | None:
    if budget.seconds is not None and drawing.arrived.is_set() and time.monotonic() - began >= budget.seconds:
        return f"The budget of {budget.seconds:g} seconds was spent"
    if budget.tokens is not None and drawing.tokens >= budget.tokens:
        return f"The budget of {budget.tokens} tokens was spent"
    return None


class _Drawing:
    """Episodes and verdicts as they come in."""

    def __init__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], seed: int, spare_refuted: bool) -> None:
        self.problem = problem
        self._attempt, self._verifiers, self._seed, self._spare_refuted = attempt, verifiers, seed, spare_refuted
        self.drawn: dict[int, Episode] = {}
        self.verdicts: dict[int, list[Verdict]] = {}
        self.judging: dict[str, asyncio.Task[list[Verdict]]] = {}
        self.arrived = asyncio.Event()
        """Set once there is anything to choose from."""

    async def one(self, index: int) -> None:
        try:
            episode = await self._attempt(index)
        except EpisodeFault as fault:
            episode = Episode(self.problem.id, index, (), StopReason.FAULT, 0, fault=f"{fault.boundary}: {fault}")
        self.drawn[index] = episode
        if episode.stop in LEFT_OUT:
            return
        self.arrived.set()
        if not self._verifiers:
            return
        key = digest(episode.text)
        if key not in self.judging:
            asked = judge_each(self.problem, episode, self._verifiers, seed=self._seed, spare_refuted=self._spare_refuted)
            self.judging[key] = asyncio.ensure_future(asked)
        self.verdicts[index] = await self.judging[key]

    def candidate(self, index: int) -> Candidate:
        unjudged = Verdict(None, "Not checked before the budget was spent.") if self._verifiers else NOT_ASKED
        candidate = as_candidate(self.problem, self.drawn[index], unjudged)
        return with_verdicts(candidate, self.verdicts[index]) if index in self.verdicts else candidate

    def through(self, start: int) -> int:
        """How many of the first episodes are drawn and judged, `start` of which are known to be."""
        while start in self.drawn and (start in self.verdicts or not self._verifiers or self.drawn[start].stop in LEFT_OUT):
            start += 1
        return start

    @property
    def tokens(self) -> int:
        """Model tokens, those of verifiers included; equal texts share one judging."""
        judged = {id(found): found for found in self.verdicts.values()}
        return sum(e.cost.model_tokens for e in self.drawn.values()) + sum(v.cost.model_tokens for found in judged.values() for v in found)
