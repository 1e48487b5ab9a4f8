from __future__ import annotations

import asyncio

import pytest

from toolwright.episodes import Episode, Problem, Provenance, Span, StopReason, Verdict
from toolwright.verifiers import ClaimsVerifier

PROBLEM = Problem("p", "How many clips?", "72")
M, T = Provenance.MODEL, Provenance.TOOL


def verdict(*spans: tuple[Provenance, str]) -> Verdict:
    episode = Episode("p", 0, tuple(Span(who, text) for who, text in spans), StopReason.FINISHED, 0)
    return asyncio.run(ClaimsVerifier().verify(PROBLEM, episode, seed=0))


def test_a_false_statement_refutes_with_place_and_right_value() -> None:
    found = verdict((M, "She sold 48 / 2 = 26 clips in May.\nTogether 48 + 26 = 74."))
    assert found.refuted
    assert found.score == 0.0
    assert "48 / 2 = 26" in found.reason and "24" in found.reason
    first = found.evidence[0]
    assert first.meta["expected"] == "24"
    assert (first.meta["start"], first.meta["end"]) == (9, 20)


def test_the_place_is_one_in_the_episodes_text_also_after_tool_spans() -> None:
    found = verdict((M, "Let me see. "), (T, "[tool says 7] "), (M, "So 3 * 4 = 13."))
    text = "Let me see. [tool says 7] So 3 * 4 = 13."
    meta = found.evidence[0].meta
    assert text[meta["start"] : meta["end"]] == "3 * 4 = 13"


def test_true_statements_pass_and_say_what_that_is_worth() -> None:
    found = verdict((M, "48 / 2 = 24 and 48 + 24 = 72."))
    assert found.score == 1.0
    assert "plan" in found.reason


def test_nothing_decided_is_undecided() -> None:
    assert verdict((M, "The answer is 72.")).score is None
    assert verdict((M, "")).score is None
    assert verdict((M, "x + 3 = 5 holds")).score is None


def test_what_tools_wrote_is_not_held_against_the_model() -> None:
    assert verdict((M, "I ask. "), (T, "2 + 2 = 5")).score is None


def test_nothing_is_read_across_a_tool_span() -> None:
    assert not verdict((M, "3 * 4 = "), (T, "twelve"), (M, " 5 apples are left")).refuted


@pytest.mark.parametrize("code", ["<code>\nassert 2 + 2 == 5\n</code>", "```python\nprint(2 + 2 == 5)\n```", '<tool_call>{"code": "2 + 2 == 5"}</tool_call>'])
def test_code_is_no_statement(code: str) -> None:
    assert verdict((M, f"Check: {code}\n3 + 3 = 6.")).score == 1.0
    assert verdict((M, code)).score is None


def test_a_plain_block_is_read() -> None:
    assert verdict((M, "```\n2 + 2 = 5\n```")).refuted


def test_many_false_statements_stay_one_readable_reason() -> None:
    found = verdict((M, "\n".join(f"{n} + 1 = {n + 3}." for n in range(10, 40))))
    assert len(found.reason) < 500
    assert sum(result.outcome == "false" for result in found.evidence) == 30
