from __future__ import annotations

import pytest

from toolwright.errors import UsageError
from toolwright.tasks._golds import asdiv_gold, number_gold, rounded_gold, written_gold


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (51.0, "51"),
        ("025", "25"),
        ("1,234", "1234"),
        (-1.0, "-1"),
        (9.43, "9.43"),
        ("0.50", "0.5"),
        ("4/8", "1/2"),
        ("16.00", "16"),
        (0.0, "0"),
        ("1e3", "1000"),
    ],
)
def test_numbers_lose_what_is_not_value(value: float | str, gold: str) -> None:
    assert number_gold(value) == gold


@pytest.mark.parametrize("value", ["", "abc", "1/0", float("nan"), float("inf"), "1 2"])
def test_what_is_no_number_is_refused(value: float | str) -> None:
    with pytest.raises(UsageError, match="not a number"):
        number_gold(value)


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (0.6666666667, "2/3"),
        (3.33333, "10/3"),
        (0.1666666667, "1/6"),
        (10.6666666667, "32/3"),
        (0.625, "0.625"),
        (158.35, "158.35"),
        ("0.12345", "0.12345"),
        (-0.3333333333, "-1/3"),
        ("0.3333", "0.3333"),
    ],
)
def test_long_decimals_are_the_fraction_they_round(value: float | str, gold: str) -> None:
    assert rounded_gold(value) == gold


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("She has 3 + 4 = <<3+4=7>>7 eggs.\n#### 7", "7"),
        ("#### 1,000", "1000"),
        ("#### $5.00", "5"),
        ("so \\boxed{\\frac{1}{2}} it is\nquod erat", "\\frac{1}{2}"),
        ("\\boxed{3} no, \\boxed{4}", "4"),
        ("$18", "18"),
        ("1,234 dollars", "1234"),
        ("20%", "20%"),
        ("007", "7"),
        ("0.33333", "0.33333"),
        ("12:30", "12:30"),
        ("3 and 5", "3 and 5"),
        (" Paris ", "Paris"),
        ("9" * 10_000, "9" * 10_000),
    ],
)
def test_written_golds(text: str, gold: str) -> None:
    assert written_gold(text) == gold


def test_a_solution_without_a_mark_is_no_gold() -> None:
    with pytest.raises(UsageError, match="several lines"):
        written_gold("First we add.\nThen we are done: 7")
    with pytest.raises(UsageError, match="holds nothing"):
        written_gold("3 + 4\n####")


@pytest.mark.parametrize(
    ("answer", "solution_type", "gold", "form"),
    [
        ("9 (apples)", "Addition", "9", "number"),
        ("14  (seats)", "TVQ-Final", "14", "number"),
        ("2.50 (dollars)", "Sum", "2.5", "number"),
        ("8 (sq. ft)", "Geometry", "8", "number"),
        ("8 (ft); 128 (sq. ft)", "Geometry", "8, 128", "several"),
        ("11; 12; 13", "Algebra-1", "11, 12, 13", "several"),
        ("30 (girls); 15 (boys)", "Algebra-2", "30, 15", "several"),
        ("-(1/3)", "Algebra-1", "-1/3", "fraction"),
        ("5/2", "Algebra-1", "5/2", "fraction"),
        ("15:18", "Ratio", "15:18", "ratio"),
        ("5:45", "Sum", "5:45", "time"),
        ("3:30 p.m.", "Sum", "3:30 p.m.", "time"),
        ("9:03:36 a.m.", "Addition", "9:03:36 a.m.", "time"),
        ("February 3rd", "Subtraction", "February 3rd", "date"),
        ("11:55 p.m. on 24 December 2014.", "Subtraction", "11:55 p.m. on 24 December 2014", "date"),
        ("6th", "Sequential-Operation", "6", "number"),
        ("The 60th caller.", "LCM", "60", "number"),
        ("Mrs. Hilt", "Comparison", "Mrs. Hilt", "words"),
        ("October", "Comparison", "October", "words"),
    ],
)
def test_asdiv_answers(answer: str, solution_type: str, gold: str, form: str) -> None:
    assert asdiv_gold(answer, solution_type) == (gold, form)
