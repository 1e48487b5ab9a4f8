"""``toolwright reproduce``, ``distill`` and ``calibrate``: what is typed reaches the recipes. The recipes themselves are tested beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolwright.cli import run
from toolwright.errors import UsageError
from toolwright.recipes import distill, result, t1_study


@pytest.fixture
def asked(monkeypatch):
    """What the T1 study was asked for."""
    found = {}

    def measure(model, **options):
        found.update(options, model=model)
        return result("toolwright reproduce t1", seconds=1, tables={"reward_model": "genrm"})

    monkeypatch.setattr(t1_study, "measure", measure)
    return found


def test_the_t1_study_gets_every_seed_every_control_and_the_grid(asked, tmp_path, capsys):
    arguments = ["--problems", "30", "-n", "4", "--controls", "50", "--programs", "4", "--lying", "0.01,0.2", "--timed", "3", "--grid", "--no-tools"]
    adapters = ["--roles", "a", "--roles", "b", "--also", "noisy=n", "--solver", "s"]
    code = run(["reproduce", "t1", *arguments, *adapters, "--store", str(tmp_path), "--beside", "none", "--json"])
    assert code == 0 and json.loads(capsys.readouterr().out)["tables"] == {"reward_model": "genrm"}
    assert asked["roles"] == [Path("a"), Path("b")] and asked["also"] == {"noisy": Path("n")} and asked["solver"] == Path("s") and asked["beside"] is None
    settings = asked["settings"]
    assert (settings.problems, settings.controls, settings.samples, settings.programs, settings.timed) == (30, 30, 4, 4, 3)
    assert settings.lying == (0.01, 0.2) and settings.cells == t1_study.GRID and not settings.tools


def test_without_flags_the_packaged_roles_and_the_usual_cells_are_taken(asked, tmp_path):
    assert run(["reproduce", "t1", "--store", str(tmp_path), "--json"]) == 0
    assert (asked["model"], asked["beside"], asked["roles"], asked["solver"]) == ("pico", "nano", (), None)
    assert asked["settings"].cells == t1_study.CELLS and asked["settings"].tools


def test_another_training_seed_reaches_distill_and_no_teacher(monkeypatch, tmp_path, capsys):
    seen = {}
    monkeypatch.setattr(distill, "distill", lambda student, roles, folder, data, **options: seen.update(options, roles=roles) or {})
    assert run(["distill", "--student", "pico", "--role", "verify,solve", "--seed", "7", "--folder", str(tmp_path)]) == 0
    assert (seen["seed"], seen["roles"]) == (7, ["verify", "solve"])
    assert run(["distill", "--student", "someone/small", "--seed", "7", "--folder", str(tmp_path)]) != 0
    assert "--seed are for nano, pico" in capsys.readouterr().err


def test_calibrate_can_be_given_an_index_for_facts_and_a_reward_model(monkeypatch, tmp_path, capsys):
    from toolwright import recipes

    def solver(model, **options):
        raise UsageError(f"asked with {options['index']} for {options['verify']} and {[each.name for each in options['more']]}")

    monkeypatch.setattr(recipes, "Solver", solver)
    (tmp_path / "p.jsonl").write_text('{"question": "How much is 1 + 1?", "answer": "2"}\n')
    asked = ["calibrate", str(tmp_path / "p.jsonl"), "--verify", "toolv-facts", "--index", "my.index", "--store", str(tmp_path / "run")]
    assert run([*asked]) != 0 and "asked with my.index for ['toolv-facts'] and []" in capsys.readouterr().err
    assert run([*asked, "--reward-url", "http://here:8001", "--reward-model", "rm"]) != 0 and "and ['served_rm']" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["solve", "eval", "calibrate"])
def test_a_served_reward_model_needs_its_address_and_its_name(command, tmp_path, capsys):
    (tmp_path / "p.jsonl").write_text('{"question": "How much is 1 + 1?", "answer": "2"}\n')
    code = run([command, str(tmp_path / "p.jsonl"), "--reward-url", "http://here:8001", *(() if command == "solve" else ("--store", str(tmp_path / "run")))])
    assert code != 0 and "--reward-model" in capsys.readouterr().err


def test_the_adaptive_study_gets_its_counts_and_verifiers(monkeypatch, tmp_path):
    from toolwright.recipes import adaptive_study

    found = {}
    monkeypatch.setattr(adaptive_study, "measure", lambda model, **options: found.update(options) or result("x", seconds=1, tables={"a": []}))
    assert run(["reproduce", "adaptive", "--problems", "20", "--validation", "9", "-n", "8", "--verify", "claims", "--store", str(tmp_path), "--json"]) == 0
    assert (found["problems"], found["validation"], found["samples"], found["verify"], found["roles"]) == (20, 9, 8, ["claims"], ())


def test_the_theory_needs_no_model(tmp_path, capsys):
    assert run(["reproduce", "theory", "--draws", "2000", "--html", str(tmp_path / "t.html"), "--write", str(tmp_path / "theory.json")]) == 0
    assert "theory-worst" in capsys.readouterr().out and "<svg" in (tmp_path / "t.html").read_text()
    assert json.loads((tmp_path / "theory.json").read_text())["command"] == "toolwright reproduce theory --draws 2000 --write results/theory.json"
