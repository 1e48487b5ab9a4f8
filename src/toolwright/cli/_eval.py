"""``toolwright eval``: one sampling run per task, then every strategy and every n from the same samples."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from toolwright.cli._options import (
    STRATEGIES_HELP,
    Adapters,
    AllowDegraded,
    ApiKey,
    BaseUrl,
    CalibrationFile,
    DataFolder,
    DialectName,
    IndexFile,
    Json,
    MaxTokens,
    Model,
    RewardModel,
    RewardUrl,
    RunFolder,
    Seed,
    Temperature,
    Verify,
    listed,
    sampling_params,
    served_reward,
    verifier_names,
)
from toolwright.cli._show import duration, print_json
from toolwright.errors import UsageError
from toolwright.evaluation import Progress
from toolwright.sandbox import SandboxBackend


def evaluate(
    tasks: Annotated[list[str], typer.Argument(help="Task names (see docs/data.md), e.g. svamp or wordproblems:digits=4,steps=3; or JSONL and CSV files.")],
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    n: Annotated[str, typer.Option("-n", help="Numbers of samples, comma-separated; the largest is drawn, the others are taken from it.")] = "1,4,16",
    strategies: Annotated[str, typer.Option("--strategies", "--strategy", "-s", help=f"Comma-separated: {STRATEGIES_HELP}")] = "greedy,majority,best_of_n,t1",
    limit: Annotated[int | None, typer.Option(help="Only so many problems of each task, drawn by the seed.")] = None,
    data: DataFolder = None,
    dialect: DialectName = "text",
    verify: Verify = None,
    adapters: Adapters = None,
    calibration: CalibrationFile = None,
    index: IndexFile = None,
    reward_url: RewardUrl = None,
    reward_model: RewardModel = None,
    temperature: Temperature = 0.8,
    max_tokens: MaxTokens = None,
    seed: Seed = 0,
    store: RunFolder = Path("runs/eval"),
    sandbox_faults: Annotated[
        str | None, typer.Option(help="Falsify a share of what programs return, for placebos: lying=0.05,empty=…,shuffled=…,slow=…,lost=….")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page too: curves, tables, report cards.")] = None,
    allow_degraded: AllowDegraded = False,
    as_json: Json = False,
) -> None:
    """Measure a model and every strategy on tasks, with intervals, costs and the verifiers' report cards."""
    from toolwright.engines import is_embedded
    from toolwright.episodes import RunStore, write_text
    from toolwright.evaluation import evaluate as run
    from toolwright.evaluation import html_page
    from toolwright.recipes import Solver
    from toolwright.scaling import find_strategy
    from toolwright.tasks import load

    ns = _numbers(n)
    names = listed(strategies)
    if not names:
        raise UsageError("no strategy to evaluate; give at least one, e.g. -s greedy,majority,t1")
    for name in names:
        find_strategy(name)
    stock_checks = verify is None and not is_embedded(model, base_url)
    if sandbox_faults is not None and dialect == "text" and not stock_checks and "toolv-code" not in (verifier_names(verify) or ()):
        raise UsageError("sandbox-faults would change nothing, as no program is run; give a dialect with the interpreter or --verify toolv-code too")
    loaded = [load(task, data=data, limit=limit, seed=seed if limit is not None else None) for task in tasks]
    params = sampling_params(temperature, max_tokens, embedded=is_embedded(model, base_url))
    reports = []
    with (
        RunStore(store) as kept,
        Solver(
            model,
            base_url=base_url,
            api_key=api_key,
            dialect=dialect,
            verify=verifier_names(verify),
            adapters=adapters,
            calibration=calibration,
            index=index,
            more=served_reward(reward_url, reward_model, api_key),
            params=params,
            allow_degraded=allow_degraded,
            sandbox=None if sandbox_faults is None else _faulty(sandbox_faults, seed, allow_degraded),
        ) as solver,
    ):
        for task in loaded:
            longest = duration(solver.estimate_s(task.problems[0].asked(), n=max(ns)) * len(task.problems))
            typer.echo(f"{task.name}: {len(task.problems)} problems × {max(ns)} samples with {solver.engine.name}: at most about {longest}", err=True)
            report = asyncio.run(run(task, solver.rollout, solver.verifiers, names, ns, store=kept, run_seed=seed, progress=_teller(task.name)))
            reports.append(report)
            if not as_json:
                typer.echo(report.table() + "\n")
    if html is not None:
        write_text(html, html_page(reports))
        typer.echo(f"the page is at {html}", err=True)
    if as_json:
        print_json({"results": [row for report in reports for row in report.to_json()["results"]], "reports": [report.to_json() for report in reports]})


def _faulty(dials: str, seed: int, allow_degraded: bool) -> SandboxBackend:
    from toolwright.sandbox import FaultySandbox, Sandbox, SandboxFaults

    return FaultySandbox(Sandbox(allow_degraded=allow_degraded), SandboxFaults.parse(dials), seed=seed)


def _teller(name: str) -> Callable[[Progress], None]:
    """Tells how far a run is, at most every two seconds, with the time it will still take."""
    told = [0.0]

    def tell(now: Progress) -> None:
        if now.elapsed_s - told[0] < 2 and now.done < now.total:
            return
        told[0] = now.elapsed_s
        left = "" if now.left_s is None else f", about {duration(now.left_s)} left"
        end = "\n" if not sys.stderr.isatty() or now.done >= now.total else ""
        typer.echo(f"\r{name}: {now.done} of {now.total} samples ({now.stored} stored){left} ", err=True, nl=False)
        typer.echo(end, err=True, nl=False)

    return tell


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in listed(text)]
    except ValueError as error:
        raise UsageError(f"n = {text!r}, but it takes whole numbers, e.g. 1,4,16") from error
    if not numbers or min(numbers) < 1:
        raise UsageError(f"n = {text!r}, but every n must be at least 1")
    return sorted(set(numbers))
