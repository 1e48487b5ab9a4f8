"""Choosing among a code model's programs by asserts that the same model wrote (CodeT, arXiv 2207.10397): run once, kept, chosen from as often as needed.

Each program is run against every assert of its problem in the sandbox; what is kept is whether each passed and what its left side gave. Leaves out the hidden
tests: whether a program is right was recorded with the pool.
"""

from __future__ import annotations

import ast
import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from toolwright.episodes import derive_seed, digest, read_lines
from toolwright.errors import UsageError
from toolwright.evaluation import pass_at_n
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits

_LIMITS = SandboxLimits(wall_s=20.0, cpu_s=10.0)
_ASSERT_S = 0.5
"""Of processor time, so that a busy machine changes nothing."""
_RUN = """
import contextlib, io, json, signal
program, checks = json.loads({given!r})
found, space = [], {{"__name__": "checked"}}

def stop(*_):
    raise TimeoutError

signal.signal(signal.SIGVTALRM, stop)

def given(work):
    signal.setitimer(signal.ITIMER_VIRTUAL, {seconds})
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return True, work()
    except BaseException as error:
        return False, type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

loaded, why = given(lambda: exec(compile(program, "program", "exec"), space))
for left, check in checks if loaded else []:
    held, _ = given(lambda: exec(compile(check, "check", "exec"), space))
    gave = given(lambda: repr(eval(compile(left, "left", "eval"), space))[:200]) if left else [held, str(held)]
    found.append([held, str(gave[1])])
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one program did on the asserts of its problem."""

    passed: tuple[bool, ...]
    gave: tuple[str, ...]
    """What each left side gave, or the exception's name."""
    right: bool
    """By the benchmark's hidden tests, as recorded."""


def read_asserts(path: Path) -> dict[str, list[str]]:
    """The asserts a model wrote, by problem; those that are no Python are left out."""
    found: dict[str, list[str]] = {}
    for _, row in read_lines(path):
        found[row["problem_id"]] = [line for line in dict.fromkeys(map(str.strip, row["asserts"])) if _left(line) is not None]
    return found


async def run_programs(
    programs: Mapping[tuple[str, int], str], asserts: Mapping[str, Sequence[str]], kept: Path, *, at_once: int = 2, tell: Callable[[str], None] | None = None
) -> dict[tuple[str, int], list[list[Any]]]:
    """[passed, what the left side gave] per assert of every program, by (problem id, sample index); runs found in the file `kept` are not run again.

    A program that does not load, or runs out of time as a whole, passes nothing. Raises: UsageError where the sandbox itself fails.
    """
    done = {row["key"]: row["found"] for _, row in read_lines(kept)} if kept.is_file() else {}
    keys = {place: digest("codet", program, list(asserts.get(place[0], []))) for place, program in programs.items()}
    todo = {key: place for place, key in keys.items() if key not in done}
    kept.parent.mkdir(parents=True, exist_ok=True)
    room = asyncio.Semaphore(at_once)
    with Sandbox() as sandbox, kept.open("a", encoding="utf-8") as out:

        async def one(number: int, key: str, place: tuple[str, int]) -> None:
            async with room:
                done[key] = await _run(sandbox, programs[place], asserts.get(place[0], []))
            out.write(json.dumps({"key": key, "found": done[key]}) + "\n")
            out.flush()
            if tell is not None and number % 250 == 0:
                tell(f"programs run: {number} of {len(todo)}")

        await asyncio.gather(*(one(number, key, place) for number, (key, place) in enumerate(todo.items(), 1)))
    return {place: done[key] for place, key in keys.items()}


def choices(samples: Sequence[Checked]) -> dict[str, float]:
    """The chance to be right of each way to choose one of the samples, ties broken evenly.

    random: any; behaviour: one of the largest set of programs that gave the same everywhere; asserts: one of those that passed most; codet: one of the set (by
    which asserts it passed) with the largest product of programs and asserts.
    """
    behaviours: dict[tuple[str, ...], list[Checked]] = defaultdict(list)
    sets: dict[tuple[bool, ...], list[Checked]] = defaultdict(list)
    for sample in samples:
        behaviours[sample.gave].append(sample)
        sets[sample.passed].append(sample)
    return {
        "random": fmean(s.right for s in samples),
        "behaviour": _best(list(behaviours.values()), lambda group: len(group)),
        "asserts": _best(list(sets.values()), lambda group: sum(group[0].passed)),
        "codet": _best(list(sets.values()), lambda group: len(group) * sum(group[0].passed)),
    }


def expected_choices(samples: Sequence[Checked], n: int, *, subsets: int, seed: int) -> dict[str, float]:
    """The same for n of the samples, as a mean over random subsets; with pass@n."""
    right = sum(s.right for s in samples)
    found = {"pass@n": pass_at_n(len(samples), right, n)}
    generator = random.Random(derive_seed(seed, "codet", n))
    drawn = [choices(samples if n == len(samples) else generator.sample(list(samples), n)) for _ in range(1 if n == len(samples) else subsets)]
    found |= {name: fmean(each[name] for each in drawn) for name in drawn[0]}
    return {**found, "random": right / len(samples)}


def checked(found: Sequence[Sequence[Any]], count: int, right: bool) -> Checked:
    """One program's results in full length: what did not load passed nothing and gave nothing."""
    rows = found or [[False, "did not load"]] * count
    return Checked(tuple(bool(held) for held, _ in rows), tuple(str(gave) for _, gave in rows), right)


def _best(groups: Sequence[Sequence[Checked]], worth: Callable[[Sequence[Checked]], int]) -> float:
    most = max(worth(group) for group in groups)
    return fmean(s.right for group in groups if worth(group) == most for s in group)


async def _run(sandbox: Sandbox, program: str, asserts: Sequence[str]) -> list[list[Any]]:
    if not asserts:
        return []
    given = json.dumps([program, [[_left(line), line] for line in asserts]])
    result = await sandbox.run(_RUN.format(given=given, seconds=_ASSERT_S), limits=_LIMITS)
    if result.outcome is Outcome.INFRA:
        raise UsageError(f"the sandbox failed ({result.error or result.stderr}); run the same command again, what was run is kept")
    try:
        found = json.loads(result.stdout.splitlines()[-1]) if result.ok else []
    except (ValueError, IndexError):
        return []
    return found if isinstance(found, list) and len(found) in (0, len(asserts)) else []


def _left(line: str) -> str | None:
    """What an assert looks at: the left side of a comparison, else all of it; None where it is no single assert."""
    try:
        body = ast.parse(line).body
    except (SyntaxError, ValueError):
        return None
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        return None
    test = body[0].test
    return ast.unparse(test.left if isinstance(test, ast.Compare) else test)
