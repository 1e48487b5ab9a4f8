"""Exact numbers of school arithmetic: rationals, square roots and powers of π, and what they look like written down.

A value is a `Fraction`, or a `Surd`: a sum of rational multiples of √n·π^k with n squarefree. Equality of such sums is decided exactly. Everything is
bounded (`LIMIT_BITS`, small exponents, small radicands): past the bound `Undecidable` is raised, never a long computation. Left out: nested roots,
general division by sums of roots, logarithms, trigonometry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

LIMIT_BITS = 2048
MAX_EXPONENT = 400
MAX_RADICAND = 10**6
"""Finding square factors takes time that grows with the radicand."""
_MAX_KEY = 10**12
MAX_TERMS = 12

_PI = Fraction(31415926535897932384626433832795028841971693993751058209749445923078164, 10**70)
_ROOT_SCALE = 10**45


class Undecidable(Exception):
    """The value cannot be computed exactly within bounds; the message says why."""


@dataclass(frozen=True, slots=True)
class Surd:
    """A sum of q·√n·π^k, not a rational."""

    terms: tuple[tuple[int, int, Fraction], ...]
    """(n, k, q) sorted by n and k; n squarefree, q not zero."""


Value = Fraction | Surd


def add(a: Value, b: Value) -> Value:
    """Their sum."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a + b)
    sums: dict[tuple[int, int], Fraction] = {}
    for n, k, q in _terms(a) + _terms(b):
        sums[n, k] = sums.get((n, k), Fraction(0)) + q
    return _value(sums)


def negate(a: Value) -> Value:
    """−a."""
    if isinstance(a, Fraction):
        return -a
    return Surd(tuple((n, k, -q) for n, k, q in a.terms))


