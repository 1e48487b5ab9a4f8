"""Calibration: rates with bounds, error sources, what tools can gain, and filters switched off where they hurt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import Episode, Problem, Provenance, RunStore, Span, StopReason, Verdict
from toolwright.errors import UsageError, VerifierFault
from toolwright.recipes._quality import area, quality
from toolwright.recipes.calibrate import Calibration, calibrate, repair, save, source_of, switched_off
from toolwright.rollouts import Rollout
from toolwright.verifiers import ClaimsVerifier

RIGHT, SLIP, PLAN, OPEN = "16-3=13\n13*2=26\n#### 26", "16-3=12\n12*2=24\n#### 24", "16+3=19\n19*2=38\n#### 38", "I am not sure."


def problem(index: int, gold: str | None = "26") -> Problem:
    return Problem(f"p{index}", f"Problem {index}: 16 eggs, 3 are used, the rest is sold for $2 each.", gold)


def episode(text: str, stop: StopReason = StopReason.FINISHED) -> Episode:
    return Episode("p", 0, (Span(Provenance.MODEL, text),), stop, 0)


class Says:
    """A verifier that scores by what the text holds."""

    def __init__(self, name: str, scores: dict[str, float | None], *, is_reward: bool = False) -> None:
        self.name, self.digest, self.is_reward, self._scores = name, name, is_reward, scores

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        if problem.gold is not None:
            raise AssertionError("a verifier was shown the gold answer")
        found = next((score for text, score in self._scores.items() if text in episode.model_text), None)
        return Verdict(found, "said", self.name, is_reward=self.is_reward)


def found(replies: Sequence[str], verifiers: Sequence[object], *, problems: int = 6, gold: str | None = "26", n: int = 4) -> Calibration:
    engine = ScriptedEngine(list(replies), in_order=True)
    work = calibrate("mine", [problem(i, gold) for i in range(problems)], Rollout(engine), verifiers, n=n)  # type: ignore[arg-type]
    return asyncio.run(work)


@pytest.mark.parametrize(
    ("text", "stop", "source"),
    [
        (SLIP, StopReason.FINISHED, "arithmetic"),
        (PLAN, StopReason.FINISHED, "plan"),
        ("16+3=18\n18*2=35\n#### 35", StopReason.FINISHED, "plan"),
        (OPEN, StopReason.FINISHED, "format"),
        (RIGHT, StopReason.MAX_TOKENS, "format"),
    ],
)
def test_the_source_of_an_error(text: str, stop: StopReason, source: str) -> None:
    assert source_of(problem(0), episode(text, stop)) == source


def test_a_wrong_word_is_a_fact() -> None:
    asked = Problem("f", "What is the capital of Peru?", "Lima")
    assert source_of(asked, episode("The answer is Quito.")) == "fact"


def test_repair_carries_a_right_value_on() -> None:
    assert repair(SLIP) == (RIGHT, 2)
    assert repair(RIGHT) == (RIGHT, 0)
    assert repair(PLAN) == (PLAN, 0)
    assert repair("12 + 12 = 25 apples. Half of 25 is 12. The answer is 25.")[0].startswith("12 + 12 = 24 apples.")


def test_rates_bounds_and_gains_with_gold() -> None:
    calibration = found([RIGHT, SLIP, SLIP, PLAN], [ClaimsVerifier()])
    assert calibration.stands_on == "gold" and calibration.problems == 6
    assert calibration.accuracy.value == 0.25 and calibration.accuracy.low < 0.25 < calibration.accuracy.high
    assert calibration.majority.value == 0.0 and calibration.oracle.value == 1.0
    assert {name: share.value for name, share in calibration.errors.items()} == pytest.approx({"arithmetic": 2 / 3, "plan": 1 / 3, "format": 0, "fact": 0})
    assert calibration.gains["choice"].value == 1.0 and calibration.gains["calculator"].value == pytest.approx(0.5)
    (claims,) = calibration.filters
    assert claims.quality.q.value == 1.0 and claims.quality.p.value == pytest.approx(2 / 3)
    assert claims.quality.p.low < 2 / 3 < claims.quality.p.high and claims.quality.p.count == 18
    assert claims.keep and claims.benefit is not None and claims.benefit.low > 0 and not calibration.switch_off
    assert any("few" in note for note in calibration.notes)


def test_a_filter_that_hurts_is_switched_off_and_one_that_does_nothing_stays() -> None:
    harmful, idle = Says("harmful", {RIGHT: 0.0}), Says("idle", {})
    calibration = found([RIGHT, RIGHT, RIGHT, SLIP], [harmful, idle])
    assert calibration.switch_off == ("harmful",)
    first, second = calibration.filters
    assert first.benefit is not None and first.benefit.high < 0 and "hurts" in first.reason and first.quality.q.value == 0.0
    assert second.keep and second.quality.decided.value == 0.0


def test_a_reward_is_told_by_its_area_and_weighs_votes() -> None:
    good = Says("good", {RIGHT: 0.9, SLIP: 0.2, PLAN: 0.1}, is_reward=True)
    bad = Says("bad", {RIGHT: 0.1, SLIP: 0.8, PLAN: 0.9}, is_reward=True)
    calibration = found([RIGHT, SLIP, SLIP, RIGHT], [good, bad])
    one, two = calibration.filters
    assert one.is_reward and one.quality.auc == 1.0 and one.keep
    assert two.quality.auc == 0.0 and not two.keep


def test_without_gold_agreement_stands_in_and_nothing_is_said_of_errors() -> None:
    calibration = found([RIGHT, RIGHT, RIGHT, SLIP], [ClaimsVerifier(), Says("odd", {RIGHT: 0.0, SLIP: 1.0})], gold=None)
    assert calibration.stands_on == "agreement" and not calibration.errors and not calibration.gains
    assert calibration.accuracy.value == 0.75
    assert calibration.switch_off == ("odd",) and "agreement, not truth" in calibration.filters[0].reason
    assert any("No gold answers" in note for note in calibration.notes)
    with pytest.raises(UsageError, match="no problem has samples"):
        found([RIGHT, SLIP, PLAN, OPEN], [], gold=None)


def test_a_verifier_that_cannot_be_run_decides_nothing() -> None:
    class Broken(Says):
        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            raise VerifierFault("gone")

    assert found([RIGHT], [Broken("broken", {})]).filters[0].quality.decided.value == 0.0


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(UsageError, match="no problems"):
        found([RIGHT], [], problems=0)
    with pytest.raises(UsageError, match="agreement"):
        found([RIGHT], [], n=1)


def test_samples_that_are_stored_are_not_drawn_again(tmp_path: Path) -> None:
    engine = ScriptedEngine([RIGHT, SLIP])

    def once() -> Calibration:
        with RunStore(tmp_path) as store:
            return asyncio.run(calibrate("mine", [problem(i) for i in range(3)], Rollout(engine), [ClaimsVerifier()], n=3, store=store))

    first, drawn = once(), engine.samples
    assert once() == first and engine.samples == drawn == 9


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    calibration = found([RIGHT, RIGHT, RIGHT, SLIP], [Says("harmful", {RIGHT: 0.0}), ClaimsVerifier()])
    save(calibration, tmp_path / "calibration.json")
    assert switched_off(tmp_path / "calibration.json") == {"harmful"}
    assert json.loads((tmp_path / "calibration.json").read_text())["filters"][1]["quality"]["verifier"] == "claims"
    assert "harmful" in calibration.table() and "Switched off." in calibration.table()
    (tmp_path / "other.json").write_text("{}")
    for path in (tmp_path / "other.json", tmp_path / "missing.json"):
        with pytest.raises(UsageError, match="no calibration"):
            switched_off(path)


def test_the_area_under_the_curve() -> None:
    assert area([0.9, 0.8], [0.1, 0.2]) == 1.0
    assert area([0.5], [0.5]) == 0.5
    assert area([0.9, 0.3], [0.5, 0.1]) == 0.75
    assert area([], [0.1]) is None
    measured = quality("v", [(Verdict(0.0, ""), False), (Verdict(None, ""), False), (Verdict(1.0, ""), True), (Verdict(0.0, ""), True)])
    assert measured.p.value == 0.5 and measured.q.value == 0.5 and measured.decided.value == 0.75
