"""The commands as a person and a program use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

from toolwright.cli import run

HAS_PICO = (Path(str(files("toolwright"))) / "embedded" / "pico" / "model.safetensors").is_file()
needs_pico = pytest.mark.skipif(not HAS_PICO, reason="the embedded model pico is not in this installation")
QUESTION = "There are 57 apples in a basket. 18 apples are eaten. How many apples are left?"


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@needs_pico
def test_solve_json_has_what_is_promised(capsys):
    code, out, err = call(capsys, "solve", QUESTION, "--model", "pico", "-n", "4", "--json", "--seed", "3")
    assert code == 0, err
    told = json.loads(out)
    assert set(told) == {"answer", "tried", "strategy", "fallback", "note", "cost", "model", "seed"}
    assert len(told["tried"]) == 4
    for tried in told["tried"]:
        assert set(tried) == {"answer", "text", "verdict", "reward", "cluster"}
        assert set(tried["verdict"]) == {"score", "reason"}
    assert set(told["cost"]) == {"prompt_tokens", "model_tokens", "tool_calls", "wall_s"}
    assert told["cost"]["model_tokens"] > 0
    assert (told["strategy"], told["model"], told["seed"]) == ("t1", "pico", 3)


@needs_pico
def test_equal_seeds_give_equal_answers_and_a_store_draws_nothing_again(capsys, tmp_path):
    arguments = ["solve", QUESTION, "--model", "pico", "-n", "4", "--json", "--store", str(tmp_path / "run")]
    first = json.loads(call(capsys, *arguments)[1])
    again = json.loads(call(capsys, *arguments)[1])
    fresh = json.loads(call(capsys, *arguments[:-2])[1])
    assert [t["text"] for t in first["tried"]] == [t["text"] for t in again["tried"]] == [t["text"] for t in fresh["tried"]]


@needs_pico
def test_the_interpreter_dialect_calls_the_tool(capsys):
    code, out, err = call(capsys, "solve", QUESTION, "--model", "pico", "-n", "4", "--json", "--dialect", "retool")
    assert code == 0, err
    told = json.loads(out)
    assert told["cost"]["tool_calls"] >= 1
    assert any("<interpreter>" in tried["text"] for tried in told["tried"])


@needs_pico
def test_eval_json_has_a_row_per_task_strategy_and_n(capsys, tmp_path):
    task = "wordproblems:digits=2,steps=1,count=4"
    code, out, err = call(
        capsys, "eval", task, "--model", "pico", "-n", "1,2", "-s", "greedy,majority,t1", "--store", str(tmp_path), "--json", "--max-tokens", "60"
    )
    assert code == 0, err
    rows = json.loads(out)["results"]
    assert {(row["strategy"], row["n"]) for row in rows} >= {("greedy", 1), ("majority", 1), ("majority", 2), ("t1", 1), ("t1", 2)}
    for row in rows:
        assert {"task", "strategy", "n", "accuracy", "low", "high", "problems", "cost"} <= set(row)
        assert row["problems"] == 4
        assert row["low"] <= row["accuracy"] <= row["high"]


@needs_pico
def test_ctrl_c_leaves_a_store_that_goes_on(tmp_path):
    command = [sys.executable, "-c", "from toolwright.cli import main; main()", "eval", "wordproblems:count=40,digits=2", "--model", "pico", "-n", "8"]
    command += ["-s", "majority", "--max-tokens", "80", "--store", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any(path.stat().st_size > 20_000 for path in tmp_path.rglob("*.sqlite*")):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode in (0, 130)
    assert process.returncode == 0 or "interrupted" in err
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "majority" in done.stdout


def test_check_names_place_verdict_and_right_value(capsys, tmp_path):
    text = "First 12 * 4 = 48.\nThen 48 + 7 = 56, so x = 3.\n"
    path = tmp_path / "solution.txt"
    path.write_text(text)
    code, out, _ = call(capsys, "check", str(path), "--json")
    assert code == 1
    claims = json.loads(out)["claims"]
    for claim in claims:
        assert set(claim) == {"text", "start", "end", "verdict", "expected"}
        assert text[claim["start"] : claim["end"]] == claim["text"]
    assert [(c["verdict"], c["expected"]) for c in claims if c["verdict"] == "false"] == [("false", "55")]
    code, out, _ = call(capsys, "check", str(path))
    assert "line 2: false" in out
    assert "55" in out


def test_check_of_a_right_solution_leaves_with_zero(capsys, tmp_path):
    path = tmp_path / "solution.txt"
    path.write_text("3 * 4 = 12 and 12 / 8 = 1.5")
    assert call(capsys, "check", str(path))[0] == 0


def test_sandbox_run_passes_streams_and_exit_code_through(tmp_path):
    program = [sys.executable, "-c", "from toolwright.cli import main; main()", "sandbox", "run"]

    def go(code: str, *options: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "snippet.py"
        path.write_text(code)
        return subprocess.run([*program, str(path), *options], capture_output=True, text=True, timeout=60)

    done = go("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(7)\n")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert "err" in done.stderr
    assert go("while True: pass", "--timeout", "0.5").returncode == 124
    told = json.loads(go("print(6 * 7)", "--json").stdout)
    assert (told["outcome"], told["stdout"]) == ("ok", "42\n")
    assert told["level"] >= 0


def test_sandbox_check_and_doctor_tell_the_level(capsys):
    code, out, _ = call(capsys, "sandbox", "check", "--json")
    assert code == 0
    level = json.loads(out)["level"]
    code, out, _ = call(capsys, "doctor", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["sandbox"]["level"] == level
    assert told["extras"]["local"]["install"] == 'pip install "toolwright[local]"'
    assert call(capsys, "doctor")[0] == 0


def test_help_and_version_are_quick_and_need_no_model():
    started = time.process_time()
    for option in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-X", "importtime", "-c", "from toolwright.cli import main; main()", option], capture_output=True, text=True)
        assert done.returncode == 0
        assert not any(heavy in done.stderr for heavy in (" torch", " transformers", " sympy\n")), "help must not load heavy libraries"
    assert time.process_time() - started < 30


@needs_pico
def test_the_demo_solves_a_held_out_problem_by_date(capsys):
    code, out, _ = call(capsys, "demo", "2026-03-01", "--model", "pico", "-n", "2", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["question"]
    assert told["gold"]
    assert isinstance(told["right"], bool)
    assert os.environ.get("TOOLWRIGHT_TRACEBACK") is None
