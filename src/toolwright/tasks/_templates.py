"""Word-problem templates: read from TOML, drawn into a question and its worked steps.

The format is told in docs/templates.md. What is drawn is exact: every step result is a positive whole number, or everything is drawn anew.
"""

from __future__ import annotations

import ast
import random
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from toolwright.errors import UsageError
from toolwright.tasks._words import LISTS, NAMES, NUMBER_WORDS, PRONOUNS, THINGS

MAX_VALUE = 10**9
"""No number of a problem is larger; keeps what a small model reads and writes bounded."""
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Fraction, Fraction], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}


class Redraw(Exception):
    """These numbers do not work out; draw others."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a worked solution: ``name: expression = value`` with names for numbers and with numbers put in."""

    name: str
    symbolic: str
    expression: str
    value: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A problem drawn from a template."""

    question: str
    steps: tuple[Step, ...]
    quantities: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """One situation with one question."""

    id: str
    text: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    draw: dict[str, str]
    where: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    extra: tuple[str, ...]

    def render(self, rng: random.Random, *, digits: int, distractors: float, things: float = 0.0) -> Drawn:
        """One problem, by the chance `things` with nouns from the one large list; Raises Redraw if no numbers of that size work out in 200 draws."""
        for _ in range(200):
            try:
                numbers, steps = self._numbers(rng, digits)
                break
            except Redraw:
                continue
        else:
            raise Redraw
        anything = things > 0 and rng.random() < things
        words = draw_words(rng, self.words | {slot: THINGS for slot in ("thing", "other") if slot in self.words} if anything else self.words)
        text = rng.choice(self.text)
        if self.extra and rng.random() < distractors:
            text = _insert_extra(text, rng.choice(self.extra))
            numbers = numbers | {"x": draw_quantity(rng, rng.choice(("small", "large")), min(digits, 3), {})}
        return Drawn(fill(rng, text, words, numbers), steps, numbers)

    def _numbers(self, rng: random.Random, digits: int) -> tuple[dict[str, int], tuple[Step, ...]]:
        numbers: dict[str, int] = {}
        for name, kind in self.draw.items():
            numbers[name] = draw_quantity(rng, kind, digits, numbers)
        values = dict(numbers)
        steps = []
        for name, symbolic in self.steps:
            value = whole(evaluate(symbolic, values))
            steps.append(Step(name, symbolic, put_in(symbolic, values), value))
            values[name] = value
        if not all(holds(condition, values) for condition in self.where):
            raise Redraw
        return numbers, tuple(steps)


@dataclass(frozen=True, slots=True)
class Story:
    """An opening, then any number of events on one running quantity."""

    id: str
    words: dict[str, tuple[str, ...]]
    opening: tuple[str, ...]
    question: tuple[str, ...]
    events: dict[str, tuple[str, ...]]

    def render(self, rng: random.Random, operations: tuple[str, ...], *, digits: int) -> Drawn:
        """One problem with these operations in this order; Raises Redraw where the theme has no such event or no numbers work out."""
        if any(operations.count(op) > len(self.events.get(op, ())) for op in operations):
            raise Redraw
        words = draw_words(rng, self.words)
        value = draw_quantity(rng, "large", digits, {})
        sentences = [fill(rng, rng.choice(self.opening), words, {"n": value})]
        # Not a set: its order differs from process to process, and the draws would with it.
        pools = {op: rng.sample(self.events[op], len(self.events[op])) for op in dict.fromkeys(operations)}
        steps: list[Step] = []
        for number, op in enumerate(operations, 1):
            before = steps[-1].name if steps else str(value)
            amount, sign = _event(rng, op, value, digits)
            result = whole(_OPERATORS[{"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div}[sign]](Fraction(value), Fraction(amount)))
            steps.append(Step(f"n{number}", f"{before} {sign} {amount}", f"{value} {sign} {amount}", result))
            sentences.append(fill(rng, pools[op].pop(), words, {"n": amount}))
            value = result
        sentences.append(fill(rng, rng.choice(self.question), words, {}))
        return Drawn(" ".join(sentences), tuple(steps))


def _event(rng: random.Random, op: str, value: int, digits: int) -> tuple[int, str]:
    if op in ("double", "halve"):
        return 2, "*" if op == "double" else "/"
    if op == "divide":
        divisors = [d for d in range(3, 13) if value % d == 0]
        if not divisors:
            raise Redraw
        return rng.choice(divisors), "/"
    if op == "multiply":
        return rng.randint(3, 9), "*"
    amount = draw_quantity(rng, "large", digits, {})
    if op == "subtract" and amount >= value:
        if value < 4:
            raise Redraw
        amount = rng.randint(2, value - 1)
    return amount, "+" if op == "add" else "-"


def draw_quantity(rng: random.Random, kind: str, digits: int, numbers: dict[str, int]) -> int:
    """One number of a kind: small, large, percent, ``lo..hi``, ``a|b|c``, or an expression of earlier numbers."""
    if kind == "small":
        return rng.randint(2, 12)
    if kind == "large":
        size = digits if rng.random() < 0.75 else rng.randint(min(2, digits), digits)
        return rng.randint(max(2, 10 ** (size - 1)), 10**size - 1)
    if kind == "percent":
        return rng.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80))
    if ".." in kind:
        low, high = kind.split("..")
        return rng.randint(int(low), int(high))
    if "|" in kind:
        return int(rng.choice(kind.split("|")))
    return whole(evaluate(kind, numbers))


def draw_words(rng: random.Random, lists: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Every word slot filled: global ones and the template's own; two lists never give the same word."""
    words: dict[str, str] = {}
    for i, (name, gender) in enumerate(rng.sample(NAMES, 3), 1):
        suffix = "" if i == 1 else str(i)
        words["name" + suffix] = name
        for slot, pronoun in PRONOUNS[gender].items():
            words[slot + suffix] = pronoun
            words[slot.capitalize() + suffix] = pronoun.capitalize()
    for slot, choices in LISTS.items():
        words[slot], words[slot + "2"] = rng.sample(choices, 2)
    used: set[str] = set()
    for slot, entries in lists.items():
        entry = rng.choice([e for e in entries if e not in used] or list(entries))
        used.add(entry)
        singular, _, plural = entry.partition("/")
        words[slot], words[slot + "s"] = singular, plural or singular
    return words


