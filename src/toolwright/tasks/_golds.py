r"""Gold answers as data sets write them, turned into what a grader compares: the number without its unit, the fraction behind a rounded decimal.

The clean-up never changes a value. A gold that is more than one plain number keeps its text; how each task's golds look is told in docs/data.md.
"""

from __future__ import annotations

import re
from fractions import Fraction

from toolwright.checks import extract_answer
from toolwright.errors import UsageError

_MARK = re.compile(r"####|\\(?:boxed|fbox)\b")
_NUMBER = re.compile(r"[-+−]?(?:\d+(?:\.\d*)?|\.\d+)%?")
_LARGEST_DENOMINATOR = 20
_LONGEST = 1000
"""Longer numbers stay as they are written; Python itself refuses to read very long ones."""
_UNIT = re.compile(r"\s*\([^()]*[A-Za-z][^()]*\)$")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"


def number_gold(value: float | str) -> str:
    """A number as text: whole numbers without a point, separators or leading zeros, decimals without trailing zeros, fractions in lowest terms.

    Raises: UsageError for what is no finite number.
    """
    text = str(value).strip().replace(",", "")
    try:
        exact = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"{value!r} is not a number") from error
    if exact.denominator == 1 or "/" in text:
        return str(exact)
    return text.rstrip("0") if "e" not in text.lower() else text


def rounded_gold(value: float | str) -> str:
    """A number as `number_gold` gives it, but the fraction where a decimal of five or more places is one, rounded (0.6666666667 is 2/3).

    Only for data known to hold rounded fractions. Five places are enough that a price or a measured length is never taken for one.
    """
    text = number_gold(value)
    places = len(text.partition(".")[2])
    if "e" in text.lower() or places < 5:
        return text
    near = Fraction(text).limit_denominator(_LARGEST_DENOMINATOR)
    return str(near) if abs(near - Fraction(text)) < Fraction(1, 2 * 10**places) else text


def written_gold(text: str) -> str:
    r"""The answer in a gold that a person or a data set wrote: behind ``####``, in the last ``\boxed{}``, or the text itself.

    Plain numbers lose currency, separators and unit.

    Raises: UsageError where several lines hold no such mark, for then the gold is a solution and not an answer.
    """
    text = text.strip()
    if mark := _MARK.search(text):
        found = extract_answer(text[mark.start() :])
        if found is None:
            raise UsageError("the mark for the answer (#### or \\boxed) holds nothing")
        return _tidy(found) or found
    if "\n" in text:
        raise UsageError("the answer has several lines and neither '#### x' nor \\boxed{x} to say which part is the answer")
    cleaned = extract_answer(f"#### {text}")
    return text if cleaned is None else _tidy(cleaned) or text


def _tidy(cleaned: str) -> str | None:
    """The number, where the text is just one; a percent sign stays."""
    if len(cleaned) > _LONGEST or not _NUMBER.fullmatch(cleaned):
        return None
    return number_gold(cleaned.removesuffix("%").replace("−", "-")) + ("%" if cleaned.endswith("%") else "")


def asdiv_gold(text: str, solution_type: str = "") -> tuple[str, str]:
    """(gold, form) of an ASDiv answer; the form is number, fraction, several, ratio, time, date or words.

    Units in brackets go. The parts of an answer with several are joined by a comma, in the order given. An ordinal ("6th", "The 60th caller.") becomes its
    number, "-(1/3)" becomes "-1/3"; ratios ("5:6") and times ("3:30 p.m.") stay as written.
    """
    parts = [_UNIT.sub("", part.strip()) for part in text.split(";")]
    if len(parts) > 1:
        return ", ".join(number_gold(part) for part in parts), "several"
    only = re.sub(r"^-\((.+)\)$", r"-\1", parts[0])
    if not only.endswith(".m."):
        only = only.rstrip(".")
    if ordinal := re.fullmatch(r"(?:The )?(\d+)(?:st|nd|rd|th)(?: caller)?", only):
        return ordinal[1], "number"
    if re.fullmatch(r"-?\d+/\d+", only):
        return number_gold(only), "fraction"
    if re.fullmatch(r"-?[\d,]*\.?\d+", only):
        return number_gold(only), "number"
    if re.search(rf"\b(?:{_MONTHS}) \d", only):
        return only, "date"
    if re.match(r"\d+:\d+", only):
        return only, "ratio" if solution_type == "Ratio" else "time"
    return only, "words"
