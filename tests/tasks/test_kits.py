"""Kits: every clause tells what its kind says, and what is composed from them adds up."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from toolwright.errors import UsageError
from toolwright.tasks import Dial, generate, split_of
from toolwright.tasks._kits import KINDS, OPTIONAL, Kit, _kit, _Plot, _Told, load_kits
from toolwright.tasks._template_check import check
from toolwright.tasks._templates import Drawn, Redraw, evaluate
from toolwright.tasks._words import NUMBER_WORDS

KITS = load_kits()


def draw(kit: Kit, rng: random.Random, **settings: object) -> Drawn:
    while True:
        try:
            return kit.render(rng, **({"digits": 2, "distractors": 0.3} | settings))  # type: ignore[arg-type]
        except Redraw:
            continue


def numbers_in(question: str) -> set[str]:
    words = {word: str(value) for value, word in enumerate(NUMBER_WORDS)}
    return {words.get(found.lower(), found.replace(",", "")) for found in re.findall(r"\d[\d,]*\d|\d|[A-Za-z]+", question)}


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.id)
def test_the_steps_follow_from_the_numbers_told(kit: Kit) -> None:
    rng = random.Random(kit.id)
    for _ in range(25):
        drawn = draw(kit, rng)
        known: dict[str, int] = {}
        told = numbers_in(drawn.question)
        for step in drawn.steps:
            parts = step.symbolic.split()
            assert all(part in known or part in "+-*/" or part in told for part in parts), (drawn.question, step)
            assert evaluate(step.symbolic, known) == step.value > 0
            known[step.name] = step.value
        assert drawn.question.endswith(("?", ".")) and not re.search(r"[\[\]{}]|  ", drawn.question)


def test_no_file_has_a_fault() -> None:
    assert check() == []


def test_there_are_many_plans() -> None:
    rng = random.Random(0)
    plans: Counter[str] = Counter()
    for _ in range(3000):
        drawn = draw(rng.choice(KITS), rng)
        plans["; ".join(re.sub(r"\b\d+\b", "#", step.symbolic) for step in drawn.steps)] += 1
    assert len(plans) > 60 and max(plans.values()) < 600


def test_an_unknown_beginning_is_undone_from_the_end() -> None:
    rng = random.Random(3)
    plot = _Plot(rng, KITS[0])
    plot.opening, plot.changes, plot.ask = "some", ["more", "less_each"], "ask_start"
    done = 0
    while done < 20:
        told = _Told(rng, 2)
        try:
            plot(told)
        except Redraw:
            continue
        (_, gained), (_, lost), (_, now) = told.parts[1:4]
        assert [kind for kind, _ in told.parts] == ["some", "more", "less_each", "now", "ask_start"]
        assert told.steps[-1].value == now["t"] + lost["j"] * lost["b"] - gained["b"]
        done += 1


def test_a_number_of_steps_can_be_asked_for_and_nothing_else_comes() -> None:
    problems = [generate("train", index, Dial(steps=3), kits=1.0) for index in range(40)]
    assert {len(problem.meta["steps"]) for problem in problems} == {3}
    assert {split_of(problem.meta["template"]) for problem in problems} == {"train"}
    assert all(problem.meta["template"].startswith("kit-") for problem in problems)
    assert {problem.id for problem in problems}.isdisjoint(generate("train", index, Dial(steps=3)).id for index in range(40))
    assert [p.question for p in problems] == [generate("train", index, Dial(steps=3), kits=1.0).question for index in range(40)]


def test_test_problems_are_drawn_without_kits() -> None:
    assert {split_of(kit.id) for kit in KITS} == {"train", "validation"}
    with pytest.raises(UsageError, match="kits serve training and validation"):
        generate("test", 0, kits=1.0)
    assert not any(generate("test", index).meta["template"].startswith("kit-") for index in range(200))


@pytest.mark.parametrize(
    ("kind", "clause", "complaint"),
    [
        ("less", "{He} lost some {things}.", r"a clause of less tells \[\], not \['b'\]"),
        ("more", "{He} got {b} {things} and {b} stones.", r"tells \['b', 'b'\]"),
        ("now", "Now {t} {sweets} are left.", "unknown slot {sweets}"),
        ("holds", "Seven in {c}.", "not a clause of holds"),
    ],
)
def test_a_clause_that_does_not_fit_its_kind_is_named(monkeypatch: pytest.MonkeyPatch, kind: str, clause: str, complaint: str) -> None:
    wrong = replace(KITS[0], clauses=KITS[0].clauses | {kind: (*KITS[0].clauses[kind], clause)})
    monkeypatch.setattr("toolwright.tasks._template_check.load_kits", lambda: (wrong,))
    monkeypatch.setattr("toolwright.tasks._template_check.load_templates", lambda: ((), ()))
    (found,) = check()
    assert re.search(complaint, found), found


def test_every_kind_is_there_or_may_be_left_out() -> None:
    row = {"id": "kit-x", "words": {}} | {kind: ["?"] for kind in KINDS}
    assert _kit("file", row).id == "kit-x"
    assert _kit("file", {k: v for k, v in row.items() if k not in OPTIONAL}).id == "kit-x"
    with pytest.raises(UsageError, match=r"file, kit-x: missing or unknown kinds \['ask_now', 'odd'\]"):
        _kit("file", {k: v for k, v in row.items() if k != "ask_now"} | {"odd": ["?"]})
