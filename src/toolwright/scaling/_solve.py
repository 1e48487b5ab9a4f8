"""Solving one problem: a rollout, a strategy and verifiers put together, with a store where one is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from toolwright.episodes import Budget, Choice, Episode, Problem, RunStore, Strategy, Verifier
from toolwright.errors import UsageError
from toolwright.rollouts import Rollout
from toolwright.scaling._registry import find_strategy
from toolwright.scaling._stored import StoredVerifier, stored_attempt

_BUDGET = Budget()


async def solve(
    problem: Problem,
    rollout: Rollout,
    *,
    strategy: str | Strategy = "t1",
    verifiers: Sequence[Verifier] = (),
    budget: Budget = _BUDGET,
    run_seed: int = 0,
    store: RunStore | None = None,
    on_episode: Callable[[Episode, bool], None] | None = None,
) -> Choice:
    """The strategy's choice for the problem.

    A strategy that names a temperature (greedy: 0) gets its attempts at that temperature. `on_episode` sees each episode as soon as it is there, and whether
    it was drawn now (or taken from the store).

    Raises: UsageError for an empty question, an unknown strategy or an impossible budget; NoUsableEpisode where every episode ended in a fault.
    """
    if not problem.question.strip():
        raise UsageError("the question is empty; give the text of a problem")
    # What draws and judges never holds the gold answer, whoever calls.
    problem = problem.asked()
    chosen = find_strategy(strategy) if isinstance(strategy, str) else strategy
    temperature = getattr(chosen, "temperature", None)
    if temperature is not None:
        rollout = at_temperature(rollout, temperature)
    attempt = stored_attempt(rollout, problem, store, run_seed=run_seed, on_episode=on_episode)
    asked = verifiers if store is None else [StoredVerifier(v, store, rollout, run_seed=run_seed) for v in verifiers]
    return await chosen(problem, attempt, asked, budget, seed=run_seed)


def at_temperature(rollout: Rollout, temperature: float) -> Rollout:
    """The same rollout with attempts drawn at another temperature."""
    return Rollout(
        rollout.engine,
        dialect=rollout.dialect,
        tools=tuple(rollout.tools.values()),
        params=replace(rollout.params, temperature=temperature),
        max_tool_calls=rollout.max_tool_calls,
        max_malformed=rollout.max_malformed,
        max_total_tokens=rollout.max_total_tokens,
        system=rollout.system,
    )
