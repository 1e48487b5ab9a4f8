"""The four conditions end to end, on a scripted model that reads the documents it is shown, and the same path for MMLU-Pro."""

from __future__ import annotations

import json
import re

import pytest

from toolwright.engines import ScriptedEngine
from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes import knowledge_study, read_result, result_complaints
from toolwright.recipes.knowledge_study import measure
from toolwright.tasks import load
from toolwright.verifiers._facts_prompt import LAST_LINE, RULES

TASK = load("encyclopedia:entities=400,two_facts=0.4,count=16")


def reading(message: str) -> str:
    """A fact check by a reader who takes names to the letter: a sentence about a document's subject must end as the document says."""
    documents = re.search(r"<documents>\n(.*)\n</documents>", message, re.DOTALL)[1]  # type: ignore[index]
    solution = re.search(r"<solution>\n(.*)\nThe answer", message, re.DOTALL)[1]  # type: ignore[index]
    for title, text in re.findall(r"^\[\d+\] (.+) \(\w+\)\n(.*)$", documents, re.MULTILINE):
        for sentence in re.split(r"(?<=\.)\s", solution):
            told = sentence.replace(title, "", 1)
            value = re.search(r"\d+", told) or re.search(r"(\w+)(?: by trade)?\.$", told)
            if title in sentence and value is not None and not re.search(rf"\b{value[1] if value.re.groups else value[0]}\b", text):
                return f'1. "{sentence}": CONTRADICTED, the document on {title} says otherwise.\n{LAST_LINE} No'
    return f"1. All found or not told: SUPPORTED.\n{LAST_LINE} Yes"


def reader(task):
    """Right in two samples of five, else taken in by a near duplicate."""
    problems = {problem.question: problem for problem in task.problems}

    def reply(prompt, seed):
        asked = prompt.messages[-1].content
        if prompt.messages[0].content == RULES:
            return reading(asked)
        problem = next(problem for question, problem in problems.items() if asked.startswith(question))
        return problem.meta["solution" if derive_seed("kind", seed) % 5 < 2 else "mistaken"]

    return ScriptedEngine(reply, name="reader")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    engine, store = reader(TASK), tmp_path_factory.mktemp("store")
    return measure(TASK, engine, store=store, n=4, k=1), engine, store


def accuracy(content, condition, strategy="filtered"):
    return next(row["accuracy"] for row in content["tables"]["accuracy"] if (row["condition"], row["strategy"]) == (condition, strategy))


def test_a_reader_gains_from_gold_more_than_from_a_search_and_nothing_from_garbage(measured):
    content = measured[0]
    assert result_complaints(content) == []
    gold, retrieved, garbage, none = (accuracy(content, condition) for condition in ("gold", "retrieved", "garbage", "none"))
    assert gold >= retrieved > none >= garbage - 0.001
    assert none == accuracy(content, "none", "majority") and len({accuracy(content, c, "greedy") for c in ("gold", "none")}) == 1
    claims = {claim["id"]: claim for claim in content["claims"]}
    assert list(claims) == ["gold-retrieved", "retrieved-none", "none-garbage", "gold-none"]
    for name, (a, b) in {"gold-retrieved": (gold, retrieved), "retrieved-none": (retrieved, none), "gold-none": (gold, none)}.items():
        assert claims[name]["value"] == pytest.approx(a - b, abs=2e-5) and claims[name]["low"] <= claims[name]["value"]
    # The same candidates under both: what no document changes is no difference, with an interval of no width, however few problems there are.
    assert (claims["none-garbage"]["value"], claims["none-garbage"]["low"], claims["none-garbage"]["seen"]) == (0, 0, True)
    assert claims["gold-none"]["seen"] is (claims["gold-none"]["low"] > 0)


def test_at_least_as_good_is_not_shown_by_too_few_problems():
    row = {"a": "gold", "b": "retrieved", "difference": 0.0, "gap_low": -0.1, "gap_high": 0.1}
    assert knowledge_study.claims_of([row], 4)[0]["seen"] is False
    assert knowledge_study.claims_of([row | {"gap_low": -0.01}], 4)[0]["seen"] is True


def test_how_it_filtered_is_told_by_condition(measured):
    cards = {row["condition"]: row for row in measured[0]["tables"]["filters"]}
    assert set(cards) == {"garbage", "retrieved", "gold"}
    assert cards["gold"]["caught"] == 1.0 and cards["gold"]["false_refutation"] == 0.0
    assert 0 < cards["retrieved"]["caught"] < 1.0 and cards["retrieved"]["false_refutation"] == 0.0
    assert cards["garbage"]["caught"] < 0.05
    assert {row["condition"] for row in measured[0]["tables"]["documents"]} == {"none", "garbage", "retrieved", "gold"}


