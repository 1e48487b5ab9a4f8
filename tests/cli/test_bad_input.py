"""Bad input gets one clear sentence on stderr, a non-zero exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolwright.cli import run

QUESTION = "Ann has 3 apples and buys 4 more. How many apples has she now?"


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def sentence(err: str) -> str:
    """The last line of stderr; there is no traceback above it."""
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.strip()]
    assert lines[-1].startswith("error: "), err
    assert sum(line.startswith("error: ") for line in lines) == 1
    return lines[-1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["solve", QUESTION, "--model", "./no-such-folder"], ["no-such-folder"]),
        (["solve", QUESTION, "-n", "0"], ["n = 0"]),
        (["solve", ""], ["question is empty"]),
        (["solve", "   \n"], ["question is empty"]),
        (["solve", QUESTION, "--strategy", "best"], ["'best'", "majority", "t1"]),
        (["solve", QUESTION, "--dialect", "klingon"], ["'klingon'", "retool"]),
        (["solve", QUESTION, "--verify", "oracle"], ["'oracle'", "claims"]),
        (["solve", QUESTION, "--temperature", "-1"], ["temperature", "0 to 5"]),
        (["solve", QUESTION, "--max-tokens", "0"], ["max-tokens", "1"]),
        (["eval", "gsm9k"], ["gsm9k", "gsm8k"]),
        (["eval", "wordproblems:digits=99"], ["digits", "1 to 7"]),
        (["eval", "wordproblems:digitz=3"], ["digitz"]),
        (["eval", "wordproblems", "-n", "four"], ["'four'"]),
        (["eval", "wordproblems", "-n", "0"], ["at least 1"]),
        (["eval", "wordproblems", "-s", "t2"], ["'t2'", "t1"]),
        (["check", "no-such-file.txt"], ["no-such-file.txt"]),
        (["sandbox", "run", "no-such-file.py"], ["no-such-file.py"]),
        (["sandbox", "run", "-", "--timeout", "-3"], ["-3"]),
        (["demo", "yesterday"], ["'yesterday'", "YYYY-MM-DD"]),
        (["train", "embedded", "giga"], ["giga", "pico"]),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else None,
)
def test_one_clear_sentence(capsys, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOOLWRIGHT_DATA", str(tmp_path))
    code, out, err = call(capsys, *arguments)
    assert code != 0
    assert out == ""
    for piece in told:
        assert piece in sentence(err)


@pytest.mark.parametrize("arguments", [["solve", "-"], ["check", "-"], ["sandbox", "run", "-"]], ids=" ".join)
def test_a_closed_standard_input_is_told(capsys, monkeypatch, arguments):
    monkeypatch.setattr(sys, "stdin", None)
    code, _, err = call(capsys, *arguments)
    assert code == 2
    assert "standard input is closed" in sentence(err)


def test_an_unknown_option_or_command_is_told_too(capsys):
    for arguments in (["solve", QUESTION, "--modell", "nano"], ["sovle", QUESTION]):
        code, _, err = call(capsys, *arguments)
        assert code == 2
        assert "No such" in err
        assert "Traceback" not in err


def test_an_unreachable_server_is_named(capsys):
    code, out, err = call(capsys, "solve", QUESTION, "--base-url", "http://127.0.0.1:9/v1", "--verify", "claims", "-n", "2")
    assert code != 0
    assert "127.0.0.1:9" in sentence(err)
    assert out == ""


def test_a_corrupt_line_is_named_by_its_number(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "answ\n')
    code, _, err = call(capsys, "eval", str(path))
    assert code != 0
    assert "mine.jsonl" in sentence(err)
    assert "line 2" in sentence(err)


def test_a_run_folder_that_cannot_be_written_is_told(capsys, tmp_path):
    # A file where the folder should be: what root cannot write either (a mode bit would not stop root).
    (tmp_path / "runs").write_text("")
    code, _, err = call(capsys, "eval", "wordproblems:count=2", "--store", str(tmp_path / "runs" / "eval"))
    assert code != 0
    assert "runs" in sentence(err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; the case above is its stand-in")
def test_a_read_only_run_folder_is_told(capsys, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    folder.chmod(0o555)
    code, _, err = call(capsys, "eval", "wordproblems:count=2", "--store", str(folder / "eval"))
    assert code != 0
    assert "runs" in sentence(err)


def test_a_missing_extra_prints_its_install_line(tmp_path):
    # A Python that cannot import torch stands for an installation without the extra.
    (tmp_path / "torch.py").write_text("raise ImportError('not here')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", "from toolwright.cli import main; main()", "solve", QUESTION, "-m", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 2
    assert 'pip install "toolwright[local]"' in sentence(done.stderr)


def test_a_number_of_ten_thousand_digits_is_taken_in_stride(capsys, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(f"{'9' * 10_000} + 1 = {'9' * 10_000}\n2 + 2 = 5\n")
    code, out, err = call(capsys, "check", str(path), "--json")
    assert code == 1
    assert "Traceback" not in err
    claims = json.loads(out)["claims"]
    assert [c["expected"] for c in claims if c["text"].startswith("2 + 2")] == ["4"]


def test_a_file_that_is_no_text_is_told(capsys, tmp_path):
    path = tmp_path / "picture.txt"
    path.write_bytes(b"\xff\xfe\x00\x80")
    code, _, err = call(capsys, "check", str(path))
    assert code != 0
    assert "UTF-8" in sentence(err)


def test_the_folder_of_a_model_without_weights_is_told(capsys, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    code, _, err = call(capsys, "solve", QUESTION, "--model", str(tmp_path))
    assert code != 0
    assert str(Path(tmp_path).name) in sentence(err)
