"""Large-number word problems from held-out templates: what tools at test time add to a small model, cell by cell.

``python -m toolwright.recipes.wordproblem_study --model pico --write results/wordproblems.json`` draws 64 samples of each problem in the text dialect (the
arithmetic is done in the head, so it goes wrong), over a grid of digits × steps and over orders of operations that were never trained, and lets every
strategy choose from the same samples. Beside it the greedy answers of a larger model. Every cell is shown, those where tools do not help like the others.
Leaves out the interpreter dialect (`benchmark_study` has it).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolwright.episodes import Engine
from toolwright.errors import UsageError
from toolwright.evaluation import Report
from toolwright.recipes._measuring import RUN_SEED, Found, Job, Study, difference, label, measured, share, tables_of, unpaired
from toolwright.recipes._results import Measured, claim, publish, result, run_program
from toolwright.tasks import Dial, Task, load, split_digest

DIGITS, STEPS = (2, 3, 4, 5), (1, 2, 3, 4)
COMPOSITION_STEPS = 3
"""Orders of three operations are the shortest that can be held out."""
NS = (16, 64)
STRATEGIES = ("greedy", "majority", "best_of_n", "t1")
PROBLEMS = 40
FALSE_REFUTATION_BAR = 0.005
"""Set before the first run, as was: a difference counts where its whole 95 % interval is on one side of zero."""
SOURCE = "T1 (arXiv 2504.04718): a small model with tool verification at test time"


@dataclass(frozen=True, slots=True)
class Cell:
    """One corner of the grid."""

    digits: int
    steps: int
    novelty: str = "templates"

    @property
    def name(self) -> str:
        """As it stands in tables and messages."""
        return f"digits={self.digits},steps={self.steps},novelty={self.novelty}"

    def task(self, count: int) -> Task:
        """Its first `count` problems."""
        dial = Dial(digits=self.digits, steps=self.steps, novelty="compositions" if self.novelty == "compositions" else "templates")
        return load("wordproblems", dial=dial, count=count, split="test")


CELLS = tuple(Cell(d, s) for s in STEPS for d in DIGITS) + tuple(Cell(d, COMPOSITION_STEPS, "compositions") for d in DIGITS)


def measure(
    model: str = "pico",
    *,
    store: Path,
    beside: str | None = "nano",
    problems: int = PROBLEMS,
    ns: Sequence[int] = NS,
    cells: Sequence[Cell] = CELLS,
    max_minutes: float | None = None,
    engine: Engine | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The result. `engine` stands for every model, in tests.

    Raises: UsageError for fewer than one problem, and where the time was not enough for the first round of any cell.
    """
    if problems < 1:
        raise UsageError(f"problems = {problems}, but each cell needs at least 1")
    started = time.monotonic()
    others = [beside] if beside and beside != model else []
    jobs = [_job(model, cell.name, cell.task, STRATEGIES, ns) for cell in cells] + [
        _job(o, cell.name, cell.task, ("greedy",), (1,)) for cell in cells for o in others
    ]
    whole = partial(union, cells)
    finals = [_job(model, "all", whole, STRATEGIES, ns), *(_job(o, "all", whole, ("greedy",), (1,)) for o in others)]
    with Study(store, max_minutes=max_minutes, tell=tell, engine=engine) as study:
        found = study.run(jobs, problems, finals)
    if not found.reports:
        raise UsageError("the time was not enough for a single cell; what was drawn is stored, so give --max-minutes more and run the same command again")
    tables = _tables(found, model, others, cells)
    command = f"python -m toolwright.recipes.wordproblem_study --model {label(model)} --beside {label(beside or 'none')} --problems {problems}"
    claims = _claims(found, model, others, cells, max(ns), min(ns))
    seeds = [RUN_SEED]
    return result(command, seconds=time.monotonic() - started, seeds=seeds, models=found.models, tables=tables, claims=claims)


def union(cells: Sequence[Cell], count: int) -> Task:
    """The problems of all cells as one task."""
    tasks = [cell.task(count) for cell in cells]
    return Task("wordproblems, all cells", tuple(p for task in tasks for p in task.problems), "generated", "test", tasks[0].licence)


def _job(model: str, name: str, task: Callable[[int], Task], strategies: tuple[str, ...], ns: Sequence[int]) -> Job:
    return Job(_key(model, name), model, "text", task, strategies, tuple(ns))


def _key(model: str, name: str) -> str:
    return f"{label(model)} {name}"


