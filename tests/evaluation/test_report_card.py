"""The report card: baselines, exact expectations, filters and scores against gold, the page, and strategies that need a model."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import Cost, Episode, Problem, Prompt, Provenance, RunStore, Span, StopReason, ToolResult, Verdict, derive_seed
from toolwright.errors import UsageError
from toolwright.evaluation import Report, evaluate, evaluate_pool, html_page
from toolwright.evaluation._cards import auc, calibration, filter_cards, score_cards
from toolwright.evaluation._cells import SamplePool, cell_of, random_cell
from toolwright.evaluation._tabulate import tabulate
from toolwright.rollouts import Rollout
from toolwright.scaling import as_candidate, best_of_n, clustered, majority, t1, t1_argmax, weighted, with_verdicts
from toolwright.tasks import Task, load_pool
from toolwright.verifiers import ClaimsVerifier


def pool_of(
    answers: Sequence[str | None], rewards: Sequence[float | None] = (), refuted: Sequence[int] = (), faults: Sequence[int] = (), name: str = "p"
) -> SamplePool:
    """A problem whose right answer is 18, with made-up samples."""
    problem = Problem(name, "How much?", "18")
    candidates, verdicts = [], []
    for i, answer in enumerate(answers):
        text = f"Sample {i}, I do not know." if answer is None else f"Sample {i}.\nThe answer is {answer}."
        stop = StopReason.FAULT if i in faults else StopReason.FINISHED
        episode = Episode(name, i, (Span(Provenance.MODEL, text),), stop, i, cost=Cost(10, 5 + i, 0, 0.5), fault="lost" if i in faults else None)
        found = [Verdict(0.0 if i in refuted else 1.0, "said so", "check", cost=Cost(0, 3, 1, 0.0))]
        if rewards:
            found.append(Verdict(rewards[i], "so it seems", "rm", is_reward=True, cost=Cost(0, 100, 0, 0.0)))
        candidates.append(with_verdicts(as_candidate(problem, episode), found) if i not in faults else as_candidate(problem, episode))
        verdicts.append(found if i not in faults else [])
    return SamplePool(problem, clustered(problem, candidates), None, verdicts)


def report_on(pools: Sequence[SamplePool], strategies: Sequence[Any], ns: Sequence[int], **options: Any) -> Report:
    report = Report("made up", "none", len(pools[0].candidates), len(pools), 0, (), parameters=options.pop("parameters", None))
    return asyncio.run(tabulate(report, pools, strategies, ns, **({"subsets": 20} | options)))


@pytest.mark.parametrize("strategy", [best_of_n, t1_argmax], ids=lambda s: s.name)
def test_the_exact_expectation_is_the_mean_over_all_subsets(strategy: Any) -> None:
    generator = random.Random(3)
    answers = [generator.choice(["18", "17", "19", None]) for _ in range(12)]
    pool = pool_of(answers, [generator.random() for _ in answers], refuted=[1, 4, 5, 6, 9], faults=[2])
    for n in (2, 5, 9):
        exact = asyncio.run(cell_of(pool, strategy, n, 0, 20))
        every = asyncio.run(cell_of(pool, replace(strategy, ranks=None), n, 0, 10_000))
        assert every.draws == len(list(itertools.combinations(range(12), n))) and exact.draws == pytest.approx(1.0)
        for name in ("right", "wrong", "unusable", "fallbacks"):
            assert getattr(exact, name) == pytest.approx(getattr(every, name) / every.draws), name
        for name in ("prompt_tokens", "tool_calls", "wall_s"):
            assert exact.cost[name] == pytest.approx(every.cost[name] / every.draws), name


def test_equal_texts_are_paid_for_once_in_expectation_too() -> None:
    pool = pool_of(["18", "17", "18", "19", "18", "17"] * 2, [0.5] * 12)
    twin = replace(pool.candidates[0], episode=replace(pool.candidates[0].episode, index=1), cluster=pool.candidates[1].cluster)
    pool.candidates[1] = replace(twin, answer="18")
    for n in (3, 7):
        exact = asyncio.run(cell_of(pool, best_of_n, n, 0, 20))
        every = asyncio.run(cell_of(pool, replace(best_of_n, ranks=None), n, 0, 10_000))
        assert exact.cost["model_tokens"] == pytest.approx(every.cost["model_tokens"] / every.draws)
        assert exact.value == pytest.approx(every.value)


def test_where_ranks_depend_on_the_others_subsets_are_drawn() -> None:
    pool = pool_of(["18", "17"] * 6, [None, *[0.5] * 11])
    assert asyncio.run(cell_of(pool, best_of_n, 6, 0, 20)).draws == 20


def test_random_is_the_mean_of_the_grades() -> None:
    cell = random_cell(pool_of(["18", "17", None, "18", "18"], faults=[4]))
    assert cell.value == pytest.approx(2 / 4) and cell.unusable == 1


def test_baselines_stand_beside_whatever_was_asked_for() -> None:
    pools = [pool_of(["18", "17", "17", "18"], refuted=[1], name="a"), pool_of(["17", "17", "18", "17"], name="b")]
    report = report_on(pools, [t1], [1, 4])
    assert {(row.strategy, row.n) for row in report.baselines} == {("random", 1), ("majority", 1), ("majority", 4)}
    assert report.row("random", 1).accuracy == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert report.row("majority", 4).accuracy == pytest.approx(0.5)
    assert report.row("t1", 4).gap == pytest.approx(1.0 - 0.5)
    assert report.row("t1", 1).gap == pytest.approx(0.0)
    compared = {(d.a, d.b) for d in report.differences if d.a_n == 4 and d.b_n in (1, 4)}
    assert ("t1", "random") in compared and (("majority", "t1") in compared or ("t1", "majority") in compared)
    assert ("majority", "random") not in compared, "baselines are not compared among themselves"
    assert report_on(pools, [majority], [4], baselines=False).baselines == ()


def test_bands_and_flops() -> None:
    pools = [pool_of(["18", "17", "17", "18"], name=str(i)) for i in range(5)] + [pool_of(["17"] * 4, name="w")]
    row = report_on(pools, [majority], [2], parameters=1_000_000).row("majority", 2)
    assert row.band_low is not None and row.band_high is not None and row.accuracy is not None
    assert row.low <= row.band_low <= row.accuracy <= row.band_high <= row.high
    assert row.flops == pytest.approx(2e6 * (row.cost["prompt_tokens"] + row.cost["model_tokens"]))
    assert report_on(pools, [majority], [2]).row("majority", 2).flops is None


def test_the_filters_card_counts_what_was_lost() -> None:
    pools = [
        pool_of(["18", "17", "17"], refuted=[0, 1], name="only right one lost"),
        pool_of(["18", "18", "17"], refuted=[0], name="one of two lost"),
        pool_of(["17", "17", None], refuted=[2], name="never right"),
    ]
    timed_out = replace(pools[1].verdicts[1][0], score=None, evidence=(ToolResult("", ok=False, outcome="timeout_cpu"),))
    pools[1].verdicts[1][0] = timed_out
    pools[1].candidates[1] = replace(pools[1].candidates[1], verdict=timed_out)
    (card,) = filter_cards(pools)
    assert (card.problems_with_right, card.problems_lost) == (2, 1)
    assert (card.problems_with_one_right, card.only_right_lost) == (1, 1)
    assert (card.refuted_right, card.refuted_wrong, card.passed_right, card.undecided_right, card.passed_wrong) == (2, 2, 0, 1, 4)
    assert card.precision == pytest.approx(2 / 4) and card.kept_precision == pytest.approx(1 / 5) and card.kept_recall == pytest.approx(1 / 3)
    assert card.abstained == pytest.approx(1 / 9) and card.timed_out_share == pytest.approx(1 / 9)


def test_auc_and_calibration_by_hand() -> None:
    assert auc([0.9, 0.4], [0.4, 0.1]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert auc([0.3] * 3, [0.3] * 2) == 0.5 and auc([], [0.1]) is None
    right, wrong = [random.Random(1).random() for _ in range(40)], [random.Random(2).random() for _ in range(30)]
    assert auc(right, wrong) == pytest.approx(sum((r > w) + 0.5 * (r == w) for r in right for w in wrong) / 1200)
    bins, error = calibration([(0.05, False), (0.05, True), (0.95, True), (1.0, True)], bins=10)
    assert [(b.samples, b.right) for b in bins] == [(2, 0.5), (2, 1.0)]
    assert error == pytest.approx((2 * abs(0.05 - 0.5) + 2 * abs(0.975 - 1)) / 4)


def test_the_score_card_tells_what_the_filters_add_at_the_threshold() -> None:
    pools = [
        pool_of(["18", "17", "17", "18"], [0.9, 0.8, 0.2, 0.3], refuted=[1]),
        pool_of(["17", "18", "17", None], [0.7, 0.6, 0.1, 0.1], refuted=[1], name="q"),
    ]
    card = next(c for c in score_cards(pools) if c.score == "rm")
    assert (card.liked_right, card.liked_wrong, card.disliked_right, card.disliked_wrong) == (2, 2, 1, 3)
    assert (card.liked_refuted_right, card.liked_refuted_wrong) == (1, 1)
    assert card.precision == pytest.approx(2 / 4) and card.filtered_precision == pytest.approx(1 / 2) and card.filtered_recall == pytest.approx(1 / 3)
    assert card.auc_within == pytest.approx(((1 + 1 + 0 + 1) / 4 + (0 + 1 + 1) / 3) / 2)
    votes = next(c for c in score_cards(pools) if c.score == "vote share")
    assert votes.right + votes.wrong == 8


def engine(first: Mapping[str, str]) -> ScriptedEngine:
    """Answers wrongly until it is told the right product, greedily or not."""

    def reply(prompt: Prompt, seed: int) -> str:
        last = prompt.messages[-1].content
        asked = next(m.content for m in prompt.messages if "times" in m.content)
        factor = int(re.findall(r"(\d+) times", asked)[0])
        good = str(3 * factor) in last
        return f"3 * {factor} = {3 * factor + (0 if good or seed % 4 == 0 else 2)}.\nThe answer is {3 * factor + (0 if good or seed % 4 == 0 else 2)}."

    return ScriptedEngine(reply)


TASK = Task("times", tuple(Problem(f"t{i}", f"What is 3 boxes of {i} times one pen?", str(3 * i)) for i in range(11, 17)), "generated")


def test_strategies_that_need_a_model_run_from_the_same_store(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        first = engine({})
        report = asyncio.run(evaluate(TASK, Rollout(first), [ClaimsVerifier()], ["revise", "t1"], [1, 4], store=store))
        assert report.row("revise", 4).accuracy == 1.0
        assert report.row("revise", 1).accuracy == pytest.approx(report.row("majority", 4).accuracy, abs=1.0)
        assert {row.strategy for row in report.baselines} == {"greedy", "random", "majority"}
        again = engine({})
        second = asyncio.run(evaluate(TASK, Rollout(again), [ClaimsVerifier()], ["revise", "t1"], [1, 4], store=store))
    assert again.samples == 0
    assert [r.accuracy for r in second.results] == [r.accuracy for r in report.results]


def test_the_page_holds_everything_and_nothing_unescaped() -> None:
    pools = [pool_of(["18", "17", "17", "18"], [0.9, 0.8, 0.2, 0.3], refuted=[1], name=str(i)) for i in range(4)]
    report = report_on(pools, [t1, weighted], [1, 2, 4], parameters=10**6)
    report = replace(report, task="<script>alert(1)</script>", model="a & b")
    text = report.html()
    assert text == html_page([report])
    assert "<script" not in text and "&lt;script&gt;" in text and "a &amp; b" in text
    assert "http" not in text, "it must not need the network"
    for wanted in ("% right", "pass@n", "random", "weighted", "FLOPs per problem", "Filter: check", "Reliability", "vote share", "to oracle"):
        assert wanted in text, wanted
    from html.parser import HTMLParser

    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.stack: list[str] = []

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag != "meta":
                self.stack.append(tag)

        def handle_startendtag(self, tag: str, attrs: Any) -> None:
            return None

        def handle_endtag(self, tag: str) -> None:
            assert self.stack.pop() == tag

    parser = Balance()
    parser.feed(text)
    assert parser.stack == []
    assert text.count("<svg") == 4 + 2  # samples, tokens, FLOPs, seconds; two scores with reliability
    numbers = [float(x) for points in re.findall(r'points="([^"]+)"', text) for pair in points.split() for x in pair.split(",")]
    assert numbers and all(0 <= x <= 460 for x in numbers)


def test_the_json_form_has_the_cards() -> None:
    data = json.loads(json.dumps(report_on([pool_of(["18", "17"], [0.9, 0.1], refuted=[1])], [t1], [1, 2]).to_json()))
    assert data["filters"][0]["kept_precision"] == 1.0
    assert data["scores"][0]["score"] == "rm" and data["scores"][0]["auc"] == 1.0 and data["scores"][0]["bins"][0]["samples"] == 1
    assert data["baselines"][0]["strategy"] == "random"


def test_pools_with_recorded_rewards(tmp_path: Path) -> None:
    rows = [
        {"problem_id": "p", "problem": "How much?", "gold": "18", "model": "m", "sample_index": i, "text": f"{i}\nThe answer is {answer}."}
        for i, answer in enumerate(["17", "17", "18"])
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = load_pool(path)
    rewards = {("p", 0): 0.1, ("p", 1): 0.2, ("p", 2): 0.9}
    report = asyncio.run(evaluate_pool(pool, [], ["best_of_n", "weighted", "adaptive"], [3], rewards=rewards))
    assert [report.row(name, 3).accuracy for name in ("best_of_n", "weighted", "adaptive", "majority")] == [1.0, 1.0, 1.0, 0.0]
    with pytest.raises(UsageError, match="rewards go from 0 to 1"):
        asyncio.run(evaluate_pool(pool, [], ["best_of_n"], [3], rewards={("p", 0): -2.0}))
    with pytest.raises(UsageError, match="revise needs a model"):
        asyncio.run(evaluate_pool(pool, [], ["revise"], [3]))


def test_seeds_of_the_made_up_engine_differ() -> None:
    """The test bed itself: some first tries are right and some wrong, or the comparisons above would say nothing."""
    seeds = [derive_seed(derive_seed(0, p.id, i), 0) for p in TASK.problems for i in range(4)]
    replies = asyncio.run(evaluate(TASK, Rollout(engine({})), [], ["majority"], [1], baselines=False))
    assert len(set(seeds)) == len(seeds) and 0 <= (replies.row("majority", 1).accuracy or 0) < 1
