"""A rollout, a strategy and verifiers put together, and what the store saves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Budget, Choice, Episode, Problem, RunStore, SamplingParams
from toolwright.errors import NoUsableEpisode, UsageError
from toolwright.rollouts import Rollout
from toolwright.scaling import sample_key, solve
from toolwright.verifiers import ClaimsVerifier

PROBLEM = Problem("p", "A box holds 12 pens. Nadia buys 3 and gives 6 away. How many are left?", "30")
RIGHT = "3 * 12 = 36 pens. 36 - 6 = 30.\nThe answer is 30."
WRONG = "3 * 12 = 38 pens. 38 - 6 = 32.\nThe answer is 32."
PLAIN = "The answer is 31."


def engine(*replies: str, **options: object) -> ScriptedEngine:
    return ScriptedEngine(list(replies), in_order=True, **options)  # type: ignore[arg-type]


def test_t1_with_claims_rejects_the_wrong_majority() -> None:
    rollout = Rollout(engine(WRONG, WRONG, RIGHT))
    choice = asyncio.run(solve(PROBLEM, rollout, verifiers=[ClaimsVerifier()], budget=Budget(samples=3)))
    assert choice.answer == "30"
    assert sorted(tried.verdict.score for tried in choice.tried if tried.verdict.score is not None) == [0.0, 0.0, 1.0]
    plain = asyncio.run(solve(PROBLEM, Rollout(engine(WRONG, WRONG, RIGHT)), strategy="majority", budget=Budget(samples=3)))
    assert plain.answer == "32"


def test_greedy_is_drawn_at_temperature_0_whatever_the_rollout_says() -> None:
    said = engine(RIGHT)
    choice = asyncio.run(solve(PROBLEM, Rollout(said, params=SamplingParams(temperature=0.9)), strategy="greedy", budget=Budget(samples=8)))
    assert choice.answer == "30"
    assert [request.params.temperature for request in said.requests] == [0.0]


def test_stored_samples_and_verdicts_are_not_made_again(tmp_path: Path) -> None:
    seen: list[bool] = []

    def once(said: ScriptedEngine, samples: int) -> Choice:
        with RunStore(tmp_path) as store:
            return asyncio.run(
                solve(
                    PROBLEM,
                    Rollout(said),
                    verifiers=[ClaimsVerifier()],
                    budget=Budget(samples=samples),
                    store=store,
                    on_episode=lambda episode, drawn: seen.append(drawn),
                )
            )

    said = ScriptedEngine([RIGHT, WRONG, PLAIN])
    first = once(said, 6)
    assert said.samples == 6
    again = ScriptedEngine([RIGHT, WRONG, PLAIN])
    second = once(again, 8)
    assert again.samples == 2
    assert second.tried[:6] == first.tried
    assert seen == [True] * 6 + sorted(seen[6:])  # the stored ones are there at once


def test_another_wording_under_the_same_id_is_another_sample() -> None:
    rollout = Rollout(engine(RIGHT))
    changed = Problem("p", "Something else?", "30")
    assert sample_key(rollout, PROBLEM, 0, run_seed=0) != sample_key(rollout, changed, 0, run_seed=0)
    assert sample_key(rollout, PROBLEM, 0, run_seed=0) == sample_key(Rollout(engine(RIGHT)), PROBLEM, 0, run_seed=0)


def test_faults_are_drawn_again_next_time(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        with pytest.raises(NoUsableEpisode, match="lost"):
            asyncio.run(solve(PROBLEM, Rollout(engine(RIGHT, faults=Faults(lost_after_calls=0))), budget=Budget(samples=2), store=store))
        choice = asyncio.run(solve(PROBLEM, Rollout(engine(RIGHT)), budget=Budget(samples=2), store=store))
    assert choice.answer == "30"


@pytest.mark.parametrize(("problem", "options"), [(Problem("p", "  "), {}), (PROBLEM, {"strategy": "none"}), (PROBLEM, {"budget": Budget(samples=0)})])
def test_bad_input_is_refused(problem: Problem, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        asyncio.run(solve(problem, Rollout(engine(RIGHT)), **options))  # type: ignore[arg-type]


def test_an_episode_is_shown_as_soon_as_it_is_there() -> None:
    shown: list[Episode] = []
    asyncio.run(solve(PROBLEM, Rollout(engine(RIGHT)), budget=Budget(samples=3), on_episode=lambda episode, drawn: shown.append(episode)))
    assert sorted(episode.index for episode in shown) == [0, 1, 2]
