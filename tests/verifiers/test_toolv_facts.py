"""ToolV-facts on a scripted model: what is retrieved and shown, what the last lines mean, and what the verdict tells."""

from __future__ import annotations

import asyncio
import re

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Episode, Problem, Provenance, SamplingParams, Span, StopReason, Verdict
from toolwright.errors import EngineFault, UsageError
from toolwright.retrieval import FtsIndex, Passage
from toolwright.verifiers import Documents, Retrieved, ToolVFacts
from toolwright.verifiers._facts_prompt import LAST_LINE, RULES, contradicted, facts_verdict

PASSAGES = (
    Passage("duck", "Ducks", "Ducks swim on ponds and lay about sixteen eggs."),
    Passage("swift", "Swifts", "Swifts sleep while they are flying."),
    Passage("owl", "Owls", "Owls hunt at night and nest in old trees. " + "They are quiet. " * 200),
    Passage("mason", "Masons", "A mason builds walls."),
)
PROBLEM = Problem("p", "When do owls hunt?", "at night", choices=("at noon", "at night"), meta={"secret": "gold-fact"})
YES = f'1. "Owls hunt at night": SUPPORTED, document 1.\n{LAST_LINE} Yes'
NO = f'1. "Owls hunt": SUPPORTED.\n2. "Owls sleep at night": CONTRADICTED, document 1 says they hunt.\n{LAST_LINE} No'
MUTE = "1. I cannot tell."


@pytest.fixture(scope="module")
def index():
    with FtsIndex.of(PASSAGES) as made:
        yield made


def solved(text: str = "Owls are birds. Owls sleep at night.\nThe answer is (B).") -> Episode:
    return Episode("p", 0, (Span(Provenance.MODEL, text),), StopReason.FINISHED, 0)


def verify(engine: ScriptedEngine, source: object, episode: Episode | None = None, **options: object) -> Verdict:
    verifier = ToolVFacts(engine, source, **options)  # type: ignore[arg-type]
    return asyncio.run(verifier.verify(PROBLEM, episode or solved(), seed=3))


@pytest.mark.parametrize(
    ("replies", "score"),
    [
        ([YES, YES, YES, YES], 1.0),
        ([YES, YES, NO, YES], 0.0),
        ([MUTE, YES, MUTE, MUTE], 1.0),
        ([MUTE, MUTE, MUTE, NO], 0.0),
        ([MUTE, MUTE, MUTE, MUTE], None),
    ],
)
def test_all_must_say_yes_and_those_without_a_verdict_abstain(index, replies, score):
    engine = ScriptedEngine(replies, in_order=True)
    verdict = verify(engine, index)
    assert verdict.score == score and verdict.verifier == "toolv_facts" and not verdict.is_reward
    assert engine.requests[0].n == 4 and engine.requests[0].params.temperature == 0.6


def test_the_reason_names_the_contradicted_statement(index):
    verdict = verify(ScriptedEngine([YES, NO, YES, YES], in_order=True), index)
    assert verdict.refuted
    assert verdict.reason == (
        '1 of 4 rationales found a statement that the documents contradict: 2. "Owls sleep at night": CONTRADICTED, document 1 says they hunt.'
    )
    assert "all" not in verify(ScriptedEngine([YES]), index).reason and "no statement" in verify(ScriptedEngine([YES]), index).reason


def test_documents_and_rationales_are_evidence_and_cost_is_counted(index):
    verdict = verify(ScriptedEngine([YES, NO, MUTE], in_order=True), index, k=3, documents=2)
    documents, rationales = verdict.evidence[:-3], verdict.evidence[-3:]
    assert [e.tool for e in documents] == ["search"] * len(documents) and documents[0].meta["id"] == "owl" and documents[0].meta["score"] > 0
    assert documents[0].text.startswith("Owls\nOwls hunt at night")
    assert [(e.tool, e.meta["said"], e.outcome) for e in rationales] == [
        ("toolv_facts", True, "ok"), ("toolv_facts", False, "ok"), ("toolv_facts", None, "no_verdict"),
    ]  # fmt: skip
    assert verdict.cost.tool_calls == 1 and verdict.cost.model_tokens > 0 and verdict.cost.prompt_tokens > 0 and verdict.cost.wall_s > 0


def test_question_and_solution_are_searched_together_as_they_stand(index):
    asked: list[tuple[str, int]] = []

    class Spy:
        digest = "spy"

        def search(self, query: str, k: int = 3) -> tuple[Passage, ...]:
            asked.append((query, k))
            return index.search(query, k)

    verify(ScriptedEngine([YES]), Spy(), solved("A mason told me."), documents=2)
    assert asked == [("When do owls hunt?\nA mason told me.", 2)]
    verdict = verify(ScriptedEngine([YES]), index, solved("A mason told me: swifts do not."))
    assert {e.meta["id"] for e in verdict.evidence if e.tool == "search"} == {"owl", "mason", "swift"}


