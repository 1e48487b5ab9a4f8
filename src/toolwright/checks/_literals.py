"""Numbers as they are written: repeating decimals, commas between thousands, how many digits were given."""

from __future__ import annotations

import re
from fractions import Fraction

_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")


_REPEATING = re.compile(r"(?P<start>\d*\.\d*?)(?:\\overline\s*\{\s*(?P<bar>\d+)\s*\}|\\bar\s*\{?\s*(?P<short>\d+)\s*\}?|\((?P<round>\d+)\))")


_DOTS = re.compile(r"(?P<number>-?\d*\.(?P<digits>\d{3,}))\s*(?:\.\.\.|\\ldots)")


_DECIMAL = re.compile(r"[-+]?\s*(?P<whole>\d*)\.?(?P<part>\d*)")


def spell_out_repeating(text: str) -> str:
    r"""0.\overline{3}, 0.(3) and 0.333… as fractions."""
    if match := _DOTS.fullmatch(text):
        for period in range(1, 7):
            digits = match["digits"]
            if len(digits) >= max(3, 2 * period) and digits[-period:] == digits[-2 * period : -period] and (period > 1 or digits[-3:] == digits[-1] * 3):
                start = match["number"][: len(match["number"]) - period]
                return _as_fraction(start, digits[-period:])
    if match := re.fullmatch(rf"(?P<sign>-?){_REPEATING.pattern}", text):
        return _as_fraction(match["sign"] + match["start"], match["bar"] or match["short"] or match["round"])
    return text


def _as_fraction(start: str, period: str) -> str:
    decimals = len(start.partition(".")[2])
    value = Fraction(start.lstrip("-") + "0") if start.lstrip("-") != "." else Fraction(0)
    value += Fraction(int(period), (10 ** len(period) - 1) * 10**decimals)
    return f"{'-' if start.startswith('-') else ''}{value}"


def merge_thousands(text: str) -> str:
    """Numbers outside brackets without the commas between their thousands."""
    if "," not in text:
        return text
    out, depth, start = [], 0, 0
    for match in _THOUSANDS.finditer(text):
        between = text[start : match.start()]
        depth += sum(between.count(c) for c in "([") - sum(between.count(c) for c in ")]") + between.count("\\{") - between.count("\\}")
        out += [between, match[0].replace(",", "") if depth <= 0 else match[0]]
        start = match.end()
    return "".join(out) + text[start:]


def precision(text: str) -> tuple[int, int]:
    match = _DECIMAL.fullmatch(text.strip())
    if match is None or not match["part"]:
        return 0, 0
    return len((match["whole"] + match["part"]).lstrip("0")), len(match["part"])
