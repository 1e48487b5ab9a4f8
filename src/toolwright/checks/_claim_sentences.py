"""Arithmetic told in words: *the sum of 3, 4 and 5 is 12*, *the difference between 9 and 4 is 5*.

Only forms that leave no doubt: named operation, plain numbers with at most two words of unit, a form of *is*, one number, and an end. Everything else in
words is left to the reader. (*20 % of 50 is 10*, *half of 12 is 6* and *5 times 4 is 20* are arithmetic with signs to the grammar.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"\$?\d{1,20}(?:,\d{3}){0,5}(?:\.\d{1,20})?(?![\d%/^])"
_ITEM = rf"{_NUMBER}(?:[ ](?!and\b|is\b|equals\b|of\b)[A-Za-z]{{2,20}}){{0,2}}"
_SENTENCE = re.compile(
    rf"\b(?P<name>sum|product|difference|quotient)\s(?:of|between)\s(?P<items>{_ITEM}(?:(?:,\sand|,|\sand)\s{_ITEM}){{1,12}})"
    rf"\s(?:is|equals|is\sequal\sto)\s(?P<result>{_NUMBER})(?P<after>[^\n]{{0,24}})",
    re.IGNORECASE,
)
_SPLIT = re.compile(_NUMBER)
_BEFORE = re.compile(r"(?:twice|half|double|triple|times|of|than|minus|plus|by|if|not|suppose|when|from|digits?)\s+(?:the\s+)?$", re.IGNORECASE)
_CLEAN_END = re.compile(r"(?:\s(?!more|less|times|of|greater|fewer|and|or|than|percent)[A-Za-z]{2,20})?(?:[.,;:!?)\"]|\s*$|\s(?:and|so|because)\b)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement in words, computed."""

    start: int
    end: int
    equal: bool | None
    """Whether the number said is the right one; None where the words around leave a doubt."""
    value: Fraction


def sentences(text: str) -> Iterator[Sentence]:
    """The statements in words of a text, in order."""
    for match in _SENTENCE.finditer(text):
        numbers = [Fraction(n.replace(",", "").replace("$", "")) for n in _SPLIT.findall(match.group("items"))]
        said = match.group("result").replace(",", "").replace("$", "")
        value = _compute(match.group("name").lower(), numbers)
        if value is None:
            continue
        places = len(said.partition(".")[2])
        gap = abs(value - Fraction(said))
        equal: bool | None = gap == 0 or (places > 0 and gap < Fraction(1, 10**places))
        doubtful = _BEFORE.search(text[max(0, match.start() - 24) : match.start()]) or not _CLEAN_END.match(match.group("after"))
        if not equal and (doubtful or (places == 0 and value.denominator != 1 and gap < 1)):
            equal = None
        yield Sentence(match.start(), match.end("result"), equal, value)


def _compute(name: str, numbers: list[Fraction]) -> Fraction | None:
    if name == "sum":
        return sum(numbers, Fraction(0))
    if name == "product":
        total = Fraction(1)
        for number in numbers:
            total *= number
        return total
    if len(numbers) != 2 or (name == "quotient" and numbers[1] == 0):
        return None
    return abs(numbers[0] - numbers[1]) if name == "difference" else numbers[0] / numbers[1]
