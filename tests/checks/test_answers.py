"""What `extract_answer` finds in the many ways models end a reply."""

from __future__ import annotations

import time

import pytest

from toolwright.checks import extract_answer

CASES = [
    # boxed
    (r"so \boxed{42}.", "42"),
    (r"Thus $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
    (r"\boxed{\frac{\sqrt{3}}{\sqrt{2}+1}}", r"\frac{\sqrt{3}}{\sqrt{2}+1}"),
    (r"\boxed{\{1,2\}}", r"\{1,2\}"),
    (r"\boxed{\left\{x : x > \frac{1}{2}\right\}}", r"\left\{x : x > \frac{1}{2}\right\}"),
    (r"first \boxed{3}, no, \boxed{5}", "5"),
    (r"\boxed{5} and then some more words, 17 of them", "5"),
    (r"\fbox{7}", "7"),
    (r"\boxed 7", "7"),
    (r"\boxed{}", None),
    (r"\boxed{} but the answer is 3", "3"),
    (r"the end is cut: 12 so \boxed{12", "12"),
    (r"\boxed{\$18.90}", "18.90"),
    (r"\boxed{18\%}", "18%"),
    (r"\boxed{5 \text{ apples}}", "5"),
    (r"\boxed{15\mbox{ cm}^2}", "15"),
    (r"\boxed{1{,}234}", "1234"),
    (r"\boxed{x=5}", "x=5"),
    (r"\boxed{(3,4]}", "(3,4]"),
    (r"\boxed{1,2}", "1,2"),
    (r"\boxed{2k}", "2k"),
    (r"\boxed{3R^2}", "3R^2"),
    (r"\boxed{\text{east}}", r"\text{east}"),
    (r"\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    (r"\boxed{30^\circ}", r"30^\circ"),
    # tags, hashes
    ("<answer>12</answer>", "12"),
    ("<answer> 1/2 </answer> trailing words", "1/2"),
    ("<answer>\\boxed{9}</answer>", "9"),
    ("<ANSWER>\n7\n</ANSWER>", "7"),
    ("<answer>1</answer><answer>2</answer>", "2"),
    ("… = 18\n#### 18", "18"),
    ("#### 1,234", "1234"),
    ("#### $12.50", "12.50"),
    ("#### -38", "-38"),
    ("each person can have #### 14 slices.", "14"),
    ("they have #### 11 minutes left to get to school without being late.", "11"),
    ("so the final answer is #### 30. Jeff walks 30 miles in a week.", "30"),
    ("you can make #### 576 hash browns out of 96 potatoes", "576"),
    ("it costs #### $10,000/day from these visits", "10000"),
    ("#### 3 and 5", "3 and 5"),
    ("#### 5 feet 4 inches", "5 feet 4 inches"),
    # JSON replies
    ('```json\n{"reasoning": "2+2", "answer": "4"}\n```', "4"),
    ('{"answer": 4}', "4"),
    ('{"answer": 4.50, "confidence": 0.9}', "4.50"),
    ('{"reasoning": "…", "final_answer": "x = 5"}', "x = 5"),
    ("{'answer': '12'}", "12"),
    ('{"answer": "15 * (1 + 2) = 45"}', "45"),
    ('{"answer": "\\\\frac{1}{2}"}', r"\frac{1}{2}"),
    ('{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
    ('{"answer": "Sally has 9 books."}', "9"),
    ('so it is 42.\nUse `"answer": "___"`', "42"),
    ('he has 7 left. Show it in the field, e.g., `"answer": "42"`. He has 7.', "7"),
    ('{"answer": null} hence 6', "6"),
    ('{"answer": "24 + sqrt(193)"}', "24 + sqrt(193)"),
    # phrases
    ("The answer is 18.", "18"),
    ("The answer is $18.", "18"),
    ("The answer is 18 dollars.", "18"),
    ("The answer is £5.", "5"),
    ("The answer is 5 apples.", "5"),
    ("The final answer is: 3.14", "3.14"),
    ("Final answer: x = 5", "x = 5"),
    ("**Answer:** 12", "12"),
    ("**Final Answer**: 12", "12"),
    ("Answer: 1/2", "1/2"),
    ("A: 224", "224"),
    ("The answer to the question is 9.", "9"),
    (r"The answer is $\frac{3}{4}$ of a pie.", r"\frac{3}{4}"),
    (r"The answer is \(x^2+1\).", "x^2+1"),
    ("The answer is 12 because 3 * 4 = 12.", "12"),
    ("The answer is 5 + 3 = 8.", "8"),
    ("The answer is -7.", "-7"),
    ("The answer is −7.", "-7"),
    ("The answer is 2x.", "2x"),
    ("The answer is 5. No wait. The answer is 6.", "6"),
    ("The answer is $5.50 per hour.", "5.50"),
    ("The answer is 10%.", "10%"),
    ("The answer is (3, 4).", "(3, 4)"),
    ("The answer is 3/4.", "3/4"),
    ("The answer is 1.5e3.", "1.5e3"),
    ("The answer is Paris.", "Paris"),
    ("The answer is 7, since 7 is prime.", "7"),
    # bold, last number
    ("So Janet makes **$18** every day.", "18"),
    ("**18 dollars**", "18"),
    ("Total: **1,250 apples**.", "1250"),
    ("She has 3 cats and 4 dogs, so 7 pets.", "7"),
    ("3 - 5 = -2", "-2"),
    ("He has 12 eggs left.\nI hope this helps!", "12"),
    ("That leaves 1,234.", "1234"),
    ("in total 5-3", "3"),
    ("between 10-15", "15"),
    ("He pays £5.", "5"),
    ("He ran 3/4 miles", "3/4"),
    ("It grew by 25%", "25%"),
    (r"which gives \frac{2}{3}", r"\frac{2}{3}"),
    ("<think>maybe 5, \\boxed{5}</think>The answer is 6.", "6"),
    ("<think>It is 5.</think>", "5"),
    ("", None),
    ("   \n ", None),
    ("I do not know.", None),
    ("...", None),
]

CHOICES = ("12", "15", "the red one", "the red one and the blue one", "None of these")
CHOICE_CASES = [
    (r"\boxed{B}", "B"),
    (r"\boxed{\text{(C)}}", "C"),
    ("The answer is (B).", "B"),
    ("The answer is B", "B"),
    ("Answer: D", "D"),
    ("answer: (d)", "D"),
    ("The correct option is C, because it is red.", "C"),
    ("The answer is 15.", "B"),
    ("The answer is $15$ dollars.", "B"),
    ("The answer is the red one.", "C"),
    ("the answer is the red one and the blue one", "D"),
    ("<answer>E</answer>", "E"),
    ("#### A", "A"),
    ('{"answer": "B"}', "B"),
    ('{"answer": "B) 15"}', "B"),
    ("B", "B"),
    ("(E)", "E"),
    ("We rule out (A) and (B).\nSo it must be (C)", "C"),
    ("Therefore **D**", "D"),
    ("It can only be the red one.", "C"),
    ("The answer is none of these.", "E"),
    ("A: 12\nB: 15\nI choose (B)", "B"),
    ("A. 12", "A"),
    ("A.", "A"),
    ("B) 15 is what I get", "B"),
    ("The answer is G.", None),
    ("The answer is 99.", None),
    ("I like 7 apples.", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_extract(text: str, expected: str | None) -> None:
    assert extract_answer(text) == expected


@pytest.mark.parametrize(("text", "expected"), CHOICE_CASES)
def test_extract_choice(text: str, expected: str | None) -> None:
    assert extract_answer(text, choices=CHOICES) == expected


def test_stronger_mark_wins() -> None:
    text = r'The answer is 5. **4** "answer": "3" #### 2 <answer>1</answer> \boxed{0} and 9'
    assert extract_answer(text) == "0"
    assert extract_answer(text.replace(r"\boxed{0}", "")) == "1"
    assert extract_answer("The answer is 5. #### 2") == "2"


def test_ten_choices_reach_j() -> None:
    assert extract_answer("The answer is (J).", choices=[f"option {n}" for n in range(10)]) == "J"


def test_option_texts_that_are_numbers_of_one_value_stay_apart() -> None:
    assert extract_answer("The answer is 0.5", choices=["0.5", "0.50%"]) == "A"


@pytest.mark.parametrize("piece", ["\\boxed{", "#### ", "**", "the answer is ", '"answer": "', "(", "1,", "$", "a" * 50 + " ", "{" * 20])
def test_long_text_takes_bounded_time(piece: str) -> None:
    start = time.process_time()
    extract_answer(piece * (200_000 // len(piece)))
    assert time.process_time() - start < 5
