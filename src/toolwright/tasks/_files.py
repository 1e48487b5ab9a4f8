r"""A user's own problems, from JSONL or CSV: columns guessed among the usual names, golds taken out of ``#### x`` and ``\boxed{x}``.

Everything a person can get wrong in such a file is told with the file, the line and the columns found. Nothing is repaired silently.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from toolwright.episodes import Problem
from toolwright.errors import UsageError
from toolwright.tasks._golds import written_gold
from toolwright.tasks._rows import read_rows, stem_of
from toolwright.tasks._types import Task, chosen

QUESTIONS = ("question", "problem", "prompt", "input", "query", "instruction")
ANSWERS = ("final_answer", "answer", "gold", "target", "expected", "solution")
IDS = ("id", "problem_id", "question_id", "unique_id", "uid", "idx", "index")
CHOICES = ("choices", "options")


def load_file(
    path: str | os.PathLike[str],
    *,
    question: str | None = None,
    answer: str | None = None,
    id: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
) -> Task:
    """The problems of a JSONL or CSV file (or ``.tsv``; each may end in ``.gz``).

    `question`, `answer` and `id` name columns; without them the usual names are looked for, in any case. Without an id column, ids are made of file name and
    line. Rows of a JSONL file may hold `choices` (a list); the answer is then a letter, an index from 0, or an option's text. Other columns go to `meta`.

    Raises: UsageError that names the file, the line and the columns found.
    """
    path = Path(path)
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    columns: _Columns | None = None
    for line, row in read_rows(path):
        place = f"{path}, line {line}"
        if columns is None or not columns.fits(row):
            columns = _Columns.guess(row, place, question, answer, id)
        problem = columns.problem(row, place, f"{stem_of(path)}-{line:05d}")
        if problem.id in lines:
            raise UsageError(f"{place}: the id {problem.id!r} is already used on line {lines[problem.id]}; ids must differ")
        lines[problem.id] = line
        problems.append(problem)
    if not problems:
        raise UsageError(f"{path} holds no problems; each line (after the header of a CSV file) is one, with a question and an answer")
    notes = f"columns: question from {columns.question!r}, answer from {columns.answer!r}" if columns else ""
    return Task(stem_of(path), chosen(problems, limit, seed), "file", notes=notes)


class _Columns:
    """Which column holds what, guessed once and again only where a row has other columns."""

    def __init__(self, question: str, answer: str, identity: str | None, choices: str | None) -> None:
        self.question, self.answer, self.identity, self.choices = question, answer, identity, choices

    @classmethod
    def guess(cls, row: Mapping[str, Any], place: str, question: str | None, answer: str | None, identity: str | None) -> _Columns:
        asked = _column(row, place, "question", question, QUESTIONS)
        golds = _column(row, place, "answer", answer, tuple(name for name in ANSWERS if name != asked.lower()))
        return cls(asked, golds, _column(row, place, "id", identity, IDS) if identity is not None else _find(row, IDS), _find(row, CHOICES))

    def fits(self, row: Mapping[str, Any]) -> bool:
        return (
            self.question in row
            and self.answer in row
            and (self.identity is None or self.identity in row)
            and (self.choices or _find(row, CHOICES)) == self.choices
        )

    def problem(self, row: Mapping[str, Any], place: str, default_id: str) -> Problem:
        """The row's problem. Raises: UsageError naming the place."""
        question = row[self.question]
        if question is None or (isinstance(question, str) and not question.strip()):
            raise UsageError(f"{place}: the question (column {self.question!r}) is empty")
        if not isinstance(question, str):
            raise UsageError(f"{place}: the question (column {self.question!r}) is {question!r}, not a text")
        identity = default_id if self.identity is None else str("" if row[self.identity] is None else row[self.identity]).strip()
        if not identity:
            raise UsageError(f"{place}: the id (column {self.identity!r}) is empty")
        choices = self._choices(row, place)
        gold = _letter(row[self.answer], choices, place) if choices else _gold(row[self.answer], place, self.answer)
        used = {self.question, self.answer, self.identity, self.choices}
        return Problem(identity, question.strip(), gold, choices, meta={key: value for key, value in row.items() if key not in used})

    def _choices(self, row: Mapping[str, Any], place: str) -> tuple[str, ...]:
        options = row.get(self.choices) if self.choices else None
        if options is None or isinstance(options, str):  # a CSV cell; there is no one way to write a list in it
            return ()
        if not isinstance(options, list) or not 1 < len(options) <= len(ascii_uppercase) or not all(isinstance(option, str) for option in options):
            raise UsageError(f"{place}: {self.choices!r} must be a list of 2 to 26 texts, in the order of the letters A, B, …")
        return tuple(options)


def _find(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    by_name = {str(column).strip().lower(): column for column in reversed(list(row))}
    return next((by_name[name] for name in names if name in by_name), None)


def _column(row: Mapping[str, Any], place: str, role: str, given: str | None, usual: Sequence[str]) -> str:
    found = given if given in row else None if given is not None else _find(row, usual)
    if found is None:
        there = ", ".join(map(str, row)) or "none"
        if given is not None:
            raise UsageError(f"{place}: no column {given!r} for the {role}; columns found: {there}")
        advice = f"usual names are {', '.join(usual)}; or name it with {role}=COLUMN"
        raise UsageError(f"{place}: no {role} column; columns found: {there}; {advice}")
    return found


def _gold(value: Any, place: str, column: str) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place}: the answer (column {column!r}) is {value}, not a finite number")
    if value is None or (isinstance(value, str) and not value.strip()):
        raise UsageError(f"{place}: the answer (column {column!r}) is empty")
    if not isinstance(value, str | int | float):
        raise UsageError(f"{place}: the answer (column {column!r}) is a {type(value).__name__}, but a text or a number is needed")
    try:
        return written_gold(str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value))
    except UsageError as error:
        raise UsageError(f"{place}, column {column!r}: {error}") from error


def _letter(value: Any, choices: tuple[str, ...], place: str) -> str:
    letters = ascii_uppercase[: len(choices)]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return letters[value]
    text = str(value).strip()
    if text in choices:
        return letters[choices.index(text)]
    if len(text) == 1 and text.upper() in letters:
        return text.upper()
    raise UsageError(
        f"{place}: the answer {value!r} is none of the {len(choices)} choices; give a letter A to {letters[-1]}, an index from 0, or an option's text"
    )
