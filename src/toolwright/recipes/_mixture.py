"""What the embedded models are trained on, as an endless stream of examples: the position decides everything, so a run can go on from any of them.

Parts: word problems from the project's own *train* templates, GSM8K's training split (MIT; with numbers redrawn half of the time), and plain arithmetic.
Each in the text dialect and in the interpreter dialect. No test item and no test template occurs here; a part of GSM8K's training split is held out for
validation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal

from toolwright.episodes import Problem, derive_seed, digest, read_lines
from toolwright.errors import UsageError
from toolwright.recipes._worked import WorkedStep, code_solution, evaluate, gsm8k_steps, redraw, text_solution
from toolwright.tasks import Dial, Split, generate
from toolwright.training import Example

Dialect = Literal["text", "retool"]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the parts, and the dial's distribution for word problems."""

    gsm8k: float
    arithmetic: float
    retool: float
    """The share of the interpreter dialect."""
    stories: float
    """The share of stories among the word problems."""
    things: float
    """The chance that a template's nouns come from one large list."""
    kits: float
    """The share of problems composed from kits among the word problems."""
    digits: tuple[float, ...]
    """Chances of 1, 2, … digits."""
    prompt_weight: float
    """The loss weight of the question's tokens; the solution's count 1, a tool's 0."""


@dataclass(frozen=True, slots=True)
class Document:
    """A question and its worked solution in one dialect, as (text, loss weight) pieces."""

    pieces: tuple[tuple[str, float], ...]

    @property
    def target(self) -> str:
        """What the model is to write: the pieces of full weight."""
        return "".join(text for text, weight in self.pieces if weight >= 1)

    def encode(self, encode: Encode) -> Example:
        """The example; pieces are encoded apart, as they are at test time."""
        ids: list[int] = []
        weights: list[float] = []
        for text, weight in self.pieces:
            new = encode(text)
            ids += new
            weights += [weight] * len(new)
        return Example(tuple(ids), tuple(weights))


def stream(mixture: Mixture, data: Path, encode: Encode, *, seed: int, position: int = 0, longest: int = 400) -> Iterator[Example]:
    """Training examples from a position on, those longer than `longest` tokens left out."""
    gsm8k = gsm8k_train(data, "train")
    while True:
        example = document(mixture, gsm8k, "train", seed, position).encode(encode)
        position += 1
        # A left-out example still takes its position: it is replaced by nothing but an empty one of a single token.
        yield example if len(example.ids) <= longest else Example(example.ids[:1], (0.0,))


def document(mixture: Mixture, gsm8k: tuple[tuple[str, tuple[WorkedStep, ...]], ...], split: Split, seed: int, position: int) -> Document:
    """The document at a position."""
    rng = random.Random(derive_seed("mixture", seed, position))
    dialect: Dialect = "retool" if rng.random() < mixture.retool else "text"
    part = rng.random()
    if part < mixture.gsm8k:
        question, steps = rng.choice(gsm8k)
        if rng.random() < 0.5 and (other := redraw(question, steps, rng)) is not None:
            question, steps = other
        return written(question, steps, dialect, mixture.prompt_weight)
    if part < mixture.gsm8k + mixture.arithmetic:
        return written(*_arithmetic(rng), "text", mixture.prompt_weight)
    digits = rng.choices(range(1, len(mixture.digits) + 1), mixture.digits)[0]
    steps_wanted = None if rng.random() < 0.75 else rng.choice((1, 2, 2, 3, 3, 4, 5))
    dial = Dial(digits=digits, steps=steps_wanted, distractors=0.35, stories=mixture.stories)
    problem = generate(split, position, dial, seed=seed, things=mixture.things, kits=mixture.kits)
    steps = steps_of(problem)
    if any(_too_hard(s.expression) for s in steps):
        dialect = "retool"
    return written(problem.question, steps, dialect, mixture.prompt_weight)


def written(question: str, steps: tuple[WorkedStep, ...], dialect: Dialect, prompt_weight: float = 0.0) -> Document:
    """The document of a worked problem, in the form of the embedded models' chat template."""
    if dialect == "text":
        return Document(((f"<|user|>{question}<|text|>", prompt_weight), (text_solution(steps) + "<|end|>", 1.0)))
    call, output, answer = code_solution(steps)
    return Document(((f"<|user|>{question}<|tools|>", prompt_weight), (call, 1.0), (output, 0.0), (answer + "<|end|>", 1.0)))


