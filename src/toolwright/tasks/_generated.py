"""The procedural word problems as a task: a dial in the name, and the problem of the day.

The drawing itself is in `wordproblems`. Test templates are the default, and only the train split may train a model.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict, fields, replace
from typing import Any

from toolwright.episodes import Problem, derive_seed
from toolwright.errors import UsageError
from toolwright.tasks._types import Task
from toolwright.tasks.wordproblems import Dial, Split, generate, split_digest

COUNT = 200
MOST = 100_000
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_TODAY = (Dial(digits=2, steps=3, novelty="compositions"),)
"""What the problem of the day is drawn with, one of these by date; changed only together with the models, chosen on the validation split (LOG.md)."""


def wordproblems(
    *,
    data: object = None,
    split: str = "test",
    limit: int | None = None,
    seed: int | None = None,
    dial: Dial | None = None,
    count: int = COUNT,
    **settings: Any,
) -> Task:
    """The first `count` word problems of a dial and seed that differ in their text; `settings` set single fields of the dial.

    `data` plays no part. Raises: UsageError for an unknown split or setting, or where the dial has not that many problems.
    """
    del data
    if split not in _SPLITS:
        raise UsageError(f"wordproblems has no split {split!r}; it has {', '.join(_SPLITS)}")
    named: Split = next(s for s in _SPLITS if s == split)
    if count < 1 or (limit is not None and limit < 1):
        raise UsageError(f"count = {count if count < 1 else limit}, but at least one problem is needed")
    if min(count, limit or count) > MOST:
        raise UsageError(f"count = {count}, but at most {MOST:,} problems are drawn at once; use several seeds for more")
    known = [f.name for f in fields(Dial)]
    if unknown := sorted(set(settings) - set(known)):
        raise UsageError(f"wordproblems has no setting {unknown[0]!r}; it has {', '.join((*known, 'count', 'split', 'seed'))}")
    dial = replace(dial or Dial(), **settings)
    wanted = count if limit is None else min(count, limit)
    problems = _distinct(named, wanted, dial, seed or 0)
    notes = f"drawn from this package's own templates, split {split_digest()}; nothing of it stands in any benchmark"
    return Task(_name(dial, count, split, seed), problems, "generated", split, "Apache-2.0", notes, split == "train")


def today(date: datetime.date | None = None) -> Problem:
    """The problem of the day: three steps, two-digit numbers, in an order of operations that no model of this package was trained on.

    The same date gives the same problem for as long as the templates do not change.
    """
    day = (date or datetime.date.today()).isoformat()
    dial = _TODAY[derive_seed("today", day) % len(_TODAY)]
    seed = derive_seed("today", day, "draw")
    # Some templates have only small numbers whatever the dial says; those are passed over.
    drawn = (generate("test", index, dial, seed=seed) for index in range(1000))
    problem = next(p for p in drawn if _largest(p) >= 10 ** (dial.digits - 1))
    return replace(problem, id=f"today-{day}")


def _largest(problem: Problem) -> int:
    """The largest number that is calculated with or comes out."""
    return max(int(n) for step in problem.meta["steps"] for n in re.findall(r"\d+", f"{step['expression']} {step['value']}"))


def _distinct(split: Split, count: int, dial: Dial, seed: int) -> tuple[Problem, ...]:
    """Problems in the order of their index, those whose text came before left out."""
    problems: dict[str, Problem] = {}
    for index in range(20 * count + 100):
        problem = generate(split, index, dial, seed=seed)
        problems.setdefault(problem.question, problem)
        if len(problems) == count:
            return tuple(problems.values())
    raise UsageError(f"only {len(problems)} different {split} problems were found under {dial}, but count = {count}; lower the count or loosen the dial")


def _name(dial: Dial, count: int, split: str, seed: int | None) -> str:
    """The string form that loads the same task again."""
    default = asdict(Dial())
    settings: dict[str, object] = {name: value for name, value in asdict(dial).items() if value != default[name]}
    settings["count"] = count
    if split != "test":
        settings["split"] = split
    if seed:
        settings["seed"] = seed
    return "wordproblems:" + ",".join(f"{name}={value}" for name, value in settings.items())
