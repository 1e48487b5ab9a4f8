"""The same search in memory with the library bm25s: quicker on large indexes, for which it needs its extra and the time to load.

The passages come from a built index (or are given), so ids, counts and digest are those of the file. k1 = 1.2 and b = 0.75 as in SQLite. A title counts by
being repeated, for the library has one column. Leaves out saving what was loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from toolwright.episodes import digest
from toolwright.errors import MissingExtra, UsageError
from toolwright.retrieval._fts import TITLE_WEIGHT
from toolwright.retrieval._terms import MOST_TERMS, rarest, words
from toolwright.retrieval._types import Passage

_VERSION = 1
_WORD = re.compile(r"[^\W_]+")


class Bm25sIndex:
    """Passages in memory, searched by bm25s with English stems; a context manager like `FtsIndex`.

    Raises: MissingExtra without bm25s and PyStemmer; UsageError for no passages.
    """

    def __init__(self, passages: Sequence[Passage], *, source: str = "", title_weight: float = TITLE_WEIGHT) -> None:
        """`source`: the digest of the index that the passages came from; made of them where none is given."""
        try:
            import bm25s
            import Stemmer
        except ImportError as error:
            raise MissingExtra("bm25s", "searching with bm25s") from error
        if not passages:
            raise UsageError("there are no passages to search; give at least one")
        self._passages = tuple(passages)
        self._source = source or digest([[p.id, p.title, p.text] for p in passages])
        self._repeated = max(0, round(title_weight))
        self._stemmer: Any = Stemmer.Stemmer("porter")
        documents = [self._terms(" ".join((*[p.title] * self._repeated, p.text))) for p in passages]
        self._counts: dict[str, int] = {}
        for document in documents:
            for term in set(document):
                self._counts[term] = self._counts.get(term, 0) + 1
        self._index: Any = bm25s.BM25(k1=1.2, b=0.75)
        self._index.index(documents, show_progress=False)

    def __enter__(self) -> Bm25sIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._passages)

    @property
    def digest(self) -> str:
        return digest("bm25s", _VERSION, self._source, self._repeated, MOST_TERMS)

    def search(self, query: str, k: int = 3) -> tuple[Passage, ...]:
        if k < 1:
            raise UsageError(f"k = {k}, but at least one passage must be asked for")
        stems = tuple(dict.fromkeys(self._stemmer.stemWords(list(words(query)))))
        terms = rarest(stems, lambda term: self._counts.get(term, 0), len(self._passages))
        if not terms:
            return ()
        scores = self._index.get_scores(list(terms))
        # Ties go to the passage that was read first, as in SQLite.
        best = [int(n) for n in (-scores).argsort(kind="stable")[:k]]
        return tuple(Passage(p.id, p.title, p.text, float(scores[n])) for n in best if scores[n] > 0 for p in (self._passages[n],))

    def close(self) -> None:
        """Nothing is held open."""

    def _terms(self, text: str) -> list[str]:
        terms: list[str] = self._stemmer.stemWords(_WORD.findall(text.lower()))
        return terms
