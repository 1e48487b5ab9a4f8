"""How a verifier asks its model: in chat messages (any instruct model), or in the embedded models' own role tags.

A form only writes prompts. The tagged ones are what the embedded models' roles were trained on, so training (`recipes`) and verifiers write them here, once.

====================  =====================================================================================================
program               ``<|verify|>solution<|user|>question<|tools|>`` → ``<code>`` … ``</code>``
judgement             ``<|user|>question<|text|>solution<|judge|>`` → ``Yes`` or ``No``
steps                 ``<|user|>question<|judge|>line`` → ``+`` or ``-``, then the next line, and so on
====================  =====================================================================================================

The program's question comes last, right before the tag of the interpreter dialect: from there on everything looks as the base model knows it, so that a small
adapter suffices. The judgement's prompt begins with exactly what the generator wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Protocol

from toolwright.episodes import Message, Problem, Prompt, Provenance, Span
from toolwright.verifiers._toolv_prompt import first_messages, repair_messages

_TAG = re.compile(r"<\|[a-z_0-9]+\|>")


class ProgramForm(Protocol):
    """How a checking program is asked for."""

    @property
    def name(self) -> str:
        """As digests name it."""

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends a program."""

    def ask(self, problem: Problem, solution: str) -> Prompt:
        """The prompt for a program."""

    def again(self, prompt: Prompt, reply: str, trouble: str) -> Prompt | None:
        """The prompt for another one, with what was wrong; None where the model was not taught to mend."""


@dataclass(frozen=True, slots=True)
class ChatPrograms:
    """Rules and two worked examples, for any instruct model; a program without a verdict is asked for again with its error."""

    examples: bool = True
    """False for a model that was taught the role: what `toolwright distill` trains on."""
    stop: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "chat/2" if self.examples else "chat-short/2"

    def ask(self, problem: Problem, solution: str) -> Prompt:
        return Prompt(first_messages(problem, solution, examples=self.examples))

    def again(self, prompt: Prompt, reply: str, trouble: str) -> Prompt | None:
        return Prompt(repair_messages(prompt.messages, reply, trouble))


@dataclass(frozen=True, slots=True)
class TaggedPrograms:
    """The verify role of the embedded models."""

    name: str = "tagged/1"
    stop: tuple[str, ...] = ("</code>",)

    def ask(self, problem: Problem, solution: str) -> Prompt:
        return raw(f"<|verify|>{plain(solution)}<|user|>{plain(asked(problem))}<|tools|>")

    def again(self, prompt: Prompt, reply: str, trouble: str) -> Prompt | None:
        return None


class JudgeForm(Protocol):
    """How a judgement is asked for, and how it ends."""

    @property
    def name(self) -> str:
        """As digests name it."""

    @property
    def words(self) -> tuple[str, str]:
        """What is scored: right, wrong."""

    @property
    def closing(self) -> str:
        """What stands between a rationale and its verdict; empty where no rationale is written."""

    def ask(self, problem: Problem, solution: str) -> Prompt:
        """The prompt for a judgement."""


@dataclass(frozen=True, slots=True)
class TaggedJudge:
    """The judge role of the embedded models: no rationale."""

    name: str = "tagged/1"
    words: tuple[str, str] = ("Yes", "No")
    closing: str = ""

    def ask(self, problem: Problem, solution: str) -> Prompt:
        return raw(f"<|user|>{plain(asked(problem))}<|text|>{plain(solution)}<|judge|>")


JUDGE_RULES = """\
You check solutions. You are given a question and somebody's solution. Go through it step by step: is every step right, and does it answer the question? \
Then write one last line, exactly in this form:
Verification: Is the answer correct (Yes/No)? Yes
or the same line with No."""


@dataclass(frozen=True, slots=True)
class ChatJudge:
    """A rationale and a verdict by any instruct model.

    Source: Zhang et al. 2024, *Generative Verifiers*, arXiv 2408.15240, for the last line.
    """

    name: str = "chat/1"
    words: tuple[str, str] = (" Yes", " No")
    closing: str = "\nVerification: Is the answer correct (Yes/No)?"

    def ask(self, problem: Problem, solution: str) -> Prompt:
        return Prompt((Message("system", JUDGE_RULES), Message("user", f"Question: {asked(problem)}\n\nSolution: {solution.strip()}")))


class StepForm(Protocol):
    """How steps are scored: what is told first, and what stands at the end of each step."""

    @property
    def name(self) -> str:
        """As digests name it."""

    @property
    def marks(self) -> tuple[str, str]:
        """What is scored after each step: good, bad."""

    def prompts(self, problem: Problem, steps: tuple[str, ...]) -> list[Prompt]:
        """One prompt per step: what goes before its mark."""


@dataclass(frozen=True, slots=True)
class TaggedSteps:
    """The judge role of the embedded models, step by step: each mark is read with all marks before it good, so the product is the chance that all are."""

    name: str = "tagged/1"
    marks: tuple[str, str] = ("+", "-")

    def prompts(self, problem: Problem, steps: tuple[str, ...]) -> list[Prompt]:
        # Each piece is a span of its own, because it was encoded apart in training.
        spans = [Span(Provenance.PROMPT, f"<|user|>{plain(asked(problem))}<|judge|>")]
        prompts = []
        for step in steps:
            spans.append(Span(Provenance.PROMPT, step_text(step)))
            prompts.append(Prompt(spans=tuple(spans)))
            spans.append(Span(Provenance.PROMPT, self.marks[0]))
        return prompts


@dataclass(frozen=True, slots=True)
class ChatSteps:
    """The steps so far in chat messages, for any model that was trained to mark them so.

    `tag` ends each step and is what the mark is predicted after; the marks themselves do not go into the text. Source: Wang et al. 2024, *Math-Shepherd*, arXiv
    2312.08935, whose released model scores ``+`` and ``-`` after such a tag.
    """

    name: str = "chat-steps/1"
    marks: tuple[str, str] = ("+", "-")
    tag: str = " ки"

    def prompts(self, problem: Problem, steps: tuple[str, ...]) -> list[Prompt]:
        told = f"{asked(problem)} "
        prompts = []
        for number, step in enumerate(steps, 1):
            told += f"Step {number}: {step}{self.tag}\n"
            prompts.append(raw(told.rstrip("\n")))
        return prompts


def raw(text: str) -> Prompt:
    """A prompt without messages."""
    return Prompt(spans=(Span(Provenance.PROMPT, text),))


def plain(text: str) -> str:
    """Text that cannot speak in another role: control tags are taken out."""
    return _TAG.sub("", text)


def asked(problem: Problem) -> str:
    """The question, with its lettered options where it has any."""
    options = "".join(f"\n({letter}) {choice}" for letter, choice in zip(ascii_uppercase, problem.choices, strict=False))
    return f"{problem.question.strip()}{options}"


def step_text(step: str) -> str:
    """A step as the tagged form feeds it."""
    return f"{plain(step)}\n"
