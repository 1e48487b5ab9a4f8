"""What counts as a checking program, and what its output says."""

from __future__ import annotations

import pytest

from toolwright.verifiers import extract_program, printed_verdict, why_no_check

CHECK = "left = 16 - 3 - 4\nprint(left * 2 == 18)"


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{CHECK}\n```",
        f"Sure! Here is the program:\n\n```py\n{CHECK}\n```\nIt prints True.",
        f"```\n{CHECK}\n```",
        f"~~~python\n{CHECK}\n~~~",
        f"```python\n{CHECK}",
        f"````Python\n{CHECK}\n````",
        CHECK,
        f"<code>\n{CHECK}\n</code>",
        "```python\n    left = 16 - 3 - 4\n    print(left * 2 == 18)\n```",
        "```python\n>>> left = 16 - 3 - 4\n>>> print(left * 2 == 18)\nTrue\n```",
        f"```bash\npip install sympy\n```\n```python\n{CHECK}\n```",
        f"```python\n{CHECK}\n```\nOutput:\n```\nTrue\n```",
    ],
)
def test_the_program_is_found(reply: str) -> None:
    assert extract_program(reply) == CHECK


def test_a_block_that_builds_on_another_comes_with_it() -> None:
    program = extract_program("First:\n```python\nleft = 16 - 3 - 4\n```\nthen\n```python\nprint(left * 2 == 18)\n```")
    assert program == CHECK


def test_of_two_whole_programs_the_last_counts() -> None:
    assert extract_program(f"```python\nprint(1 + 1 == 3)\n```\nBetter:\n```python\n{CHECK}\n```") == CHECK


@pytest.mark.parametrize("reply", ["", "I think it is right.", "True", "The sum 3 + 4 is 7 (see above)."])
def test_no_program_is_none(reply: str) -> None:
    assert extract_program(reply) is None


@pytest.mark.parametrize(
    ("stdout", "said"),
    [
        ("True\n", True),
        ("False", False),
        ("true.", True),
        ("18\nTrue\n", True),
        ("The answer is False", False),
        ("True\nTrue\n", True),
        ("True\nFalse\n", None),
        ("", None),
        ("18", None),
        ("True or False", None),
        ("untrue", None),
        ("Traceback", None),
    ],
)
def test_printed_verdicts(stdout: str, said: bool | None) -> None:
    assert printed_verdict(stdout) is said


@pytest.mark.parametrize(
    "program",
    [
        CHECK,
        "print(9 * 2 == 18)",
        "import math\nprint(math.isclose(36 / 2, 18))",
        "from sympy import Rational\nprint(Rational(3, 4) - Rational(1, 4) * 2 == 18)",
        "total = 16\nfor eaten in (3, 4):\n    total -= eaten\nif total * 2 == 18:\n    print(True)\nelse:\n    print(False)",
        "def worth():\n    return (16 - 7) * 2\nanswer = 18\nprint(worth() == answer)",
        "import sympy\nx = sympy.symbols('x')\n(found,) = sympy.solve(sympy.Eq(x + 2, 20), x)\nprint(found == 18)",
        "ok = sum([3, 4, 11]) == 18\nprint(ok)",
        "answer = '18'\nprint(str(9 * 2) == answer)",
        "right = False\nif 9 * 2 == 18:\n    right = True\nprint(right)",
        "print(True if 9 * 2 == 18 else False)",
        "import math\nprint(math.comb(18, 1) == 18)",
    ],
)
def test_programs_that_check(program: str) -> None:
    assert why_no_check(program, "18") is None


@pytest.mark.parametrize(
    "program",
    [
        "print(True)",
        "print('True')",
        "print(18 == 18)",
        "answer = 18\nexpected = 18\nprint(answer == expected)",
        "import math\nprint(math.isclose(18.0, 18.0))",
        "total = 9 * 2\nprint(True)",
        "def check(answer):\n    return answer == 18\nprint(check(18))",
        "answer = int('18')\nif answer == 18:\n    print(True)",
        "print(abs(-18) == 18)",
    ],
)
def test_programs_that_compute_nothing_have_no_say(program: str) -> None:
    assert "computes nothing" in (why_no_check(program, "18") or "")


@pytest.mark.parametrize(("program", "why"), [("x = (", "not valid"), ("x = 3 * 6", "prints nothing"), ("print(3 * 4 == 12)", "18, does not occur")])
def test_other_reasons(program: str, why: str) -> None:
    assert why in (why_no_check(program, "18") or "")


@pytest.mark.parametrize(
    ("answer", "literal"),
    [
        ("18", "18.0"),
        ("$1,800", "1800"),
        ("-18", "-18"),
        ("50%", "0.5"),
        ("0.5", "50"),
        ("1.5", "Rational(3, 2)"),
        ("0.75", "3/4"),
        ("12000", "'12,000'"),
        ("x+1", "3"),
    ],
)
def test_the_answer_may_be_written_in_other_ways(answer: str, literal: str) -> None:
    assert why_no_check(f"print(3 * 7 == {literal})", answer) is None


def test_a_monstrous_program_is_judged_and_not_fatal() -> None:
    assert why_no_check("(" * 5000 + ")" * 5000, "1") is not None
    assert why_no_check(f"print(1 + {'9' * 400} == {'9' * 400})", "7") is not None
    assert why_no_check("x = 1\n" + "x += 1\n" * 200_000 + "print(x == 7)", "7") is not None
