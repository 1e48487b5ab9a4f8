"""The solver as Python users meet it."""

from __future__ import annotations

import asyncio

import pytest

from toolwright import Solver
from toolwright.engines import ScriptedEngine
from toolwright.episodes import Problem, SamplingParams, Verdict
from toolwright.errors import UsageError
from toolwright.recipes import choice_to_json

RIGHT, WRONG = "12 + 30 = 42\n#### 42", "12 + 30 = 52\n#### 52"


def solver(*texts: str) -> Solver:
    return Solver(engine=ScriptedEngine(list(texts), in_order=True), verify=["claims"])


def test_a_false_claim_costs_the_vote():
    with solver(WRONG, WRONG, WRONG, RIGHT) as scripted:
        choice = scripted.solve("12 and 30 more?", n=4)
    assert choice.answer == "42"
    told = choice_to_json(choice, "scripted")
    assert [t["verdict"]["score"] for t in told["tried"]].count(0.0) == 3
    assert told["fallback"] is None


def test_where_all_are_refuted_the_choice_says_so():
    with solver(WRONG, WRONG) as scripted:
        choice = scripted.solve("12 and 30 more?", n=2)
    assert choice.answer == "52"
    assert "refuted" in (choice.fallback or "")


def test_without_verifiers_t1_says_so():
    with Solver(engine=ScriptedEngine([RIGHT]), verify=[]) as scripted:
        choice = scripted.solve("12 and 30 more?", n=2)
    assert "No verifier" in (choice.fallback or "")


def test_it_works_beside_a_running_event_loop():
    async def notebook() -> str | None:
        with solver(RIGHT, RIGHT) as scripted:
            return scripted.solve("12 and 30 more?", n=2).answer

    assert asyncio.run(notebook()) == "42"


def test_no_verifier_sees_the_gold_answer():
    seen: list[Problem] = []

    class Watcher:
        name, digest = "watcher", "0"

        async def verify(self, problem, episode, *, seed):
            seen.append(problem)
            return Verdict(None, "only looked")

    with solver(RIGHT, RIGHT) as scripted:
        scripted.verifiers = (Watcher(),)
        scripted.solve(Problem("p", "12 and 30 more?", gold="42", meta={"solution": "42"}), n=2)
    assert seen
    assert all(problem.gold is None and not problem.meta for problem in seen)


def test_names_are_checked():
    with pytest.raises(UsageError, match="klingon"):
        Solver(engine=ScriptedEngine([RIGHT]), dialect="klingon")
    with pytest.raises(UsageError, match="oracle"):
        Solver(engine=ScriptedEngine([RIGHT]), verify=["oracle"])


def test_an_estimate_counts_every_token_of_every_candidate():
    class Paced(ScriptedEngine):
        """50 ms to read the prompt, 20 ms a token."""

        async def sample(self, prompt, *, n, params, seed):
            await asyncio.sleep(0.05 + 0.02 * params.max_new_tokens)
            return await super().sample(prompt, n=n, params=params, seed=seed)

    with Solver(engine=Paced([RIGHT]), verify=[], params=SamplingParams(max_new_tokens=500)) as paced:
        one, many = paced.estimate_s("12 and 30 more?", n=4), paced.estimate_s("12 and 30 more?", n=64)
    assert 8 < one < 30
    assert 2 < many / one < 8


class Liking:
    """A reward model that likes one text."""

    name, digest, is_reward = "liking", "d", True

    async def verify(self, problem, episode, *, seed):
        return Verdict(0.9 if "52" in episode.text else 0.1, "", self.name, is_reward=True)


def test_verifiers_of_ones_own_are_asked_unless_a_calibration_switched_them_off(tmp_path):
    texts = ["12 + 30 = 42\n#### 42", "It is 52.\n#### 52"]
    (tmp_path / "c.json").write_text('{"schema": 1, "switch_off": ["liking"]}')
    for calibration, answer in ((None, "52"), (tmp_path / "c.json", "42")):
        engine = ScriptedEngine(texts, in_order=True)
        with Solver(engine=engine, verify=["claims"], more=[Liking()], calibration=calibration) as scripted:
            assert scripted.solve("12 and 30 more?", n=2).answer == answer
