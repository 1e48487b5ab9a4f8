"""Claims: the arithmetic statements of a worked solution, each evaluated exactly.

This is the check that works with every model's text and needs no model. It says *false* only where no charitable reading of a statement is true:
rounding, percent signs, units that convert, run-on chains (`2 + 3 = 5 * 4 = 20`), operands that look rounded, and words that put a statement in doubt
all end in *true* or *undecided*. Left out: algebra, inequalities, modular and other-base arithmetic, functions; these are undecided or no claims at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from toolwright.checks import _claim_units as units
from toolwright.checks import _claim_words as words
from toolwright.checks._claim_sentences import sentences
from toolwright.checks._claim_statements import statements
from toolwright.checks._claim_tokens import Kind, Token, tokenize
from toolwright.checks._claim_types import Call, Group, Number, Operand, Run, Statement, count_operations
from toolwright.checks._claim_values import STANDARD, Reading, evaluate, features, numbers, readings, spread
from toolwright.checks._numbers import Undecidable, Value, approximate, show

_CONTEXT = 120
_WHOLE = "rounded to a whole number, or cut off"
_FLOAT_PLACE = Fraction(1, 10**13)
"""From here on digits are those of binary floating point, whose last one is not to be trusted."""
_ROUGH_SHARE = Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Claim:
    """One arithmetic statement, judged."""

    text: str
    """The statement as written: ``text == given[start:end]``."""
    start: int
    end: int
    verdict: bool | None
    """None: undecided, which is never *false*."""
    expected: str | None
    """The right value as text, where the verdict is false."""
    reason: str


@dataclass(frozen=True, slots=True)
class _Finding:
    """A verdict on its way to a claim."""

    verdict: bool | None
    reason: str
    expected: str | None = None
    end: int | None = None
    """Where the statement ends, if before the right run does."""


def find_claims(text: str) -> tuple[Claim, ...]:
    """The arithmetic statements of a text, in order, each true, false or undecided.

    Time grows linearly with the text; numbers too long or powers too large to compute are undecided.
    """
    other = words.OTHER_ARITHMETIC.search(text) is not None
    rounded: set[Fraction] = set()
    tokens = tokenize(text)
    claims: list[Claim] = []
    for statement in statements(tokens):
        claims += _judge_statement(text, statement, rounded, other)
    for mark in tokens:
        if mark.kind is Kind.MARK:
            claims += _judge_mark(text, mark, rounded)
    claims += _told(text)
    return tuple(sorted(claims, key=lambda claim: (claim.start, claim.end)))


def refuted_claims(text: str) -> tuple[Claim, ...]:
    """The false statements of a text, in order."""
    return tuple(claim for claim in find_claims(text) if claim.verdict is False)


def _told(text: str) -> list[Claim]:
    """The claims made in words."""
    found = []
    for said in sentences(text):
        verdict, right = said.equal, show(said.value)
        reason = "both sides are equal" if verdict else f"it is {right}" if verdict is False else "the words around it leave a doubt"
        found.append(Claim(text[said.start : said.end], said.start, said.end, verdict, right if verdict is False else None, reason))
    return found


def _judge_mark(text: str, mark: Token, rounded: set[Fraction]) -> list[Claim]:
    """The claims inside a calculator mark `<<48/2=24>>`."""
    shift = mark.start + 2
    found = []
    for statement in statements(tokenize(text[shift : mark.end - 2])):
        for side in statement.sides:
            for run in side:
                run.start += shift
                run.end += shift
        found += _judge_statement(text, statement, rounded, False)
    return found


def _judge_statement(text: str, statement: Statement, rounded: set[Fraction], other: bool) -> list[Claim]:
    claims = []
    for index, relation in enumerate(statement.relations):
        left_side, right_side = statement.sides[index], statement.sides[index + 1]
        if not left_side or not right_side:
            continue
        left, right = left_side[-1], right_side[0]
        if not right.at_start or not _is_claim(left, right, relation):
            continue
        if other:
            right.doubtful("the text is about another kind of arithmetic")
        if len(right_side) > 1 and not right_side[1].operations and _compound(text[right.end : right_side[1].start]):
            right.doubtful("another number follows the result")
        _judge_place(text, left, right, relation, first=index == 0 or statement.relations[index - 1].text == "is", alone=left is left_side[0])
        finding = _judge(text, left, right, relation, rounded)
        end = right.end if finding.end is None else finding.end
        claims.append(Claim(text[left.start : end], left.start, end, finding.verdict, finding.expected, finding.reason))
    return claims


def _is_fraction(items: list[Operand | str]) -> bool:
    """Whether items are one fraction, written any way, and nothing else."""
    if len(items) == 1:
        only = items[0]
        return _is_fraction(only.items) if isinstance(only, Group) else isinstance(only, Call) and only.name == "frac"
    return len(items) == 3 and items[1] == "⁄"


def _compound(between: str) -> bool:
    """Whether the words between two numbers make one quantity of them: 3 hours and 20 minutes, 6 feet 2 inches."""
    if not between.strip():
        return True
    found = re.findall(r"[^\W\d_]+", between.lower()) if len(between) < 40 else []
    return 0 < len(found) <= 3 and (found[-1] in ("and", "with", "remainder", "r", "plus") or (len(found) == 1 and units.unit(found[0]) is not None))


def _judge_place(text: str, left: Run, right: Run, relation: Token, *, first: bool, alone: bool) -> None:
    """Doubt where words, not signs, decide what the left side is."""
    placed = left.before in words.CONNECTORS
    fraction = _is_fraction(left.items)
    bare = left.operations == 0 or (fraction and bool(left.tail))
    if bare and (not placed or (first and left.tail) or not alone):
        left.doubtful("a number among words stands before the relation")
    if relation.text in ("is", "equals") and (bare or fraction):
        left.doubtful("a share may be named by what it is worth")
    if fraction and _is_share(left, right):
        left.doubtful("a share may be named by what it is worth")
    if len(left.items) == 3 and left.items[1] == "-" and left.before in words.RANGES and text[left.start : left.end].count(" ") == 0:
        left.doubtful("it may be a range")
    if bare and (not placed or (first and left.tail) or not (first or left.at_start)):
        left.doubtful("a number among words stands before the relation")
    if relation.text == "equals" and (not placed or len(left.tail) > 1):
        left.doubtful("the sentence may be about something else")
    if relation.text == "is" and (not placed or not first or right.operations):
        left.doubtful("the sentence may be about something else")


def _is_share(left: Run, right: Run) -> bool:
    """Whether a proper fraction is set equal to a whole number, as in *1/5 = 60 pencils*."""
    number = _plain(right)
    if number is None or not number.whole or not isinstance(number.value, Fraction) or number.percent or number.value < 1:
        return False
    try:
        value = approximate(evaluate(left.items))
    except Undecidable:
        return False
    return 0 < value < 1 and all(n.whole and approximate(n.value) <= 12 for n in numbers(left.items))


def _is_claim(left: Run, right: Run, relation: Token) -> bool:
    if left.numbers == 0 or right.numbers == 0:
        return False
    if relation.text == "is":
        return left.operations > 0
    return left.operations + right.operations > 0


def _judge(text: str, left: Run, right: Run, relation: Token, rounded: set[Fraction]) -> _Finding:
    """What can be concluded about left = right."""
    if left.unknown or right.unknown:
        return _Finding(None, "it holds an unknown")
    try:
        return _compare(text, left, right, relation, rounded)
    except Undecidable as reason:
        return _Finding(None, f"not computed: {reason}")


def _compare(text: str, left: Run, right: Run, relation: Token, rounded: set[Fraction]) -> _Finding:
    a, b = evaluate(left.items), evaluate(right.items)
    loose = relation.text == "~" or right.approximate or left.approximate
    closeness = _close(left, right, a, b, loose)
    if closeness is True:
        if a != b:
            rounded.update(n.value for n in (_plain(left), _plain(right)) if n is not None and isinstance(n.value, Fraction))
        return _Finding(True, "both sides are equal" if a == b else "equal to the digits shown")
    run_on = _run_on(left, right, loose)
    if run_on is not None:
        return run_on
    other = _other_reading(left, right, loose)
    if other is not None:
        return other
    dashed = _dashed(left, b)
    if dashed is not None:
        return dashed
    if _working_on_a_part(left, b):
        return _Finding(None, "it may be the working of a bracket alone")
    if left.runs_on and _ends_with(left, b):
        return _Finding(None, "the result of the last term of a run-on chain")
    if closeness == _WHOLE and _rounded_up_silently(text, left, right, a, b):
        closeness = ""
    doubt = _excuse(text, left, right, a, b, rounded) or closeness or _doubt(text, left, right, relation, a, b)
    if doubt:
        if doubt == _WHOLE:
            rounded.update(n.value for n in (_plain(left), _plain(right)) if n is not None and isinstance(n.value, Fraction))
        return _Finding(None, doubt)
    value, run = (a, left) if _plain(left) is None else (b, right)
    written = text[run.start : run.end]
    return _Finding(False, f"{written if len(written) <= 80 else 'the expression'} is {show(value)}", show(value))


def _plain(run: Run) -> Number | None:
    """The number a run is, if it is just one."""
    item = run.items[0] if len(run.items) == 1 else None
    while isinstance(item, Group | Call):
        if isinstance(item, Group) and len(item.items) == 1:
            item = item.items[0]
        elif isinstance(item, Call) and item.name == "negative":
            item = item.arguments[0]
        else:
            return None
    return item if isinstance(item, Number) else None


def _close(left: Run, right: Run, a: Value, b: Value, loose: bool, ways: tuple[Reading, Reading] = (STANDARD, STANDARD)) -> bool | str:
    """True where the values agree to the digits shown; else what stands against refuting, or an empty string."""
    if a == b:
        return True
    gap = abs(approximate(a) - approximate(b))
    unit = Fraction(0)
    for run, way in zip((left, right), ways, strict=True):
        number = _plain(run)
        if number is not None:
            unit = max(unit, _last_place(number, loose, way))
    if gap < unit:
        exact = a if _plain(left) is None else b
        whole = unit >= 1 and isinstance(exact, Fraction) and not loose
        if whole and _only_sums(left) and _only_sums(right):
            return ""
        if loose and unit >= 1 and 2 * gap > unit:
            return "roughly equal"
        return _WHOLE if whole else True
    if gap == unit < 1 and any(item in ("/", "⁄") for run in (left, right) for item in run.items):
        return "off by one in the last place shown"
    if loose and gap <= _ROUGH_SHARE * max(abs(approximate(a)), abs(approximate(b))):
        return "roughly equal"
    return ""


def _rounded_up_silently(text: str, left: Run, right: Run, a: Value, b: Value) -> bool:
    """Whether 10 / 3 = 4 stands without a word that could explain it."""
    exact, shown = (approximate(a), approximate(b)) if _plain(left) is None else (approximate(b), approximate(a))
    if shown <= exact or 2 * (shown - exact) <= 1:
        return False
    return words.ROUNDS_UP.search(text[max(0, left.start - _CONTEXT) : right.end + _CONTEXT]) is None


def _only_sums(run: Run) -> bool:
    """Whether a run adds and takes away plain numbers, which nobody rounds without saying so."""
    return all(item in ("+", "-") if isinstance(item, str) else isinstance(item, Number) for item in run.items)


def _last_place(number: Number, loose: bool, way: Reading = STANDARD) -> Fraction:
    """One unit in the last place shown; with *approximately*, trailing zeros are not shown digits."""
    unit = number.unit_in_last_place
    if loose and number.whole and isinstance(number.value, Fraction) and number.value:
        value = int(number.value)
        while value % 10 == 0:
            value //= 10
            unit *= 10
    if unit <= _FLOAT_PLACE:
        unit *= 10
    if number.percent and way.percent:
        unit /= 100
    return unit * number.multiplier if way.multiplied else unit


def _run_on(left: Run, right: Run, loose: bool) -> _Finding | None:
    """`2 + 3 = 5 * 4 = 20`: each equals sign gives the result so far."""
    if len(right.items) < 3 or left.operations == 0 or right.items[1] in ("·", "of"):
        return None
    head = Run(right.start, right.end, items=right.items[:1])
    for way in (STANDARD, *readings(features(left.items))):
        try:
            if _close(left, head, evaluate(left.items, way), evaluate(head.items), loose, (way, STANDARD)) is True:
                right.runs_on = True
                return _Finding(True, "a run-on chain: the result so far is right", end=right.first_end)
        except Undecidable:
            continue
    return None


def _working_on_a_part(run: Run, value: Value) -> bool:
    """Whether the result is that of a bracket in the run: `(45 - 9) / 18 = 45 - 9 = 36`."""
    return any(isinstance(item, Group) and count_operations(item.items) > 0 and evaluate(item.items) == value for item in run.items)


def _dashed(left: Run, value: Value) -> _Finding | None:
    """Whether a statement holds once a bullet or a label's dash before it is not read as minus: `- 5 + 3 = 8`, `Day 1 - 5 + 3 = 8`."""
    first = left.items[0]
    if left.bulleted and isinstance(first, Call) and first.name == "negative" and evaluate([first.arguments[0], *left.items[1:]]) == value:
        return _Finding(True, "both sides are equal behind the bullet")
    if left.before not in words.CONNECTORS and left.items[1:2] == ["-"] and evaluate(left.items[2:]) == value:
        return _Finding(None, "the first number may be a label")
    return None


