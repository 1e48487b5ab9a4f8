"""Whether two readings say the same, given a judge of scalars.

The structure (units, percent signs, names, lists, intervals, matrices, words) is decided here, once; what two scalars, relations or unions are to each other
is asked of a judge. The judge in this process (`ExactJudge`) raises `Ask` for everything beyond rational numbers; the judge in the workers has sympy.

What a spelling leaves open is None, never a guess: "10%" and "10" (which did the question ask for?), "1, 2" and "(1, 2)" (a list or a point?), "2516_8" and
"2516" (was the base asked for?), "5 apples" and "5 pieces", a decimal of six digits or more beside the irrational number it rounds. A decimal that correctly
rounds a fraction to six significant digits or more equals it; a shorter one does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from typing import Protocol

from toolwright.checks._folding import MINUS_ONE, fits, fold, symbols
from toolwright.checks._grammar import Node
from toolwright.checks._readings import Reading
from toolwright.checks._units import Unit

_SURE_DIGITS = 6
_NOISE_DIGITS = 15
_COUNTING = frozenset(re.findall(r"\w+", "pair couple decade century fortnight score gross set bag box pack group team bunch row case celsius fahrenheit"))
_HALF: Node = ("num", Fraction(1, 2))
_NOTHING = frozenset({"none", "nothing", "undefined", "dne", "no solution", "no real solution", "impossible", "never", "not defined"})
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_CLOCK = re.compile(r"[\d:]+ ?[ap]m")
_SCALARS = frozenset({"num", "sym", "const", "add", "mul", "pow", "fn"})
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


def decide(a: Reading, b: Reading, judge: Judge) -> bool | None:
    """Whether two readings say the same; None where that is open. Raises: Ask, where the judge does."""
    if a.text and a.text == b.text:
        return True
    if a.digits and b.digits:
        return a.digits == b.digits
    if a.is_long or b.is_long:
        return None
    if a.is_choice or b.is_choice:
        return _choices(a, b, judge)
    if a.node is None or b.node is None:
        return _words(a, b, judge)
    result = _quantities(a, b, judge)
    if result and _node(a)[0] == "ratio" and any(re.fullmatch(r"\d{1,2}:\d\d", reading.text) for reading in (a, b)):
        return None
    if result is False and (_roman(a) == _node(b) or _roman(b) == _node(a)):
        return None
    if result is False and (_other_reading(a, b, judge) or _differ_in_case(a, b)):
        return None
    return result


def _choices(a: Reading, b: Reading, judge: Judge) -> bool | None:
    if a.letter and b.letter:
        return a.letter == b.letter
    choice, other = (a, b) if a.is_choice else (b, a)
    if choice.other is not None and other.node is not None and _values(choice.other, other.node, judge) is not False:
        return None
    if choice.words.endswith(other.words) and other.words:
        return None
    return False


def _words(a: Reading, b: Reading, judge: Judge) -> bool | None:
    if a.node is None and b.node is None and not a.is_math and not b.is_math:
        return _prose(a.words, b.words)
    unread = [reading for reading in (a, b) if reading.node is None]
    if any(reading.is_math for reading in unread):
        return judge.unreadable(a, b)
    value = b if a.node is None else a
    if value.letter or value.node == ("set", ()) or unread[0].words in _NOTHING or sorted(value.words.split()) == sorted(unread[0].words.split()):
        return None
    numbers = re.findall(r"\d+(?:\.\d+)?", unread[0].words)
    if any(value.node == ("num", Fraction(number)) for number in numbers if len(number) < 300):
        return None
    return None if len(unread[0].words.split()) > 3 else False


def _prose(a: str, b: str) -> bool | None:
    if a == b or re.sub(r"[\s\-,.()&]", "", a) == re.sub(r"[\s\-,.()&]", "", b):
        return True
    if _CLOCK.fullmatch(a) and _CLOCK.fullmatch(b):
        return False
    if a in _NOTHING and b in _NOTHING:
        return None
    parts = [sorted(part for part in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*", text) if part) for text in (a, b)]
    if len(parts[0]) > 1 and parts[0] == parts[1]:
        return True
    first, second = (frozenset(re.findall(r"\w+", text)) - {"the", "a", "an", "of"} for text in (a, b))
    if first and first == second and len(first) == 1:
        return True
    initials = ["".join(word[0] for word in text.split() if word[0].isalpha()) for text in (a, b)]
    if first & second or a.replace(".", "") == initials[1] or b.replace(".", "") == initials[0]:
        return None
    return False if min(len(first), len(second)) <= 3 else None


def _quantities(a: Reading, b: Reading, judge: Judge) -> bool | None:
    """Two values with their percent signs, units and names."""
    if a.percent != b.percent:
        return _percent(*((a, b) if a.percent else (b, a)), judge)
    if a.name and _node(b)[0] == "rel":
        return judge.relation(_equation(a), _node(b))
    if b.name and _node(a)[0] == "rel":
        return judge.relation(_node(a), _equation(b))
    if a.name and b.name and a.name != b.name and symbols(_node(a)) and symbols(_node(b)) and "(" not in a.name + b.name:
        return judge.relation(_equation(a), _equation(b))
    same = _with_units(a, b, judge)
    if same and a.name and b.name and a.name != b.name:
        return None if "(" in a.name + b.name else False
    return same


def _equation(named: Reading) -> Node:
    """The equation that was read as a name and a value."""
    return ("rel", ("=",), (("sym", named.name), _node(named)))


def _percent(percent: Reading, plain: Reading, judge: Judge) -> bool | None:
    """10% is 0.1; beside "10" it depends on what was asked."""
    if _numbers(percent, plain, judge):
        return True if not plain.unit else None
    return None if _values(_times(_node(percent), Fraction(100)), _node(plain), judge) is not False else False


def _with_units(a: Reading, b: Reading, judge: Judge) -> bool | None:
    one, two = a.unit, b.unit
    if one.known and two.known and one.dimensions == two.dimensions and one.factor != two.factor:
        return _values(_times(_node(a), one.factor), _times(_node(b), two.factor), judge)
    if {one.dimensions, two.dimensions} == {(("angle", 1),), (("radian", 1),)}:
        return _angles(*((a, b) if one.dimensions[0][0] == "angle" else (b, a)), judge)
    same = _numbers(a, b, judge)
    if not one or not two:
        if same:
            return None if one.weak or two.weak else True
        if same is False and (a.is_compound or b.is_compound):
            return None
        if same is False and (("angle", 1),) in {one.dimensions, two.dimensions} and _angles(*((a, b) if one else (b, a)), judge):
            return None
        return same
    return _between_units(one, two, same)


def _between_units(one: Unit, two: Unit, same: bool | None) -> bool | None:
    """The verdict on equal or unequal numbers of two units that cannot be converted."""
    if one == two or _same_but_rate(one, two):
        return same
    if one.known and two.known:
        return False
    if not one.known and not two.known and (one.words <= two.words or two.words <= one.words):
        return same
    if same is False and not one.known and not two.known and not (one.words | two.words) & _COUNTING:
        return False
    return None


def _same_but_rate(one: Unit, two: Unit) -> bool:
    """Whether one unit is the other with its "per …" left out."""
    if not (one.known and two.known) or one.factor != two.factor:
        return False
    counted = [tuple(d for d in unit.dimensions if d[1] > 0) for unit in (one, two)]
    return counted[0] == counted[1] and counted[0] in (one.dimensions, two.dimensions)


def _angles(degrees: Reading, radians: Reading, judge: Judge) -> bool | None:
    return _values(fold(("deg", _node(degrees))), _node(radians), judge)


def _numbers(a: Reading, b: Reading, judge: Judge) -> bool | None:
    """Two values as written, where one may be a rounding of the other."""
    same = _values(_node(a), _node(b), judge)
    for decimal, other in ((a, b), (b, a)):
        if same is not False or not decimal.decimals or _node(decimal)[0] != "num" or _node(other)[0] not in _SCALARS:
            continue
        value: Fraction = _node(decimal)[1]
        if decimal.significant >= _NOISE_DIGITS > other.significant and _node(other)[0] == "num" and _near(value, _node(other)[1]):
            return None
        if decimal.significant < _SURE_DIGITS or other.decimals or _terminates(_node(other)):
            continue
        if judge.rounds(_node(other), value, decimal.decimals):
            return True if _node(other)[0] == "num" else None
    return same


def is_rounding(exact: Fraction, value: Fraction, decimals: int) -> bool:
    """Whether `value` is `exact` rounded or cut off at so many decimals."""
    unit = Fraction(1, 10**decimals)
    difference = exact - value
    return abs(difference) <= unit / 2 or (abs(difference) < unit and (difference > 0) == (exact > 0))


def _near(a: Fraction, b: Fraction) -> bool:
    return abs(a - b) <= max(abs(a), abs(b)) / 10**13


def _terminates(node: Node) -> bool:
    if node[0] != "num":
        return False
    denominator = node[1].denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return bool(denominator == 1)


def _values(a: Node, b: Node, judge: Judge) -> bool | None:
    """Two values by their shapes."""
    if a == b:
        return True
    a, b = _unwrapped(a, b), _unwrapped(b, a)
    kinds = {_kind(a), _kind(b)}
    if kinds == {"scalar"}:
        return judge.same(a, b)
    if kinds <= {"list", "set"}:
        return _unordered(a[1], b[1], judge, is_list="list" in kinds)
    if len(kinds) == 1:
        return _alike(a, b, judge)
    if _kind(a) > _kind(b):
        a, b = b, a
    if kinds <= {"interval", "tuple", "bracket"} and "interval" in kinds:
        return _alike(_as_interval(a), _as_interval(b), judge)
    if kinds <= _SETS and kinds & {"interval", "union", "minus", "intersection", "const"}:
        return judge.sets(a, b)
    if kinds <= {"tuple", "bracket", "list", "set", "matrix"}:
        return _arranged(a, b, judge)
    if "scalar" in kinds:
        return _beside_scalar(b if _kind(a) == "scalar" else a, a if _kind(a) == "scalar" else b, judge)
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
    if node[0] in {"list", "set"} and len(node[1]) > 1 and all(judge.same(child, scalar) for child in node[1] if _kind(child) == "scalar"):
        return None if all(_kind(child) == "scalar" for child in node[1]) else False
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
    return _all(partial(_values, a, b, judge) for a, b in zip(first, second, strict=True))


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
    same = _values(a, b, judge)
    return None if same is None else not same


def _other_reading(a: Reading, b: Reading, judge: Judge) -> bool:
    """Whether they agree if the comma of one meant something else."""
    pairs = [(a.other, b.node), (a.node, b.other), (a.other, b.other)]
    return any(x is not None and y is not None and _values(x, y, judge) is not False for x, y in pairs)


def _differ_in_case(a: Reading, b: Reading) -> bool:
    return a.node != b.node and _lowered(a.node) == _lowered(b.node)


def _roman(reading: Reading) -> Node | None:
    """The number that capital letters may stand for."""
    if not reading.text or not _ROMAN.fullmatch(reading.text):
        return None
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[letter] for letter in reading.text]
    return ("num", Fraction(sum(-x if x < y else x for x, y in zip(values, [*values[1:], 0], strict=True))))


def _lowered(node: object) -> object:
    if isinstance(node, tuple):
        return ("sym", node[1].casefold()) if len(node) == 2 and node[0] == "sym" else tuple(_lowered(child) for child in node)
    return node


def _kind(node: Node) -> str:
    return "scalar" if node[0] in _SCALARS and (node[0] != "const" or node[1] in {"pi", "e", "i", "oo"}) else str(node[0])


def _unwrapped(node: Node, other: Node) -> Node:
    """A set or list of one thing, beside something that is no collection, is that thing."""
    return node[1][0] if node[0] in {"set", "bracket"} and len(node[1]) == 1 and _kind(other) in {"scalar", "tuple", "ratio"} else node


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
    return _times(difference, 1 / coefficient) if coefficient else difference


def _times(node: Node, factor: Fraction) -> Node:
    if node[0] in {"list", "set", "tuple", "bracket"}:
        return (node[0], tuple(_times(child, factor) for child in node[1]))
    if node[0] == "interval":
        return ("interval", _times(node[1], factor), node[2], _times(node[3], factor), node[4])
    return fold(("mul", (("num", factor), node))) if _kind(node) == "scalar" else node


def _over(a: Node, b: Node) -> Node:
    return fold(("div", a, b))


def _base_value(node: Node) -> Node | None:
    try:
        return ("num", Fraction(int(node[1], node[2])))
    except ValueError:
        return None


def _node(reading: Reading) -> Node:
    if reading.node is None:
        raise ValueError(f"{reading.words!r} has no value")
    return reading.node
