"""From a source to an index file, whole or not at all, and from an index file to something that searches."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from toolwright.errors import UsageError
from toolwright.retrieval._bm25s import Bm25sIndex
from toolwright.retrieval._fts import TITLE_WEIGHT, TOKENIZER, FtsIndex, Tell, fill
from toolwright.retrieval._sources import read_passages
from toolwright.retrieval._types import IndexFacts

BACKENDS = ("fts5", "bm25s")


def build_index(source: Path | str, out: Path | str, *, tokenizer: str = TOKENIZER, tell: Tell | None = None) -> IndexFacts:
    """What the index holds that was built from a folder or JSONL; an index that lay there before is replaced at the very end.

    `tell` is given the number of passages so far, now and then.

    Raises: UsageError for a source without passages or with a broken row, and where `out` is something other than an index or cannot be written.
    """
    source, out = Path(source), Path(out)
    if out.is_dir():
        raise UsageError(f"{out} is a folder; give the file that the index shall be, e.g. {out / 'passages.index'}")
    if out.exists() and out.stat().st_size:
        FtsIndex(out).close()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise UsageError(f"{out} cannot be written ({error.strerror}); give another --out") from error
    os.close(handle)
    temporary = Path(name)
    try:
        _write(source, temporary, tokenizer, tell)
        temporary.chmod(0o644)
        temporary.replace(out)
    except sqlite3.OperationalError as error:
        raise UsageError(f"{out} cannot be written ({error}); is the disk full?") from error
    finally:
        temporary.unlink(missing_ok=True)
    with FtsIndex(out) as index:
        return index.facts


def _write(source: Path, path: Path, tokenizer: str, tell: Tell | None) -> None:
    connection = sqlite3.connect(path)
    try:
        # The file is thrown away if anything goes wrong, so it needs no journal.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        fill(connection, read_passages(source), str(source), tokenizer=tokenizer, tell=tell)
    finally:
        connection.close()
    with path.open("rb") as written:
        os.fsync(written.fileno())


def open_index(path: Path | str, *, backend: str = "fts5", title_weight: float = TITLE_WEIGHT) -> FtsIndex | Bm25sIndex:
    """The index of a file, searched by SQLite or, loaded into memory, by bm25s. Raises: UsageError for an unknown backend or a file that is no index."""
    if backend not in BACKENDS:
        raise UsageError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
    index = FtsIndex(path, title_weight=title_weight)
    if backend == "fts5":
        return index
    with index:
        return Bm25sIndex(index.passages(), source=index.facts.digest, title_weight=title_weight)
