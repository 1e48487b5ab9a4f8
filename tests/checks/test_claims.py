"""What the claims check says of one statement at a time: true, false with the right value, undecided, or no claim at all."""

import pytest

from toolwright.checks import Claim, find_claims, refuted_claims

TRUE = [
    "5 + 3 = 8",
    "5+3=8",
    "He has 5 + 3 = 8 apples.",
    "so total = 3 * 12 = 36",
    "$5 * 3 = $15",
    "\\$5 \\times 3 = \\$15",
    "€5 + €6 = €11",
    "3 boxes * 4 pens/box = 12 pens",
    "15 km / 3 hours = 5 km/h",
    "5 m/s * 10 s = 50 m",
    "20% of 50 = 10",
    "20% of 50 is 10",
    "20 percent of 50 is 10",
    "50 * 20% = 10",
    "20/100 * 50 = 10",
    "100% - 20% = 80%",
    "20/50 = 40%",
    "20/50 * 100 = 40%",
    "1 - 0.2 = 80%",
    "1/2 * 10 = 5",
    "1/2 of 30 = 15",
    "(2/3) of 30 is 20",
    "1 1/2 * 4 = 6",
    "2½ * 2 = 5",
    "2\\frac{1}{2} \\times 2 = 5",
    "\\frac{1}{2} \\times 10 = 5",
    "\\dfrac{3}{4} \\cdot 8 = 6",
    "\\frac12 + \\frac12 = 1",
    "\\\\frac{1}{2} * 4 = 2",
    "10 / 3 = 3.33",
    "10 / 3 ≈ 3.3",
    "10 / 3 = 3.333...",
    "2 / 3 = 0.66",
    "2 / 3 = 0.67",
    "10 / 3 is approximately 3",
    "22/7 \\approx 3.14",
    "160/60 = 2.6666666666666665",
    "0.1 + 0.2 = 0.30000000000000004",
    "1,234 + 1 = 1,235",
    "1{,}234 + 1 = 1{,}235",
    "14,\\!400 + 1 = 14,\\!401",
    "1. 5 + 3 = 8",
    "Step 2: 5 + 3 = 8",
    "- 5 + 3 = 8",
    "* 5 + 3 = 8",
    "**5 + 3 = 8**",
    "2**3 = 8",
    "2^3 = 8",
    "2^{10} = 1024",
    "3² + 4² = 5²",
    "2^-1 = 0.5",
    "\\sqrt{16} + 1 = 5",
    "√16 + 1 = 5",
    "sqrt(16) + 1 = 5",
    "\\sqrt{12} = 2\\sqrt{3}",
    "\\frac{1}{\\sqrt{2}} = \\frac{\\sqrt{2}}{2}",
    "\\sqrt[3]{27} = 2 + 1",
    "2\\pi \\cdot 3 = 6\\pi",
    "2\\pi \\cdot 3 \\approx 18.85",
    "5! = 120",
    "\\binom{5}{2} = 10",
    "3 x 4 = 12",
    "3x4 = 12",
    "$20x 2 = $40",
    "3 × 4 = 12",
    "12 ÷ 4 = 3",
    "12 : 4 = 3",
    "(2)(3) = 6",
    "2(3 + 4) = 14",
    "2 + 3 * 4 = 14",
    "20 / 2 / 5 = 2",
    "60 / 3/4 = 80",
    "5 - (-3) = 8",
    "-3 - 4 = -7",
    "−3 − 4 = −7",
    "20 – 5 = 15",
    "6 (Steve) + 3 (girlfriend) = 9",
    "$7,500 (king cab) + $2,500 (leather) = $10,000",
    "2 dozen + 6 = 30",
    "3 dozen * 12 = 36",
    "1.5 million / 3 = 500,000",
    "3 * 10^8 = 300,000,000",
    "1.5e3 + 1 = 1501",
    "5 times 4 is 20",
    "5 times 4 equals 20",
    "20 divided by 4 is equal to 5",
    "5 plus 3 minus 2 equals 6",
    "Half of 12 is 6",
    "two thirds of 12 is 8",
    "a quarter of 20 is 5",
    "twice 5 = 10",
    "the sum of 3 and 4 is 7",
    "The sum of 3, 4, and 5 is 12.",
    "the difference between 9 and 4 is 5",
    "the product of 3 and 4 is 12",
    "180^\\circ - 60^\\circ = 120^\\circ",
    "5 \\text{ cm} + 3 \\text{ cm} = 8 \\text{ cm}",
    "\\boxed{5 + 3 = 8}",
    "\\left( 2 + 3 \\right) \\times 4 = 20",
    "<<48/2=24>>24",
    "12 = 3 * 4",
    "100 pounds - 20 pounds = 80 pounds",
    "10 ounces (5 + 5) + 3 = 13",
    "2 * 60 = 120 seconds",
    "because 6/.5 = 12",
    "3 + 4\n+ 2 + 1 = 10",
    "32 \\cdot 7!/8=4 \\cdot 7! + 0",
]

