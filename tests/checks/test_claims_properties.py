"""Random true statements in several styles are never refuted; with another result put in, they are."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from toolwright.checks import find_claims, refuted_claims

SIGNS = {
    "plain": {"+": " + ", "-": " - ", "*": " * "},
    "tight": {"+": "+", "-": "-", "*": "*"},
    "typographic": {"+": " + ", "-": " − ", "*": " × "},
    "latex": {"+": " + ", "-": " - ", "*": " \\times "},
    "escaped": {"+": " + ", "-": " - ", "*": " \\\\cdot "},
}
FRAMES = [
    "{}",
    "So she has {}.",
    "**{}**",
    "1. {}\n2. done",
    "First ({}), then more.",
    "\\[ {} \\]",
    "$${}$$",
    '{{"reasoning": "It is {}."}}',
    "total = {} apples",
    "<<{}>>",
]


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, Fraction, str, str]:
    """(left side as written, its value, sign of equality, frame)."""
    style = draw(st.sampled_from(sorted(SIGNS)))
    operators = draw(st.lists(st.sampled_from("+-*"), min_size=1, max_size=4))
    numbers = draw(st.lists(st.integers(2, 5000), min_size=len(operators) + 1, max_size=len(operators) + 1))
    grouped = draw(st.booleans()) and len(numbers) > 2
    terms = [Fraction(numbers[0])]
    signs = [1]
    written = str(numbers[0])
    if grouped:
        first = {"+": numbers[0] + numbers[1], "-": numbers[0] - numbers[1], "*": numbers[0] * numbers[1]}[operators[0]]
        written = f"({numbers[0]}{SIGNS[style][operators[0]]}{numbers[1]})"
        terms = [Fraction(first)]
    for operator, number in list(zip(operators, numbers[1:], strict=True))[grouped:]:
        written += f"{SIGNS[style][operator]}{number}"
        if operator == "*":
            terms[-1] *= number
        else:
            terms.append(Fraction(number))
            signs.append(1 if operator == "+" else -1)
    value = sum((sign * term for sign, term in zip(signs, terms, strict=True)), Fraction(0))
    return written, value, " = " if style != "tight" else "=", draw(st.sampled_from(FRAMES))


@settings(max_examples=100, deadline=None)
@given(statements())
def test_true_statements_are_true_in_every_style(case: tuple[str, Fraction, str, str]) -> None:
    written, value, equals, frame = case
    text = frame.format(f"{written}{equals}{value}")
    found = find_claims(text)
    assert not refuted_claims(text), found
    assert any(claim.verdict is True for claim in found), found


@settings(max_examples=100, deadline=None)
@given(statements(), st.integers(1, 999))
def test_wrong_results_are_refuted_with_the_right_value(case: tuple[str, Fraction, str, str], off: int) -> None:
    written, value, equals, frame = case
    wrong = value + off * 1000 + 7
    text = frame.format(f"{written}{equals}{wrong}")
    found = find_claims(text)
    refuted = refuted_claims(text)
    if not refuted:
        # Another reading of the same signs (left to right) may give the number by chance; nothing else excuses it.
        assert any(claim.reason == "equal in another reading of the expression" for claim in found), found
    else:
        assert refuted[0].expected == str(value)
        assert text[refuted[0].start : refuted[0].end] == refuted[0].text


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(0, 6), st.booleans())
def test_a_quotient_rounded_to_any_digits_is_never_refuted(a: int, b: int, places: int, cut: bool) -> None:
    scaled = Fraction(a * 10**places, b)
    digits = str(int(scaled) if cut else round(scaled)).rjust(places + 1, "0")
    shown = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    assert not refuted_claims(f"{a} / {b} = {shown}"), shown
    assert not refuted_claims(f"\\frac{{{a}}}{{{b}}} \\approx {shown}"), shown


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 99), st.integers(1, 2000), st.sampled_from(["{p}% of {n} is {v}", "{p}% * {n} = {v}", "{n} * {p}% = {v}", "{p}/100 * {n} = {v}"]))
def test_percentages_are_true_in_every_form(p: int, n: int, form: str) -> None:
    value = Fraction(p * n, 100)
    shown = str(value) if value.denominator == 1 else f"{float(value):.2f}"
    found = find_claims(form.format(p=p, n=n, v=shown))
    assert [claim.verdict for claim in found] == [True], found


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789+-*/=^().,%$ x\\{}[]<>!:;~≈²½√\nabm of is frac times"), max_size=80))
def test_any_text_is_taken_and_every_claim_is_a_piece_of_it(text: str) -> None:
    for claim in find_claims(text):
        assert claim.text == text[claim.start : claim.end]
        assert claim.start < claim.end
        assert (claim.expected is None) == (claim.verdict is not False)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_unicode_is_taken(text: str) -> None:
    for claim in find_claims(text):
        assert claim.text == text[claim.start : claim.end]
