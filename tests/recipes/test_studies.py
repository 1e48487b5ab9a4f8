"""The studies with a model, on a scripted one: what they measure is what was scripted, and stopping loses nothing."""

from __future__ import annotations

import json
import time

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import benchmark_study, read_result, result_complaints, wordproblem_study, write_result
from toolwright.recipes._fragments import Sources, render
from toolwright.recipes.wordproblem_study import Cell

CELLS = (Cell(2, 1), Cell(3, 3, "compositions"))
GOLDS = {p.question: p.gold for cell in CELLS for p in cell.task(6).problems}
ROWS = {
    "svamp": [
        {"ID": f"chal-{i}", "Body": f"Ann has {i + 3} pens.", "Question": "How many pens?", "Equation": "x", "Answer": i + 3.0, "Type": "Addition"}
        for i in range(5)
    ],
    "asdiv": [
        {
            "body": f"Bo has {i} cups.",
            "question": "How many cups?",
            "answer": f"{i} (cups)" if i else "blue",
            "formula": "x",
            "solution_type": "A",
            "grade": "1",
        }
        for i in range(4)
    ],
}


def scripted(golds):
    """A model that is right in one sample of four, and else wrong with a false calculation, two times of three the same one."""

    def reply(prompt, seed):
        gold = next(gold for question, gold in golds.items() if question in prompt.messages[-1].content)
        kind = derive_seed("kind", seed) % 4
        if kind == 0:
            return f"{gold} + 0 = {gold}\n#### {gold}"
        return f"{gold} + 0 = {int(gold) + min(kind, 2)}\n#### {int(gold) + min(kind, 2)}"

    return ScriptedEngine(reply, name="scripted")


def wordproblems(store, engine, **options):
    options = {"problems": 4, "ns": (2, 8), "cells": CELLS, "tell": lambda line: None} | options
    return wordproblem_study.measure("pico", store=store, engine=engine, **options)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return wordproblems(store, scripted(GOLDS)), store


def row(content, **wanted):
    (found,) = [r for r in content["tables"]["accuracy"] if all(r[k] == v for k, v in wanted.items())]
    return found


def test_the_grid_has_every_cell_strategy_and_n(measured):
    content, _ = measured
    assert result_complaints(content) == []
    assert content["tables"]["complete"] is True
    for cell in [*({"digits": c.digits, "steps": c.steps, "novelty": c.novelty} for c in CELLS), {"digits": None, "steps": None, "novelty": "all"}]:
        for strategy in ("majority", "best_of_n", "t1", "pass@n"):
            for n in (2, 8):
                assert row(content, model="pico", strategy=strategy, n=n, **cell)["problems"] == (8 if cell["novelty"] == "all" else 4)
        assert row(content, model="nano", strategy="greedy", **cell)["n"] == 1
    assert [about["problems"] for about in content["tables"]["cells"]] == [4, 4]


def test_tools_help_where_samples_err_in_arithmetic(measured):
    content, _ = measured
    overall = {"model": "pico", "novelty": "all", "n": 8}
    # Wherever one of the eight is right, t1 finds it, for every wrong one is refuted.
    assert row(content, strategy="t1", **overall)["accuracy"] == row(content, strategy="pass@n", **overall)["accuracy"]
    assert row(content, strategy="t1", **overall)["accuracy"] > row(content, strategy="majority", **overall)["accuracy"]
    claims = {each["id"]: each for each in content["claims"]}
    assert claims["wordproblems-t1-over-majority-8"]["seen"] is True
    assert claims["wordproblems-t1-over-majority-8"]["value"] == row(content, strategy="t1", **overall)["accuracy"]
    assert claims["wordproblems-false-refutation"]["value"] == 0 and claims["wordproblems-false-refutation"]["against"] == 1
    assert claims["wordproblems-size"]["seen"] is False, "both are the same scripted model"
    assert claims["wordproblems-no-harm-8"] | {"value": 0, "seen": True} == claims["wordproblems-no-harm-8"]


def test_a_second_run_draws_nothing_and_says_the_same(measured):
    content, store = measured
    engine = scripted(GOLDS)
    again = wordproblems(store, engine)
    assert engine.samples == 0
    assert again["tables"] == content["tables"] and again["claims"] == content["claims"]


def test_more_problems_add_to_what_is_stored(measured):
    _, store = measured
    engine = scripted(GOLDS)
    wordproblems(store, engine, problems=5)
    # One more problem in each of two cells: eight samples and a greedy one, and the greedy one of the model beside it (the same engine, so the same sample).
    assert engine.samples == 2 * 9


def test_when_time_is_up_what_is_in_flight_is_cancelled(tmp_path):
    engine = scripted(GOLDS)
    engine._faults = Faults(delay_s=60)
    started = time.monotonic()
    with pytest.raises(UsageError, match="not enough for a single cell"):
        wordproblems(tmp_path / "store", engine, max_minutes=0.005)
    assert time.monotonic() - started < 30
    # The same command goes on: nothing was stored, and nothing is broken.
    assert wordproblems(tmp_path / "store", scripted(GOLDS), problems=1)["tables"]["complete"] is True