def fill(rng: random.Random, text: str, words: dict[str, str], numbers: dict[str, int]) -> str:
    """The text with free choices made, words and numbers put in, and small repairs (a/an, capitals, spaces)."""
    text = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), text)
    spell = rng.random() < 0.25
    separators = rng.random() < 0.25

    def slot(match: re.Match[str]) -> str:
        name = match[1]
        if name in numbers:
            value = numbers[name]
            if (
                spell
                and value < len(NUMBER_WORDS)
                and text[max(0, match.start() - 1) : match.start()] != "$"
                and not re.match(r"[%\w.-]", text[match.end() :][:1])
            ):
                return NUMBER_WORDS[value]
            return f"{value:,}" if separators and value >= 1000 else str(value)
        if name in words:
            return words[name]
        raise UsageError(f"unknown slot {{{name}}} in {text!r}")

    text = re.sub(r"\{(\w+)\}", slot, text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([,.?!;:])", r"\1", text)
    text = re.sub(r"((?:^|[.?!] )A|\ba) (?=(?!(?:uni|eu|use|one\b))[aeiou]|8\d*\b|11\b|18\b)", r"\1n ", text)
    return re.sub(r"(^|[.?!] )([a-z])", lambda m: m[1] + m[2].upper(), text)


def evaluate(expression: str, numbers: dict[str, int]) -> Fraction:
    """The exact value of an arithmetic expression over named numbers."""
    return _value(_parse(expression).body, numbers)


def holds(condition: str, numbers: dict[str, int]) -> bool:
    """Whether a comparison (chained or joined by and/or) of expressions is true."""
    return _truth(_parse(condition).body, numbers)


def put_in(symbolic: str, numbers: dict[str, int]) -> str:
    """The expression with its names replaced by their numbers."""
    return re.sub(r"[A-Za-z_]\w*", lambda m: str(numbers[m[0]]), symbolic)


def whole(value: Fraction) -> int:
    """The value as a positive whole number in bounds, else Redraw."""
    if value.denominator != 1 or value <= 0 or value > MAX_VALUE:
        raise Redraw
    return int(value)


@cache
def _parse(expression: str) -> ast.Expression:
    try:
        return ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise UsageError(f"not an expression: {expression!r}") from error


def _value(node: ast.AST, numbers: dict[str, int]) -> Fraction:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    if isinstance(node, ast.Name):
        if node.id not in numbers:
            raise UsageError(f"unknown quantity {node.id}")
        return Fraction(numbers[node.id])
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, numbers), _value(node.right, numbers)
        if isinstance(node.op, ast.Div) and right == 0:
            raise Redraw
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left, right = _value(node.left, numbers), _value(node.right, numbers)
        if right == 0:
            raise Redraw
        return left % right
    raise UsageError(f"only + - * / over names and whole numbers, not {ast.unparse(node)!r}")


