"""Adaptive's thresholds, fixed on samples: the cheapest setting that is safely no worse, and nothing where none is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import Cost, Episode, Problem, Provenance, Span, StopReason
from toolwright.errors import UsageError
from toolwright.evaluation import Fitted, evaluate, fit_adaptive
from toolwright.evaluation._cells import SamplePool
from toolwright.evaluation._thresholds import SETTLED, VERIFIED, _Replay, fitted
from toolwright.rollouts import Rollout
from toolwright.scaling import adaptive, as_candidate, clustered
from toolwright.tasks import Task


def pool(name: str, answers: Sequence[str]) -> SamplePool:
    problem = Problem(name, "How much?", "18")
    candidates = [
        as_candidate(problem, Episode(name, i, (Span(Provenance.MODEL, f"{i}.\nThe answer is {a}."),), StopReason.FINISHED, i, cost=Cost(0, 5, 0, 0.0)))
        for i, a in enumerate(answers)
    ]
    return SamplePool(problem, clustered(problem, candidates))


def drawn(shares: Sequence[float], problems: int, samples: int, seed: int) -> list[SamplePool]:
    generator = random.Random(seed)
    return [pool(f"p{i}", generator.choices(["18", "17", "19"], shares, k=samples)) for i in range(problems)]


def fit(pools: Sequence[SamplePool], margin: float = 0.02) -> Fitted:
    return fitted(pools, margin=margin, start=adaptive, settled=SETTLED, verified=VERIFIED, seed=0)


def test_clear_votes_need_few_samples() -> None:
    found = fit(drawn([0.9, 0.05, 0.05], 30, 24, 0))
    assert found.chosen is not None and found.chosen.tokens < 0.25 and found.chosen.low > -0.02
    assert found.strategy.settled == found.chosen.settled
    assert found.chosen.tokens == min(s.tokens for s in found.settings if s.safe)
    assert (found.problems, found.samples) == (30, 24)


def test_higher_thresholds_cost_more_and_lose_less() -> None:
    found = fit(drawn([0.45, 0.4, 0.15], 25, 24, 1), margin=0.2)
    plain = [s for s in found.settings if s.verified_settled > 1]
    assert [s.settled for s in plain] == sorted(SETTLED)
    assert [s.tokens for s in plain] == sorted(s.tokens for s in plain)
    assert plain[-1].difference >= plain[0].difference


def test_where_nothing_is_safe_nothing_is_saved() -> None:
    found = fit(drawn([0.4, 0.35, 0.25], 15, 12, 2), margin=0.0)
    assert found.chosen is None or found.chosen.low > 0.0
    if found.chosen is None:
        assert found.strategy.settled == 1.0 and found.strategy.verified_settled == 2.0


def test_it_fits_what_evaluate_then_measures() -> None:
    problems = tuple(Problem(f"p{i}", f"What is 3 times {i}?", str(3 * i)) for i in range(20, 32))

    def engine() -> ScriptedEngine:
        return ScriptedEngine(lambda prompt, seed: f"The answer is {3 * int(prompt.messages[-1].content.split()[-1].rstrip('?')) + (seed % 5 == 0)}.")

    task = Task("threes", problems, "generated")
    found = asyncio.run(fit_adaptive(task, Rollout(engine()), samples=16, margin=0.3))
    report = asyncio.run(evaluate(task, Rollout(engine()), [], ["majority", found.strategy], [16]))
    assert found.chosen is not None
    adaptive_row, whole = report.row("adaptive", 16), report.row("majority", 16)
    assert adaptive_row.cost["model_tokens"] < whole.cost["model_tokens"]


def test_a_replay_chooses_as_the_strategy_does() -> None:
    for pool_ in drawn([0.5, 0.3, 0.2], 6, 20, 3):
        replay = _Replay(pool_, pool_.candidates, adaptive)
        for strategy in (adaptive, replace(adaptive, settled=0.7), replace(adaptive, settled=1.0, verified_settled=2.0)):
            mine, theirs = replay.choice(strategy, stops=True), strategy.choose(pool_.problem, pool_.candidates, keep_tried=False)
            assert (mine.answer, mine.cost) == (theirs.answer, theirs.cost)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="first batch has 4"):
        fit(drawn([1.0, 0.0, 0.0], 3, 4, 0))
