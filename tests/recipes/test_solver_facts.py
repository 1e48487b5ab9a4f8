"""Solving with documents: an index by its file, ToolV-facts by its name."""

from __future__ import annotations

import pytest

from toolwright.cli import run
from toolwright.engines import ScriptedEngine
from toolwright.errors import UsageError
from toolwright.recipes import Solver
from toolwright.retrieval import FtsIndex, Passage, build_index
from toolwright.verifiers._facts_prompt import LAST_LINE, RULES

QUESTION = "How long is Alder Bridge?"


def says(prompt, seed):
    """Two of three candidates are wrong in the same way; the fact check reads the document."""
    if prompt.messages[0].content != RULES:
        return "It is 140 metres long.\nThe answer is 140." if seed % 3 == 0 else "It is 410 metres long.\nThe answer is 410."
    asked = prompt.messages[-1].content
    assert "[1] Alder Bridge" in asked
    wrong = "It is 410" in asked.split("<solution>")[1]
    return f'1. "It is 410": CONTRADICTED, it is 140.\n{LAST_LINE} No' if wrong else f"1. SUPPORTED.\n{LAST_LINE} Yes"


@pytest.fixture
def index(tmp_path):
    (tmp_path / "alder.md").write_text("# Alder Bridge\n\nIt crosses the Tamm and is 140 metres long.\n")
    (tmp_path / "elder.md").write_text("# Elder Church\n\nBuilt of brick in 1874.\n")
    (tmp_path / "oak.md").write_text("# Oak Mill\n\nGrinds corn.\n")
    build_index(tmp_path, tmp_path / "notes.index")
    return tmp_path / "notes.index"


def test_documents_overrule_the_vote(index):
    with Solver(engine=ScriptedEngine(says), verify=("toolv-facts",), index=index) as solver:
        choice = solver.solve(QUESTION, n=12, seed=1)
    assert choice.answer == "140" and choice.fallback is None
    refuted = [tried for tried in choice.tried if tried.verdict.refuted]
    assert len(refuted) > 6 and all(tried.answer == "410" and "it is 140" in tried.verdict.reason for tried in refuted)
    with Solver(engine=ScriptedEngine(says), verify=()) as plain:
        assert plain.solve(QUESTION, n=12, seed=1).answer == "410"


def test_an_index_adds_the_verifier_and_without_one_it_is_told(index, capsys):
    with FtsIndex.of([Passage("a", "b", "c")]) as own, Solver(engine=ScriptedEngine(says), index=own) as solver:
        assert [verifier.name for verifier in solver.verifiers] == ["claims", "toolv_code", "toolv_facts"]
    with pytest.raises(UsageError, match="toolwright index build"):
        Solver(engine=ScriptedEngine(says), verify=("toolv-facts",))
    with pytest.raises(UsageError, match="no index at"):
        Solver(engine=ScriptedEngine(says), index=index.parent / "none.index")
    assert run(["solve", QUESTION, "--verify", "toolv-facts", "--model", "pico"]) == 2
    assert "give it with --index" in capsys.readouterr().err.splitlines()[-1]
