"""The judge with sympy, and the loop that a worker process runs.

What runs here may hang or die, which is why it runs in processes of its own. Numbers are decided by evaluating their difference until a digit of it shows, or
none does in 400 (so that 1/2004! and 1/2006! differ), expressions with symbols at exact points of the real domain. math-verify is asked only about what the
grammar cannot read: both directions must agree, and an agreement that evaluation contradicts does not count.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from fractions import Fraction
from typing import Any

from toolwright.checks._deciding import decide
from toolwright.checks._folding import fold, symbols
from toolwright.checks._grammar import Node
from toolwright.checks._readings import Reading, read
from toolwright.checks._shapes import is_rounding

PATIENCE = 5
"""How many times its deadline a question may take by the clock, so that a busy machine changes no verdict."""
_DIGITS = 400
_MEMORY_BYTES = 2 << 30
_POINTS = (
    ("7/5", "12/7", "27/11", "31/13", "45/19", "53/23"),
    ("37/3", "29/5", "97/7", "101/17", "59/2", "83/9"),
    ("2/9", "5/17", "11/29", "3/31", "13/37", "4/41"),
    ("-7/5", "-12/7", "-27/11", "-31/13", "-45/19", "-53/23"),
    ("-37/3", "29/5", "-97/7", "101/17", "-59/2", "83/9"),
    ("2/9", "-5/17", "11/29", "-3/31", "13/37", "-4/41"),
)
_DISCRETE = frozenset({"n", "k", "m", "j"})
"""Symbols that usually are whole numbers, so that a difference elsewhere refutes nothing."""


class TooLarge(ValueError):
    """Evaluating it would take unbounded time."""


class SymbolicJudge:
    """Decides by evaluation with sympy; None where evaluation finds nothing out."""

    def same(self, a: Node, b: Node) -> bool | None:
        try:
            if not {"log"} & (_functions(a) | _functions(b)):
                return _equal(to_sympy(a), to_sympy(b), discrete=_is_discrete(a) or _is_discrete(b))
            verdicts = {_equal(to_sympy(a, base), to_sympy(b, base), discrete=False) for base in ("10", "E")}
        except TooLarge:
            return None
        return verdicts.pop() if len(verdicts) == 1 else None

    def rounds(self, a: Node, value: Fraction, decimals: int) -> bool | None:
        try:
            exact = to_sympy(a).evalf(60)
        except TooLarge:
            return None
        return bool(exact.is_Float) and is_rounding(Fraction(str(exact)), value, decimals)

    def relation(self, a: Node, b: Node) -> bool | None:
        """Equal up to a nonzero factor, which must be positive (or turn the sign around) in an inequality."""
        if len(a[2]) != 2 or len(b[2]) != 2:
            return None
        (left, op), (right, other) = _one_sided(a), _one_sided(b)
        if {op, other} & {"!=", "~"} and op != other:
            return False
        try:
            factor = _factor(to_sympy(left), to_sympy(right))
        except TooLarge:
            return None
        if factor is None or factor == 0:
            return None if factor is None else False
        if op in {"=", "!=", "~"} or other in {"=", "!=", "~"}:
            return op == other
        turned = op if factor > 0 else {"<": ">", "<=": ">="}[op]
        return turned == other

    def sets(self, a: Node, b: Node) -> bool | None:
        try:
            first, second = to_set(a), to_set(b)
            if first == second:
                return True
            if (empty := first.symmetric_difference(second).is_empty) is not None:
                return bool(empty)
            inside = {first.is_subset(second), second.is_subset(first)}
        except (TooLarge, TypeError, ValueError, NotImplementedError):
            return None
        return False if False in inside else True if inside == {True} else None

    def unreadable(self, a: Reading, b: Reading) -> bool | None:
        return _through_math_verify(a.text, b.text)


def to_sympy(node: Node, log_base: str = "E") -> Any:
    """The sympy expression of a folded scalar. Raises: TooLarge for powers and factorials beyond all bounds, TypeError for what is no scalar."""
    import sympy

    tag = node[0]
    if tag == "num":
        return sympy.Rational(node[1].numerator, node[1].denominator)
    if tag == "sym":
        return sympy.Symbol(node[1])
    if tag == "const" and node[1] in {"pi", "e", "i", "oo"}:
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node[1]]
    if tag in {"add", "mul"}:
        return (sympy.Add if tag == "add" else sympy.Mul)(*(to_sympy(child, log_base) for child in node[1]))
    if tag == "pow":
        base, exponent = to_sympy(node[1], log_base), to_sympy(node[2], log_base)
        if not base.free_symbols and not exponent.free_symbols and _is_huge(base, exponent):
            raise TooLarge
        return sympy.Pow(base, exponent)
    if tag == "fn":
        return _function(node[1], [to_sympy(child, log_base) for child in node[2]], log_base)
    raise TypeError(f"{tag} is no scalar")


def _is_huge(base: Any, exponent: Any) -> bool:
    size = abs(exponent.evalf(15))
    return not bool(size < 100_000) or (base.is_Rational and size * max(base.p.bit_length(), base.q.bit_length()) > 1_000_000)


def _function(name: str, arguments: list[Any], log_base: str) -> Any:
    import sympy

    if name in {"factorial", "binomial"} and any(argument.is_number and not abs(argument.evalf(15)) < 20_000 for argument in arguments):
        raise TooLarge
    if name == "log":
        return sympy.log(arguments[0]) / sympy.log(sympy.sympify(log_base))
    known = {"ln": sympy.log, "abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min}
    return (known.get(name) or getattr(sympy, name))(*arguments)


def to_set(node: Node) -> Any:
    """The sympy set of a folded set of numbers; a pair counts as an interval."""
    import sympy

    if node[0] in {"tuple", "bracket"} and len(node[1]) == 2:
        is_open = node[0] == "tuple"
        return sympy.Interval(to_sympy(node[1][0]), to_sympy(node[1][1]), is_open, is_open)
    if node[0] == "interval":
        return sympy.Interval(to_sympy(node[1]), to_sympy(node[3]), node[2], node[4])
    if node[0] == "set":
        return sympy.FiniteSet(*(to_sympy(child) for child in node[1]))
    if node[0] == "union":
        return sympy.Union(*(to_set(child) for child in node[1]))
    if node[0] in {"minus", "intersection"}:
        return (sympy.Complement if node[0] == "minus" else sympy.Intersection)(to_set(node[1]), to_set(node[2]))
    if node[0] == "const" and node[1] in {"R", "Z", "N", "Q"}:
        return {"R": sympy.S.Reals, "Z": sympy.S.Integers, "N": sympy.S.Naturals, "Q": sympy.S.Rationals}[node[1]]
    raise TypeError(f"{node[0]} is no set")


def _equal(a: Any, b: Any, *, discrete: bool = False) -> bool | None:
    """Whether two expressions are equal: constants by value, others at points of the real domain."""
    import sympy

    if a == b:
        return True
    if a.has(sympy.oo, sympy.zoo, sympy.nan) or b.has(sympy.oo, sympy.zoo, sympy.nan):
        return None if a.has(sympy.zoo, sympy.nan) or b.has(sympy.zoo, sympy.nan) else False
    names = sorted(a.free_symbols | b.free_symbols, key=str)
    if not names:
        return _equal_numbers(a, b)
    if len(names) > len(_POINTS[0]):
        return None
    is_complex = a.has(sympy.I) or b.has(sympy.I)
    real: list[bool] = []
    other: list[bool] = []
    for point in _POINTS:
        place = {name: sympy.Rational(value) for name, value in zip(names, point, strict=False)}
        first, second = a.subs(place), b.subs(place)
        verdict = _equal_numbers(first, second)
        if verdict is not None:
            (real if is_complex or (_is_real(first) and _is_real(second)) else other).append(verdict)
    if False in real:
        return None if discrete else False
    if len(real) >= 2:
        return True
    return True if len(other) >= 3 and all(other) else None


def _is_real(value: Any) -> bool:
    return bool(abs(value.evalf(30).as_real_imag()[1]) < 1e-20)


def _equal_numbers(a: Any, b: Any) -> bool | None:
    """Two constants, by whether any of the first 400 digits is left of their difference; None for poles."""
    import sympy

    if a == b:
        return None if a.has(sympy.zoo, sympy.nan) else True
    if a.is_Rational and b.is_Rational:
        return False
    if a.has(sympy.nan, sympy.zoo, sympy.oo) or b.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    difference = (a - b).evalf(15, maxn=_DIGITS)
    if not difference.is_number or difference.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    parts = difference.as_real_imag()
    if not all(part.is_Float or part.is_Rational for part in parts):
        return None
    # evalf marks with a precision of one bit what no digit is left of after cancellation.
    return all(part == 0 or (part.is_Float and part._prec == 1) for part in parts)


def _one_sided(relation: Node) -> tuple[Node, str]:
    """(left − right, operator), with the greater-than signs turned around."""
    (left, right), op = relation[2], relation[1][0]
    if op in {">", ">="}:
        left, right, op = right, left, op.replace(">", "<")
    return fold(("add", (left, ("mul", (("num", Fraction(-1)), right))))), op


def _factor(a: Any, b: Any) -> Any:
    """The constant that a is times b; 0 where there is none, None where that is open."""
    import sympy

    names = sorted(a.free_symbols | b.free_symbols, key=str)
    if a.free_symbols != b.free_symbols or not names:
        return 0 if names else None
    if len(names) > len(_POINTS[0]):
        return None
    ratios = []
    for point in _POINTS[:3]:
        place = {name: sympy.Rational(value) for name, value in zip(names, point, strict=False)}
        first, second = a.subs(place).evalf(60), b.subs(place).evalf(60)
        if first.is_finite and second.is_finite and second != 0:
            ratios.append(first / second)
    if len(ratios) < 2 or not all(ratio.is_real for ratio in ratios):
        return None
    steady = all(abs(ratio - ratios[0]) <= abs(ratios[0]) * sympy.Float("1e-40") for ratio in ratios)
    if not steady:
        return 0 if a.is_polynomial(*names) and b.is_polynomial(*names) else None
    return ratios[0]


def _functions(node: object) -> frozenset[str]:
    if not isinstance(node, tuple):
        return frozenset()
    own = frozenset({node[1]}) if node and node[0] == "fn" else frozenset[str]()
    return own.union(*(_functions(child) for child in node))


def _is_discrete(node: Node) -> bool:
    return bool(symbols(node) & _DISCRETE) and bool(
        _functions(node) & {"sin", "cos", "tan", "factorial", "binomial", "floor", "ceiling"} or '("num", Fraction(-' in repr(node)
    )


def _through_math_verify(a: str, b: str) -> bool | None:
    """What math-verify says about two texts, where both directions agree and evaluation does not contradict."""
    import sympy
    from math_verify import verify

    first, second = _parsed(a), _parsed(b)
    if not first or not second or not (_kept(a, first) and _kept(b, second)):
        return None
    forth = verify(first, second, timeout_seconds=None)
    back = verify(second, first, timeout_seconds=None)
    if forth != back or not isinstance(first[0], sympy.Basic) or not isinstance(second[0], sympy.Basic):
        return None
    evaluated = _equal(first[0].doit(), second[0].doit()) if isinstance(first[0], sympy.Expr) and isinstance(second[0], sympy.Expr) else None
    if not evaluated and (first[0].free_symbols or second[0].free_symbols):
        return None  # it may have read an index or a constant of integration as something else
    return evaluated if evaluated == forth else None


def _parsed(text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    found = parse(f"${text}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    return [] if not found or isinstance(found[0], str) else list(found)


def _kept(text: str, parsed: list[Any]) -> bool:
    """Whether every digit of the text is still in what was read of it."""
    return set(re.findall(r"\d", text)) <= set(re.findall(r"\d", str(parsed[0])))


def peer_verdict(gold: str, answer: str) -> bool:
    """math-verify's own verdict, used as its documentation says, with its defaults but the timers that need a main thread."""
    from math_verify import parse, verify

    return bool(verify(parse(f"${gold}$", parsing_timeout=None), parse(f"${answer}$", parsing_timeout=None), timeout_seconds=None))


