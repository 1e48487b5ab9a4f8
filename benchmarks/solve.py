"""How long `toolwright solve` takes, as a person meets it: whole processes, one after the other.

Each run solves a problem of the day (two or three steps, three or four digits). Loading is from the start of the process to the line that says the model is
ready; work is from there to the end of the process, answer printed.

    python benchmarks/solve.py [--model nano] [-n 16] [--runs 7] [--write]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from toolwright.engines import load_engine
from toolwright.recipes import Measured, claim, model_facts, publish, result
from toolwright.tasks import today

LOAD_BAR_S, WORK_BAR_S = 6.0, 10.0
FIRST_DAY = datetime.date(2026, 1, 1)
_PROGRAM = "import sys; sys.argv[0] = 'toolwright'; from toolwright.cli import main; main()"


def run(question: str, model: str, n: int) -> dict[str, Any]:
    """Seconds of one whole run, and what it drew."""
    command = [sys.executable, "-c", _PROGRAM, "solve", question, "--model", model, "-n", str(n), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ready, told = None, []
    for line in process.stderr or ():
        told.append(line)
        if ready is None and " ready after " in line:
            ready = time.perf_counter()
    printed = process.stdout.read() if process.stdout else ""
    process.wait()
    ended = time.perf_counter()
    if process.returncode or ready is None:
        raise RuntimeError(f"toolwright solve failed: {''.join(told)}")
    choice = json.loads(printed)
    return {
        "load_s": ready - begun,
        "work_s": ended - ready,
        "model_tokens": choice["cost"]["model_tokens"],
        "tried": len(choice["tried"]),
        "load_average": os.getloadavg()[0],
    }


def bar(name: str, text: str, seconds: list[float], limit: float) -> dict[str, Any]:
    median = statistics.median(seconds)
    found = Measured(median, min(seconds), max(seconds))
    return claim(name, f"{text}: median ≤ {limit:.0f} s (low and high: quickest and slowest run)", "the project's own bar", found, seen=median <= limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write results/solve.json")
    options = parser.parse_args()
    begun = time.monotonic()
    rows = []
    for number in range(options.runs):
        rows.append({"run": number, **run(today(FIRST_DAY + datetime.timedelta(number)).question, options.model, options.n)})
        print(f"run {number}: load {rows[-1]['load_s']:.2f} s, work {rows[-1]['work_s']:.2f} s, {rows[-1]['model_tokens']} tokens", file=sys.stderr)
    name = Path(options.model).name
    claims = [
        bar("solve-load", f"import and load of toolwright solve with {name}", [row["load_s"] for row in rows], LOAD_BAR_S),
        bar("solve-work", f"work of toolwright solve with {name}, n = {options.n}, after loading", [row["work_s"] for row in rows], WORK_BAR_S),
    ]
    command = f"python benchmarks/solve.py --model {name} -n {options.n} --runs {options.runs}"
    facts = {name: model_facts(load_engine(options.model))}
    content = result(command + " --write", seconds=time.monotonic() - begun, seeds=[0], models=facts, tables={"runs": rows}, claims=claims)
    publish(content, Path("results/solve.json") if options.write else None)


if __name__ == "__main__":
    main()
