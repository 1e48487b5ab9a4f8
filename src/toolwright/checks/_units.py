"""Units behind a number: which ones are one unit in two spellings, and how many of one make another.

A unit the table does not know is a noun ("39 apples"): equal to itself in singular and plural, and otherwise of unknown relation. Single letters
(m, g, s) count as units only behind a space or inside LaTeX text, since elsewhere they are symbols.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE: dict[str, tuple[str, str]] = {}


def _define(dimension: str, factor: str, *spellings: str) -> None:
    for spelling in spellings:
        _TABLE[spelling] = (dimension, factor)


_define("length", "1/1000", "mm", "millimeter", "millimetre")
_define("length", "1/100", "cm", "centimeter", "centimetre")
_define("length", "1", "m", "meter", "metre")
_define("length", "1000", "km", "kilometer", "kilometre")
_define("length", "0.0254", "in", "inch", "inche")
_define("length", "0.3048", "ft", "foot", "feet")
_define("length", "0.9144", "yd", "yard")
_define("length", "1609.344", "mi", "mile")
_define("mass", "1/1000000", "mg", "milligram")
_define("mass", "1/1000", "g", "gram")
_define("mass", "1", "kg", "kilogram", "kilo")
_define("mass", "0.028349523125", "oz", "ounce")
_define("mass", "0.45359237", "lb")
_define("time", "1", "s", "sec", "second")
_define("time", "60", "min", "minute")
_define("time", "3600", "h", "hr", "hour")
_define("time", "86400", "day")
_define("time", "604800", "week", "wk")
_define("month", "1", "month")
_define("month", "12", "year", "yr")
_define("usd", "1", "usd", "dollar", "buck")
_define("usd", "1/100", "cent")
_define("eur", "1", "eur", "euro")
_define("gbp", "1", "gbp")
_define("jpy", "1", "jpy", "yen")
_define("inr", "1", "inr", "rupee", "rs")
_define("volume", "1/1000", "ml", "milliliter", "millilitre")
_define("volume", "1", "l", "liter", "litre")
_define("gallon", "1", "gallon", "gal")
_define("gallon", "1/4", "quart", "qt")
_define("gallon", "1/8", "pint", "pt")
_define("gallon", "1/16", "cup")
_define("angle", "1", "deg", "degree")
_define("radian", "1", "rad", "radian")

CURRENCIES = {"\ue000": "usd", "£": "gbp", "€": "eur", "¥": "jpy", "₹": "inr"}
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
_WEAK = frozenset("mgshlLGSHMK")
_NOT_UNITS = frozenset(
    re.findall(
        r"\w+", "and or to mod sqrt pi sin cos tan log ln if where is are for with in terms oo inf infinity max min gcd lcm over minus plus times not the"
    )
)
_FILLERS = frozenset(re.findall(r"\w+", "of the a an total in each more left remaining approximately about different possible ways"))


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts; the empty unit counts nothing in particular."""

    factor: Fraction = Fraction(1)
    """How many base units one of these is."""
    dimensions: tuple[tuple[str, int], ...] = ()
    """Base dimensions with their exponents, sorted; empty for nouns."""
    words: frozenset[str] = frozenset()
    """The noun's words in singular; empty for known units."""
    weak: bool = False
    """It may as well be a symbol: "10 m"."""

    @property
    def known(self) -> bool:
        """Whether the table knows it."""
        return bool(self.dimensions)

    def __bool__(self) -> bool:
        return self.known or bool(self.words)


NO_UNIT = Unit()
DEGREES = Unit(dimensions=(("angle", 1),))


def currency(name: str) -> Unit:
    """The unit of a currency sign's three letters."""
    return Unit(dimensions=((name, 1),))


def read_unit(phrase: str, *, in_text: bool) -> tuple[Fraction, Unit] | None:
    """The scale ("million") and unit of the words behind a number; None where they are no unit."""
    words = phrase.strip().strip(".,;:")
    if not words or not re.fullmatch(r"[A-Za-z°$\s./^{}()²³\d*·'-]+", words):
        return None
    scale = Fraction(1)
    parts = words.split()
    while parts and parts[0].casefold().rstrip("s") in SCALES:
        scale *= SCALES[parts.pop(0).casefold().rstrip("s")]
    if not parts:
        return scale, Unit()
    rest = " ".join(parts)
    weak = not in_text and len(rest) == 1
    if weak and rest not in _WEAK:
        return None
    if (known := _known(rest)) is not None:
        factor, dimensions = known
        return scale, Unit(factor, dimensions, weak=weak)
    return _noun(parts, scale)


def _noun(parts: list[str], scale: Fraction) -> tuple[Fraction, Unit] | None:
    plain = [part.casefold().strip(".,()'") for part in parts]
    if len(plain) > 7 or any(not re.fullmatch(r"[a-z]+(?:[-'/][a-z]+)*", part) for part in plain):
        return None
    if plain[0] in _NOT_UNITS or len(plain[0]) == 1 or {"and", "or", "if", "is", "are", "where"} & set(plain):
        return None
    kept = frozenset(singular(part) for part in plain if part not in _FILLERS)
    return (scale, Unit(words=kept)) if kept else (scale, Unit())


def _known(phrase: str) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    """Factor and dimensions of a phrase all of whose words are in the table."""
    text = phrase.casefold().replace("²", "^2").replace("³", "^3").replace("^{2}", "^2").replace("^{3}", "^3").replace("·", "*")
    text = re.sub(r"\bmph\b", "mile per hour", re.sub(r"\bkmh\b|\bkph\b|\bkmph\b", "km per hour", text))
    text = re.sub(r"\bper cent\b|\bpercent\b", "%", text)
    text = re.sub(r"\b(?:square|sq\.?)\s+([a-z]+)", r"\1^2", text)
    text = re.sub(r"\b(?:cubic|cu\.?)\s+([a-z]+)", r"\1^3", text)
    text = re.sub(r"([a-z]+)\s+squared\b", r"\1^2", re.sub(r"([a-z]+)\s+cubed\b", r"\1^3", text))
    factor, dimensions, sign = Fraction(1), dict[str, int](), 1
    for part in re.findall(r"[a-z]+(?:\.|\s*\^\s*-?\d)?|[/*$°-]|\S", text):
        if part in {"/", "per", "a", "an", "each"}:
            sign = -1
            continue
        if part in {"*", "-"}:
            continue
        name, _, power = part.rstrip(".").partition("^")
        entry = _TABLE.get(name.strip()) or _TABLE.get(singular(name.strip()))
        if entry is None or (power and not power.strip().isdigit()):
            return None
        exponent = sign * int(power or 1)
        factor *= Fraction(entry[1]) ** exponent
        dimensions[entry[0]] = dimensions.get(entry[0], 0) + exponent
    kept = tuple(sorted((name, exponent) for name, exponent in dimensions.items() if exponent))
    return (factor, kept) if kept else None


def singular(word: str) -> str:
    """The word without a plural ending; the same rule for both sides of a comparison is all that matters."""
    if word in {"people", "persons", "person"}:
        return "person"
    irregular = {"children": "child", "men": "man", "women": "woman", "feet": "foot", "inches": "inch", "mice": "mouse", "geese": "goose", "teeth": "tooth"}
    if word in irregular:
        return irregular[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(?:ss|x|ch|sh|z)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word
