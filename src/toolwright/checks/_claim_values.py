"""The value of a run of arithmetic, under each way a reader may take it.

The standard reading comes first. The others are habits of people and models, not errors: percent signs carried along as a unit, *dozen* as a unit or
as twelve, chains typed into a calculator from left to right, a slash over everything behind it, mixed numbers in LaTeX, brackets as remarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from toolwright.checks._claim_types import Call, Group, Number, Operand
from toolwright.checks._numbers import Undecidable, Value, add, approximate, binomial, divide, factorial, multiply, negate, power, root

_FACTORS = ("*", "/", "⁄", "of", "·")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to take a run."""

    percent: bool = True
    """A percent sign divides by a hundred; else it is a unit."""
    multiplied: bool = True
    """*dozen*, *thousand* multiply; else they are units."""
    order: str = "standard"
    """standard · left (left to right) · slash (a slash divides by the whole product behind it) · bar (a slash divides all before it by all behind it)
    · of (*of* takes the sum behind it)"""
    tight: bool = False
    """A slash without spaces binds before one with spaces: 60 / 3/4."""
    mixed: bool = False
    """A whole number before a fraction is a mixed number; else a product."""
    remark: bool = False
    """A bracket behind an operand repeats it; else it multiplies."""
    head: bool = False
    """What stands before *of* is meant alone: 3/24 = 1/8 of 2 feet."""
    relative: bool = False
    """Adding or taking away a percentage means that share of what stands before it."""
    part: bool = True
    """A leading share (*half of*) counts; else it belongs to the words before."""


STANDARD = Reading()


def features(items: list[Operand | str]) -> set[str]:
    """What in the items can be read in more than one way."""
    found: set[str] = set()
    operators = [item for item in items if isinstance(item, str)]
    loose = any(o in "+-" for o in operators)
    if loose and any(o in _FACTORS for o in operators):
        found.add("left")
        if sum(o in "/⁄" for o in operators) == 1:
            found.add("bar")
    if any(o in "/⁄" for o in operators[:-1]):
        found.add("slash")
    if "⁄" in operators and "/" in operators:
        found.add("tight")
    if "of" in operators:
        found.add("part")
        if loose:
            found.add("of")
    for index, item in enumerate(items):
        if index and items[index - 1] == "·" and _is_fraction(item):
            found.add("mixed")
        if isinstance(item, Number):
            found |= {"percent"} if item.percent else set()
            found |= {"relative"} if item.percent and index and items[index - 1] in ("+", "-") else set()
            found |= {"multiplied"} if item.multiplier != 1 else set()
        elif isinstance(item, Group):
            found |= features(item.items) | ({"remark"} if item.remark else set())
        elif isinstance(item, Call):
            found |= {"percent"} if item.name == "percent" else set()
            for argument in item.arguments:
                found |= features([argument])
    return found


def readings(found: set[str]) -> Iterator[Reading]:
    """Other readings than the standard one that the features allow."""
    plain = [STANDARD]
    if "percent" in found:
        plain.append(Reading(percent=False))
    if "multiplied" in found:
        plain += [replace(reading, multiplied=False) for reading in plain]
    for reading in plain:
        if reading != STANDARD:
            yield reading
        for order in ("left", "slash", "bar", "of"):
            if order in found:
                yield replace(reading, order=order)
        if "tight" in found:
            yield replace(reading, tight=True)
        if "mixed" in found:
            yield replace(reading, mixed=True)
        if "remark" in found:
            yield replace(reading, remark=True)
        if "part" in found:
            yield replace(reading, part=False)
            yield replace(reading, head=True)
        if "relative" in found:
            yield replace(reading, relative=True)


def evaluate(items: list[Operand | str], reading: Reading = STANDARD) -> Value:
    """The value of operands and operators in turn.

    Raises: Undecidable where it cannot be computed exactly.
    """
    values: list[Value] = []
    operators: list[str] = []
    for index, item in enumerate(items):
        if isinstance(item, str):
            operators.append(item)
        else:
            values.append(_operand(item, reading))
            if reading.relative and isinstance(item, Number) and item.percent and index and items[index - 1] in ("+", "-"):
                values[-1] = multiply(values[-1], _combine(values[:-1], operators[:-1], reading))
    if not reading.part and "of" in operators:
        cut = operators.index("of") + 1
        values, operators = values[cut:], operators[cut:]
    if reading.head and "of" in operators:
        cut = operators.index("of")
        values, operators = values[: cut + 1], operators[:cut]
    if reading.mixed:
        marked = ["+m" if o == "·" and _is_fraction(items[2 * i + 2]) else o for i, o in enumerate(operators)]
        values, operators = _bind(values, marked, "+m")
    if reading.remark:
        kept = [i for i, o in enumerate(operators) if not (o == "·" and isinstance(items[2 * i + 2], Group) and _is_remark(items[2 * i + 2]))]
        values, operators = [values[0], *(values[i + 1] for i in kept)], [operators[i] for i in kept]
    return _combine(values, operators, reading)


def _is_fraction(item: Operand | str) -> bool:
    return (isinstance(item, Call) and item.name == "frac") or (isinstance(item, Number) and item.part)


