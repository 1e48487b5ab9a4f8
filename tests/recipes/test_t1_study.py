"""The T1 study on scripted models: its arms, controls and confusion figures are those of what was scripted, and stopping loses nothing."""

from __future__ import annotations

import math
import re

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import result_complaints, t1_study
from toolwright.recipes._cast import Cast
from toolwright.recipes._controls import own_answer
from toolwright.recipes._mixture import steps_of
from toolwright.recipes._roles import number, program_text
from toolwright.recipes._t1_tables import ns_of
from toolwright.recipes.t1_study import Settings, problems_of

CELLS = ((2, 2, "templates"), (3, 3, "compositions"))
SETTINGS = Settings(problems=6, samples=8, beside_samples=2, controls=6, validation=4, validation_samples=4, lying=(0.5,), tools=False, cells=CELLS)
PROBLEMS = {p.question: p for p in (*problems_of(CELLS, 6), *problems_of(CELLS[:1], 4, split="validation"))}


def asked(text):
    return next((p for question, p in PROBLEMS.items() if question in text), None)


def generating(prompt, seed):
    """Right in three of eight; else two kinds of error of the plan (true arithmetic), and one of the arithmetic."""
    gold = int(asked(prompt.messages[-1].content).gold)
    kind = derive_seed("kind", seed) % 8
    if kind < 3:
        return f"{gold} + 0 = {gold}\n#### {gold}"
    if kind < 6:
        return f"{gold} + {kind} = {gold + kind}\n#### {gold + kind}"
    return f"{gold} + 0 = {gold + kind}\n#### {gold + kind}"


def checking(prompt, seed):
    """The program of an exact teacher where it knows the question, and a guess that agrees with the candidate where it does not."""
    text = prompt.spans[0].text
    solution, _, question = text.removeprefix("<|verify|>").removesuffix("<|tools|>").partition("<|user|>")
    answer = (re.findall(r"####\s*(\S+)", solution) or ["1"])[-1]
    problem = asked(question)
    if problem is None:
        return f"<code>\nn1={answer}+0*{answer}\nprint(n1=={answer})\n</code>"
    return f"<code>\n{program_text(steps_of(problem), number(answer))}\n</code>"


def judging(prompt, continuation):
    """Likes right solutions most, and errors of the plan more than not."""
    text = "".join(span.text for span in prompt.spans)
    gold = asked(text).gold
    liked = 0.9 if f"#### {gold}<" in text or f"#### {gold}\n" in text else 0.6
    return [math.log(liked if continuation in ("Yes", "+") else 1 - liked)]


def cast(beside="nano"):
    engines = {name: ScriptedEngine(script, name=name) for name, script in (("pico", generating), ("verify", checking))}
    judge, large = ScriptedEngine(["?"], name="judge", scores=judging), ScriptedEngine(generating, name="large")
    models = {"pico": {"parameters": 10, "digest": "a", "with_roles": 14}, "nano": {"parameters": 60, "digest": "b"}}
    return Cast("pico", engines["pico"], engines["verify"], judge, large, beside, models=models)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    playing = cast()
    return t1_study.measure(store=store, settings=SETTINGS, cast=playing, tell=lambda line: None), store, playing


def row(table, **wanted):
    (found,) = [r for r in table if all(r.get(k) == v for k, v in wanted.items())]
    return found


def test_every_arm_stands_in_the_result_at_every_n(measured):
    tables = measured[0]["tables"]
    assert result_complaints(measured[0]) == []
    assert tables["complete"] and tables["problems"] == 6
    for arm in ("majority", "rm", "claims", "toolv", "claims+toolv", "claims+rm", "toolv+rm", "claims+toolv+rm", "adaptive", "pass@n"):
        for n in ns_of(8):
            assert row(tables["accuracy"], model="pico", arm=arm, n=n)["problems"] == 6
    assert ns_of(8) == [1, 2, 4, 8] and ns_of(6) == [1, 2, 4, 6]
    assert row(tables["accuracy"], model="nano", arm="majority", n=2)


