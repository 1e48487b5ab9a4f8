"""When adaptive stops, what it pays for, and the posteriors it stops by."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from toolwright.episodes import Budget, Choice, Cost, Episode, Problem, Provenance, Span, StopReason, Verdict, Verifier
from toolwright.errors import UsageError
from toolwright.scaling import Adaptive, Candidate, RecordedVerifier, adaptive, adaptive_beta, as_candidate, clustered, recorded_attempt, with_verdicts
from toolwright.scaling._posterior import beats_second, beta_cdf, leads, stays

PROBLEM = Problem("p", "How much?", "18")


def sample(index: int, answer: str | None) -> Episode:
    text = "I do not know." if answer is None else f"Sample {index}.\nThe answer is {answer}."
    return Episode("p", index, (Span(Provenance.MODEL, text),), StopReason.FINISHED, index, cost=Cost(10, 5, 0, 0.0))


def candidates(answers: Sequence[str | None], scores: dict[int, float] | None = None) -> list[Candidate]:
    found = [as_candidate(PROBLEM, sample(i, answer)) for i, answer in enumerate(answers)]
    if scores is not None:
        found = [with_verdicts(c, [Verdict(scores.get(i), "said so", "check")]) for i, c in enumerate(found)]
    return clustered(PROBLEM, found)


def run(answers: Sequence[str | None], verifiers: Sequence[Verifier] = (), strategy: Adaptive = adaptive, **budget: int) -> Choice:
    episodes = [sample(i, answer) for i, answer in enumerate(answers)]
    return asyncio.run(strategy(PROBLEM, recorded_attempt(episodes), verifiers, Budget(**({"samples": len(answers)} | budget))))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (4, 0), (3, 1), (10, 5), (40, 20), (63, 1), (1, 63)])
def test_the_beta_posterior_is_a_sum_of_coin_tosses(first: int, second: int) -> None:
    """With a flat prior, P(more probable than the runner-up) is P(at most `first` heads in first + second + 1 tosses)."""
    tosses = first + second + 1
    exact = sum(math.comb(tosses, heads) for heads in range(first + 1)) / 2**tosses
    assert beats_second([first, second]) == pytest.approx(exact, abs=1e-12)


def test_the_incomplete_beta_function() -> None:
    assert beta_cdf(0.3, 1, 1) == pytest.approx(0.3)
    assert beta_cdf(0.25, 0.5, 0.5) == pytest.approx(2 / math.pi * math.asin(0.5))
    assert beta_cdf(0.2, 2.5, 4.0) == pytest.approx(1 - beta_cdf(0.8, 4.0, 2.5))
    assert (beta_cdf(0, 2, 3), beta_cdf(1, 2, 3)) == (0.0, 1.0)


def test_a_lead_that_cannot_be_caught_up_is_certain() -> None:
    assert stays([40, 10], silent=0, left=14) == 1.0
    assert stays([5, 5], silent=0, left=0) == 1.0
    assert stays([5, 5], silent=0, left=40) < 0.8


def test_posteriors_grow_with_the_lead() -> None:
    for chance in (lambda v: stays(v, silent=0, left=40), leads, beats_second):
        values = [chance([lead, 4]) for lead in (5, 7, 10, 16)]
        assert values == sorted(values) and values[0] < 0.8 and values[-1] > 0.9


def test_the_prediction_is_calibrated() -> None:
    """Where the shares of answers come from the prior itself, `stays` says 80 % as often as it is right in 80 %."""
    generator = random.Random(1)
    told, right = [], []
    for _ in range(1500):
        weights = [generator.gammavariate(1, 1) for _ in range(3)]
        draws = generator.choices(range(3), weights, k=32)
        early = [draws[:8].count(k) for k in range(3)]
        leader = early.index(max(early))
        final = [draws.count(k) for k in range(3)]
        told.append(stays([early[leader], *(v for k, v in enumerate(early) if k != leader and v)], silent=0, left=24))
        right.append(final[leader] >= max(final))
    assert sum(told) / len(told) == pytest.approx(sum(right) / len(right), abs=0.06)


def test_it_stops_when_the_answer_is_settled_and_pays_for_the_batch() -> None:
    choice = run(["18"] * 64)
    assert choice.answer == "18" and "4 of 64" in (choice.note or "")
    assert choice.fallback == "No verifier was given, so adaptive chose without one."
    assert len(choice.tried) <= 8 and choice.cost.model_tokens <= 8 * 5
    offline = adaptive.choose(PROBLEM, candidates(["18"] * 64))
    assert offline.answer == "18" and offline.cost.model_tokens == 4 * 5 and offline.note == choice.note


def test_it_goes_on_while_the_answer_is_open_and_ends_with_the_budget() -> None:
    answers = ["17", "18"] * 16
    choice = adaptive.choose(PROBLEM, candidates(answers))
    assert len(choice.tried) == 32 and choice.cost.model_tokens == 32 * 5
    assert "31 of 32" in (choice.note or "")  # 16 against 15, and one is left
    settled_late = adaptive.choose(PROBLEM, candidates(["17", "18", "18", "17"] + ["18"] * 28))
    assert settled_late.answer == "18" and 8 <= settled_late.cost.model_tokens / 5 <= 16


def test_what_was_begun_but_not_needed_has_no_say() -> None:
    choice = adaptive.choose(PROBLEM, candidates(["18"] * 5 + ["17"] * 59))
    assert choice.answer == "18"
    five = replace(adaptive, first=2, growth=4.0, settled=0.9)
    late = five.choose(PROBLEM, candidates(["18"] * 3 + ["17"] * 61))
    assert late.note and "3 of 64" in late.note
    assert len(late.tried) == 8 and [t.reward for t in late.tried[3:]] == [0.0] * 5
    assert late.cost.model_tokens == 8 * 5


def test_confirmation_settles_sooner() -> None:
    answers = ["18", "17", "18", "18"] + ["18", "17"] * 30
    open_ = adaptive.choose(PROBLEM, candidates(answers))
    confirmed = adaptive.choose(PROBLEM, candidates(answers, {0: 1.0, 2: 1.0}))
    refuted = adaptive.choose(PROBLEM, candidates(["18", "17", "18", "18"] + ["18", "17"] * 30, {1: 0.0, 5: 0.0, 7: 0.0}))
    assert confirmed.cost.model_tokens < open_.cost.model_tokens
    assert "confirmed" in (confirmed.note or "")
    assert refuted.cost.model_tokens < open_.cost.model_tokens and refuted.answer == "18"
    never = replace(adaptive, verified_settled=2.0).choose(PROBLEM, candidates(answers, {0: 1.0, 2: 1.0}))
    assert never.cost.model_tokens == open_.cost.model_tokens


def test_the_beta_stop_asks_nobody() -> None:
    asked: list[int] = []

    class Asked(RecordedVerifier):
        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            asked.append(episode.index)
            return Verdict(0.0, "no", "check")

    choice = run(["18"] * 16, [Asked("check", {})], adaptive_beta)
    assert choice.answer == "18" and asked == [] and "4 of 16" in (choice.note or "")


def test_the_same_place_whoever_is_quickest() -> None:
    """Samples that come in another order are decided on in the order of their indices."""
    answers = ["17", "18", "18", "18", "18", "18", "18", "18"] + ["18"] * 8
    fixed = recorded_attempt([sample(i, answer) for i, answer in enumerate(answers)])

    def once(delays: Sequence[float]) -> Choice:
        async def attempt(index: int) -> Episode:
            await asyncio.sleep(delays[index])
            return await fixed(index)

        return asyncio.run(adaptive(PROBLEM, attempt, (), Budget(samples=16)))

    forward, backward = once([0.002 * i for i in range(16)]), once([0.002 * (16 - i) for i in range(16)])
    assert forward.note == backward.note and forward.answer == backward.answer


def test_the_rest_is_cancelled() -> None:
    cancelled: list[int] = []

    async def attempt(index: int) -> Episode:
        if index >= 6:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(index)
                raise
        return sample(index, "17" if index == 0 else "18")

    strategy = replace(adaptive, settled=0.93)
    choice = asyncio.run(strategy(PROBLEM, attempt, (), Budget(samples=16)))
    assert choice.answer == "18" and choice.note
    assert cancelled == [6, 7]


def test_budgets_hold() -> None:
    choice = run(["17", "18"] * 32, tokens=20)
    assert "20 tokens" in (choice.fallback or "") and len(choice.tried) <= 8

    async def slow(index: int) -> Episode:
        await asyncio.sleep(0.0 if index < 4 else 60)
        return sample(index, "17" if index % 2 else "18")

    choice = asyncio.run(adaptive(PROBLEM, slow, (), Budget(samples=64, seconds=0.2)))
    assert "0.2 seconds" in (choice.fallback or "") and len(choice.tried) == 4


def test_all_refuted_is_told() -> None:
    verifier = RecordedVerifier("check", {("p", i): Verdict(0.0, "no", "check") for i in range(8)})
    choice = run(["18"] * 8, [verifier])
    assert choice.answer == "18" and "All 8" in (choice.fallback or "")


def test_no_answers_and_impossible_settings() -> None:
    assert adaptive.choose(PROBLEM, candidates([None] * 8)).answer is None
    for wrong in ({"first": 0}, {"growth": 1.0}, {"settled": 1.5}, {"prior": 0.0}, {"verified_votes": 0}):
        with pytest.raises(UsageError):
            Adaptive(**wrong)  # type: ignore[arg-type]
