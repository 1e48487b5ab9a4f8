from __future__ import annotations

import datetime
import os
import random
import re
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import pytest

from toolwright.episodes import Problem, digest
from toolwright.errors import UsageError
from toolwright.tasks import Dial, Split, generate, load, self_check, split_digest, split_of, today
from toolwright.tasks.__main__ import main
from toolwright.tasks._template_check import check, ids_of
from toolwright.tasks._templates import MAX_VALUE, Redraw, Story, Template, draw_quantity, evaluate, fill, holds, load_templates, put_in
from toolwright.tasks._words import NUMBER_WORDS
from toolwright.tasks.wordproblems import split_of_operations

TEMPLATES, STORIES = load_templates()
PLAIN = Dial()
STORY_IDS = {s.id for s in STORIES}


def draws(split: Split, count: int, dial: Dial = PLAIN) -> list[Problem]:
    return [generate(split, index, dial) for index in range(count)]


def test_the_templates_are_sound() -> None:
    assert check(samples=5) == []


def test_the_check_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def template(name: str, **change: object) -> Template:
        base: dict[str, object] = {"text": ("{name} has {a} and {b}. Sum?",), "draw": {"a": "large", "b": "large"}, "steps": (("sum", "a + b"),)}
        row = base | {"words": {}, "where": (), "extra": ()} | change
        return Template(id=name, **row)  # type: ignore[arg-type]

    wrong = (
        template("sound"),
        template("untold", text=("{name} has {a}. Sum?",)),
        template("never", where=("a > a",)),
        template("slot", text=("{name} has {a} and {b} {things}. Sum?",)),
        template("step", steps=(("sum", "a + c"),)),
        template("bracket", text=("{name} has {a} [and {b}. Sum?",)),
    )
    monkeypatch.setattr("toolwright.tasks._template_check.load_templates", lambda: (wrong, ()))
    assert [complaint.split(":")[0] for complaint in check(samples=3)] == ["untold", "never", "slot", "step", "bracket"]


def test_the_checking_command(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-W", "error", "-m", "toolwright.tasks", "check", "stories", "3"]
    good = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert good.returncode == 0 and good.stderr == "" and good.stdout.startswith("no complaints\n59 entries; splits: train ")
    assert main(["check", "nothing"]) == main([]) == main(["check", "stories", "x"]) == 2
    assert "no template file 'nothing'; there are change, groups" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no template file"):
        ids_of("../change")


def test_ids_are_unique_and_every_split_has_its_share() -> None:
    ids = [t.id for t in TEMPLATES] + [s.id for s in STORIES]
    assert len(set(ids)) == len(ids) > 700
    by_split = {split: {i for i in ids if split_of(i) == split} for split in ("train", "validation", "test")}
    assert sum(map(len, by_split.values())) == len(ids)
    assert 0.1 < len(by_split["test"]) / len(ids) < 0.2 and len(by_split["validation"]) > 40
    for digits in (2, 4):
        for steps in (1, 2, 3, 4):
            used = {p.meta["template"] for p in draws("test", 150, Dial(digits=digits, steps=steps))}
            assert len(used - STORY_IDS) >= 8, (digits, steps)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_problems_come_from_their_own_split(split: Split) -> None:
    for problem in draws(split, 300):
        assert split_of(problem.meta["template"]) == split
    other = {p.id for p in draws("test" if split != "test" else "train", 300)}
    assert not other & {p.id for p in draws(split, 300)}


def test_what_was_drawn_before_is_drawn_again() -> None:
    # Trained weights and stored results rest on these draws. A change here is a change of the data: say so in the changelog, train anew.
    train = digest(
        [generate("train", i, Dial(digits=1 + i % 5, steps=(None, 2, 3)[i % 3], distractors=0.35, stories=0.5), seed=2026).question for i in range(300)]
    )
    test = digest([p.question for p in draws("test", 100, Dial(digits=3))])
    assert {"splits": split_digest(), "train": train, "test": test} == {"splits": "71eb7264f07176e6", "train": "e2afdfa9d083c238", "test": "41aca8d9dcfc1acb"}


def test_draws_do_not_depend_on_the_process() -> None:
    code = "from toolwright.tasks import *; print([generate('test', i, Dial(digits=2, steps=4, stories=1.0)).question for i in range(20)])"
    printed = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": str(h)}, capture_output=True, check=True, timeout=60).stdout
        for h in (0, 1, 2)
    }
    assert len(printed) == 1


