from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from toolwright.episodes import Problem
from toolwright.errors import UsageError
from toolwright.tasks import Dial, Task, load, task_names
from toolwright.tasks._registry import BUILT_IN

NAMES = "addsub aime2024 amc2023 asdiv gsm8k math500 mmlu_pro multiarith singleeq singleop svamp wordproblems"


def test_the_names() -> None:
    assert set(NAMES.split()) <= set(task_names())
    assert task_names() == sorted(task_names())


def test_pyproject_registers_the_built_in_tasks() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    group = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["entry-points"]["toolwright.tasks"]
    for name, target in group.items():
        module, _, attribute = target.partition(":")
        assert not any(part.startswith("_") for part in module.split(".")), f"{name} is registered by a private module"
        assert getattr(import_module(module), attribute) is BUILT_IN[name]
    assert set(group) == set(BUILT_IN)


def test_a_package_can_register_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(*, data: object = None, split: str = "test", limit: int | None = None, seed: int | None = None, level: int = 1) -> Task:
        return Task(f"mine:level={level}", (Problem("a", "1+1?", "2"),), "generated", split)

    class Entry:
        name = "mine"

        def load(self) -> Any:
            return mine

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Entry()] if group == "toolwright.tasks" else [])
    assert "mine" in task_names() and "gsm8k" in task_names()
    assert load("mine:level=3,split=train").name == "mine:level=3"
    with pytest.raises(UsageError, match="mine has no setting 'height'; it has split, limit, seed, level"):
        load("mine", height=2)


def test_settings_in_the_name_are_arguments() -> None:
    by_name = load("wordproblems:digits=4, steps=3,novelty=compositions,count=5,seed=7,distractors=0")
    by_argument = load("wordproblems", dial=Dial(digits=4, steps=3, novelty="compositions", distractors=0), count=5, seed=7)
    assert by_name == by_argument
    assert by_name.name == "wordproblems:digits=4,steps=3,distractors=0.0,novelty=compositions,count=5,seed=7"
    assert load(by_name.name) == by_name
    assert load("wordproblems:count=9,split=validation", limit=4).problems == load("wordproblems", count=4, split="validation").problems


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gsm9k", ["no task named 'gsm9k'", "did you mean gsm8k", "wordproblems", ".jsonl"]),
        ("nothing", ["no task named 'nothing'", "there are addsub"]),
        ("nothing:count=3", ["no task named 'nothing'"]),
        ("", ["no task named ''"]),
        ("wordproblems:digits=9", ["digits = 9", "1 to 7"]),
        ("wordproblems:digits=four", ["digits = 'four'", "1 to 7"]),
        ("wordproblems:digits=2.5", ["digits = 2.5"]),
        ("wordproblems:steps=0", ["steps = 0", "1 to 8"]),
        ("wordproblems:distractors=2", ["distractors = 2", "0 to 1"]),
        ("wordproblems:stories=often", ["stories = 'often'"]),
        ("wordproblems:novelty=new", ["novelty = 'new'", "numbers, templates, compositions"]),
        ("wordproblems:novelty=compositions,steps=2", ["steps = 2", "compositions", "3 to 8"]),
        ("wordproblems:digit=4", ["no setting 'digit'", "digits, steps, distractors, stories, novelty, count, split, seed"]),
        ("wordproblems:digits", ["no task named 'wordproblems:digits'"]),
        ("wordproblems:digits=4,steps", ["'steps' is no setting", "name=value"]),
        ("wordproblems:digits=,steps=2", ["'digits=' is no setting"]),
        ("wordproblems:digits=4,digits=5", ["sets digits twice"]),
        ("wordproblems:count=0", ["count = 0", "at least one"]),
        ("wordproblems:count=many", ["count = 'many'", "whole number"]),
        ("wordproblems:split=dev", ["no split 'dev'", "train, validation, test"]),
        ("gsm8k:shots=5", ["gsm8k has no setting 'shots'", "split, limit, seed"]),
        ("gsm8k:limit=0", ["limit = 0"]),
        ("no/such/file.jsonl", ["no file at no/such/file.jsonl"]),
    ],
)
def test_wrong_names_are_told_in_one_sentence(name: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text('{"question": "A?", "answer": "#### 1"}\n')
    with pytest.raises(UsageError) as caught:
        load(name, data=tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_paths_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "odd:name.csv"
    path.write_text("question,answer\n1+1?,2\n")
    assert load(path).problems == load(str(path)).problems == load(f"{path}:limit=1").problems
    with pytest.raises(UsageError, match="a file has no splits"):
        load(path, split="train")
    with pytest.raises(UsageError, match="a file has no setting 'count'; it has question, answer, id, limit, seed"):
        load(path, count=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="cannot tell the format"):
        load("notes.txt")


def test_the_import_is_light() -> None:
    code = (
        "import sys, time; import toolwright.checks; start = time.process_time(); import toolwright.tasks; "
        "assert time.process_time() - start < 0.5; "
        "assert not {'torch', 'sympy', 'datasets', 'transformers', 'math_verify'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