def test_candidates_are_drawn_once_for_all_conditions_and_kept(measured):
    content, engine, store = measured
    drawn = engine.samples
    again = measure(TASK, engine, store=store, n=4, k=1)
    assert engine.samples == drawn and again["tables"] == content["tables"]
    generated = sum(request.prompt.messages[0].content != RULES for request in engine.requests)
    assert generated == 16 * 5, "four samples and a greedy one per problem"
    judged = [request.prompt.messages[-1].content for request in engine.requests if request.prompt.messages[0].content == RULES]
    assert len(judged) <= 16 * 2 * 3, "each distinct text once under each condition with documents, for reports and differences together"


MMLU = [{"question_id": i, "question": f"Which gland makes hormone {i}?", "options": ["liver", "thymus", "spleen"], "answer": "B"} for i in range(6)]
WIKI = [{"id": f"w{i}", "title": f"Hormone {i}", "text": f"Hormone {i} is made by a gland called thymus."} for i in range(5)]
WIKI += [{"id": f"x{i}", "title": f"Street {i}", "text": "Nothing that a question asks for stands here."} for i in range(9)]


@pytest.fixture
def mmlu(tmp_path):
    (tmp_path / "mmlu_pro").mkdir()
    (tmp_path / "mmlu_pro" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MMLU))
    (tmp_path / "wiki.jsonl").write_text("".join(json.dumps(row) + "\n" for row in WIKI))
    return tmp_path


def test_mmlu_pro_goes_the_same_way_with_the_passages_given(mmlu):
    def reply(prompt, seed):
        if prompt.messages[0].content == RULES:
            asked = prompt.messages[-1].content
            wrong = re.search(r"made by (liver|spleen)", asked) and "thymus" in asked.split("<documents>")[1].split("</documents>")[0]
            return f"It is {'CONTRADICTED' if wrong else 'NOT FOUND'}.\n{LAST_LINE} {'No' if wrong else 'Yes'}"
        letter = derive_seed(seed) % 3
        return f"It is made by {('liver', 'thymus', 'spleen')[letter]}. The answer is ({'ABC'[letter]})."

    task = load("mmlu_pro", data=mmlu)
    content = measure(task, ScriptedEngine(reply, name="guesser"), store=mmlu / "run", passages=mmlu / "wiki.jsonl", n=4, k=2)
    assert result_complaints(content) == [] and "--passages wiki.jsonl" in content["command"] and str(mmlu) not in json.dumps(content)
    assert accuracy(content, "retrieved") > accuracy(content, "none") + 0.2
    assert {claim["id"]: claim["seen"] for claim in content["claims"]}["gold-retrieved"] is None, "no gold documents are known for it"


def test_the_command_writes_the_documents_of_every_problem_without_a_model(mmlu, capsys):
    arguments = ["mmlu_pro", "--data", str(mmlu), "--passages", str(mmlu / "wiki.jsonl"), "--store", str(mmlu / "run")]
    knowledge_study.main([*arguments, "--limit", "4", "--documents", str(mmlu / "d.jsonl")])
    rows = [json.loads(line) for line in (mmlu / "d.jsonl").read_text().splitlines()]
    assert [row["condition"] for row in rows[:3]] == ["none", "garbage", "retrieved"] and len(rows) == 12
    for row in rows:
        if row["condition"] == "retrieved":
            assert len(row["documents"]) == 3 and row["choices"] == ["liver", "thymus", "spleen"]
            number = int(re.search(r"\d+", row["question"])[0])  # type: ignore[index]
            assert number == 5 or row["documents"][0]["id"] == f"w{number}"
    assert "found nothing for 0" in capsys.readouterr().err
    with pytest.raises(UsageError, match="give --documents"):
        knowledge_study.main(arguments)
    with pytest.raises(UsageError, match="no passages of its own"):
        knowledge_study.main(["mmlu_pro", "--data", str(mmlu), "--documents", str(mmlu / "d.jsonl"), "--store", str(mmlu / "run")])


def test_a_model_by_its_name_writes_a_result(tmp_path, monkeypatch):
    task = load("encyclopedia:entities=200,two_facts=0,form=open,count=4")
    monkeypatch.setattr(knowledge_study, "load_engine", lambda model, base_url: reader(task))
    arguments = [task.name, "--model", "reader", "-n", "2", "-k", "1", "--store", str(tmp_path / "run"), "--write", str(tmp_path / "knowledge.json")]
    knowledge_study.main(arguments)
    content = read_result(tmp_path / "knowledge.json")
    assert content["command"] == f"{knowledge_study.COMMAND} {task.name} --model reader -n 2 -k 1 --write results/knowledge.json"
    assert content["models"]["reader"]["digest"]
