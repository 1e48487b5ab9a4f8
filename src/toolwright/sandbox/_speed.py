"""How fast the sandbox is on this machine, beside a fresh interpreter for each snippet: a few seconds' look, not a study (``benchmarks/sandbox.py`` is)."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox._client import Sandbox
from toolwright.sandbox._types import SandboxLimits, SandboxResult

SNIPPETS = {
    "trivial": ("print(2 + 2)", "4"),
    "numpy": ("import numpy as np\nprint(round(np.linalg.det(np.array([[2., 1, 0], [1, 3, 1], [0, 1, 4]]))))", "18"),
    "sympy": ("import sympy as s\nx = s.Symbol('x')\nprint(s.solve(x**2 - 5*x + 6))", "[2, 3]"),
}
"""What is run, and what it must print."""
_LIMITS = SandboxLimits(wall_s=120, cpu_s=60)


@dataclass(frozen=True, slots=True)
class SnippetSpeed:
    """Medians for one snippet, in milliseconds."""

    snippet: str
    fresh_ms: float
    """A fresh ``python -I`` for each."""
    sandbox_ms: float
    session_ms: float
    """A turn of a session in which it ran before."""

    @property
    def times_as_fast(self) -> float:
        """How many sandboxed snippets run in the time of a fresh interpreter."""
        return self.fresh_ms / self.sandbox_ms


@dataclass(frozen=True, slots=True)
class SandboxSpeed:
    """What was measured."""

    level: int
    start_s: float
    """From nothing to the first snippet's result, once per `Sandbox`."""
    repeat: int
    rows: tuple[SnippetSpeed, ...]


def measure_speed(*, repeat: int = 10, allow_degraded: bool = False) -> SandboxSpeed:
    """The medians of `repeat` runs of each kind, taken in turns so that a busy machine slows all alike.

    Raises: UsageError for repeat < 1, or where the isolation is weaker than accepted; SandboxFault where a snippet goes wrong.
    """
    if repeat < 1:
        raise UsageError(f"repeat = {repeat}, but at least 1 is needed")
    return asyncio.run(_measure(repeat, allow_degraded))


async def _measure(repeat: int, allow_degraded: bool) -> SandboxSpeed:
    async with Sandbox(limits=_LIMITS, allow_degraded=allow_degraded) as box:
        start_ms = await _timed(lambda: box.run(SNIPPETS["trivial"][0]), "4")
        async with box.session() as session:
            rows = tuple([await _row(name, box.run, session.run, repeat) for name in SNIPPETS])
        return SandboxSpeed(box.capabilities().level, start_ms / 1e3, repeat, rows)


async def _row(name: str, once: Callable[[str], Awaitable[SandboxResult]], turn: Callable[[str], Awaitable[SandboxResult]], repeat: int) -> SnippetSpeed:
    code, expected = SNIPPETS[name]
    times: list[tuple[float, float, float]] = []
    for _ in range(repeat + 1):
        times.append((_fresh_ms(code, expected), await _timed(lambda: once(code), expected), await _timed(lambda: turn(code), expected)))
    return SnippetSpeed(name, *(statistics.median(column) for column in zip(*times[1:], strict=True)))  # the first round warms all three up


async def _timed(run: Callable[[], Awaitable[SandboxResult]], expected: str) -> float:
    begin = time.perf_counter()
    result = await run()
    taken = (time.perf_counter() - begin) * 1e3
    if result.stdout.strip() != expected:
        raise SandboxFault(f"a snippet that prints {expected} ended as {result.outcome.value}: {result.error or result.stdout!r}")
    return taken


def _fresh_ms(code: str, expected: str) -> float:
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    taken = (time.perf_counter() - begin) * 1e3
    if done.stdout.strip() != expected:
        raise SandboxFault(f"a fresh interpreter does not print {expected} either: {done.stderr.strip().rpartition(chr(10))[2] or repr(done.stdout)}")
    return taken