@pytest.mark.parametrize("digits", [1, 2, 4, 7])
@pytest.mark.parametrize("novelty", ["numbers", "templates", "compositions"])
def test_the_gold_follows_from_the_steps_and_the_question(digits: int, novelty: str) -> None:
    for problem in draws("test", 80, Dial(digits=digits, novelty=novelty, distractors=1.0)):  # type: ignore[arg-type]
        question, steps = problem.question, problem.meta["steps"]
        assert problem.gold == str(steps[-1]["value"])
        for step in steps:
            assert evaluate(step["expression"], {}) == Fraction(step["value"])
            assert 0 < step["value"] <= MAX_VALUE
        assert not re.search(r"[{}\[\]|]|\s\s|\s[.,?]|\b[Aa] (?!one\b|eu)[aeio]\w+", question), question
        assert not question[0].islower() and re.search(r"[?.]$", question) and question == question.strip(), question
        told = {int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", question)}
        words = {word.lower() for word in re.findall(r"[A-Za-z]+", question)}
        for name, value in problem.meta["quantities"].items():
            used = any(re.search(rf"\b{name}\b", step["symbolic"]) for step in steps)
            assert not used or value in told or (value < len(NUMBER_WORDS) and NUMBER_WORDS[value] in words), (name, value, question)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 8])
def test_the_dial_sets_the_steps(steps: int) -> None:
    for problem in draws("test", 60, Dial(digits=3, steps=steps)):
        assert len(problem.meta["steps"]) == steps


