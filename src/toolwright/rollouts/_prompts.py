"""What a model is told before it starts: the dialect's instruction, and the question with its options. Leaves out how templates render messages."""

from __future__ import annotations

from string import ascii_uppercase

from toolwright.episodes import Message, Problem

PROMPT_VERSION = 1
"""Raised when the wording of prompts changes."""


def messages_for(problem: Problem, system: str, *, system_role: bool = True) -> tuple[Message, ...]:
    """The messages that open an episode; the system text leads the user's where there is no system role."""
    asked = question_of(problem)
    if not system:
        return (Message("user", asked),)
    if not system_role:
        return (Message("user", f"{system}\n\n{asked}"),)
    return (Message("system", system), Message("user", asked))


def question_of(problem: Problem) -> str:
    """The question as the user asks it: with lettered options where it has any."""
    if not problem.choices:
        return problem.question
    options = "\n".join(f"({letter}) {choice}" for letter, choice in zip(ascii_uppercase, problem.choices, strict=False))
    return f"{problem.question}\n{options}\nFinish with the letter of the right option, like \\boxed{{A}}."


def shown(messages: tuple[Message, ...]) -> str:
    """The messages as a person reads them."""
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in messages)