def _ends_with(run: Run, value: Value) -> bool:
    """Whether the last term of a sum has the value."""
    cuts = [i for i, item in enumerate(run.items) if item in ("+", "-")]
    return bool(cuts) and evaluate(run.items[cuts[-1] + 1 :]) == value


def _other_reading(left: Run, right: Run, loose: bool) -> _Finding | None:
    """Whether another way to read one side, or both alike, makes them equal."""
    ways_left, ways_right = list(readings(features(left.items))), list(readings(features(right.items)))
    pairs: list[tuple[Reading, Reading]] = [(way, STANDARD) for way in ways_left]
    pairs += [(STANDARD, way) for way in ways_right]
    pairs += [(way, other) for way in ways_left for other in ways_right]
    for way, other in pairs[:200]:
        try:
            close = _close(left, right, evaluate(left.items, way), evaluate(right.items, other), loose, (way, other))
        except Undecidable:
            continue
        if close is True:
            sure = all(r.order == "standard" and r.part and not r.head and not r.remark and not r.relative for r in (way, other))
            return _Finding(True if sure else None, "equal when read with its units" if sure else "equal in another reading of the expression")
    return None


def _excuse(text: str, left: Run, right: Run, a: Value, b: Value, rounded: set[Fraction]) -> str:
    """A numeric reason why a difference need not be an error."""
    x, y = approximate(a), approximate(b)
    if x == -y:
        return "equal but for the sign"
    if ("degrees" in left.units) != ("degrees" in right.units) and ("pi" in text[left.start : right.end] or "π" in text[left.start : right.end]):
        return "it may convert angles"
    if len(left.items) == 3 and left.items[1] in ("/", "⁄") and right.operations > 1 and evaluate(left.items[:1]) == b:
        return "a division with remainder, written out"
    if units.differ(left.units, right.units):
        return "the sides have different units"
    if x and y and units.convertible(x / y, left.units | right.units):
        return "it may convert units"
    if x and y and y / x == 100 and 0 < x <= 1 and any(item in ("/", "⁄") for item in left.items):
        return "it may be a percentage"
    unit = max((_last_place(n, False) for n in (_plain(left), _plain(right)) if n is not None), default=Fraction(0))
    known = {n.value for n in numbers(left.items)}
    computed = {n.value for n in numbers(right.items) if not n.whole and n.value not in known and isinstance(n.value, Fraction)} if right.operations else set()
    slack = spread(left.items, rounded) + spread(right.items, rounded | computed)
    if slack and abs(x - y) <= slack + unit / 2:
        return "an operand looks rounded"
    return ""


