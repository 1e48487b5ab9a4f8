"""What a checking program compares with what: constants that came from nowhere, and comparisons of two constants.

A model that has guessed the right answer, or learned it by heart, writes it into its program; such a program tells what the model believes, not what follows
from the question. A static look, so it costs nothing; what it cannot see is left to the cross-check (`_crosscheck`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fractions import Fraction

NUMBER = re.compile(r"\d[\d,_]*(?:\.\d+)?|\.\d+")
_COMPARING = {"same", "isclose", "equals", "Eq"}
_WRITING = {"int", "float", "Rational", "Fraction", "Decimal", "Integer", "Float", "S", "sympify", "nsimplify", "abs", "round", "str"}
_HARMLESS = {Fraction(0), Fraction(1)}
"""Compared with all the time: remainders, signs, counts."""


def why_not_worked_out(tree: ast.Module, *, question: str, solution: str) -> str | None:
    """Why a comparison of the program cannot check anything, as one sentence to tell the model; None where none is wrong."""
    bound = literal_names(tree)
    known = {abs(n) * scale for text in (question, solution) for n in numbers_in(text) for scale in (1, 100, Fraction(1, 100))}
    for left, right in comparisons(tree):
        values = [literal(side, bound) for side in (left, right)]
        found = [value for value in values if value is not None]
        if len(found) == 2 and not set(map(abs, found)) <= _HARMLESS:
            return f"It compares {_shown(found[0])} with {_shown(found[1])}, two numbers that were written down. Work the question out and compare the result."
        for value, other in zip(values, (right, left), strict=True):
            if value is None or abs(value) in _HARMLESS or abs(value) in known or _is_remainder(other):
                continue
            return f"It compares with {_shown(value)}, which stands neither in the question nor in the solution. Work the number out instead."
    return None


def comparisons(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The pairs that the program holds equal: by ``==``, by a function for it, or by how little they differ."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
                if isinstance(operator, ast.Eq | ast.NotEq):
                    yield left, right
                elif isinstance(operator, ast.Lt | ast.LtE) and (pair := _difference(left)) is not None:
                    yield pair
        elif isinstance(node, ast.Call) and called(node.func) in _COMPARING and len(node.args) >= 2:
            yield node.args[0], node.args[1]


def literal(node: ast.expr, bound: dict[str, Fraction]) -> Fraction | None:
    """The number that an expression is without any work: written down, converted, or a name for such a one; None for anything else."""
    if isinstance(node, ast.Name):
        return bound.get(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = literal(node.operand, bound)
        return value if value is None or isinstance(node.op, ast.UAdd) else -value
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool):
        return as_number(node.value)
    if isinstance(node, ast.Call) and called(node.func) in _WRITING and node.args and not node.keywords:
        parts = [literal(argument, bound) for argument in node.args]
        if len(parts) == 1:
            return parts[0]
        return parts[0] / parts[1] if len(parts) == 2 and parts[0] is not None and parts[1] else None
    return None


def literal_names(tree: ast.Module) -> dict[str, Fraction]:
    """The names that are bound once, to a written-down number."""
    bindings: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bindings.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
            bindings.setdefault(node.target.id, []).append(node.value)
        elif isinstance(node, ast.AugAssign | ast.For | ast.comprehension):
            for inner in ast.walk(node.target):
                if isinstance(inner, ast.Name):
                    bindings.setdefault(inner.id, []).append(None)
        elif isinstance(node, ast.Assign):
            for inner in (inner for target in node.targets for inner in ast.walk(target)):
                if isinstance(inner, ast.Name):
                    bindings.setdefault(inner.id, []).append(None)
        elif isinstance(node, ast.arg):
            bindings.setdefault(node.arg, []).append(None)
    found: dict[str, Fraction] = {}
    for name, values in bindings.items():
        if len(values) == 1 and values[0] is not None and (value := literal(values[0], found)) is not None:
            found[name] = value
    return found


def numbers_in(text: str) -> list[Fraction]:
    """The numbers that stand in a text, and simple fractions of them (3/4)."""
    found = [Fraction(n.replace(",", "").replace("_", "")) for n in NUMBER.findall(text)]
    quotients = [Fraction(int(a), int(b)) for a, b in re.findall(r"(?<![\d.])(\d{1,9})\s*/\s*(\d{1,9})(?![\d.])", text) if int(b)]
    return found + quotients


def as_number(value: object) -> Fraction | None:
    """The number that a constant is, or that a text constant holds; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # By its digits: the float 0.1 is meant as one tenth.
        return Fraction(repr(value)) if abs(value) < 1e300 else None
    if isinstance(value, str) and (match := re.fullmatch(rf"[-+$€£\s]*({NUMBER.pattern})[\s%.]*", value)):
        number = Fraction(match[1].replace(",", "").replace("_", ""))
        return -number if "-" in value else number
    return None


def called(function: ast.expr) -> str | None:
    """The last name of what is called."""
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else None


def _difference(node: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    if isinstance(node, ast.Call) and called(node.func) == "abs" and len(node.args) == 1:
        inner = node.args[0]
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            return inner.left, inner.right
    return None


def _is_remainder(node: ast.expr) -> bool:
    return any(isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mod) for inner in ast.walk(node))


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
