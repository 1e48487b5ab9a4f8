"""The FTS5 index: what is found, what is told when something is wrong, and that an index file is whole or not there."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.retrieval import FtsIndex, Passage, Retriever, _build, _fts, build_index, open_index
from toolwright.retrieval._terms import rarest, words

BIRDS = (
    Passage("duck", "Ducks", "Ducks swim on ponds and lay about sixteen eggs."),
    Passage("hen", "Hens", "Hens live on farms; a hen lays one egg on most days."),
    Passage("swift", "Swifts", "Swifts sleep while they are flying, high above the town."),
    Passage("owl", "Owls", "Owls hunt at night and see three times as well as people."),
    Passage("crow", "Crows", "Crows count to four and remember faces."),
)


@pytest.fixture
def birds():
    with FtsIndex.of(BIRDS) as index:
        yield index


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(passages):
    return [passage.id for passage in passages]


def test_the_passage_that_answers_comes_first_and_scores_fall(birds):
    found = birds.search("Which bird sleeps while flying?", k=5)
    assert found[0].id == "swift" and found[0].text == BIRDS[2].text
    assert all(a.score >= b.score > 0 for a, b in pairwise(found))
    assert isinstance(birds, Retriever)


def test_stems_are_what_is_compared(birds):
    assert ids(birds.search("a remembering crow", k=1)) == ["crow"]
    assert ids(birds.search("hunted", k=1)) == ["owl"]
    with FtsIndex.of(BIRDS, tokenizer="unicode61") as plain:
        assert plain.search("hunted") == ()


def test_a_word_in_the_title_counts_for_more():
    pair = (Passage("text", "Birds", "A heron stands."), Passage("title", "Heron", "A bird stands."), *BIRDS)
    with FtsIndex.of(pair) as index, FtsIndex.of(pair, title_weight=0.01) as flat:
        assert ids(index.search("heron", 2)) == ["title", "text"]
        assert ids(flat.search("heron", 2)) == ["text", "title"]
        assert index.digest != flat.digest


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('NEAR("ducks" "crows", 0)', {"duck", "crow"}),
        ('title: owls AND NOT "x', {"owl"}),
        ("ow*", set()),
        ("owls ) ( ^ + - : {", {"owl"}),
        ('"""', set()),
        ("text:owls OR", {"owl"}),
        ("owls; DROP TABLE words", {"owl"}),
        ("owls\x00crows", {"owl", "crow"}),
        ("O'Owls \\ %", {"owl"}),
    ],
)
def test_no_text_is_a_query_language(birds, query, expected):
    assert set(ids(birds.search(query))) == expected


@pytest.mark.parametrize("query", ["", "  \n", "!?", "zygote xylophone", "²"])
def test_nothing_to_look_for_finds_nothing(birds, query):
    assert birds.search(query) == ()


def test_a_question_with_a_long_solution_behind_it_finds_its_passage_in_time(birds):
    long = "Which bird hunts at night? " + " ".join(f"word{i} and the number {i}" for i in range(20_000))
    assert birds.search(long)[0].id == "owl"


def test_of_too_many_words_the_rarest_are_kept_in_their_order():
    counts = {"the": 90, "owl": 3, "night": 20, "rare": 1, "some": 40}
    assert rarest(("the", "some", "owl", "missing", "night", "rare"), lambda w: counts.get(w, 0), 100, most=3) == ("owl", "night", "rare")
    assert rarest(("the", "all"), lambda w: {"the": 90, "all": 80}[w], 100) == ("the", "all"), "common words are something to go by where there are no others"
    large = {f"w{i}": 30_000 + i for i in range(40)}
    assert rarest(tuple(large), lambda w: large[w], 1_000_000) == tuple(f"w{i}" for i in range(8)), "a search of a large index has a bounded cost"
    assert words("Owls, owls & CROWS_4!") == ("owls", "crows", "4")


def test_equal_scores_keep_the_order_of_the_source():
    with FtsIndex.of([Passage(str(i), "", "one same text") for i in range(9)]) as index:
        assert ids(index.search("same text", 4)) == ["0", "1", "2", "3"]


