"""Worked solutions as the embedded models write them, in both dialects, from steps that a task knows.

Text dialect: one equation a line, done in the head, then ``#### answer``. Interpreter dialect: the same steps as a program with the names ``n1``, ``n2``, …,
its output, then ``#### answer``.
GSM8K's training solutions are brought into this form from their calculation marks; those whose marks do not lead to the answer are left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

MARK = re.compile(r"<<([^<>=]+)=([^<>=]+)>>")
NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")


@dataclass(frozen=True, slots=True)
class WorkedStep:
    """``name: expression=value``, and the expression over names."""

    name: str
    symbolic: str
    expression: str
    value: Fraction


def text_solution(steps: tuple[WorkedStep, ...]) -> str:
    """The text dialect's solution."""
    return "\n".join([*(f"{s.expression}={show(s.value)}" for s in steps), f"#### {show(steps[-1].value)}"])


def code_solution(steps: tuple[WorkedStep, ...]) -> tuple[str, str, str]:
    """The interpreter dialect's solution as (model, tool, model) texts."""
    program = "\n".join([*(f"{s.name}={s.symbolic}" for s in steps), f"print({steps[-1].name})"])
    return f"<code>\n{program}\n</code>", f"\n<interpreter>\n{_printed(steps)}\n</interpreter>\n\n", f"#### {show(steps[-1].value)}"


def show(value: Fraction) -> str:
    """The number as a decimal, exact where it is short and rounded to two places otherwise."""
    if value.denominator == 1:
        return str(value.numerator)
    rounded = round(value, 4)
    return f"{float(rounded):.4f}".rstrip("0").rstrip(".")


def gsm8k_steps(question: str, solution: str, answer: str) -> tuple[WorkedStep, ...] | None:
    """The steps of a GSM8K training solution by its marks; None where they are not plain arithmetic that ends in the answer."""
    steps: list[WorkedStep] = []
    told = {n.replace(",", "").rstrip(".") for n in NUMBER.findall(question)}
    for expression, stated in MARK.findall(solution):
        expression = expression.replace(",", "").replace(" ", "").replace("$", "")
        expression = re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"(?<!\d)\.(?=\d)", "0.", expression))
        value, target = evaluate(expression), _number(stated)
        if value is None or target is None or value != target or len(show(value)) > 8 or _number(show(value)) != value:
            return None
        steps.append(WorkedStep(f"n{len(steps) + 1}", _link(expression, steps, told), expression, value))
    return tuple(steps) if steps and len(steps) <= 8 and steps[-1].value == _number(answer) else None


def redraw(question: str, steps: tuple[WorkedStep, ...], rng: random.Random) -> tuple[str, tuple[WorkedStep, ...]] | None:
    """The problem with other numbers: each whole number of the question that the steps use is changed, and all steps are worked again.

    None where a number could come from two places, or the new numbers do not work out (not positive, not as whole as before).
    """
    found = [(m.start(), m.end(), m[0]) for m in NUMBER.finditer(question)]
    values = [_number(text.rstrip(".,")) for _, _, text in found]
    operands = [_number(o) for s in steps for o in NUMBER.findall(re.sub(r"n\d+", "", s.symbolic))]
    changed: dict[Fraction, int] = {}
    for value in values:
        if (
            value in operands
            and values.count(value) == 1
            and value is not None
            and value.denominator == 1
            and 3 <= value <= 5000
            and value not in (s.value for s in steps)
        ):
            changed[value] = max(2, round(float(value) * rng.uniform(0.5, 1.8)))
    if not changed:
        return None
    names: dict[str, Fraction] = {}
    new_steps: list[WorkedStep] = []
    for step in steps:
        symbolic = re.sub(r"(?<![\w.])\d+(?:\.\d+)?", lambda m: str(changed.get(Fraction(m[0]), m[0])), step.symbolic)
        expression = re.sub(r"n\d+", lambda m: show(names[m[0]]), symbolic)
        value = evaluate(expression)
        if value is None or value <= 0 or (value.denominator != 1 and step.value.denominator == 1) or _number(show(value)) != value:
            return None
        names[step.name] = value
        new_steps.append(replace(step, symbolic=symbolic, expression=expression, value=value))
    pieces, last = [], 0
    for (start, end, text), value in zip(found, values, strict=True):
        if value in changed:
            tail = text[len(text.rstrip(".,")) :]
            pieces += [question[last:start], str(changed[value]) + tail]
            last = end
    return "".join([*pieces, question[last:]]), tuple(new_steps)


def evaluate(expression: str) -> Fraction | None:
    """The exact value of digits, + - * / and parentheses; None for anything else."""
    tokens = re.findall(r"\d+\.?\d*|[-+*/()]", expression)
    if "".join(tokens) != expression:
        return None
    try:
        value, rest = _sum(tokens, Fraction)
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return value if not rest else None


def _printed(steps: tuple[WorkedStep, ...]) -> str:
    """What Python prints for the last name: the same arithmetic in ints and floats, division giving floats."""
    names: dict[str, Any] = {}
    for step in steps:
        tokens = re.findall(r"[A-Za-z_]\w*|\d+\.?\d*|[-+*/()]", step.symbolic)
        names[step.name] = _sum(tokens, lambda t: names[t] if t in names else float(t) if "." in t else int(t))[0]
    return str(names[steps[-1].name])


def _sum(tokens: list[str], number: Callable[[str], Any]) -> tuple[Any, list[str]]:
    value, tokens = _product(tokens, number)
    while tokens and tokens[0] in "+-":
        right, rest = _product(tokens[1:], number)
        value, tokens = (value + right if tokens[0] == "+" else value - right), rest
    return value, tokens


def _product(tokens: list[str], number: Callable[[str], Any]) -> tuple[Any, list[str]]:
    value, tokens = _atom(tokens, number)
    while tokens and tokens[0] in "*/":
        right, rest = _atom(tokens[1:], number)
        value, tokens = (value * right if tokens[0] == "*" else value / right), rest
    return value, tokens


def _atom(tokens: list[str], number: Callable[[str], Any]) -> tuple[Any, list[str]]:
    if tokens[0] == "(":
        value, rest = _sum(tokens[1:], number)
        if rest[0] != ")":
            raise ValueError("unbalanced")
        return value, rest[1:]
    return number(tokens[0]), tokens[1:]


def _number(text: str) -> Fraction | None:
    try:
        return Fraction(text.replace(",", "").replace("$", "").strip())
    except (ValueError, ZeroDivisionError):
        return None


def _link(expression: str, steps: list[WorkedStep], told: set[str]) -> str:
    """The expression with earlier results by name: the latest first where two are equal, and not where the question itself tells the number."""
    names = {show(s.value): s.name for s in steps}
    return re.sub(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", lambda m: m[0] if m[0] in told else names.get(m[0], m[0]), expression)