FALSE = [
    ("5 + 3 = 9", "5 + 3 = 9", "8"),
    ("Each gets 10 / 3 = 4 apples.", "10 / 3 = 4", "10/3"),
    ("He has 5 + 3 = 9 apples.", "5 + 3 = 9", "8"),
    ("So x = 3 + 4 = 8", "3 + 4 = 8", "7"),
    ("total = 3 * 12 = 35", "3 * 12 = 35", "36"),
    ("$5 * 3 = $16", "$5 * 3 = $16", "15"),
    ("\\$5 \\times 3 = \\$16", "\\$5 \\times 3 = \\$16", "15"),
    ("3 boxes * 4 pens/box = 13 pens", "3 boxes * 4 pens/box = 13", "12"),
    ("20% of 50 is 11", "20% of 50 is 11", "10"),
    ("50 * 20% = 11", "50 * 20% = 11", "10"),
    ("100% - 30% = 80%", "100% - 30% = 80%", "0.7"),
    ("\\frac{3}{4} \\cdot 8 = 7", "\\frac{3}{4} \\cdot 8 = 7", "6"),
    ("\\sqrt{16} + 1 = 6", "\\sqrt{16} + 1 = 6", "5"),
    ("\\sqrt{12} = 3\\sqrt{2}", "\\sqrt{12} = 3\\sqrt{2}", "2√3"),
    ("2^10 = 1000", "2^10 = 1000", "1024"),
    ("3² + 4² = 26", "3² + 4² = 26", "25"),
    ("5! = 121", "5! = 121", "120"),
    ("\\dbinom{5}{2} = 11", "\\dbinom{5}{2} = 11", "10"),
    ("10 / 3 = 3.43", "10 / 3 = 3.43", "10/3"),
    ("12.5 * 48 = 575", "12.5 * 48 = 575", "600"),
    ("1,234 + 1 = 1,245", "1,234 + 1 = 1,245", "1235"),
    ("2. 5 + 3 = 9", "5 + 3 = 9", "8"),
    ("Step 2: 5 + 3 = 9", "5 + 3 = 9", "8"),
    ("**5 + 3 = 9**", "5 + 3 = 9", "8"),
    ("5 times 4 equals 21", "5 times 4 equals 21", "20"),
    ("half of 12 is 7", "half of 12 is 7", "6"),
    ("the sum of 3 and 4 is 8.", "sum of 3 and 4 is 8", "7"),
    ("the product of 3 and 4 is 14", "product of 3 and 4 is 14", "12"),
    ("12 = 3 * 5", "12 = 3 * 5", "15"),
    ("2 + 3 * 4 = 15", "2 + 3 * 4 = 15", "14"),
    ("6 (Steve) + 3 (girlfriend) = 10 (both)", "6 (Steve) + 3 (girlfriend) = 10", "9"),
    ("3 * 4 = 12, and 12 + 5 = 18.", "12 + 5 = 18", "17"),
    ("2 * 3 * 4 = 6 * 4 = 25", "6 * 4 = 25", "24"),
    ("He pays <<48/2=25>>25", "48/2=25", "24"),
    ("−3 − 4 = −8", "−3 − 4 = −8", "-7"),
    ('{"reasoning": "First, 3 * 4 = 13.\\nThen 5 + 5 = 10."}', "3 * 4 = 13", "12"),
    ("1200m - 300m = 1 + 1 and 2 + 2 = 5", "2 + 2 = 5", "4"),
    ("\\begin{align*} a &= 3+4 \\\\ &= 8 \\end{align*}", "3+4 \\\\ &= 8", "7"),
    ("The total is \\boxed{5 \\times 3 = 16}.", "5 \\times 3 = 16", "15"),
    ("$430 + $750 + $300 + $700 = $2280", "$430 + $750 + $300 + $700 = $2280", "2180"),
]

