from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.tasks import load, load_file


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_jsonl_with_the_usual_names(tmp_path: Path) -> None:
    path = put(
        tmp_path, "mine.jsonl", lines({"id": 7, "Question": " 1+1? ", "answer": 2.0, "level": "easy"}, {"id": "b", "Question": "half?", "answer": "0.5"})
    )
    task = load_file(path)
    assert [(p.id, p.question, p.gold, p.meta) for p in task.problems] == [("7", "1+1?", "2", {"level": "easy"}), ("b", "half?", "0.5", {})]
    assert (task.name, task.source, task.trainable) == ("mine", "file", False)


@pytest.mark.parametrize("question", ["question", "problem", "prompt", "input", "PROMPT"])
@pytest.mark.parametrize("answer", ["answer", "gold", "target", "final_answer", "solution"])
def test_guessed_columns(tmp_path: Path, question: str, answer: str) -> None:
    path = put(tmp_path, "x.csv", f"{answer},{question}\n4,2+2?\n")
    (problem,) = load_file(path).problems
    assert (problem.question, problem.gold) == ("2+2?", "4")


def test_a_final_answer_goes_before_the_worked_one(tmp_path: Path) -> None:
    path = put(
        tmp_path, "x.jsonl", lines({"problem": "2+2?", "solution": "2+2 is\n4", "answer": "4"}, {"problem": "3+3?", "solution": "by adding", "answer": "6"})
    )
    assert [p.gold for p in load_file(path).problems] == ["4", "6"]
    assert load_file(path).problems[0].meta == {"solution": "2+2 is\n4"}


def test_golds_behind_marks(tmp_path: Path) -> None:
    path = put(
        tmp_path, "x.jsonl", lines({"question": "a?", "answer": "3+4=<<3+4=7>>7\n#### 7"}, {"question": "b?", "answer": "Thus\n$\\boxed{\\frac{1}{2}}$."})
    )
    assert [p.gold for p in load_file(path).problems] == ["7", "\\frac{1}{2}"]


def test_named_columns_and_ids_by_line(tmp_path: Path) -> None:
    path = put(tmp_path, "sums.tsv", "frage\tantwort\nEins und eins?\t2\n\nZwei und zwei?\t4\n")
    task = load_file(path, question="frage", answer="antwort")
    assert [p.id for p in task.problems] == ["sums-00002", "sums-00004"]
    assert load(f"{path}:question=frage,answer=antwort,limit=1").problems == task.problems[:1]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_bom_crlf_and_quoted_line_breaks(tmp_path: Path, name: str) -> None:
    text = '\ufeffquestion,answer\r\n"One, two\r\nand three?",6\r\n"She said ""four""",4\r\n'
    (first, second) = load_file(put(tmp_path, name, text)).problems
    assert (first.question, first.gold) == ("One, two\r\nand three?", "6")
    assert (second.id, second.question) == ("x-00004", 'She said "four"')


def test_bom_and_crlf_in_jsonl(tmp_path: Path) -> None:
    path = put(tmp_path, "x.jsonl", "\ufeff" + lines({"question": "a?", "answer": 1}).replace("\n", "\r\n\r\n") + '{"question": "b?", "answer": 2}')
    assert [(p.id, p.gold) for p in load_file(path).problems] == [("x-00001", "1"), ("x-00003", "2")]


@pytest.mark.parametrize(("answer", "letter"), [("B", "B"), ("b", "B"), (1, "B"), ("two", "B")])
def test_multiple_choice(tmp_path: Path, answer: object, letter: str) -> None:
    (problem,) = load_file(put(tmp_path, "x.jsonl", lines({"question": "1+1?", "choices": ["one", "two"], "answer": answer}))).problems
    assert (problem.choices, problem.gold) == (("one", "two"), letter)


def test_rows_may_change_their_columns(tmp_path: Path) -> None:
    path = put(
        tmp_path, "x.jsonl", lines({"question": "a?", "answer": 1}, {"problem": "b?", "gold": 2}, {"question": "c?", "options": ["u", "v"], "answer": "A"})
    )
    assert [(p.question, p.gold, len(p.choices)) for p in load_file(path).problems] == [("a?", "1", 0), ("b?", "2", 0), ("c?", "A", 2)]


