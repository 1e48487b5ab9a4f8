"""A static look at what programs compare, and the changed programs of the cross-check."""

from __future__ import annotations

import ast

import pytest

from toolwright.verifiers import variants
from toolwright.verifiers._crosscheck import apart, together
from toolwright.verifiers._literals import why_not_worked_out

QUESTION = "Ducks lay 16 eggs; 3 and 4 are used; the rest is sold for $2 each. How much is that?"
SOLUTION = "16 - 3 - 4 = 9, and 9 * 2 = 18. The answer is 18."


def look(program: str) -> str | None:
    return why_not_worked_out(ast.parse(program), question=QUESTION, solution=SOLUTION)


@pytest.mark.parametrize(
    "program",
    [
        "left = 16 - 3 - 4\nprint(left * 2 == 18)",
        "left = 16 - 3 - 4\nanswer = 18\nprint(same(left * 2, answer))",
        "import math\nprint(math.isclose((16 - 7) * 2, 18))",
        "print(abs((16 - 7) * 2 - 18) < 1e-6)",
        "total = 16\nwhile total % 12 == 4 and total > 9:\n    total -= 7\nprint(total * 2 == 18)",
        "worth = (16 - 7) * 2\nprint(worth == 1800 / 100)",
        "def worth(eggs):\n    return (eggs - 7) * 2\nprint(worth(16) == 18)",
        "print(16 % 5 == 1 and 9 * 2 == 18)",
    ],
)
def test_honest_comparisons_pass(program: str) -> None:
    assert look(program) is None


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("left = (16 - 7) * 2\nexpected = 18\nanswer = 18\nprint(expected == answer and left > 0)", "18 with 18"),
        ("left = (16 - 7) * 2\nprint(same(18, 18) or left)", "18 with 18"),
        ("left = (16 - 7) * 2\ngold = 21\nprint(left == gold)", "21, which stands neither"),
        ("import math\nprint(math.isclose((16 - 7) * 2, 21.5))", "21.5, which stands neither"),
        ("print(abs((16 - 7) * 2 - 23) < 0.01)", "23, which stands neither"),
        ("from sympy import Rational\nprint((16 - 7) * 2 == Rational(45, 2))", "22.5, which stands neither"),
    ],
)
def test_what_was_known_beforehand_is_refused(program: str, why: str) -> None:
    assert why in (look(program) or "")


def test_variants_change_the_answer_and_the_numbers_one_at_a_time() -> None:
    found = variants("left = 16 - 3 - 4\nprint(left * 2 == 18)", answer="18", question=QUESTION)
    assert found.other_answer is not None and "left * 2, 37)" in found.other_answer and "16 - 3 - 4" in found.other_answer
    assert found.any_answer is not None and "left * 2, _anything)" in found.any_answer
    assert len(found.other_numbers) == 3
    assert [n for n in ("33 - 3 - 4", "16 - 7 - 4", "16 - 3 - 9", "left * 5") if any(n in each for each in found.other_numbers)][:2] != []
    assert all("_same(" in each and ", 18)" in each for each in found.other_numbers)


def test_an_answer_that_the_question_tells_too_is_changed_where_it_is_compared() -> None:
    found = variants("start = 16\nanswer = 16\nprint(start + 3 - 3 == answer)", answer="16", question=QUESTION)
    assert found.other_answer is not None and "start = 16" in found.other_answer and "answer = 33" in found.other_answer


def test_an_answer_that_is_no_number_is_left_alone() -> None:
    found = variants("from sympy import sqrt\nprint(sqrt(8) == 2 * sqrt(2))", answer="2\\sqrt{2}", question=QUESTION)
    assert found.other_answer is None and found.any_answer is None and found.other_numbers


def test_plain_programs_run_together_and_others_do_not() -> None:
    plain = variants("left = 16 - 3 - 4\nif left > 0:\n    left *= 2\nprint(left == 18)", answer="18", question=QUESTION)
    script = together(plain)
    assert script is not None
    said: list[str] = []
    exec(script, {"__name__": "sandbox", "print": lambda *a: said.append(" ".join(map(str, a)))})
    # Of the programs themselves only the last line is printed; their own print is this one too, so it is all in one list here.
    assert said[:3] == ["True", "False", "True"]
    assert not any(word in script for word in ("sympy", "exec", "eval", "compile")), "a light sandbox would not take it"
    for program in (
        "import math\nprint(math.isclose(2 * 9, 18))",
        "for i in range(3):\n    print(i * 9 == 18)",
        "print(sum(n for n in (9, 9)) == 18)",
        "exit(9 * 2 == 18)",
    ):
        assert together(variants(program, answer="18", question=QUESTION)) is None


def test_what_they_said_is_told_apart() -> None:
    assert apart('noise\n[["True\\n", ""], [null, "NameError: x"]]\n') == [("True\n", ""), (None, "NameError: x")]
    for broken in ("", "True", "[1, 2]", "{}x"):
        assert apart(broken) is None
