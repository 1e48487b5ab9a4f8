"""The vocabulary of worked solutions: units and how they convert, words that compute, words that warn.

Plain data and the patterns made from it. A word that is in no list is taken for the name of a thing counted, which changes no value.
"""

from __future__ import annotations

import re
from fractions import Fraction


def listed(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


NUMERATORS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
DENOMINATORS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}
FRACTION_OF = re.compile(rf"(?:({'|'.join(NUMERATORS)})[\s-]+)?({'|'.join(DENOMINATORS)})s?(?=\s+of\b)", re.IGNORECASE)
EQUALS = re.compile(
    r"(?:is|are|was|be)\s+(?:equal\s+to|the\s+same\s+as)\b|equals?(?:\s+to)?\b|(?:is|are|gives|makes)\b(?=\s+(?:\\*\$\s*)?-?\.?\d)",
    re.IGNORECASE,
)
BE = frozenset({"is", "are", "gives", "makes"})
WORD_OPERATOR = re.compile(r"(?:times|multiplied\s+by|divided\s+by|plus|minus)\b(?=\s+(?:\\*\$\s*)?\(?\.?\d)", re.IGNORECASE)
_SIGNS = {"t": "*", "mu": "*", "d": "/", "p": "+", "mi": "-"}

MULTIPLIERS = {"dozen": 12, "dozens": 12, "hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000, "million": 10**6, "millions": 10**6}
MULTIPLIERS |= {"billion": 10**9, "billions": 10**9, "trillion": 10**12, "trillions": 10**12}

FAMILIES: dict[str, frozenset[str]] = {
    "time": listed("""
        second seconds sec secs minute minutes min mins hour hours hr hrs day days week weeks month months year years decade decades century centuries
    """),
    "length": listed("""
        mm cm km meter meters metre metres centimeter centimeters millimeter millimeters kilometer kilometers inch inches foot feet ft yard yards yd
        mile miles
    """),
    "mass": listed("""
        mg kg gram grams kilogram kilograms milligram milligrams ounce ounces oz pound pounds lb lbs ton tons tonne tonnes
    """),
    "volume": listed("""
        ml liter liters litre litres milliliter milliliters cup cups pint pints quart quarts gallon gallons tablespoon tablespoons teaspoon teaspoons
    """),
    "money": listed("dollar dollars cent cents penny pennies nickel nickels dime dimes quarter quarters usd bucks"),
    "count": listed("dozen dozens pair pairs couple score half halves"),
    "data": listed("kb mb gb tb kilobyte kilobytes megabyte megabytes gigabyte gigabytes byte bytes bit bits"),
    "angle": listed("degrees degree radians"),
}
UNIT_FAMILY = {unit: family for family, units in FAMILIES.items() for unit in units}
UNITS = frozenset(UNIT_FAMILY) | listed("mph kph gb mb kb tb kw kwh mw hz mi sq ha pts pcs ppl yr yrs px cal kcal fps rpm bpm")

_SIZES = {
    "time": (1, 4, 7, 10, 12, 24, 28, 30, 31, 52, 60, 100, 168, 360, 365, 366, 1440, 3600, 86400, 604800, 8760, 720),
    "length": (1, 2, 3, 9, 10, 12, 36, 100, 144, 1000, 1760, 5280, 10000, 63360, 100000, 1000000, 27, 1728),
    "mass": (1, 16, 1000, 2000, 1000000, 32000),
    "volume": (1, 2, 3, 4, 8, 16, 32, 48, 64, 128, 256, 1000, 10, 100),
    "money": (1, 4, 5, 10, 20, 25, 100),
    "count": (2, 12, 20, 144),
    "data": (8, 1000, 1024, 1000000),
    "angle": (1,),
}
_LONE_FACTORS = {"money": frozenset({Fraction(100)}), "length": frozenset({Fraction(12), Fraction(3)}), "data": frozenset({Fraction(1000), Fraction(1024)})}
"""Conversions to expect where a statement names only one unit of the kind."""
FACTORS = {family: frozenset(Fraction(a) for a in sizes) for family, sizes in _SIZES.items()}

FILLERS = listed("""
    the a an another his her their its our my your these those all only just that remaining other extra additional each every
""")
LEAD_INS = FILLERS | listed("""
    about approximately roughly around nearly almost exactly total of approx over to now still also simply about precisely nearest
""")
APPROXIMATE = listed("about approximately roughly around nearly almost approx nearest rounded rounding estimate estimated")
CONNECTORS = listed(
    """
    so then thus therefore hence and that because since if but means mean meaning know knows gives get gets have has find now where with also first
    next finally again this calculate compute equation result answer or i.e e.g namely as
    """
) | {""}
"""A statement that starts right after one of these starts there."""
BLOCKERS = listed("""
    of by over per than from through until between log ln sin cos tan mod modulo base root square cube times plus minus less half twice double triple
    third quarter factorial exponent power degree versus vs against every out only ordinal choose permutation lcm gcd gcf hcf max min
""")
"""A statement that starts right after one of these may start too late: never refuted."""
SAFE_OF = listed("""
    total sum cost amount price weight count result difference product value profit revenue distance length height area volume perimeter
""")
TAIL_WARNINGS = listed("""
    more less fewer times greater larger smaller older younger longer shorter taller higher lower out remainder r rem left over not or mod modulo am
    pm
""")
CLOCK = listed("am pm noon midnight oclock o'clock")
STOPS = listed("""
    and or is are was were so then thus hence therefore which that who because since if when while but has have had he she they it we you i gives gets
    get will would can could equals equal makes make need needs must let where there also after before than as calculate find multiply divide add
    subtract
""")
"""Words that no unit contains: a number with one of these behind it is no longer the operand of what follows."""

SUSPECT_SENTENCE = re.compile(
    r"\b(?:suppose|assum(?:e|ing|ption)|pretend|imagine|incorrect(?:ly)?|wrong(?:ly)?|mistake[ns]?|mistakenly|errors?|erroneous(?:ly)?|false|"
    r"contradict\w*|impossible|instead of|"
    r"not|cannot|isn['’]t|doesn['’]t|don['’]t|didn['’]t|can['’]t|won['’]t|aren['’]t|guess|try|trial|should (?:be|have)|supposed|hypothe\w+|typo|if and only)\b",
    re.IGNORECASE,
)
ROUNDING = re.compile(
    r"\b(?:round(?:ed|ing|s)?|approx\w*|about|nearest|estimat\w+|roughly|truncat\w+|ignor\w+|whole number|integer part|floor|ceil\w*)\b|≈|\\approx|\\sim",
    re.IGNORECASE,
)
OTHER_ARITHMETIC = re.compile(
    r"\\p?mod\b|\\bmod\b|\bmod(?:ulo|ulus)?\b|\bbase[\s-]*\$?\d|\bbinary\b|\bhexadecimal\b|\boctal\b|\\equiv|≡|\bcongruen\w+|_\{?(?:2|8|16)\}?\b", re.IGNORECASE
)
RETRACTION = re.compile(
    r"\b(?:contradict\w*|not true|untrue|mistake[ns]?|incorrect(?:ly)?|inconsistent|(?:does not|doesn['’]t) (?:hold|satisfy|work|match|equal|make)|"
    r"not (?:possible|equal|correct|satisf\w+)|impossible|no solutions?|wait|apolog\w+|re-?calculate|let['’]?s? (?:me )?correct|"
    r"errors?|oops|wrong)\b|≠|\\neq?\b",
    re.IGNORECASE,
)
"""Said soon after a statement, it takes the statement back."""


COMMANDS = listed("""
    ne neq neg nu not notin nmid nabla natural nonumber newline ng ni nearrow nleq ngeq nexists noindent nolimits normalsize newcommand
""")
"""LaTeX commands in n: anything else that starts with a backslash and an n is an escaped line end."""

_SHORT_WORDS = listed("""
    of an by to on at as is it he we or so no up us my me go do be in if am pm oz lb lbs kg mg mm cm km ml ft yd mi hr sq gb mb kb tb ok mr ms dr vs
    oh hi ha id tv pc pb oj
""")
_ACRONYMS = listed(""" BC AD
    USD TV CD CDS DVD DVDS GB MB KB TB AM PM PC PCS LB LBS OZ KG KM CM MM ML FT MPH KPH SUV TVS ID US UK NY NYC LA MP MPG ATM GPA SAT ACT GPU CPU PR
    PE GM
""")


LETTER_UNITS = frozenset("hmsgLl")


def is_variable(word: str, following: str) -> bool:
    """Whether a word stands for an unknown number: a letter, or an unheard-of pair of letters."""
    if len(word) == 1:
        return not (word in "aAI" and (following[:1] in (" ", "'", "’", "\n")) and not (len(following) > 1 and following[1] in "=+-*/^<>"))
    if len(word) == 2 and word.isupper():
        return word not in _ACRONYMS and word not in ("IS", "OF", "TO", "IN", "SO", "WE", "BY")
    return len(word) == 2 and word.lower() not in _SHORT_WORDS


def fraction_value(match: re.Match[str]) -> Fraction:
    """The value of a match of `FRACTION_OF`: two thirds, a quarter, half."""
    return Fraction(NUMERATORS.get((match.group(1) or "one").lower(), 1), DENOMINATORS[match.group(2).lower()])


def operator_sign(text: str) -> str:
    """The sign of a match of `WORD_OPERATOR`."""
    lower = text.lower()
    return next(sign for prefix, sign in _SIGNS.items() if lower.startswith(prefix))


def units_differ(left: set[str], right: set[str]) -> bool:
    """Whether two sides name different units of one kind (km and meters)."""
    for family in FAMILIES.values():
        a, b = ({unit.rstrip("s") for unit in units if unit in family} for units in (left, right))
        if a and b and not (a & b):
            return True
    return False


def conversion(ratio: Fraction, units: set[str]) -> bool:
    """Whether two sides with this ratio can be one quantity in two units, judged by the units seen beside them."""
    flipped = 1 / ratio
    for family, members in FAMILIES.items():
        seen = {unit.rstrip("s") for unit in units if unit in members}
        factors = FACTORS[family] if len(seen) > 1 or family in ("time", "count") else _LONE_FACTORS.get(family, frozenset())
        if seen and (ratio in factors or flipped in factors):
            return True
    return False
