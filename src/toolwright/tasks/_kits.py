"""Kits: a theme's clauses by kind, composed into problems nobody wrote as a whole.

A template is a handful of wordings of one problem; a small model learns it by heart. A kit has some wordings for every *kind* (an opening, a change, a given
fact, a question), and an opening, up to two changes and a question make a problem, so one kit gives thousands of texts over some two hundred plans. The
format is told in docs/templates.md.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from toolwright.errors import UsageError
from toolwright.tasks._templates import Drawn, Redraw, Step, draw_quantity, draw_words, evaluate, fill, whole

KINDS: dict[str, str] = {
    **{"start": "a", "two": "ab", "groups": "kb", "some": ""},
    **{"more": "b", "less": "b", "more_each": "jb", "less_each": "jb", "more_boxes": "j", "less_boxes": "j", "now": "t"},
    **{"holds": "c", "shares": "c", "price": "p", "minutes": "m"},
    **{"ask_now": "", "ask_box": "", "ask_per": "", "ask_money": "", "ask_minutes": "", "ask_start": ""},
    **{"ask_box_rest": "c", "ask_box_all": "c", "ask_per_rest": "c", "ask_per_all": "c", "ask_money_rest": "p", "ask_money_all": "p"},
    **{"ask_short": "t", "ask_ahead": "t", "extra": "x"},
}
"""What each kind's clauses tell, as the letters of their number slots."""
OPTIONAL = frozenset({"price", "ask_money", "ask_money_rest", "ask_money_all", "minutes", "ask_minutes", "more_boxes", "less_boxes"})
_GIVEN = {"ask_box": "holds", "ask_per": "shares", "ask_money": "price", "ask_minutes": "minutes"}
"""The fact that a question without a number needs."""
_LOSSES = frozenset({"less", "less_each", "less_boxes"})
_TRIES = 60


@dataclass(frozen=True, slots=True)
class Kit:
    """One theme: word lists, and clauses by kind."""

    id: str
    words: dict[str, tuple[str, ...]]
    clauses: dict[str, tuple[str, ...]]

    def render(self, rng: random.Random, *, digits: int, distractors: float, steps: int | None = None) -> Drawn:
        """One problem, of so many steps where `steps` is given; Raises Redraw where the draw does not come out so."""
        plot = _Plot(rng, self)
        for _ in range(_TRIES):
            try:
                told = _Told(rng, digits)
                plot(told)
                break
            except Redraw:
                continue
        else:
            raise Redraw
        if steps is not None and len(told.steps) != steps:
            raise Redraw
        words = self.draw_words(rng)
        sentences: list[str] = []
        others = False
        for kind, numbers in told.parts:
            clause = rng.choice(self.clauses[kind])
            if kind == "ask_ahead" and others:
                # Whoever was given things before must not be the one who is said to have so many now.
                clause = re.sub(r"\{(name|he|him|his|He|His)2\}", r"{\g<1>3}", clause)
            others |= "{name2}" in clause
            sentences.append(fill(rng, clause, words, numbers))
        if rng.random() < distractors:
            x = draw_quantity(rng, rng.choice(("small", "large")), min(digits, 3), {})
            sentences.insert(rng.randint(1, len(sentences) - 1), fill(rng, rng.choice(self.clauses["extra"]), words, {"x": x}))
        return Drawn(" ".join(sentences), tuple(told.steps))

    def draw_words(self, rng: random.Random) -> dict[str, str]:
        """Every word slot filled; the plural of ``{box}`` is ``{boxes}``, and so of every slot on x, s or h."""
        words = draw_words(rng, self.words)
        return words | {f"{slot}es": words[f"{slot}s"] for slot in self.words if slot[-1] in "xsh"}


