"""How fast the sandbox is, against a fresh interpreter per snippet.

Prints a table; with --write also results/sandbox.json. Latency is one snippet after the other (p50 of --repeat); throughput is --repeat snippets at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolwright.recipes import publish, result
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits

SNIPPETS = {
    "trivial": "print(2 + 2)",
    "numpy": "import numpy as np\nprint(round(np.linalg.det(np.array([[2., 1, 0], [1, 3, 1], [0, 1, 4]]))))",
    "sympy": "import sympy as s\nx = s.Symbol('x')\nprint(s.solve(x**2 - 5*x + 6))",
}
EXPECTED = {"trivial": "4", "numpy": "18", "sympy": "[2, 3]"}
LIMITS = SandboxLimits(wall_s=120, cpu_s=30)


def fresh(name: str, extra: str = "") -> None:
    done = subprocess.run([sys.executable, "-I", "-c", extra + SNIPPETS[name]], capture_output=True, text=True, check=True)
    if done.stdout.strip() != EXPECTED[name]:
        raise RuntimeError(f"a fresh interpreter said {done.stdout!r}")


def latency(run: Callable[[], None], repeat: int) -> tuple[float, float]:
    """(p50, p90) in milliseconds."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        run()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times), sorted(times)[int(len(times) * 0.9)]


def throughput_fresh(name: str, repeat: int) -> float:
    begin = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda _: fresh(name), range(repeat)))
    return repeat / (time.perf_counter() - begin)


def in_sandbox(sandbox: Sandbox, name: str) -> None:
    result = sandbox.run_sync(SNIPPETS[name])
    if result.outcome is not Outcome.OK or result.stdout.strip() != EXPECTED[name]:
        raise RuntimeError(f"the sandbox said {result}")


async def throughput(sandbox: Sandbox, name: str, repeat: int, at_once: int) -> tuple[float, float]:
    """(snippets per second, p99 latency in seconds) with so many in flight."""
    places, times = asyncio.Semaphore(at_once), []

    async def one() -> None:
        async with places:
            begin = time.perf_counter()
            result = await sandbox.run(SNIPPETS[name])
            times.append(time.perf_counter() - begin)
        if result.stdout.strip() != EXPECTED[name]:
            raise RuntimeError(f"the sandbox said {result}")

    begin = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(repeat)))
    return repeat / (time.perf_counter() - begin), sorted(times)[int(repeat * 0.99)]


async def turns(sandbox: Sandbox, name: str, repeat: int) -> float:
    """Milliseconds per turn of one session, p50."""
    times = []
    async with sandbox.session(limits=LIMITS) as session:
        for _ in range(repeat + 3):
            begin = time.perf_counter()
            result = await session.run(SNIPPETS[name])
            times.append((time.perf_counter() - begin) * 1e3)
            if result.stdout.strip() != EXPECTED[name]:
                raise RuntimeError(f"the session said {result}")
    return statistics.median(times[3:])


def measure_fresh(repeat: int) -> dict[str, dict[str, float]]:
    table = {}
    for name in SNIPPETS:
        few = repeat if name == "trivial" else max(3, repeat // 10)
        p50, p90 = latency(lambda name=name: fresh(name), few)  # type: ignore[misc]
        table[name] = {"p50_ms": p50, "p90_ms": p90, "per_second": throughput_fresh(name, few)}
    return table


def measure_sandbox(sandbox: Sandbox, repeat: int) -> dict[str, dict[str, float]]:
    table = {}
    for name in SNIPPETS:
        in_sandbox(sandbox, name)
        p50, p90 = latency(lambda name=name: in_sandbox(sandbox, name), repeat)  # type: ignore[misc]
        rate, p99 = asyncio.run(throughput(sandbox, name, 4 * repeat, 64))
        table[name] = {"p50_ms": p50, "p90_ms": p90, "per_second": rate, "p99_s_at_64": p99, "turn_ms": asyncio.run(turns(sandbox, name, repeat))}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="write results/sandbox.json")
    options = parser.parse_args()
    began = time.time()
    tables: dict[str, object] = {"fresh": measure_fresh(options.repeat)}
    for label, disable in (("sandbox", ()), ("sandbox_level_2", ("namespaces",))):
        with Sandbox(limits=LIMITS, disable=disable) as sandbox:
            begin = time.perf_counter()
            reached = sandbox.capabilities()
            start_s = time.perf_counter() - begin
            tables[label] = {"level": reached.level, "start_s": start_s, **measure_sandbox(sandbox, options.repeat)}
    for label, table in tables.items():
        print(f"\n{label}")
        for name, row in table.items():  # type: ignore[attr-defined]
            print(f"  {name:8}", row if not isinstance(row, dict) else "  ".join(f"{key} {value:9.2f}" for key, value in row.items()))
    if options.write:
        write(tables, time.time() - began, options.repeat)


def write(tables: dict[str, object], seconds: float, repeat: int) -> None:
    conditions = {"kernel": platform.release().split("-")[0], "load_average": os.getloadavg()[0], "repeat": repeat}
    command = f"python benchmarks/sandbox.py --repeat {repeat} --write"
    publish(result(command, seconds=seconds, seeds=[0], tables={**tables, "conditions": conditions}), Path("results/sandbox.json"))


if __name__ == "__main__":
    main()
