"""JSONL in and out: one object a line, a schema version on every line, broken lines named by number.

Reading builds the dataclasses of `_types` back from plain JSON by their annotations, so a field added there needs no change here.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from toolwright.episodes._types import SCHEMA_VERSION, Episode
from toolwright.errors import UsageError

T = TypeVar("T")


def to_json(value: Any) -> dict[str, Any]:
    """The JSON form of one of our dataclasses."""
    kind: Any = type(value)
    return {name: _plain(getattr(value, name)) for name in _names(kind)}


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass that `to_json` came from.

    Raises: UsageError for unknown fields, missing fields, or values of the wrong form.
    """
    try:
        return _build(kind, data)  # type: ignore[no-any-return]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UsageError(f"not a stored {kind.__name__}: {error}") from error


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) of each line of a JSONL file, gzip by its ending; empty lines are passed over.

    Raises: UsageError that names the file and the line that is no JSON object.
    """
    if not path.is_file():
        raise UsageError(f"no file at {path}")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        number = 0
        while True:
            number += 1
            try:
                line = stream.readline()
                if not line:
                    return
                if not line.strip():
                    continue
                row = json.loads(line)
            except (UnicodeDecodeError, json.JSONDecodeError, EOFError, gzip.BadGzipFile) as error:
                raise UsageError(f"{path}, line {number}: not valid JSON ({error}); fix or remove that line") from error
            if not isinstance(row, dict):
                raise UsageError(f"{path}, line {number}: a JSON {type(row).__name__}, but each line must be an object")
            yield number, row


def read_episodes(path: Path) -> Iterator[Episode]:
    """The episodes of a JSONL file.

    Raises: UsageError that names file and line, also for a schema version newer than this package.
    """
    for number, row in read_lines(path):
        if row.get("schema", 0) > SCHEMA_VERSION:
            raise UsageError(f"{path}, line {number}: schema {row['schema']}, but this version reads up to {SCHEMA_VERSION}; upgrade toolwright")
        try:
            yield from_json(Episode, row)
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write rows (dataclasses or mappings) atomically; returns how many."""
    count = 0
    lines = []
    for row in rows:
        lines.append(to_line(to_json(row) if is_dataclass(row) else row))
        count += 1
    write_text(path, "".join(lines))
    return count


def to_line(row: Any) -> str:
    """One line of JSON, readable in any script; escaped where it holds half a character, which UTF-8 cannot."""
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(row)
    return line + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def _plain(value: Any) -> Any:
    """`dataclasses.asdict` without its copies: an episode holds thousands of token ids, and samples are stored while others wait."""
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is tuple or kind is list:
        return value if all(type(item) in _LEAVES for item in value) else [_plain(item) for item in value]
    if kind is dict:
        return {key: _plain(item) for key, item in value.items()}
    return to_json(value) if is_dataclass(value) else value


_LEAVES = frozenset({int, float, str, bool, type(None)})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (inner,) = (k for k in get_args(kind) if k is not type(None))
        return _build(inner, value)
    if origin is tuple:
        inner = get_args(kind)[0]
        if inner in _LEAVES and all(type(item) is inner for item in value):
            return tuple(value)
        return tuple(_build(inner, item) for item in value)
    if isinstance(kind, type) and is_dataclass(kind):
        known = {f.name for f in fields(kind)}
        if unknown := set(value) - known:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        return kind(**{name: _build(_hints(kind)[name], item) for name, item in value.items()})
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if kind is float and isinstance(value, int):
        return float(value)
    if isinstance(kind, type) and not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
