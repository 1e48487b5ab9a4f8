"""Result files: one form, checked on writing, on reading, and over everything that is committed."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.recipes import Measured, claim, publish, read_result, result, result_complaints, write_result

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "results").glob("*.json"))


def sound() -> dict:
    claims = [claim("a", "more than half", "here", Measured(0.6, 0.5, 0.7), Measured(0.3, 0.2, 0.4), seen=True)]
    return result("python -m study", seconds=1.234, seeds=[0], models={"m": {"parameters": 3, "digest": "d"}}, tables={"t": [{"x": 1 / 3}]}, claims=claims)


def test_a_sound_result_is_written_and_read_alike(tmp_path):
    made = sound()
    assert result_complaints(made) == []
    assert made["tables"]["t"] == [{"x": 0.33333}] and made["seconds"] == 1.2
    assert re.fullmatch(r"[0-9a-f]{7,}(-dirty)?|unknown", made["commit"])
    write_result(tmp_path / "r.json", made)
    assert read_result(tmp_path / "r.json") == made


def test_publishing_says_how_it_was_written(tmp_path, capsys):
    publish(sound(), tmp_path / "r.json")
    assert read_result(tmp_path / "r.json")["command"] == "python -m study --write results/r.json"
    assert capsys.readouterr().out.startswith("seen ")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r.pop("commit"), "commit"),
        (lambda r: r.update(extra=1), "extra"),
        (lambda r: r.update(tables={}), "tables"),
        (lambda r: r.update(seeds=["x"]), "seeds"),
        (lambda r: r["models"].update(n={"digest": "d"}), "'n'"),
        (lambda r: r["claims"][0].pop("low"), "fields"),
        (lambda r: r["claims"][0].update(seen=1), "seen 1"),
        (lambda r: r["claims"][0].update(seen="yes"), "seen 'yes'"),
        (lambda r: r["claims"][0].update(value=None), "without a value"),
        (lambda r: r["claims"][0].update(value=0.9), "outside"),
        (lambda r: r["claims"][0].update(against=0.9), "outside"),
        (lambda r: r["claims"][0].update(value=float("nan")), "numbers"),
        (lambda r: r["claims"].append(copy.deepcopy(r["claims"][0])), "twice"),
    ],
)
def test_what_has_not_the_form_is_refused(tmp_path, change, word):
    made = sound()
    change(made)
    assert any(word in sentence for sentence in result_complaints(made))
    with pytest.raises(UsageError, match="would be no result file"):
        write_result(tmp_path / "r.json", made)
    assert not (tmp_path / "r.json").exists()


def test_not_testable_needs_no_value():
    made = sound()
    made["claims"] = [claim("a", "not testable here: too small", "here", Measured(), seen=None)]
    assert result_complaints(made) == []


@pytest.mark.parametrize("path", COMMITTED, ids=[path.stem for path in COMMITTED])
def test_every_committed_result_has_the_form_and_names_no_machine(path):
    content = read_result(path)
    assert f"results/{path.name}" in content["command"] or content["command"].endswith("--write")
    assert content["commit"] != "unknown"
    text = json.dumps(content)
    assert not re.search(r"/(?:work|home|root|tmp|Users)/", text), "a path of the machine that measured it"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_file_is_named(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"broken\.json"):
        read_result(path)
    with pytest.raises(UsageError, match="no result file at"):
        read_result(tmp_path / "none.json")
