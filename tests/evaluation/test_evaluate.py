"""One sampling run, every strategy and n from it; what is counted, and what never counts as 0."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import (
    Attempt,
    Budget,
    Choice,
    Episode,
    Problem,
    Prompt,
    Provenance,
    RunStore,
    Span,
    StopReason,
    ToolResult,
    Tried,
    Verdict,
    Verifier,
    derive_seed,
)
from toolwright.errors import EngineFault, UsageError
from toolwright.evaluation import Progress, Report, estimate_s, evaluate, evaluate_pool
from toolwright.rollouts import Rollout
from toolwright.scaling import RecordedVerifier
from toolwright.tasks import Task, load_pool
from toolwright.verifiers import ClaimsVerifier

EASY = Problem("easy", "What is three times ten?", "30")
HARD = Problem("hard", "What is three times twelve?", "36")
TASK = Task("two", (EASY, HARD), "generated")
RIGHT = {"easy": "3 * 10 = 30.\nThe answer is 30.", "hard": "3 * 12 = 36.\nThe answer is 36."}
WRONG = "3 * 12 = 38.\nThe answer is 38."


def cycle(texts: list[str]) -> ScriptedEngine:
    return ScriptedEngine(texts, in_order=True)


def per_index(answers: dict[str, list[str]], run_seed: int = 0, **options: Any) -> ScriptedEngine:
    """An engine that gives sample i of a problem its i-th text."""
    questions = {p.question: p for p in TASK.problems}
    indices = {derive_seed(run_seed, p.id, i): (p.id, i) for p in TASK.problems for i in range(len(answers[p.id]))}

    def reply(prompt: Prompt, seed: int) -> str:
        problem = next(p for q, p in questions.items() if q in prompt.messages[-1].content)
        for sample_seed, (problem_id, index) in indices.items():
            if problem_id == problem.id and seed in _turn_seeds(sample_seed):
                return answers[problem_id][index]
        raise AssertionError("a seed of no sample")

    return ScriptedEngine(reply, **options)


def _turn_seeds(sample_seed: int) -> set[int]:
    """The seeds an engine may see for the first turn of a sample, however the rollout derives them."""
    return {derive_seed(seed, 0) for seed in (sample_seed, derive_seed(sample_seed, 0), derive_seed(sample_seed, "turn", 0))}


def report_of(engine: ScriptedEngine, **options: Any) -> Report:
    options = {"ns": (1, 2, 4), "strategies": ("majority", "t1"), "baselines": False} | options
    return asyncio.run(evaluate(options.pop("task", TASK), Rollout(engine), options.pop("verifiers", [ClaimsVerifier()]), **options))


@pytest.fixture
def mixed() -> Report:
    answers = {"easy": [RIGHT["easy"]] * 4, "hard": [WRONG, WRONG, RIGHT["hard"], "I do not know."]}
    return report_of(per_index(answers), subsets=100)


def test_every_strategy_and_n_has_a_row(mixed: Report) -> None:
    assert [(r.strategy, r.n) for r in mixed.results] == [(s, n) for s in ("majority", "t1") for n in (1, 2, 4)]
    for row in mixed.results:
        assert row.low <= (row.accuracy or 0) <= row.high
        assert row.problems == 2


def test_the_values_are_those_of_counting_by_hand(mixed: Report) -> None:
    # n = 4, hard: 38 has two votes of three; t1 refutes both, so 36 is left.
    assert mixed.row("majority", 4).accuracy == pytest.approx(0.5)
    assert mixed.row("t1", 4).accuracy == pytest.approx(1.0)
    # n = 1, hard: one sample of four is right.
    assert mixed.row("majority", 1).accuracy == pytest.approx((1 + 1 / 4) / 2)
    # n = 2, hard, in draw order: of 6 pairs, (right, none) wins, and ties go to the earlier one, which is wrong.
    assert mixed.row("majority", 2).accuracy == pytest.approx((1 + 1 / 6) / 2)
    assert mixed.row("t1", 2).accuracy == pytest.approx((1 + 3 / 6) / 2)


def test_the_oracle_is_pass_at_n(mixed: Report) -> None:
    assert [row.n for row in mixed.oracle] == [1, 2, 4]
    assert mixed.row("pass@n", 2).accuracy == pytest.approx((1 + 3 / 6) / 2)
    assert mixed.row("pass@n", 4).accuracy == 1.0


def test_the_filter_has_its_report_card(mixed: Report) -> None:
    (card,) = mixed.filters
    assert card.verifier == "claims"
    assert (card.refuted_wrong, card.refuted_right, card.passed_right, card.undecided_wrong) == (2, 0, 5, 1)
    assert (card.problems_with_right, card.problems_lost) == (2, 0)
    assert card.caught == pytest.approx(2 / 3) and card.false_refutation == 0.0 and card.precision == 1.0


def test_differences_are_paired(mixed: Report) -> None:
    (found,) = [d for d in mixed.differences if (d.a_n, d.b_n) == (4, 4)]
    assert {found.a, found.b} == {"t1", "majority"}
    assert abs(found.difference) == pytest.approx(0.5)
    assert found.problems == 2


def test_costs_are_means_per_problem(mixed: Report) -> None:
    one, four = mixed.row("majority", 1).cost, mixed.row("majority", 4).cost
    assert four["model_tokens"] == pytest.approx(4 * one["model_tokens"])
    assert four["prompt_tokens"] > 0


def test_the_json_form_has_what_it_promises(mixed: Report) -> None:
    data = json.loads(json.dumps(mixed.to_json()))
    row = data["results"][0]
    assert {"task", "strategy", "n", "accuracy", "low", "high", "problems", "cost"} <= set(row)
    assert set(row["cost"]) == {"prompt_tokens", "model_tokens", "tool_calls", "wall_s"}
    assert data["filters"][0]["caught"] == pytest.approx(2 / 3)
    assert "majority" in mixed.table() and "claims" in mixed.table()


def test_greedy_is_one_sample_at_temperature_0() -> None:
    engine = cycle([RIGHT["easy"]])
    report = report_of(engine, task=Task("one", (EASY,), "generated"), strategies=("greedy", "majority"), ns=(1, 3))
    assert sorted(r.params.temperature for r in engine.requests) == [0.0, 0.8, 0.8, 0.8]
    assert [(r.strategy, r.n) for r in report.results] == [("greedy", 1), ("majority", 1), ("majority", 3)]
    only = cycle([RIGHT["easy"]])
    report_of(only, task=Task("one", (EASY,), "generated"), strategies=("greedy",), ns=(8,))
    assert only.samples == 1


def test_an_answer_printed_by_a_tool_earns_nothing(tmp_path: Path) -> None:
    episode = Episode(
        "easy",
        0,
        (Span(Provenance.MODEL, "I asked a tool."), Span(Provenance.TOOL, "The answer is \\boxed{30}")),
        StopReason.FINISHED,
        0,
        tool_results=(ToolResult("30"),),
    )

    class Canned(Rollout):
        async def attempt(self, problem: Problem, index: int, **_: Any) -> Episode:
            return episode

    task = Task("one", (EASY,), "generated")
    report = asyncio.run(evaluate(task, Canned(cycle([""])), [], ["majority"], [1]))
    assert report.row("majority", 1).accuracy == 0.0


def test_faults_are_counted_and_never_scored() -> None:
    texts = {"easy": [RIGHT["easy"]] * 4, "hard": [RIGHT["hard"]] * 4}
    report = report_of(per_index(texts, faults=Faults(fails_every=2)), in_flight=1)
    assert report.faults == 4
    assert report.row("majority", 4).accuracy == 1.0
    assert report.row("majority", 1).accuracy == 1.0
    assert report.row("majority", 1).unusable == pytest.approx(1.0)  # half the single samples of two problems
    assert sum(report.fault_reasons.values()) == 4
    assert report.row("pass@n", 4).accuracy == 1.0


def test_a_lost_engine_ends_the_run_soon_and_keeps_what_was_drawn(tmp_path: Path) -> None:
    problems = tuple(Problem(f"p{i}", f"What is {i} + {i}?", str(2 * i)) for i in range(50))
    task = Task("many", problems, "generated")
    engine = ScriptedEngine(["The answer is 4."], faults=Faults(lost_after_calls=20))
    with RunStore(tmp_path) as store:
        with pytest.raises(EngineFault, match=r"in a row.*lost.*again"):
            report_of(engine, task=task, store=store, in_flight=4, give_up_after=8)
        assert engine.calls < 40
        assert len(list(store.episodes())) == 20
        again = ScriptedEngine(["The answer is 4."])
        report_of(again, task=task, store=store, in_flight=4)
        assert again.samples == 50 * 4 - 20


def test_undecided_grades_are_counted_and_never_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolwright.evaluation import _cells

    def unsure(answer: str, gold: str, *, choices: Any = ()) -> bool | None:
        return None if answer == "38" else answer == gold

    monkeypatch.setattr(_cells, "grade", unsure)
    answers = {"easy": [RIGHT["easy"]] * 4, "hard": [WRONG] * 4}
    report = report_of(per_index(answers), verifiers=[])
    row = report.row("majority", 4)
    assert (row.accuracy, row.problems, row.undecided) == (1.0, 1, 1.0)
    assert report.undecided_grades == 4
    assert "undecided" in report.table()


def test_no_answer_is_wrong_and_that_is_told() -> None:
    report = report_of(per_index({"easy": ["I do not know."] * 4, "hard": [RIGHT["hard"]] * 4}))
    assert report.row("majority", 4).accuracy == 0.5
    assert report.row("majority", 4).fallbacks == 0.5


def test_fallbacks_are_counted() -> None:
    report = report_of(per_index({"easy": [RIGHT["easy"]] * 4, "hard": [WRONG] * 4}))
    assert report.row("t1", 4).fallbacks == 0.5
    assert report.filters[0].problems_lost == 0


def test_subsets_are_the_same_in_every_run_and_for_every_strategy() -> None:
    answers = {"easy": [RIGHT["easy"], "The answer is 1.", "The answer is 2.", RIGHT["easy"]] * 4, "hard": [WRONG, RIGHT["hard"], WRONG, WRONG] * 4}
    reports = [report_of(per_index(answers), ns=(4, 16), subsets=5, verifiers=[]) for _ in range(2)]
    assert [r.accuracy for r in reports[0].results] == [r.accuracy for r in reports[1].results]
    equal = reports[0].row("majority", 4).accuracy
    assert reports[0].row("t1", 4).accuracy is not None and equal is not None


def test_progress_ends_at_the_total_and_estimates_what_is_left() -> None:
    seen: list[Progress] = []
    report_of(per_index({"easy": [RIGHT["easy"]] * 4, "hard": [RIGHT["hard"]] * 4}, faults=Faults(delay_s=0.02)), progress=seen.append, in_flight=2)
    assert (seen[-1].done, seen[-1].total, seen[-1].left_s) == (8, 8, 0.0)
    assert [p.done for p in seen] == list(range(1, 9))
    # Three are through in the time told, so five more take about as long: a busy machine makes both longer.
    assert seen[2].left_s is not None and 0 < seen[2].left_s < 5 * seen[2].elapsed_s


def test_the_estimate_is_sane_from_the_first_sample_on() -> None:
    assert estimate_s(left=100, drawn=0, elapsed_s=1.0, in_flight=8, latency_s=0.0) is None
    # 64 at once take 10 s each: the first one back does not mean that each of the others takes 10 s more.
    assert estimate_s(left=63, drawn=1, elapsed_s=10.0, in_flight=64, latency_s=10.0) == pytest.approx(63 * 10 / 64)
    assert estimate_s(left=50, drawn=100, elapsed_s=20.0, in_flight=8, latency_s=160.0) == pytest.approx(10.0)
    assert estimate_s(left=0, drawn=9, elapsed_s=1.0, in_flight=1, latency_s=1.0) == 0.0


def test_equal_texts_are_judged_once_and_stored_for_each(tmp_path: Path) -> None:
    class Counting(ClaimsVerifier):
        asked = 0

        async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
            self.asked += 1
            await asyncio.sleep(0.01)
            return await super().verify(problem, episode, seed=seed)

    answers = {"easy": [RIGHT["easy"]] * 4, "hard": [WRONG, WRONG, RIGHT["hard"], RIGHT["hard"]]}
    verifier = Counting()
    with RunStore(tmp_path) as store:
        report_of(per_index(answers), verifiers=[verifier], store=store)
        assert verifier.asked == 3
        assert len(list(store.verdicts())) == 8
        report_of(per_index(answers), verifiers=[verifier], store=store)
    assert verifier.asked == 3


@pytest.mark.parametrize(
    "options",
    [
        {"ns": ()},
        {"ns": (0,)},
        {"ns": (4, -1)},
        {"strategies": ()},
        {"strategies": ("best",)},
        {"strategies": ("t1", "t1")},
        {"in_flight": 0},
        {"task": Task("none", (), "file")},
        {"task": Task("same ids", (EASY, EASY), "file")},
        {"task": Task("no gold", (Problem("a", "b"),), "file")},
    ],
)
def test_bad_input_is_refused_before_anything_is_drawn(options: dict[str, Any]) -> None:
    engine = cycle([RIGHT["easy"]])
    with pytest.raises(UsageError):
        report_of(engine, **options)
    assert engine.calls == 0


def test_a_strategy_of_ones_own_is_replayed_over_the_samples() -> None:
    class FirstUnrefuted:
        name = "first_unrefuted"

        async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Any, budget: Budget, *, seed: int = 0) -> Choice:
            tried = []
            for index in range(budget.samples):
                episode = await attempt(index)
                verdict = await verifiers[0].verify(problem, episode, seed=seed)
                tried.append(Tried(episode, episode.model_text.split()[-1].rstrip("."), verdict, 1.0, 0))
                if not verdict.refuted:
                    break
            return Choice(problem.id, tried[-1].answer, tuple(tried), self.name)

    answers = {"easy": [RIGHT["easy"]] * 4, "hard": [WRONG, WRONG, RIGHT["hard"], WRONG]}
    report = report_of(per_index(answers), strategies=(FirstUnrefuted(),), ns=(1, 4))
    assert report.row("first_unrefuted", 4).accuracy == 1.0
    assert report.row("first_unrefuted", 1).accuracy == pytest.approx((1 + 1 / 4) / 2)


def pool_file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pool_rows(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "problem_id": problem.id,
            "problem": problem.question,
            "gold": problem.gold,
            "model": "m",
            "sample_index": i,
            "text": WRONG if i % 2 else RIGHT[problem.id],
        }
        for problem in TASK.problems
        for i in range(counts[problem.id])
    ]


def test_pools_are_evaluated_without_a_model(tmp_path: Path) -> None:
    pool = load_pool(pool_file(tmp_path, pool_rows({"easy": 4, "hard": 5})))
    report = asyncio.run(evaluate_pool(pool, [ClaimsVerifier()], ("majority", "t1")))
    assert sorted({row.n for row in report.results}) == [1, 2, 4]
    assert report.row("t1", 4).accuracy == 1.0
    assert report.filters[0].refuted_wrong == 4 and report.filters[0].refuted_right == 0


def test_pools_refuse_what_they_do_not_hold(tmp_path: Path) -> None:
    pool = load_pool(pool_file(tmp_path, pool_rows({"easy": 4, "hard": 2})))
    with pytest.raises(UsageError, match="n ≤ 2"):
        asyncio.run(evaluate_pool(pool, ns=[4]))
    with pytest.raises(UsageError, match="greedy"):
        asyncio.run(evaluate_pool(pool, [], ["greedy"]))


def test_recorded_answers_can_stand_in_for_those_in_the_text(tmp_path: Path) -> None:
    rows = [{**row, "text": "print(x)", "answer": "30" if row["problem_id"] == "easy" else "5"} for row in pool_rows({"easy": 2, "hard": 2})]
    pool = load_pool(pool_file(tmp_path, rows))
    assert asyncio.run(evaluate_pool(pool, [], ["majority"], recorded_answers=True)).row("majority", 2).accuracy == 0.5
    assert asyncio.run(evaluate_pool(pool, [], ["majority"])).row("majority", 2).accuracy == 0.0


def test_verifiers_may_be_recorded_too(tmp_path: Path) -> None:
    pool = load_pool(pool_file(tmp_path, pool_rows({"easy": 2, "hard": 2})))
    verdicts = {(p.id, i): Verdict(float(i == 1), "recorded", "judge") for p in TASK.problems for i in range(2)}
    judges: list[Verifier] = [RecordedVerifier("judge", verdicts)]
    report = asyncio.run(evaluate_pool(pool, judges, ["t1"]))
    assert report.row("t1", 2).accuracy == 0.0
    assert report.filters[0].problems_lost == 2
