"""Whether two values are the same, by their shapes: scalars, lists, tuples, intervals, matrices, ratios, relations.

What two scalars, relations or sets of numbers are to each other is asked of a judge. The judge in this process (`ExactJudge`) raises `Ask` for everything
beyond rational numbers; the judge in the workers (`_symbolic`) evaluates with sympy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from typing import Protocol

from toolwright.checks._folding import MINUS_ONE, fits, fold
from toolwright.checks._grammar import Node
from toolwright.checks._readings import Reading

_HALF: Node = ("num", Fraction(1, 2))


SCALARS = frozenset({"num", "sym", "const", "add", "mul", "pow", "fn"})


_SETS = frozenset({"interval", "union", "minus", "intersection", "set", "tuple", "bracket", "const"})


class Ask(Exception):
    """The pair needs a worker."""


class Judge(Protocol):
    """What two values are to each other; None where it could not find out."""

    def same(self, a: Node, b: Node) -> bool | None:
        """Whether two scalars are equal."""

    def rounds(self, a: Node, value: Fraction, decimals: int) -> bool | None:
        """Whether `value` is the scalar `a`, rounded or cut off at so many decimals."""

    def relation(self, a: Node, b: Node) -> bool | None:
        """Whether two equations or inequalities are one and the same up to a factor."""

    def sets(self, a: Node, b: Node) -> bool | None:
        """Whether two sets of numbers are equal."""

    def unreadable(self, a: Reading, b: Reading) -> bool | None:
        """Whether two pieces of mathematics are equal of which the grammar could not read one."""


class ExactJudge:
    """Decides about rational numbers and identical trees; asks about the rest."""

    def same(self, a: Node, b: Node) -> bool | None:
        if a == b:
            return True
        if {a[0], b[0]} <= {"num", "sym", "const"} or {_rationality(a), _rationality(b)} == {True, False}:
            return False
        raise Ask

    def rounds(self, a: Node, value: Fraction, decimals: int) -> bool | None:
        if a[0] == "num":
            return is_rounding(a[1], value, decimals)
        raise Ask

    def relation(self, a: Node, b: Node) -> bool | None:
        if a == b or (a[1] == b[1] and set(a[1]) <= {"=", "!="} and _primitive(a) == _primitive(b)):
            return True
        raise Ask

    def sets(self, a: Node, b: Node) -> bool | None:
        raise Ask

    def unreadable(self, a: Reading, b: Reading) -> bool | None:
        raise Ask


def _rationality(node: Node) -> bool | None:
    """Whether a folded scalar is rational, where its form shows it: numbers, and multiples of a root or of π."""
    if node[0] == "num":
        return True
    factors = [factor for factor in (node[1] if node[0] == "mul" else (node,)) if factor[0] != "num"]
    if len(factors) == 1 and (
        factors[0] == ("const", "pi") or (factors[0][0] == "pow" and factors[0][1][0] == "num" and factors[0][2] == _HALF and fits(factors[0][1][1]))
    ):
        return False
    return None


def is_rounding(exact: Fraction, value: Fraction, decimals: int) -> bool:
    """Whether `value` is `exact` rounded or cut off at so many decimals."""
    unit = Fraction(1, 10**decimals)
    difference = exact - value
    return abs(difference) <= unit / 2 or (abs(difference) < unit and (difference > 0) == (exact > 0))


def same_values(a: Node, b: Node, judge: Judge) -> bool | None:
    """Two values by their shapes."""
    if a == b:
        return True
    a, b = _unwrapped(a, b), _unwrapped(b, a)
    kinds = {kind_of(a), kind_of(b)}
    if kinds == {"scalar"}:
        return judge.same(a, b)
    if kinds <= {"list", "set"}:
        return _unordered(a[1], b[1], judge, is_list="list" in kinds)
    if len(kinds) == 1:
        return _alike(a, b, judge)
    if kind_of(a) > kind_of(b):
        a, b = b, a
    if kinds <= {"interval", "tuple", "bracket"} and "interval" in kinds:
        return _alike(_as_interval(a), _as_interval(b), judge)
    if kinds <= _SETS and kinds & {"interval", "union", "minus", "intersection", "const"}:
        return judge.sets(a, b)
    if kinds <= {"tuple", "bracket", "list", "set", "matrix"}:
        return _arranged(a, b, judge)
    if "scalar" in kinds:
        return _beside_scalar(b if kind_of(a) == "scalar" else a, a if kind_of(a) == "scalar" else b, judge)
    return None


def _alike(a: Node, b: Node, judge: Judge) -> bool | None:
    kind = a[0]
    if kind in {"tuple", "bracket"}:
        return _ordered(a[1], b[1], judge)
    if kind == "interval":
        ends = _ordered((a[1], a[3]), (b[1], b[3]), judge)
        open_ends = [[is_open or "oo" in repr(end) for end, is_open in ((node[1], node[2]), (node[3], node[4]))] for node in (a, b)]
        return ends if open_ends[0] == open_ends[1] else False
    if kind == "matrix":
        shapes = [(len(node[1]), len(node[1][0])) for node in (a, b)]
        return _ordered(sum(a[1], ()), sum(b[1], ()), judge) if shapes[0] == shapes[1] else False
    if kind == "ratio":
        if len(a[1]) != len(b[1]):
            return False
        return _ordered([_over(part, a[1][0]) for part in a[1]], [_over(part, b[1][0]) for part in b[1]], judge)
    if kind == "const":
        return False
    if kind == "base":
        if a[2] == b[2]:
            return bool(a[1].lstrip("0") == b[1].lstrip("0"))
        return None if _base_value(a) == _base_value(b) else False
    return judge.relation(a, b) if kind == "rel" else judge.sets(a, b)


def _beside_scalar(node: Node, scalar: Node, judge: Judge) -> bool | None:
    if node[0] == "ratio" and len(node[1]) == 2:
        return judge.same(_over(*node[1]), scalar)
    if node[0] == "base":
        return None if scalar in {_base_value(node), ("num", Fraction(node[1]) if node[1].isdigit() else None)} else False
    if node[0] in {"list", "set"} and len(node[1]) > 1 and all(judge.same(child, scalar) for child in node[1] if kind_of(child) == "scalar"):
        return None if all(kind_of(child) == "scalar" for child in node[1]) else False
    return False


def _arranged(a: Node, b: Node, judge: Judge) -> bool | None:
    """Two arrangements of different kinds: never equal for sure, unless a bracketed list of three or more meets a bare one."""
    first, second = ([_unnamed(child) for child in (sum(node[1], ()) if node[0] == "matrix" else node[1])] for node in (a, b))
    if {a[0], b[0]} == {"bracket", "tuple"} and len(first) == len(second) == 2:
        return False
    if {a[0], b[0]} == {"bracket", "list"} and len(first) != 2 and _ordered(first, second, judge):
        return True
    return None if _unordered(first, second, judge, is_list=False) is not False else False


def _unnamed(node: Node) -> Node:
    """The value of "name = value"."""
    return node[2][1] if node[0] == "rel" and node[1] == ("=",) and node[2][0][0] == "sym" else node


def _ordered(first: Sequence[Node], second: Sequence[Node], judge: Judge) -> bool | None:
    if len(first) != len(second):
        return False
    return _all(partial(same_values, a, b, judge) for a, b in zip(first, second, strict=True))


def _unordered(first: Sequence[Node], second: Sequence[Node], judge: Judge, *, is_list: bool) -> bool | None:
    """As sets; a list that repeats a value beside one that does not is left open."""
    rest = [node for node in first if node not in second], [node for node in second if node not in first]
    if all(node[0] == "num" for node in (*first, *second)):
        same: bool | None = not rest[0] and not rest[1]
    else:
        questions = [(node, others) for nodes, others in zip(rest, (second, first), strict=True) for node in nodes]
        same = _all(partial(_among, node, others, judge) for node, others in questions)
    return None if same and is_list and len(first) != len(second) else same


def _all(checks: Iterable[Callable[[], bool | None]]) -> bool | None:
    """False if any check is, before anything is asked of a worker; then None if any is open."""
    results: list[bool | None] = []
    asked = False
    for check in checks:
        try:
            results.append(check())
        except Ask:
            asked = True
        if results and results[-1] is False:
            return False
    if asked:
        raise Ask
    return None if None in results else True


def _among(node: Node, others: Sequence[Node], judge: Judge) -> bool | None:
    differs = _all(partial(_differs, node, other, judge) for other in others)
    return None if differs is None else not differs


def _differs(a: Node, b: Node, judge: Judge) -> bool | None:
    same = same_values(a, b, judge)
    return None if same is None else not same


def kind_of(node: Node) -> str:
    return "scalar" if node[0] in SCALARS and (node[0] != "const" or node[1] in {"pi", "e", "i", "oo"}) else str(node[0])


def _unwrapped(node: Node, other: Node) -> Node:
    """A set or list of one thing, beside something that is no collection, is that thing."""
    return node[1][0] if node[0] in {"set", "bracket"} and len(node[1]) == 1 and kind_of(other) in {"scalar", "tuple", "ratio"} else node


def _as_interval(node: Node) -> Node:
    if node[0] == "interval" or len(node[1]) != 2:
        return node if node[0] == "interval" else ("interval", ("const", "none"), True, ("const", "none"), True)
    is_open = node[0] == "tuple"
    return ("interval", node[1][0], is_open, node[1][1], is_open)


def _primitive(relation: Node) -> Node | None:
    """An equation as (left − right), divided by its first coefficient."""
    if len(relation[2]) != 2:
        return None
    difference = fold(("add", (relation[2][0], ("mul", (MINUS_ONE, relation[2][1])))))
    first = difference[1][0] if difference[0] == "add" else difference
    coefficient = first[1] if first[0] == "num" else first[1][0][1] if first[0] == "mul" and first[1][0][0] == "num" else Fraction(1)
    return times(difference, 1 / coefficient) if coefficient else difference


def times(node: Node, factor: Fraction) -> Node:
    if node[0] in {"list", "set", "tuple", "bracket"}:
        return (node[0], tuple(times(child, factor) for child in node[1]))
    if node[0] == "interval":
        return ("interval", times(node[1], factor), node[2], times(node[3], factor), node[4])
    return fold(("mul", (("num", factor), node))) if kind_of(node) == "scalar" else node


def _over(a: Node, b: Node) -> Node:
    return fold(("div", a, b))


def _base_value(node: Node) -> Node | None:
    try:
        return ("num", Fraction(int(node[1], node[2])))
    except ValueError:
        return None
