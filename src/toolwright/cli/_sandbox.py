"""``toolwright sandbox run | check | bench``: a snippet with streams and exit code passed through, the isolation this machine gives, and how fast it is."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, TextIO

import typer

from toolwright.cli._options import AllowDegraded, Json, read_source
from toolwright.cli._show import print_json
from toolwright.errors import UsageError

sandbox = typer.Typer(help="Run Python in the sandbox, and see what isolation it has here.", no_args_is_help=True)
EXIT_LIMIT = 124
"""Exit code for time, memory and output limits, as `timeout` uses it."""
EXIT_INFRA = 125
_OUTPUT_BYTES = 16 << 20
"""Kept of each stream: far more than a model would be shown."""


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

    if not 0.01 <= timeout <= 86_400:
        raise UsageError(f"timeout = {timeout:g}, but it goes from 0.01 to 86400 seconds")
    if not 16 <= memory <= 1 << 26:
        raise UsageError(f"memory = {memory}, but it goes from 16 MiB to {1 << 26}")
    limits = SandboxLimits(wall_s=timeout, cpu_s=timeout, memory_bytes=memory << 20, output_bytes=_OUTPUT_BYTES)
    code = read_source(file)
    with Sandbox(limits=limits, allow_degraded=allow_degraded) as box:
        result = box.run_sync(code, seed=seed)
    if as_json:
        print_json(asdict(result))
    else:
        _pass_on(result.stdout, sys.stdout, raw=raw)
        _pass_on(result.stderr, sys.stderr, raw=raw)
        if result.truncated and any(len(text.encode()) > _OUTPUT_BYTES for text in (result.stdout, result.stderr)):  # else it is the value, not shown here
            typer.echo(f"sandbox: of a stream longer than {_OUTPUT_BYTES >> 20} MiB only the beginning and the end were kept", err=True)
        if result.outcome not in (Outcome.OK, Outcome.ERROR):
            typer.echo(f"sandbox: {result.outcome.value}{': ' + printable(result.error) if result.error else ''}", err=True)
    raise typer.Exit(_exit_code(result))


@sandbox.command("check")
def check_isolation(as_json: Json = False) -> None:
    """Say which isolation this machine gives, layer by layer."""
    from toolwright.sandbox import probe

    found = probe()
    if as_json:
        layers = [{"name": layer.name, "active": layer.active, "why": layer.why, "against": layer.against} for layer in found.layers]
        print_json({"level": found.level, "layers": layers, "start_s": found.start_s})
        return
    typer.echo(f"level {found.level}")
    for layer in found.layers:
        typer.echo(f"  {'yes' if layer.active else 'no ':3} {layer.name}: {layer.why}\n      against {layer.against}")


@sandbox.command()
def bench(
    repeat: Annotated[int, typer.Option(help="Runs of each kind; the median counts.")] = 10,
    allow_degraded: AllowDegraded = False,
    as_json: Json = False,
) -> None:
    """Measure the sandbox beside a fresh Python for each snippet; takes some seconds."""
    from toolwright.sandbox import measure_speed

    found = measure_speed(repeat=repeat, allow_degraded=allow_degraded)
    if as_json:
        rows = [{**asdict(row), "times_as_fast": row.times_as_fast} for row in found.rows]
        print_json({"level": found.level, "start_s": found.start_s, "repeat": found.repeat, "rows": rows})
        return
    typer.echo(f"level {found.level}, ready in {found.start_s:.2f} s; milliseconds, median of {found.repeat}")
    typer.echo(f"{'snippet':<9} {'fresh python -I':>15} {'sandbox':>9} {'ratio':>7} {'session turn':>13}")
    for row in found.rows:
        typer.echo(f"{row.snippet:<9} {row.fresh_ms:>15.1f} {row.sandbox_ms:>9.2f} {row.times_as_fast:>6.1f}× {row.session_ms:>13.2f}")


def _pass_on(text: str, stream: TextIO | None, *, raw: bool) -> None:
    """Write a snippet's output as it is, or without what would control a terminal where the stream is one."""
    from toolwright.sandbox import printable

    if stream is None or not text:  # closed by who called us
        return
    if stream.isatty() and not raw:
        text = printable(text)
    # Bytes, so that what the stream's own encoding cannot say is passed on all the same.
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "backslashreplace"))
    stream.buffer.flush()


def _exit_code(result: object) -> int:
    from toolwright.sandbox import Outcome, SandboxResult

    if not isinstance(result, SandboxResult):
        raise TypeError(type(result).__name__)
    if result.outcome in (Outcome.OK, Outcome.ERROR):
        return result.exit_code if result.exit_code is not None else int(result.outcome is Outcome.ERROR)
    if result.outcome is Outcome.INFRA:
        return EXIT_INFRA
    return 128 + result.signal if result.outcome is Outcome.KILLED and result.signal else EXIT_LIMIT
