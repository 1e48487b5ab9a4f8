"""``toolwright index``: from a folder to an answer, as a person types it, and what is told when something is wrong."""

from __future__ import annotations

import io
import json
import sys

import pytest

from toolwright.cli import run


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def built(capsys, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "owls.md").write_text("# Owls\n\nThey hunt at night.\x1b[31m\n\n# Crows\n\n" + "They count to four. " * 40)
    (tmp_path / "notes" / "ducks.txt").write_text("Ducks lay sixteen eggs.")
    code, out, _ = call(capsys, "index", "build", str(tmp_path / "notes"), "--out", str(tmp_path / "n.index"))
    assert code == 0 and "3 passages of 2 files" in out and "digest" in out
    return tmp_path / "n.index"


def test_the_right_passage_is_shown_and_nothing_reaches_the_terminal_unescaped(capsys, built):
    code, out, _ = call(capsys, "index", "search", str(built), "Which bird hunts?", "--k", "1")
    assert code == 0 and out.startswith("1. Owls  [owls.md,") and "They hunt at night." in out and "\x1b" not in out
    out = call(capsys, "index", "search", str(built), "counting crows")[1]
    assert "…" in out and len(out) < 600
    assert call(capsys, "index", "search", str(built), "counting crows", "--full")[1].count("They count to four.") == 40


def test_json_holds_the_passages_whole(capsys, built, monkeypatch):
    code, out, _ = call(capsys, "index", "search", str(built), "eggs of ducks", "--json")
    told = json.loads(out)
    assert code == 0 and told["passages"][0]["text"] == "Ducks lay sixteen eggs." and told["passages"][0]["score"] > 0 and told["wall_ms"] >= 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"eggs of ducks")))
    assert json.loads(call(capsys, "index", "search", str(built), "-", "--json")[1])["passages"] == told["passages"]


def test_building_again_tells_equal_digests_and_no_stems_are_an_option(capsys, built):
    facts = [json.loads(call(capsys, "index", "build", str(built.parent / "notes"), "--out", str(built), *more, "--json")[1]) for more in ((), ("--no-stems",))]
    assert facts[0]["digest"] == facts[1]["digest"] and facts[0]["passages"] == 3
    assert call(capsys, "index", "search", str(built), "hunting", "--k", "1")[1] == "", "without stems only the very word is found"


def test_nothing_found_is_said_and_is_no_failure(capsys, built):
    code, out, err = call(capsys, "index", "search", str(built), "zygote")
    assert (code, out) == (0, "") and "no passage" in err
    code, out, _ = call(capsys, "index", "search", str(built), "zygote", "--json")
    assert code == 0 and json.loads(out)["passages"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["index", "search", "none.index", "owl"], ["no index at none.index", "toolwright index build"]),
        (["index", "search", "{index}", "  "], ["query is empty"]),
        (["index", "search", "{index}", "owl", "--k", "0"], ["k = 0"]),
        (["index", "search", "{index}", "owl", "--backend", "lucene"], ["'lucene'", "fts5"]),
        (["index", "search", "bad.jsonl", "owl"], ["bad.jsonl is no index"]),
        (["index", "build", "empty", "--out", "e.index"], ["empty holds no passage"]),
        (["index", "build", "nowhere", "--out", "e.index"], ["nothing at nowhere"]),
        (["index", "build", "bad.jsonl", "--out", "e.index"], ["bad.jsonl, line 2", "not valid JSON"]),
        (["index", "build", "bad.jsonl", "--out", "empty"], ["empty is a folder"]),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else None,
)
def test_one_clear_sentence(capsys, built, monkeypatch, arguments, told):
    monkeypatch.chdir(built.parent)
    (built.parent / "empty").mkdir()
    (built.parent / "bad.jsonl").write_text('{"id": 1, "text": "x"}\n{"id": 2, "te')
    code, out, err = call(capsys, *(a.replace("{index}", str(built)) for a in arguments))
    assert code == 2 and out == "" and "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("error: ") and all(piece in last for piece in told)
    assert not (built.parent / "e.index").exists()
