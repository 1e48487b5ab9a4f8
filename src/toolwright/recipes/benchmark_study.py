"""Word problems that people wrote: SVAMP, MultiArith, ASDiv and the test half of GSM8K, with the embedded models, in both dialects.

``python -m toolwright.recipes.benchmark_study --write results/benchmarks.json`` draws 16 samples of each problem with and without the interpreter and lets
every strategy choose from them; greedy answers of the smaller model stand beside. Where the time is short a part of each task is measured, drawn by a seed so
that a larger part only adds to a smaller one, and the result says so. Nothing here is trained or tuned: the floors were set before the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from toolwright.episodes import Engine
from toolwright.errors import UsageError
from toolwright.evaluation import Report
from toolwright.recipes._measuring import RUN_SEED, Found, Job, Study, difference, label, measured, tables_of, unpaired
from toolwright.recipes._results import Measured, claim, publish, result, run_program
from toolwright.tasks import Task, load

TASKS = ("svamp", "multiarith", "asdiv", "gsm8k")
NUMBERS_ONLY = "asdiv, single numbers"
"""Published figures on ASDiv are often over the problems whose answer is one number."""
DIALECTS = ("text", "retool")
STRATEGIES = ("greedy", "majority", "best_of_n", "t1")
NS = (1, 4, 16)
N = max(NS)
LIMIT = 300
FULL = 10_000
"""More than any task has."""
SUBSET_SEED = 0
FLOORS = {"svamp": 0.20, "multiarith": 0.60}
"""Of majority at n = 16 with the interpreter; set before the first run."""
PUBLISHED = "published systems trained from nothing reach 20 to 36.5 % on SVAMP"


def measure(
    model: str = "nano",
    *,
    data: Path | None,
    store: Path,
    beside: str | None = "pico",
    limit: int = LIMIT,
    tasks: Sequence[str] = TASKS,
    max_minutes: float | None = None,
    engine: Engine | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The result, over at most `limit` problems of each task. `engine` stands for every model, in tests.

    Raises: UsageError for a limit below 1, data that is not there, and where the time was not enough for the first round of any task.
    """
    if limit < 1:
        raise UsageError(f"limit = {limit}, but at least one problem of each task is needed")
    started = time.monotonic()
    sizes = {name: len(load(name, data=data).problems) for name in tasks}
    jobs = [_job(model, dialect, name, partial(subset, name, data), STRATEGIES, NS) for dialect in DIALECTS for name in tasks]
    if beside is not None:
        jobs += [_job(beside, dialect, name, partial(subset, name, data), ("greedy",), (1,)) for dialect in DIALECTS for name in tasks]
    finals = [_job(model, dialect, NUMBERS_ONLY, partial(numbers_only, data), STRATEGIES, NS) for dialect in DIALECTS] if "asdiv" in tasks else []
    with Study(store, max_minutes=max_minutes, tell=tell, engine=engine) as study:
        found = study.run(jobs, min(limit, max(sizes.values())), finals)
    if not found.reports:
        raise UsageError("the time was not enough for a single task; what was drawn is stored, so give --max-minutes more and run the same command again")
    models = [model] if beside is None else [model, beside]
    command = f"python -m toolwright.recipes.benchmark_study --model {label(model)} --beside {label(beside or 'none')} --limit {limit}"
    tables = {"tasks": _about(found, tasks, sizes, model, data), "trained_on": _trained_on(models), **_tables(found, models, tasks), "complete": found.complete}
    seconds = time.monotonic() - started
    return result(command, seconds=seconds, seeds=[RUN_SEED], models=found.models, tables=tables, claims=_claims(found, model, tasks, sizes))


def subset(name: str, data: Path | None, count: int) -> Task:
    """The first `count` problems of a task in an order drawn by a seed."""
    return load(name, data=data, limit=count, seed=SUBSET_SEED)


def numbers_only(data: Path | None, count: int) -> Task:
    """Those of the same subset of ASDiv whose answer is a single number."""
    task = subset("asdiv", data, count)
    return replace(task, name=NUMBERS_ONLY, problems=tuple(p for p in task.problems if p.meta["form"] == "number"))


def _job(model: str, dialect: str, name: str, task: Callable[[int], Task], strategies: tuple[str, ...], ns: tuple[int, ...]) -> Job:
    return Job(_key(model, dialect, name), model, dialect, task, strategies, ns)


def _key(model: str, dialect: str, name: str) -> str:
    return f"{label(model)} {dialect} {name}"


def _about(found: Found, tasks: Sequence[str], sizes: Mapping[str, int], model: str, data: Path | None) -> list[dict[str, Any]]:
    """What was measured of each task, and what to know before quoting it."""
    rows = []
    for name in tasks:
        report = found.reports.get(_key(model, DIALECTS[0], name))
        task = subset(name, data, 1)
        rows.append(
            {
                "task": name,
                "problems": report.problems if report else 0,
                "of": sizes[name],
                "whole": bool(report and report.problems == sizes[name]),
                "task_digest": report.task_digest if report else None,
                "licence": task.licence,
                "notes": task.notes,
            }
        )
    return rows


