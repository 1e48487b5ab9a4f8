"""The study over recorded pools: its ways to choose programs, its claims, and one run over a small made-up data folder."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from toolwright.errors import UsageError
from toolwright.recipes import pools_study
from toolwright.recipes._codet import Checked, checked, choices, expected_choices, read_asserts, run_programs
from toolwright.recipes._fragments import Sources, render
from toolwright.recipes._results import read_result, result_complaints, write_result


def program(passed: str, right: bool, gave: str | None = None) -> Checked:
    return Checked(tuple(mark == "1" for mark in passed), tuple(gave if gave is not None else passed), right)


def test_ways_to_choose_a_program_by_hand() -> None:
    samples = [program("110", True)] * 3 + [program("100", False)] * 4 + [program("111", False)]
    found = choices(samples)
    assert found["random"] == pytest.approx(3 / 8)
    assert found["behaviour"] == 0.0  # four gave the same
    assert found["asserts"] == 0.0  # one passed all three
    assert found["codet"] == 1.0  # 3 × 2 beats 4 × 1 and 1 × 3


def test_ties_are_broken_evenly() -> None:
    found = choices([program("10", True), program("01", False), program("00", False, gave="xy")])
    assert found["codet"] == pytest.approx(0.5) and found["behaviour"] == pytest.approx(1 / 3)
    assert choices([program("", True), program("", False)])["codet"] == pytest.approx(0.5)


def test_fewer_samples_are_an_expectation() -> None:
    samples = [program("110", True)] * 3 + [program("100", False)] * 5
    one = expected_choices(samples, 1, subsets=400, seed=0)
    assert one["random"] == one["pass@n"] == pytest.approx(3 / 8) and one["codet"] == pytest.approx(3 / 8, abs=0.08)
    assert expected_choices(samples, 8, subsets=1, seed=0)["pass@n"] == 1.0


def test_programs_are_run_once_and_kept(tmp_path: Path) -> None:
    asserts = {"p": ["assert f(1) == 2", "assert f(2) == 9", "assert not f(-1)", "assert f(7) == 8"]}
    programs = {
        ("p", 0): "def f(x):\n    print('noise')\n    while x == 7:\n        pass\n    return x + 1",
        ("p", 1): "def f(x: return 3",
        ("p", 2): "def f(x):\n    return x['a']",
    }
    kept = tmp_path / "codet.jsonl"
    found = asyncio.run(run_programs(programs, asserts, kept))
    assert found["p", 0] == [[True, "2"], [False, "3"], [True, "True"], [False, "TimeoutError"]]
    assert found["p", 1] == [] and [row[1] for row in found["p", 2]] == ["TypeError"] * 4
    assert checked(found["p", 1], 4, False) == Checked((False,) * 4, ("did not load",) * 4, False)
    before = kept.read_text()
    assert len(before.splitlines()) == 3
    assert asyncio.run(run_programs(programs, asserts, kept)) == found and kept.read_text() == before
    kept.write_text("".join(line.replace('"2"', '"kept"') + "\n" for line in before.splitlines()))
    assert asyncio.run(run_programs(programs, asserts, kept))["p", 0][0][1] == "kept", "what is kept is not run again"


def test_only_single_asserts_are_read(tmp_path: Path) -> None:
    lines = ["assert f(1) == 2", "assert f(1) == 2", "assert f(", "print(1)", "assert g(3)"]
    (tmp_path / "tests.jsonl").write_text(json.dumps({"problem_id": "p", "asserts": lines}) + "\n")
    assert read_asserts(tmp_path / "tests.jsonl") == {"p": ["assert f(1) == 2", "assert g(3)"]}


def put(data: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder = data / "pools" / name
    folder.mkdir(parents=True)
    with gzip.open(folder / "pool.jsonl.gz", "wt") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)


def rows_of(models: int, samples: int, **more: Any) -> list[dict[str, Any]]:
    """Ten problems; two thirds of the samples are right, every fifth has a false statement behind which it goes wrong."""
    made = []
    for p in range(10):
        for m in range(models):
            for k in range(samples):
                kind = (p + m * samples + k) % 5
                product = 3 * (10 + p)
                answer = {0: product + 2, 1: product + 1}.get(kind, product)
                text = f"{m}.{k}: 3 * {10 + p} = {answer if kind == 0 else product}.\nThe answer is {answer}{'.0' if kind == 3 else ''}."
                row = {"problem_id": f"p{p}", "problem": f"Three boxes of {10 + p}?", "gold": str(product), "model": f"m{m}", "sample_index": k, "text": text}
                made.append({**row, "is_correct": answer == product, "answer": str(answer), "license": "MIT", **more})
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in {*pools_study.TEXTS, *pools_study.VOTES}:
        put(folder, name, rows_of(6, 1, rm_score=1.5) if name != pools_study.REWARDS else rows_of(1, 8, rm_score=-0.5))
    put(folder, pools_study.PROGRAMS, rows_of(2, 6))
    rows = [{**row, "gold": None, "program": f"def f(x):\n    return x * {3 if row['is_correct'] else 4}"} for row in rows_of(1, 6)]
    put(folder, pools_study.CODET, rows)
    asserts = [{"problem_id": f"p{p}", "asserts": ["assert f(1) == 3", "assert f(2) == 6", "assert f(1) == 4"]} for p in range(10)]
    (folder / "pools" / pools_study.CODET / "generated_tests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asserts))
    return folder


def test_the_whole_study_on_made_up_pools(data: Path, tmp_path: Path) -> None:
    told: list[str] = []
    made = pools_study.measure(data, tmp_path / "store", tell=told.append)
    assert result_complaints(made) == []
    cards = {card["pool"]: card for card in made["tables"]["cards"]}
    assert set(cards) == set(pools_study.TEXTS)
    assert cards["gsm8k_zeroeval_greedy"]["refuted_right"] == 0 and cards["gsm8k_zeroeval_greedy"]["caught"] == pytest.approx(0.5, abs=0.1)
    votes = {row["strategy"]: row for row in made["tables"]["accuracy"] if row["pool"] == "gsm8k_zeroeval_greedy" and row["n"] == 6}
    assert votes["filtered"]["accuracy"] >= votes["majority"]["accuracy"] >= votes["plain"]["accuracy"]
    code = {row["strategy"]: row["accuracy"] for row in made["tables"]["code"] if row["n"] == 6}
    assert code["codet"] == 1.0 > code["random"]
    claims = {each["id"]: each for each in made["claims"]}
    assert claims["pools-codet"]["seen"] is True and claims["pools-codet"]["against"] == pytest.approx(0.07)
    assert claims["pools-reward-best"]["seen"] is False, "all rewards are the same, so they can add nothing"
    path = tmp_path / "results" / "pools.json"
    write_result(path, made)
    shown = render("pools", Sources(path.parent, tmp_path)) + render("pools-cards", Sources(path.parent, tmp_path))
    assert "gsm8k_zeroeval_greedy" in shown and "claims-filtered" in shown and "HumanEval" in shown and "100.0" in shown


def test_a_part_takes_the_place_of_its_own_rows(data: Path, tmp_path: Path) -> None:
    first = pools_study.measure(data, tmp_path / "store", parts=["rewards", "codet"], tell=lambda line: None)
    again = pools_study.measure(data, tmp_path / "store", parts=["codet"], limit=5, tell=lambda line: None)
    both = pools_study.merged(first, again)
    assert result_complaints(both) == []
    assert [row for row in both["tables"]["accuracy"]] == first["tables"]["accuracy"]
    assert {row["problems"] for row in both["tables"]["code"]} == {5}
    assert {each["id"] for each in both["claims"]} == {each["id"] for each in first["claims"]}


def test_unknown_parts_and_missing_pools_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cards, votes"):
        pools_study.measure(tmp_path, tmp_path, parts=["words"])
    with pytest.raises(UsageError, match="no pool"):
        pools_study.measure(tmp_path, tmp_path, parts=["rewards"])
    with pytest.raises(UsageError, match="no result file"):
        read_result(tmp_path / "none.json")
