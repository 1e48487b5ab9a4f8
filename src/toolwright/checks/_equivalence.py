"""Whether two answers are the same: for grading, and for votes that count values rather than strings.

Cheap exact paths first, in this process; what they leave open goes to killable workers with sympy and math-verify. The verdict never depends on the order of
the pair, nothing hangs, and *could not decide* is None. How ambiguous spellings are read stands in `_readings`, what stays undecided in `_deciding`.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Sequence
from types import TracebackType

from toolwright.checks._answers import extract_answer
from toolwright.checks._deciding import decide
from toolwright.checks._readings import Reading, read
from toolwright.checks._shapes import Ask, ExactJudge
from toolwright.checks._workers import Workers
from toolwright.errors import UsageError

_CACHED = 50_000
_EXACT = ExactJudge()


class Equivalence:
    """Decides about pairs of answers. Safe to use from many threads.

    A pair that takes a worker more than `deadline_s` seconds of processor time is undecided; by the clock that is at most five times as long on a busy machine
    (and once the time a worker needs to start).

    A context manager; without one, its workers end with the object or the program.
    """

    def __init__(self, *, deadline_s: float = 2.0, workers: int | None = None) -> None:
        self._workers = Workers(count=min(4, os.cpu_count() or 1) if workers is None else workers, deadline_s=deadline_s)
        self._verdicts: dict[tuple[str, str], bool | None] = {}
        self._readings: dict[str, Reading] = {}
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, self._workers.close)

    def __enter__(self) -> Equivalence:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; safe to call twice."""
        self._finalizer()

    @property
    def worker_calls(self) -> int:
        """How many pairs were not decided in this process."""
        return self._workers.asked

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the workers alive."""
        return self._workers.pids()

    def compare(self, a: str, b: str) -> bool | None:
        """Whether the answers are the same; None where that could not be decided. The order does not matter.

        Raises: UsageError for anything but text; VerifierFault where no worker can be started.
        """
        for answer in (a, b):
            if not isinstance(answer, str):
                raise UsageError(f"an answer is text, not {type(answer).__name__}: {answer!r}")
        if _bare(a) == _bare(b):
            return True
        pair = (a, b) if a < b else (b, a)
        with self._lock:
            if pair in self._verdicts:
                return self._verdicts[pair]
        verdict = self._decide(*pair)
        with self._lock:
            if len(self._verdicts) >= _CACHED:
                self._verdicts.clear()
            self._verdicts[pair] = verdict
        return verdict

    def cluster(self, answers: Sequence[str | None]) -> list[int | None]:
        """The cluster number of each answer, numbered by first appearance; None where there is no answer.

        An answer joins the first cluster whose leader it equals. A leader without a unit gives way to the first answer with one, so that "5", "5 km" and "5 m"
        make two clusters, not one. A percentage that equals no leader joins the one that writes the same number without the sign.
        """
        found = _Clusters(self)
        numbers = [None if answer is None else found.number(answer) for answer in answers]
        return found.renumbered(numbers)

    def grade(self, answer: str | None, gold: str, *, choices: Sequence[str] = ()) -> bool | None:
        """Whether an answer is the gold one. No answer is wrong; None could not be decided.

        With `choices`, both are read as letters (the gold may also be an option's text). Where a spelling is open, the gold says how to read it: "10" answers
        "10%" and the other way round, "3, 4" answers "(3, 4)", "2516" answers ``2516_8``.
        """
        if answer is None or not answer.strip():
            return False
        if choices:
            right = extract_answer(f"<answer>{gold}</answer>", choices=choices)
            if right is None:
                raise UsageError(f"the gold answer {gold!r} is none of the {len(choices)} choices; give its letter or its text")
            return extract_answer(f"<answer>{answer}</answer>", choices=choices) == right
        verdict = self.compare(answer, gold)
        if verdict is None:
            return True if any(self.compare(other, gold) for other in _as_gold_writes(answer, gold)) else None
        return verdict

    def peer_verdict(self, gold: str, answer: str) -> bool | None:
        """What math-verify itself says about the pair in this order, unguarded; None where it hung or failed. For comparison only."""
        verdict = self._workers.ask({"op": "peer", "a": gold, "b": answer})
        return None if verdict is None else bool(verdict)

    def rewrite(self, answer: str) -> str | None:
        """The answer as sympy prints it after math-verify has read it; None where it cannot be read."""
        text = self._workers.ask({"op": "rewrite", "a": answer})
        return None if text is None else str(text)

    def _read(self, answer: str) -> Reading:
        with self._lock:
            reading = self._readings.get(answer)
        if reading is None:
            reading = read(answer)
            with self._lock:
                if len(self._readings) >= _CACHED:
                    self._readings.clear()
                self._readings[answer] = reading
        return reading

    def _decide(self, a: str, b: str) -> bool | None:
        try:
            return decide(self._read(a), self._read(b), _EXACT)
        except Ask:
            verdict = self._workers.ask({"op": "compare", "a": a, "b": b})
            return None if verdict is None else bool(verdict)


def _bare(answer: str) -> str:
    """The text without the dollars and spaces around it: the same signs are the same answer, even where mathematics mode would read them otherwise."""
    text = answer.strip()
    while len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    return text


class _Clusters:
    """Clusters under construction."""

    def __init__(self, equivalence: Equivalence) -> None:
        self._equivalence = equivalence
        self._leaders: list[str] = []
        self._by_text: dict[str, int] = {}
        self._by_value: dict[object, int] = {}

    def number(self, answer: str) -> int:
        if answer in self._by_text:
            return self._by_text[answer]
        reading = self._equivalence._read(answer)
        key = _key(reading)
        number = self._by_value.get(key) if key is not None else None
        if number is None:
            number = next((n for n, leader in enumerate(self._leaders) if self._equivalence.compare(leader, answer)), None)
        if number is None:
            number = len(self._leaders)
            self._leaders.append(answer)
        elif reading.unit and not self._equivalence._read(self._leaders[number]).unit:
            self._leaders[number] = answer
        self._by_text[answer] = number
        if key is not None:
            self._by_value.setdefault(key, number)
        return number

    def renumbered(self, numbers: list[int | None]) -> list[int | None]:
        """The numbers with lone percentages joined to the same number without the sign, in order of first appearance."""
        joined = {number: self._plain_twin(number) for number in range(len(self._leaders))}
        order: dict[int, int] = {}
        return [None if number is None else order.setdefault(joined[number], len(order)) for number in numbers]

    def _plain_twin(self, number: int) -> int:
        leader = self._equivalence._read(self._leaders[number])
        members = [text for text, n in self._by_text.items() if n == number]
        if not leader.percent or not all(self._equivalence._read(text).percent for text in members):
            return number
        plain = self._leaders[number].replace("\\%", "").replace("%", "").replace("percent", "")
        for other, text in enumerate(self._leaders):
            if other != number and not self._equivalence._read(text).percent and self._equivalence.compare(plain, text):
                return other
        return number


def _key(reading: Reading) -> object:
    """What two answers share only if they are equal; None where there is no such thing."""
    if reading.is_choice:
        return ("choice", reading.letter)
    if reading.node is None or reading.letter:
        return None
    return (reading.node, reading.unit, reading.percent, reading.name, reading.is_compound)


def _as_gold_writes(answer: str, gold: str) -> list[str]:
    """The other ways to read an answer that the gold's own form suggests."""
    wanted, given = read(gold), read(answer)
    ways = []
    if wanted.percent and not given.percent:
        ways.append(f"{answer}%")
    if given.percent and not wanted.percent:
        ways.append(answer.replace("\\%", "").replace("%", "").replace("percent", ""))
    if wanted.node is None or given.node is None:
        return ways
    if given.unit.weak and not wanted.unit:
        ways.append(re.sub(r"\s*[A-Za-z]\.?\s*$", "", answer))
    if wanted.node[0] == "base" and given.node[0] == "num":
        ways.append(f"{answer}_{{{wanted.node[2]}}}")
    if wanted.node[0] == "tuple" and given.node[0] == "list":
        ways.append(f"({answer})")
    if wanted.node[0] == "list" and given.node[0] == "tuple":
        ways.append(
            answer.strip().removeprefix("$").removesuffix("$").strip().removeprefix("\\left").removeprefix("(").removesuffix(")").removesuffix("\\right")
        )
    return ways


_shared = Equivalence()


def equivalent(a: str, b: str) -> bool | None:
    """Whether two answers are the same; None where that could not be decided."""
    return _shared.compare(a, b)


def grade(answer: str | None, gold: str, *, choices: Sequence[str] = ()) -> bool | None:
    """Whether an answer is the gold one; no answer is wrong, None could not be decided."""
    return _shared.grade(answer, gold, choices=choices)
