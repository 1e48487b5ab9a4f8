"""The knowledge experiment's own roles: what their lessons say, and the four conditions with readers whose reading is known."""

from __future__ import annotations

import random
import re

import pytest

from toolwright.engines import HFEngine, ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import result_complaints
from toolwright.recipes.distill import packaged
from toolwright.recipes.reading_roles import ReadingForm, lessons, measure, reading_lesson, statements, train_role
from toolwright.tasks import knowledge_of, load

TASK = load("encyclopedia:entities=400,two_facts=0,form=choice,count=12")


def own_and_twins(problem, known):
    by_id = {p.id: p for p in known.passages}
    own = by_id[problem.meta["documents"][0]]
    family = next(members for members in known.families.values() if any(e.id == own.id for e in members))
    return own, [by_id[e.id] for e in family if e.id != own.id]


def test_a_reading_lesson_says_no_only_where_the_telling_passage_contradicts():
    task = load("encyclopedia:entities=400,two_facts=0,form=open,count=20", split="train")
    known, kinds = knowledge_of(task), set()
    for number, problem in enumerate(task.problems * 3):
        own, twins = own_and_twins(problem, known)
        prompt, rationale = reading_lesson(problem, own, twins, random.Random(number))
        text = prompt.spans[0].text
        documents, _, said = text.partition("<|verify|>")
        told, mistaken = own.text in documents, said.startswith(statements(problem.meta["mistaken"]))
        assert rationale.endswith("No") is (told and mistaken)
        assert rationale.startswith("not told") is not told
        assert not told or problem.gold in rationale
        assert "The answer is" not in text and said.endswith("<|judge|>")
        kinds.add((told, mistaken))
    assert len(kinds) == 4


def answering(prompt, seed):
    problem = next(p for p in TASK.problems if p.question in prompt.messages[-1].content)
    return problem.meta["solution" if derive_seed("kind", seed) % 5 < 2 else "mistaken"]


def reading(prompt, seed):
    """Holds the number or last word of a statement against the passage that bears its subject's very name."""
    documents, _, said = prompt.spans[0].text.removeprefix("<|user|>").partition("<|verify|>")
    statement = said.removesuffix("<|judge|>")
    value = re.search(r"\d+", statement) or re.search(r"(\w+)(?: by trade)?\.", statement)
    for line in documents.splitlines():
        name, _, text = line.partition(": ")
        if name in statement and (value[1] if value.re.groups else value[0]) not in text:
            return f"{name}: another\nNo"
    return "not told\nYes"


def test_the_four_conditions_with_a_reader_that_reads(tmp_path):
    engines = ScriptedEngine(answering, name="answer"), ScriptedEngine(reading, name="read")
    content = measure(TASK, folder=tmp_path, store=tmp_path / "store", n=4, engines=engines, tell=lambda line: None)
    assert result_complaints(content) == []
    right = {row["condition"]: row["accuracy"] for row in content["tables"]["accuracy"] if row["strategy"] == "filtered"}
    assert right["gold"] >= right["retrieved"] >= right["none"] == right["garbage"] and right["gold"] > right["none"]
    assert 0 < content["tables"]["retrieval"][0]["recall_at_3"] <= 1
    assert {each["id"] for each in content["claims"]} == {"gold-retrieved", "retrieved-none", "none-garbage", "gold-none"}


def test_other_tasks_are_refused(tmp_path):
    with pytest.raises(UsageError, match="know only the encyclopedia"):
        measure(load("wordproblems:count=1"), folder=tmp_path, store=tmp_path)


@pytest.mark.slow
def test_a_role_is_trained_once_and_loads_as_an_adapter(tmp_path):
    lines = []
    counts = {"answer": 8, "read": 8}
    facts = train_role("read", tmp_path, minutes=0.05, counts=counts, threads=1, tell=lines.append)
    assert facts["lessons"] == 8 and facts["tokens"] > 0
    assert train_role("read", tmp_path, minutes=9, counts=counts, tell=lines.append) == facts, "what is trained is left alone"
    base = HFEngine.load(packaged("pico"), name="pico")
    assert base.with_adapter(tmp_path / "read").digest != base.digest
    example = lessons(base, "answer", 4)[0]
    written = base.tokenizer.decode([i for i, w in zip(example.ids, example.weights, strict=True) if w])
    assert re.search(r"The answer is \([A-D]\)\.<\|end\|>$", written)
    assert ReadingForm().name == "reading/1"