UNDECIDED = [
    "7/2 = 4 (rounded up)",
    "7/2 = 3",
    "7/2 = 4",
    "He needs 10 / 3 = 4 boxes.",
    "7 / 2 = 3 remainder 1",
    "63 \\div 5 = 12 \\text{ remainder } 3",
    "80 / 1.5 = 53 cards",
    "0.33 * 300 = 100",
    "2.67 x 2.25 = 6",
    "100 - 20% = 80",
    "2 + 3 * 4 = 20",
    "2 hours + 30 minutes = 150 minutes",
    "8 hours - 5 minutes = 7 hours and 55 minutes",
    "48 hours / 2 = 1 day",
    "5 * 7 = 5 weeks",
    "8 * 25 cents = 2 dollars",
    "2x + 3 = 7",
    "2x + 3x = 5x",
    "x_1 + 2 = 7",
    "f(3) + 2 = 7",
    "2 * (Adam's age) = 52",
    "Total cost - 5 = 10",
    "1 + 2 + 3 + ... + 10 = 50",
    "1/5 = 60 pencils",
    "Suppose 2 + 2 = 5.",
    "It is not true that 2 + 2 = 5.",
    "3 + 4 = 10 + 6, which is a contradiction.",
    "In base 5, 23 + 14 = 42.",
    "17 mod 5 = 2 and 9 + 9 = 4",
    "9^999999999 = 3 + 1",
    "1 / 0 = 5",
    "She is 10 years from now = 99 + 10",
    "- 5 + 3 = 9",
    "Day 1 - 5 + 3 = 8",
    "sin 30 + 1 = 7",
    "gcd(12, 18) + 1 = 9",
    "5 - 8 = 3",
    "the sum of 3 and 4 is 8 less than 15",
    "twice the sum of 3 and 4 is 14",
    "21/28 = 75",
    "500 \\div 13 = 13 \\cdot 38 + 6",
    "\\frac{\\pi}{3} = \\frac{180^\\circ}{\\pi} \\cdot \\frac{\\pi}{3} = 60^\\circ",
    "(45 - 9) / 18 = 45 - 9 = 36 / 18 = 2",
    "3 men + (10 - 3) women = 7 women",
    "144 / 2 = 72.0 but 10,440,000 / 145,000 = 72.1",
    "5 + 3 = 9. Let me re-check: 5 + 3 = 8",
    "10 apples - 3 + 2 (4 each) = 20",
    "2^33^2 = 72",
]