def test_other_scripts_and_accents_are_found():
    with FtsIndex.of([*BIRDS, Passage("de", "Köln", "Die Straße am Rhein"), Passage("ru", "Сова", "Совы охотятся ночью")]) as index:
        assert ids(index.search("koln", 1)) == ["de"] and ids(index.search("STRASSE Straße", 1)) == ["de"] and ids(index.search("совы", 1)) == ["ru"]


def test_passages_are_given_back_by_their_ids(birds):
    assert birds.get(["owl", "duck"]) == (BIRDS[3], BIRDS[0]) and birds.passages() == BIRDS and len(birds) == 5
    with pytest.raises(UsageError, match="holds no passage 'emu'"):
        birds.get(["owl", "emu"])


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(birds, k):
    with pytest.raises(UsageError, match=f"k = {k}"):
        birds.search("owl", k)


def test_it_searches_from_many_threads(birds):
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.extend(ids(birds.search("hunts at night")) for _ in range(20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160 and all(each[0] == "owl" for each in found)


def test_a_jsonl_is_built_streaming_and_opened_again(tmp_path):
    rows = [{"id": p.id, "title": p.title, "text": p.text, "license": "x"} for p in BIRDS]
    told: list[int] = []
    path = tmp_path / "many.jsonl.gz"
    with gzip.open(path, "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in [*rows, *({"id": i, "text": f"filler {i}"} for i in range(2500))])
    facts = build_index(path, tmp_path / "deep" / "birds.index", tell=told.append)
    assert (facts.passages, facts.files, told) == (2505, 1, [1000, 2000])
    assert facts.characters == sum(len(p.title) + len(p.text) for p in BIRDS) + sum(len(f"filler {i}") for i in range(2500))
    assert facts.bytes == (tmp_path / "deep" / "birds.index").stat().st_size
    with open_index(tmp_path / "deep" / "birds.index") as index:
        assert index.search("hunts at night")[0].id == "owl" and index.get(["17"])[0].text == "filler 17" and index.facts == facts
    assert os.listdir(tmp_path / "deep") == ["birds.index"]


def test_equal_sources_have_equal_digests_whatever_their_form(tmp_path):
    rows = [{"id": p.id, "title": p.title, "text": p.text} for p in BIRDS]
    one = build_index(write_lines(tmp_path / "a.jsonl", *rows), tmp_path / "a.index")
    with FtsIndex.of(BIRDS) as memory, FtsIndex(tmp_path / "a.index") as file, FtsIndex.of(BIRDS[:4]) as fewer:
        assert memory.facts.digest == one.digest != fewer.facts.digest
        assert memory.digest == file.digest != fewer.digest


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (['{"id": "a", "text": "x"}\n', '{"id": "b", "te\n'], ["line 2", "not valid JSON"]),
        (['{"id": "a", "text": "x"}\n', "\n", "[1]\n"], ["line 3", "JSON list"]),
        (['{"id": "a", "text": 7}\n'], ["line 1", "'text' is a int"]),
        (['{"id": "a", "body": "x"}\n'], ["line 1", "neither a text nor a title", "id, body"]),
        (['{"id": "a", "text": "x"}\n', '{"id": "a", "text": "y"}\n'], ["'a'", "number 2", "must differ"]),
        (['{"id": "a", "text": "\\ud83d"}\n'], ["line 1", "half a character"]),
        ([], ["holds no passage"]),
    ],
)
def test_a_broken_source_is_named_and_the_old_index_stays(tmp_path, rows, told):
    build_index(write_lines(tmp_path / "good.jsonl", {"id": "old", "text": "the old one"}), tmp_path / "i.index")
    with pytest.raises(UsageError) as caught:
        build_index(write_lines(tmp_path / "bad.jsonl", *rows), tmp_path / "i.index")
    assert all(piece in str(caught.value) for piece in (*told, "bad.jsonl"))
    with FtsIndex(tmp_path / "i.index") as index:
        assert ids(index.search("old")) == ["old"]
    assert sorted(os.listdir(tmp_path)) == ["bad.jsonl", "good.jsonl", "i.index"]


def test_a_row_without_an_id_is_named_by_its_line(tmp_path):
    build_index(write_lines(tmp_path / "notes.jsonl", {"text": "first"}, {"text": "second"}), tmp_path / "i.index")
    with FtsIndex(tmp_path / "i.index") as index:
        assert ids(index.search("second")) == ["notes-000002"]


def test_a_cut_gzip_is_told_with_the_line(tmp_path):
    whole = gzip.compress(
        b'{"id": "a", "text": "x"}\n' * 1 + b"".join(b'{"id": "%d", "text": "%s"}\n' % (i, os.urandom(30).hex().encode()) for i in range(999))
    )
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut\.jsonl\.gz, line \d+"):
        build_index(tmp_path / "cut.jsonl.gz", tmp_path / "i.index")


def test_a_stopped_build_leaves_nothing(tmp_path):
    source = write_lines(tmp_path / "s.jsonl", *({"text": f"text {i}"} for i in range(3000)))

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index(source, tmp_path / "i.index", tell=stop)
    assert os.listdir(tmp_path) == ["s.jsonl"]


def test_missing_and_wrong_files_are_told(tmp_path):
    with pytest.raises(UsageError, match=r"no index at .*toolwright index build"):
        FtsIndex(tmp_path / "none.index")
    (tmp_path / "text").write_text("this is no database, but long enough to look like one, " * 50)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)").connection.close()
    for name in ("text", "other.db"):
        with pytest.raises(UsageError, match="is no index"):
            FtsIndex(tmp_path / name)
        with pytest.raises(UsageError, match="is no index"):
            build_index(write_lines(tmp_path / "s.jsonl", {"text": "x"}), tmp_path / name)
    with pytest.raises(UsageError, match="is a folder"):
        build_index(tmp_path / "s.jsonl", tmp_path)
    with pytest.raises(UsageError, match="nothing at"):
        build_index(tmp_path / "gone.jsonl", tmp_path / "i.index")
    with pytest.raises(UsageError, match="cannot be written"):
        build_index(tmp_path / "s.jsonl", tmp_path / "text" / "i.index")
    with pytest.raises(UsageError, match="no backend 'lucene'; there are fts5, bm25s"):
        open_index(tmp_path / "i.index", backend="lucene")
    with pytest.raises(UsageError, match="title weight"):
        FtsIndex.of(BIRDS, title_weight=-1)
    with pytest.raises(UsageError, match="no tokenizer 'snowball'"):
        FtsIndex.of(BIRDS, tokenizer="snowball")


