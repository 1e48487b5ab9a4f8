"""The generated encyclopedia: equal everywhere, true to its passages, split by entity, hard to search by words; and the four conditions of its documents."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from toolwright.checks import grade, refuted_claims
from toolwright.episodes import digest
from toolwright.errors import UsageError
from toolwright.retrieval import FtsIndex, recall
from toolwright.tasks import CONDITIONS, Asking, Library, World, ask, knowledge_of, load, self_check
from toolwright.tasks._knowledge import KINDS, SPLITS, knowledge

SMALL = World(entities=600, twins=6)


@pytest.fixture(scope="module")
def known():
    return knowledge(SMALL)


@pytest.fixture(scope="module")
def task():
    return load("encyclopedia:entities=600,two_facts=0.5,count=150")


@pytest.fixture(scope="module")
def index(known):
    with FtsIndex.of(known.passages) as made:
        yield made


def test_the_same_name_gives_the_same_problems_and_passages_in_another_process(task, known):
    code = "import sys; from toolwright.tasks import load, knowledge_of; t = load(sys.argv[1]); print(t.digest, knowledge_of(t).digest)"
    done = subprocess.run([sys.executable, "-c", code, task.name], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == [task.digest, known.digest]
    assert load(task.name) == task and knowledge_of(task) is known
    assert load(task.name, seed=1).digest != task.digest
    assert knowledge(World(600, 6, world=1)).digest != known.digest


def test_every_gold_answer_passes_its_own_grader(task):
    assert self_check(task, grade) == []


def test_facts_are_what_the_passages_say(task, known):
    passages = {p.id: p.text for p in known.passages}
    for problem in task.problems:
        for entity_id, fact in zip(problem.meta["documents"], problem.meta["facts"], strict=False):
            entity = known.by_id[entity_id]
            values = [*map(str, entity.values.values()), *([known.by_id[entity.town].name] if entity.town else [])]
            told = [value for value in values if re.search(rf"\b{value}\b", fact.replace(entity.name, ""))]
            assert told, fact
            assert all(re.search(rf"\b{value}\b", passages[entity_id]) for value in values)


def test_solutions_end_in_the_gold_answer_and_mistaken_ones_in_another(task):
    kinds = set()
    for problem in task.problems:
        kinds.add((problem.meta["kind"], bool(problem.choices)))
        assert re.search(rf"The answer is \(?{re.escape(problem.gold)}\)?\.$", problem.meta["solution"])
        assert re.search(rf"The answer is \(?{re.escape(problem.meta['mistaken_answer'])}\)?\.$", problem.meta["mistaken"])
        assert grade(problem.meta["mistaken_answer"], problem.gold, choices=problem.choices) is not True
        assert not refuted_claims(problem.meta["solution"]) and not refuted_claims(problem.meta["mistaken"]), "only the documents tell them apart"
        assert len(set(problem.choices)) in (0, 4)
    assert kinds == {(kind, choice) for kind in ("one", "chain", "difference") for choice in (True, False)}


def test_two_facts_need_two_documents_and_a_chain_does_not_name_the_second(task, known):
    for problem in task.problems:
        documents = problem.meta["documents"]
        assert len(set(documents)) == (1 if problem.meta["kind"] == "one" else 2)
        names = [known.by_id[name].name in problem.question for name in documents]
        assert names == ([True, False] if problem.meta["kind"] == "chain" else [True] * len(documents))


def test_names_differ_and_families_are_near_duplicates(known):
    names = [e.name for e in known.entities]
    assert len(set(names)) == len(names) == 600
    same = 0
    for members in known.families.values():
        assert len({e.kind for e in members}) == 1 and len({e.split for e in members}) == 1
        words = set(members[0].name.split())
        assert all(len(words & set(e.name.split())) >= 2 for e in members)
        same += sum(set(e.name.split()) == words for e in members)
        for attribute in KINDS[members[0].kind].attributes:
            assert len({e.values[attribute] for e in members}) == len(members), "a mix-up always shows"
    assert same == 400


def test_splits_share_no_entity_and_no_question(known):
    asked = {}
    for split in SPLITS:
        problems = load(f"encyclopedia:entities=600,two_facts=0.6,count=120,split={split}").problems
        found = {name for p in problems for name in p.meta["documents"]}
        assert {known.by_id[name].split for name in found} == {split}
        asked[split] = {p.question for p in problems}
    assert not asked["train"] & asked["test"] and not asked["validation"] & asked["test"]
    shares = [sum(e.split == split for e in known.entities) / 600 for split in SPLITS]
    assert shares[0] > 0.5 and min(shares) > 0.03
    assert load("encyclopedia:count=3,split=train").trainable and not load("encyclopedia:count=3").trainable


def test_a_search_by_words_finds_most_but_not_all(task, known, index):
    found = [recall([p.id for p in index.search(problem.question, 3)], problem.meta["documents"]) for problem in task.problems if problem.meta["kind"] == "one"]
    assert 0.6 <= sum(found) / len(found) <= 0.95
    easy = knowledge(World(600, twins=1))
    with FtsIndex.of(easy.passages) as other:
        problems = [ask("test", i, World(600, twins=1), Asking(two_facts=0)) for i in range(60)]
        assert all(recall([p.id for p in other.search(problem.question, 3)], problem.meta["documents"]) == 1 for problem in problems)


@pytest.mark.parametrize("entities", [200, 201, 1999])
def test_any_size_is_met_exactly(entities):
    assert len(knowledge(World(entities, twins=5, world=3)).passages) == entities


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("encyclopedia:entities=3", ["entities = 3", "200 to 200,000"]),
        ("encyclopedia:twins=13", ["twins = 13", "1 to 12"]),
        ("encyclopedia:world=x", ["world = 'x'"]),
        ("encyclopedia:form=essay", ["form = 'essay'", "mixed, open, choice"]),
        ("encyclopedia:two_facts=2", ["two_facts = 2", "0 to 1"]),
        ("encyclopedia:size=5", ["no setting 'size'", "entities, twins, world, two_facts, form, count, split, seed"]),
        ("encyclopedia:split=dev", ["no split 'dev'"]),
        ("encyclopedia:count=0", ["count = 0"]),
        ("encyclopedia:entities=200,two_facts=0,count=300", ["different test problems", "count = 300"]),
    ],
)
def test_wrong_settings_are_told_in_one_sentence(name, words):
    with pytest.raises(UsageError) as caught:
        load(name)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no world of its own"):
        knowledge_of("gsm8k")


def test_the_four_conditions(task, known, index):
    libraries = {condition: Library(condition, task, known.passages, retriever=index, k=3, seed=1) for condition in CONDITIONS}
    assert len({library.digest for library in libraries.values()}) == 4
    for problem in task.problems[:40]:
        gold = problem.meta["documents"]
        shown = {condition: [p.id for p in library(problem.asked(), problem.meta["solution"])] for condition, library in libraries.items()}
        assert shown["none"] == [] and shown["gold"] == gold
        assert len(set(shown["garbage"])) == 3 and not set(shown["garbage"]) & set(gold)
        assert shown["retrieved"] == [p.id for p in index.search(f"{problem.question}\n{problem.meta['solution']}", 3)]
        assert [p.id for p in libraries["garbage"](problem)] == shown["garbage"], "the same for every candidate of a problem"
    assert Library("garbage", task, known.passages, seed=2)(task.problems[0]) != libraries["garbage"](task.problems[0])


def test_a_condition_that_lacks_what_it_needs_is_told(task, known):
    plain = load("wordproblems:count=3")
    for arguments, told in (
        (("silver", task), "no condition 'silver'"),
        (("retrieved", task, known.passages), "needs a retriever"),
        (("gold", plain, known.passages), "does not know the gold documents"),
        (("gold", task, known.passages[:9]), "not among the passages"),
        (("garbage", task, known.passages[:4]), "too few"),
    ):
        with pytest.raises(UsageError, match=told):
            Library(*arguments)
    with pytest.raises(UsageError, match="k = 0"):
        Library("none", task, k=0)
    with pytest.raises(UsageError, match="none of this library's task"):
        Library("gold", task, known.passages)(plain.problems[0])


def test_the_world_does_not_change_unnoticed(known):
    # Models are trained on it and results name it; a change of words, names or draws must be meant.
    assert digest(known.digest, load("encyclopedia:entities=600,count=20").digest) == "d1ad6a72ed7a0a1b"
