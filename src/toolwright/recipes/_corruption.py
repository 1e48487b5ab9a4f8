"""Errors planted in worked solutions: one number of one equation, changed so that the equation is false.

Works on GSM8K's own calculator marks (`<<48/2=24>>24`), which say what each equation is independently of any parser of ours. Evaluation here is its own
small thing for the same reason. Left out: solutions without a mark that computes something.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
from dataclasses import dataclass
from fractions import Fraction

_MARK = re.compile(r"<<([^<>]*)>>")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
_BEYOND = re.compile(r"sqrt|√|binom|!|\\pi|π|[²³]|dozen|hundred|thousand|illion|\bhalf\b|third|quarter|twice|≈|approx")
_KINDS = ("digit", "near", "swap", "scale")


@dataclass(frozen=True, slots=True)
class Mark:
    """One calculator mark and where it stood."""

    expression: str
    value: str
    place: int
    """Offset in the text without marks: right before the result."""

    @property
    def is_equation(self) -> bool:
        """Whether it computes something, unlike `<<18=18>>`."""
        return re.search(r"[\d.)%]\s*[-+*/]", self.expression) is not None


@dataclass(frozen=True, slots=True)
class Corruption:
    """A solution with one number changed."""

    text: str
    where: str
    """result · operand"""
    kind: str
    """digit (one digit replaced) · near (off by one to nine) · swap (two digits exchanged) · scale (a zero more or less)"""


def strip_marks(text: str) -> tuple[str, list[Mark]]:
    """The text without its calculator marks, and the marks."""
    out, marks, last, size = [], [], 0, 0
    for match in _MARK.finditer(text):
        out.append(text[last : match.start()])
        size += match.start() - last
        expression, _, value = match.group(1).rpartition("=")
        marks.append(Mark(expression, value, size))
        last = match.end()
    out.append(text[last:])
    return "".join(out), marks


def corrupt(text: str, marks: list[Mark], *, seed: str) -> Corruption | None:
    """The text with one number of one of its equations changed, or None where no equation can be found and made false.

    The equation, the number and the change are drawn from the seed; changes that leave the equation true (to the digits shown) are drawn again.
    """
    draw = random.Random(f"claims:{seed}")
    usable = [mark for mark in marks if mark.is_equation and _value(mark.expression) is not None]
    for _ in range(20):
        if not usable:
            return None
        mark = draw.choice(usable)
        numbers = _numbers(text, mark)
        kind = draw.choice(_KINDS)
        if not numbers:
            continue
        start, end, where, index = draw.choice(numbers)
        new = _changed(text[start:end], kind, draw)
        if new is not None and _is_false(mark, where, index, text[start:end], new):
            return Corruption(text[:start] + new + text[end:], where, kind)
    return None


def false_as_written(statement: str) -> bool | None:
    """Whether `left = right` is false when read as plain arithmetic, units and names passed over; None where it is more than that.

    Rounding to the decimals shown counts as true. This reader shares nothing with the claims check, so it can confirm what that refutes.
    """
    if _BEYOND.search(statement):
        return None
    left, equals, right = _flattened(statement).partition("=")
    a, b = _value(left), _value(right)
    if not equals or a is None or b is None:
        return None
    places = len(right.strip().rstrip(")").partition(".")[2]) if re.fullmatch(r"[\s\d.()/-]*", right) else 0
    return abs(a - b) >= Fraction(1, 10**places) if places else a != b


def _flattened(statement: str) -> str:
    """A statement without LaTeX, currency, remarks and units, in Python's signs."""
    flat = re.sub(r"\\+text\{[^{}]*\}|\\+(?:left|right|boxed)\b|[$€£]|\\\$|&|\\\\", " ", statement)
    for _ in range(4):
        flat = re.sub(r"\\+[dct]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"((\1)/(\2))", flat)
    flat = re.sub(r"\\+(?:times|cdot)\b|[×·]|(?<=[\d)\s])x(?=[\d(\s])", "*", flat)
    flat = re.sub(r"\\+div\b|÷", "/", flat)
    flat = flat.replace("−", "-").replace("–", "-").replace("^", "**").replace("{", "(").replace("}", ")").replace("\\", " ")
    flat = re.sub(r"\bof\b", "*", flat)
    flat = re.sub(r"\([A-Za-z ]+\)", " ", flat)
    flat = re.sub(r"\bequals\b|\bis\b", "=", flat)
    flat = re.sub(r"/?\s*[A-Za-z]+", " ", flat)
    return re.sub(r"\)\s*\(", ")*(", flat)


def _numbers(text: str, mark: Mark) -> list[tuple[int, int, str, int]]:
    """(start, end, where, index) of the equation's numbers as they stand in the text: its result, and operands before it on its line."""
    found: list[tuple[int, int, str, int]] = []
    result = _NUMBER.match(text, mark.place + (text[mark.place : mark.place + 1] == "$"))
    if result is not None and _plain(result.group()) == _plain(mark.value):
        found.append((*_trimmed(result), "result", 0))
    line = text.rfind("\n", 0, mark.place) + 1
    before = list(_NUMBER.finditer(text, line, mark.place))
    operands = list(_NUMBER.finditer(mark.expression))
    for index in range(len(operands) - 1, -1, -1):
        if not before or _plain(before[-1].group()) != _plain(operands[index].group()):
            break
        found.append((*_trimmed(before.pop()), "operand", index))
    return found


def _trimmed(match: re.Match[str]) -> tuple[int, int]:
    return match.start(), match.start() + len(match.group().rstrip(","))


def _plain(number: str) -> Fraction | None:
    try:
        return Fraction(number.replace(",", "").rstrip("."))
    except ValueError:
        return None


def _changed(number: str, kind: str, draw: random.Random) -> str | None:
    """The number with one change, or None if this kind of change does not apply."""
    digits = [i for i, c in enumerate(number) if c.isdigit()]
    if kind == "digit":
        at = draw.choice(digits)
        new = draw.choice([d for d in "0123456789" if d != number[at] and not (d == "0" and at == digits[0])])
        return number[:at] + new + number[at + 1 :]
    if kind == "swap":
        pairs = [(a, b) for a, b in itertools.pairwise(digits) if number[a] != number[b] and not (a == digits[0] and number[b] == "0")]
        if not pairs:
            return None
        a, b = draw.choice(pairs)
        return number[:a] + number[b] + number[a + 1 : b] + number[a] + number[b + 1 :]
    if "," in number or "." in number:
        return None
    value = int(number)
    if kind == "scale":
        return str(value // 10) if value and value % 10 == 0 and draw.random() < 0.5 else str(value * 10) if value else None
    return str(max(1, value + draw.choice([-1, 1]) * draw.randint(1, 9)))


def _is_false(mark: Mark, where: str, index: int, old: str, new: str) -> bool:
    if _plain(old) == _plain(new):
        return False
    expression, shown = mark.expression, mark.value
    if where == "result":
        shown = new.replace(",", "")
    else:
        operand = list(_NUMBER.finditer(expression))[index]
        expression = expression[: operand.start()] + new.replace(",", "") + expression[operand.end() :]
    exact, value = _value(expression), _plain(shown)
    if exact is None or value is None:
        return False
    places = len(shown.partition(".")[2])
    return abs(exact - value) >= Fraction(1, 10**places) if places else exact != value


def _value(expression: str) -> Fraction | None:
    """The exact value of a mark's expression, or None if it is more than + − × ÷, small powers and brackets."""
    plain = re.sub(r"(\d+(?:\.\d+)?|\.\d+)%", r"(\1/100)", expression.replace(",", "").replace("$", ""))
    plain = re.sub(r"(?<![\d.])0+(?=\d)", "", plain)
    try:
        return _walk(ast.parse(plain.strip(), mode="eval").body, plain.strip())
    except (SyntaxError, ZeroDivisionError, ValueError):
        return None


def _walk(node: ast.expr, source: str) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(ast.get_source_segment(source, node) or "x")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_walk(node.operand, source)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, exponent = _walk(node.left, source), _walk(node.right, source)
        if exponent.denominator != 1 or abs(exponent) > 64:
            raise ValueError("an unusual power")
        return base ** int(exponent)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        left, right = _walk(node.left, source), _walk(node.right, source)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        return left * right if isinstance(node.op, ast.Mult) else left / right
    raise ValueError("not plain arithmetic")
