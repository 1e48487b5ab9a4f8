"""Beam over verified steps: solutions grow line by line, and beginnings with a refuted statement are dropped before more is spent on them.

A step is a line. After each one, the filters judge the beginnings (claims read unfinished text; programs that need an answer abstain); the best
`budget.samples` / `expand` of what is left go on, each in `expand` ways. Beginnings are ranked by the reward models where there are any, else by mean
probability. The finished solutions vote as in T1. Token ids are continued as they were sampled. Needs an engine that can continue a turn; leaves out tools
while writing, and storing (a search that was killed starts over).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from toolwright.episodes import (
    Attempt,
    Budget,
    Choice,
    Completion,
    Cost,
    Episode,
    FinishReason,
    Problem,
    Prompt,
    Provenance,
    Span,
    StopReason,
    Verifier,
    derive_seed,
)
from toolwright.errors import EpisodeFault, UsageError
from toolwright.scaling._candidates import Candidate, as_candidate, clustered, judging_costs, with_verdicts
from toolwright.scaling._choosing import chosen
from toolwright.scaling._gathering import check_budget, within
from toolwright.scaling._judging import judge_each
from toolwright.scaling._stored import LiveAttempt
from toolwright.scaling._t1 import t1_rule

STEP = "\n"


@dataclass(slots=True)
class _Search:
    """One search as far as it got."""

    problem: Problem
    attempt: LiveAttempt
    verifiers: Sequence[Verifier]
    budget: Budget
    seed: int
    opening: Span
    began: float = field(default_factory=time.monotonic)
    cost: Cost = field(default_factory=Cost)
    open: list[Candidate] = field(default_factory=list)
    done: list[Candidate] = field(default_factory=list)
    dropped: int = 0
    steps: int = 0
    unfiltered: int = 0
    """The first step at which every beginning was refuted and the best went on all the same; 0 for none."""

    @property
    def left_s(self) -> float | None:
        return None if self.budget.seconds is None else self.budget.seconds - (time.monotonic() - self.began)

    @property
    def spent(self) -> str | None:
        if self.budget.tokens is not None and self.cost.model_tokens >= self.budget.tokens:
            return f"The budget of {self.budget.tokens} tokens was spent after {self.steps} steps."
        if self.left_s is not None and self.left_s <= 0:
            return f"The budget of {self.budget.seconds:g} seconds was spent after {self.steps} steps."
        return None


@dataclass(frozen=True, slots=True)
class Beam:
    """T1 over solutions that grew line by line, refuted beginnings left behind."""

    name: str = "beam"
    about: str = "Solutions grow line by line; beginnings with a refuted statement are dropped; what is finished votes."
    live: bool = True
    """It needs a model, not only samples."""
    expand: int = 4
    """In how many ways each beginning goes on."""
    max_steps: int = 40

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice; ``budget.samples`` is how many beginnings are drawn per step and how many solutions are finished at most.

        Raises: UsageError for recorded samples, an engine without prefill, a dialect with tools.
        """
        check_budget(budget)
        search = await self._begun(problem, attempt, verifiers, budget, seed)
        cut: str | None = None
        while search.open and len(search.done) < budget.samples and search.steps < self.max_steps and cut is None:
            # The first step is waited for whatever the time: with nothing in hand there is nothing to choose.
            if await within(search.left_s if search.steps else None, self._step(search)) is None:
                cut = f"The budget of {budget.seconds:g} seconds was spent after {search.steps} steps."
            cut = cut or (search.spent if search.open and len(search.done) < budget.samples else None)
        unfinished = None if search.done else "No solution was finished; the choice is among unfinished ones."
        forced = f"Every beginning was refuted at step {search.unfiltered}; the best went on without the filter." if search.unfiltered else None
        choice = chosen(self.name, t1_rule, "t1", problem, clustered(problem, search.done or search.open), seed=seed)
        told = " ".join(filter(None, (cut, unfinished, forced, choice.fallback))) or None
        note = f"{search.steps} steps, {search.dropped} beginnings dropped, {len(search.done)} solutions finished."
        return replace(choice, fallback=told, note=note, cost=replace(search.cost, wall_s=time.monotonic() - search.began))

    async def _begun(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, seed: int) -> _Search:
        if not isinstance(attempt, LiveAttempt):
            raise UsageError("beam writes solutions step by step, so it needs a model; over recorded samples use t1, majority or adaptive")
        rollout = attempt.rollout
        capabilities = await rollout.engine.capabilities()
        if not capabilities.prefill:
            raise UsageError(f"beam continues a turn line by line, which the engine {rollout.engine.name} cannot (no assistant prefill); use t1 or adaptive")
        if rollout.tools:
            raise UsageError(f"beam does not run tools while a solution is written, but the dialect is {rollout.dialect.name}; use the dialect text")
        messages = await rollout.messages(problem)
        opening = Span(Provenance.PROMPT, "\n\n".join(f"[{m.role}]\n{m.content}" for m in messages))
        search = _Search(problem, attempt, verifiers, budget, seed, opening)
        search.open = [self._candidate(search, [], StopReason.MAX_TOKENS, 0, Cost())]
        return search

    async def _step(self, search: _Search) -> bool:
        """One more line for every open beginning; True when it is through."""
        rollout, samples = search.attempt.rollout, search.budget.samples
        ways = samples if search.steps == 0 else max(1, math.ceil((samples - len(search.done)) / len(search.open)))
        messages = await rollout.messages(search.problem)
        drawn = await asyncio.gather(
            *(self._continued(search, Prompt(messages, _written(c.episode)), c, min(ways, samples), place) for place, c in enumerate(search.open))
        )
        opened = list({c.episode.model_text: c for some in drawn for c, goes_on in some if goes_on}.values())
        ended = [c for some in drawn for c, goes_on in some if not goes_on]
        judged = await asyncio.gather(*(self._judged(search, c) for c in (*opened, *ended)))
        for candidate in {c.text_key: c for c in judged}.values():
            search.cost += sum(judging_costs(candidate, "t1"), Cost())
        opened, ended = judged[: len(opened)], judged[len(opened) :]
        search.steps += 1
        search.done += ended[: samples - len(search.done)]
        standing = [c for c in opened if not c.verdict.refuted]
        if standing or search.done:
            search.dropped += len(opened) - len(standing)
        else:
            # With nothing else in hand, T1's own fallback: go on without the filter, and say so.
            standing, search.unfiltered = opened, search.unfiltered or search.steps
        standing.sort(key=_promise, reverse=True)
        search.open = standing[: max(1, math.ceil(samples / self.expand))]
        return True

    async def _continued(self, search: _Search, prompt: Prompt, beginning: Candidate, ways: int, place: int) -> list[tuple[Candidate, bool]]:
        """The beginning with one more line, in so many ways, and whether each goes on behind it."""
        rollout, before = search.attempt.rollout, beginning.episode
        room = rollout.params.max_new_tokens - before.cost.model_tokens
        if room < 1:
            return [(beginning, False)]
        params = replace(rollout.params, max_new_tokens=room, stop=(*rollout.params.stop, STEP))
        own = derive_seed(search.seed, "beam", search.problem.id, search.steps, place, before.model_text)
        try:
            completions = await rollout.engine.sample(prompt, n=ways, params=params, seed=own)
        except EpisodeFault as fault:
            return [(self._candidate(search, list(_written(before)), StopReason.FAULT, place, before.cost, f"{fault.boundary}: {fault}"), False)]
        fed = max(0, max((c.prompt_tokens for c in completions), default=0) - before.cost.model_tokens)
        search.cost += Cost(fed, sum(map(_tokens, completions)))
        found = []
        for number, completion in enumerate(completions):
            goes_on = completion.finish is FinishReason.STOP and completion.stop == STEP
            stop = StopReason.MAX_TOKENS if goes_on else _ENDED.get(completion.finish, StopReason.FINISHED)
            cost = before.cost + Cost(fed, _tokens(completion))
            found.append((self._candidate(search, [_joined(_written(before), completion)], stop, place * ways + number, cost), goes_on))
        return found

    def _candidate(self, search: _Search, spans: list[Span], stop: StopReason, index: int, cost: Cost, fault: str | None = None) -> Candidate:
        rollout = search.attempt.rollout
        # The seed names what was written, so that a stored verdict on one beginning is never taken for another's.
        seed = derive_seed(search.seed, "beam", search.problem.id, [span.text for span in spans])
        episode = Episode(search.problem.id, index, (search.opening, *spans), stop, seed, rollout.dialect.name, rollout.engine.digest, rollout.params, cost)
        return as_candidate(search.problem, episode if fault is None else replace(episode, fault=fault))

    async def _judged(self, search: _Search, candidate: Candidate) -> Candidate:
        episode = candidate.episode
        if not candidate.usable:
            return candidate
        return with_verdicts(candidate, await judge_each(search.problem, episode, search.verifiers, seed=search.seed, spare_refuted=True))


def _promise(candidate: Candidate) -> float:
    if candidate.reward is not None:
        return candidate.reward
    return 0.0 if candidate.mean_logp is None else math.exp(candidate.mean_logp)


def _written(episode: Episode) -> tuple[Span, ...]:
    return tuple(span for span in episode.spans if span.provenance is Provenance.MODEL)


def _joined(before: Sequence[Span], completion: Completion) -> Span:
    """What was written so far with one more line, token ids as they were sampled."""
    text = completion.text + (completion.surplus if completion.surplus.isspace() else "")
    if not before:
        return Span(Provenance.MODEL, text, completion.token_ids, completion.logps)
    (first,) = before
    ids = first.token_ids + completion.token_ids if first.token_ids is not None and completion.token_ids is not None else None
    logps = first.logps + completion.logps if ids is not None and first.logps is not None and completion.logps is not None else None
    return Span(Provenance.MODEL, first.text + text, ids, logps)


def _tokens(completion: Completion) -> int:
    return completion.model_tokens or len(completion.token_ids or ()) or max(1, len(completion.text) // 4)


_ENDED = {FinishReason.LENGTH: StopReason.MAX_TOKENS, FinishReason.CONTEXT: StopReason.CONTEXT_FULL}

beam = Beam()