def test_an_index_of_another_format_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(_fts, "FORMAT", "toolwright index 9")
    path = tmp_path / "i.index"
    source = write_lines(tmp_path / "s.jsonl", {"text": "x"})
    build_index(source, path)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="the format 'toolwright index 9'"):
        FtsIndex(path)


def test_a_damaged_index_is_told_when_searched(tmp_path):
    path = tmp_path / "i.index"
    build_index(write_lines(tmp_path / "s.jsonl", *({"text": f"owl number{i} " * 20} for i in range(2000))), path)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"damaged|no index"), FtsIndex(path) as index:
        for i in range(2000):
            index.search(f"number{i}")


def test_a_closed_index_says_so(birds):
    birds.close()
    birds.close()
    with pytest.raises(UsageError, match="closed"):
        birds.search("owl")


class WithoutFts5(sqlite3.Connection):
    def execute(self, statement, *values):
        if "fts5" in statement:
            raise sqlite3.OperationalError("no such module: fts5")
        return super().execute(statement, *values)


def test_an_sqlite_without_fts5_is_told(tmp_path, monkeypatch):
    real = sqlite3.connect
    monkeypatch.setattr(_build.sqlite3, "connect", lambda *a, **o: real(*a, **o, factory=WithoutFts5))
    with pytest.raises(UsageError, match="built without FTS5"):
        build_index(write_lines(tmp_path / "s.jsonl", {"text": "x"}), tmp_path / "i.index")
    assert os.listdir(tmp_path) == ["s.jsonl"]


def test_the_import_is_light():
    code = "import sys, toolwright.retrieval; assert not {'bm25s', 'numpy', 'torch', 'Stemmer'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
