"""``toolwright sandbox run | check | bench`` and the fault dials of ``toolwright eval``, as a person and a program use them."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from toolwright.cli import run

PROGRAM = [sys.executable, "-c", "from toolwright.cli import main; main()"]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def run_code(capsys, monkeypatch, code: bytes | str, *options: str) -> tuple[int, str, str]:
    data = code if isinstance(code, bytes) else code.encode("utf-8", "surrogatepass")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return call(capsys, "sandbox", "run", "-", *options)


@pytest.mark.parametrize(
    ("code", "exit_code", "out", "err"),
    [
        ("print('out')\nimport sys\nprint('err', file=sys.stderr)\nsys.exit(7)", 7, "out\n", "err\n"),
        ("", 0, "", ""),
        ("# only a comment\n\n", 0, "", ""),
        ("print(input())", 1, "", "EOFError"),
        ("6 * 7", 0, "", ""),
        ("print('no newline', end='')", 0, "no newline", ""),
        ("x = 1\x00", 1, "", "null bytes"),
        (b"\xef\xbb\xbfprint('bom')\r\nprint('crlf')\r\n", 0, "bom\ncrlf\n", ""),
        (b"# -*- coding: latin-1 -*-\nprint('\xe4')", 0, "ä\n", ""),
        ("print('数 😀 \\x1b[31m red')", 0, "数 😀 \x1b[31m red\n", ""),
        ("import os; os._exit(300 & 255)", 44, "", ""),
        ("import os; os.kill(os.getpid(), 9)", 137, "", "killed"),
        ("x = bytearray(1 << 40)", 124, "", "memory"),
        ("raise KeyError('k')", 1, "", "KeyError: 'k'"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, str | bytes) else None,
)
def test_run_of_standard_input(capsys, monkeypatch, code, exit_code, out, err):
    found = run_code(capsys, monkeypatch, code)
    assert found[:2] == (exit_code, out)
    assert err in found[2]
    assert bool(err) == bool(found[2])


def test_limits_end_it_with_124_and_what_was_printed_is_there(capsys, monkeypatch):
    code, out, err = run_code(capsys, monkeypatch, "print('before')\nwhile True: pass", "--timeout", "0.4")
    assert (code, out) == (124, "before\n")
    assert err in ("sandbox: timeout_cpu\n", "sandbox: timeout_wall\n"), "a busy machine may give it too little of a core"
    code, _, err = run_code(capsys, monkeypatch, "x = bytearray(64 << 20)", "--memory", "32")
    assert code == 124
    assert "MemoryError" in err


def test_long_output_is_passed_on_whole_and_what_is_too_long_is_told(capsys, monkeypatch):
    code, out, err = run_code(capsys, monkeypatch, "print('x' * 5_000_000)")
    assert (code, len(out), err) == (0, 5_000_001, "")
    code, out, err = run_code(capsys, monkeypatch, "for _ in range(20): print('x' * (1 << 20))")
    assert code == 0 and len(out) < (16 << 20) + 100 and "bytes left out" in out
    assert err == "sandbox: of a stream longer than 16 MiB only the beginning and the end were kept\n"
    assert run_code(capsys, monkeypatch, "'a value is not shown' * (1 << 20)") == (0, "", "")


def test_json_has_everything_and_the_exit_code_stays(capsys, monkeypatch):
    code, out, err = run_code(capsys, monkeypatch, "print(1)\nimport sys\nsys.exit(3)", "--json")
    told = json.loads(out)
    assert (code, err, told["outcome"], told["exit_code"], told["stdout"]) == (3, "", "error", 3, "1\n")
    assert told["level"] >= 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.py"], "no file at missing.py"),
        (["."], "no file at ."),
        (["bad.py"], "bad.py is neither UTF-8 text"),
        (["odd.py"], "odd.py is neither UTF-8 text"),
        (["ok.py", "--timeout", "0"], "timeout = 0, but it goes from 0.01"),
        (["ok.py", "--timeout", "nan"], "timeout = nan"),
        (["ok.py", "--timeout", "inf"], "timeout = inf"),
        (["ok.py", "--memory", "1"], "memory = 1, but it goes from 16 MiB"),
        (["ok.py", "--memory", "-512"], "memory = -512"),
        (["huge.py"], "bytes; the sandbox takes up to"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_odd_input_of_run_is_one_sentence(capsys, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    Path("ok.py").write_text("print(1)")
    Path("bad.py").write_bytes(b"print('\xff')")
    Path("odd.py").write_text("# coding: klingon\n")
    Path("huge.py").write_bytes(b"#" * (33 << 20))
    code, out, err = call(capsys, "sandbox", "run", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1


def test_a_closed_standard_input_or_output_is_no_traceback(tmp_path):
    path = tmp_path / "snippet.py"
    path.write_text("print(1)\nimport sys\nsys.exit(5)")
    done = subprocess.run(["bash", "-c", f'"$@" sandbox run {path} >&-', "bash", *PROGRAM], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (5, "")
    done = subprocess.run(["bash", "-c", '"$@" sandbox run - <&-', "bash", *PROGRAM], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert "standard input is closed" in done.stderr


def on_a_terminal(path: Path, *options: str) -> bytes:
    """What a terminal is sent by ``sandbox run``."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PROGRAM, "sandbox", "run", str(path), *options], stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:
        pass  # Linux's way to say that the other side is closed
    os.close(ours)
    process.wait()
    return seen


