"""The study of adaptive sampling on a scripted model: thresholds come from validation, stops are compared on equal votes and at equal accuracy."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import adaptive_study, result_complaints
from toolwright.recipes._cast import Cast
from toolwright.recipes._judged import Arm
from toolwright.recipes.adaptive_study import BETA, claims, matched, measure
from toolwright.recipes.t1_study import problems_of
from toolwright.scaling import adaptive_beta, majority

CELLS = ((2, 2, "templates"),)
PROBLEMS = [p for split in ("test", "validation") for p in problems_of(CELLS, 24, split=split)]
GOLDS = {p.question: int(p.gold) for p in PROBLEMS}


def generating(prompt, seed):
    """Sure of its answer to two problems of three, and undecided between two on the others; what is wrong is wrong in its arithmetic half of the time."""
    question = next(q for q in GOLDS if q in prompt.messages[-1].content)
    gold, draw = GOLDS[question], derive_seed("draw", seed) % 100
    if draw < (90 if derive_seed("sure", question) % 3 else 45):
        return f"{gold} + 0 = {gold}\n#### {gold}"
    return f"{gold} + {draw % 2} = {gold + 1}\n#### {gold + 1}"


def cast():
    engine = ScriptedEngine(generating, name="pico")
    return Cast("pico", engine, engine, engine, models={"pico": {"parameters": 1, "digest": "d"}})


OPTIONS = {"problems": 24, "validation": 16, "samples": 24, "verify": ("claims",), "cells": CELLS, "tell": lambda line: None}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    return measure(store=store, cast=cast(), **OPTIONS), store


def rows_of(content):
    return {row["arm"]: row for row in content["tables"]["accuracy"]}


def test_every_stop_stands_beside_the_fixed_number_on_the_same_votes(measured):
    content = measured[0]
    assert result_complaints(content) == []
    rows = rows_of(content)
    for votes in ("T1's votes", "plain votes"):
        fixed, ours = rows[f"fixed, {votes}"], rows[f"adaptive, {votes}"]
        assert (fixed["share"], fixed["to_fixed"]) == (1, 0) and ours["tokens"] < fixed["tokens"]
        assert ours["share"] == pytest.approx(ours["tokens"] / fixed["tokens"], abs=1e-4)
        assert ours["to_fixed"] == pytest.approx(ours["accuracy"] - fixed["accuracy"], abs=1e-4)
        beta = rows[f"Beta stop as accurate on validation, {votes}"]
        assert beta["our_tokens_over_its"] == pytest.approx(ours["tokens"] / beta["tokens"], abs=1e-4)
    assert rows["fixed, T1's votes"]["accuracy"] > rows["fixed, plain votes"]["accuracy"], "claims refute half of what is wrong"
    assert rows["Beta stop at 0.95, plain votes"]["votes"] == "plain votes"


def test_thresholds_are_those_that_were_safe_on_validation(measured):
    told = measured[0]["tables"]["thresholds"]
    assert [(row["votes"], row["problems"]) for row in told] == [("T1's votes", 16), ("plain votes", 16)]
    for row in told:
        assert row["beta"] in BETA and (not row["safe"] or row["low"] > -0.02)
    assert told[1]["verified_settled"] == 2 or told[1]["safe"]


def test_the_claims_need_their_intervals(measured):
    tables = measured[0]["tables"]
    found = {each["id"]: each for each in claims(tables)}
    assert list(found) == ["adaptive-loss", "adaptive-tokens", "adaptive-beta-plain", "adaptive-beta-t1"]
    assert "24 problems" in found["adaptive-loss"]["text"]

    def with_(arm, **changed):
        rows = [row | changed if row["arm"] == arm else row for row in tables["accuracy"]]
        return {each["id"]: each["seen"] for each in claims({**tables, "accuracy": rows})}

    ours, beta = "adaptive, T1's votes", "Beta stop as accurate on validation, T1's votes"
    good = {"to_fixed": 0.0, "to_fixed_low": -0.01, "to_fixed_high": 0.01}
    assert with_(ours, **good)["adaptive-loss"] and not with_(ours, **good | {"to_fixed_low": -0.03})["adaptive-loss"]
    assert with_(ours, share=0.4)["adaptive-tokens"] and not with_(ours, share=0.41)["adaptive-tokens"]
    cheap = {"our_tokens_over_its": 0.8, "our_tokens_over_its_low": 0.7, "our_tokens_over_its_high": 0.9, "ours_less_it_low": -0.01}
    assert with_(beta, **cheap)["adaptive-beta-t1"] and not with_(beta, **cheap | {"ours_less_it_low": -0.03})["adaptive-beta-t1"]
    assert not with_(beta, **cheap | {"our_tokens_over_its_high": 1.01})["adaptive-beta-t1"]


def test_the_beta_stop_is_matched_by_the_cheapest_threshold_that_is_as_accurate(tmp_path):
    wanted = [problems_of(CELLS, 16), []]
    drawn = asyncio.run(adaptive_study._draw(cast(), wanted, 24, ("claims",), tmp_path, None, 0, lambda line: None))
    fixed = Arm("fixed", majority)
    assert matched(drawn.validation, fixed, adaptive_beta, 0.0).settled == BETA[0], "any will do, so the one that stops first"
    right = [sum(adaptive_study._play(drawn.validation, Arm("beta", replace(adaptive_beta, settled=s))).right) / 16 for s in BETA]
    assert matched(drawn.validation, fixed, adaptive_beta, 2.0).settled == BETA[right.index(max(right))], "none will do, so the best"
    middle = sorted(right)[len(right) // 2]
    assert right[BETA.index(matched(drawn.validation, fixed, adaptive_beta, middle).settled)] >= middle


def test_a_second_run_draws_nothing_and_more_problems_add_to_what_is_there(measured):
    content, store = measured
    again = cast()
    assert measure(store=store, cast=again, **OPTIONS)["tables"] == content["tables"] and again.generator.samples == 0
    more = cast()
    measure(store=store, cast=more, **OPTIONS | {"problems": 20})
    assert more.generator.samples == 0, "the first of the problems are the same"


def test_what_cannot_be_measured_is_refused(tmp_path):
    with pytest.raises(UsageError, match="samples = 4"):
        measure(store=tmp_path, cast=cast(), **OPTIONS | {"samples": 4})
    with pytest.raises(UsageError, match="'facts'"):
        measure(store=tmp_path, cast=cast(), **OPTIONS | {"verify": ("facts",)})
    with pytest.raises(UsageError, match="not enough"):
        measure(store=tmp_path, cast=cast(), max_minutes=0.0, **OPTIONS)
