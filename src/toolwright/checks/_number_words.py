"""Numbers written as words: "seven", "twenty-five", "two thirds", "one hundred and five"."""

from __future__ import annotations

import re
from fractions import Fraction

_SMALL = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
)
_TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
_VALUES = {**{word: value for value, word in enumerate(_SMALL)}, **{word: 10 * value for value, word in enumerate(_TENS, start=2)}}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALES_ALONE = {"hundred": 100, "dozen": 12, **_SCALES}
_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "twelfth": 12,
}


def read_words(words: str) -> Fraction | None:
    """The value of number words, lower case; None where they are anything else."""
    parts = [part for part in re.split(r"[\s-]+", words) if part not in {"and", ""}]
    if not parts or len(parts) > 12:
        return None
    if parts[0] in {"minus", "negative"}:
        value = read_words(" ".join(parts[1:]))
        return None if value is None else -value
    if parts == ["half"]:
        return Fraction(1, 2)
    if len(parts) == 1 and parts[0] in _SCALES_ALONE:
        return Fraction(_SCALES_ALONE[parts[0]])
    singular = parts[-1] if parts[-1] in _PARTS else parts[-1].removesuffix("s")
    if len(parts) > 1 and singular in _PARTS:
        count = 1 if parts[:-1] in (["a"], ["an"]) else _whole(parts[:-1])
        return None if count is None else Fraction(count, _PARTS[singular])
    whole = _whole(parts)
    return None if whole is None else Fraction(whole)


def _whole(parts: list[str]) -> int | None:
    total, group, seen = 0, 0, False
    for part in parts:
        if part in _VALUES and (group % 100 == 0 or (group % 10 == 0 and group % 100 >= 20 and _VALUES[part] < 10)):
            group += _VALUES[part]
        elif part == "a" and not seen:
            group = 1
        elif part == "hundred" and 0 < group < 100:
            group *= 100
        elif part in _SCALES and group:
            total, group = total + group * _SCALES[part], 0
        else:
            return None
        seen = True
    return total + group if seen and parts != ["a"] else None
