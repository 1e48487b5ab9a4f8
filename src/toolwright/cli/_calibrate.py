"""``toolwright calibrate``: where the model errs on your own problems, what tools can gain there, and which filters to switch off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from toolwright.cli._options import (
    Adapters,
    AllowDegraded,
    ApiKey,
    BaseUrl,
    DataFolder,
    DialectName,
    IndexFile,
    Json,
    MaxTokens,
    Model,
    RewardModel,
    RewardUrl,
    RunFolder,
    Samples,
    Seed,
    Temperature,
    Verify,
    sampling_params,
    served_reward,
    verifier_names,
)
from toolwright.cli._show import print_json, tell


def calibrate(
    task: Annotated[str, typer.Argument(help="Your problems: a JSONL or CSV file with question and, where known, answer; or a task name.")],
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    n: Samples = 8,
    limit: Annotated[int, typer.Option(help="At most so many problems, drawn by the seed.")] = 100,
    data: DataFolder = None,
    dialect: DialectName = "text",
    verify: Verify = None,
    adapters: Adapters = None,
    index: IndexFile = None,
    reward_url: RewardUrl = None,
    reward_model: RewardModel = None,
    temperature: Temperature = 0.8,
    max_tokens: MaxTokens = None,
    seed: Seed = 0,
    store: RunFolder = Path("runs/calibrate"),
    out: Annotated[Path, typer.Option(help="Where the calibration is written, for solve and eval to read with --calibration.")] = Path("calibration.json"),
    allow_degraded: AllowDegraded = False,
    as_json: Json = False,
) -> None:
    """Find out on your own problems where the model errs, what tools can gain, and which filters to switch off."""
    from toolwright.engines import is_embedded
    from toolwright.episodes import RunStore
    from toolwright.recipes import Solver
    from toolwright.recipes import calibrate as recipe
    from toolwright.tasks import load

    loaded = load(task, data=data, limit=limit, seed=seed)
    params = sampling_params(temperature, max_tokens, embedded=is_embedded(model, base_url))
    names = verifier_names(verify)
    with (
        RunStore(store) as kept,
        Solver(
            model,
            base_url=base_url,
            api_key=api_key,
            dialect=dialect,
            verify=names,
            params=params,
            allow_degraded=allow_degraded,
            adapters=adapters,
            index=index,
            more=served_reward(reward_url, reward_model, api_key),
        ) as solver,
    ):
        tell(f"{loaded.name}: {len(loaded.problems)} problems × {n} samples with {solver.engine.name}")
        work = recipe.calibrate(
            loaded.name,
            loaded.problems,
            solver.rollout,
            solver.verifiers,
            n=n,
            store=kept,
            run_seed=seed,
            report=tell,
        )
        found = asyncio.run(work)
    recipe.save(found, out)
    if as_json:
        print_json(found.to_json())
        return
    typer.echo(found.table())
    typer.echo(f"written to {out}; use it with: toolwright solve --calibration {out} …")
