"""How ToolV-facts asks its model, and how the last line of a rationale is read: rules, two worked examples, the verdict, the statement it tells about.

For models that were taught the role with tags of their own, another `FactForm` stands in; a bare Yes or No is a rationale too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Protocol

from toolwright.episodes import Message, Problem, Prompt
from toolwright.retrieval import Passage

LAST_LINE = "Verification: Are all statements correct? (Yes/No)?"
RULES = f"""\
You check facts. You are given a question, documents, and somebody's solution. Judge every explicit statement of fact in the solution against the documents, \
and against nothing else: what you remember does not count.
- Take the statements one after the other. For each write one line: the statement, then SUPPORTED, CONTRADICTED or NOT FOUND, then the words of the document \
that decide it.
- A statement that the documents say nothing about is NOT FOUND and counts as correct.
- Names must agree to the letter: a document about something with a similar name says nothing about it.
- Do not judge the line that gives the final answer, nor arithmetic, plans and opinions.
- End with this line and one word: {LAST_LINE} Yes
  Write No instead of Yes if at least one statement is CONTRADICTED, and only then."""

_RIVER = (Passage("r1", "Alder Bridge", "Alder Bridge crosses the Tamm. It was opened in 1911 and is 140 metres long."),)
_EXAMPLES = (
    (
        Problem("example-1", "How long is the bridge that was opened in 1911?"),
        _RIVER,
        "Alder Bridge was opened in 1911. It was drawn by Ida Holt. It is 410 metres long.\nThe answer is 410.",
        '1. "Alder Bridge was opened in 1911": SUPPORTED, document 1 says "It was opened in 1911".\n'
        '2. "It was drawn by Ida Holt": NOT FOUND, no document names who drew it.\n'
        '3. "It is 410 metres long": CONTRADICTED, document 1 says "is 140 metres long".\n'
        f"{LAST_LINE} No",
    ),
    (
        Problem("example-2", "Which river does Alder Bridge cross?", choices=("the Orm", "the Tamm")),
        (*_RIVER, Passage("r2", "Elder Bridge", "Elder Bridge crosses the Orm. It was opened in 1874.")),
        "Alder Bridge crosses the Tamm, which is a cold river. So the answer is (B).",
        '1. "Alder Bridge crosses the Tamm": SUPPORTED, document 1 says "Alder Bridge crosses the Tamm".\n'
        '2. "the Tamm is a cold river": NOT FOUND, no document tells how cold it is.\n'
        f"{LAST_LINE} Yes",
    ),
)
_ASKED = re.compile(r"\(?\s*yes\s*(?:/|or)\s*no\s*\)?", re.IGNORECASE)
_MARK = re.compile(r"are all (?:the )?statements correct|^\W*verification\b", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_ALONE = re.compile(r"\W*(yes|no)\W*", re.IGNORECASE)
_CONTRADICTED = re.compile(r"\bcontradict", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no(?:ne|thing)?|never|neither|without)\b[^.;:\n]{0,40}\bcontradict", re.IGNORECASE)
_LONGEST = 300


class FactForm(Protocol):
    """How a rationale is asked for."""

    @property
    def name(self) -> str:
        """As digests name it; it changes with the wording."""

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends a rationale."""

    def ask(self, problem: Problem, passages: Sequence[Passage], solution: str) -> Prompt:
        """The prompt for a rationale."""


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """Rules and two worked examples, for any instruct model."""

    characters: int = 1500
    """A longer passage is cut between words."""
    stop: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"chat/1 {self.characters}"

    def ask(self, problem: Problem, passages: Sequence[Passage], solution: str) -> Prompt:
        examples = tuple(
            message
            for example, found, worked, rationale in _EXAMPLES
            for message in (_ask(example, found, worked, self.characters), Message("assistant", rationale))
        )
        return Prompt((Message("system", RULES), *examples, _ask(problem, passages, solution, self.characters)))


def facts_verdict(rationale: str) -> bool | None:
    """What the last line of a rationale says: True for Yes, False for No; None where there is no such line, or it says neither or both."""
    marks = list(_MARK.finditer(rationale))
    if not marks:
        lines = [line for line in rationale.splitlines() if line.strip()]
        alone = _ALONE.fullmatch(lines[-1]) if lines else None
        return None if alone is None else alone[1].lower() == "yes"
    said = {word.lower() for word in _WORD.findall(_ASKED.sub(" ", rationale[marks[-1].start() :]))}
    return said == {"yes"} if len(said) == 1 else None


def contradicted(rationale: str) -> str | None:
    """The line on the first statement that was found contradicted, or the last line before the verdict; None for a bare verdict."""
    marks = list(_MARK.finditer(rationale))
    before = rationale[: rationale.rfind("\n", 0, marks[-1].start()) + 1] if marks else rationale
    lines = [" ".join(line.split()) for line in before.splitlines() if line.strip() and not _ALONE.fullmatch(line)]
    telling = [line for line in lines if _CONTRADICTED.search(line) and not _DENIED.search(line)] or lines[-1:]
    if not telling:
        return None
    return telling[0] if len(telling[0]) <= _LONGEST else telling[0][:_LONGEST].rstrip() + " …"


def _ask(problem: Problem, passages: Sequence[Passage], solution: str, characters: int) -> Message:
    choices = "".join(f"\n({letter}) {choice}" for letter, choice in zip(ascii_uppercase, problem.choices, strict=False))
    documents = "\n\n".join(f"[{number}] {_cut(passage.shown, characters)}" for number, passage in enumerate(passages, 1))
    return Message(
        "user",
        f"<question>\n{problem.question.strip()}{choices}\n</question>\n\n<documents>\n{documents}\n</documents>\n\n<solution>\n{solution.strip()}\n</solution>",
    )


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    return text[:characters].rsplit(None, 1)[0] + " …"
