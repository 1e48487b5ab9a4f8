"""What a statement is made of once it is read: operands, runs of arithmetic, sides and relations.

Plain data without judgement; `_claim_grammar` builds it, `_claim_values` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from toolwright.checks._claim_tokens import Token
from toolwright.checks._numbers import Value


@dataclass(slots=True)
class Number:
    """An operand written as digits."""

    value: Value
    unit_in_last_place: Fraction
    whole: bool
    percent: bool = False
    multiplier: int = 1
    rough: bool = False
    part: bool = False
    """A fraction word, or a fraction: may stand before *of*."""


@dataclass(slots=True)
class Group:
    """Operands and operators in turn."""

    items: list[Operand | str]
    remark: bool = False
    """It stood behind an operand without a sign, so it may also repeat or explain it."""


@dataclass(slots=True)
class Call:
    """A LaTeX or postfix operation: frac, sqrt, binom, power, factorial, negative, mixed."""

    name: str
    arguments: list[Operand]


Operand = Number | Group | Call


@dataclass(slots=True)
class Run:
    """A stretch of arithmetic, with its place and what surrounds it."""

    start: int
    end: int
    items: list[Operand | str] = field(default_factory=list)
    unknown: bool = False
    doubt: str = ""
    units: set[str] = field(default_factory=set)
    numbers: int = 0
    before: str = ""
    """The word just before it, on the same side."""
    tail: list[str] = field(default_factory=list)
    """The words behind its last operand."""
    at_start: bool = False
    """Nothing but filler stands between the side's left edge and it."""
    at_end: bool = False
    closed: bool = False
    approximate: bool = False
    bulleted: bool = False
    """Its first sign may be a bullet."""
    runs_on: bool = False
    """It takes up the result of the side before it."""
    first_end: int = 0
    """Where its first operand ends."""

    @property
    def operations(self) -> int:
        """How many operators it holds, LaTeX fractions of plain numbers not counted."""
        return count_operations(self.items)

    def doubtful(self, reason: str) -> None:
        """Keep the first doubt."""
        self.doubt = self.doubt or reason


@dataclass(slots=True)
class Statement:
    """Sides and the relations between them."""

    sides: list[list[Run]]
    relations: list[Token]


def count_operations(items: list[Operand | str]) -> int:
    """Operators in items, nested ones included."""
    total = 0
    for item in items:
        if isinstance(item, str):
            total += 1
        elif isinstance(item, Group):
            total += count_operations(item.items)
        elif isinstance(item, Call) and item.name != "negative":
            total += (item.name not in ("mixed",)) + sum(count_operations([a]) for a in item.arguments)
    return total