@dataclass(slots=True)
class _Told:
    """A problem under way: the clauses told so far with their numbers, and the steps that follow from them."""

    rng: random.Random
    digits: int
    parts: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    value: int = 0
    """What there is now."""
    shown: str = ""
    """How a step names it: a number of the text, or an earlier step."""

    def large(self) -> int:
        return draw_quantity(self.rng, "large", self.digits, {})

    def small(self) -> int:
        return self.rng.randint(2, 12)

    def tell(self, kind: str, **numbers: int) -> None:
        self.parts.append((kind, numbers))

    def work(self, left: str, sign: str, right: str) -> str:
        """One step over numbers and names; its name. Raises Redraw where the value is no positive whole number."""
        known = {step.name: step.value for step in self.steps}
        symbolic = f"{left} {sign} {right}"
        expression = " ".join(str(known.get(part, part)) for part in (left, sign, right))
        name = f"n{len(self.steps) + 1}"
        self.steps.append(Step(name, symbolic, expression, whole(evaluate(expression, {}))))
        return name

    def update(self, left: str, sign: str, right: str) -> None:
        """A step whose value is what there is now."""
        self.shown = self.work(left, sign, right)
        self.value = self.steps[-1].value

    def divisor(self) -> int:
        """A number from 2 to 20 that divides what there is into at least two; Raises Redraw where there is none."""
        found = [d for d in range(2, 21) if self.value % d == 0 and self.value // d > 1]
        if not found:
            raise Redraw
        return self.rng.choice(found)


class _Plot:
    """An opening, changes and a question, without numbers."""

    def __init__(self, rng: random.Random, kit: Kit) -> None:
        self.kit = kit
        self.opening = rng.choices(("start", "two", "groups", "some"), (5, 2, 3, 1))[0]
        self.changes = self._changes(rng)
        self.given_first = rng.random() < 0.3
        self.ask = self._ask(rng)

    def _changes(self, rng: random.Random) -> list[str]:
        count = {"start": rng.choices((0, 1, 2), (2, 6, 3))[0], "two": rng.choices((0, 1), (2, 1))[0], "groups": rng.choices((0, 1, 2), (4, 6, 1))[0]}
        loose = ("more", "less", "more", "less", "more_each", "less_each")
        changes = [rng.choice(loose) for _ in range(count.get(self.opening, rng.choice((1, 1, 2))))]
        if self.opening == "groups" and changes and rng.random() < 0.4:
            changes[0] = rng.choice(("more_boxes", "less_boxes"))
        return [change if change in self.kit.clauses else change.replace("_boxes", "") for change in changes]

    def _ask(self, rng: random.Random) -> str:
        if self.opening == "some":
            return "ask_start"
        kinds = ["ask_money", "ask_money", "ask_minutes", "ask_short", "ask_ahead"]
        if self.opening != "groups":
            # After groups of one size, dividing into groups of another would be a puzzle.
            kinds += ["ask_box"] * 3 + ["ask_per"] * 2
        if self.changes or self.opening != "start":
            kinds += ["ask_now"] * 3
        kind = rng.choice([kind for kind in kinds if kind in self.kit.clauses])
        if kind in ("ask_box", "ask_per", "ask_money") and rng.random() < 0.5:
            kind += "_rest" if self.changes and self.changes[-1] in _LOSSES else "_all"
        return kind

    def __call__(self, told: _Told) -> None:
        """Numbers for everything. Raises Redraw where they do not work out."""
        getattr(self, f"_open_{self.opening}")(told)
        for change in self.changes:
            self._change(told, change)
        self._question(told)

    def _open_start(self, told: _Told) -> None:
        told.value = told.large()
        told.shown = str(told.value)
        told.tell("start", a=told.value)

    def _open_two(self, told: _Told) -> None:
        a, b = told.large(), told.large()
        told.tell("two", a=a, b=b)
        told.update(str(a), "+", str(b))

    def _open_groups(self, told: _Told) -> None:
        k, b = told.small(), told.rng.choice((told.small(), told.large()))
        told.tell("groups", k=k, b=b)
        first = self.changes[0] if self.changes else ""
        if first.endswith("_boxes"):
            j = told.small()
            told.tell(first, j=j)
            told.update(str(k), "+" if first == "more_boxes" else "-", str(j))
            told.update(told.shown, "*", str(b))
        else:
            told.update(str(k), "*", str(b))

    def _open_some(self, told: _Told) -> None:
        """An unknown beginning: the changes are undone from the end."""
        told.tell("some")
        start = value = told.large()
        undo = []
        for change in self.changes:
            b, j = told.large() if not change.endswith("_each") else told.small(), told.small()
            each = change.endswith("_each")
            amount = j * b if each else b
            value = value + amount if change.startswith("more") else value - amount
            if value < 1:
                raise Redraw
            told.tell(change, **({"j": j, "b": b} if each else {"b": b}))
            undo.append(("-" if change.startswith("more") else "+", (j, b) if each else None, b))
        told.tell("now", t=value)
        told.shown = str(value)
        for sign, product, b in reversed(undo):
            amount_shown = told.work(str(product[0]), "*", str(product[1])) if product else str(b)
            told.update(told.shown, sign, amount_shown)
        if told.value != start:
            raise AssertionError("undoing the changes does not lead back")

    def _change(self, told: _Told, change: str) -> None:
        if self.opening == "some" or change.endswith("_boxes"):
            return
        sign = "+" if change.startswith("more") else "-"
        if change.endswith("_each"):
            j, b = told.small(), told.small()
            told.tell(change, j=j, b=b)
            told.update(told.shown, sign, told.work(str(j), "*", str(b)))
        else:
            b = told.large()
            told.tell(change, b=b)
            told.update(told.shown, sign, str(b))

    def _question(self, told: _Told) -> None:
        kind = self.ask.removesuffix("_rest").removesuffix("_all")
        if kind in ("ask_now", "ask_start"):
            told.tell(self.ask)
        elif kind == "ask_short":
            goal = told.value + told.large()
            told.update(str(goal), "-", told.shown)
            told.tell("ask_short", t=goal)
        elif kind == "ask_ahead":
            if told.value < 3:
                raise Redraw
            other = told.rng.randint(1, told.value - 1)
            told.update(told.shown, "-", str(other))
            told.tell("ask_ahead", t=other)
        else:
            letter = KINDS[_GIVEN[kind]]
            amount = told.divisor() if letter == "c" else told.small()
            told.update(told.shown, "/" if letter == "c" else "*", str(amount))
            if kind != self.ask:
                told.tell(self.ask, **{letter: amount})
                return
            told.parts.insert(0 if self.given_first else len(told.parts), (_GIVEN[kind], {letter: amount}))
            told.tell(self.ask)


@cache
def load_kits() -> tuple[Kit, ...]:
    """Every kit of the package, in file order.

    Raises: UsageError that names the file and entry with a missing or unknown kind.
    """
    kits = []
    for entry in sorted(resources.files("toolwright.tasks").joinpath("templates").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            kits += [_kit(entry.name, row) for row in tomllib.loads(entry.read_text(encoding="utf-8")).get("kit", ())]
    ids = [kit.id for kit in kits]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise UsageError(f"kit ids used twice: {', '.join(sorted(doubled))}")
    return tuple(kits)


def _kit(file: str, row: dict[str, Any]) -> Kit:
    kinds = set(row) - {"id", "words"}
    if wrong := (KINDS.keys() - kinds - OPTIONAL) | (kinds - KINDS.keys()):
        raise UsageError(f"{file}, {row.get('id', 'a kit without id')}: missing or unknown kinds {sorted(wrong)}")
    return Kit(row["id"], {slot: tuple(entries) for slot, entries in row["words"].items()}, {kind: tuple(row[kind]) for kind in KINDS if kind in row})