GOOD = {"question": "1+1?", "answer": 2}
BROKEN: list[tuple[str, str | bytes, list[str]]] = [
    ("x.jsonl", lines(GOOD) + '{"question": "b?", "ans\n' + lines(GOOD), ["line 2", "not valid JSON", "fix or remove"]),
    ("x.jsonl", lines(GOOD, ["a"]), ["line 2", "a JSON list"]),
    ("x.jsonl", lines(GOOD, {"question": "  ", "answer": 1}), ["line 2", "'question'", "empty"]),
    ("x.jsonl", lines({"question": ["a"], "answer": 1}), ["line 1", "not a text"]),
    ("x.jsonl", lines(GOOD, {"question": "b?", "answer": ""}), ["line 2", "'answer'", "empty"]),
    ("x.jsonl", lines(GOOD, {"question": "b?", "answer": None}), ["line 2", "empty"]),
    ("x.jsonl", '{"question": "b?", "answer": NaN}', ["line 1", "finite"]),
    ("x.jsonl", lines({"question": "b?", "answer": {"x": 1}}), ["line 1", "dict"]),
    ("x.jsonl", lines({"question": "b?", "answer": "long\nstory"}), ["line 1", "'answer'", "several lines", "####"]),
    ("x.jsonl", lines(GOOD, {"text": "b?", "label": 1}), ["line 2", "no question column", "text, label", "question, problem"]),
    ("x.jsonl", lines({"question": "b?", "label": 1}), ["line 1", "no answer column", "question, label"]),
    ("x.jsonl", lines({"id": "a", **GOOD}, {"id": "b", **GOOD}, {"id": "a", **GOOD}), ["line 3", "'a'", "line 1"]),
    ("x.jsonl", lines({"id": None, **GOOD}), ["line 1", "id", "empty"]),
    ("x.jsonl", lines({"question": "b?", "choices": ["u", "v"], "answer": "C"}), ["line 1", "none of the 2 choices", "A to B"]),
    ("x.jsonl", lines({"question": "b?", "choices": ["u"], "answer": "A"}), ["line 1", "2 to 26"]),
    ("x.jsonl", "", ["holds no problems"]),
    ("x.jsonl", "[" * 100_000, ["line 1", "not valid JSON"]),
    ("x.jsonl", b'{"question": "caf\xe9", "answer": 1}\n', ["line 1", "UTF-8"]),
    ("x.csv", "What is 1+1?,2\nWhat is 2+2?,4\n", ["line 2", "no question column", "columns found: What is 1+1?, 2"]),
    ("x.csv", "question,answer\na?,1\nb?,2,3\n", ["line 3", "3 fields", "header has 2"]),
    ("x.csv", "question,answer\na?\n", ["line 2", "1 field,"]),
    ("x.csv", 'question,answer\na?,1\n"b?,2\n', ["line 3", "not valid CSV"]),
    ("x.csv", "question,question\na?,1\n", ["line 1", "twice"]),
    ("x.csv", "question,answer\n", ["holds no problems"]),
    ("x.csv", "question,answer\na?,\n", ["line 2", "'answer'", "empty"]),
    ("x.txt", "1+1?", ["format", ".jsonl", ".csv"]),
]


@pytest.mark.parametrize(("name", "content", "words"), BROKEN)
def test_broken_files_are_told_in_one_sentence(tmp_path: Path, name: str, content: str | bytes, words: list[str]) -> None:
    path = put(tmp_path, name, content)
    with pytest.raises(UsageError) as caught:
        load_file(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    for word in (name, *words):
        assert word in message, message


def test_damaged_gzip(tmp_path: Path) -> None:
    path = put(tmp_path, "x.jsonl.gz", lines(*({"question": f"{i}?", "answer": i * i} for i in range(2000))))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UsageError, match="damaged"):
        load_file(path)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(UsageError, match="line 1: the file is damaged"):
        load_file(path)


def test_no_such_file_column_or_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file at .*nothing\.jsonl"):
        load_file(tmp_path / "nothing.jsonl")
    path = put(tmp_path, "x.jsonl", lines(GOOD))
    with pytest.raises(UsageError, match=r"line 1: no column 'frage' for the question; columns found: question, answer"):
        load_file(path, question="frage")
    with pytest.raises(UsageError, match="no column 'nr' for the id"):
        load_file(path, id="nr")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        load_file(tmp_path / "folder.csv")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "x.jsonl", lines(GOOD))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"x\.jsonl cannot be read: Permission denied"):
        load_file(path)


def test_limit_and_seed(tmp_path: Path) -> None:
    path = put(tmp_path, "x.jsonl", lines(*({"question": f"{i}?", "answer": i} for i in range(50))))
    assert [p.gold for p in load_file(path, limit=3).problems] == ["0", "1", "2"]
    ten, twenty = (load_file(path, limit=n, seed=1).problems for n in (10, 20))
    assert twenty[:10] == ten and ten != load_file(path, limit=10).problems
    assert load_file(path, limit=10, seed=1).digest != load_file(path, limit=10, seed=2).digest
    with pytest.raises(UsageError, match="limit = 0"):
        load_file(path, limit=0)
