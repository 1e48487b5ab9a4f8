"""Revise: one solution after the other; what refuted the last one is shown to the model, and it tries again (sequential scaling).

Reward models are not asked: nothing but a refutation asks for another try. Needs a model, since a recorded sample cannot read a remark.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from toolwright.episodes import Attempt, Budget, Choice, Episode, Message, Problem, StopReason, Verifier
from toolwright.errors import EpisodeFault, UsageError
from toolwright.scaling._candidates import LEFT_OUT, Candidate, as_candidate, clustered, with_verdicts
from toolwright.scaling._choosing import chosen
from toolwright.scaling._gathering import check_budget, within
from toolwright.scaling._judging import is_reward, judge_each
from toolwright.scaling._stored import LiveAttempt
from toolwright.scaling._t1 import t1_rule

REMARK = "A check found a mistake in this solution: {reason}\nSolve the problem again from the beginning, without that mistake."


@dataclass(frozen=True, slots=True)
class Revise:
    """The first solution that nothing refutes; where each was refuted, their vote without the filter."""

    name: str = "revise"
    about: str = "One solution at a time; the model sees why the last one was refuted and tries again."
    live: bool = True
    """It needs a model, not only samples."""

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice; ``budget.samples`` bounds the tries. Raises: UsageError for recorded samples."""
        check_budget(budget)
        if not isinstance(attempt, LiveAttempt):
            raise UsageError("revise shows a solution's mistake to the model, so it needs a model; over recorded samples use t1, majority or adaptive")
        began = time.monotonic()
        filters = [v for v in verifiers if not is_reward(v)]
        found: list[Candidate] = []
        cut: str | None = None
        after: tuple[Message, ...] = ()
        while len(found) < budget.samples and cut is None:
            left_s = None if budget.seconds is None or not found else budget.seconds - (time.monotonic() - began)
            candidate = await within(left_s, self._next(problem, attempt, filters, len(found), after, seed))
            if candidate is None:
                cut = f"The budget of {budget.seconds:g} seconds was spent after {len(found)} of {budget.samples} tries."
                break
            found.append(candidate)
            if candidate.votes and not candidate.verdict.refuted:
                break
            after = _remarks(candidate) if candidate.usable else after
            cut = _spent(budget, found, began)
        told = "No filter was given, so nothing could ask for a second try." if not filters else None
        return self._choice(problem, found, cut, told, seed, time.monotonic() - began)

    async def _next(self, problem: Problem, attempt: LiveAttempt, filters: Sequence[Verifier], index: int, after: tuple[Message, ...], seed: int) -> Candidate:
        try:
            episode = await (attempt.again(index, after) if after else attempt(index))
        except EpisodeFault as fault:
            episode = Episode(problem.id, index, (), StopReason.FAULT, 0, fault=f"{fault.boundary}: {fault}")
        candidate = as_candidate(problem, episode)
        if episode.stop in LEFT_OUT:
            return candidate
        return with_verdicts(candidate, await judge_each(problem, episode, filters, seed=seed))

    def _choice(self, problem: Problem, found: Sequence[Candidate], cut: str | None, told: str | None, seed: int, wall_s: float) -> Choice:
        candidates = clustered(problem, found)
        choice = chosen(self.name, t1_rule, "filters", problem, candidates, seed=seed)
        tries = f"{len(found)} {'try' if len(found) == 1 else 'tries'}, {sum(c.verdict.refuted for c in found)} refuted."
        return replace(choice, fallback=" ".join(filter(None, (cut, told, choice.fallback))) or None, note=tries, cost=replace(choice.cost, wall_s=wall_s))


def _remarks(candidate: Candidate) -> tuple[Message, ...]:
    """The last solution, and what is to be said of it."""
    reason = candidate.verdict.reason if candidate.verdict.refuted else "It has no final answer."
    return Message("assistant", candidate.episode.text.strip()), Message("user", REMARK.format(reason=reason))


def _spent(budget: Budget, found: Sequence[Candidate], began: float) -> str | None:
    tokens = sum(c.episode.cost.model_tokens + c.verdict.cost.model_tokens for c in found)
    where = f"was spent after {len(found)} of {budget.samples} tries."
    if budget.tokens is not None and tokens >= budget.tokens and len(found) < budget.samples:
        return f"The budget of {budget.tokens} tokens {where}"
    if budget.seconds is not None and time.monotonic() - began >= budget.seconds and len(found) < budget.samples:
        return f"The budget of {budget.seconds:g} seconds {where}"
    return None


revise = Revise()