def _is_remark(item: Operand | str) -> bool:
    return isinstance(item, Group) and item.remark


def _combine(values: list[Value], operators: list[str], reading: Reading) -> Value:
    values, operators = list(values), list(operators)
    if reading.order == "left":
        total = values[0]
        for operator, value in zip(operators, values[1:], strict=True):
            total = _apply(total, operator, value)
        return total
    if reading.order == "bar":
        cut = next((i for i, o in enumerate(operators) if o in "/⁄"), None)
        if cut is not None:
            plain = replace(reading, order="standard")
            return divide(_combine(values[: cut + 1], operators[:cut], plain), _combine(values[cut + 1 :], operators[cut + 1 :], plain))
    if reading.order == "of" and "of" in operators:
        cut = operators.index("of")
        rest = _combine(values[cut + 1 :], operators[cut + 1 :], reading)
        return _combine([*values[: cut + 1], rest], [*operators[:cut], "*"], reading)
    if reading.tight:
        values, operators = _bind(values, operators, "⁄")
    terms, signs = [values[0]], []
    dividing = False
    for operator, value in zip(operators, values[1:], strict=True):
        if operator in ("+", "-"):
            signs.append(operator)
            terms.append(value)
            dividing = False
        elif reading.order == "slash" and dividing and operator in ("*", "·"):
            terms[-1] = divide(terms[-1], value)
        else:
            terms[-1] = _apply(terms[-1], operator, value)
            dividing = dividing or operator in "/⁄"
    total = terms[0]
    for sign, term in zip(signs, terms[1:], strict=True):
        total = add(total, term if sign == "+" else negate(term))
    return total


def _bind(values: list[Value], operators: list[str], first: str) -> tuple[list[Value], list[str]]:
    """The same with one kind of operator already carried out."""
    bound, left = [values[0]], []
    for operator, value in zip(operators, values[1:], strict=True):
        if operator == first:
            bound[-1] = _apply(bound[-1], operator, value)
        else:
            bound.append(value)
            left.append(operator)
    return bound, left


def _apply(left: Value, operator: str, right: Value) -> Value:
    if operator in ("+", "+m"):
        return add(left, right)
    if operator == "-":
        return add(left, negate(right))
    if operator in "/⁄":
        return divide(left, right)
    return multiply(left, right)


def _operand(item: Operand, reading: Reading) -> Value:
    if isinstance(item, Number):
        value = item.value
        if item.multiplier != 1 and reading.multiplied:
            value = multiply(value, Fraction(item.multiplier))
        if item.percent and reading.percent:
            value = multiply(value, Fraction(1, 100))
        return value
    if isinstance(item, Group):
        return evaluate(item.items, reading)
    return _call(item, [_operand(argument, reading) for argument in item.arguments], reading)


def _call(call: Call, values: list[Value], reading: Reading) -> Value:
    first = values[0]
    if call.name == "negative":
        return negate(first)
    if call.name == "percent":
        return multiply(first, Fraction(1, 100)) if reading.percent else first
    if call.name == "factorial":
        return factorial(first)
    second = values[1]
    if call.name == "frac":
        return divide(first, second)
    if call.name == "mixed":
        return add(first, second)
    if call.name == "power":
        return power(first, second)
    if call.name == "binom":
        return binomial(first, second)
    if isinstance(second, Fraction) and second.denominator == 1:
        return root(first, int(second))
    raise Undecidable("an unusual root")


def spread(items: list[Operand | str], rounded: set[Fraction], reading: Reading = STANDARD) -> Fraction:
    """How far the value may move if operands that look rounded are off by one in their last place.

    Raises: Undecidable as `evaluate` does.
    """
    suspects = [n for n in numbers(items) if looks_rounded(n, rounded)]
    if not suspects or len(suspects) > 8:
        return Fraction(0)
    base = approximate(evaluate(items, reading))
    total = Fraction(0)
    for number in suspects:
        kept = number.value
        try:
            number.value = add(kept, number.unit_in_last_place)
            total += abs(approximate(evaluate(items, reading)) - base)
        finally:
            number.value = kept
    return total


def looks_rounded(number: Number, rounded: set[Fraction]) -> bool:
    """Whether a written number is probably a rounded one: seen as such before, many decimals, or the start of 1/3, 2/3, 1/6, 5/6, π, √2."""
    if not isinstance(number.value, Fraction):
        return False
    if number.rough or number.value in rounded:
        return True
    if number.whole:
        return number.percent and number.value in (33, 67, 66, 17, 83)
    places = number.unit_in_last_place.denominator
    digits = str(number.value.numerator * places // number.value.denominator)
    return places >= 1000 or digits[-2:] in ("33", "66", "67", "16", "17", "83", "14", "41", "73", "57", "43", "71", "29", "86")


def numbers(items: list[Operand | str]) -> Iterator[Number]:
    """The numbers written in items."""
    for item in items:
        if isinstance(item, Number):
            yield item
        elif isinstance(item, Group):
            yield from numbers(item.items)
        elif isinstance(item, Call):
            yield from numbers(list(item.arguments))
