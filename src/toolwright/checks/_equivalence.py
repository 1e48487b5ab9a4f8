"""Whether two answers are the same: for grading, and for votes that count values rather than strings."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import TracebackType

from toolwright.checks._answers import extract_answer


class Equivalence:
    """Decides about pairs of answers; a context manager, since workers may have to be closed."""

    def __enter__(self) -> Equivalence:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the workers; safe to call twice."""

    def compare(self, a: str, b: str) -> bool | None:
        """Whether the answers are the same; None where that could not be decided."""
        first, second = _value(a), _value(b)
        if first is not None and second is not None:
            return first == second
        if " ".join(a.casefold().split()) == " ".join(b.casefold().split()):
            return True
        return None

    def cluster(self, answers: Sequence[str | None]) -> list[int | None]:
        """The cluster number of each answer, numbered by first appearance; None where there is no answer."""
        leaders: list[str] = []
        numbers: list[int | None] = []
        for answer in answers:
            if answer is None:
                numbers.append(None)
                continue
            for number, leader in enumerate(leaders):
                if self.compare(leader, answer):
                    numbers.append(number)
                    break
            else:
                numbers.append(len(leaders))
                leaders.append(answer)
        return numbers

    def grade(self, answer: str | None, gold: str, *, choices: Sequence[str] = ()) -> bool | None:
        """Whether an answer is the gold one; no answer is wrong, None could not be decided."""
        if answer is None:
            return False
        if choices:
            return extract_answer(answer, choices=choices) == gold.strip().upper()
        return self.compare(answer, gold)


_shared = Equivalence()


def equivalent(a: str, b: str) -> bool | None:
    """Whether two answers are the same; None where that could not be decided."""
    return _shared.compare(a, b)


def grade(answer: str | None, gold: str, *, choices: Sequence[str] = ()) -> bool | None:
    """Whether an answer is the gold one; no answer is wrong, None could not be decided."""
    return _shared.grade(answer, gold, choices=choices)


def _value(text: str) -> Fraction | None:
    cleaned = extract_answer(f"#### {text}") or ""
    try:
        return Fraction(cleaned.replace("%", "")) / (100 if cleaned.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        return None
