"""What the embedded models' roles learn from: programs that check, labels that are exact, wrong plans that are wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from toolwright.episodes import Problem
from toolwright.recipes._mixture import Mixture, document
from toolwright.recipes._roles import (
    Attempted,
    Taught,
    attempted,
    balanced,
    displaced,
    first_wrong,
    judge_document,
    misplanned,
    plans,
    steps_document,
    taught_problems,
    verify_document,
    with_worked,
)
from toolwright.recipes._worked import WorkedStep, text_solution
from toolwright.recipes.distill import config
from toolwright.recipes.embedded import config as embedded_config
from toolwright.tasks import split_of
from toolwright.verifiers import split_steps

STEPS = (WorkedStep("n1", "16-3", "16-3", Fraction(13)), WorkedStep("n2", "n1-4", "13-4", Fraction(9)), WorkedStep("n3", "n2*2", "9*2", Fraction(18)))
TAUGHT = Taught(Problem("ducks", "Ducks lay 16 eggs; 3 and 4 are used, and the rest is sold for $2 each. How much is that?", "18"), STEPS)
RIGHT = "16-3=13\n13-4=9\n9*2=18\n#### 18"
SLIP = "16-3=13\n13-4=8\n8*2=16\n#### 16"
PLAN = "16+3=19\n19-4=15\n15*2=30\n#### 30"
SHORT = "16-3=13\n13-4=9\n#### 9"


def candidate(text: str) -> Attempted:
    found = attempted(TAUGHT, text)
    assert found is not None
    return found


def mixture() -> Mixture:
    settings = dict(embedded_config()["mixture"])
    settings.pop("seed")
    return Mixture(**settings | {"digits": tuple(settings["digits"])})


def printed(program: str) -> list[object]:
    said: list[object] = []
    exec(program, {"print": said.append})
    return said


@pytest.mark.parametrize(("text", "right"), [(RIGHT, True), (SLIP, False), (PLAN, False), (SHORT, False)])
def test_the_program_says_what_is_true_of_the_candidate(text: str, right: bool) -> None:
    document = verify_document(candidate(text), random.Random(0))
    assert document is not None
    assert document.pieces[0] == (f"<|verify|>{text}<|user|>{TAUGHT.problem.question}<|tools|>", 0.0)
    assert {weight for _, weight in document.pieces[1:]} == {1.0}
    assert printed(document.target.removeprefix("<code>").removesuffix("</code>")) == [right]
    assert judge_document(candidate(text), random.Random(0)).pieces[1] == ("Yes" if right else "No", 1.0)


@pytest.mark.parametrize(("text", "wrong"), [(RIGHT, None), (SLIP, 1), (PLAN, 0), (SHORT, 2), ("9*2=18\n18+1=19\n#### 19", 1), ("15*2=18\n#### 18", None)])
def test_the_first_wrong_line_is_found(text: str, wrong: int | None) -> None:
    assert first_wrong(candidate(text), split_steps(text)) == wrong


def test_marks_stand_after_each_line_up_to_the_first_wrong_one() -> None:
    pieces = steps_document(candidate(SLIP), random.Random(0)).pieces
    assert pieces[0] == (f"<|user|>{TAUGHT.problem.question}<|judge|>", 0.0)
    assert pieces[1:] == (("16-3=13\n", 0.0), ("+", 1.0), ("13-4=8\n", 0.0), ("-", 1.0))
    assert [text for text, weight in steps_document(candidate(RIGHT), random.Random(0)).pieces if weight] == ["+"] * 4


def test_wrong_plans_have_true_arithmetic_and_a_wrong_answer() -> None:
    rng = random.Random(1)
    made = [misplanned(TAUGHT, rng) for _ in range(40)]
    found = [each for each in made if each is not None]
    assert len(found) > 30 and len({each.text for each in found}) > 5
    for each in found:
        assert not each.right and each.planted
        for line in each.text.splitlines()[:-1]:
            expression, _, value = line.partition("=")
            assert eval(expression) == float(value)


def test_a_displaced_solution_is_judged_by_the_problem_it_stands_under() -> None:
    other = Taught(Problem("eggs", "3 hens lay 6 eggs each. How many eggs is that?", "18"), (WorkedStep("n1", "3*6", "3*6", Fraction(18)),))
    third = Taught(Problem("pens", "4 boxes hold 5 pens each. How many pens is that?", "20"), (WorkedStep("n1", "4*5", "4*5", Fraction(20)),))
    texts = {id(taught): attempted(taught, text_solution(taught.steps)) for taught in (TAUGHT, other, third)}
    candidates = [each for each in texts.values() if each is not None]
    pool = displaced(candidates * 30, 0.5, random.Random(0))
    strangers = pool[len(candidates) * 30 :]
    assert 60 < len(strangers) < 120 and all(each.planted for each in strangers)
    assert all(each.right == (each.answer == each.taught.answer) for each in strangers)
    assert {(each.taught.problem.id, each.right) for each in strangers} >= {("pens", False), ("eggs", True), ("ducks", False)}
    assert displaced(candidates, 0.0, random.Random(0)) == candidates


def test_a_noisy_teacher_errs_about_that_often() -> None:
    rng = random.Random(2)
    words = [judge_document(candidate(RIGHT), rng, noise=0.2).pieces[1][0] for _ in range(400)]
    assert 50 < words.count("No") < 115
    programs = [verify_document(candidate(RIGHT), rng, noise=0.5) for _ in range(60)]
    said = [printed(each.target.removeprefix("<code>").removesuffix("</code>"))[0] for each in programs if each is not None]
    assert 15 < said.count(False) < 45
    marks = [len(steps_document(candidate(RIGHT), rng, noise=0.3).pieces) for _ in range(100)]
    assert len(set(marks)) > 2


def test_problems_are_of_the_train_templates_and_repeatable() -> None:
    one, two = (taught_problems(mixture(), None, 60, validation=False, seed=5, gsm8k=0.3) for _ in range(2))
    assert [t.problem for t in one] == [t.problem for t in two] and len(one) == 60
    assert {split_of(t.problem.meta["template"]) for t in one} == {"train"}
    assert all(str(t.answer) == t.problem.gold for t in one)
    held_out = taught_problems(mixture(), None, 30, validation=True, seed=5, gsm8k=0.0)
    assert "train" not in {split_of(t.problem.meta["template"]) for t in held_out if "/" in t.problem.meta["template"]}


def test_the_pool_is_balanced_and_completed() -> None:
    rng = random.Random(3)
    taught = taught_problems(mixture(), None, 60, validation=False, seed=6, gsm8k=0.0)
    wrong = [each for each in (misplanned(t, rng) for t in taught) if each is not None]
    pool = with_worked(wrong, rng)
    assert sum(c.right for c in pool) == len(wrong)
    assert with_worked(pool, rng) == pool
    few = [c for c in pool if c.right][:10]
    kept = balanced([*few, *wrong], most=0.6, seed=1)
    assert sum(not c.right for c in kept) == 15 and sum(c.right for c in kept) == 10
    planted = list(plans(few, 0.5, rng))
    assert 5 <= sum(c.planted for c in planted) <= 10


def test_what_has_no_number_for_an_answer_teaches_nothing() -> None:
    assert attempted(TAUGHT, "16-3=13\n#### many") is None
    assert attempted(TAUGHT, "") is None
    assert candidate(text_solution(STEPS)).right


def test_the_settings_name_every_model() -> None:
    assert set(config()["train"]) == set(embedded_config()["models"])
    assert config()["adapter"]["rank"] <= 8


def test_roles_write_only_tokens_that_the_base_has_learned() -> None:
    # An adapter trains no embeddings. A first verify role had == as one token, which no training text of the base has, and every program came out broken.
    tokenizer = AutoTokenizer.from_pretrained(Path(str(files("toolwright"))) / "embedded" / "pico")

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    seen: set[int] = set()
    without_gsm8k = replace(mixture(), gsm8k=0.0)
    for position in range(1500):
        seen.update(document(without_gsm8k, (), "train", 0, position).encode(encode).ids)
    written: set[int] = set()
    for text in (RIGHT, SLIP, PLAN, SHORT):
        for made in (
            verify_document(candidate(text), random.Random(0)),
            judge_document(candidate(text), random.Random(0)),
            steps_document(candidate(text), random.Random(0)),
        ):
            assert made is not None
            example = made.encode(encode)
            written.update(token for token, weight in zip(example.ids, example.weights, strict=True) if weight >= 1)
    assert tokenizer.convert_ids_to_tokens(sorted(written - seen)) == []