def test_an_exact_checker_finds_whatever_is_there_and_claims_do_not_see_wrong_plans(measured):
    tables = measured[0]["tables"]
    most = {"model": "pico", "n": 8, "dialect": "text"}
    best = row(tables["accuracy"], arm="pass@n", model="pico", n=8)["accuracy"]
    assert row(tables["accuracy"], arm="toolv", **most)["accuracy"] == best > row(tables["accuracy"], arm="majority", **most)["accuracy"]
    plan, arithmetic, right = (row(tables["errors"], kind=kind) for kind in ("plan", "arithmetic", "right"))
    assert (plan["claims_refutes"], plan["toolv_refutes"]) == (0, 1) and (arithmetic["claims_refutes"], arithmetic["toolv_refutes"]) == (1, 1)
    assert (right["claims_refutes"], right["toolv_refutes"], right["rm_dislikes"]) == (0, 0, 0)
    assert 0.3 < plan["share_of_wrong"] < 0.9


def test_the_confusion_of_the_reward_model_and_what_toolv_removes(measured):
    alone, after = (row(measured[0]["tables"]["verification"], verifier=name) for name in ("rm", "toolv+rm"))
    assert alone["fn"] == 0 and alone["tn"] == 0, "the scripted judge likes everything"
    assert (alone["fp_removed"], alone["tp_lost"]) == (0, 0)
    assert (after["fp_removed"], after["tp_lost"]) == (1, 0) and after["fp"] == 0 and after["tp"] == alone["tp"]
    claims = {each["id"]: each for each in measured[0]["claims"]}
    assert claims["t1-false-positives"]["seen"] and claims["t1-true-positives"]["seen"] and claims["t1-plan-caught"]["seen"]
    assert claims["t1-parameters"]["value"] == 14 and claims["t1-parameters"]["seen"]


def test_controls_tell_a_tool_from_its_shadows(measured):
    controls = measured[0]["tables"]["controls"]
    full = row(controls, kind="filter alone", arm="toolv")
    for shadow in ("toolv, question only", "toolv, solution only", "random, refuting as many"):
        assert row(controls, kind="filter alone", arm=shadow)["accuracy"] < full["accuracy"], shadow
    assert row(controls, kind="filter alone", arm="toolv, answer only")["accuracy"] == full["accuracy"], "the scripted checker reads no more than that"
    assert row(controls, kind="filter alone", arm="the programs' own answers")["accuracy"] == 1, "it works every problem out by itself"
    refused = row(controls, kind="solutions of another problem", arm="refuted")
    assert refused["n"] > 0 and refused["accuracy"] == 1


def test_a_checker_that_lies_in_half_of_its_calls_does_damage_and_the_majority_does_not_care(measured):
    lying = measured[0]["tables"]["lying"]
    assert row(lying, arm="toolv", lying=0.5)["damage"] < 0
    assert [r["damage"] for r in lying if r["arm"] == "majority"] == [0]


def test_a_second_run_draws_and_judges_nothing(measured):
    content, store, _ = measured
    again = cast()
    second = t1_study.measure(store=store, settings=SETTINGS, cast=again, tell=lambda line: None)
    assert again.generator.samples == again.beside.samples == 0
    assert second["tables"] == content["tables"] and second["claims"] == content["claims"]


def test_time_that_is_up_is_told_and_what_was_drawn_is_kept(tmp_path):
    with pytest.raises(UsageError, match="not enough for the first problems"):
        t1_study.measure(store=tmp_path, settings=SETTINGS, cast=cast(), max_minutes=0.0, tell=lambda line: None)


def test_the_answer_that_a_program_worked_out_is_what_it_compares_and_not_what_it_was_given():
    assert own_answer("n1=3*4\nprint(n1==12)") == "n1 = 3 * 4\nprint(n1)"
    assert own_answer("answer=12\nn1=3*4\nprint(same(answer, n1))").endswith("print(n1)")
    assert own_answer("n1=3\nprint(n1 < 4)") is None and own_answer("print(") is None
