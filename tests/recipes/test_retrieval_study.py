"""The retrieval study: its bars on the public data, its format on a small made-up folder, and times only where they were asked for."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from toolwright.episodes import read_lines
from toolwright.errors import UsageError
from toolwright.recipes import read_result, result_complaints, retrieval_study
from toolwright.recipes.retrieval_study import QUERIES, Scale, measure
from toolwright.retrieval import FtsIndex, build_index, ndcg

DATA = os.environ.get("TOOLWRIGHT_DATA")
SMALL = Scale(worlds=("entities=200,twins=6",), problems=24, mmlu_items=2, timed=2, repeats=1)
ANIMALS = ["owl", "crow", "duck", "swift", "heron", "goose"]


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode())) if path.suffix == ".gz" else path.write_text(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    documents = [{"id": f"scifact-doc-{i}", "title": f"On the {name}", "text": f"The {name} was seen {i} times."} for i, name in enumerate(ANIMALS)]
    write(data / "scifact" / "corpus.jsonl.gz", documents)
    claims = [{"claim": "An owl was seen.", "cited_doc_ids": [0]}, {"claim": "A zebra sleeps.", "cited_doc_ids": [1, 2]}, {"claim": "x", "cited_doc_ids": []}]
    write(data / "scifact" / "claims_validation.jsonl", claims)
    write(data / "xquad_en" / "paragraphs.jsonl", [{"id": f"p{i}", "title": "T", "text": f"A {name} sings."} for i, name in enumerate(ANIMALS)])
    write(data / "xquad_en" / "questions.jsonl", [{"question": f"Does the {name} sing?", "gold_doc": f"p{i}"} for i, name in enumerate(ANIMALS)])
    write(data / "wiki_passages_2wiki" / "corpus.jsonl.gz", [{"id": f"w{i}", "title": f"Town {i}", "text": f"Town {i} has a street."} for i in range(9)])
    items = [{"question_id": i, "question": f"Which street has the town {i}?", "options": ["heron", "owl"], "answer": "A", "category": "x"} for i in range(4)]
    write(data / "mmlu_pro" / "test.jsonl", items)
    return data


@pytest.fixture(scope="module")
def made(folder):
    return measure(folder, SMALL)


def test_a_result_has_the_form_and_every_table(made):
    assert result_complaints(made) == [] and made["command"] == retrieval_study.COMMAND
    assert {name for name, rows in made["tables"].items() if rows} == {"indexes", "scifact", "xquad", "encyclopedia", "mmlu_pro", "latency"}
    assert {claim["id"]: claim["seen"] for claim in made["claims"]}["scifact-ndcg"] is False, "one of two claims cannot be found by its words"


def test_the_figures_are_those_of_the_data(made):
    scifact, xquad = made["tables"]["scifact"], made["tables"]["xquad"]
    assert scifact[0]["claims"] == 2, "claims without a cited document have no gold"
    assert scifact[0]["ndcg10"] == 0.5 and scifact[0]["search"] == "fts5"
    assert [row["recall3"] for row in xquad] == [1.0, 1.0] and [row["questions"] for row in xquad] == [6, 6]
    rows = {(row["query"], row["kind"]): row for row in made["tables"]["encyclopedia"]}
    assert rows[QUERIES[0], "all"]["problems"] == 24
    right, mistaken, both = (rows[query, "all"]["recall3"] for query in (*QUERIES[1:], "question + either, half and half"))
    assert both == pytest.approx((right + mistaken) / 2, abs=1e-4) and right >= mistaken
    found = made["tables"]["mmlu_pro"][0]
    assert found["questions"] == 2 and found["three_found"] == 0.0, "a question about one town finds that town alone"


def test_times_are_told_per_query_and_only_where_asked_for(made, folder):
    rows = [row for row in made["tables"]["latency"] if row["backend"] == "fts5"]
    assert len(rows) == 3 and all(0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] for row in rows)
    without = measure(folder, Scale(**{**{f: getattr(SMALL, f) for f in ("worlds", "problems", "mmlu_items", "timed")}, "repeats": 0}))
    assert without["tables"]["latency"] == [] and "--repeats 0" in without["command"]
    for name in ("scifact", "xquad", "encyclopedia", "mmlu_pro"):
        assert without["tables"][name] == made["tables"][name], "everything else is the same every time"


def test_the_command_writes_its_result(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(retrieval_study, "WORLDS", SMALL.worlds)
    monkeypatch.setattr(retrieval_study, "Scale", lambda **options: SMALL if not options else Scale(SMALL.worlds, 12, 2, 2, **options))
    retrieval_study.main(["--data", str(folder), "--repeats", "0", "--write", str(tmp_path / "r.json")])
    assert read_result(tmp_path / "r.json")["command"].endswith("--write results/retrieval.json --repeats 0")
    assert "encyclopedia: entities 200" in capsys.readouterr().out


def test_missing_data_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("TOOLWRIGHT_DATA", raising=False)
    with pytest.raises(UsageError, match="TOOLWRIGHT_DATA is not set"):
        retrieval_study.main([])
    with pytest.raises(UsageError, match="scifact/corpus"):
        retrieval_study.main(["--data", str(tmp_path)])
    with pytest.raises(UsageError, match="repeats = -1"):
        retrieval_study.main(["--data", str(tmp_path), "--repeats", "-1"])


@pytest.mark.skipif(not DATA, reason="TOOLWRIGHT_DATA is not set")
def test_scifact_reaches_the_bar(tmp_path):
    folder = Path(str(DATA)) / "scifact"
    build_index(folder / "corpus.jsonl.gz", tmp_path / "scifact.index")
    rows = [row for _, row in read_lines(folder / "claims_validation.jsonl")]
    with FtsIndex(tmp_path / "scifact.index") as index:
        found = [ndcg([p.id for p in index.search(row["claim"], 10)], [f"scifact-doc-{n}" for n in row["cited_doc_ids"]], 10) for row in rows]
    assert len(found) == 300 and sum(found) / 300 >= 0.68