def multiply(a: Value, b: Value) -> Value:
    """Their product."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a * b)
    products: dict[tuple[int, int], Fraction] = {}
    for n, k, q in _terms(a):
        for m, j, r in _terms(b):
            common = math.gcd(n, m)
            key = (n // common * (m // common), k + j)
            products[key] = products.get(key, Fraction(0)) + q * r * common
    return _value(products)


def divide(a: Value, b: Value) -> Value:
    """The quotient a / b; by a sum only where one conjugation makes it rational."""
    if isinstance(b, Fraction):
        if b == 0:
            raise Undecidable("division by zero")
        return multiply(a, 1 / b)
    if len(b.terms) == 1:
        n, k, q = b.terms[0]
        return multiply(a, _value({(n, -k): 1 / (q * n)}))
    if len(b.terms) == 2:
        conjugate = Surd((b.terms[0], (b.terms[1][0], b.terms[1][1], -b.terms[1][2])))
        norm = multiply(b, conjugate)
        if isinstance(norm, Fraction) and norm != 0:
            return multiply(multiply(a, conjugate), 1 / norm)
    raise Undecidable("division by a sum of roots")


def power(a: Value, b: Value) -> Value:
    """The power of a to b, for small whole b and for halves."""
    if not isinstance(b, Fraction) or abs(b) > MAX_EXPONENT:
        raise Undecidable("the exponent is not a small number")
    if b.denominator == 2 and isinstance(a, Fraction):
        return power(root(a, 2), Fraction(b.numerator))
    if b.denominator != 1:
        if isinstance(a, Fraction) and b.denominator <= 20:
            return power(root(a, b.denominator), Fraction(b.numerator))
        raise Undecidable("the exponent is not whole")
    if b < 0:
        return divide(Fraction(1), power(a, -b))
    if isinstance(a, Fraction):
        if max(a.numerator.bit_length(), a.denominator.bit_length()) * int(b) > LIMIT_BITS * 2:
            raise Undecidable("the power is too large")
        return _bounded(a ** int(b))
    if b > 12:
        raise Undecidable("the power is too large")
    result: Value = Fraction(1)
    for _ in range(int(b)):
        result = multiply(result, a)
    return result


def root(a: Value, degree: int) -> Value:
    """The real root of a rational: exact if it is one, a surd for square roots."""
    if not isinstance(a, Fraction) or not 2 <= degree <= 20:
        raise Undecidable("a nested or unusual root")
    if a < 0:
        if degree % 2:
            return negate(root(-a, degree))
        raise Undecidable("an even root of a negative number")
    top, bottom = _whole_root(a.numerator, degree), _whole_root(a.denominator, degree)
    if top is not None and bottom is not None:
        return Fraction(top, bottom)
    if degree != 2:
        raise Undecidable("a root that is no fraction")
    radicand = a.numerator * a.denominator
    if radicand > MAX_RADICAND:
        raise Undecidable("a root of a large number")
    square, free = _squarefree(radicand)
    return _value({(free, 0): Fraction(square, a.denominator)})


def pi() -> Value:
    """π."""
    return Surd(((1, 1, Fraction(1)),))


def factorial(a: Value) -> Value:
    """The factorial for whole a up to 170."""
    if not isinstance(a, Fraction) or a.denominator != 1 or not 0 <= a <= 170:
        raise Undecidable("a factorial that is large or of no whole number")
    return Fraction(math.factorial(int(a)))


def binomial(a: Value, b: Value) -> Value:
    """How many ways to choose b of a, for whole numbers up to 1000."""
    if not (isinstance(a, Fraction) and isinstance(b, Fraction) and a.denominator == b.denominator == 1 and 0 <= b <= a <= 1000):
        raise Undecidable("an unusual binomial coefficient")
    return _bounded(Fraction(math.comb(int(a), int(b))))


def approximate(a: Value) -> Fraction:
    """A rational within 1e-30 (relative to the coefficients) of the value."""
    if isinstance(a, Fraction):
        return a
    total = Fraction(0)
    for n, k, q in a.terms:
        scaled = Fraction(math.isqrt(n * _ROOT_SCALE**2), _ROOT_SCALE)
        total += q * scaled * _PI**k
    return total


def show(a: Value) -> str:
    """The value as a person writes it: whole, decimal where that ends soon, else a fraction or a sum of roots."""
    if isinstance(a, Fraction):
        return _show_rational(a)
    parts = []
    for n, k, q in a.terms:
        factors = ([f"√{n}"] if n > 1 else []) + (["π" if k == 1 else f"π^{k}"] if k else [])
        head = _show_rational(q)
        parts.append("".join(factors) if head == "1" and factors else head + "".join(factors))
    return " + ".join(parts).replace("+ -", "- ")


def _show_rational(a: Fraction) -> str:
    if a.denominator == 1:
        return str(a.numerator)
    bottom, places = a.denominator, 0
    while bottom % 10 == 0 or bottom % 2 == 0 or bottom % 5 == 0:
        bottom = bottom // 10 if bottom % 10 == 0 else bottom // 2 if bottom % 2 == 0 else bottom // 5
        places += 1
    if bottom != 1 or places > 12:
        return f"{a.numerator}/{a.denominator}"
    digits = str(abs(a.numerator) * 10**places // a.denominator).rjust(places + 1, "0")
    return ("-" if a < 0 else "") + f"{digits[:-places]}.{digits[-places:]}".rstrip("0")


def _bounded(a: Fraction) -> Fraction:
    if max(a.numerator.bit_length(), a.denominator.bit_length()) > LIMIT_BITS:
        raise Undecidable("the numbers grow too large")
    return a


def _terms(a: Value) -> list[tuple[int, int, Fraction]]:
    if isinstance(a, Fraction):
        return [(1, 0, a)] if a else []
    return list(a.terms)


def _value(sums: dict[tuple[int, int], Fraction]) -> Value:
    left = {key: _bounded(q) for key, q in sums.items() if q}
    if not left:
        return Fraction(0)
    if set(left) == {(1, 0)}:
        return left[1, 0]
    if len(left) > MAX_TERMS or any(n > _MAX_KEY or abs(k) > 20 for n, k in left):
        raise Undecidable("too many roots")
    return Surd(tuple((n, k, q) for (n, k), q in sorted(left.items())))


def _whole_root(a: int, degree: int) -> int | None:
    """The whole number whose power is a, if there is one."""
    if degree == 2:
        found = math.isqrt(a)
        return found if found * found == a else None
    low, high = 0, 1 << (a.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**degree < a:
            low = middle + 1
        else:
            high = middle
    return low if low**degree == a else None


def _squarefree(n: int) -> tuple[int, int]:
    """(s, f) with n = s²·f and f squarefree."""
    square, free, p = 1, 1, 2
    while p * p <= n:
        while n % (p * p) == 0:
            n //= p * p
            square *= p
        if n % p == 0:
            n //= p
            free *= p
        p += 1
    return square, free * n
