"""Procedural word problems, with a dial for digits, steps, distractors and template novelty.

Both kinds of error are possible on them: *plan* errors (distractor numbers, comparison language, what is told out of order) and *arithmetic* errors (numbers too
large for a small model's head). Splits are by digest of the template's id, and for stories also of the sequence of operations, so that a held-out problem is new
in its words or its composition and not only in its numbers. Only train templates ever train a model.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from functools import cache
from typing import Literal

from toolwright.episodes import Problem, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.tasks._templates import Drawn, Redraw, Step, Story, Template, load_templates

Split = Literal["train", "validation", "test"]
Novelty = Literal["numbers", "templates", "compositions"]
_SHARES = {"test": 15, "validation": 7}
"""Percent of templates held out."""
_OPERATIONS = ("add", "subtract", "add", "subtract", "double", "halve", "multiply", "divide")
"""Additions and subtractions come twice as often."""


@dataclass(frozen=True, slots=True)
class Dial:
    """How hard the problems are."""

    digits: int = 2
    """Digits of the large quantities, 1 to 7."""
    steps: int | None = None
    """Steps of the solution, 1 to 8; None for whatever the templates have. With a number, templates of that many steps and stories of that many events."""
    distractors: float = 0.3
    """The chance that a sentence with an irrelevant number is put in, where the template has one."""
    stories: float = 0.35
    """The share of stories among problems of a given number of steps (all, where no template has that many)."""
    novelty: Novelty = "templates"
    """What is new in a test or validation problem: templates never trained on; `compositions`: trained story themes in a never trained order of operations; or `numbers` only."""

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 7:
            raise UsageError(f"digits = {self.digits}, but the dial goes from 1 to 7")
        if self.steps is not None and not 1 <= self.steps <= 8:
            raise UsageError(f"steps = {self.steps}, but the dial goes from 1 to 8")
        if not 0 <= self.distractors <= 1 or not 0 <= self.stories <= 1:
            raise UsageError("distractors and stories are chances from 0 to 1")
        if self.novelty not in ("numbers", "templates", "compositions"):
            raise UsageError(f"novelty = {self.novelty!r}, but it is one of numbers, templates, compositions")


def generate(split: Split, index: int, dial: Dial = Dial(), *, seed: int = 0) -> Problem:
    """The index-th problem of a split under a dial: the same arguments give the same problem, everywhere and always.

    The gold is the last step's value; `meta` holds template, kind, steps (name, symbolic, expression, value) and digits.
    """
    rng = random.Random(derive_seed("wordproblem", seed, split, index, dial))
    for _ in range(1000):
        try:
            source, drawn = _draw(rng, split, dial)
        except Redraw:
            continue
        return Problem(
            id=f"wordproblem-{split}-{digest(seed, index, dial)}",
            question=drawn.question,
            gold=str(drawn.steps[-1].value),
            meta={
                "template": source.id,
                "digits": dial.digits,
                "steps": [{"name": s.name, "symbolic": s.symbolic, "expression": s.expression, "value": s.value} for s in drawn.steps],
                "quantities": drawn.quantities,
            },
        )
    raise UsageError(f"no {split} problem fits {dial}; loosen the dial")


def split_of(template_id: str) -> Split:
    """Which split a template belongs to, by digest of its id."""
    bucket = int(digest("template", template_id), 16) % 100
    return "test" if bucket < _SHARES["test"] else "validation" if bucket < sum(_SHARES.values()) else "train"


def split_of_operations(operations: tuple[str, ...]) -> Split:
    """Which split a sequence of story events belongs to; sequences of one or two are too few to hold any out."""
    if len(operations) < 3:
        return "train"
    bucket = int(digest("operations", list(operations)), 16) % 100
    return "test" if bucket < _SHARES["test"] else "validation" if bucket < sum(_SHARES.values()) else "train"


def split_digest() -> str:
    """The identity of the splits: it changes when any template changes or moves."""
    templates, stories = load_templates()
    return digest(sorted((t.id, split_of(t.id), digest(t)) for t in (*templates, *stories)))


@cache
def _pool(split: Split, steps: int | None) -> tuple[tuple[Template, ...], tuple[Story, ...]]:
    templates, stories = load_templates()
    return (
        tuple(t for t in templates if split_of(t.id) == split and steps in (None, len(t.steps))),
        tuple(s for s in stories if split_of(s.id) == split),
    )


def _draw(rng: random.Random, split: Split, dial: Dial) -> tuple[Template | Story, Drawn]:
    home: Split = split if dial.novelty == "templates" else "train"
    templates, stories = _pool(home, dial.steps)
    if not templates or dial.novelty == "compositions" or (stories and rng.random() < dial.stories):
        story = rng.choice(stories)
        length = dial.steps or rng.choice((1, 2, 2, 3, 3, 4, 5))
        operations = tuple(rng.choice(_OPERATIONS) for _ in range(length))
        wanted = split if dial.novelty == "compositions" else "train"
        if split_of_operations(operations) != wanted and length > 2:
            raise Redraw
        return story, story.render(rng, operations, digits=dial.digits)
    template = rng.choice(templates)
    return template, template.render(rng, digits=dial.digits, distractors=dial.distractors)


def check(file: str | None = None, samples: int = 30) -> list[str]:
    """What is wrong with the templates (of one file, or all): numbers that never work out, unknown slots, steps that do not fit."""
    templates, stories = load_templates()
    complaints = []
    only = None if file is None else _ids_of(file)
    for source in (*templates, *stories):
        if only is not None and source.id not in only:
            continue
        try:
            _check_one(source, samples)
        except (UsageError, KeyError, ValueError) as error:
            complaints.append(f"{source.id}: {error}")
    return complaints


def _check_one(source: Template | Story, samples: int) -> None:
    for number in range(samples):
        rng = random.Random(number)
        digits = 1 + number % 5
        if isinstance(source, Story):
            for op in source.events:
                _render_story(source, rng, op, digits)
            continue
        try:
            drawn = source.render(rng, digits=max(digits, 2), distractors=0.5)
        except Redraw as error:
            raise UsageError(f"no numbers with {max(digits, 2)} digits work out; loosen its draw or where") from error
        for text in (*source.text, *source.extra):
            shown = {name for name in source.draw if "{" + name + "}" in text}
            if text in source.text and (missing := _needed(source) - shown):
                raise UsageError(f"wording {text[:40]!r}… does not tell {sorted(missing)}")
        if "[" in drawn.question or "{" in drawn.question:
            raise UsageError(f"left over: {drawn.question}")


def _needed(template: Template) -> set[str]:
    """The drawn numbers that the steps use."""
    import re

    used = {name for _, symbolic in template.steps for name in re.findall(r"[A-Za-z_]\w*", symbolic)}
    return used & set(template.draw)


def _render_story(story: Story, rng: random.Random, op: str, digits: int) -> None:
    for _ in range(300):
        try:
            story.render(rng, (op,), digits=digits)
            return
        except Redraw:
            continue
    raise UsageError(f"event {op} never works out at {digits} digits")


def _ids_of(file: str) -> set[str]:
    import tomllib
    from importlib import resources

    text = resources.files("toolwright.tasks").joinpath("templates", f"{file}.toml").read_text(encoding="utf-8")
    return {row["id"] for kind in tomllib.loads(text).values() for row in kind}


def _main(arguments: list[str]) -> int:
    """``python -m toolwright.tasks.wordproblems check [FILE] [SAMPLES]``: complaints, then samples with their steps."""
    file = arguments[1] if len(arguments) > 1 else None
    complaints = check(file)
    print("\n".join(complaints) or "no complaints")
    templates, stories = load_templates()
    mine = [t for t in (*templates, *stories) if file is None or t.id in _ids_of(file)]
    print(f"{len(mine)} entries; splits: " + ", ".join(f"{s} {sum(split_of(t.id) == s for t in mine)}" for s in ("train", "validation", "test")))
    rng = random.Random()
    for source in rng.sample(mine, min(len(mine), int(arguments[2]) if len(arguments) > 2 else 40)):
        try:
            drawn = (
                source.render(rng, tuple(rng.choice(list(source.events)) for _ in range(3)), digits=3)
                if isinstance(source, Story)
                else source.render(rng, digits=rng.choice((2, 2, 3, 4)), distractors=0.5)
            )
        except (Redraw, UsageError):
            continue
        print(f"\n[{source.id}] {drawn.question}\n   " + "; ".join(f"{s.name}: {s.expression} = {s.value}" for s in drawn.steps))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
