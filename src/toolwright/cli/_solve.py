"""``toolwright solve``: one problem, N candidates, tools that refute, a vote, and why."""

from __future__ import annotations

import time
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
    Candidates,
    DialectName,
    IndexFile,
    Json,
    MaxTokens,
    Model,
    RewardModel,
    RewardUrl,
    Seed,
    ShowAll,
    Temperature,
    Verify,
    read_text,
    sampling_params,
    served_reward,
    verifier_names,
)
from toolwright.cli._show import Progress, duration, print_json, show_choice
from toolwright.episodes import RunStore
from toolwright.errors import UsageError


def solve(
    question: Annotated[str, typer.Argument(help="The problem; - reads it from standard input.")],
    model: Model = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    n: Candidates = 16,
    strategy: Annotated[str, typer.Option("--strategy", "-s", help=STRATEGIES_HELP)] = "t1",
    dialect: DialectName = "text",
    verify: Verify = None,
    adapters: Adapters = None,
    calibration: CalibrationFile = None,
    index: IndexFile = None,
    reward_url: RewardUrl = None,
    reward_model: RewardModel = None,
    temperature: Temperature = 0.8,
    max_tokens: MaxTokens = None,
    seconds: Annotated[float | None, typer.Option(help="Stop drawing after so long and choose from what is there.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Stop drawing once so many tokens are written, verifiers' included.")] = None,
    seed: Seed = 0,
    store: Annotated[Path | None, typer.Option(help="A run folder: samples found there are not drawn again.")] = None,
    allow_degraded: AllowDegraded = False,
    show_all: ShowAll = False,
    as_json: Json = False,
) -> None:
    """Answer a problem: draw N candidates, refute with tools, vote over equivalent answers."""
    from toolwright.engines import is_embedded
    from toolwright.recipes import Solver, choice_to_json
    from toolwright.scaling import find_strategy

    text = read_text("-", kind="a problem") if question == "-" else question
    if not text.isprintable() and any("\udc80" <= sign <= "\udcff" for sign in text):
        raise UsageError("the question is not UTF-8 text; give it as UTF-8")
    if not text.strip():
        raise UsageError("the question is empty; give the text of a problem, or - to read it from standard input")
    if n < 1:
        raise UsageError(f"n = {n} samples give no answer; ask for 1 or more")
    if seconds is not None and seconds <= 0:
        raise UsageError(f"seconds = {seconds}, but some time is needed to draw anything")
    if tokens is not None and tokens < 1:
        raise UsageError(f"tokens = {tokens}, but at least 1 is needed to draw anything")
    find_strategy(strategy)
    params = sampling_params(temperature, max_tokens, embedded=is_embedded(model, base_url))
    kept = RunStore(store) if store is not None else None
    started = time.monotonic()
    with Solver(
        model,
        base_url=base_url,
        api_key=api_key,
        dialect=dialect,
        verify=verifier_names(verify),
        params=params,
        allow_degraded=allow_degraded,
        adapters=adapters,
        calibration=calibration,
        index=index,
        more=served_reward(reward_url, reward_model, api_key),
    ) as solver:
        typer.echo(f"{solver.engine.name} ready after {duration(time.monotonic() - started)}", err=True)
        longest = duration(solver.estimate_s(text.strip(), n=n))
        typer.echo(f"drawing {n} candidates of at most {params.max_new_tokens} tokens: at most about {longest}", err=True)
        progress = Progress("candidates", n)
        choice = solver.solve(
            text.strip(),
            n=n,
            strategy=strategy,
            seed=seed,
            seconds=seconds,
            tokens=tokens,
            store=kept,
            on_episode=lambda episode, drawn: progress.step(),
        )
        progress.close()
    if as_json:
        print_json(choice_to_json(choice, solver.engine.name))
    else:
        show_choice(choice, most=None if show_all else 3)
