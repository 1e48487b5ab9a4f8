from __future__ import annotations

from toolwright.episodes import Cost, ToolResult, Verdict
from toolwright.verifiers import combine

REFUTES = Verdict(0.0, "It is wrong.", "a", (ToolResult("x"),), Cost(1, 2, 3, 4.0))
PASSES = Verdict(1.0, "It is right.", "b", (ToolResult("y"),), Cost(1, 1, 1, 1.0))
UNSURE = Verdict(None, "Who knows.", "c")


def test_one_refutation_refutes_and_its_reason_is_told() -> None:
    one = combine([PASSES, UNSURE, REFUTES])
    assert one.refuted and one.reason == "It is wrong."
    assert one.verifier == "b+c+a"
    assert one.cost == Cost(2, 3, 4, 5.0)
    assert [e.text for e in one.evidence] == ["y", "x"]


def test_undecided_does_not_weaken_a_pass() -> None:
    assert combine([UNSURE, PASSES]).score == 1.0


def test_nothing_decided_is_undecided() -> None:
    assert combine([UNSURE]).score is None
    assert combine([]).score is None
    assert not combine([]).refuted
