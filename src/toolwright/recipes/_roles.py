"""What the roles of the embedded models learn from: a question, a candidate solution, and what an exact teacher says of it.

The teacher knows the worked steps of every problem. For *verify* it writes the program that works the question out and compares the candidate's answer; for
*judge* it says whether the answer is right, and which line of the solution is the first wrong one. `noise` makes it err, for studies of bad teachers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from toolwright.checks import extract_answer
from toolwright.episodes import Problem, derive_seed, digest
from toolwright.recipes._mixture import Document, Mixture, gsm8k_train, steps_of
from toolwright.recipes._worked import NUMBER, WorkedStep, evaluate, show, text_solution
from toolwright.tasks import Dial, generate
from toolwright.verifiers import TaggedJudge, TaggedPrograms, TaggedSteps, split_steps, step_text

_LINE = re.compile(r"(?P<expression>[-+*/().\d]+)=(?P<value>-?\d+(?:\.\d+)?)")
_SWAPS = {"+": "-*", "-": "+*", "*": "+/", "/": "*-"}


@dataclass(frozen=True, slots=True)
class Taught:
    """A problem of a training or validation split, with its worked steps."""

    problem: Problem
    steps: tuple[WorkedStep, ...]

    @property
    def answer(self) -> Fraction:
        """The right answer."""
        return self.steps[-1].value


@dataclass(frozen=True, slots=True)
class Attempted:
    """A candidate solution of a problem, and what the teacher says of it."""

    taught: Taught
    text: str
    answer: Fraction
    right: bool
    planted: bool = False
    """Made by the teacher with a wrong plan, not drawn from the student."""


def taught_problems(mixture: Mixture, data: Path | None, count: int, *, validation: bool, seed: int, gsm8k: float) -> list[Taught]:
    """Problems with their steps: word problems of the train (or validation) templates, and a share of GSM8K's training split (or its held-out part).

    Without a data folder there are word problems only. No test template and no test item is among them.
    """
    rng = random.Random(derive_seed("roles", seed, validation))
    rows = gsm8k_train(data, "validation" if validation else "train") if data is not None and gsm8k > 0 else ()
    wanted = min(len(rows), round(gsm8k * count)) if rows else 0
    found = [
        Taught(Problem(f"gsm8k-train-{digest(question)}", question, show(steps[-1].value)), steps) for question, steps in rng.sample(rows, wanted) if wanted
    ]
    for index in range(count - wanted):
        digits = rng.choices(range(1, len(mixture.digits) + 1), mixture.digits)[0]
        dial = Dial(digits=digits, steps=None if rng.random() < 0.75 else rng.choice((1, 2, 2, 3, 3, 4, 5)), distractors=0.35, stories=mixture.stories)
        problem = generate("validation" if validation else "train", index, dial, seed=seed, things=0.0 if validation else mixture.things, kits=mixture.kits)
        found.append(Taught(problem, steps_of(problem)))
    unique = {each.problem.id: each for each in found}
    taught = list(unique.values())
    rng.shuffle(taught)
    return taught


def attempted(taught: Taught, text: str, *, planted: bool = False) -> Attempted | None:
    """The candidate with the teacher's label; None where it has no plain number for an answer."""
    answer = number(extract_answer(text))
    if answer is None:
        return None
    return Attempted(taught, text, answer, answer == taught.answer, planted)


def misplanned(taught: Taught, rng: random.Random) -> Attempted | None:
    """A candidate with true arithmetic and a wrong plan; None where none is found."""
    steps = misplanned_steps(taught, rng)
    return attempted(taught, text_solution(steps), planted=True) if steps else None


