"""Legitimate programs end in the sandbox as they end in plain Python: whole benchmarks and a corpus of our own, compared byte for byte with ``python -I``.

A false denial would be a wrong reward. The default run takes a sample of each; the mark `corpora` takes all.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from legitimate_snippets import NEEDS, NEEDS_LEVEL, SAMPLE, SNIPPETS, run_plainly

from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxResult

LIMITS = SandboxLimits(wall_s=120.0, cpu_s=20.0)
ENDLESS = SandboxLimits(wall_s=60.0, cpu_s=1.5)
"""For programs that may loop: those that do not are done long before."""
AT_ONCE = 4
BROKEN_MBPP = {"mbpp-0367", "mbpp-0927"}
"""Their set-up, which runs first, builds a class that only the program defines: they fail anywhere."""
Programs = dict[str, str]
Item = Mapping[str, Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=LIMITS) as made:
        yield made


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, as far as both worlds can tell."""

    passed: bool
    stdout: str
    error: str
    """Name of the exception; empty where there was none."""


# ---- benchmarks ----


def rows(name: str) -> list[dict[str, Any]]:
    if "TOOLWRIGHT_DATA" not in os.environ:
        pytest.skip("TOOLWRIGHT_DATA names no folder with the benchmarks")
    path = Path(os.environ["TOOLWRIGHT_DATA"]) / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the benchmarks in TOOLWRIGHT_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def humaneval(each: Item) -> str:
    return f"{each['prompt']}{each['canonical_solution']}\n{each['test']}\ncheck({each['entry_point']})\n"


def fixed(each: Item) -> str:
    return f"{each['declaration']}{each['canonical_solution']}\n{each['test']}\n"


def buggy(each: Item) -> str:
    return f"{each['declaration']}{each['buggy_solution']}\n{each['test']}\n"


def quix_fixed(each: Item) -> str:
    return f"{each['solution']}\n\n{each['tests']}\n"


def quix_buggy(each: Item) -> str:
    return f"{each['buggy_program']}\n\n{each['tests']}\n"


def mbpp(each: Item) -> str:
    return "\n".join([each["test_setup_code"], each["code"], *each["test_list"], ""])


BENCHMARKS: dict[str, tuple[str, Callable[[Item], str], int, set[str] | None]] = {
    # name: (file, program of a row, how many there are, those that must fail: None for all)
    "HumanEval": ("humaneval/test.jsonl", humaneval, 164, set()),
    "HumanEvalFix, fixed": ("humanevalfix_python/test.jsonl", fixed, 164, set()),
    "HumanEvalFix, buggy": ("humanevalfix_python/test.jsonl", buggy, 164, None),
    "QuixBugs, fixed": ("quixbugs/half_a.jsonl", quix_fixed, 20, set()),
    "QuixBugs, buggy": ("quixbugs/half_a.jsonl", quix_buggy, 20, None),
    "MBPP": ("mbpp/mbpp.jsonl", mbpp, 974, BROKEN_MBPP),
}


def plainly(code: str) -> Ended | None:
    """How it ends as ``python -I FILE``; None where it goes on beyond the limit. Its memory is bounded as the sandbox's is."""
    guard = f"import resource; resource.setrlimit(resource.RLIMIT_CPU, (3, 4)); resource.setrlimit(resource.RLIMIT_AS, ({1 << 30}, {1 << 30}))\n"
    runner = guard + "import sys; sys.argv = ['-c']; exec(compile(sys.stdin.buffer.read(), '<snippet>', 'exec'), {'__name__': '__main__'})"
    environment = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1", "PATH": os.defpath}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-I", "-c", runner], input=code.encode(), capture_output=True, cwd=folder, env=environment, check=False)
    if done.returncode < 0:
        return None
    last = done.stderr.decode().strip().rpartition("\n")[2]
    return Ended(done.returncode == 0, done.stdout.decode(), last.split(":")[0] if done.returncode else "")


def boxed(result: SandboxResult) -> Ended | None:
    assert result.outcome is not Outcome.INFRA, result
    if result.outcome in (Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL):
        return None
    error = "MemoryError" if result.outcome is Outcome.MEMORY else (result.error or "").split(":")[0]
    return Ended(result.ok, result.stdout, error)


async def both(sandbox: Sandbox, programs: Programs, limits: SandboxLimits) -> dict[str, tuple[Ended | None, Ended | None]]:
    """(plain, sandbox) of each program."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(code: str) -> tuple[Ended | None, Ended | None]:
        async with places:
            return await asyncio.to_thread(plainly, code), boxed(await sandbox.run(code, limits=limits))

    ended = await asyncio.gather(*map(one, programs.values()))
    return dict(zip(programs, ended, strict=True))


def judge(sandbox: Sandbox, name: str, chosen: Sequence[dict[str, Any]]) -> None:
    _, program, _, must_fail = BENCHMARKS[name]
    programs = {each["id"]: program(each) for each in chosen}
    ended = asyncio.run(both(sandbox, programs, LIMITS if must_fail is not None else ENDLESS))
    unlike = {key: pair for key, pair in ended.items() if pair[0] != pair[1]}
    assert not unlike
    passed = {key for key, (_, inside) in ended.items() if inside is not None and inside.passed}
    assert passed == set(programs) - (set(programs) if must_fail is None else must_fail)


@pytest.mark.corpora
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_whole_benchmark_ends_as_in_plain_python(sandbox: Sandbox, name: str) -> None:
    found = rows(BENCHMARKS[name][0])
    assert len(found) == BENCHMARKS[name][2]
    judge(sandbox, name, found)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_few_of_each_benchmark_end_as_in_plain_python(sandbox: Sandbox, name: str) -> None:
    found = rows(BENCHMARKS[name][0])
    judge(sandbox, name, found[:: max(1, len(found) // 4)][:4])


# ---- our own ----


def compare(sandbox: Sandbox, name: str) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    if sandbox.capabilities().level < NEEDS_LEVEL.get(name, 0):
        pytest.skip("below level 3 changes of mode are refused, as documented")
    inside = sandbox.run_sync(SNIPPETS[name])
    assert inside.ok, inside
    assert inside.stdout.encode() == run_plainly(SNIPPETS[name]).encode()


def test_there_are_enough() -> None:
    assert len(SNIPPETS) >= 60
    assert set(SAMPLE) <= set(SNIPPETS)
    assert len({name.partition(":")[0] for name in SNIPPETS}) >= 30


@pytest.mark.parametrize("name", SAMPLE)
def test_snippet_prints_the_same(sandbox: Sandbox, name: str) -> None:
    compare(sandbox, name)


@pytest.mark.corpora
@pytest.mark.parametrize("name", [name for name in SNIPPETS if name not in SAMPLE])
def test_every_snippet_prints_the_same(sandbox: Sandbox, name: str) -> None:
    compare(sandbox, name)