NO_CLAIM = [
    "",
    "No numbers here.",
    "n = 5",
    "x = 5",
    "0900 - 0130 = 730",
    "P(A) = 1/2",
    "f(3) = 7",
    "2 hours = 120 minutes",
    "0.5 = 50%",
    "$1.50 = 150 cents",
    "4 dozen = 48 eggs",
    "The ratio is 3:2.",
    "the score was 3:2 = a win",
    "The point is (3, 4).",
    "On 9/11/2001 he left.",
    "17 mod 5 = 2",
    "5 < 3",
    "5 + 3 =",
    "= 8",
    "5 + 3 => 9",
    "5 + 3 ≠ 9",
    "There are 5 apples and 3 pears.",
    "The answer is: 43500",
]


@pytest.mark.parametrize("text", TRUE)
def test_true(text: str) -> None:
    assert [claim.verdict for claim in find_claims(text)] == [True], find_claims(text)


@pytest.mark.parametrize(("text", "claim", "expected"), FALSE)
def test_false_with_place_and_right_value(text: str, claim: str, expected: str) -> None:
    (found,) = refuted_claims(text)
    assert (found.text, found.expected) == (claim, expected)
    assert found.start == text.index(claim)


@pytest.mark.parametrize("text", UNDECIDED)
def test_undecided(text: str) -> None:
    found = find_claims(text)
    assert found
    assert not refuted_claims(text), refuted_claims(text)
    assert any(claim.verdict is None for claim in found)


@pytest.mark.parametrize("text", NO_CLAIM)
def test_no_claim(text: str) -> None:
    assert not any(claim.verdict is not None for claim in find_claims(text))


def test_there_are_enough_cases() -> None:
    assert len(TRUE) + len(FALSE) + len(UNDECIDED) + len(NO_CLAIM) >= 200


@pytest.mark.parametrize("text", [*TRUE, *(case[0] for case in FALSE), *UNDECIDED, *NO_CLAIM])
def test_a_claim_is_a_piece_of_the_text(text: str) -> None:
    for claim in find_claims(text):
        assert claim.text == text[claim.start : claim.end]
        assert (claim.expected is not None) == (claim.verdict is False)
        assert claim.reason


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        ("3 * 12 = 36 and 36 / 4 = 8, so 8 + 1 = 9.", [True, False, True]),
        ("2 + 3 = 5 * 4 = 20", [True, True]),
        ("2 + 3 = 5 * 4 = 21", [True, False]),
        ("3 * 4 = 12 = 2 * 6", [True, True]),
        ("3 * 4 = 12 = 2 * 7", [True, False]),
        ("5 + 3 = 8\n= 2 * 4", [True, True]),
        ("(90/6 = 15) and (90/30 = 3)", [True, True]),
        ("9 kids * 2 = 18 smores + 6 adults * 1 = 6 smores", [True, None]),
        ("To multiply 14 by 3, 14 * 3 = 42, then\\n42 + 1 = 44", [True, False]),
    ],
)
def test_several_statements(text: str, verdicts: list[bool | None]) -> None:
    assert [claim.verdict for claim in find_claims(text)] == verdicts


def test_claims_come_in_order_and_refuted_ones_are_among_them() -> None:
    text = "First 3 * 4 = 13. Then <<5+5=10>>10. Then the sum of 1 and 2 is 4."
    found = find_claims(text)
    assert [claim.start for claim in found] == sorted(claim.start for claim in found)
    assert refuted_claims(text) == tuple(claim for claim in found if claim.verdict is False)
    assert [claim.expected for claim in found] == ["12", None, "3"]


def test_a_result_cut_off_at_the_end_of_the_text_is_not_refuted() -> None:
    assert not refuted_claims("12 * 34 = 40")
    assert refuted_claims("12 * 34 = 40.")


def test_a_value_rounded_before_may_be_used_after() -> None:
    assert not refuted_claims("10 / 7 = 1.43 and then 1.43 * 7 = 10")
    assert refuted_claims("It costs $1.45 each and then 1.45 * 7 = 10.5")


def test_a_claim_is_plain_data() -> None:
    claim = Claim("1 + 1 = 2", 0, 9, True, None, "both sides are equal")
    assert claim == find_claims("1 + 1 = 2")[0]
