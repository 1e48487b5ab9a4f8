"""Judging sums and differences of three to ten three-digit numbers: in words, by a program, and by the claims check, which is exact.

``toolwright reproduce arithmetic``: for each number of operands 500 right and 500 wrong equations, the wrong results within 5 % of the right one. Chance is one
half. *text*: the model says Yes or No at once (its judge role); *solve*: it works the sum out in text, and what it finds is compared; *program*: it
writes a checking program, which is run (ToolV-code with its verify role). An equation that a way could not decide counts as wrong there.

Source: T1 (arXiv 2504.04718), appendix A and figure 1, whose models were not trained for it; neither were these for more than two operands.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolwright.checks import extract_answer
from toolwright.episodes import Episode, Problem, Provenance, RunStore, SampleKey, SamplingParams, Span, StopReason, VerdictKey, Verifier, derive_seed
from toolwright.errors import UsageError
from toolwright.recipes._cast import Cast, open_cast
from toolwright.recipes._measuring import share
from toolwright.recipes._results import Measured, claim, result
from toolwright.rollouts import Rollout
from toolwright.sandbox import Sandbox
from toolwright.scaling import stored_attempt
from toolwright.verifiers import ClaimsVerifier, GenRM, ToolVCode

OPERANDS = tuple(range(3, 11))
EQUATIONS = 1000
"""For each number of operands; half of them are wrong."""
WAYS = ("text", "solve", "program", "claims")
WITHIN = 0.05
CHUNK = 50
FLAT_BAR = 0.99
CHANCE = 0.5
SOURCE = "T1 (arXiv 2504.04718), appendix A"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Equation:
    """``expression = stated``, right or wrong."""

    operands: int
    expression: str
    stated: int
    right: bool

    @property
    def problem(self) -> Problem:
        """As a problem for the models; its gold is whether the equation holds."""
        return Problem(f"arithmetic-{self.expression}={self.stated}", f"What is {self.expression}?", gold=str(self.right))

    @property
    def solution(self) -> str:
        """A solution that states it."""
        return f"{self.expression.replace(' ', '')}={self.stated}\n#### {self.stated}"


def equations(operands: int, count: int, *, seed: int = 0) -> list[Equation]:
    """Distinct equations, right and wrong ones in turn; a larger count only adds some. Results are positive."""
    rng, found = random.Random(derive_seed("arithmetic", operands, seed)), dict[str, Equation]()
    while len(found) < count:
        numbers = [rng.randint(100, 999) for _ in range(operands)]
        signs = [rng.choice("+-") for _ in range(operands - 1)]
        value = numbers[0] + sum(n if sign == "+" else -n for sign, n in zip(signs, numbers[1:], strict=True))
        room = int(WITHIN * value)
        if room < 1:
            continue
        right = len(found) % 2 == 0
        stated = value if right else value + rng.choice((-1, 1)) * rng.randint(1, room)
        expression = str(numbers[0]) + "".join(f" {sign} {n}" for sign, n in zip(signs, numbers[1:], strict=True))
        found.setdefault(expression, Equation(operands, expression, stated, right))
    return list(found.values())


@dataclass(slots=True)
class Judged:
    """What each way said of the equations: True, False, or None where it could not decide."""

    said: dict[tuple[str, int], list[tuple[Equation, bool | None]]] = field(default_factory=dict)
    complete: bool = True


def measure(
    model: str = "pico",
    *,
    store: Path,
    count: int = EQUATIONS,
    operands: Sequence[int] = OPERANDS,
    roles: Path | None = None,
    seed: int = 0,
    max_minutes: float | None = None,
    cast: Cast | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """The result; the same call goes on from what the store holds. `cast`: for tests. Raises: UsageError for impossible counts, or where time was too short."""
    if count < 2 or not operands or min(operands) < 2:
        raise UsageError(f"count = {count} and operands = {list(operands)}, but at least 2 equations of 2 operands are needed")
    started = time.monotonic()
    until = None if max_minutes is None else started + 60 * max_minutes
    playing = cast or open_cast(model, roles=[roles] if roles else ())
    judged = asyncio.run(_judge(playing, store, [equations(k, count, seed=seed) for k in operands], until, seed, tell or _to_stderr))
    if not judged.said:
        raise UsageError("the time was not enough for the first equations; what was judged is stored, so give more and run the same command again")
    found = tables(judged)
    command = f"toolwright reproduce arithmetic --model {Path(model).name} --equations {count}"
    return result(command, seconds=time.monotonic() - started, seeds=[seed], models=playing.models, tables=found, claims=claims(found))


async def _judge(cast: Cast, path: Path, sets: Sequence[Sequence[Equation]], until: float | None, seed: int, tell: Tell) -> Judged:
    judged = Judged()
    try:
        with RunStore(path) as store:
            async with Sandbox(allow_degraded=True) as sandbox:
                ways = _ways(cast, store, sandbox, seed)
                try:
                    async with asyncio.timeout(None if until is None else max(0.0, until - time.monotonic())):
                        # All numbers of operands advance together, so that a run that is stopped has measured each a little.
                        for start in range(0, max(map(len, sets)), CHUNK):
                            for each in sets:
                                await _chunk(each[start : start + CHUNK], ways, judged)
                            tell(f"{min(start + CHUNK, len(sets[0]))} of {len(sets[0])} equations of each number of operands")
                except TimeoutError:
                    judged.complete = False
                    tell("time is up; the same command goes on from there")
    finally:
        await cast.aclose()
    return judged


Way = Callable[[Equation], Awaitable[bool | None]]


async def _chunk(some: Sequence[Equation], ways: dict[str, Way], judged: Judged) -> None:
    said = {name: await asyncio.gather(*map(way, some)) for name, way in ways.items()}
    for name, verdicts in said.items():
        for equation, verdict in zip(some, verdicts, strict=True):
            judged.said.setdefault((name, equation.operands), []).append((equation, verdict))


def _ways(cast: Cast, store: RunStore, sandbox: Sandbox, seed: int) -> dict[str, Way]:
    tokens = 200 if cast.tagged else 512
    verifiers: dict[str, Verifier] = {
        "text": GenRM(cast.judge, form=cast.judgements),
        "program": ToolVCode(cast.verify, sandbox, form=cast.programs, temperature=0.0, max_new_tokens=tokens),
        "claims": ClaimsVerifier(),
    }
    solving = Rollout(cast.generator, params=SamplingParams(max_new_tokens=320 if cast.tagged else 1024, temperature=0.0))

    async def by_verifier(verifier: Verifier, equation: Equation) -> bool | None:
        problem = equation.problem
        key = VerdictKey(SampleKey(seed, problem.id, 0, "given"), verifier.digest)
        verdict = store.verdict(key)
        if verdict is None:
            episode = Episode(problem.id, 0, (Span(Provenance.MODEL, equation.solution),), StopReason.FINISHED, seed)
            verdict = await verifier.verify(problem.asked(), episode, seed=derive_seed(seed, problem.id) % 2**31)
            store.put_verdict(key, verdict)
        return None if verdict.score is None else verdict.score >= 0.5

    async def solve(equation: Equation) -> bool | None:
        episode = await stored_attempt(solving, equation.problem.asked(), store, run_seed=seed)(0)
        answer = extract_answer(episode.model_text)
        try:
            return None if answer is None else float(answer.replace(",", "")) == equation.stated
        except ValueError:
            return None

    def way(name: str) -> Way:
        return lambda equation: by_verifier(verifiers[name], equation)

    return {name: solve if name == "solve" else way(name) for name in WAYS}


def tables(judged: Judged) -> dict[str, Any]:
    """Accuracy of each way for each number of operands."""
    rows = []
    for (way, operands), said in sorted(judged.said.items(), key=lambda item: (WAYS.index(item[0][0]), item[0][1])):
        right = sum(verdict is equation.right for equation, verdict in said)
        undecided = sum(verdict is None for _, verdict in said)
        found = share(right, len(said))
        of_right = [verdict is True for equation, verdict in said if equation.right]
        of_wrong = [verdict is False for equation, verdict in said if not equation.right]
        rows.append(
            {
                "way": way,
                "operands": operands,
                "equations": len(said),
                "accuracy": found.value,
                "low": found.low,
                "high": found.high,
                "right_accepted": sum(of_right) / max(1, len(of_right)),
                "wrong_refuted": sum(of_wrong) / max(1, len(of_wrong)),
                "undecided": undecided / len(said),
            }
        )
    return {"accuracy": rows, "complete": judged.complete}


def claims(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Program and claims stay flat; words fall toward chance."""
    by_way = {way: sorted((row for row in found["accuracy"] if row["way"] == way), key=lambda row: row["operands"]) for way in WAYS}
    most = by_way["text"][-1]["operands"]
    made = []
    for way, told in (("program", "the model's programs"), ("claims", "the claims check")):
        worst = min(by_way[way], key=lambda row: row["accuracy"])
        text = f"{told} judge at least {FLAT_BAR:.0%} of the equations rightly at every number of operands (value: the worst, {worst['operands']})"
        made.append(claim(f"arithmetic-{way}-flat", text, SOURCE, _row(worst), Measured(FLAT_BAR), seen=worst["accuracy"] >= FLAT_BAR))
    for way, told in (("text", "the verdict in words"), ("solve", "working it out in text")):
        first, last = by_way[way][0], by_way[way][-1]
        text = f"{told} does worse with {most} operands than with {first['operands']} (value: {most}; against: {first['operands']}; intervals apart)"
        made.append(claim(f"arithmetic-{way}-falls", text, SOURCE, _row(last), _row(first), seen=last["high"] < first["low"]))
    program, text_row = by_way["program"][-1], max((by_way[way][-1] for way in ("text", "solve")), key=lambda row: row["accuracy"])
    text = f"with {most} operands programs judge better than words ({text_row['way']}; intervals apart)"
    return [*made, claim("arithmetic-program-over-text", text, SOURCE, _row(program), _row(text_row), seen=program["low"] > text_row["high"])]


def _row(row: dict[str, Any]) -> Measured:
    return Measured(row["accuracy"], row["low"], row["high"])


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