def _doubt(text: str, left: Run, right: Run, relation: Token, a: Value, b: Value) -> str:
    """A reason from the words around not to trust the reading."""
    for run in (left, right):
        if run.doubt:
            return run.doubt
        if _mixed_units(run):
            return "it adds different units"
        if any(word in words.CLOCK for word in run.tail):
            return "a time of day"
    if left.closed:
        return "words stand between the arithmetic and the relation"
    if relation.text == "is" and right.tail and right.tail[0] in words.TAIL_WARNINGS:
        return "the sentence goes on to compare"
    if any(word in ("remainder", "r", "rem") for word in right.tail[:3]):
        return "a division with remainder"
    if _cut_off(text, right, a, b):
        return "the text may be cut off"
    return _suspect(text, left.start, right.end)


def _mixed_units(run: Run) -> bool:
    return any(item in ("+", "-") for item in run.items) and units.mixed(run.units)


def _cut_off(text: str, right: Run, a: Value, b: Value) -> bool:
    number = _plain(right)
    if number is None or text[right.end : right.end + _CONTEXT].strip() or not isinstance(a, Fraction) or not isinstance(b, Fraction):
        return False
    return a > b >= 0 and show(a).startswith(show(b)) and text[-1:].isdigit()


def _suspect(text: str, start: int, end: int) -> str:
    """Whether the sentence says that it does not mean what it writes."""
    before = re.split(r"[.!?\n]\s|\\n", text[max(0, start - _CONTEXT) : start])[-1]
    after = re.split(r"[.!?\n](?:\s|$)|\\n", text[end : end + _CONTEXT])[0]
    found = words.DENIAL.search(before) or words.SUSPECT_SENTENCE.search(before) or words.SUSPECT_SENTENCE.search(after)
    if found is None:
        found = words.RETRACTION.search(text[end : end + 2 * _CONTEXT])
    return f"the text says “{found.group()}”" if found else ""
