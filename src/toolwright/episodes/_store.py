"""The run store: what was drawn and concluded, append-only, safe to `kill -9` at any moment.

One SQLite file in WAL mode, one short transaction per sample or batch: what `put_…` returned from is kept, what it did not return from leaves no trace. A
sample is named by what it is (`SampleKey`), so whoever asks for a stored one gets it and draws nothing. Episodes that ended in a fault are kept apart, in a
log: they say what went wrong, and are drawn again. Leaves out everything about runs as a whole (their configuration, their reports).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from toolwright.episodes._jsonl import from_json, read_lines, to_json, to_line, write_text
from toolwright.episodes._types import Episode, StopReason, Verdict
from toolwright.errors import UsageError

STORE_SCHEMA = 1
"""Raised when a table changes its meaning."""

_BUSY_S = 60.0
_FILE = "store.sqlite"
_SUFFIXES = (".sqlite", ".sqlite3", ".db")
_KEY = "run_seed INTEGER NOT NULL, problem_id TEXT NOT NULL, sample INTEGER NOT NULL, setup TEXT NOT NULL, role TEXT NOT NULL"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"CREATE TABLE IF NOT EXISTS episodes ({_KEY}, body BLOB NOT NULL, PRIMARY KEY (run_seed, problem_id, sample, setup, role))",
    f"CREATE TABLE IF NOT EXISTS verdicts ({_KEY}, verifier TEXT NOT NULL, k INTEGER NOT NULL, body BLOB NOT NULL, "
    "PRIMARY KEY (run_seed, problem_id, sample, setup, role, verifier, k))",
    f"CREATE TABLE IF NOT EXISTS faults ({_KEY}, body BLOB NOT NULL)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'the run store is append-only'); END"
        for table in ("episodes", "verdicts", "faults")
        for verb in ("UPDATE", "DELETE")
    ),
)


@dataclass(frozen=True, slots=True)
class SampleKey:
    """What a sample is: equal keys name the same sample."""

    run_seed: int
    problem_id: str
    index: int
    """The sample index."""
    setup: str
    """Digest of prompt, parameters, model, dialect and tools."""
    role: str = "generator"


@dataclass(frozen=True, slots=True)
class VerdictKey:
    """What a verifier call is."""

    sample: SampleKey
    """The sample that was judged."""
    verifier: str
    """The verifier's digest."""
    k: int = 0
    """Which of several calls of that verifier on that sample."""