def test_a_terminal_is_not_sent_control_sequences_unless_asked(tmp_path):
    path = tmp_path / "snippet.py"
    path.write_text("print('\\x1b]0;owned\\x07\\x1b[2Jhello')")
    assert on_a_terminal(path) == b"hello\r\n"
    assert b"\x1b[2Jhello" in on_a_terminal(path, "--raw")


def test_check_names_every_layer_with_what_it_is_for(capsys):
    code, out, _ = call(capsys, "sandbox", "check", "--json")
    told = json.loads(out)
    assert code == 0
    assert {"namespaces", "root", "user", "landlock", "seccomp", "limits"} <= {layer["name"] for layer in told["layers"]}
    for layer in told["layers"]:
        assert set(layer) == {"name", "active", "why", "against"}
        assert isinstance(layer["active"], bool)
        assert layer["why"] and layer["against"]
    code, text, _ = call(capsys, "sandbox", "check")
    assert code == 0
    assert text.startswith(f"level {told['level']}\n")
    for layer in told["layers"]:
        assert f"{layer['name']}: " in text
        assert layer["against"] in text


def test_bench_measures_side_by_side(capsys):
    code, out, err = call(capsys, "sandbox", "bench", "--repeat", "1", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["repeat"], told["level"] >= 2, told["start_s"] > 0) == (1, True, True)
    assert [row["snippet"] for row in told["rows"]] == ["trivial", "numpy", "sympy"]
    for row in told["rows"]:
        assert min(row["fresh_ms"], row["sandbox_ms"], row["session_ms"]) > 0
        assert row["times_as_fast"] == pytest.approx(row["fresh_ms"] / row["sandbox_ms"])
    assert told["rows"][2]["times_as_fast"] > 3, "sympy is preloaded in one and not in the other"


def test_bench_refuses_nothing_to_measure(capsys):
    code, _, err = call(capsys, "sandbox", "bench", "--repeat", "0")
    assert (code, err) == (2, "error: repeat = 0, but at least 1 is needed\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sandbox-faults", "lying=0.05"], "no program is run"),
        (["--dialect", "retool", "--sandbox-faults", "drunk=1"], "'drunk=1' is no sandbox fault"),
        (["--dialect", "retool", "--sandbox-faults", "lying=3"], "lying=3.0 is no share"),
    ],
)
def test_fault_dials_that_cannot_be_are_told(capsys, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, "eval", "wordproblems:count=1", "--store", str(tmp_path / "runs"), *arguments)
    assert (code, out) == (2, "")
    assert told in err