def _truth(node: ast.AST, numbers: dict[str, int]) -> bool:
    if isinstance(node, ast.BoolOp):
        results = [_truth(value, numbers) for value in node.values]
        return all(results) if isinstance(node.op, ast.And) else any(results)
    if isinstance(node, ast.Compare):
        values = [_value(n, numbers) for n in (node.left, *node.comparators)]
        return all(_COMPARISONS[type(op)](a, b) for op, a, b in zip(node.ops, values[:-1], values[1:], strict=True))
    raise UsageError(f"not a condition: {ast.unparse(node)!r}")


def _insert_extra(text: str, extra: str) -> str:
    """The distractor goes before the last sentence, or in front where there is only one."""
    sentences = re.split(r"(?<=[.?!])\s+", text)
    return " ".join([*sentences[:-1], extra, sentences[-1]])


@cache
def load_templates() -> tuple[tuple[Template, ...], tuple[Story, ...]]:
    """Every template and story of the package, in file order.

    Raises: UsageError that names the file and entry with a missing or unknown field.
    """
    templates: list[Template] = []
    stories: list[Story] = []
    for entry in sorted(resources.files("toolwright.tasks").joinpath("templates").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            document = tomllib.loads(entry.read_text(encoding="utf-8"))
            templates += [_template(entry.name, row) for row in document.get("template", ())]
            templates += [template for row in document.get("scene", ()) for template in _scene(entry.name, row)]
            stories += [_story(entry.name, row) for row in document.get("story", ())]
    ids = [t.id for t in templates] + [s.id for s in stories]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise UsageError(f"template ids used twice: {', '.join(sorted(doubled))}")
    return tuple(templates), tuple(stories)


def _template(file: str, row: dict[str, Any]) -> Template:
    _known(file, row, required={"id", "text", "draw", "steps"}, optional={"words", "where", "extra"})
    steps = []
    for step in row["steps"]:
        name, _, symbolic = step.partition(" = ")
        steps.append((name.strip(), symbolic.strip()))
    draw = {name: str(kind) for name, kind in row["draw"].items()}
    return Template(row["id"], tuple(row["text"]), _lists(row), draw, tuple(row.get("where", ())), tuple(steps), tuple(row.get("extra", ())))


def _scene(file: str, row: dict[str, Any]) -> list[Template]:
    """A scene's questions, each as a template of its own: every wording of the facts with every wording of the question."""
    _known(file, row, required={"id", "text", "draw", "ask"}, optional={"words", "where"})
    templates = []
    for number, ask in enumerate(row["ask"], 1):
        _known(file, {"id": f"{row['id']}/{number}"} | ask, required={"id", "text", "steps"}, optional={"draw", "where"})
        whole_row = {
            "id": f"{row['id']}/{number}",
            "text": [f"{facts} {question}" for facts in row["text"] for question in ask["text"]],
            "words": row.get("words", {}),
            "draw": row["draw"] | ask.get("draw", {}),
            "where": [*row.get("where", ()), *ask.get("where", ())],
            "steps": ask["steps"],
        }
        templates.append(_template(file, whole_row))
    return templates


def _story(file: str, row: dict[str, Any]) -> Story:
    _known(file, row, required={"id", "opening", "question", "events"}, optional={"words"})
    return Story(row["id"], _lists(row), tuple(row["opening"]), tuple(row["question"]), {op: tuple(texts) for op, texts in row["events"].items()})


def _lists(row: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {slot: tuple(entries) for slot, entries in row.get("words", {}).items()}


def _known(file: str, row: dict[str, Any], *, required: set[str], optional: set[str]) -> None:
    if wrong := (required - set(row)) | (set(row) - required - optional):
        raise UsageError(f"{file}, {row.get('id', 'an entry without id')}: missing or unknown fields {sorted(wrong)}")