class RunStore:
    """Samples and verdicts by their keys; a context manager.

    Several processes may read and write one store at once. What is stored is never changed: the first of two puts of one key counts.
    """

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """`path` is a folder (made if missing; the file in it is `store.sqlite`) or a file that ends in .sqlite, .sqlite3 or .db.

        Raises: UsageError for a folder that cannot be written, a file that is no run store, and one of a newer version.
        """
        path = Path(path)
        self.path = path if path.suffix in _SUFFIXES else path / _FILE
        self._connection = _open(self.path, read_only)

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the file; safe to call twice."""
        self._connection.close()

    def put_episode(self, key: SampleKey, episode: Episode) -> bool:
        """Whether the episode is stored as that sample now.

        False where the key is taken (the stored one stays), and for episodes that are not the sample the key names: cancelled ones are dropped, faulted
        ones go to the log of faults.
        """
        return self.put_episodes([(key, episode)]) == 1

    def put_episodes(self, rows: Iterable[tuple[SampleKey, Episode]]) -> int:
        """How many of the episodes were stored, all in one transaction; see `put_episode`."""
        count = 0
        with _transaction(self.path, self._connection) as connection:
            for key, episode in rows:
                if episode.stop is StopReason.FAULT:
                    connection.execute("INSERT INTO faults VALUES (?, ?, ?, ?, ?, ?)", (*_columns(key), _pack(episode)))
                elif episode.stop is not StopReason.CANCELLED:
                    done = connection.execute("INSERT OR IGNORE INTO episodes VALUES (?, ?, ?, ?, ?, ?)", (*_columns(key), _pack(episode)))
                    count += done.rowcount
        return count

    def episode(self, key: SampleKey) -> Episode | None:
        """The stored sample, or None."""
        body = self._body("episodes", "run_seed = ? AND problem_id = ? AND sample = ? AND setup = ? AND role = ?", _columns(key))
        return None if body is None else from_json(Episode, body)

    def episodes(self, *, run_seed: int | None = None, problem_id: str | None = None, setup: str | None = None) -> Iterator[tuple[SampleKey, Episode]]:
        """All stored samples that fit, by problem and index."""
        for *columns, body in self._rows("episodes", run_seed=run_seed, problem_id=problem_id, setup=setup):
            yield SampleKey(*columns), from_json(Episode, _unpack(self.path, body))

    def faults(self, *, run_seed: int | None = None, problem_id: str | None = None, setup: str | None = None) -> Iterator[tuple[SampleKey, Episode]]:
        """The log of faulted episodes that fit; one sample may stand in it more than once, and in the samples too."""
        for *columns, body in self._rows("faults", run_seed=run_seed, problem_id=problem_id, setup=setup):
            yield SampleKey(*columns), from_json(Episode, _unpack(self.path, body))

    def put_verdict(self, key: VerdictKey, verdict: Verdict) -> bool:
        """Whether the verdict was stored; False where the key is taken, and the stored one stays."""
        with _transaction(self.path, self._connection) as connection:
            row = (*_columns(key.sample), key.verifier, key.k, _pack(verdict))
            return connection.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).rowcount == 1

    def verdict(self, key: VerdictKey) -> Verdict | None:
        """The stored verdict, or None."""
        where = "run_seed = ? AND problem_id = ? AND sample = ? AND setup = ? AND role = ? AND verifier = ? AND k = ?"
        body = self._body("verdicts", where, (*_columns(key.sample), key.verifier, key.k))
        return None if body is None else from_json(Verdict, body)

    def verdicts(self, *, run_seed: int | None = None, problem_id: str | None = None, setup: str | None = None) -> Iterator[tuple[VerdictKey, Verdict]]:
        """All stored verdicts that fit, by problem and index."""
        for *columns, verifier, k, body in self._rows("verdicts", run_seed=run_seed, problem_id=problem_id, setup=setup):
            yield VerdictKey(SampleKey(*columns), verifier, k), from_json(Verdict, _unpack(self.path, body))

    def export_jsonl(self, path: Path) -> int:
        """How many samples and verdicts were written to a JSONL file, each with its key; `import_jsonl` reads it."""
        lines = [{"key": asdict(key), "episode": to_json(episode)} for key, episode in self.episodes()]
        lines += [{"key": asdict(key), "verdict": to_json(verdict)} for key, verdict in self.verdicts()]
        write_text(path, "".join(map(to_line, lines)))
        return len(lines)

    def import_jsonl(self, path: Path) -> int:
        """How many samples and verdicts were new here; what is stored already stays.

        Raises: UsageError that names the file and the line that is neither. Nothing of such a file is kept.
        """
        episodes: list[tuple[SampleKey, Episode]] = []
        verdicts: list[tuple[VerdictKey, Verdict]] = []
        for number, row in read_lines(path):
            try:
                if "episode" in row:
                    episodes.append((from_json(SampleKey, row["key"]), from_json(Episode, row["episode"])))
                else:
                    verdicts.append((from_json(VerdictKey, row["key"]), from_json(Verdict, row["verdict"])))
            except (KeyError, UsageError) as error:
                raise UsageError(f"{path}, line {number}: neither a sample nor a verdict with its key ({error})") from error
        return self.put_episodes(episodes) + sum(self.put_verdict(key, verdict) for key, verdict in verdicts)

    def _body(self, table: str, where: str, columns: Sequence[Any]) -> dict[str, Any] | None:
        try:
            found = self._connection.execute(f"SELECT body FROM {table} WHERE {where}", columns).fetchone()
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        return None if found is None else _unpack(self.path, found[0])

    def _rows(self, table: str, **asked: Any) -> Iterator[tuple[Any, ...]]:
        fits = {name: value for name, value in asked.items() if value is not None}
        where = " AND ".join(f"{name} = ?" for name in fits) or "1"
        try:
            with closing(self._connection.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY problem_id, sample, rowid", tuple(fits.values()))) as rows:
                yield from rows
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error


class _transaction:
    """One transaction that is all there or not at all, with SQLite's errors as ours."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            # IMMEDIATE: two writers queue here, where the busy timeout applies, and never meet halfway.
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as failed:
            raise _unusable(self._path, failed) from failed
        if isinstance(error, sqlite3.Error):
            raise _unusable(self._path, error) from error


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    try:
        if read_only and not path.is_file():
            raise UsageError(f"no run store at {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(_read_uri(path) if read_only else path, timeout=_BUSY_S, isolation_level=None, uri=read_only)
    except (sqlite3.Error, OSError) as error:
        raise _unusable(path, error) from error
    try:
        if read_only:
            _check_version(path, connection)
        else:
            _prepare(path, connection)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except UsageError:
        connection.close()
        raise
    return connection


def _read_uri(path: Path) -> str:
    # A WAL reader needs to write beside the file, unless there is nothing but the file and it will not change.
    still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
    return f"{path.absolute().as_uri()}?{'immutable=1' if still else 'mode=ro'}"


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _check_version(path, connection)
    mode = _journal_mode(connection)
    # In WAL mode NORMAL keeps every committed transaction through a kill; other modes need FULL for that.
    connection.execute(f"PRAGMA synchronous={'NORMAL' if mode == 'wal' else 'FULL'}")
    with _transaction(path, connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO about VALUES ('schema', ?)", (str(STORE_SCHEMA),))


def _journal_mode(connection: sqlite3.Connection) -> str:
    """The mode in force after asking for WAL. Two processes that make a store at once collide here without SQLite's own busy timeout, so it is asked again."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    try:
        found = connection.execute("SELECT value FROM about WHERE name = 'schema'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        found = None
    if found is None:
        raise UsageError(f"{path} is an SQLite file but no run store; give another path")
    if int(found[0]) > STORE_SCHEMA:
        raise UsageError(f"{path} has store schema {found[0]}, but this version reads up to {STORE_SCHEMA}; upgrade toolwright")


def _unusable(path: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(f"the run store {path} cannot be used ({reason}); give a folder that can be written and holds no damaged store")


def _columns(key: SampleKey) -> tuple[int, str, int, str, str]:
    if not -(2**63) <= key.run_seed < 2**63:
        raise UsageError(f"the seed {key.run_seed} is too large; give one below 2**63")
    return key.run_seed, key.problem_id, key.index, key.setup, key.role


def _pack(value: Episode | Verdict) -> bytes:
    return zlib.compress(json.dumps(to_json(value), separators=(",", ":")).encode(), 1)


def _unpack(path: Path, body: bytes) -> dict[str, Any]:
    try:
        return json.loads(zlib.decompress(body))  # type: ignore[no-any-return]
    except (zlib.error, ValueError) as error:
        raise _unusable(path, error) from error
