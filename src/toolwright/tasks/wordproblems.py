"""Procedural word problems, with a dial for digits, steps, distractors and template novelty.

Both kinds of error are possible on them: *plan* errors (distractor numbers, comparison language, what is told out of order) and *arithmetic* errors (numbers
too large for a small model's head). Splits are by digest of the template's id, and for stories also of the sequence of operations, so that a held-out problem
is new in its words or its composition and not only in its numbers. Only train templates ever train a model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Literal

from toolwright.episodes import Problem, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.tasks._kits import Kit, load_kits
from toolwright.tasks._templates import Drawn, Redraw, Story, Template, load_templates

Split = Literal["train", "validation", "test"]
Novelty = Literal["numbers", "templates", "compositions"]
_SHARES = {"test": 15, "validation": 7}
"""Percent of templates held out."""
_FEWEST = 8
"""Fewer templates than this would make a set of problems too alike."""
_OPERATIONS = ("add", "subtract", "add", "subtract", "double", "halve", "multiply", "divide")
"""Additions and subtractions come twice as often."""


@dataclass(frozen=True, slots=True)
class Dial:
    """How hard the problems are."""

    digits: int = 2
    """Digits of the large quantities, 1 to 7. From 3 on, held-out problems come from templates that have a large quantity,
    unless there are too few of them with so many steps."""
    steps: int | None = None
    """Steps of the solution, 1 to 8; None for whatever the templates have. With a number, templates of that many steps and stories of that many events."""
    distractors: float = 0.3
    """The chance that a sentence with an irrelevant number is put in, where the template has one."""
    stories: float = 0.35
    """The share of stories among problems of a given number of steps (all, where no template has that many)."""
    novelty: Novelty = "templates"
    """What is new in a test or validation problem: templates never trained on; `compositions`: trained story themes in a never trained order of three or more
    operations; or `numbers` only."""

    def __post_init__(self) -> None:
        if not _is_whole(self.digits) or not 1 <= self.digits <= 7:
            raise UsageError(f"digits = {self.digits!r}, but the dial goes from 1 to 7")
        if self.steps is not None and (not _is_whole(self.steps) or not 1 <= self.steps <= 8):
            raise UsageError(f"steps = {self.steps!r}, but the dial goes from 1 to 8")
        for name in ("distractors", "stories"):
            chance = getattr(self, name)
            if not isinstance(chance, int | float) or not 0 <= chance <= 1:
                raise UsageError(f"{name} = {chance!r}, but it is a chance from 0 to 1")
            # Equal dials must draw equal problems, and a digest tells 0 from 0.0.
            object.__setattr__(self, name, float(chance))
        if self.novelty not in ("numbers", "templates", "compositions"):
            raise UsageError(f"novelty = {self.novelty!r}, but it is one of numbers, templates, compositions")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def generate(split: Split, index: int, dial: Dial = Dial(), *, seed: int = 0, things: float = 0.0, kits: float = 0.0) -> Problem:
    """The index-th problem of a split under a dial: the same arguments give the same problem, everywhere and always.

    The gold is the last step's value; `meta` holds template, kind, steps (name, symbolic, expression, value) and digits. `things` is the chance that a
    template's nouns come from one large list: more variety in training, at some cost in sense. `kits` is the share of problems composed from kits, clauses
    of one theme; they serve training and its validation only, so the problems of the test split stay what they are.
    """
    if dial.novelty == "compositions" and split != "train" and (dial.steps or 3) < 3:
        raise UsageError(
            f"steps = {dial.steps} with novelty = compositions, but orders of one or two operations are too few to hold any out; take 3 to 8 steps"
        )
    rng = random.Random(derive_seed("wordproblem", seed, split, index, dial))
    for _ in range(1000):
        try:
            source, drawn = _draw_kit(rng, split, dial) if kits and rng.random() < kits else _draw(rng, split, dial, things)
        except Redraw:
            continue
        return Problem(
            # Other words under the same seed and dial must not pass for the same problem.
            id=f"wordproblem-{split}-{digest(seed, index, dial, *([things, kits] if kits else []))}",
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
    """Which split a template belongs to, by digest of its id; all questions of a scene (``scene/1``, ``scene/2``) stay together, and so do like kits.

    No kit (``kit-…``) is in the test split, because no test problem is composed from one.
    """
    bucket = int(digest("template", template_id.partition("/")[0]), 16) % 100
    if template_id.startswith("kit-"):
        return "validation" if bucket < _SHARES["validation"] else "train"
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
    entries: tuple[Template | Story | Kit, ...] = (*templates, *stories, *load_kits())
    return digest(sorted((t.id, split_of(t.id), digest(t)) for t in entries))


@cache
def _pool(split: Split, steps: int | None, sized: bool) -> tuple[tuple[Template, ...], tuple[Story, ...]]:
    """The templates and stories of a split; sized: only those whose numbers follow the digits dial, where there are some."""
    templates, stories = load_templates()
    mine = tuple(t for t in templates if split_of(t.id) == split and steps in (None, len(t.steps)))
    large = tuple(t for t in mine if "large" in t.draw.values())
    return (
        large if sized and len(large) >= _FEWEST else mine,
        tuple(s for s in stories if split_of(s.id) == split),
    )


@cache
def _kits(split: Split) -> tuple[Kit, ...]:
    return tuple(kit for kit in load_kits() if split_of(kit.id) == split)


def _draw_kit(rng: random.Random, split: Split, dial: Dial) -> tuple[Kit, Drawn]:
    if split == "test":
        raise UsageError("kits serve training and validation; test problems are drawn from templates and stories")
    kit = rng.choice(_kits(split if dial.novelty == "templates" else "train"))
    return kit, kit.render(rng, digits=dial.digits, distractors=dial.distractors, steps=dial.steps)


def _draw(rng: random.Random, split: Split, dial: Dial, things: float) -> tuple[Template | Story, Drawn]:
    home: Split = split if dial.novelty == "templates" else "train"
    # Training takes all templates at every setting: the shipped models were trained so, and small numbers do no harm there.
    templates, stories = _pool(home, dial.steps, split != "train" and dial.digits > 2)
    if not templates or dial.novelty == "compositions" or (stories and rng.random() < dial.stories):
        story = rng.choice(stories)
        length = dial.steps or rng.choice((1, 2, 2, 3, 3, 4, 5))
        operations = tuple(rng.choice(_OPERATIONS) for _ in range(length))
        wanted = split if dial.novelty == "compositions" else "train"
        if split_of_operations(operations) != wanted:
            raise Redraw
        return story, story.render(rng, operations, digits=dial.digits)
    template = rng.choice(templates)
    return template, template.render(rng, digits=dial.digits, distractors=dial.distractors, things=things)
