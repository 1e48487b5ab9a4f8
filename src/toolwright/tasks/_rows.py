"""Rows of JSONL and CSV files with their line numbers, the way people's files really are: a byte-order mark, CRLF, gzip, a broken line in the middle.

`episodes.read_lines` reads what this package wrote itself; this reads what others wrote, so every fault names the file and the line. Nothing here knows what a
column means.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from toolwright.errors import UsageError

FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv")
Row = tuple[int, dict[str, Any]]


def format_of(path: Path) -> str | None:
    """The format of a file by its ending (``.gz`` behind it is allowed), or None if it is not one of ours."""
    name = path.name.lower().removesuffix(".gz")
    return next((ending for ending in FORMATS if name.endswith(ending)), None)


def stem_of(path: Path) -> str:
    """The file's name without its endings."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def read_rows(path: Path) -> Iterator[Row]:
    """(line number from 1, row) of each line that holds something; for CSV the header is line 1.

    Raises: UsageError naming the file, and the line where one is broken.
    """
    kind = format_of(path)
    if kind is None:
        raise UsageError(f"{path}: cannot tell the format; accepted endings are {', '.join(FORMATS)}, each also with .gz")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the file in it")
    if not path.exists():
        raise UsageError(f"no file at {path}")
    with _open(path) as stream:
        yield from _json_rows(path, stream) if kind in (".jsonl", ".ndjson") else _csv_rows(path, stream, "\t" if kind == ".tsv" else ",")


@contextmanager
def _open(path: Path) -> Iterator[IO[str]]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    with raw:
        packed: Any = gzip.GzipFile(fileobj=raw) if path.name.lower().endswith(".gz") else raw
        yield io.TextIOWrapper(packed, encoding="utf-8-sig", newline="")


def _lines(path: Path, stream: IO[str]) -> Iterator[tuple[int, str]]:
    """The numbered lines, ends kept; a fault of the bytes names the line it was met at."""
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}, near line {number}: not UTF-8 text ({error.reason}); save the file as UTF-8") from error
        except (EOFError, zlib.error, OSError) as error:
            raise UsageError(f"{path}, near line {number}: the file is damaged ({error}); fetch or write it again") from error
        if not line:
            return
        yield number, line


def _json_rows(path: Path, stream: IO[str]) -> Iterator[Row]:
    for number, line in _lines(path, stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: not valid JSON ({error}); fix or remove that line") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {number}: a JSON {type(row).__name__}, but each line must be an object with a question and an answer")
        yield number, row


def _csv_rows(path: Path, stream: IO[str], delimiter: str) -> Iterator[Row]:
    reader = csv.reader((line for _, line in _lines(path, stream)), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise UsageError(f"{path}, line {start}: not valid CSV ({error}); quote fields that hold quotes, separators or line breaks") from error
        if fields is None:
            return
        if not any(field.strip() for field in fields):
            continue
        if not header:
            header = [field.strip() for field in fields]
            if len(set(header)) < len(header):
                raise UsageError(f"{path}, line {start}: the header names a column twice: {', '.join(header)}")
            continue
        if len(fields) != len(header):
            found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            raise UsageError(f"{path}, line {start}: {found}, but the header has {len(header)} ({', '.join(header)}); quote fields that hold a separator")
        yield start, dict(zip(header, fields, strict=True))
