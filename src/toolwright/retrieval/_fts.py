"""The default index: one SQLite file with FTS5 inside, BM25 over stems; nothing to install.

Titles and texts are two columns of an external-content table, so a passage is stored once. SQLite's BM25 has k1 = 1.2 and b = 0.75. What the tokenizer makes
of a word is asked of the tokenizer itself (`_Stems`), so that words are counted as the index counts them. Leaves out adding to an index: it is built anew.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from toolwright.episodes import digest
from toolwright.errors import UsageError
from toolwright.retrieval._terms import MOST_TERMS, rarest, words
from toolwright.retrieval._types import IndexFacts, Passage

TOKENIZER = "porter unicode61"
TOKENIZERS = (TOKENIZER, "unicode61")
"""With English stems, and without stems for other languages."""
TITLE_WEIGHT = 2.0
"""Chosen on SciFact's training claims (nDCG@10 0.701 at 1, 0.704 at 2), which no published figure here is measured on."""
FORMAT = "toolwright index 1"
_TELL_EVERY = 1000
_VERSION = 1
Tell = Callable[[int], None]


class FtsIndex:
    """A built index, open for searching; a context manager.

    Raises: UsageError for a file that is missing, damaged, or no index; for an SQLite without FTS5; for a title weight that is no weight.
    """

    def __init__(self, path: Path | str, *, title_weight: float = TITLE_WEIGHT) -> None:
        """`title_weight`: how much a word in the title counts against one in the text."""
        path = Path(path)
        if not path.is_file():
            raise UsageError(f"no index at {path}; build one with: toolwright index build SOURCE --out {path}")
        # Nothing writes to a built index, so SQLite need not look for other writers: it may lie on a read-only or network disk.
        self._open(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False), str(path), title_weight)

    @classmethod
    def of(cls, passages: Iterable[Passage], *, tokenizer: str = TOKENIZER, title_weight: float = TITLE_WEIGHT) -> FtsIndex:
        """An index in memory. Raises: UsageError for no passages or an id given twice."""
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        fill(connection, (("", passage) for passage in passages), "the passages given", tokenizer=tokenizer)
        index = cls.__new__(cls)
        index._open(connection, "the index in memory", title_weight)
        return index

    def _open(self, connection: sqlite3.Connection, place: str, title_weight: float) -> None:
        if not 0 <= title_weight <= 1000:
            raise UsageError(f"title weight = {title_weight}, but it goes from 0 to 1000; 1 counts a word in the title like one in the text")
        self._connection, self._place, self._title_weight = connection, place, float(title_weight)
        self._lock, self._closed = threading.Lock(), False
        try:
            self.facts = self._read_facts()
            self._stems = _Stems(self.facts.tokenizer)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> FtsIndex:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self.facts.passages

    @property
    def digest(self) -> str:
        return digest("fts5", _VERSION, self.facts.digest, self.facts.tokenizer, self._title_weight, MOST_TERMS)

    def search(self, query: str, k: int = 3) -> tuple[Passage, ...]:
        if k < 1:
            raise UsageError(f"k = {k}, but at least one passage must be asked for")
        with self._reading():
            terms = rarest(words(query), self._occurs_in, self.facts.passages)
            if not terms:
                return ()
            asked = " OR ".join(f'"{term}"' for term in terms)
            best = self._ask(
                "SELECT rowid, bm25(words, ?, 1.0) AS score FROM words WHERE words MATCH ? ORDER BY score, rowid LIMIT ?", (self._title_weight, asked, k)
            )
            found = [(self._ask("SELECT id, title, text FROM passages WHERE n = ?", (n,))[0], score) for n, score in best]
        # SQLite's scores are negative, smaller is better.
        return tuple(Passage(name, title, text, -score) for (name, title, text), score in found)

    def get(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        """The passages of these ids, in this order. Raises: UsageError for an id that there is none of."""
        with self._reading():
            found = [(name, self._ask("SELECT id, title, text FROM passages WHERE id = ?", (name,))) for name in ids]
        if missing := [name for name, rows in found if not rows]:
            raise UsageError(f"{self._place} holds no passage {missing[0]!r}")
        return tuple(Passage(*rows[0]) for _, rows in found)

    def passages(self) -> tuple[Passage, ...]:
        """All passages, in the order they were read."""
        with self._reading():
            return tuple(Passage(*row) for row in self._ask("SELECT id, title, text FROM passages ORDER BY n", ()))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._closed = True
            self._connection.close()
            self._stems.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise UsageError(f"{self._place} is closed; open it again before searching")
            yield

    def _occurs_in(self, word: str) -> int:
        """The number of passages with a word, by its stem; of a word that the tokenizer takes apart, at most that of its rarest part."""
        counts = [sum(count for (count,) in self._ask("SELECT doc FROM vocabulary WHERE term = ?", (stem,))) for stem in self._stems.of(word)]
        return min(counts, default=0)

    def _ask(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, tuple(values)).fetchall()
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{self._place} is damaged ({error}); build it again with: toolwright index build") from error

    def _read_facts(self) -> IndexFacts:
        try:
            meta = dict(self._connection.execute("SELECT name, value FROM meta"))
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{self._place} is no index ({error}); build one with: toolwright index build SOURCE --out FILE") from error
        if meta.get("format") != FORMAT:
            raise UsageError(
                f"{self._place} has the format {meta.get('format')!r}, but this version reads {FORMAT!r}; build it again with: toolwright index build"
            )
        pages = self._ask("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", ())[0][0]
        in_memory = self._ask("SELECT file FROM pragma_database_list WHERE name = 'main'", ())[0][0] == ""
        kept = json.loads(meta["facts"])
        return IndexFacts(**kept, bytes=0 if in_memory else int(str(pages)))


class _Stems:
    """The terms that a tokenizer makes of words: written into a table with that tokenizer, and read back from its vocabulary."""

    def __init__(self, tokenizer: str) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        create(self._connection, f"CREATE VIRTUAL TABLE word USING fts5(text, tokenize = '{tokenizer}')")
        create(self._connection, "CREATE VIRTUAL TABLE stem USING fts5vocab(word, instance)")
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, word: str) -> tuple[str, ...]:
        """The terms of one word, usually one."""
        if word not in self._known:
            if len(self._known) >= 100_000:
                self._known.clear()
            self._connection.execute("INSERT INTO word (text) VALUES (?)", (word,))
            self._known[word] = tuple(term for (term,) in self._connection.execute("SELECT term FROM stem ORDER BY offset"))
            self._connection.execute("DELETE FROM word")
        return self._known[word]

    def close(self) -> None:
        self._connection.close()


