"""The arithmetic study: what equations there are, and that each way is judged by what it says."""

from __future__ import annotations

import math
import re

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.errors import UsageError
from toolwright.recipes import result_complaints
from toolwright.recipes._cast import Cast
from toolwright.recipes.arithmetic_study import WITHIN, equations, measure


def value(text):
    return eval(re.search(r"What is ([\d +-]+)\?", text)[1])


def solving(prompt, seed):
    """Works out sums of three operands, and forgets the last one of more."""
    expression = re.search(r"What is ([\d +-]+)\?", prompt.messages[-1].content)[1]
    kept = expression if expression.count(" ") < 6 else expression[: -len(" + 123")]
    return f"{kept.replace(' ', '')}={eval(kept)}\n#### {eval(kept)}"


def checking(prompt, seed):
    text = prompt.spans[0].text
    expression, stated = re.search(r"What is ([\d +-]+)\?", text)[1], re.search(r"#### (\d+)", text)[1]
    return f"<code>\nn1={expression}\nprint(n1=={stated})\n</code>"


def cast():
    judge = ScriptedEngine(["?"], name="judge", scores=lambda prompt, word: [math.log(0.8 if word == "Yes" else 0.2)])
    engines = ScriptedEngine(solving, name="solving"), ScriptedEngine(checking, name="checking")
    return Cast("scripted", *engines, judge, models={"scripted": {"parameters": 1, "digest": "d"}})


@pytest.mark.parametrize("operands", [3, 10])
def test_half_of_the_equations_are_wrong_by_at_most_a_twentieth(operands):
    found = equations(operands, 60)
    assert sum(e.right for e in found) == 30 and len({e.problem.id for e in found}) == 60
    for each in found:
        exact = eval(each.expression)
        assert each.right is (each.stated == exact) and abs(each.stated - exact) <= WITHIN * exact
        assert len(re.findall(r"\b\d{3}\b", each.expression)) == operands and re.fullmatch(r"\d{3}( [+-] \d{3})+", each.expression)
    assert found[:20] == equations(operands, 20)


def test_each_way_is_judged_by_what_it_says(tmp_path):
    first = cast()
    content = measure(store=tmp_path, count=12, operands=(3, 4), cast=first, tell=lambda line: None)
    assert result_complaints(content) == [] and content["tables"]["complete"]
    rows = {(row["way"], row["operands"]): row for row in content["tables"]["accuracy"]}
    assert [rows[way, k]["accuracy"] for way in ("program", "claims") for k in (3, 4)] == [1, 1, 1, 1]
    assert rows["text", 3]["accuracy"] == 0.5 and rows["text", 3]["right_accepted"] == 1 and rows["text", 3]["wrong_refuted"] == 0
    assert rows["solve", 3]["accuracy"] == 1 and rows["solve", 4]["right_accepted"] == 0 and rows["solve", 4]["accuracy"] < 1
    seen = {each["id"]: each["seen"] for each in content["claims"]}
    assert seen["arithmetic-claims-flat"] and seen["arithmetic-program-flat"] and not seen["arithmetic-text-falls"]
    again = cast()
    assert measure(store=tmp_path, count=12, operands=(3, 4), cast=again, tell=lambda line: None)["tables"] == content["tables"]
    assert (again.generator.samples, again.verify.samples) == (0, 0)


def test_impossible_counts_are_refused(tmp_path):
    with pytest.raises(UsageError, match="at least 2 equations"):
        measure(store=tmp_path, count=1, cast=cast())
