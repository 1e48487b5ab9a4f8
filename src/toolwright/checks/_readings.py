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

from toolwright.checks._folding import branches, fold, symbols
from toolwright.checks._grammar import Node, Unreadable, exact, parse
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
_THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_EUROPEAN = re.compile(r"(?P<sign>-?)(?P<whole>[1-9]\d{0,2}(?:\.\d{3})+),(?P<part>\d+)")
_TEXT_UNIT = re.compile(r"(?P<value>.*\S)\s*\\text\s*\{(?P<unit>[^{}]*)\}(?P<power>\s*\^\s*\{?\s*[23]\s*\}?)?", re.DOTALL)
_WORD_UNIT = re.compile(r"(?P<value>(?:\\[A-Za-z]+|[^A-Za-z])*?[\d)}\]])(?P<gap>\s*-?)(?P<unit>[A-Za-z].*)", re.DOTALL)
_PERCENT = re.compile(r"(?P<value>.*\S)\s*(?:%|\bper\s?cent\b|\bpct\b\.?|\\text\s*\{\s*(?:%|per\s?cent)\s*\})", re.DOTALL)
_DEGREES = re.compile(r"(?P<value>.*\S)\s*(?:\\text\s*\{\s*degrees?\s*\}|\bdegrees?\b|\bdeg\b)", re.DOTALL)
_JOINED = re.compile(r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)\s*", re.IGNORECASE)
_REPEATING = re.compile(r"(?P<start>\d*\.\d*?)(?:\\overline\s*\{\s*(?P<bar>\d+)\s*\}|\\bar\s*\{?\s*(?P<short>\d+)\s*\}?|\((?P<round>\d+)\))")
_DOTS = re.compile(r"(?P<number>-?\d*\.(?P<digits>\d{3,}))\s*(?:\.\.\.|\\ldots)")
_DECIMAL = re.compile(r"[-+]?\s*(?P<whole>\d*)\.?(?P<part>\d*)")
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
    node, name = _shape(node)
    significant, decimals = _precision(text)
    if percent and scale == 1 and decimals:
        decimals += 2
    elif percent or scale != 1:
        significant = decimals = 0
    factor = scale * (Fraction(1, 100) if percent else 1)
    if factor != 1:
        node = fold(("mul", (("num", factor), node)))
    other = None if other is None else _shape(other)[0]
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
    text = _repeating(_TIMES.sub("\\\\times ", text))
    if match := _ORDINAL.fullmatch(text) or _SET_BUILDER.fullmatch(text):
        text = match["value"] if match.re is _ORDINAL else match["condition"]
    if match := _EUROPEAN.fullmatch(text):
        text = f"{match['sign']}{match['whole'].replace('.', '')}.{match['part']}"
    joined = _merge_thousands(text)
    if _JOINED.search(joined):
        joined = _JOINED.sub(", ", joined).strip(", ")
    joined = (
        re.sub(r"(?<![\d.])\d{1,3}(?: \d{3})+", lambda m: m[0].replace(" ", ""), joined) if re.fullmatch(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?", joined) else joined
    )
    try:
        tree = parse(joined)
        bare = _without_degrees(tree)
        node = fold_all(tree if bare is None else bare)
    except (Unreadable, RecursionError, OverflowError):
        return None, None, text, False
    other = None
    if joined != text and re.fullmatch(r"[-\d,]+", text):
        other = _value_or_none(text)
    elif re.fullmatch(r"-?\d+,\d+", text):
        other = ("num", Fraction(text.replace(",", ".")))
    return node, other, joined, bare is not None


def _without_degrees(node: Node) -> Node | None:
    """The node in degrees without their sign, where all of it is; None otherwise."""
    if node[0] == "deg":
        return tuple(node[1])
    if node[0] in {"list", "set", "tuple"} or (node[0] == "mul" and node[1][0][0] == "num" and len(node[1]) == 2):
        start = 1 if node[0] == "mul" else 0
        parts = [_without_degrees(child) for child in node[1][start:]]
        return None if not parts or any(part is None for part in parts) else (node[0], (*node[1][:start], *parts))
    if node[0] == "rel" and set(node[1]) == {"="}:
        last = _without_degrees(node[2][-1])
        return None if last is None else ("rel", node[1], (*node[2][:-1], last))
    return None


def fold_all(node: Node) -> Node:
    """The folded node with its double signs spelled out as a list."""
    if node[0] == "bracket" and len({len(row[1]) if row[0] == "bracket" else 0 for row in node[1]}) == 1 and node[1][0][0] == "bracket":
        node = ("matrix", tuple(row[1] for row in node[1]))
    if node[0] in {"list", "set"}:
        spread = tuple(branch for child in node[1] for branch in branches(child))
        return (node[0], tuple(fold(child) for child in spread))
    if node[0] == "rel" and len(node[2]) == 2:
        sides = branches(node[2][1])
        if len(sides) > 1:
            return ("list", tuple(fold(("rel", node[1], (node[2][0], side))) for side in sides))
    found = [fold(branch) for branch in branches(node)]
    return found[0] if len(found) == 1 else ("list", tuple(found))


def _repeating(text: str) -> str:
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


def _merge_thousands(text: str) -> str:
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


def _shape(node: Node) -> tuple[Node, str]:
    """The node without its name: "x = 5" is 5, "1 ≤ x ≤ 2" an interval, "x = 1, x = 2" a list."""
    if node[0] == "list":
        shaped = [_shape(child) for child in node[1]]
        names = {name for _, name in shaped}
        if all(child[0] == "interval" for child, _ in shaped) and len(names) == 1:
            return ("union", tuple(child for child, _ in shaped)), shaped[0][1]
        if len(names - {""}) == 1 and shaped[0][1]:
            return ("list", tuple(child for child, _ in shaped)), shaped[0][1]
        return node, ""
    if node[0] == "in":
        return (node[2], _name(node[1])) if _name(node[1]) else (node, "")
    if node[0] != "rel":
        return node, ""
    operators, sides = node[1], node[2]
    if set(operators) <= {"=", "~"}:
        name = _name(sides[0])
        if name and name.partition("(")[0] not in symbols(sides[-1]):
            return sides[-1], name
        if len(sides) == 2 and _name(sides[1]) and not symbols(sides[0]):
            return sides[0], _name(sides[1])
        if all(side[0] == "num" for side in sides) and len(set(sides)) == 1:
            return sides[-1], ""
        return node, ""
    if operators == ("!=",) and _name(sides[0]) and not symbols(sides[1]):
        return ("minus", ("const", "R"), ("set", (sides[1],))), _name(sides[0])
    return _as_interval(operators, sides) or (node, "")


def _name(node: Node) -> str:
    if node[0] == "sym":
        return str(node[1])
    if node[0] == "mul" and len(node[1]) == 2 and all(part[0] == "sym" for part in node[1]):
        letters = [part[1] for part in node[1]]
        function = next((letter for letter in ("f", "g", "h", "P", "p") if letter in letters), "")
        return f"{function}({letters[1 - letters.index(function)]})" if function else ""
    return ""


def _as_interval(operators: tuple[str, ...], sides: tuple[Node, ...]) -> tuple[Node, str] | None:
    infinity: Node = ("const", "oo")
    if all(op in {">", ">="} for op in operators):
        operators, sides = tuple(op.replace(">", "<") for op in reversed(operators)), tuple(reversed(sides))
    if not all(op in {"<", "<="} for op in operators):
        return None
    if len(sides) == 3 and _name(sides[1]) and not symbols(sides[0]) and not symbols(sides[2]):
        return ("interval", sides[0], operators[0] == "<", sides[2], operators[1] == "<"), _name(sides[1])
    if len(sides) == 2 and _name(sides[0]) and not symbols(sides[1]):
        return ("interval", ("mul", (("num", Fraction(-1)), infinity)), True, sides[1], operators[0] == "<"), _name(sides[0])
    if len(sides) == 2 and _name(sides[1]) and not symbols(sides[0]):
        return ("interval", sides[0], operators[0] == "<", infinity, True), _name(sides[1])
    return None


def _precision(text: str) -> tuple[int, int]:
    match = _DECIMAL.fullmatch(text.strip())
    if match is None or not match["part"]:
        return 0, 0
    return len((match["whole"] + match["part"]).lstrip("0")), len(match["part"])


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
