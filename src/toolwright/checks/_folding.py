"""One tree for many spellings of a value: rational parts computed exactly, sums and products in one order, square roots with their squares taken out.

Equal folded trees mean equal answers. Unequal ones mean nothing unless both are plain numbers: expanding, trigonometry and the rest are left to the workers.
Every step is bounded, so a tower of powers or a huge factorial stays as it is written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from toolwright.checks._grammar import Node

_MAX_BITS = 70_000
"""About 21,000 digits: numerators and denominators beyond are left uncomputed."""
_MAX_FACTORIAL = 5_000
_SQUARES_UP_TO = 1_000

MINUS_ONE: Node = ("num", Fraction(-1))
ZERO: Node = ("num", Fraction(0))
ONE: Node = ("num", Fraction(1))
HALF = Fraction(1, 2)


def fold(node: Node) -> Node:
    """The same value in canonical form."""
    tag = node[0]
    if tag in {"num", "sym", "const", "base"}:
        return node
    if tag == "group":
        return fold(node[1])
    if tag == "add":
        return _sum([fold(child) for child in node[1]])
    if tag == "mul":
        return _product([fold(child) for child in node[1]])
    if tag == "div":
        return _product([fold(node[1]), _power(fold(node[2]), MINUS_ONE)])
    if tag == "pow":
        return _power(fold(node[1]), fold(node[2]))
    if tag == "fn":
        return _function(node[1], tuple(fold(child) for child in node[2]))
    if tag == "deg":
        return _product([fold(node[1]), ("const", "pi"), ("num", Fraction(1, 180))])
    return _collection(node)


def _collection(node: Node) -> Node:
    tag = node[0]
    if tag in {"list", "tuple", "bracket", "set", "ratio", "union"}:
        return (tag, tuple(fold(child) for child in node[1]))
    if tag == "matrix":
        return ("matrix", tuple(tuple(fold(cell) for cell in row) for row in node[1]))
    if tag == "interval":
        return ("interval", fold(node[1]), node[2], fold(node[3]), node[4])
    if tag == "rel":
        return ("rel", node[1], tuple(fold(side) for side in node[2]))
    return (tag, *(fold(child) for child in node[1:]))


def branches(node: Node) -> list[Node]:
    """The node for each choice of its double signs: one without any, else two (all ± of a node go together, ∓ against them)."""
    if not _has_double_sign(node):
        return [node]
    return [_with_sign(node, upper=True), _with_sign(node, upper=False)]


def _has_double_sign(node: object) -> bool:
    return isinstance(node, tuple) and ((bool(node) and node[0] in {"pm", "mp"}) or any(_has_double_sign(child) for child in node))


def _with_sign(node: Node, *, upper: bool) -> Node:
    if node and node[0] in {"pm", "mp"}:
        inner = _with_sign(node[1], upper=upper)
        return inner if (node[0] == "pm") == upper else ("mul", (MINUS_ONE, inner))
    return tuple(_with_sign(child, upper=upper) if isinstance(child, tuple) else child for child in node)


def symbols(node: object) -> frozenset[str]:
    """The names of the free symbols."""
    if not isinstance(node, tuple):
        return frozenset()
    if len(node) == 2 and node[0] == "sym":
        return frozenset({node[1]})
    return frozenset().union(*(symbols(child) for child in node))


def fits(value: Fraction) -> bool:
    """Whether a number is small enough to compute with."""
    return value.numerator.bit_length() <= _MAX_BITS and value.denominator.bit_length() <= _MAX_BITS


def _split(term: Node) -> tuple[Fraction, Node]:
    """Coefficient and rest of a folded term."""
    if term[0] == "num":
        return term[1], ONE
    if term[0] == "mul" and term[1][0][0] == "num":
        rest = term[1][1:]
        return term[1][0][1], rest[0] if len(rest) == 1 else ("mul", rest)
    return Fraction(1), term


def _sum(terms: Sequence[Node]) -> Node:
    coefficients: dict[Node, Fraction] = {}
    for term in terms:
        for part in term[1] if term[0] == "add" else (term,):
            coefficient, rest = _split(part)
            total = coefficients.get(rest, Fraction(0)) + coefficient
            if not fits(total):
                return ("add", tuple(sorted(terms, key=_order)))
            coefficients[rest] = total
    infinite = ("const", "oo") in coefficients
    parts = [_product([("num", value), rest]) for rest, value in coefficients.items() if value != 0 or infinite]
    if not parts:
        return ZERO
    return parts[0] if len(parts) == 1 else ("add", tuple(sorted(parts, key=_order)))


def _product(factors: Sequence[Node]) -> Node:
    number = Fraction(1)
    powers: dict[Node, Node] = {}
    left: list[Node] = []
    queue = list(factors)
    while queue:
        factor = queue.pop(0)
        if factor[0] == "mul":
            queue[:0] = factor[1]
        elif factor[0] == "num":
            if fits(number * factor[1]):
                number *= factor[1]
            else:
                left.append(factor)
        else:
            base, exponent = (factor[1], factor[2]) if factor[0] == "pow" else (factor, ONE)
            powers[base] = _sum([powers[base], exponent]) if base in powers else exponent
    return _assemble(number, powers, left)


def _assemble(number: Fraction, powers: dict[Node, Node], left: list[Node]) -> Node:
    """The product of a number and powers, once more where combining powers gave a new number."""
    parts: list[Node] = []
    again = False
    for base, exponent in powers.items():
        part = _power(base, exponent)
        own_base = part[1] if part[0] == "pow" else part
        again = again or part[0] in {"num", "mul"} or (own_base in powers and own_base != base)
        parts.append(part)
    if again:
        return _product([("num", number), *parts, *left])
    if number == 0 and not left and not any(part == ("const", "oo") or part[0] == "pow" for part in parts):
        return ZERO
    parts = sorted([part for part in [*parts, *left] if part != ONE], key=_order)
    if not parts:
        return ("num", number)
    if len(parts) == 1 and parts[0][0] == "add" and number != 1:
        return _sum([_product([("num", number), term]) for term in parts[0][1]])
    if number != 1:
        parts.insert(0, ("num", number))
    return parts[0] if len(parts) == 1 else ("mul", tuple(parts))


def _power(base: Node, exponent: Node) -> Node:
    if exponent == ONE:
        return base
    if exponent[0] != "num":
        return ("pow", base, exponent)
    value: Fraction = exponent[1]
    if base[0] == "num":
        return _number_power(base[1], value)
    if value == 0:
        return ONE
    if base == ("const", "i") and value.denominator == 1:
        return [ONE, base, MINUS_ONE, ("mul", (MINUS_ONE, base))][value.numerator % 4]
    if value.denominator == 1 and base[0] == "pow":
        return _power(base[1], _product([base[2], exponent]))
    if value.denominator == 1 and base[0] == "mul":
        return _product([_power(factor, exponent) for factor in base[1]])
    return ("pow", base, exponent)


def _number_power(base: Fraction, exponent: Fraction) -> Node:
    unfolded: Node = ("pow", ("num", base), ("num", exponent))
    if base == 0:
        return ZERO if exponent > 0 else ONE if exponent == 0 else unfolded
    if base in {1, -1} and exponent.denominator == 1:
        return ("num", base if exponent.numerator % 2 else Fraction(1))
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent) > _MAX_BITS:
        return unfolded
    if exponent.denominator == 1:
        return ("num", base**exponent.numerator)
    if base > 0 and (root := _exact_root(base, exponent.denominator)) is not None:
        return ("num", root**exponent.numerator)
    if exponent.denominator == 2:
        return _square_root(base, exponent)
    return unfolded


def _square_root(base: Fraction, exponent: Fraction) -> Node:
    """A half-integral power as number · √n with n whole and without small squares; √ of a negative number through i."""
    whole = exponent - HALF
    outside = base ** int(whole) / base.denominator
    inside = abs(base.numerator) * base.denominator
    for prime in _PRIMES:
        square = prime * prime
        while inside % square == 0:
            inside //= square
            outside *= prime
        if square > inside:
            break
    root = math.isqrt(inside)
    factors: list[Node] = [("num", outside)] if outside != 1 else []
    if base < 0:
        factors.append(("const", "i"))
    if root * root == inside:
        return _product([("num", outside * root), *factors[1 if outside != 1 else 0 :]])
    factors.append(("pow", ("num", Fraction(inside)), ("num", HALF)))
    return factors[0] if len(factors) == 1 else ("mul", tuple(factors))


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    if degree > 64:
        return None
    roots = []
    for part in (value.numerator, value.denominator):
        root = round(part ** (1 / degree)) if part.bit_length() < 900 else 0
        if degree == 2:
            root = math.isqrt(part)
        if root**degree != part:
            return None
        roots.append(root)
    return Fraction(*roots)


def _function(name: str, arguments: tuple[Node, ...]) -> Node:
    if name == "exp":
        return _power(("const", "e"), arguments[0])
    values = [argument[1] for argument in arguments if argument[0] == "num"]
    if len(values) < len(arguments):
        return ("fn", name, arguments)
    whole = [int(value) for value in values if value.denominator == 1]
    integral = len(whole) == len(values)
    if name == "factorial" and integral and 0 <= whole[0] <= _MAX_FACTORIAL:
        return ("num", Fraction(math.factorial(whole[0])))
    if name == "binomial" and integral and len(whole) == 2 and 0 <= whole[1] <= whole[0] <= _MAX_FACTORIAL:
        return ("num", Fraction(math.comb(*whole)))
    if name in {"gcd", "lcm"} and integral:
        return ("num", Fraction((math.gcd if name == "gcd" else math.lcm)(*whole)))
    if name in {"max", "min"}:
        return ("num", (max if name == "max" else min)(values))
    if name == "abs":
        return ("num", abs(values[0]))
    if name in {"floor", "ceiling"}:
        return ("num", Fraction(math.floor(values[0]) if name == "floor" else math.ceil(values[0])))
    if name == "ln" and values[0] == 1:
        return ZERO
    return ("fn", name, arguments)


def _order(node: Node) -> str:
    return repr(node) if len(repr(node)) < 10_000 else node[0]


_PRIMES = [n for n in range(2, _SQUARES_UP_TO) if all(n % d for d in range(2, math.isqrt(n) + 1))]