def reworked(steps: Sequence[WorkedStep]) -> tuple[WorkedStep, ...] | None:
    """The steps worked out anew from their symbolic forms; None where a value is not positive, cannot be shown exactly, or is broken where none was."""
    values: dict[str, Fraction] = {}
    done = []
    # A broken number among whole ones would give a wrong plan away.
    whole = all(step.value.denominator == 1 for step in steps)
    for step in steps:
        if any(name not in values for name in re.findall(r"[A-Za-z_]\w*", step.symbolic)):
            return None
        expression = re.sub(r"[A-Za-z_]\w*", lambda m: show(values[m[0]]), step.symbolic)
        value = evaluate(expression)
        if value is None or value <= 0 or number(show(value)) != value or len(show(value)) > 9 or (whole and value.denominator != 1):
            return None
        values[step.name] = value
        done.append(replace(step, expression=expression, value=value))
    return tuple(done)


def program_text(steps: Sequence[WorkedStep], answer: Fraction) -> str:
    """The checking program: it works the steps out from the question's numbers, and compares."""
    return "\n".join([*(f"{s.name}={s.symbolic}" for s in steps), f"print({steps[-1].name}=={show(answer)})"])


def verify_document(candidate: Attempted, rng: random.Random, *, noise: float = 0.0) -> Document | None:
    """The role's prompt and the teacher's program; a noisy teacher works out a wrong plan. None where the answer has no short decimal."""
    steps = candidate.taught.steps
    if noise and rng.random() < noise:
        wrong = misplanned_steps(candidate.taught, rng)
        steps = wrong or steps
    if number(show(candidate.answer)) != candidate.answer:
        return None
    prompt = TaggedPrograms().ask(candidate.taught.problem, candidate.text).spans[0].text
    # The two signs of == are encoded apart: merged they are a token that no training text of the base has, and an adapter trains no embeddings.
    worked, answer = program_text(steps, candidate.answer).split("==")
    return Document(((prompt, 0.0), (f"<code>\n{worked}=", 1.0), (f"={answer}\n</code>", 1.0)))


def judge_document(candidate: Attempted, rng: random.Random, *, noise: float = 0.0) -> Document:
    """The role's prompt and Yes or No."""
    right = candidate.right ^ bool(noise and rng.random() < noise)
    form = TaggedJudge()
    prompt = form.ask(candidate.taught.problem, candidate.text).spans[0].text
    return Document(((prompt, 0.0), (form.words[0 if right else 1], 1.0), ("<|end|>", 0.1)))


def steps_document(candidate: Attempted, rng: random.Random, *, noise: float = 0.0) -> Document:
    """The role's prompt, and a mark after each line up to the first wrong one."""
    form = TaggedSteps()
    lines = split_steps(candidate.text)
    wrong = first_wrong(candidate, lines)
    if noise and rng.random() < noise:
        wrong = rng.randrange(len(lines)) if wrong is None else None
    pieces = [(form.prompts(candidate.taught.problem, lines[:1])[0].spans[0].text, 0.0)]
    for index, line in enumerate(lines):
        pieces += [(step_text(line), 0.0), (form.marks[1 if index == wrong else 0], 1.0)]
        if index == wrong:
            break
    return Document(tuple(pieces))


def first_wrong(candidate: Attempted, lines: Sequence[str]) -> int | None:
    """The index of the first wrong line; None where the answer is right.

    A line is wrong where its equation is false, or (in a solution with a wrong answer) its value is none that the worked steps come by. Where every equation
    holds up, the last line is the wrong one: something is missing before it.
    """
    if candidate.right:
        return None
    passed = {step.value for step in candidate.taught.steps}
    for index, line in enumerate(lines):
        match = _LINE.fullmatch(line.replace(" ", ""))
        if match is None:
            continue
        value = evaluate(match["expression"])
        if value is None or value != Fraction(match["value"]) or value not in passed:
            return index
    return len(lines) - 1


def balanced(candidates: Sequence[Attempted], *, most: float, seed: int) -> list[Attempted]:
    """The candidates with neither right nor wrong ones above the share `most`; which are left out is drawn."""
    rng = random.Random(derive_seed("balance", seed))
    right, wrong = [c for c in candidates if c.right], [c for c in candidates if not c.right]
    bound = most / (1 - most)
    if right and wrong:
        right, wrong = _at_most(right, round(bound * len(wrong)), rng), _at_most(wrong, round(bound * len(right)), rng)
    both = [*right, *wrong]
    rng.shuffle(both)
    return both


