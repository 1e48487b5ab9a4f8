"""The memory study: what triples there are, and (slowly) one cell trained and kept."""

from __future__ import annotations

from itertools import islice

import pytest

from toolwright.errors import UsageError
from toolwright.recipes import result_complaints
from toolwright.recipes.memory_study import Triple, claims, measure, triples


@pytest.mark.parametrize("size", [2, 8, 512])
def test_half_of_the_triples_are_wrong_and_all_lie_in_the_table(size):
    found = list(islice(triples(size, seed=0), 400))
    assert sum(t.right for t in found) == 200
    assert all(0 <= t.a < size and 0 <= t.b < size and 0 <= t.c <= 2 * size - 2 for t in found)
    assert list(islice(triples(size, seed=0, start=7), 5)) == found[7:12], "a stream may be taken up anywhere"
    assert found != list(islice(triples(size, seed=1), 400))


def test_what_is_learned_is_the_verdict_or_the_program_that_finds_it():
    right, wrong = Triple(2, 3, 5), Triple(2, 3, 6)
    assert [t.document("text").pieces[-1][0] for t in (right, wrong)] == ["Yes", "No"]
    assert right.document("program").pieces == (("<|user|>2+3=5<|verify|>", 0.0), ("<code>\nprint(2+3==5)\n</code>", 1.0))


def row(model, way, table, accuracy):
    return {"model": model, "way": way, "table": table, "accuracy": accuracy, "low": accuracy - 0.03, "high": min(1.0, accuracy + 0.03)}


def test_the_claims_compare_sizes_of_table_and_of_model():
    rows = [row("pico", "text", 8, 0.9), row("pico", "text", 512, 0.55), row("nano", "text", 512, 0.6)]
    rows += [row("pico", "program", 8, 1.0), row("pico", "program", 512, 0.97)]
    seen = {each["id"]: each["seen"] for each in claims(rows)}
    assert seen == {"memory-pico-text-falls": True, "memory-pico-tool-flat": False, "memory-nano-text-falls": None, "memory-tool-over-size": True}


def test_bad_grids_are_refused(tmp_path):
    with pytest.raises(UsageError, match="sizes go from 2"):
        measure(folder=tmp_path, sizes=(1,))
    with pytest.raises(UsageError, match="no embedded model 'micro'"):
        measure(folder=tmp_path, models=("micro",))
    with pytest.raises(UsageError, match="not enough for a single training"):
        measure(folder=tmp_path, max_minutes=0.0, tell=lambda line: None)


@pytest.mark.slow
def test_a_cell_is_trained_measured_and_kept(tmp_path):
    options = {"folder": tmp_path, "models": ("pico",), "sizes": (4,), "tokens": 6000, "count": 12, "threads": 1, "tell": lambda line: None}
    content = measure(**options)
    assert result_complaints(content) == []
    assert [(r["way"], r["triples"]) for r in content["tables"]["accuracy"]] == [("text", 12), ("program", 12)]
    lines = []
    assert measure(**options | {"tell": lines.append})["tables"] == content["tables"] and lines == []
