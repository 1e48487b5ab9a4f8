"""Units as worked solutions name them, and when two sides of a statement can be one quantity in two units.

Only the sizes within a family matter (an hour is 3600 seconds). A month and a year have several accepted sizes, so all of them count. A word that is no
unit here is taken for the name of a thing counted.
"""

from __future__ import annotations

from fractions import Fraction

_SIZES: dict[str, dict[str, tuple[int | Fraction, ...]]] = {
    "time": {
        "second": (1,),
        "minute": (60,),
        "hour": (3600,),
        "day": (86400,),
        "week": (604800,),
        "month": (28 * 86400, 30 * 86400, 31 * 86400, Fraction(365, 12) * 86400),
        "year": (365 * 86400, 366 * 86400, 360 * 86400, 364 * 86400, 336 * 86400),
        "decade": (3650 * 86400,),
        "century": (36500 * 86400,),
    },
    "length": {
        "mm": (1,),
        "cm": (10,),
        "m": (1000,),
        "km": (1000000,),
        "inch": (Fraction(254, 10), 25),
        "foot": (Fraction(3048, 10), 300),
        "yard": (Fraction(9144, 10), 900),
        "mile": (Fraction(1609344), 1600000, 1584000),
    },
    "mass": {
        "mg": (1,),
        "g": (1000,),
        "kg": (1000000,),
        "ounce": (28350, 28000),
        "pound": (453600, 448000, 450000, 454000, 500000),
        "ton": (907200000, 1000000000, 896000000),
    },
    "volume": {
        "ml": (1,),
        "liter": (1000,),
        "fl": (30,),
        "teaspoon": (5,),
        "tablespoon": (15,),
        "cup": (240, 250),
        "pint": (480, 500),
        "quart": (960, 1000),
        "gallon": (3840, 4000),
    },
    "money": {"cent": (1,), "nickel": (5,), "dime": (10,), "quarter": (25,), "dollar": (100,)},
    "count": {"pair": (2,), "dozen": (12,), "score": (20,), "item": (1,)},
    "data": {"bit": (1,), "byte": (8,), "kb": (8000, 8192, 1000), "mb": (8000000, 1000000), "gb": (8 * 10**9, 10**9), "tb": (8 * 10**12, 10**12)},
}
_NAMES = {
    "sec": "second", "min": "minute", "hr": "hour", "centurie": "century", "yr": "year", "meter": "m", "metre": "m", "centimeter": "cm", "centimetre": "cm",
    "millimeter": "mm", "millimetre": "mm", "kilometer": "km", "kilometre": "km", "inche": "inch", "feet": "foot", "ft": "foot", "yd": "yard", "mi": "mile",
    "gram": "g", "kilogram": "kg", "milligram": "mg", "oz": "ounce", "lb": "pound", "tonne": "ton",
    "litre": "liter", "milliliter": "ml", "millilitre": "ml",
    "usd": "dollar", "buck": "dollar", "penny": "cent", "pennie": "cent", "couple": "pair", "kilobyte": "kb",
    "megabyte": "mb", "gigabyte": "gb", "terabyte": "tb",
    "h": "hour", "l": "liter",
}  # fmt: skip
_FAMILY = {unit: family for family, units in _SIZES.items() for unit in units}
_LONE = {
    "second": (60, 3600), "minute": (60,), "hour": (60, 24), "day": (24, 7), "week": (7, 4, 52), "month": (12, 30), "year": (12, 365, 52),
    "cent": (100,), "dollar": (100,), "inch": (12,), "foot": (12, 3), "dozen": (12,), "pair": (2,),
}  # fmt: skip
"""Factors to expect where a statement names only this unit: *5 * 7 = 5 weeks*."""


def unit(word: str) -> str | None:
    """The unit a word names, in one spelling, or None."""
    lower = word.lower()
    for name in (lower, lower.removesuffix("s")):
        name = _NAMES.get(name, name)
        if name in _FAMILY:
            return name
    return None


def families(run_words: set[str]) -> dict[str, set[str]]:
    """The units among words, by family."""
    found: dict[str, set[str]] = {}
    for word in run_words:
        name = unit(word)
        if name is not None:
            found.setdefault(_FAMILY[name], set()).add(name)
    return found


def mixed(run_words: set[str]) -> bool:
    """Whether words name two units of one kind (hours and minutes)."""
    return any(len(names) > 1 for names in families(run_words).values())


def differ(left: set[str], right: set[str]) -> bool:
    """Whether two sides name different units of one kind (km and meters) and share none of it."""
    a, b = families(left), families(right)
    return any(not (a[family] & b[family]) for family in a.keys() & b.keys())


def convertible(ratio: Fraction, run_words: set[str]) -> bool:
    """Whether two sides in this ratio can be one quantity in two units, judged by the units named beside them."""
    for family, names in families(run_words).items():
        if len(names) == 1:
            factors = {Fraction(f) for f in _LONE.get(next(iter(names)), ())}
        else:
            sizes = [(name, Fraction(size)) for name in names for size in _SIZES[family][name]]
            factors = {x / y for a, x in sizes for b, y in sizes if a != b}
        if ratio in factors or (ratio and 1 / ratio in factors):
            return True
    return False
