"""The claims study: planted errors are errors, the halves are fixed, and a small data folder gives a whole result."""

import gzip
import json
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.recipes._corruption import corrupt, false_as_written, strip_marks
from toolwright.recipes.claims_study import POOLS, half, main, measure, rough_refutes, wilson

GOLD = "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18 a day.\n#### 18"


def test_marks_are_taken_out_and_point_at_the_results() -> None:
    text, marks = strip_marks(GOLD)
    assert text == "Janet sells 16 - 3 - 4 = 9 eggs.\nShe makes 9 * 2 = $18 a day.\n#### 18"
    assert [text[mark.place] for mark in marks] == ["9", "1"]
    assert [mark.is_equation for mark in marks] == [True, True]
    assert not strip_marks("<<18=18>>18")[1][0].is_equation


def test_a_planted_error_changes_one_number_and_makes_one_equation_false() -> None:
    text, marks = strip_marks(GOLD)
    seen = set()
    for seed in range(60):
        planted = corrupt(text, marks, seed=str(seed))
        assert planted is not None
        assert planted.text != text
        lines = [(a, b) for a, b in zip(text.split("\n"), planted.text.split("\n"), strict=True) if a != b]
        assert len(lines) == 1
        assert corrupt(text, marks, seed=str(seed)) == planted
        seen.add((planted.where, planted.kind))
    assert {where for where, _ in seen} == {"result", "operand"}
    assert {kind for _, kind in seen} >= {"digit", "near", "scale"}


def test_what_has_no_equation_cannot_be_corrupted() -> None:
    assert corrupt("no numbers", [], seed="1") is None


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("5 + 3 = 9", True),
        ("5 + 3 = 8", False),
        ("10 / 3 = 3.33", False),
        ("10 / 3 = 3.43", True),
        ("$12 (bacon) + $3 = $16", True),
        ("\\frac{1}{2} \\times 4 = 3", True),
        ("20% of 50 is 10", False),
        ("\\sqrt{4} = 3", None),
        ("x = 3", None),
    ],
)
def test_the_independent_reader(statement: str, verdict: bool | None) -> None:
    assert false_as_written(statement) is verdict


def test_the_baseline() -> None:
    assert rough_refutes("so 5 + 3 = 9 apples")
    assert not rough_refutes("so 5 + 3 = 8 apples")
    assert rough_refutes("16 - 3 - 4 = 9") and not rough_refutes("16 - 3 - 4 = 9", anchored=True)


def test_the_halves_are_fixed_for_ever() -> None:
    assert [half(f"gsm8k-test-{n:05}") for n in range(6)] == ["development", "held_out", "development", "development", "development", "held_out"]


def test_wilson() -> None:
    assert wilson(0, 0) == (None, None, None)
    assert wilson(5, 10) == (0.5, 0.23659, 0.76341)


def _small_folder(folder: Path) -> Path:
    row = {"problem_id": "gsm8k-test-00001", "model": "m", "text": "It is 5 + 3 = 8.", "is_correct": True}
    for pool in POOLS:
        (folder / "pools" / pool).mkdir(parents=True)
        rows = [dict(row, id=f"{pool}-{n}", problem_id=f"gsm8k-test-{n:05}", text=f"It is 5 + 3 = {8 + n % 2}.", is_correct=n % 2 == 0) for n in range(12)]
        with gzip.open(folder / "pools" / pool / "pool.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(r) + "\n" for r in rows)
    (folder / "gsm8k").mkdir()
    gold = "".join(json.dumps({"id": f"gsm8k-test-{n:05}", "answer": GOLD}) + "\n" for n in range(12))
    (folder / "gsm8k" / "test.jsonl").write_text(gold, encoding="utf-8")
    with gzip.open(folder / "gsm8k" / "train.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(gold)
    return folder


def test_a_small_folder_gives_a_whole_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _small_folder(tmp_path / "data")
    main(["--data", str(folder), "--write", str(tmp_path / "out" / "claims.json")])
    result = json.loads((tmp_path / "out" / "claims.json").read_text(encoding="utf-8"))
    assert {"command", "commit", "machine", "seconds", "seeds", "models", "tables", "claims"} <= set(result)
    assert str(folder) not in json.dumps(result)
    held = next(r for r in result["tables"]["pools"] if (r["half"], r["pool"]) == ("held_out", "all"))
    assert held["right_refuted_ours"]["count"] == 0
    assert held["wrong_refuted_ours"]["count"] == held["wrong"] > 0
    gold = next(r for r in result["tables"]["gold"] if (r["half"], r["split"]) == ("held_out", "test"))
    assert gold["decided"]["share"] == gold["caught"]["share"] == 1.0
    for claim in result["claims"]:
        assert {"id", "text", "source", "value", "low", "high", "against", "seen"} <= set(claim)
    assert "claims-caught" in capsys.readouterr().out


def test_a_folder_without_data_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pool at"):
        measure(tmp_path)