def plans(candidates: Sequence[Attempted], share: float, rng: random.Random) -> Iterator[Attempted]:
    """The candidates, and as many planted wrong plans among them as make up `share`."""
    rate = share / (1 - share)
    for candidate in candidates:
        yield candidate
        if rng.random() < rate and (planted := misplanned(candidate.taught, rng)) is not None:
            yield planted


def displaced(candidates: Sequence[Attempted], share: float, rng: random.Random) -> list[Attempted]:
    """The candidates, and solutions of other problems among them that make up `share`: a role that only looks at the solution fails on these."""
    rate = share / (1 - share)
    strangers = [replace(rng.choice(candidates), taught=each.taught, planted=True) for each in candidates if rng.random() < rate]
    return [*candidates, *(replace(each, right=each.answer == each.taught.answer) for each in strangers)]


def with_worked(candidates: Sequence[Attempted], rng: random.Random) -> list[Attempted]:
    """The candidates, and where more of them are wrong than right, the teacher's own solutions of some of their problems: what a student that errs most of
    the time would write on its best day.
    """
    known = {(c.taught.problem.id, c.text) for c in candidates}
    worked = [attempted(taught, text_solution(taught.steps)) for taught in {c.taught.problem.id: c.taught for c in candidates}.values()]
    fresh = [w for w in worked if w is not None and w.right and (w.taught.problem.id, w.text) not in known]
    missing = sum(not c.right for c in candidates) - sum(c.right for c in candidates)
    return [*candidates, *_at_most(fresh, max(0, missing), rng)]


def number(text: str | None) -> Fraction | None:
    """The plain number that a text is; None for anything else."""
    try:
        return Fraction((text or "").replace(",", "").replace("$", "").strip())
    except (ValueError, ZeroDivisionError):
        return None


def misplanned_steps(taught: Taught, rng: random.Random) -> tuple[WorkedStep, ...] | None:
    """Steps with another sign, another of the question's numbers, or the last one left out, and so another result; None where none is found."""
    told = [n for n in (m.replace(",", "").rstrip(".") for m in NUMBER.findall(taught.problem.question)) if n]
    for _ in range(12):
        changed = _changed(taught.steps, told, rng)
        steps = reworked(changed) if changed else None
        if steps and steps[-1].value != taught.answer:
            return steps
    return None


def _changed(steps: tuple[WorkedStep, ...], told: Sequence[str], rng: random.Random) -> tuple[WorkedStep, ...] | None:
    """The steps with one change of plan."""
    kind = rng.choice(("sign", "sign", "number", "stop"))
    if kind == "stop":
        return steps[:-1] if len(steps) > 1 else None
    at = rng.randrange(len(steps))
    symbolic = steps[at].symbolic
    if kind == "sign":
        signs = [i for i, c in enumerate(symbolic) if c in _SWAPS]
        if not signs:
            return None
        place = rng.choice(signs)
        symbolic = symbolic[:place] + rng.choice(_SWAPS[symbolic[place]]) + symbolic[place + 1 :]
    else:
        numbers = list(re.finditer(r"(?<![\w.])\d+(?:\.\d+)?", symbolic))
        others = [n for n in told if not any(n == m[0] for m in numbers)]
        if not numbers or not others:
            return None
        match = rng.choice(numbers)
        symbolic = symbolic[: match.start()] + rng.choice(others) + symbolic[match.end() :]
    return (*steps[:at], replace(steps[at], symbolic=symbolic), *steps[at + 1 :])


def _at_most(candidates: list[Attempted], count: int, rng: random.Random) -> list[Attempted]:
    return candidates if len(candidates) <= count else rng.sample(candidates, count)