def _trained_on(models: Sequence[str]) -> list[dict[str, Any]]:
    """What each model has seen, by its own record; nothing is known of a model that is not embedded."""
    rows: list[dict[str, Any]] = []
    for model in models:
        path = files("toolwright") / "embedded" / model / "training.json"
        if "/" in model or not path.is_file():
            rows.append({"model": label(model), "mixture": None, "test_items": None})
            continue
        facts = json.loads(path.read_text(encoding="utf-8"))
        told = "none; the training split of gsm8k is in the mixture, so gsm8k is new in its items only, the other tasks also in their kind"
        rows.append({"model": model, "mixture": facts["mixture"], "tokens": facts["tokens"], "test_items": told})
    return rows


def _tables(found: Found, models: Sequence[str], tasks: Sequence[str]) -> dict[str, Any]:
    rows: list[tuple[Mapping[str, Any], Report]] = []
    for model in models:
        for name in (*tasks, NUMBERS_ONLY):
            for dialect in DIALECTS:
                if (report := found.reports.get(_key(model, dialect, name))) is not None:
                    rows.append(({"model": label(model), "task": name, "dialect": dialect}, report))
    return tables_of(rows)


def _claims(found: Found, model: str, tasks: Sequence[str], sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """What is claimed, by thresholds that were set before the run."""
    claims = [_floor(found, model, name, floor, sizes[name]) for name, floor in FLOORS.items() if name in tasks]
    both = [name for name in tasks if all(_key(model, dialect, name) in found.reports for dialect in DIALECTS)]
    text = [found.reports[_key(model, "text", name)] for name in both]
    gaps = [difference(report, "t1", "majority", N) for report in text]
    harmed, helped = sum(gap.high < 0 for gap in gaps), sum(gap.low > 0 for gap in gaps)
    better = sum(
        (unpaired(found.reports[_key(model, "retool", name)].row("majority", N), report.row("majority", N)).low or 0) > 0
        for name, report in zip(both, text, strict=True)
    )
    tested = bool(both)
    many = f"of {len(both)} tasks" if tested else "not testable, no task was measured in both dialects: of all tasks"
    return [
        *claims,
        claim(
            "benchmarks-no-harm",
            f"{many}, in the head: those where t1 (claims, n = {N}) does worse than majority (interval below zero): none; against: those where it does better",
            "do no harm (design, verifiers)",
            Measured(harmed if tested else None),
            Measured(helped if tested else None),
            seen=harmed == 0 if tested else None,
        ),
        claim(
            "benchmarks-interpreter",
            f"{many}, those where majority at n = {N} answers more with the interpreter than in the head (interval of the difference above zero): all",
            "ReTool (arXiv 2504.11536): code in the middle of reasoning",
            Measured(better if tested else None),
            seen=better == len(both) if tested else None,
        ),
    ]


def _floor(found: Found, model: str, name: str, floor: float, size: int) -> dict[str, Any]:
    report = found.reports.get(_key(model, "retool", name))
    text = f"{label(model)} with the interpreter, majority of {N}, answers at least {floor:.0%} of {name}"
    if report is None:
        return claim(f"benchmarks-{name}", f"{text} (not testable: the time was not enough)", PUBLISHED, Measured(), seen=None)
    row = report.row("majority", N)
    told = f"{text} ({report.problems} of its {size} problems); against: in the head"
    other = found.reports.get(_key(model, "text", name))
    against = measured(other.row("majority", N)) if other is not None else Measured()
    return claim(f"benchmarks-{name}", told, PUBLISHED, measured(row), against, seen=row.accuracy is not None and row.accuracy >= floor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the claims, and write the result where asked."""
    parser = argparse.ArgumentParser(prog="python -m toolwright.recipes.benchmark_study", description=__doc__)
    parser.add_argument("--model", default="nano", help="what is measured: an embedded model or a model folder (default: nano)")
    parser.add_argument("--beside", default="pico", help="a model whose greedy answers stand beside it; none for none (default: pico)")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"problems of each task, drawn by a seed; {FULL} takes all (default: {LIMIT})")
    parser.add_argument("--data", type=Path, default=os.environ.get("TOOLWRIGHT_DATA"), help="the data folder (default: TOOLWRIGHT_DATA, else the hub)")
    parser.add_argument("--max-minutes", type=float, help="stop drawing after so long and write what is there; the same command goes on later")
    parser.add_argument("--store", type=Path, default=Path("runs/benchmarks"), help="where samples are kept (default: runs/benchmarks)")
    parser.add_argument("--write", type=Path, help="where to write the result as JSON")
    options = parser.parse_args(arguments)
    beside = None if options.beside == "none" else options.beside
    content = measure(options.model, data=options.data, store=options.store, beside=beside, limit=options.limit, max_minutes=options.max_minutes)
    publish(content, options.write)


if __name__ == "__main__":
    sys.exit(run_program(main))
