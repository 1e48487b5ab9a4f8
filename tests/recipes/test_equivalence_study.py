"""The equivalence study: its pairs, its bars, its format."""

from __future__ import annotations

import pytest

from toolwright.recipes.equivalence_study import load_pairs, measure


def test_pairs_are_many_varied_and_distinct() -> None:
    pairs = load_pairs()
    assert len(pairs) >= 320
    assert len({frozenset((pair["a"], pair["b"])) for pair in pairs}) == len(pairs)
    assert min(sum(pair["equal"] for pair in pairs), sum(not pair["equal"] for pair in pairs)) >= 120
    assert len({pair["kind"] for pair in pairs}) >= 15


@pytest.mark.slow
def test_every_bar_is_met_without_data() -> None:
    result = measure(None)
    claims = {claim["id"]: claim["seen"] for claim in result["claims"]}
    assert claims == {"pairs-wrong": True, "pairs-undecided": True, "symmetric": True, "math500": None}
    assert {"command", "commit", "machine", "seconds", "seeds", "models", "tables", "claims"} == set(result)
    assert result["tables"]["pairs"][1]["false_equal"] > 0, "math-verify's known false positives are among the pairs"