def steps_of(problem: Problem) -> tuple[WorkedStep, ...]:
    """The worked steps of a procedural word problem; the numbers told in the question stand as numbers, earlier results as n1, n2 and so on.

    The templates' own names (``left``, ``total``) are not used: those of a new template cannot be guessed, and models grew sure of wrong ones.
    """
    known = {name: str(value) for name, value in problem.meta["quantities"].items()}
    steps = []
    for number, step in enumerate(problem.meta["steps"], 1):
        symbolic = re.sub(r"[A-Za-z_]\w*", lambda m: known[m[0]], step["symbolic"].replace(" ", ""))
        steps.append(WorkedStep(f"n{number}", symbolic, step["expression"].replace(" ", ""), Fraction(step["value"])))
        known[step["name"]] = f"n{number}"
    return tuple(steps)


@cache
def gsm8k_train(data: Path, part: Literal["train", "validation"]) -> tuple[tuple[str, tuple[WorkedStep, ...]], ...]:
    """(question, steps) of GSM8K's training split; every 20th by digest is validation.

    Raises: UsageError where the data folder has no GSM8K.
    """
    path = data / "gsm8k" / "train.jsonl.gz"
    if not path.is_file():
        raise UsageError(f"no GSM8K training split at {path}; set TOOLWRIGHT_DATA to a folder that holds gsm8k/train.jsonl.gz")
    rows = []
    for _, row in read_lines(path):
        held_out = int(digest("gsm8k-train", row["id"]), 16) % 20 == 0
        steps = gsm8k_steps(row["question"], row["answer"], row["final_answer"])
        if steps is not None and held_out == (part == "validation"):
            rows.append((" ".join(row["question"].split()), steps))
    return tuple(rows)


def validation_sets(data: Path, encode: Encode, *, count: int = 200) -> dict[str, list[Example]]:
    """Held-out examples: word problems of validation templates in both dialects, of validation kits, and GSM8K training problems never trained on."""
    sets: dict[str, list[Example]] = {"templates_text": [], "templates_retool": [], "kits_retool": [], "gsm8k_retool": []}
    for index in range(count):
        problem = generate("validation", index, Dial(digits=(1, 2, 3, 4)[index % 4]), seed=1)
        for dialect in ("text", "retool"):
            sets[f"templates_{dialect}"].append(written(problem.question, steps_of(problem), dialect).encode(encode))
        kit = generate("validation", index, Dial(digits=(1, 2, 2, 3)[index % 4]), seed=1, kits=1.0)
        sets["kits_retool"].append(written(kit.question, steps_of(kit), "retool").encode(encode))
    for question, steps in gsm8k_train(data, "validation")[:count]:
        sets["gsm8k_retool"].append(written(question, steps, "retool").encode(encode))
    return sets


def _arithmetic(rng: random.Random) -> tuple[str, tuple[WorkedStep, ...]]:
    """A bare calculation of one to three steps."""

    def number() -> int:
        return rng.randint(1, 10 ** rng.choice((1, 2, 2, 3, 3, 4, 5)) - 1)

    sign = rng.choice("++--*/")
    if sign == "*":
        a, b = number(), rng.randint(2, 12)
    elif sign == "/":
        b = rng.randint(2, 12)
        a = b * number()
    else:
        a, b = number(), number()
        if sign == "-" and a < b:
            a, b = b, a
        if a == b:
            a += 1
    expression = f"{a}{sign}{b}"
    value = evaluate(expression)
    if value is None:
        raise UsageError(f"not arithmetic: {expression}")
    wording = rng.choice(("What is {}?", "Compute {}.", "Calculate {}.", "{} = ?", "Find {}."))
    return wording.format(f"{a} {sign} {b}"), (WorkedStep("n1", expression, expression, value),)


def _too_hard(expression: str) -> bool:
    """A product or quotient no one does in the head: two long factors. Such problems are only ever taught with the interpreter."""
    for sign in "*/":
        left, found, right = expression.partition(sign)
        if found and min(len(left), len(right)) >= 3:
            return True
    return False


def sample_texts(mixture: Mixture, data: Path, *, count: int, seed: int) -> Iterator[str]:
    """Texts for training the tokenizer."""
    gsm8k = gsm8k_train(data, "train")
    for position in range(count):
        yield "".join(text for text, _ in document(mixture, gsm8k, "train", seed, position).pieces)


def describe(mixture: Mixture) -> dict[str, Any]:
    """What goes into the model card; *kits* is their share of the word problems."""
    return {
        "gsm8k_train": mixture.gsm8k,
        "arithmetic": mixture.arithmetic,
        "word_problems": round(1 - mixture.gsm8k - mixture.arithmetic, 3),
        "kits": mixture.kits,
        "retool": mixture.retool,
    }
