"""``toolwright sandbox run | check``: a snippet in the sandbox with its streams and exit code passed through, and the isolation this machine gives."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from toolwright.cli._options import AllowDegraded, Json, read_text
from toolwright.cli._show import print_json

sandbox = typer.Typer(help="Run Python in the sandbox, and see what isolation it has here.", no_args_is_help=True)
EXIT_LIMIT = 124
"""Exit code for time, memory and output limits, as `timeout` uses it."""
EXIT_INFRA = 125


@sandbox.command()
def run(
    file: Annotated[str, typer.Argument(help="A Python file; - reads standard input.")],
    timeout: Annotated[float, typer.Option(help="Wall seconds; CPU seconds are bounded by the same.")] = 10.0,
    memory: Annotated[int, typer.Option(help="MiB beyond what the interpreter has.")] = 512,
    seed: Annotated[int, typer.Option(help="For `random` and numpy.")] = 0,
    raw: Annotated[bool, typer.Option(help="Pass control characters on to the terminal.")] = False,
    allow_degraded: AllowDegraded = False,
    as_json: Json = False,
) -> None:
    """Run a snippet. The exit code is the snippet's own; 124 for a limit, 125 where the sandbox itself failed."""
    from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, printable

    limits = SandboxLimits(wall_s=timeout, cpu_s=timeout, memory_bytes=memory << 20)
    code = read_text(file, kind="a Python file")
    with Sandbox(limits=limits, allow_degraded=allow_degraded) as box:
        result = box.run_sync(code, seed=seed)
    if as_json:
        print_json(asdict(result))
    else:
        show = str if raw or not sys.stdout.isatty() else printable
        typer.echo(show(result.stdout), nl=False)
        typer.echo(show(result.stderr), nl=False, err=True)
        if result.outcome not in (Outcome.OK, Outcome.ERROR):
            typer.echo(f"sandbox: {result.outcome.value}{': ' + printable(result.error) if result.error else ''}", err=True)
    raise typer.Exit(_exit_code(result))


@sandbox.command("check")
def check_isolation(as_json: Json = False) -> None:
    """Say which isolation this machine gives, layer by layer."""
    from toolwright.sandbox import probe

    found = probe()
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(f"level {found.level}")
    for layer in found.layers:
        typer.echo(f"  {'yes' if layer.active else 'no ':3} {layer.name}: {layer.why}")


def _exit_code(result: object) -> int:
    from toolwright.sandbox import Outcome, SandboxResult

    if not isinstance(result, SandboxResult):
        raise TypeError(type(result).__name__)
    if result.outcome in (Outcome.OK, Outcome.ERROR):
        return result.exit_code if result.exit_code is not None else int(result.outcome is Outcome.ERROR)
    if result.outcome is Outcome.INFRA:
        return EXIT_INFRA
    return 128 + result.signal if result.outcome is Outcome.KILLED and result.signal else EXIT_LIMIT
