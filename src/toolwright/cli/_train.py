"""``toolwright train``: the commands that made the embedded models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from toolwright.cli._options import Threads
from toolwright.cli._show import tell
from toolwright.errors import UsageError

train = typer.Typer(help="Train models.", no_args_is_help=True)


@train.command()
def embedded(
    name: Annotated[str, typer.Argument(help="pico or nano.")],
    folder: Annotated[Path | None, typer.Option(help="Where checkpoint and curve lie; a run found there goes on. Default: runs/NAME.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Stop after so long; the same command goes on later.")] = None,
    threads: Threads = 0,
    export: Annotated[bool, typer.Option(help="Afterwards put the weights where the package finds them.")] = False,
) -> None:
    """Train an embedded model from nothing, on generated problems and GSM8K's training split."""
    from toolwright.recipes.embedded import check_name
    from toolwright.recipes.embedded import export as export_model
    from toolwright.recipes.embedded import train as train_model

    check_name(name)
    data = os.environ.get("TOOLWRIGHT_DATA")
    if not data:
        raise UsageError("TOOLWRIGHT_DATA is not set; point it at a folder that holds gsm8k/train.jsonl.gz (see docs/data.md)")
    where = folder or Path("runs") / name
    train_model(name, where, Path(data), max_minutes=max_minutes, threads=threads, report=tell)
    if export:
        facts = export_model(name, where)
        typer.echo(f"{name}: {facts['parameters']:,} parameters, {facts['tokens']:,} tokens, digest {facts['digest']}")