def fill(connection: sqlite3.Connection, passages: Iterable[tuple[str, Passage]], place: str, *, tokenizer: str = TOKENIZER, tell: Tell | None = None) -> None:
    """Write the passages of files, streaming, into an empty database.

    Raises: UsageError for no passages, an id given twice, an unknown tokenizer, an SQLite without FTS5.
    """
    if tokenizer not in TOKENIZERS:
        raise UsageError(f"no tokenizer {tokenizer!r}; there are {', '.join(map(repr, TOKENIZERS))} (the first with English stems)")
    connection.execute("CREATE TABLE passages (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL)")
    connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    create(connection, f"CREATE VIRTUAL TABLE words USING fts5(title, text, content = 'passages', content_rowid = 'n', tokenize = '{tokenizer}')")
    create(connection, "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row)")
    files, count, characters, state = set(), 0, 0, hashlib.sha256()
    for name, passage in passages:
        count += 1
        files.add(name)
        characters += len(passage.title) + len(passage.text)
        state.update(json.dumps([passage.id, passage.title, passage.text], ensure_ascii=False).encode())
        try:
            connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?)", (count, passage.id, passage.title, passage.text))
        except sqlite3.IntegrityError as error:
            raise UsageError(f"{place}: the id {passage.id!r} is given to two passages ({name or 'the second'}, number {count}); ids must differ") from error
        connection.execute("INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)", (count, passage.title, passage.text))
        if tell is not None and count % _TELL_EVERY == 0:
            tell(count)
    if not count:
        raise UsageError(f"{place} holds no passage; give a folder of text or Markdown files, or a JSONL with id, title and text")
    facts = {"passages": count, "files": len(files - {""}), "characters": characters, "digest": state.hexdigest()[:16], "tokenizer": tokenizer}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", [("format", FORMAT), ("facts", json.dumps(facts))])
    # One segment instead of many: searches are quicker, and the file does not depend on how the writing went.
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    connection.commit()


def create(connection: sqlite3.Connection, statement: str) -> None:
    """Make a table that needs FTS5. Raises: UsageError where SQLite was built without it."""
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        if "no such module" not in str(error):
            raise
        raise UsageError(f"this Python's SQLite ({sqlite3.sqlite_version}) was built without FTS5; use a Python from python.org or conda") from error