def test_the_dial_sets_the_size_of_numbers() -> None:
    def largest(digits: int) -> float:
        found = [max(map(int, re.findall(r"\d+", p.question.replace(",", ""))), default=0) for p in draws("test", 150, Dial(digits=digits))]
        return sorted(len(str(n)) for n in found)[len(found) // 2]

    sizes = [largest(digits) for digits in (2, 3, 5, 7)]
    assert all(a < b for a, b in pairwise(sizes)) and sizes[-1] >= 7


def test_the_dial_sets_distractors_and_stories() -> None:
    def share(dial: Dial, what: str) -> float:
        problems = draws("test", 200, dial)
        return sum("x" in p.meta["quantities"] if what == "distractors" else p.meta["template"] in STORY_IDS for p in problems) / len(problems)

    assert share(Dial(distractors=0.0), "distractors") == 0 < 0.2 < share(Dial(distractors=1.0, stories=0.0), "distractors")
    assert share(Dial(stories=0.0), "stories") == 0 < 0.9 < share(Dial(stories=1.0), "stories")
    assert [p.question for p in draws("test", 5, Dial(distractors=1))] == [p.question for p in draws("test", 5, Dial(distractors=1.0))]


def test_compositions_are_trained_stories_in_orders_never_trained() -> None:
    def operations(problem: object) -> tuple[str, ...]:
        steps = problem.meta["steps"]  # type: ignore[attr-defined]
        return tuple(step["symbolic"].split()[1] for step in steps)

    new = draws("test", 150, Dial(novelty="compositions"))
    assert all(split_of(p.meta["template"]) == "train" and p.meta["template"] in STORY_IDS for p in new)
    assert min(len(p.meta["steps"]) for p in new) >= 3
    trained = [p for p in draws("train", 600, Dial(stories=1.0, steps=3)) if p.meta["template"] in STORY_IDS]
    assert {operations(p) for p in new if len(operations(p)) == 3}
    # Signs do not tell a doubling from a multiplication, so the order itself is looked at through its split.
    assert all(split_of_operations(("add",) * n) == "train" for n in (1, 2)) and trained
    with pytest.raises(UsageError, match="steps = 2 with novelty = compositions"):
        generate("test", 0, Dial(steps=2, novelty="compositions"))


def test_orders_of_operations_are_held_out() -> None:
    names = ("add", "subtract", "double", "halve", "multiply", "divide")
    triples = [(a, b, c) for a in names for b in names for c in names]
    splits = [split_of_operations(t) for t in triples]
    assert {s: splits.count(s) > 5 for s in ("train", "validation", "test")} == {"train": True, "validation": True, "test": True}


def test_the_task_of_word_problems() -> None:
    task = load("wordproblems", dial=Dial(digits=3, steps=2), count=50, seed=4)
    assert len({p.question for p in task.problems}) == len({p.id for p in task.problems}) == 50
    assert (task.source, task.split, task.trainable, task.licence) == ("generated", "test", False, "Apache-2.0")
    assert load("wordproblems", split="train", count=3).trainable
    assert load("wordproblems", count=20).problems == load("wordproblems", count=40).problems[:20]
    assert load("wordproblems", count=5).digest == load("wordproblems", count=5).digest != load("wordproblems", count=5, seed=1).digest
    assert self_check(task, lambda answer, gold, choices=(): answer == gold) == []
    assert len(load("wordproblems").problems) == 200


def test_few_problems_are_told_apart_from_many(monkeypatch: pytest.MonkeyPatch) -> None:
    one = generate("test", 0)
    monkeypatch.setattr("toolwright.tasks._generated.generate", lambda *_, **__: one)
    with pytest.raises(UsageError, match=r"only 1 different test problems .* count = 3"):
        load("wordproblems", count=3)


def test_the_problem_of_the_day() -> None:
    days = [datetime.date(2026, 1, 1) + datetime.timedelta(days=n) for n in range(60)]
    problems = [today(day) for day in days]
    assert len({p.question for p in problems}) == 60
    assert [p.id for p in problems[:2]] == ["today-2026-01-01", "today-2026-01-02"]
    assert today(days[0]) == problems[0] and today().id == f"today-{datetime.date.today().isoformat()}"
    for problem in problems:
        assert len(problem.meta["steps"]) == 3 and problem.meta["digits"] == 2
        numbers = [int(n) for step in problem.meta["steps"] for n in re.findall(r"\d+", f"{step['expression']} {step['value']}")]
        assert len(str(max(numbers))) >= problem.meta["digits"]
    assert {(len(p.meta["steps"]), p.meta["digits"]) for p in problems} == {(3, 2)}


def test_text_is_filled_and_repaired() -> None:
    def filled(text: str, **numbers: int) -> str:
        return fill(random.Random(1), text, {"thing": "egg", "name": "Ada", "He": "She"}, numbers)

    assert filled("{name} has a {thing}. {He} eats it .") == "Ada has an egg. She eats it."
    assert filled("a {n}-page book and a uniform", n=80) == "An 80-page book and a uniform"
    assert filled("[|  ]two  words[| ]") == "Two words"
    assert filled("[one|one] {n} of {m}%", n=1500, m=5) in ("One 1500 of 5%", "One 1,500 of 5%")
    with pytest.raises(UsageError, match=r"unknown slot \{other\}"):
        filled("{other}")


def test_expressions_are_exact_and_closed() -> None:
    numbers = {"a": 7, "b": 2, "zero": 0}
    assert evaluate("(a + b) * 3 / 2 - a % b", numbers) == Fraction(25, 2)
    assert holds("b < a < 10 and a % 2 == 1 or zero > 1", numbers) and not holds("a != 7", numbers)
    assert put_in("a * b + 1", numbers) == "7 * 2 + 1"
    for expression in ("a / zero", "a % zero"):
        with pytest.raises(Redraw):
            evaluate(expression, numbers)
    for expression in ("a ** b", "__import__('os')", "a.b", "c + 1", "1.5 + a", "a +"):
        with pytest.raises(UsageError):
            evaluate(expression, numbers)


@pytest.mark.parametrize(("kind", "allowed"), [("small", range(2, 13)), ("3..5", range(3, 6)), ("2|9", (2, 9)), ("k * 2", (8,)), ("large", range(10, 1000))])
def test_kinds_of_numbers(kind: str, allowed: object) -> None:
    for seed in range(50):
        assert draw_quantity(random.Random(seed), kind, 3, {"k": 4}) in allowed  # type: ignore[operator]


def test_a_story_has_no_more_events_than_it_tells() -> None:
    story = Story("s", {}, ("There are {n}.",), ("How many now?",), {"add": ("{n} come.",), "divide": ("Split among {n}.",)})
    with pytest.raises(Redraw):
        story.render(random.Random(0), ("add", "add"), digits=2)
    drawn = story.render(random.Random(0), ("add",), digits=2)
    start, more = map(int, re.findall(r"\d+", drawn.question.replace(",", "")))
    assert drawn.steps[-1].value == start + more
