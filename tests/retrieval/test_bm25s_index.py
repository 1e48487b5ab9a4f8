"""The same search by the library bm25s, where it is installed, and its install line where it is not."""

from __future__ import annotations

import sys

import pytest

from toolwright.errors import MissingExtra, UsageError
from toolwright.retrieval import Bm25sIndex, FtsIndex, Passage, Retriever, ndcg, recall

PASSAGES = [Passage(f"p{i}", f"Thing {i}", f"Thing {i} weighs {i * 7} grams and stands in room {i % 5}." + " It is grey." * (i % 3)) for i in range(60)]


def test_without_the_extra_its_install_line_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtra, match=r'pip install "toolwright\[bm25s\]"'):
        Bm25sIndex(PASSAGES)


def test_it_finds_what_fts5_finds():
    pytest.importorskip("bm25s", reason="the extra bm25s is not installed")
    with FtsIndex.of(PASSAGES) as fts, Bm25sIndex(PASSAGES) as index:
        assert isinstance(index, Retriever) and len(index) == 60
        for i in range(0, 60, 7):
            query = f"How much does thing {i} weigh? ({i * 7} grams)"
            assert index.search(query, 1)[0].id == fts.search(query, 1)[0].id == f"p{i}"
        assert index.search("zygote") == index.search("") == ()
        assert [p.id for p in index.search("thing weighs")] == ["p0", "p3", "p6"], "ties and short ones first"
        with pytest.raises(UsageError, match="k = 0"):
            index.search("thing", 0)
        assert index.digest not in (fts.digest, Bm25sIndex(PASSAGES, title_weight=1).digest)
    with pytest.raises(UsageError, match="no passages"):
        Bm25sIndex([])


def test_measures_are_the_textbook_ones():
    assert ndcg(["a", "x", "b"], {"a", "b"}) == pytest.approx((1 + 0.5) / (1 + 0.6309297535714575))
    assert ndcg(["x"] * 10 + ["a"], {"a"}) == 0 and ndcg(["a"], {"a"}) == 1
    assert recall(["x", "a", "b", "c"], {"a", "c"}) == 0.5 and recall([], {"a"}) == 0
    for wrong in ({"gold": set(), "k": 3}, {"gold": {"a"}, "k": 0}):
        with pytest.raises(UsageError):
            recall(["a"], **wrong)