def _tables(found: Found, model: str, others: Sequence[str], cells: Sequence[Cell]) -> dict[str, Any]:
    rows: list[tuple[Mapping[str, Any], Report]] = []
    about = []
    for name in (model, *others):
        for cell in cells:
            report = found.reports.get(_key(name, cell.name))
            if report is not None:
                rows.append(({"model": label(name), "digits": cell.digits, "steps": cell.steps, "novelty": cell.novelty}, report))
        if (report := found.reports.get(_key(name, "all"))) is not None:
            rows.append(({"model": label(name), "digits": None, "steps": None, "novelty": "all"}, report))
    for cell in cells:
        if (report := found.reports.get(_key(model, cell.name))) is not None:
            templates = {problem.meta["template"] for problem in cell.task(report.problems).problems}
            about.append(
                {
                    "digits": cell.digits,
                    "steps": cell.steps,
                    "novelty": cell.novelty,
                    "problems": report.problems,
                    "templates": len(templates),
                    "task_digest": report.task_digest,
                }
            )
    return {"cells": about, "split": {"digest": split_digest(), "name": "test"}, "complete": found.complete, **tables_of(rows)}


def _claims(found: Found, model: str, others: Sequence[str], cells: Sequence[Cell], most: int, few: int) -> list[dict[str, Any]]:
    """What is claimed, by thresholds that were set before the run."""
    report = found.reports.get(_key(model, "all"))
    if report is None:
        text = "not testable: the time was not enough for every cell"
        return [claim("wordproblems", text, SOURCE, Measured(), seen=None)]
    name, claims = label(model), []
    for n in sorted({few, most}):
        for other in ("greedy", "majority"):
            against = report.row(other, 1 if other == "greedy" else n)
            better = "greedily" if other == "greedy" else f"by majority of {n}"
            text = f"{name} answers more held-out problems with t1 (claims) at n = {n} than {better}: paired 95 % interval above zero"
            seen = difference(report, "t1", other, n).low > 0
            claims.append(claim(f"wordproblems-t1-over-{other}-{n}", text, SOURCE, measured(report.row("t1", n)), measured(against), seen=seen))
        claims.append(_no_harm(found, model, cells, n))
    claims.append(_false_refutation(report, name))
    for other in others:
        claims += _against_larger(found, report, name, other, most)
    return claims


def _no_harm(found: Found, model: str, cells: Sequence[Cell], n: int) -> dict[str, Any]:
    gaps = [difference(found.reports[_key(model, cell.name)], "t1", "majority", n) for cell in cells]
    harmed, helped = sum(gap.high < 0 for gap in gaps), sum(gap.low > 0 for gap in gaps)
    text = f"of {len(gaps)} cells, those where t1 at n = {n} does worse than majority (interval below zero): none; against: those where it does better"
    return claim(f"wordproblems-no-harm-{n}", text, "do no harm (design, verifiers)", Measured(harmed), Measured(helped), seen=harmed == 0)


def _false_refutation(report: Report, name: str) -> dict[str, Any]:
    card = report.filters[0]
    right = share(card.refuted_right, card.refuted_right + card.passed_right + card.undecided_right)
    wrong = share(card.refuted_wrong, card.refuted_wrong + card.passed_wrong + card.undecided_wrong)
    text = f"claims refutes at most {FALSE_REFUTATION_BAR:.1%} of {name}'s right samples; against: the share of its wrong samples that it refutes"
    seen = None if right.value is None else right.value <= FALSE_REFUTATION_BAR
    return claim("wordproblems-false-refutation", text, "the bar for other models' text (claims study)", right, wrong, seen=seen)


def _against_larger(found: Found, report: Report, name: str, other: str, n: int) -> list[dict[str, Any]]:
    larger, greedy, t1 = found.reports[_key(other, "all")].row("greedy", 1), report.row("greedy", 1), report.row("t1", n)
    told = label(other)
    return [
        claim(
            "wordproblems-size",
            f"greedy {told} answers more than greedy {name}: 95 % interval of the difference above zero",
            "model card",
            measured(larger),
            measured(greedy),
            seen=(unpaired(larger, greedy).low or 0) > 0,
        ),
        claim(
            "wordproblems-t1-over-larger",
            f"{name} with t1 at n = {n} answers more than greedy {told}, a model several times its size: 95 % interval of the difference above zero",
            SOURCE,
            measured(t1),
            measured(larger),
            seen=(unpaired(t1, larger).low or 0) > 0,
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the claims, and write the result where asked."""
    parser = argparse.ArgumentParser(prog="python -m toolwright.recipes.wordproblem_study", description=__doc__)
    parser.add_argument("--model", default="pico", help="what is measured: an embedded model or a model folder (default: pico)")
    parser.add_argument("--beside", default="nano", help="a larger model whose greedy answers stand beside it; none for none (default: nano)")
    parser.add_argument("--problems", type=int, default=PROBLEMS, help=f"problems of each cell (default: {PROBLEMS})")
    parser.add_argument("--max-minutes", type=float, help="stop drawing after so long and write what is there; the same command goes on later")
    parser.add_argument("--store", type=Path, default=Path("runs/wordproblems"), help="where samples are kept (default: runs/wordproblems)")
    parser.add_argument("--write", type=Path, help="where to write the result as JSON")
    options = parser.parse_args(arguments)
    beside = None if options.beside == "none" else options.beside
    content = measure(options.model, store=options.store, beside=beside, problems=options.problems, max_minutes=options.max_minutes)
    publish(content, options.write)


if __name__ == "__main__":
    sys.exit(run_program(main))
