"""How fast the sandbox is, side by side with other ways to run snippets, in one run and in turns, so that a busy machine slows all alike.

Prints tables; with --write also results/sandbox.json. Rivals that are not installed are named; ``scripts/bench sandbox`` makes an environment that has them
(`.venv-rivals`, versions in constraints-rivals.txt). Latency is one snippet after the other; throughput is 2 or 64 in flight; a turn is a snippet in a
session that stays, back to back and *paced* (after a pause, as between a model's messages).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from rivals import ALL, Runner, open_all
from toolwright.recipes import Measured, claim, publish, result

SNIPPETS = {
    "trivial": ("print(2 + 2)", "4"),
    "numpy": ("import numpy as np\nprint(round(np.linalg.det(np.array([[2., 1, 0], [1, 3, 1], [0, 1, 4]]))))", "18"),
    "sympy": ("import sympy as s\nx = s.Symbol('x')\nprint(s.solve(x**2 - 5*x + 6))", "[2, 3]"),
}
KINDS = ("latency", "at_2", "at_64", "turn", "paced")
PAUSE_S = 0.02
FEWEST = 3
TOO_LONG = 4
"""A cell that took so many times its share is measured in the first round only."""
Samples = dict[tuple[str, str, str], list[dict[str, Any]]]
"""By runner, snippet and kind: one entry a round."""


async def checked(run: Callable[[str], Awaitable[str]], snippet: str) -> float:
    """Seconds for one snippet, which must have printed the right thing."""
    code, expected = SNIPPETS[snippet]
    begin = time.perf_counter()
    printed = await run(code)
    taken = time.perf_counter() - begin
    if printed.strip() != expected:
        raise RuntimeError(f"it printed {printed!r}, not {expected!r}")
    return taken


async def one_by_one(run: Callable[[str], Awaitable[str]], snippet: str, seconds: float, pause_s: float = 0.0) -> dict[str, Any]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < FEWEST:
        if pause_s:
            await asyncio.sleep(pause_s)
        times.append(await checked(run, snippet))
    return {"times": times}


async def at_once(run: Callable[[str], Awaitable[str]], snippet: str, seconds: float, width: int) -> dict[str, Any]:
    times: list[float] = []
    begin = time.perf_counter()

    async def worker() -> None:
        while True:
            times.append(await checked(run, snippet))
            if time.perf_counter() > begin + seconds:
                return

    await asyncio.gather(*(worker() for _ in range(width)))
    return {"times": times, "per_second": len(times) / (time.perf_counter() - begin)}


async def measure_cell(runner: Runner, snippet: str, kind: str, seconds: float) -> dict[str, Any] | None:
    if kind == "latency":
        return await one_by_one(runner.run, snippet, seconds)
    if kind.startswith("at_"):
        return await at_once(runner.run, snippet, seconds, int(kind[3:]))
    if not runner.has_turns:
        return None
    await checked(runner.turn, snippet)
    return await one_by_one(runner.turn, snippet, seconds, PAUSE_S if kind == "paced" else 0.0)


async def measure(runners: dict[str, Runner], rounds: int, seconds: float) -> Samples:
    """Every cell once a round, each round in another order."""
    samples: Samples = defaultdict(list)
    skipped: set[tuple[str, str, str]] = set()
    cells = list(itertools.product(runners, SNIPPETS, KINDS))
    order = random.Random(0)
    for turn in range(rounds):
        order.shuffle(cells)
        for at, cell in enumerate(cells):
            if cell in skipped:
                continue
            if sys.stderr.isatty() or at == 0:
                print(f"\rround {turn + 1} of {rounds}, {at + 1} of {len(cells)}: {' '.join(cell)}{' ' * 30}", end="", file=sys.stderr, flush=True)
            begin = time.perf_counter()
            found = await measure_cell(runners[cell[0]], cell[1], cell[2], seconds)
            if found is not None:
                samples[cell].append(found)
            if found is None or time.perf_counter() - begin > TOO_LONG * seconds:
                skipped.add(cell)
    print(file=sys.stderr)
    return samples


def quantile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


def summary(samples: Samples, name: str, snippet: str) -> dict[str, float]:
    """One row of a table, all rounds together; p50 and the like over all snippets, rates as the median over rounds."""
    row: dict[str, float] = {}

    def times(kind: str) -> list[float]:
        return [taken for each in samples.get((name, snippet, kind), []) for taken in each["times"]]

    if alone := times("latency"):
        row |= {"p50_ms": statistics.median(alone) * 1e3, "p90_ms": quantile(alone, 0.9) * 1e3, "p99_ms": quantile(alone, 0.99) * 1e3}
    for kind in ("at_2", "at_64"):
        if found := samples.get((name, snippet, kind)):
            row[f"per_second_{kind}"] = statistics.median(each["per_second"] for each in found)
    if crowded := times("at_64"):
        row |= {"p50_s_at_64": quantile(crowded, 0.5), "p99_s_at_64": quantile(crowded, 0.99)}
    row["per_second"] = max(row.get("per_second_at_2", 0.0), row.get("per_second_at_64", 0.0))
    for kind in ("turn", "paced"):
        if found_times := times(kind):
            row[f"{kind}_ms"] = statistics.median(found_times) * 1e3
    return row


def per_round(samples: Samples, name: str, snippet: str, kind: str) -> list[float]:
    """A latency in seconds, or a rate, for each round."""
    found = samples.get((name, snippet, kind), [])
    return [each["per_second"] if "per_second" in each else statistics.median(each["times"]) for each in found]


def ratio(samples: Samples, rival: str, snippet: str, kind: str) -> dict[str, float] | None:
    """How many times as fast the sandbox is as the rival: median, least and most over pairs of measures of one round."""
    ours, theirs = (per_round(samples, name, snippet, kind) for name in ("sandbox", rival))
    if not ours or not theirs:
        return None
    if len(theirs) < len(ours):  # too slow to be measured more than once
        theirs = theirs[:1] * len(ours)
    found = [mine / other if kind.startswith("at_") else other / mine for mine, other in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(found), "low": min(found), "high": max(found)}


def spread(values: Sequence[float]) -> Measured:
    return Measured(statistics.median(values), min(values), max(values)) if values else Measured()


def claims(samples: Samples) -> list[dict[str, Any]]:
    """The bars, set before anything was measured; intervals are the least and the most of the rounds."""
    source = "the sandbox's own bars, on 2 cores"
    found: list[dict[str, Any]] = []

    def rate(name: str, snippet: str) -> Measured:
        kinds = [per_round(samples, name, snippet, kind) for kind in ("at_2", "at_64")]
        return max((spread(kind) for kind in kinds), key=lambda each: each.value or 0.0)

    def bar(name: str, text: str, measured: Measured, against: float, *, at_least: bool) -> None:
        seen = None if measured.value is None else measured.value >= against if at_least else measured.value <= against
        found.append(claim(name, text, source, measured, Measured(against), seen=seen))

    times_as_fast = [each for kind in ("at_2", "at_64") if (each := ratio(samples, "fresh_sympy", "sympy", kind))]
    best = max(times_as_fast, key=lambda each: each["median"], default=None)
    measured = Measured(best["median"], best["low"], best["high"]) if best else Measured()
    bar("sandbox-sympy-ratio", "sandbox: sympy snippets per second, times those of a fresh interpreter with sympy", measured, 60, at_least=True)
    bar("sandbox-sympy-rate", "sandbox: sympy snippets per second", rate("sandbox", "sympy"), 250, at_least=True)
    bar("sandbox-trivial-rate", "sandbox: trivial snippets per second", rate("sandbox", "trivial"), 700, at_least=True)
    paced = [each * 1e3 for each in per_round(samples, "sandbox", "trivial", "paced")]
    bar("sandbox-turn", "sandbox: milliseconds per trivial turn of a session, paced", spread(paced), 0.2, at_least=False)
    tails = [quantile(each["times"], 0.99) / quantile(each["times"], 0.5) for each in samples.get(("sandbox", "trivial", "at_64"), [])]
    bar("sandbox-tail", "sandbox: 99 % latency over the median, trivial, 64 at once", spread(tails), 5, at_least=False)
    return found


def tables(samples: Samples, starts: dict[str, dict[str, Any]], missing: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, facts in starts.items():
        found[name] = {**facts, **{snippet: summary(samples, name, snippet) for snippet in SNIPPETS}}
        if name != "sandbox" and "sandbox" in starts:
            pairs = {(snippet, kind): ratio(samples, name, snippet, kind) for snippet in SNIPPETS for kind in KINDS}
            for snippet in SNIPPETS:
                found[name][snippet]["ratio"] = {kind: pair for kind in KINDS if (pair := pairs[snippet, kind])}
    return {**found, "not_installed": missing}


def show(found: dict[str, Any]) -> None:
    columns = ("p50_ms", "p90_ms", "per_second_at_2", "per_second_at_64", "p50_s_at_64", "p99_s_at_64", "turn_ms", "paced_ms")
    for snippet in SNIPPETS:
        print(f"\n{snippet:<44}" + "".join(f"{column.replace('per_second', '/s'):>13}" for column in columns) + f"{'ratio':>8}")
        for table in found.values():
            if snippet not in table:
                continue
            row = table[snippet]
            cells = "".join(f"{row[column]:>13.2f}" if column in row else f"{'–':>13}" for column in columns)
            print(f"{table['name']:<44}{cells}{row.get('ratio', {}).get('latency', {}).get('median', 1.0):>8.1f}")
    print()
    for table in found.values():
        if "start_s" in table:
            print(f"{table['name']:<44} ready in {table['start_s']:.2f} s, {table['memory_mib']:.0f} MiB; kept apart by {table['apart']}")
    for name, why in found["not_installed"].items():
        print(f"{name}: not installed ({why})")


async def study(names: Sequence[str], rounds: int, seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    runners, starts, missing = await open_all(names)
    try:
        samples = await measure(runners, rounds, seconds)
    finally:
        for runner in runners.values():
            await runner.close()
    return tables(samples, starts, missing), claims(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each cell of each round")
    parser.add_argument("--only", default=",".join(ALL), help="comma-separated: %(default)s")
    parser.add_argument("--write", action="store_true", help="write results/sandbox.json")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name]
    if unknown := set(names) - set(ALL):
        parser.error(f"no runner named {sorted(unknown)[0]!r}; there are {', '.join(ALL)}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    began, load = time.time(), os.getloadavg()[0]
    found, seen = asyncio.run(study(names, options.rounds, options.seconds))
    show(found)
    command = f".venv-rivals/bin/python benchmarks/sandbox.py --rounds {options.rounds} --seconds {options.seconds:g} --write"
    found["conditions"] = {"kernel": platform.release().split("-")[0], "load_average_before": load, "rounds": options.rounds, "seconds": options.seconds}
    publish(result(command, seconds=time.time() - began, seeds=[0], tables=found, claims=seen), Path("results/sandbox.json") if options.write else None)


if __name__ == "__main__":
    main()
