"""Passages from what people have: a folder of text and Markdown files, or a JSONL with id, title and text. Read as a stream, nothing kept.

Files are cut into passages at headings and between paragraphs. Leaves out every other format (PDF, HTML): convert first.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolwright.episodes import read_lines
from toolwright.errors import UsageError
from toolwright.retrieval._types import Passage

TEXTS = (".txt", ".text", ".md", ".markdown")
MARKDOWN = (".md", ".markdown")
LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
PASSAGE_CHARACTERS = 1200
"""A passage of a file takes in paragraphs up to so many; a longer paragraph is cut between sentences or words."""
_HEADING = re.compile(r"#{1,6}[ \t]+(?P<title>.*?)[ \t#]*")
_FENCE = re.compile(r"[ \t]*(```|~~~)")


def read_passages(source: Path) -> Iterator[tuple[str, Passage]]:
    """(file, passage) of every passage of a folder or JSONL file, in a fixed order.

    A file of a folder gives passages ``path``, ``path#2``, …; a JSONL row without an id gets one of file name and line.

    Raises: UsageError for a source that is not there or of another kind, a file that is no UTF-8 text, and a broken row, by its line number.
    """
    if source.is_dir():
        yield from _of_folder(source)
    elif not source.exists():
        raise UsageError(f"nothing at {source}; give a folder of {', '.join(TEXTS)} files or a JSONL file with id, title and text")
    elif source.name.lower().endswith(LINES):
        yield from ((source.name, passage) for passage in _of_lines(source))
    elif source.suffix.lower() in TEXTS:
        yield from ((source.name, passage) for passage in _of_file(source, source.name))
    else:
        raise UsageError(f"{source} is neither a folder nor a file that ends in {', '.join((*LINES, *TEXTS))}")


def _of_folder(folder: Path) -> Iterator[tuple[str, Passage]]:
    """Hidden files and folders are passed over, like everything that does not end like a text."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() in TEXTS and path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            yield from ((name, passage) for passage in _of_file(path, name))


def _of_file(path: Path, name: str) -> Iterator[Passage]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8 or move it away") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    sections = _sections(text) if path.suffix.lower() in MARKDOWN else [("", text)]
    count = 0
    for heading, body in sections:
        for piece in _pieces(body):
            count += 1
            yield Passage(name if count == 1 else f"{name}#{count}", heading or path.stem.replace("_", " "), piece)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """(heading with those above it, body) of each part of a Markdown text; what looks like a heading inside a code block is none."""
    above: dict[int, str] = {}
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        if (mark := _FENCE.match(line)) and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        if fence or (heading := _HEADING.fullmatch(line)) is None:
            lines.append(line)
            continue
        yield _joined(above), "\n".join(lines)
        level = len(line) - len(line.lstrip("#"))
        above = {depth: title for depth, title in above.items() if depth < level} | {level: heading["title"]}
        lines = []
    yield _joined(above), "\n".join(lines)


def _joined(above: dict[int, str]) -> str:
    return " › ".join(title for _, title in sorted(above.items()) if title)


def _pieces(body: str) -> Iterator[str]:
    """The paragraphs, packed together as long as they fit."""
    packed = ""
    for paragraph in (part.strip() for part in re.split(r"\n[ \t]*\n", body.replace("\r\n", "\n"))):
        for piece in _cut(paragraph):
            if packed and len(packed) + len(piece) + 2 > PASSAGE_CHARACTERS:
                yield packed
                packed = ""
            packed = f"{packed}\n\n{piece}" if packed else piece
    if packed:
        yield packed


def _cut(paragraph: str) -> Iterator[str]:
    while len(paragraph) > PASSAGE_CHARACTERS:
        room = paragraph[:PASSAGE_CHARACTERS]
        ends = [match.end() for match in re.finditer(r"[.!?…]\s|\n", room)] or [match.end() for match in re.finditer(r"\s", room)]
        end = ends[-1] if ends else PASSAGE_CHARACTERS
        yield paragraph[:end].strip()
        paragraph = paragraph[end:].strip()
    if paragraph:
        yield paragraph


def _of_lines(path: Path) -> Iterator[Passage]:
    number = 0
    try:
        for number, row in read_lines(path):
            yield _passage(row, f"{path}, line {number}", f"{path.name.split('.')[0]}-{number:06d}")
    except (zlib.error, OSError) as error:
        raise UsageError(f"{path}, after line {number}: the file cannot be read on ({error}); fetch or write it again") from error


def _passage(row: dict[str, Any], place: str, default_id: str) -> Passage:
    found = {name: _field(row, name, place) for name in ("id", "title", "text")}
    if not found["text"] and not found["title"]:
        raise UsageError(f"{place}: there is neither a text nor a title; each line is an object with id, title and text (found: {', '.join(row) or 'nothing'})")
    return Passage(found["id"] or default_id, found["title"], found["text"])


def _field(row: dict[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and name == "id":
        return str(value)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{place}: {name!r} is a {type(value).__name__}, but a text is needed")
    text = (value or "").strip()
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"{place}: {name!r} holds half a character (a lone surrogate); write the line again as UTF-8")
    return text
