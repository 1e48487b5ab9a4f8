"""Reward models: what they rank, whom they are asked about, and what their passes cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from toolwright.episodes import Budget, Choice, Cost, Episode, Problem, Provenance, RunStore, Span, StopReason, Verdict, Verifier
from toolwright.scaling import RecordedVerifier, best_of_n, filtered, judge_each, majority, recorded_attempt, t1, t1_argmax, two_stage, weighted

PROBLEM = Problem("p", "How much?", "18")


class Reward:
    """A reward model with a score per sample; a second pass (another seed) may say something else."""

    name, digest, is_reward = "rm", "d", True

    def __init__(self, scores: Mapping[int, float | None], second: Mapping[int, float] | None = None) -> None:
        self.scores, self.second = scores, second
        self.asked: list[int] = []
        self.seeds: dict[int, int] = {}

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        first = self.seeds.setdefault(episode.index, seed) == seed
        self.asked.append(episode.index)
        score = self.scores[episode.index] if first or self.second is None else self.second[episode.index]
        return Verdict(score, "so it seems", "rm", cost=Cost(0, 100, 0, 0.0))


def sample(index: int, answer: str, logp: float | None = None) -> Episode:
    text = f"Sample {index}.\nThe answer is {answer}."
    span = Span(Provenance.MODEL, text, (1,), (logp,)) if logp is not None else Span(Provenance.MODEL, text)
    return Episode("p", index, (span,), StopReason.FINISHED, index, cost=Cost(10, 5, 0, 0.0))


def refuting(*indices: int) -> RecordedVerifier:
    return RecordedVerifier("check", {("p", i): Verdict(0.0 if i in indices else 1.0, "said so", "check", cost=Cost(0, 1, 1, 0.0)) for i in range(9)})


def run(strategy: object, answers: Sequence[str], verifiers: Sequence[Verifier]) -> Choice:
    episodes = [sample(i, answer) for i, answer in enumerate(answers)]
    return asyncio.run(strategy(PROBLEM, recorded_attempt(episodes), verifiers, Budget(samples=len(episodes))))  # type: ignore[operator]


ANSWERS = ("17", "17", "17", "18", "18", "19")
SCORES = {0: 0.2, 1: 0.2, 2: 0.2, 3: 0.5, 4: 0.4, 5: 0.8}


def test_each_strategy_reads_the_same_rewards_its_own_way() -> None:
    rewards = [Reward(SCORES)]
    assert run(majority, ANSWERS, rewards).answer == "17"
    assert run(best_of_n, ANSWERS, rewards).answer == "19"  # the one with 0.8
    assert run(weighted, ANSWERS, rewards).answer == "18"  # 0.9 against 0.6 and 0.8
    assert run(t1, ANSWERS, [refuting(3), *rewards]).answer == "19"  # 0.4, 0.6 and 0.8 are left
    assert run(t1, ANSWERS, [refuting(5), *rewards]).answer == "18"
    assert run(t1_argmax, ANSWERS, [refuting(5), *rewards]).answer == "18"
    assert run(t1_argmax, ANSWERS, [refuting(3, 5), *rewards]).answer == "18"
    assert run(filtered, ANSWERS, [refuting(0, 1), *rewards]).answer == "18"


def test_a_low_reward_never_refutes() -> None:
    found = asyncio.run(judge_each(PROBLEM, sample(0, "17"), [Reward({0: 0.01}), refuting()], seed=0))
    assert [v.refuted for v in found] == [False, False] and found[1].is_reward
    choice = run(t1, ["17"], [Reward({0: 0.0})])
    assert choice.answer == "17" and "refuted" not in (choice.fallback or "")


def test_undecided_rewards_count_as_the_mean_of_the_others() -> None:
    choice = run(weighted, ["17", "18", "18"], [Reward({0: 0.9, 1: None, 2: 0.1})])
    assert [t.reward for t in choice.tried] == [0.9, 0.5, 0.1]
    assert choice.answer == "17"


def test_the_refuted_are_not_shown_to_the_reward_model_unless_all_are() -> None:
    reward = Reward(SCORES)
    choice = run(t1, ANSWERS, [refuting(0, 1, 2), reward])
    assert sorted(reward.asked) == [3, 4, 5]
    assert choice.cost.model_tokens == 6 * 5 + 6 * 1 + 3 * 100
    reward = Reward(SCORES)
    choice = run(t1, ANSWERS, [refuting(*range(6)), reward])
    assert sorted(reward.asked) == list(range(6))
    assert choice.answer == "18" and (choice.fallback or "").startswith("All 6 candidates")
    assert choice.cost.model_tokens == 6 * 5 + 6 * 1 + 6 * 100


def test_only_what_is_asked_is_paid_for() -> None:
    reward = Reward(SCORES)
    assert run(majority, ANSWERS, [refuting(), reward]).cost.model_tokens == 30
    assert run(filtered, ANSWERS, [refuting(), reward]).cost.model_tokens == 36
    assert reward.asked == []
    assert run(weighted, ANSWERS, [refuting(), reward]).cost.model_tokens == 630


def test_two_stages_drop_by_the_first_pass_and_score_by_the_second() -> None:
    first = {0: 0.9, 1: 0.9, 2: 0.9, 3: 0.6, 4: 0.1, 5: 0.1}
    second = {0: 0.1, 1: 0.1, 2: 0.1, 3: 0.9, 4: 1.0, 5: 1.0}
    reward = Reward(first, second)
    choice = run(two_stage, ANSWERS, [reward])
    assert choice.answer == "18"  # 0.3 for 17; 0.9 for 18, since its other candidate was dropped
    assert [t.reward for t in choice.tried] == [0.1, 0.1, 0.1, 0.9, 0.0, 0.0]
    assert len(reward.asked) == 12 and choice.cost.model_tokens == 30 + 1200
    dropped = run(two_stage, ["17", "18"], [Reward({0: 0.1, 1: 0.2}, {0: 0.3, 1: 0.4})])
    assert dropped.answer == "18" and "dropped all 2" in (dropped.fallback or "")
    assert "no reward model" in (run(two_stage, ["17"], [refuting()]).fallback or "")


def test_stored_rewards_stay_rewards(tmp_path: object) -> None:
    from pathlib import Path

    from toolwright.engines import ScriptedEngine
    from toolwright.rollouts import Rollout
    from toolwright.scaling import StoredVerifier

    rollout = Rollout(ScriptedEngine(["x"]))
    with RunStore(Path(str(tmp_path))) as store:
        stored = StoredVerifier(Reward({0: 0.3}), store, rollout, run_seed=0)
        assert stored.is_reward
        (found,) = asyncio.run(judge_each(PROBLEM, sample(0, "17"), [stored], seed=0))
        assert found.is_reward and not found.refuted and found.score == pytest.approx(0.3)