def test_a_run_out_of_time_keeps_the_rounds_it_finished(tmp_path, monkeypatch):
    from toolwright.recipes import _measuring

    real, rounds = _measuring.Study._round, []

    def short(self, jobs, size, sizes):
        rounds.append(size)
        return len(rounds) < 2 and real(self, jobs, size, sizes)

    monkeypatch.setattr(_measuring.Study, "_round", short)
    content = wordproblems(tmp_path / "store", scripted(GOLDS))
    assert rounds == [1, 2], "nothing is begun after the time is up"
    assert content["tables"]["complete"] is False
    assert [about["problems"] for about in content["tables"]["cells"]] == [1, 1]
    assert result_complaints(content) == []


def test_a_grid_with_holes_claims_nothing(tmp_path, monkeypatch):
    from toolwright.recipes import _measuring

    real = _measuring.Study._round
    monkeypatch.setattr(_measuring.Study, "_round", lambda self, jobs, size, sizes: real(self, jobs[:1], size, sizes) and False)
    content = wordproblems(tmp_path / "store", scripted(GOLDS))
    assert [each["seen"] for each in content["claims"]] == [None]
    assert len(content["tables"]["cells"]) == 1
    assert result_complaints(content) == []


@pytest.fixture
def data(tmp_path):
    for task, place in (("svamp", "svamp/svamp_1000.jsonl"), ("asdiv", "asdiv/asdiv.jsonl")):
        path = tmp_path / "data" / place
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(each) + "\n" for each in ROWS[task]))
    return tmp_path / "data"


def benchmarks(store, data, limit=4):
    golds = {"pens": "3"} | {f"has {i} cups": str(i or 1) for i in range(4)}
    return benchmark_study.measure("nano", data=data, store=store, limit=limit, tasks=("svamp", "asdiv"), engine=scripted(golds), tell=lambda line: None)


def test_benchmarks_tell_what_was_measured_of_what(tmp_path, data):
    content = benchmarks(tmp_path / "store", data)
    assert result_complaints(content) == []
    svamp, asdiv = content["tables"]["tasks"]
    assert (svamp["problems"], svamp["of"], svamp["whole"]) == (4, 5, False)
    assert (asdiv["problems"], asdiv["of"], asdiv["whole"], asdiv["licence"]) == (4, 4, True, "CC-BY-NC-4.0 (non-commercial)")
    numbers = row(content, model="nano", task=benchmark_study.NUMBERS_ONLY, dialect="text", strategy="majority", n=16)
    assert numbers["problems"] == 3, "one of the four answers is a word"
    assert {each["model"] for each in content["tables"]["accuracy"]} == {"nano", "pico"}
    claims = {each["id"]: each for each in content["claims"]}
    assert set(claims) == {"benchmarks-svamp", "benchmarks-no-harm", "benchmarks-interpreter"}
    retool = row(content, model="nano", task="svamp", dialect="retool", strategy="majority", n=16)
    assert claims["benchmarks-svamp"]["value"] == retool["accuracy"] and claims["benchmarks-svamp"]["seen"] is (retool["accuracy"] >= 0.2)
    assert "4 of its 5 problems" in claims["benchmarks-svamp"]["text"]


def test_a_larger_limit_extends_the_same_subset(data):
    small, large = benchmark_study.subset("svamp", data, 2), benchmark_study.subset("svamp", data, 4)
    assert large.problems[:2] == small.problems


def test_pages_show_what_the_studies_found(tmp_path, data, measured):
    write_result(tmp_path / "results" / "wordproblems.json", measured[0])
    write_result(tmp_path / "results" / "benchmarks.json", benchmarks(tmp_path / "store", data))
    sources = Sources(tmp_path / "results", tmp_path / "embedded")
    grid = render("grid-full", sources)
    assert grid.count("2 digits, 1 step ") == 2 and grid.count("3 digits, 3 steps, new orders") == 2 and grid.count("**all**") == 2
    assert "▲" in grid and measured[0]["command"] in grid
    assert "→ **" in render("grid", sources)
    assert "| svamp | retool | 4 of 5 |" in render("benchmarks", sources)
    headline = render("headline", sources)
    assert "t1" in headline and "svamp" in headline and "Not measured" not in headline
    assert "wordproblems-" not in render("all-claims", sources) and "yes" in render("all-claims", sources)
    assert read_result(tmp_path / "results" / "benchmarks.json")["seeds"] == [0]


@pytest.mark.parametrize("bad", [0, -1])
def test_impossible_sizes_are_refused(tmp_path, bad):
    with pytest.raises(UsageError):
        wordproblems(tmp_path, scripted(GOLDS), problems=bad)
    with pytest.raises(UsageError):
        benchmark_study.measure(data=None, store=tmp_path, limit=bad)
