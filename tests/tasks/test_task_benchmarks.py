from __future__ import annotations

import gzip
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from toolwright.checks import Equivalence
from toolwright.errors import MissingExtra, UsageError
from toolwright.tasks import Task, load, self_check

COUNTS = {
    "gsm8k": 1319,
    "svamp": 1000,
    "asdiv": 2305,
    "multiarith": 600,
    "addsub": 395,
    "singleeq": 508,
    "singleop": 562,
    "math500": 500,
    "aime2024": 30,
    "amc2023": 40,
}
HUB_ROWS: dict[str, tuple[str, str | None, dict[str, list[dict[str, Any]]], list[tuple[str, str, str]]]] = {
    "gsm8k": (
        "openai/gsm8k",
        "main",
        {"test": [{"question": "A?", "answer": "1+1=<<1+1=2>>2\n#### 1,002"}, {"question": "B?", "answer": "#### 3"}]},
        [("gsm8k-test-00000", "A?", "1002"), ("gsm8k-test-00001", "B?", "3")],
    ),
    "svamp": (
        "ChilleD/SVAMP",
        None,
        {
            "train": [{"ID": "chal-2", "Body": "He has 2.", "Question": "How many?", "Answer": "2.0", "Equation": "2", "Type": "Addition"}],
            "test": [{"ID": "chal-1", "Body": "She has 1", "Question": "How many?", "Answer": "1.0", "Equation": "1", "Type": "Addition"}],
        },
        [("svamp-chal-1", "She has 1. How many?", "1"), ("svamp-chal-2", "He has 2. How many?", "2")],
    ),
    "asdiv": (
        "EleutherAI/asdiv",
        None,
        {"validation": [{"body": "He has 2.", "question": "How many?", "answer": "2 (apples)", "solution_type": "Sum", "formula": "2"}]},
        [("asdiv-nluds-0001", "He has 2. How many?", "2")],
    ),
    "multiarith": (
        "ChilleD/MultiArith",
        None,
        {"train": [{"question": " A? ", "final_ans": "5"}], "test": [{"question": "B?", "final_ans": "6"}]},
        [("multiarith-0000", "A?", "5"), ("multiarith-0001", "B?", "6")],
    ),
    "math500": (
        "HuggingFaceH4/MATH-500",
        None,
        {"test": [{"problem": "A?", "answer": "\\frac{1}{2}", "unique_id": "test/algebra/7.json", "level": 1, "subject": "Algebra"}]},
        [("math500-algebra-7", "A?", "\\frac{1}{2}")],
    ),
    "aime2024": ("HuggingFaceH4/aime_2024", None, {"train": [{"id": 60, "problem": "A?", "answer": "025"}]}, [("aime2024-00", "A?", "25")]),
    "amc2023": ("math-ai/amc23", None, {"test": [{"id": 0, "question": "A?", "answer": 27.0}]}, [("amc2023-00", "A?", "27")]),
    "mmlu_pro": (
        "TIGER-Lab/MMLU-Pro",
        None,
        {"test": [{"question_id": 70, "question": "A?", "options": ["x", "y "], "answer": "B", "category": "law"}]},
        [("mmlu-pro-70", "A?", "B")],
    ),
}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, and no `datasets` library."""
    monkeypatch.delenv("TOOLWRIGHT_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)


def hub(monkeypatch: pytest.MonkeyPatch, rows: dict[str, list[dict[str, Any]]] | Exception) -> list[tuple[Any, ...]]:
    """A stand-in for the `datasets` library; the list fills with the calls."""
    calls: list[tuple[Any, ...]] = []

    def load_dataset(identity: str, config: str | None = None, *, split: str) -> list[dict[str, Any]]:
        calls.append((identity, config, split))
        if isinstance(rows, Exception):
            raise rows
        return rows[split]

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    monkeypatch.delenv("TOOLWRIGHT_DATA", raising=False)
    return calls


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


@pytest.mark.parametrize("name", sorted(HUB_ROWS))
def test_rows_of_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    identity, config, rows, expected = HUB_ROWS[name]
    calls = hub(monkeypatch, rows)
    task = load(name)
    assert [(p.id, p.question, p.gold) for p in task.problems] == expected
    assert task.source == "hub" and task.licence
    assert calls == [(identity, config, split) for split in rows]


def test_choices_come_with_their_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, HUB_ROWS["mmlu_pro"][2])
    (problem,) = load("mmlu_pro").problems
    assert (problem.choices, problem.gold) == (("x", "y"), "B")
    hub(monkeypatch, {"test": [{"question_id": 70, "question": "A?", "options": ["x"], "answer": "B"}]})
    with pytest.raises(UsageError, match="none of its 1 options"):
        load("mmlu_pro")


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("file", ["mawps/addsub.jsonl", "addsub/test.jsonl"])
def test_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, ending: str) -> None:
    write(tmp_path / (file + ending), {"id": "addsub-0000", "problem": "A ?", "answer": 0.6666666667}, {"id": "addsub-0001", "problem": "B ?", "answer": 43.0})
    by_argument = load("addsub", data=tmp_path)
    monkeypatch.setenv("TOOLWRIGHT_DATA", str(tmp_path))
    assert load("addsub") == by_argument
    assert [p.gold for p in by_argument.problems] == ["2/3", "43"]
    assert by_argument.source == "folder" and not by_argument.trainable


def test_only_the_training_split_is_trainable(tmp_path: Path) -> None:
    row = {"question": "A?", "answer": "#### 2"}
    write(tmp_path / "gsm8k/test.jsonl", row)
    write(tmp_path / "gsm8k/train.jsonl.gz", row)
    test, train = load("gsm8k", data=tmp_path), load("gsm8k:split=train", data=tmp_path)
    assert (test.trainable, train.trainable) == (False, True)
    assert (test.name, train.name) == ("gsm8k", "gsm8k:split=train")
    assert (test.problems[0].id, train.problems[0].id) == ("gsm8k-test-00000", "gsm8k-train-00000")


def test_nothing_there(offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtra) as caught:
        load("gsm8k")
    message = str(caught.value)
    for word in ("gsm8k/test.jsonl", "TOOLWRIGHT_DATA", "openai/gsm8k", 'pip install "toolwright[hub]"'):
        assert word in message
    with pytest.raises(UsageError, match=r"addsub.*TOOLWRIGHT_DATA.*docs/data\.md"):
        load("addsub")
    monkeypatch.setenv("TOOLWRIGHT_DATA", str(tmp_path))
    with pytest.raises(MissingExtra, match=f"{tmp_path}/gsm8k/test.jsonl is not there"):
        load("gsm8k")


def test_a_folder_given_by_hand_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, HUB_ROWS["gsm8k"][2])
    with pytest.raises(UsageError, match=r"gsm8k/test\.jsonl is not there"):
        load("gsm8k", data=tmp_path)
    assert calls == []


def test_a_failed_download_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, ConnectionError("Couldn't reach the hub\nretrying " + "x" * 500))
    with pytest.raises(UsageError, match=r"openai/gsm8k could not be fetched from the Hugging Face hub \(Couldn't reach") as caught:
        load("gsm8k")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_bad_rows_are_named(tmp_path: Path) -> None:
    write(tmp_path / "gsm8k/test.jsonl", {"question": "A?", "answer": "#### 1"}, {"frage": "B?", "answer": "#### 2"})
    with pytest.raises(UsageError, match=r"line 2 is no row of gsm8k: no field 'question'; its fields are answer, frage"):
        load("gsm8k", data=tmp_path)
    write(tmp_path / "gsm8k/test.jsonl", {"question": "A?", "answer": "#### one"})
    with pytest.raises(UsageError, match=r"line 1 is no row of gsm8k: 'one' is not a number"):
        load("gsm8k", data=tmp_path)
    write(tmp_path / "gsm8k/test.jsonl", {"question": " ", "answer": "#### 1"})
    with pytest.raises(UsageError, match="line 1: the question is empty"):
        load("gsm8k", data=tmp_path)
    write(tmp_path / "gsm8k/test.jsonl", *[{"id": "x", "question": "A?", "answer": "#### 1"}] * 2)
    with pytest.raises(UsageError, match="the id x twice"):
        load("gsm8k", data=tmp_path)
    write(tmp_path / "gsm8k/test.jsonl")
    with pytest.raises(UsageError, match="holds no problems"):
        load("gsm8k", data=tmp_path)
    with pytest.raises(UsageError, match="svamp has no split 'train'; it has test"):
        load("svamp", split="train", data=tmp_path)


def test_the_digest_is_the_identity_of_the_problems(tmp_path: Path) -> None:
    def digest_of(**row: Any) -> str:
        write(tmp_path / "gsm8k/test.jsonl", {"id": "x", "question": "A?", "answer": "#### 1", **row})
        return load("gsm8k", data=tmp_path).digest

    first = digest_of()
    assert first == digest_of(answer="another way\n#### 1.0", note="unseen")
    assert len({first, digest_of(id="y"), digest_of(question="B?"), digest_of(answer="#### 2")}) == 4


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_the_real_data_passes_its_own_grader(name: str, data: Path) -> None:
    task = load(name, data=data)
    assert len(task.problems) == COUNTS[name]
    with Equivalence() as equivalence:
        assert self_check(task, equivalence.grade) == []


def test_mmlu_pro_passes_its_own_grader(data: Path) -> None:
    task = load("mmlu_pro", data=data, limit=1500, seed=0)
    assert len(task.problems) == 1500 and max(len(p.choices) for p in task.problems) == 10
    with Equivalence() as equivalence:
        assert self_check(task, equivalence.grade) == []


def test_gsm8k_training_split(data: Path) -> None:
    task = load("gsm8k", data=data, split="train")
    assert len(task.problems) == 7473 and task.trainable
    assert not {p.question for p in task.problems} & {p.question for p in load("gsm8k", data=data).problems}


def test_known_golds(data: Path) -> None:
    golds = {name: {p.id: p.gold for p in load(name, data=data).problems} for name in ("asdiv", "addsub", "singleop", "aime2024", "amc2023", "svamp")}
    assert golds["asdiv"]["asdiv-nluds-1295"] == "5, 15, 20"
    assert golds["asdiv"]["asdiv-nluds-1331"] == "-1/3"
    assert golds["asdiv"]["asdiv-nluds-0868"] == "60"
    assert golds["addsub"]["addsub-0175"] == "2/3"
    assert golds["singleop"]["singleop-0457"] == "10/3"
    assert golds["aime2024"]["aime2024-07"] == "25"
    assert golds["amc2023"]["amc2023-15"] == "-1"
    assert golds["svamp"]["svamp-chal-1"] == "51"


def test_the_asdiv_forms(data: Path) -> None:
    forms = [p.meta["form"] for p in load("asdiv", data=data).problems]
    assert {form: forms.count(form) for form in set(forms)} == {"number": 2087, "several": 90, "words": 57, "ratio": 43, "time": 17, "fraction": 9, "date": 2}


def test_self_check_complains() -> None:
    from toolwright.episodes import Problem

    def task(*problems: Problem) -> Task:
        return Task("mine", problems, "file")

    def honest(answer: str | None, gold: str, choices: object = ()) -> bool | None:
        return None if gold == "?" else answer == gold

    sound = (Problem("a", "1+1?", "2"), Problem("b", "which?", "B", ("x", "y")))
    assert self_check(task(*sound), honest) == []
    assert self_check(task(Problem("c", "what?")), honest) == ["c: no gold answer"]
    assert "not decided about" in self_check(task(Problem("d", "what?", "?")), honest)[0]
    assert "refused" in self_check(task(Problem("e", "what?", "$5")), lambda answer, gold, choices=(): answer == "5")[0]
    assert [c.split(":")[0] for c in self_check(task(*sound), lambda *_, **__: True)] == ["a", "b"]
