"""Candidates: episodes of one problem with their answers, verdicts and clusters, drawn and judged at once.

What every strategy shares. A candidate is judged as soon as it is there, while others are still drawn; equal texts are judged once. Leaves out the choosing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from toolwright.checks import Equivalence, extract_answer
from toolwright.episodes import Attempt, Budget, Cost, Episode, Problem, StopReason, Verdict, Verifier, derive_seed, digest
from toolwright.errors import EpisodeFault, UsageError
from toolwright.verifiers import combine

_LEFT_OUT = (StopReason.FAULT, StopReason.CANCELLED)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One episode, with what a strategy needs to know of it."""

    episode: Episode
    answer: str | None
    """From the model's own words; None where it gave none, and for faults."""
    verdict: Verdict
    """Of all verifiers as one; undecided where none was asked."""
    cluster: int | None = None
    """Candidates with equivalent answers share a number."""
    mean_logp: float | None = None
    text_key: str = ""
    """Digest of the whole text: equal texts are judged, and their judging paid for, once."""

    @property
    def usable(self) -> bool:
        """False for an episode that ended in a fault or was cancelled: it says nothing about the problem."""
        return self.episode.stop not in _LEFT_OUT

    @property
    def votes(self) -> bool:
        """Whether it is usable and has an answer."""
        return self.usable and self.answer is not None


@dataclass(slots=True)
class Gathered:
    """What a strategy had drawn when its budget let it."""

    candidates: list[Candidate] = field(default_factory=list)
    wall_s: float = 0.0
    cut: str | None = None
    """Why fewer than asked for were drawn."""


NOT_ASKED = Verdict(None, "Not checked: this strategy asks no verifier.")


def as_candidate(problem: Problem, episode: Episode, verdict: Verdict = NOT_ASKED) -> Candidate:
    """The candidate of an episode, not yet clustered."""
    usable = episode.stop not in _LEFT_OUT
    answer = extract_answer(episode.model_text, choices=problem.choices) if usable else None
    if not usable:
        verdict = Verdict(None, f"Left out: the episode ended in a fault ({episode.fault or episode.stop.value}).")
    return Candidate(episode, answer, verdict, None, episode.mean_logp, digest(episode.text))


async def judge_each(problem: Problem, episode: Episode, verifiers: Sequence[Verifier], *, seed: int) -> list[Verdict]:
    """One verdict per verifier, asked in their order until one refutes; the rest are not asked.

    Equal texts of one problem get equal seeds. A verifier that could not be run at all counts as one that could not decide.
    """
    found: list[Verdict] = []
    own_seed = derive_seed(seed, "verify", problem.id, digest(episode.text))
    for verifier in verifiers:
        try:
            verdict = await verifier.verify(problem, episode, seed=own_seed)
        except EpisodeFault as fault:
            verdict = Verdict(None, f"The verifier {verifier.name} could not be run ({fault.boundary}: {fault}).", verifier.name)
        found.append(verdict)
        if verdict.refuted:
            break
    return found


async def judge(problem: Problem, episode: Episode, verifiers: Sequence[Verifier], *, seed: int) -> Verdict:
    """The verdict of all verifiers as one; see `judge_each`."""
    found = await judge_each(problem, episode, verifiers, seed=seed)
    return combine(found) if found else NOT_ASKED