def test_the_prompt_shows_rules_examples_documents_and_options_but_no_gold(index):
    engine = ScriptedEngine([YES])
    verify(engine, index)
    messages = engine.requests[0].prompt.messages
    assert [m.role for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"] and messages[0].content == RULES
    assert [facts_verdict(m.content) for m in messages if m.role == "assistant"] == [False, True]
    last = messages[-1].content
    assert "When do owls hunt?\n(A) at noon\n(B) at night\n</question>" in last and "[1] Owls\nOwls hunt at night" in last and "Owls sleep at night." in last
    assert "gold-fact" not in last and len(last) < 2500
    assert re.search(r"(They|are|quiet\.) …\n", last), "long passages are cut"


@pytest.mark.parametrize(
    ("rationale", "said"),
    [
        (YES, True),
        (NO, False),
        (MUTE, None),
        ("", None),
        ("Yes", True),
        ("I looked at all of it.\n**No.**", False),
        ("Everything is fine, yes", None),
        (f"{LAST_LINE} Yes.", True),
        (f"{LAST_LINE}\nNo", False),
        (f"{LAST_LINE}", None),
        ("**Verification: Are all statements correct? (Yes/No)?** **No**", False),
        ("Verification: are all the statements correct (yes or no)? Yes", True),
        ("verification: no", False),
        (f"{LAST_LINE} Yes or No", None),
        (f"{LAST_LINE} Yes\nWait, document 2 says otherwise.\n{LAST_LINE} No", False),
        ("1. Yes, it is SUPPORTED. No doubt.\nThe end.", None),
        (f"Verification of statement 1: No\n{LAST_LINE} Yes", True),
    ],
)
def test_how_last_lines_are_read(rationale, said):
    assert facts_verdict(rationale) is said


@pytest.mark.parametrize(
    ("rationale", "told"),
    [
        (NO, '2. "Owls sleep at night": CONTRADICTED, document 1 says they hunt.'),
        (f'1. "a": not contradicted.\nOwls hunt at night, so the second is wrong.\n{LAST_LINE} No', "Owls hunt at night, so the second is wrong."),
        (f'None is contradicted by 1.\n2. "b": this   contradicts it.\nMore.\n{LAST_LINE} No', '2. "b": this contradicts it.'),
        ("No", None),
        (f"{LAST_LINE} No", None),
    ],
)
def test_which_statement_is_told(rationale, told):
    assert contradicted(rationale) == told
    long = contradicted("x contradicted " * 100 + f"\n{LAST_LINE} No")
    assert long is not None and len(long) < 310 and long.endswith("…")


def test_nothing_to_judge_costs_nothing(index):
    engine = ScriptedEngine([NO])
    assert verify(engine, index, solved("  \n")).score is None
    with FtsIndex.of([Passage("x", "", "zygote")]) as other:
        verdict = verify(engine, other)
    assert verdict.score is None and verdict.reason == "No document was found to judge the solution by."
    assert engine.calls == 0


class Given:
    """What an experiment puts in the place of a search."""

    digest = "given"

    def __call__(self, problem: Problem, solution: str) -> tuple[Passage, ...]:
        assert problem.gold is None and not problem.meta, "the gold answer must not be looked at"
        return (Passage("g", "Given", f"for {problem.id}: {len(solution)}"),)


def test_documents_can_be_given_instead_of_searched(index):
    assert isinstance(Given(), Documents) and not isinstance(index, Documents)
    engine = ScriptedEngine([YES])
    verdict = verify(engine, Given())
    assert verdict.score == 1.0 and "[1] Given\nfor p:" in engine.requests[0].prompt.messages[-1].content
    assert Retrieved(index, 2).digest != Retrieved(index, 3).digest


def test_equal_seeds_ask_equal_things_and_the_digest_names_the_settings(index):
    one, two = verify(ScriptedEngine([YES, NO, MUTE]), index), verify(ScriptedEngine([YES, NO, MUTE]), index)
    assert (one.score, one.reason, [e.text for e in one.evidence]) == (two.score, two.reason, [e.text for e in two.evidence])
    engine = ScriptedEngine([YES])
    settings = ({}, {"k": 2}, {"documents": 2}, {"temperature": 0.1}, {"max_new_tokens": 9})
    assert len({ToolVFacts(engine, index, **each).digest for each in settings} | {ToolVFacts(engine, Given()).digest}) == 6  # type: ignore[arg-type]


def test_faults_and_impossible_settings(index):
    with pytest.raises(EngineFault):
        verify(ScriptedEngine([YES], faults=Faults(lost_after_calls=0)), index)
    for wrong in ({"k": 0}, {"documents": 0}):
        with pytest.raises(UsageError, match="needs 1 or more"):
            ToolVFacts(ScriptedEngine([YES]), index, **wrong)


def test_the_last_line_ends_within_the_budget_of_a_rationale(index):
    engine = ScriptedEngine([YES])
    verify(engine, index, max_new_tokens=33)
    assert engine.requests[0].params == SamplingParams(max_new_tokens=33, temperature=0.6)