def rewritten(answer: str) -> str | None:
    """The answer read by math-verify and printed by sympy; None where math-verify reads no mathematics."""
    import sympy

    found = _parsed(answer)
    return str(sympy.latex(found[0])) if found else None


def _answer(request: dict[str, Any]) -> Any:
    if request["op"] == "compare":
        return decide(read(request["a"]), read(request["b"]), SymbolicJudge())
    if request["op"] == "peer":
        return peer_verdict(request["a"], request["b"])
    return rewritten(request["a"])


def serve(deadline_s: float) -> None:
    """Answer JSON lines until standard input ends; the kernel ends the process once a question has taken `deadline_s` of processor time."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the parsers print to standard output
    _limit_memory()
    for timer in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(timer, signal.SIG_DFL)
    import math_verify  # noqa: F401 - the first question's deadline is not for loading

    decide(read("\\sin 1"), read("\\cos 1"), SymbolicJudge())
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        # Timers of the kernel, not of Python: they work inside long integer arithmetic, and when whoever asked is gone.
        signal.setitimer(signal.ITIMER_PROF, deadline_s)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE * deadline_s + 1)
        try:
            reply = {"verdict": _answer(json.loads(line))}
        except (Exception, RecursionError) as error:  # a boundary: whatever sympy raises, the pair is undecided
            reply = {"verdict": None, "error": type(error).__name__}
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
