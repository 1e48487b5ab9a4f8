"""What a task is: problems with gold answers, where they come from, and which problems exactly."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Literal, Protocol

from toolwright.checks import extract_answer
from toolwright.episodes import Problem, derive_seed, digest
from toolwright.errors import UsageError

Source = Literal["folder", "hub", "file", "generated"]
Grade = Callable[..., bool | None]
"""``grade(answer, gold, choices=…)``: right, wrong, or None for *could not decide*; `toolwright.checks.grade` is one."""


@dataclass(frozen=True, slots=True)
class Task:
    """Problems with gold answers."""

    name: str
    """With what was chosen: ``gsm8k``, ``wordproblems:digits=4,steps=3,count=200``."""
    problems: tuple[Problem, ...]
    source: Source
    split: str = "test"
    licence: str = ""
    """Of the problems, as their publisher states it; empty where nobody said."""
    notes: str = ""
    """What to know before quoting a figure on it."""
    trainable: bool = False
    """Whether weights that are shipped may be trained on these problems: no test split, and a licence that allows it."""

    @property
    def digest(self) -> str:
        """The identity of these very problems: ids, questions, golds and options, in this order."""
        return digest("task", [[p.id, p.question, p.gold, list(p.choices)] for p in self.problems])


class Loader(Protocol):
    """What the entry-point group ``toolwright.tasks`` names: a function that gives the task.

    It may take options of its own beside these four, each with a default.
    """

    def __call__(self, *, data: str | None = None, split: str = "test", limit: int | None = None, seed: int | None = None, **options: Any) -> Task:
        """The task. Raises: UsageError for what it does not have."""


def chosen(problems: Sequence[Problem], limit: int | None, seed: int | None) -> tuple[Problem, ...]:
    """The first `limit` problems, or with a seed that many drawn at random, always in the drawn order; None for all.

    A drawn set only grows with the limit: the 100 problems of a seed hold the 50 of the same seed.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit = {limit}, but at least one problem is needed; leave it out for all")
    kept = list(problems)
    if seed is not None:
        random.Random(derive_seed("task", seed)).shuffle(kept)
    return tuple(kept[:limit])


def self_check(task: Task, grade: Grade) -> list[str]:
    """What is wrong with a task and its grader, one sentence for each problem; empty for a sound task.

    Each gold answer must pass its own grader, as it stands and boxed in a sentence as models write it; a whole number one larger, or the next option, must not.
    """
    complaints = []
    for problem in task.problems:
        if problem.gold is None:
            complaints.append(f"{problem.id}: no gold answer")
            continue
        boxed = extract_answer(rf"The answer is \boxed{{{problem.gold}}}.", choices=problem.choices)
        for answer in dict.fromkeys((problem.gold, boxed)):
            verdict = grade(answer, problem.gold, choices=problem.choices)
            if verdict is not True:
                decided = "not decided about" if verdict is None else "refused"
                complaints.append(f"{problem.id}: {answer!r} for the gold {problem.gold!r} is {decided} by its own grader")
        wrong = _wrong(problem)
        if wrong is not None and grade(wrong, problem.gold, choices=problem.choices) is True:
            complaints.append(f"{problem.id}: {wrong!r} passes for the gold {problem.gold!r}")
    return complaints


def _wrong(problem: Problem) -> str | None:
    gold = problem.gold or ""
    if len(problem.choices) > 1:
        return ascii_uppercase[(ascii_uppercase.index(gold) + 1) % len(problem.choices)]
    return str(int(gold) + 1) if re.fullmatch(r"-?\d+", gold) else None
