"""Worked solutions as training sees them: right in both dialects, honest about what Python prints, and never from a test split."""

from __future__ import annotations

import os
import random
from fractions import Fraction
from pathlib import Path

import pytest

from toolwright.checks import find_claims
from toolwright.recipes import _mixture
from toolwright.recipes._worked import code_solution, evaluate, gsm8k_steps, redraw, text_solution
from toolwright.tasks import Dial, generate, split_of

MIXTURE = _mixture.Mixture(0.25, 0.05, 0.5, 0.3, 0.5, 0.4, (0.25, 0.35, 0.2, 0.12, 0.08), 0.1)
DATA = os.environ.get("TOOLWRIGHT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="TOOLWRIGHT_DATA is not set")


def program_output(code: str, capsys) -> str:
    exec(compile(code.removeprefix("<code>\n").removesuffix("\n</code>"), "worked", "exec"), {})
    return capsys.readouterr().out.strip()


@pytest.mark.parametrize("index", range(60))
def test_both_dialects_of_a_word_problem_are_right(index, capsys):
    problem = generate("train", index, Dial(digits=1 + index % 5))
    steps = _mixture.steps_of(problem)
    text = text_solution(steps)
    assert text.endswith(f"#### {problem.gold}")
    claims = find_claims(text)
    assert len(claims) >= len(steps)
    assert all(claim.verdict is True for claim in claims), text
    call, output, answer = code_solution(steps)
    assert output == f"\n<interpreter>\n{program_output(call, capsys)}\n</interpreter>\n\n"
    assert answer == f"#### {problem.gold}"


def test_a_training_solution_of_gsm8k_is_read_by_its_marks():
    question = "Ann has 48 clips and sells half. Then she buys 10 more. How many has she?"
    steps = gsm8k_steps(question, "She sells 48/2 = <<48/2=24>>24.\nShe has 24+10 = <<24+10=34>>34.\n#### 34", "34")
    assert steps is not None
    assert text_solution(steps) == "48/2=24\n24+10=34\n#### 34"
    assert code_solution(steps)[0] == "<code>\nn1=48/2\nn2=n1+10\nprint(n2)\n</code>"
    assert code_solution(steps)[1] == "\n<interpreter>\n34.0\n</interpreter>\n\n"


@pytest.mark.parametrize("solution", ["<<48/2=25>>25", "no marks at all", "<<48/2=24>>24", "<<x*2=34>>34"])
def test_marks_that_do_not_lead_to_the_answer_are_left_out(solution):
    assert gsm8k_steps("48 and 10", solution, "34") is None


def test_redrawn_numbers_are_worked_again():
    question = "Ann has 48 clips and buys 10 more. She shares them with 1 friend."
    steps = gsm8k_steps(question, "<<48+10=58>>58", "58")
    assert steps is not None
    seen = set()
    for seed in range(20):
        other = redraw(question, steps, random.Random(seed))
        assert other is not None
        text, new = other
        first, second = (int(n) for n in new[0].expression.split("+"))
        assert new[0].value == first + second
        assert f"has {first} clips" in text
        assert f"buys {second} more" in text
        assert "1 friend" in text
        seen.add(text)
    assert len(seen) > 10


def test_a_number_that_stands_twice_is_not_redrawn():
    steps = gsm8k_steps("5 boxes with 5 pens", "<<5*5=25>>25", "25")
    assert steps is not None
    assert redraw("5 boxes with 5 pens", steps, random.Random(0)) is None


@pytest.mark.parametrize(("text", "value"), [("2+3*4", 14), ("(2+3)*4", 20), ("7/2", Fraction(7, 2)), ("1.5*4", 6), ("1/0", None), ("2+", None), ("x+1", None)])
def test_evaluate_is_exact(text, value):
    assert evaluate(text) == value


@needs_data
def test_the_stream_is_decided_by_the_position_and_holds_no_held_out_problem():
    data = Path(DATA or "")
    train, validation = _mixture.gsm8k_train(data, "train"), _mixture.gsm8k_train(data, "validation")
    assert not {q for q, _ in train} & {q for q, _ in validation}
    assert len(train) > 6000

    def encode(text: str) -> list[int]:
        return list(text.encode())

    first = [e.ids for _, e in zip(range(50), _mixture.stream(MIXTURE, data, encode, seed=1, longest=5000), strict=False)]
    later = [e.ids for _, e in zip(range(20), _mixture.stream(MIXTURE, data, encode, seed=1, position=30, longest=5000), strict=False)]
    assert first[30:] == later


@needs_data
def test_tool_output_has_no_loss_weight():
    data = Path(DATA or "")
    gsm8k = _mixture.gsm8k_train(data, "train")
    for position in range(80):
        pieces = _mixture.document(MIXTURE, gsm8k, "train", 0, position).pieces
        for text, weight in pieces:
            if "<interpreter>" in text:
                assert weight == 0
            elif text.startswith("<|user|>"):
                assert weight == MIXTURE.prompt_weight
            else:
                assert weight == 1


def test_only_train_templates_train():
    templates = {generate("train", index, Dial()).meta["template"] for index in range(200)}
    assert {split_of(t) for t in templates} == {"train"}
    held_out = {generate("test", index, Dial()).meta["template"] for index in range(200)}
    assert not templates & held_out
