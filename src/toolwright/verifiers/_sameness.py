"""Equality as mathematics means it, for checking programs: `same` goes into the sandbox with them, as source text.

``==`` loses right answers: 0.1 + 0.2 is not 0.3, ``sqrt(8)`` is not ``2*sqrt(2)``, "18" is not 18. The function stands alone (it imports what it needs inside)
because its text is all that travels. Left out: rounding (33.33 is not 100/3).
"""

from __future__ import annotations

from typing import Any


def same(a: Any, b: Any) -> bool:
    """Whether two values are mathematically equal: exact where both are, else to nine digits; texts by the number they hold; collections item by item."""
    import cmath
    from fractions import Fraction

    def number(text: str) -> Any:
        bare = text.strip().strip("$€£%").replace(",", "").rstrip(".").strip()
        try:
            return Fraction(bare)
        except (ValueError, ZeroDivisionError):
            return None

    for each, other in ((a, b), (b, a)):
        # What the cross-check puts in place of an answer: it is the same as everything, and tells what it was compared with.
        if type(each).__name__ == "_Anything":
            return bool(each.meet(other))
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a is b
    if isinstance(a, str) or isinstance(b, str):
        if isinstance(a, str) and isinstance(b, str) and " ".join(a.split()).casefold() == " ".join(b.split()).casefold():
            return True
        left, right = (number(each) if isinstance(each, str) else each for each in (a, b))
        return left is not None and right is not None and same(left, right)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))  # noqa: B905  # the lengths are equal here
    if isinstance(a, (set, frozenset)) and isinstance(b, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if isinstance(a, (int, Fraction)) and isinstance(b, (int, Fraction)):
        return a == b
    if isinstance(a, (int, float, complex, Fraction)) and isinstance(b, (int, float, complex, Fraction)):
        return cmath.isclose(complex(a), complex(b), rel_tol=1e-9, abs_tol=1e-9)
    if hasattr(a, "free_symbols") or hasattr(b, "free_symbols"):
        return symbolic(a, b)
    return bool(a == b)


def symbolic(a: Any, b: Any) -> bool:
    """The same for sympy's objects; goes along only with programs that use sympy, because a sandbox is quicker without it."""
    import sympy

    if a == b:
        return True
    try:
        left, right = sympy.sympify(a), sympy.sympify(b)
        difference = sympy.simplify(left - right)
        if difference == 0 or not difference.free_symbols:
            return bool(difference == 0) or bool(abs(sympy.N(difference)) <= 1e-9 * max(1, abs(sympy.N(left))))
        return bool(left.equals(right))
    except (TypeError, ValueError, AttributeError, sympy.SympifyError):
        return False
