"""Equality for checking programs: what is the same however it is written, and what is not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from sympy import Rational, pi, sqrt, symbols

from toolwright.verifiers import runnable, same

X = symbols("x")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (18, 18.0),
        (0.1 + 0.2, 0.3),
        ("18", 18),
        ("$1,800", 1800),
        ("50%", 50),
        (Fraction(1, 2), 0.5),
        (sqrt(8), 2 * sqrt(2)),
        (Rational(3, 4), 0.75),
        ((X + 1) ** 2, X**2 + 2 * X + 1),
        (2 * pi, 6.283185307179586),
        ([1, 2.0], (1.0, 2)),
        ({1, 2}, {2.0, 1.0}),
        ("Blue  whale", "blue whale"),
        (True, True),
        (1e20, 1e20 + 1),
        (2 + 0j, 2),
    ],
)
def test_the_same(a: object, b: object) -> None:
    assert same(a, b) and same(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (18, 19),
        (10**20, 10**20 + 1),
        (0.3, 0.31),
        ("18 apples", 18),
        (True, 1),
        (False, 0),
        (sqrt(8), 3),
        (X, X + 1),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({1, 2}, {1, 3}),
        ("", 0),
        (None, 0),
        (100 / 3, 33.33),
    ],
)
def test_not_the_same(a: object, b: object) -> None:
    assert not same(a, b) and not same(b, a)


def test_programs_get_it_as_text_and_their_own_equality_means_it() -> None:
    said: list[object] = []
    exec(runnable("import sympy\nprint(0.1 + 0.2 == 0.3, same('18', 18), sympy.sqrt(8) == 2 * sympy.sqrt(2), 3 == 4)"), {"print": lambda *a: said.extend(a)})
    assert said == [True, True, True, False]


def test_loops_keep_their_own_equality() -> None:
    text = runnable("for i in range(9):\n    if i == 3:\n        print(i == 4)\nprint(i == 8)")
    assert "i == 3" in text and "_same(i, 8)" in text and "_same(i, 3)" not in text
