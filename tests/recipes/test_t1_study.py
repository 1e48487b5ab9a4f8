"""The T1 study on scripted models: its arms, controls and confusion figures are those of what was scripted, and stopping loses nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import result_complaints, t1_study
from toolwright.recipes._cast import Cast, Roles
from toolwright.recipes._controls import own_answer
from toolwright.recipes._mixture import steps_of
from toolwright.recipes._roles import number, program_text
from toolwright.recipes._t1_arms import ns_of
from toolwright.recipes._t1_claims import claims as claims_of
from toolwright.recipes._t1_costs import crossover
from toolwright.recipes.t1_study import CELLS as DEFAULT_CELLS
from toolwright.recipes.t1_study import GRID, Settings, problems_of
from toolwright.scaling import strategy_names

CELLS = ((2, 2, "templates"), (3, 3, "compositions"))
SETTINGS = Settings(problems=6, samples=8, beside_samples=2, controls=6, validation=4, validation_samples=4, lying=(0.5,), tools=False, timed=2, cells=CELLS)
PROBLEMS = {p.question: p for p in (*problems_of(CELLS, 6), *problems_of(CELLS[:1], 4, split="validation"))}


def asked(text):
    return next((p for question, p in PROBLEMS.items() if question in text), None)


def generating(prompt, seed):
    """Right in three of eight; else two kinds of error of the plan (true arithmetic), and one of the arithmetic."""
    gold = int(asked(" ".join(message.content for message in prompt.messages)).gold)
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


def silent(prompt, seed):
    """The programs of a role whose training failed: none of them is Python."""
    return "<code>\nprint(n1?32)\n</code>"


def knowing(prompt, seed):
    """A generator that learned its lessons by heart: right whenever it is asked in the head, and no better than before with the interpreter."""
    text = " ".join(message.content for message in prompt.messages)
    return generating(prompt, seed) if "<code>" in text else f"#### {asked(text).gold}"


def judging(prompt, continuation):
    """Likes right solutions most, and errors of the plan more than not."""
    text = "".join(span.text for span in prompt.spans)
    gold = asked(text).gold
    liked = 0.9 if f"#### {gold}<" in text or f"#### {gold}\n" in text else 0.6
    return [math.log(liked if continuation in ("Yes", "+") else 1 - liked)]


def cast(beside="nano", **more):
    engines = {name: ScriptedEngine(script, name=name) for name, script in (("pico", generating), ("verify", checking))}
    judge, large = ScriptedEngine(["?"], name="judge", scores=judging), ScriptedEngine(generating, name="large")
    models = {"pico": {"parameters": 10, "digest": "a", "with_roles": 14}, "nano": {"parameters": 60, "digest": "b", "with_roles": 80}}
    more = {"solver": ScriptedEngine(knowing, name="solver"), "beside_roles": Roles(ScriptedEngine(checking, name="large verify"), judge)} | more
    return Cast("pico", engines["pico"], engines["verify"], judge, large, beside, models=models, **more)


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
    alone, after = (row(measured[0]["tables"]["verification"], verifier=name) for name in ("genrm", "toolv+genrm"))
    assert alone["fn"] == 0 and alone["tn"] == 0, "the scripted judge likes everything"
    assert (alone["fp_removed"], alone["tp_lost"]) == (0, 0)
    assert (after["fp_removed"], after["tp_lost"]) == (1, 0) and after["fp"] == 0 and after["tp"] == alone["tp"]
    claims = {each["id"]: each for each in measured[0]["claims"]}
    assert claims["t1-false-positives"]["seen"] and claims["t1-true-positives"]["seen"] and claims["t1-plan-caught"]["seen"]
    assert claims["t1-parameters"]["value"] == 14 and claims["t1-parameters"]["against"] == 60 and claims["t1-parameters"]["seen"]


def test_the_papers_bars_are_about_genrm_whichever_reward_model_was_chosen(measured):
    tables = measured[0]["tables"]
    assert {r["reward"] for r in tables["verification"]} == {"genrm", "prm"}
    worse = [r | {"fp_removed": 0.1, "fp_removed_low": 0.1, "fp_removed_high": 0.1} if r["reward"] == "genrm" else r for r in tables["verification"]]
    claims = {each["id"]: each for each in claims_of({**tables, "reward_model": "prm", "verification": worse})}
    assert claims["t1-false-positives"]["value"] == 0.1 and not claims["t1-false-positives"]["seen"]


def test_a_filter_that_throws_dice_is_not_said_to_catch_wrong_plans(measured):
    tables = measured[0]["tables"]
    plan = row(tables["errors"], kind="plan")
    assert (plan["above_right"], row(tables["errors"], kind="right")["above_right"]) == (1, 0)
    dice = [r | {"toolv_refutes": 0.5, "above_right": 0.01, "above_right_low": -0.05, "above_right_high": 0.07} for r in tables["errors"]]
    claims = {each["id"]: each for each in claims_of({**tables, "errors": dice})}
    assert claims["t1-plan-caught"]["value"] == 0.01 and not claims["t1-plan-caught"]["seen"]


def test_every_cell_has_its_own_figures_for_every_arm(measured):
    tables = measured[0]["tables"]
    names = [r["cell"] for r in tables["cells"]]
    assert names == ["2 digits, 2 steps, templates", "3 digits, 3 steps, compositions"]
    for arm, n in (("toolv", 8), ("claims+toolv+rm", 8), ("pass@n", 8), ("greedy", 1)):
        parts = [row(tables["by_cell"], cell=name, model="pico", arm=arm) for name in names]
        whole = row(tables["accuracy"], model="pico", dialect="text", arm=arm, n=n)
        assert [part["problems"] for part in parts] == [3, 3]
        assert sum(part["accuracy"] for part in parts) / 2 == pytest.approx(whole["accuracy"], abs=1e-4)
    assert row(tables["by_cell"], cell=names[0], model="nano", arm="greedy")
    assert len(GRID) == 20 and set(DEFAULT_CELLS) < set(GRID)


def test_the_larger_model_is_checked_too(measured):
    accuracy = [r for r in measured[0]["tables"]["accuracy"] if r["model"] == "nano" and r["dialect"] == "text"]
    found = {r["arm"]: r for r in accuracy}
    assert set(found) == {"greedy", "majority", "rm", "claims", "toolv", "claims+toolv", "claims+rm", "toolv+rm", "claims+toolv+rm"}
    assert found["toolv"]["accuracy"] > found["majority"]["accuracy"] and all(found[arm]["n"] == 2 for arm in found if arm != "greedy")
    # Its adapters count where they are asked, and only there.
    tokens = {arm: found[arm]["prompt_tokens"] + found[arm]["model_tokens"] for arm in ("majority", "claims+toolv+rm")}
    assert found["majority"]["flops"] == pytest.approx(2 * 60 * tokens["majority"])
    assert found["claims+toolv+rm"]["flops"] == pytest.approx(2 * 80 * tokens["claims+toolv+rm"])
    bare = t1_study.beside_verifiers(cast(beside_roles=None), None, SETTINGS)
    assert list(bare) == ["claims"], "without roles, claims alone"


def test_controls_tell_a_tool_from_its_shadows(measured):
    controls = measured[0]["tables"]["controls"]
    full = row(controls, kind="filter alone", arm="toolv")
    for shadow in ("toolv, question only", "toolv, solution only", "random, refuting as many"):
        assert row(controls, kind="filter alone", arm=shadow)["accuracy"] < full["accuracy"], shadow
    assert row(controls, kind="filter alone", arm="toolv, answer only")["accuracy"] == full["accuracy"], "the scripted checker reads no more than that"
    assert row(controls, kind="filter alone", arm="the programs' own answers")["accuracy"] == 1, "it works every problem out by itself"
    text = row(controls, kind="filter alone", arm="text verifier: the judge, no tool")
    assert text["refutes"] == 0 and text["accuracy"] < full["accuracy"], "the scripted judge likes everything, so as a filter it does nothing"
    for arm, n, right in (("text, greedy", 1, 1), ("text, majority", 8, 1), ("retool, majority", 2, None)):
        taught = row(controls, kind="solver data to the generator", arm=arm)
        assert taught["n"] == n and right in (None, taught["accuracy"])
    claims = {each["id"]: each for each in measured[0]["claims"]}
    assert claims["t1-control-text"]["value"] == pytest.approx(full["accuracy"] - text["accuracy"], abs=1e-4)
    assert claims["t1-control-solver-text"]["value"] <= 0 and claims["t1-control-solver-text"]["seen"] is False
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
    assert again.solver.samples == again.beside_roles.verify.samples == 0
    # Times are taken anew, and so is what is drawn for them.
    clocks = ("timing", "crossover")
    assert {k: v for k, v in second["tables"].items() if k not in clocks} == {k: v for k, v in content["tables"].items() if k not in clocks}
    assert [c for c in second["claims"] if c["id"] != "t1-cost"] == [c for c in content["claims"] if c["id"] != "t1-cost"]
    untimed = cast()
    t1_study.measure(store=store, settings=replace(SETTINGS, timed=0), cast=untimed, tell=lambda line: None)
    assert untimed.generator.samples == untimed.beside.samples == untimed.verify.samples == 0


def test_every_strategy_has_its_cost_and_one_that_cannot_be_played_says_why(measured):
    timing = measured[0]["tables"]["timing"]
    arms = {r["arm"] for r in timing if r["model"] == "pico"}
    assert set(strategy_names()) - {"filtered", "t1"} < arms and {"claims", "claims+toolv", "claims+toolv+prm", "claims+toolv+genrm"} < arms
    for r in timing:
        if r["seconds"] is None:
            assert r["arm"] == "beam" and "prefill" in r["why"]
        else:
            assert r["problems"] == 2 and r["why"] is None
    assert row(timing, arm="majority", model="pico")["over_majority"] == 1
    costed, paper = row(timing, arm="claims+toolv+prm"), row(timing, arm="the paper's setting")
    assert costed["over_majority_low"] <= costed["over_majority"] <= costed["over_majority_high"]
    assert paper["tool_calls"] > costed["tool_calls"], "four programs for every sample"
    claim = {each["id"]: each for each in measured[0]["claims"]}["t1-cost"]
    assert claim["value"] == costed["over_majority"] and claim["against"] == 2.5 and claim["seen"] is (costed["over_majority"] <= 2.5)


def test_where_the_small_model_catches_up_and_what_it_pays_there():
    def at(model, arm, n, accuracy, flops):
        return {"model": model, "dialect": "text", "arm": arm, "n": n, "accuracy": accuracy, "flops": flops}

    accuracy = [at("pico", "claims", n, a, 10.0 * n) for n, a in ((1, 0.1), (4, 0.2), (16, 0.3), (64, 0.4))]
    accuracy += [at("pico", "majority", n, 0.1, 8.0 * n) for n in (1, 64)] + [at("nano", "greedy", 1, 0.25, 80.0), at("nano", "majority", 8, 0.5, 500.0)]
    timing = [{"model": "pico", "stands_for": "claims", "n": 16, "seconds": 3.0}, {"model": "nano", "stands_for": "greedy", "n": 1, "seconds": 1.0}]
    found = crossover(accuracy, timing, "pico", ["majority", "claims"])
    claims = row(found, axis="flops", arm="claims", against_arm="greedy")
    assert (claims["n"], claims["cost"], claims["ratio"]) == (16, 160.0, 2.0)
    assert row(found, axis="flops", arm="majority", against_arm="greedy")["n"] is None
    assert row(found, axis="flops", arm="claims", against_arm="majority") | {"accuracy": 0.4, "n": None, "ratio": None} in found
    assert row(found, axis="seconds", arm="claims")["ratio"] == 3.0 and len([r for r in found if r["axis"] == "seconds"]) == 1


def test_roles_of_several_training_seeds_widen_the_intervals_and_are_averaged(tmp_path, measured):
    settings = replace(SETTINGS, controls=0, timed=0, lying=())
    judge = ScriptedEngine(["?"], name="judge 1", scores=judging)
    playing = cast(seeds=(Roles(ScriptedEngine(silent, name="verify 1"), judge),))
    content = t1_study.measure(store=tmp_path, settings=settings, cast=playing, tell=lambda line: None)
    tables, one = content["tables"], measured[0]["tables"]
    most = {"model": "pico", "dialect": "text", "n": 8}
    toolv, majority = (row(tables["accuracy"], arm=arm, **most) for arm in ("toolv", "majority"))
    single = row(one["accuracy"], arm="toolv", **most)
    assert tables["training_seeds"] == 2 and one["training_seeds"] == 1
    assert toolv["accuracy"] == pytest.approx((single["accuracy"] + majority["accuracy"]) / 2, abs=1e-4), "a role that says nothing filters nothing"
    assert majority == row(one["accuracy"], arm="majority", **most), "no role was asked"
    gap = row(tables["differences"], model="pico", against="pico", a="toolv", b="majority")
    assert gap["difference"] == pytest.approx(toolv["accuracy"] - majority["accuracy"], abs=1e-4) and gap["gap_low"] <= 0 < gap["gap_high"]
    assert gap["gap_high"] - gap["gap_low"] > 0
    plan = row(tables["errors"], kind="plan")
    assert plan["toolv_refutes"] == 0.5 and (plan["toolv_refutes_low"], plan["toolv_refutes_high"]) == (0, 1)
    fp = row(tables["verification"], verifier="toolv+genrm")
    assert fp["fp_removed"] == 0.5 and fp["tp"] == 2 * row(one["verification"], verifier="genrm")["tp"]
    assert tables["controls"] == []


def test_another_training_seed_is_named_in_the_command_and_nothing_of_a_path(tmp_path):
    told = t1_study._told_adapters([tmp_path / "first", tmp_path / "second"], {"noisy": tmp_path / "n"}, tmp_path / "solve")
    assert told == " --roles first --roles second --also noisy=n --solver solve"


def test_time_that_is_up_is_told_and_what_was_drawn_is_kept(tmp_path):
    with pytest.raises(UsageError, match="not enough for the first problems"):
        t1_study.measure(store=tmp_path, settings=SETTINGS, cast=cast(), max_minutes=0.0, tell=lambda line: None)


def test_the_answer_that_a_program_worked_out_is_what_it_compares_and_not_what_it_was_given():
    assert own_answer("n1=3*4\nprint(n1==12)") == "n1 = 3 * 4\nprint(n1)"
    assert own_answer("answer=12\nn1=3*4\nprint(same(answer, n1))").endswith("print(n1)")
    assert own_answer("n1=3\nprint(n1 < 4)") is None and own_answer("print(") is None
