"""Whether two readings say the same: choices, words, and values with their units, percent signs and names.

What a spelling leaves open is None, never a guess: "10%" and "10" (which did the question ask for?), "1, 2" and "(1, 2)" (a list or a point?), "2516_8" and
"2516" (was the base asked for?), "5 apples" and "5 pieces", a decimal of six digits or more beside the irrational number it rounds. A decimal that correctly
rounds a fraction to six significant digits or more equals it; a shorter one does not.
"""

from __future__ import annotations

import re
from fractions import Fraction

from toolwright.checks._folding import fold, symbols
from toolwright.checks._grammar import Node
from toolwright.checks._readings import Reading
from toolwright.checks._shapes import SCALARS, Judge, same_values, times
from toolwright.checks._units import Unit

_SURE_DIGITS = 6
_NOISE_DIGITS = 15
_COUNTING = frozenset(re.findall(r"\w+", "pair couple decade century fortnight score gross set bag box pack group team bunch row case celsius fahrenheit"))
_NOTHING = frozenset({"none", "nothing", "undefined", "dne", "no solution", "no real solution", "impossible", "never", "not defined"})
_ROMAN = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_CLOCK = re.compile(r"[\d:]+ ?[ap]m")


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
    if choice.other is not None and other.node is not None and same_values(choice.other, other.node, judge) is not False:
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
    return None if same_values(times(_node(percent), Fraction(100)), _node(plain), judge) is not False else False


def _with_units(a: Reading, b: Reading, judge: Judge) -> bool | None:
    one, two = a.unit, b.unit
    if one.known and two.known and one.dimensions == two.dimensions and one.factor != two.factor:
        return same_values(times(_node(a), one.factor), times(_node(b), two.factor), judge)
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
    return same_values(fold(("deg", _node(degrees))), _node(radians), judge)


def _numbers(a: Reading, b: Reading, judge: Judge) -> bool | None:
    """Two values as written, where one may be a rounding of the other."""
    same = same_values(_node(a), _node(b), judge)
    for decimal, other in ((a, b), (b, a)):
        if same is not False or not decimal.decimals or _node(decimal)[0] != "num" or _node(other)[0] not in SCALARS:
            continue
        value: Fraction = _node(decimal)[1]
        if decimal.significant >= _NOISE_DIGITS > other.significant and _node(other)[0] == "num" and _near(value, _node(other)[1]):
            return None
        if decimal.significant < _SURE_DIGITS or other.decimals or _terminates(_node(other)):
            continue
        if judge.rounds(_node(other), value, decimal.decimals):
            return True if _node(other)[0] == "num" else None
    return same


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


def _other_reading(a: Reading, b: Reading, judge: Judge) -> bool:
    """Whether they agree if the comma of one meant something else."""
    pairs = [(a.other, b.node), (a.node, b.other), (a.other, b.other)]
    return any(x is not None and y is not None and same_values(x, y, judge) is not False for x, y in pairs)


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


def _node(reading: Reading) -> Node:
    if reading.node is None:
        raise ValueError(f"{reading.words!r} has no value")
    return reading.node
