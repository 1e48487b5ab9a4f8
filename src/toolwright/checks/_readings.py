r"""What an answer says: a value (a tree with its unit), a choice letter, or words.

How ambiguous spellings are read:

- A comma between 1–3 digits and exactly three digits, outside brackets, separates thousands: "1,234" is a number, "1,2" and "1, 234" are lists,
  and "(1,234)" is a pair.
- "1, 2", "1 and 2", "x = 1 or x = 2" are lists, which have no order, like sets; "(1, 2)" is a tuple, or an open interval where it meets one; "[1, 2]" likewise.
- "x = 5", ``x \in [1, 2]`` and "1 ≤ x ≤ 2" are their right side, with a name.
- "10%" is a tenth. Degrees are a unit. A unit may be left out, but not exchanged.
- "2⅓" and "2 1/3" are mixed numbers. ``2k`` is a product, "2 km" a length.
- A capital letter alone, or any letter in parentheses, may be a choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from toolwright.checks._folding import fold, symbols
from toolwright.checks._grammar import Node, Unreadable, exact, parse
from toolwright.checks._literals import merge_thousands, precision, spell_out_repeating
from toolwright.checks._naming import fold_all, without_degrees, without_name
from toolwright.checks._number_words import read_words
from toolwright.checks._spelling import USD, respell
from toolwright.checks._units import CURRENCIES, DEGREES, NO_UNIT, Unit, currency, read_unit

MAX_LENGTH = 2_000
"""Longer answers that are no plain number are only compared as text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer as it was understood."""

    text: str
    """The answer in one spelling: equal texts are equal answers."""
    words: str
    """Folded text: lower case, no punctuation, no leading article."""
    node: Node | None = None
    """The folded value; None for prose and for what the grammar cannot read."""
    name: str = ""
    """The left side of "name = value"."""
    unit: Unit = NO_UNIT
    percent: bool = False
    letter: str = ""
    """The choice letter it may stand for."""
    is_choice: bool = False
    """It cannot be anything but a choice letter (with its text perhaps)."""
    significant: int = 0
    """Significant digits, where it is written as one decimal number."""
    decimals: int = 0
    digits: str = ""
    """A plain number too long to compute with, normalised as text."""
    other: Node | None = None
    """The value under the other reading of its commas."""
    is_compound: bool = False
    """The value was put together from several ("1 h 30 min"), in a unit the answer does not name."""
    is_long: bool = False
    """Too long to read: equal to the same text, undecided beside any other."""
    is_math: bool = False
    """It looks like mathematics, whether or not the grammar could read it."""


_LONG = re.compile(r"(?P<sign>[-+−]?)\s*(?P<whole>[\d,]*)(?:\.(?P<part>\d*))?")
_CHOICE = re.compile(
    r"(?P<text>\\text\s*\{\s*)?(?P<named>(?:option|choice|answer)\s+)?(?:\(\s*(?P<round>[A-Za-z])\s*\)|\[(?P<square>[A-Z])\]|(?P<bare>[A-Za-z])(?P<mark>\)|\.(?!\d)|:(?!\d))?)"
    r"\s*\}?(?:\s+(?P<rest>\S.*))?",
    re.DOTALL | re.IGNORECASE,
)
_EUROPEAN = re.compile(r"(?P<sign>-?)(?P<whole>[1-9]\d{0,2}(?:\.\d{3})+),(?P<part>\d+)")
_TEXT_UNIT = re.compile(r"(?P<value>.*\S)\s*\\text\s*\{(?P<unit>[^{}]*)\}(?P<power>\s*\^\s*\{?\s*[23]\s*\}?)?", re.DOTALL)
_WORD_UNIT = re.compile(r"(?P<value>(?:\\[A-Za-z]+|[^A-Za-z])*?[\d)}\]])(?P<gap>\s*-?)(?P<unit>[A-Za-z].*)", re.DOTALL)
_PERCENT = re.compile(r"(?P<value>.*\S)\s*(?:%|\bper\s?cent\b|\bpct\b\.?|\\text\s*\{\s*(?:%|per\s?cent)\s*\})", re.DOTALL)
_DEGREES = re.compile(r"(?P<value>.*\S)\s*(?:\\text\s*\{\s*degrees?\s*\}|\bdegrees?\b|\bdeg\b)", re.DOTALL)
_JOINED = re.compile(r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)\s*", re.IGNORECASE)
_CASES = re.compile(r"\\text\s*\{([^{}]*)\}")
_COMPOUND = "compound"
_CLOCK = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
_TWO_LETTER_WORDS = frozenset(re.findall(r"\w+", "no on up to by in of is it at or am pm an as be do go he if me my so us we ok hi"))
_NAMED_SETS: dict[str, Node] = {
    **dict.fromkeys(("all real numbers", "all reals", "real numbers", "reals", "set of all real numbers", "set of real numbers"), ("const", "R")),
    **dict.fromkeys(("all integers", "integers", "set of all integers", "set of integers"), ("const", "Z")),
    "empty set": ("set", ()),
}
_TEMPERATURE = re.compile(r"(?P<value>.*\S)\s*\^\{\\circ\}\s*(?:\\text\s*\{)?\s*(?P<scale>[CF])\s*\}?", re.DOTALL)
_ORDINAL = re.compile(r"(?P<value>\d+)\s*(?:st|nd|rd|th|\^\{(?:st|nd|rd|th)\}|\^\{?\\text\{(?:st|nd|rd|th)\}\}?)")
_SET_BUILDER = re.compile(r"\\\{\s*(?P<name>[a-zA-Z])\s*(?:\\in\s*\\mathbb\s*\{?\s*R\s*\}?\s*)?(?:\||:|\\mid|\\vert)\s*(?P<condition>.*)\\\}", re.DOTALL)
_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_SYNONYMS = {
    "true": "yes",
    "false": "no",
    "no solutions": "no solution",
    "no real solutions": "no real solution",
    "does not exist": "dne",
    "doesnt exist": "dne",
}


def read(answer: str) -> Reading:
    """The answer as understood; never raises."""
    if (long := _long_number(answer)) is not None:
        return long
    if len(answer) > MAX_LENGTH:
        return Reading(" ".join(answer.split()), words="", is_long=True)
    text = respell(answer)
    reading = Reading(text, words=_fold_words(text), is_math=_looks_like_math(text))
    reading = _read_choice(text, reading)
    if reading.is_choice:
        return reading
    if _CLOCK.search(text):
        return reading
    if _is_word(text):
        if reading.words in _NAMED_SETS:
            return replace(reading, node=_NAMED_SETS[reading.words], is_math=True)
        value = read_words(reading.words)
        return reading if value is None else replace(reading, node=("num", value), is_math=True)
    return _read_value(text, reading)


def _long_number(answer: str) -> Reading | None:
    """A number of hundreds of digits, compared as text since computing with it takes unbounded time."""
    if len(answer) < 300:
        return None
    match = _LONG.fullmatch(answer.strip().strip("$").rstrip("."))
    if match is None:
        return None
    whole, part = match["whole"].replace(",", "").lstrip("0"), (match["part"] or "").rstrip("0")
    if len(whole) + len(part) < 300:
        return None
    digits = f"{'-' if match['sign'] in {'-', '−'} else ''}{whole}.{part}"
    node: Node | None = fold(("num", exact(digits))) if len(digits) <= 20_000 else None
    return Reading(digits, words=digits, node=node, digits=digits, is_math=True)


def _read_choice(text: str, reading: Reading) -> Reading:
    match = _CHOICE.fullmatch(text)
    if match is None:
        return reading
    letter, rest = match["round"] or match["square"] or match["bare"], match["rest"] or ""
    sure = match["bare"] is None or bool(match["mark"] or match["named"] or match["text"])
    if rest:
        if not sure or not letter.isupper() or (match["bare"] and not match["mark"]):
            return reading
        return replace(reading, letter=letter.upper(), is_choice=True, other=_value_or_none(rest))
    return replace(reading, letter=letter.upper(), is_choice=sure and letter.isupper(), node=("sym", letter))


def _value_or_none(text: str) -> Node | None:
    try:
        return fold(parse(text))
    except Unreadable:
        return None


def _read_value(text: str, reading: Reading) -> Reading:
    """The value with its percent sign, currency, unit; prose where there is none."""
    text, unit = _take_currency(text)
    percent = False
    if match := _PERCENT.fullmatch(text):
        text, percent = match["value"], True
    if match := _TEMPERATURE.fullmatch(text):
        text, unit = match["value"], Unit(words=frozenset({"celsius" if match["scale"] == "C" else "fahrenheit"}))
    if (match := _DEGREES.fullmatch(text)) and not unit:
        text, unit = match["value"], DEGREES
    if match := _CASES.fullmatch(text):
        text = match[1].strip()
    node, other, text, in_degrees = _node(text)
    unit = DEGREES if in_degrees and not unit else unit
    scale = Fraction(1)
    if (node is None or symbols(node)) and not percent and (split := _split_unit(text, unit, only_known=node is not None)) is not None:
        node, other, scale, unit, text = split
    if node is None:
        return replace(reading, unit=unit if reading.is_math else NO_UNIT)
    node, name = without_name(node)
    significant, decimals = precision(text)
    if percent and scale == 1 and decimals:
        decimals += 2
    elif percent or scale != 1:
        significant = decimals = 0
    factor = scale * (Fraction(1, 100) if percent else 1)
    if factor != 1:
        node = fold(("mul", (("num", factor), node)))
    other = None if other is None else without_name(other)[0]
    return replace(
        reading,
        node=node,
        name=name,
        unit=unit,
        percent=percent,
        significant=significant,
        decimals=decimals,
        other=other,
        is_compound=text == _COMPOUND,
        is_math=True,
    )


def _take_currency(text: str) -> tuple[str, Unit]:
    for sign, name in CURRENCIES.items():
        if sign in text:
            rest = text.replace(sign, " ").strip()
            rest = re.sub(r"^([-+])\s+(?=[\d.])", r"\1", rest)
            rest = re.sub(r"(?:\\text\s*\{\s*)?\b(?:US|USD|dollars?|euros?|pounds?|GBP|EUR|cents?(?<!cents)(?<!cent))\b\s*\}?$|^US\b", "", rest).strip()
            return rest, currency(name)
    if match := re.match(r"(?:\\text\s*\{\s*)?(USD|EUR|GBP|INR|JPY|Rs\.?)\s*\}?\s*(?=[-\d.])", text):
        name = {"rs": "inr", "rs.": "inr"}.get(match[1].lower(), match[1].lower())
        return text[match.end() :], currency(name)
    return text, NO_UNIT


def _node(text: str) -> tuple[Node | None, Node | None, str, bool]:
    """(folded value, its other reading, the text it was read from, whether it was all in degrees)."""
    text = spell_out_repeating(_TIMES.sub("\\\\times ", text))
    if match := _ORDINAL.fullmatch(text) or _SET_BUILDER.fullmatch(text):
        text = match["value"] if match.re is _ORDINAL else match["condition"]
    if match := _EUROPEAN.fullmatch(text):
        text = f"{match['sign']}{match['whole'].replace('.', '')}.{match['part']}"
    joined = merge_thousands(text)
    if _JOINED.search(joined):
        joined = _JOINED.sub(", ", joined).strip(", ")
    joined = (
        re.sub(r"(?<![\d.])\d{1,3}(?: \d{3})+", lambda m: m[0].replace(" ", ""), joined) if re.fullmatch(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?", joined) else joined
    )
    try:
        tree = parse(joined)
        bare = without_degrees(tree)
        node = fold_all(tree if bare is None else bare)
    except (Unreadable, RecursionError, OverflowError):
        return None, None, text, False
    other = None
    if joined != text and re.fullmatch(r"[-\d,]+", text):
        other = _value_or_none(text)
    elif re.fullmatch(r"-?\d+,\d+", text):
        other = ("num", Fraction(text.replace(",", ".")))
    return node, other, joined, bare is not None


def _split_unit(text: str, unit: Unit, *, only_known: bool) -> tuple[Node, Node | None, Fraction, Unit, str] | None:
    """(value, other reading, scale, unit, its text) of a value with a unit behind it."""
    for pattern in (_TEXT_UNIT, _WORD_UNIT):
        match = pattern.fullmatch(text)
        if match is None:
            continue
        in_text = pattern is _TEXT_UNIT
        if not in_text and not match["gap"] and len(match["unit"].strip(". ")) == 1:
            continue
        phrase = match["unit"] + (re.sub(r"\s", "", match["power"]) if in_text and match["power"] else "")
        found = read_unit(_CASES.sub(r" \1", phrase), in_text=in_text)
        if found is None or (unit and found[1] and found[1] != unit) or (only_known and (not found[1].known or symbols(_node(match["value"])[0]))):
            continue
        node, other, read_from, in_degrees = _node(match["value"])
        if node is not None and not in_degrees:
            return node, other, found[0], found[1] or unit, read_from
    return None if only_known else _compound(text)


def _compound(text: str) -> tuple[Node, Node | None, Fraction, Unit, str] | None:
    """One value in the base unit for "1 hour 30 minutes" or "5 ft 4 in"."""
    plain = re.sub(r"\s*(?:,|\band\b)\s*", " ", _CASES.sub(r" \1 ", text))
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+\.?)\s*", plain)
    if len(parts) < 2 or re.sub(r"\d+(?:\.\d+)?\s*[A-Za-z]+\.?\s*", "", plain).strip():
        return None
    total, dimensions = Fraction(0), None
    for number, word in parts:
        found = read_unit(word, in_text=True)
        if found is None or not found[1].known or (dimensions is not None and found[1].dimensions != dimensions):
            return None
        dimensions = found[1].dimensions
        total += Fraction(number) * found[1].factor
    return ("num", total), None, Fraction(1), Unit(dimensions=dimensions or ()), _COMPOUND


def _is_word(text: str) -> bool:
    """Whether the whole answer is prose: words, and no sign of mathematics but hyphens and apostrophes."""
    plain = _CASES.sub(r"\1", text).strip()
    if not re.fullmatch(r"[A-Za-z][A-Za-z\s.,'’&()-]*", plain) or "\\" in plain:
        return False
    letters = re.sub(r"[^A-Za-z]", "", plain)
    if re.fullmatch(r"[A-Za-z]+", plain):
        if len(letters) == 2:
            return letters.lower() in _TWO_LETTER_WORDS or "\\text" in text
        if len(letters) == 3:
            return "".join(sorted(letters.lower())) != letters.lower()
        is_name = letters in {"sqrt", "infinity", "alpha", "beta", "theta", "lambda"}
        return (len(letters) > 3 and not is_name) or ("\\text" in text and len(letters) > 1)
    return bool(re.search(r"[A-Za-z]{3,}", plain)) and not re.search(r"\b(?:sin|cos|tan|log|ln|pi|sqrt|exp)\b", plain)


def _looks_like_math(text: str) -> bool:
    return bool(re.search(r"\\(?!text\b)[A-Za-z{]|[=^_<>|]", text))


def _fold_words(text: str) -> str:
    plain = _CASES.sub(r" \1 ", text.replace(USD, "$")).casefold()
    plain = re.sub(r"\b([ap])\.\s?m\.?", r"\1m", plain)
    plain = re.sub(r"[\"'`’!?;]|:(?!\d)", "", plain).strip(" .,")
    plain = re.sub(r"^(?:the|a|an)\s+", "", " ".join(plain.split()))
    return _SYNONYMS.get(plain, plain)
