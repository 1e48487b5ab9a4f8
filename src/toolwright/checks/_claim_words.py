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
FRACTION_OF = re.compile(rf"(?:({'|'.join(NUMERATORS)})[\s-]+)?({'|'.join(DENOMINATORS)})s?(?=[^\S\n]+of\b)", re.IGNORECASE)
EQUALS = re.compile(
    r"(?:is|are|was|be)[^\S\n]+(?:equal[^\S\n]+to|the[^\S\n]+same[^\S\n]+as)\b|equals?(?:[^\S\n]+to)?\b|(?:is|are|gives|makes)\b(?=[^\S\n]+(?:(?:approximately|about|roughly|around|nearly)[^\S\n]+)?(?:\\*\$\s*)?-?\.?\d)",
    re.IGNORECASE,
)
BE = frozenset({"is", "are", "gives", "makes"})
WORD_OPERATOR = re.compile(r"(?:times|multiplied[^\S\n]+by|divided[^\S\n]+by|plus|minus)\b(?=[^\S\n]+(?:\\*\$\s*)?\(?\.?\d)", re.IGNORECASE)
_SIGNS = {"t": "*", "mu": "*", "d": "/", "p": "+", "mi": "-"}

MULTIPLIERS = {"dozen": 12, "dozens": 12, "hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000, "million": 10**6, "millions": 10**6}
MULTIPLIERS |= {"billion": 10**9, "billions": 10**9, "trillion": 10**12, "trillions": 10**12}

UNITS = listed("""
    cm mm km kg mg lb lbs oz ft yd mi ml hr hrs min mins sec secs mph kph gb mb kb tb kw kwh mw hz sq ha pts pcs yr yrs px cal kcal fps rpm
    bpm feet foot inches inch meters meter miles mile yards grams gram liters liter hours hour minutes minute seconds second days day weeks
    week months month years year cents cent dollars degrees usd
""")
"""What may touch a number."""

FILLERS = listed("""
    the a an another his her their its our my your these those all only just that remaining other extra additional each every
""")
LEAD_INS = FILLERS | listed("""
    about approximately roughly around nearly almost exactly total of approx over to now still also simply about precisely nearest
""")
APPROXIMATE = listed("about approximately roughly around nearly almost approx nearest rounded rounding estimate estimated")
CONNECTORS = listed("""
    so then thus therefore hence and that because since if but means mean meaning know knows gives get gets have has find now where with
    also first next finally again this calculate compute equation result answer or i.e e.g namely as
""") | {""}
"""A statement that starts right after one of these starts there."""
BLOCKERS = listed("""
    over per than from through until between log ln sin cos tan mod modulo base root square cube times plus minus less half twice double
    triple third quarter factorial exponent power degree versus vs against ordinal choose permutation lcm gcd gcf hcf max min
""")
"""A statement that starts right after one of these may start too late: never refuted."""
UNSAFE_OF = listed("""
    half halves third thirds quarter quarters fourth fourths fifth fifths sixth tenth percent percentage fraction part parts average mean
    median square cube root power multiple multiples factor factors groups sets rows bags packs boxes one some most many out % number
""")
"""What a statement right after *of* may be only the second half of."""
SCALING = listed("multiply multiplied multiplying divide divided dividing")
RANGES = listed("""
    weeks days years months ages age grades grade pages page steps step rows row questions hours chapters problems numbers levels level
    games rounds lines week day year month digits range values from integers items
""")
"""What *1-2* names a stretch of."""
TAIL_WARNINGS = listed("""
    more less fewer times greater larger smaller older younger longer shorter taller higher lower out remainder r rem left over not or mod
    modulo am pm
""")
CLOCK = listed("am pm noon midnight oclock o'clock")
STOPS = listed("""
    and or is are was were so then thus hence therefore which with that who because since if when while but has have had he she they it we you i
    gives gets get will would can could equals equal makes make need needs must let where there also after before than as calculate find
    multiply divide add subtract
""")
"""Words that no unit contains: a number with one of these behind it is no longer the operand of what follows."""

SUSPECT_SENTENCE = re.compile(
    r"\b(?:suppose|assum(?:e|ing|ption)|pretend|imagine|incorrect(?:ly)?|wrong(?:ly)?|mistake|mistaken(?:ly)?|error|erroneous(?:ly)?|false|"
    r"contradict\w*|impossible|instead of|guess|supposed|hypothe\w+|typo|if and only)\b",
    re.IGNORECASE,
)
DENIAL = re.compile(r"(?:\bnot (?:true|right|correct|the case) that|\bnot|\bcannot|n['’]t|\bnever)(?:\s+\w+)?\s+\S{0,2}$", re.IGNORECASE)
"""Said right before a statement, it denies it."""
ROUNDS_UP = re.compile(
    r"round|ceil|whole|nearest|at least|need|enough|cannot|can['’]t|must|approx|about|full|complete|fraction|partial|minimum|smallest|least|integer|extra|"
    r"remain|left over",
    re.IGNORECASE,
)
"""Words around a result that may be rounded up further than to the nearest whole number."""
OTHER_ARITHMETIC = re.compile(
    r"\\p?mod\b|\\bmod\b|\bmod(?:ulo|ulus)?\b|\bbase[\s-]*(?:\$|\\\(|\\boxed\{|\d)|\bbinary\b|\bhexadecimal\b|\boctal\b|\\equiv|≡|\bcongruen\w+|"
    r"\d_\{?\d{1,2}\b|\b(?:units?|ones|last)(?:['’]s)?(?: two)? digits?\b",
    re.IGNORECASE,
)
RETRACTION = re.compile(
    r"\b(?:contradict\w*|not true|untrue|mistake[ns]?|incorrect(?:ly)?|inconsistent|(?:does not|doesn['’]t) (?:hold|satisfy|work|match|equal|make)|"
    r"not (?:possible|valid|equal|correct|satisf\w+)|impossible|invalid|no solutions?|wait|apolog\w+|re-?calculate|let['’]?s? (?:me )?correct|"
    r"errors?|oops|wrong|re-?(?:check|examine|evaluate|consider)\w*|try (?:another|again)|actually|typo)\b|≠|\\neq?\b",
    re.IGNORECASE,
)
"""Said soon after a statement, it takes the statement back."""


COMMANDS = listed("""
    ne neq neg nu not notin nmid nabla natural nonumber newline ng ni nearrow nleq ngeq nexists noindent nolimits normalsize newcommand
""")
"""LaTeX commands in n: anything else that starts with a backslash and an n is an escaped line end."""

_SHORT_WORDS = listed("""
    of an by to on at as is it he we or so no up us my me go do be in if am pm oz lb lbs kg mg mm cm km ml ft yd mi hr sq gb mb kb tb ok mr
    ms dr vs oh hi ha id tv pc pb oj
""")
_ACRONYMS = listed("TV GB MB KB TB OZ US UK NY PM")


LETTER_UNITS = frozenset("hmsgLl")


def is_variable(word: str, following: str) -> bool:
    """Whether a word stands for an unknown number: a letter, or an unheard-of pair of letters."""
    if len(word) == 1:
        return not (word in "aAI" and (following[:1] in ("'", "’") or (following[:1].isspace() and following[1:2].isalpha())))
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