def clustered(problem: Problem, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with their clusters: equal letters for a multiple-choice problem, equivalent answers else."""
    answers = [c.answer for c in candidates]
    if problem.choices:
        order: dict[str, int] = {}
        numbers = [None if answer is None else order.setdefault(answer, len(order)) for answer in answers]
    else:
        numbers = _equivalence().cluster(answers)
    return [replace(c, cluster=number) for c, number in zip(candidates, numbers, strict=True)]


async def gather(problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int) -> Gathered:
    """The candidates of ``budget.samples`` attempts, clustered, in draw order; fewer where time or tokens ran out, but at least one.

    What is in flight then is cancelled; an episode whose judging was cut off counts as undecided.

    Raises: UsageError for a budget that allows no sample; whatever UsageError an attempt or verifier raises.
    """
    _check(budget)
    began = time.monotonic()
    drawing = _Drawing(problem, attempt, verifiers, seed)
    tasks = [asyncio.ensure_future(drawing.one(index)) for index in range(budget.samples)]
    arrival = asyncio.ensure_future(drawing.arrived.wait())
    pending = set(tasks)
    cut: str | None = None
    try:
        while pending and cut is None:
            left_s = None if budget.seconds is None else budget.seconds - (time.monotonic() - began)
            if left_s is not None and left_s <= 0:
                # With nothing in hand, time may run over: the first episode is always waited for.
                await asyncio.wait({arrival, *pending}, return_when=asyncio.FIRST_COMPLETED)
                left_s = 0.0
            done, pending = await asyncio.wait(pending, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            cut = _cut(budget, drawing, began) if pending else None
    finally:
        arrival.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(arrival, *tasks, *drawing.judging.values(), return_exceptions=True)
    candidates = [drawing.candidate(index) for index in sorted(drawing.drawn)]
    if cut:
        cut = f"{cut} after {len(candidates)} of {budget.samples} samples."
    return Gathered(clustered(problem, candidates), time.monotonic() - began, cut)


class _Drawing:
    """Episodes and verdicts as they come in."""

    def __init__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], seed: int) -> None:
        self._problem, self._attempt, self._verifiers, self._seed = problem, attempt, verifiers, seed
        self.drawn: dict[int, Episode] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.judging: dict[str, asyncio.Task[Verdict]] = {}
        self.arrived = asyncio.Event()
        """Set once there is anything to choose from."""

    async def one(self, index: int) -> None:
        try:
            episode = await self._attempt(index)
        except EpisodeFault as fault:
            episode = Episode(self._problem.id, index, (), StopReason.FAULT, 0, fault=f"{fault.boundary}: {fault}")
        self.drawn[index] = episode
        if episode.stop in _LEFT_OUT:
            return
        self.arrived.set()
        if not self._verifiers:
            return
        key = digest(episode.text)
        if key not in self.judging:
            self.judging[key] = asyncio.ensure_future(judge(self._problem, episode, self._verifiers, seed=self._seed))
        self.verdicts[index] = await self.judging[key]

    def candidate(self, index: int) -> Candidate:
        unjudged = Verdict(None, "Not checked before the budget was spent.") if self._verifiers else NOT_ASKED
        return as_candidate(self._problem, self.drawn[index], self.verdicts.get(index, unjudged))

    @property
    def tokens(self) -> int:
        judged = {id(v): v.cost.model_tokens for v in self.verdicts.values()}
        return sum(e.cost.model_tokens for e in self.drawn.values()) + sum(judged.values())


def total_cost(candidates: Sequence[Candidate], *, judged: bool) -> Cost:
    """What the candidates cost; with `judged`, their verdicts too, those of equal texts once."""
    costs = [c.episode.cost for c in candidates]
    if judged:
        costs += {c.text_key: c.verdict.cost for c in candidates}.values()
    return Cost(
        sum(cost.prompt_tokens for cost in costs),
        sum(cost.model_tokens for cost in costs),
        sum(cost.tool_calls for cost in costs),
        sum(cost.wall_s for cost in costs),
    )


def _check(budget: Budget) -> None:
    if budget.samples < 1:
        raise UsageError(f"n = {budget.samples} samples give no answer; ask for 1 or more")
    if budget.cost_usd is not None:
        raise UsageError(f"a budget of {budget.cost_usd} USD cannot be kept, since no engine states its prices yet; bound samples, tokens or seconds")
    for name, bound in (("tokens", budget.tokens), ("seconds", budget.seconds)):
        if bound is not None and bound <= 0:
            raise UsageError(f"a budget of {bound} {name} gives no answer; allow more, or leave the bound out")


def _cut(budget: Budget, drawing: _Drawing, began: float) -> str | None:
    if budget.seconds is not None and drawing.arrived.is_set() and time.monotonic() - began >= budget.seconds:
        return f"The budget of {budget.seconds:g} seconds was spent"
    if budget.tokens is not None and drawing.tokens >= budget.tokens:
        return f"The budget of {budget.tokens} tokens was spent"
    return None


@cache
def _equivalence() -> Equivalence:
    """One for the process: its workers start at the first pair that needs them and end with the process."""
    return Equivalence()
