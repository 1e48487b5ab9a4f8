"""The program: commands registered, errors told in one sentence, Ctrl-C answered cleanly."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from toolwright import __version__
from toolwright.cli._calibrate import calibrate
from toolwright.cli._check import check
from toolwright.cli._demo import demo
from toolwright.cli._distill import distill
from toolwright.cli._doctor import doctor
from toolwright.cli._eval import evaluate
from toolwright.cli._index import index
from toolwright.cli._reproduce import reproduce
from toolwright.cli._sandbox import sandbox
from toolwright.cli._solve import solve
from toolwright.cli._train import train
from toolwright.errors import ToolwrightError, UsageError

INTERRUPTED = 130
# Typer carries a click of its own in newer versions and uses the public one in older; its own exceptions tell which.
_ClickException = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(name="toolwright", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)] = False) -> None:
    """Small language models that reason with tools: sample, refute with tools, score, vote."""


app.command()(solve)
app.command("eval")(evaluate)
app.command()(calibrate)
app.command()(check)
app.command()(distill)
app.command()(doctor)
app.command()(demo)
app.add_typer(index, name="index")
app.add_typer(reproduce, name="reproduce")
app.add_typer(sandbox, name="sandbox")
app.add_typer(train, name="train")


def main(arguments: list[str] | None = None) -> None:
    """Run the program and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code of a call. No failure shows a traceback unless TOOLWRIGHT_TRACEBACK is set."""
    # Progress bars of the libraries below would garble ours.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        code = app(args=arguments, standalone_mode=False)
        return _left(code if isinstance(code, int) else 0)
    except typer.Exit as leaving:
        return _left(leaving.exit_code)
    except UsageError as error:
        return _tell(error, 2)
    except ToolwrightError as error:
        return _tell(error, 1)
    except (KeyboardInterrupt, typer.Abort):
        return _left(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output left (`toolwright … | head`); that is no failure, but the stream must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as leaving:
        # Typer leaves with 1 where the reader of our output is gone (`toolwright … | head`); that is no failure.
        broken = isinstance(leaving.__context__, BrokenPipeError) or (isinstance(leaving.__context__, OSError) and leaving.__context__.errno == errno.EPIPE)
        return 0 if broken else _left(leaving.code if isinstance(leaving.code, int) else 1)
    except Exception as error:
        # Wrong options and the like: typer's own, with their own way to show themselves. Anything else is a defect and keeps its traceback.
        if not isinstance(error, _ClickException):
            raise
        error.show()  # type: ignore[attr-defined]
        return 2


def _left(code: int) -> int:
    """The exit code; being interrupted (which typer may turn into an exit of its own) is told."""
    if code == INTERRUPTED:
        typer.echo("interrupted; what a run folder or checkpoint holds is kept, and the same command goes on from there", err=True)
    return code


def _tell(error: ToolwrightError, code: int) -> int:
    if os.environ.get("TOOLWRIGHT_TRACEBACK"):
        raise error
    typer.echo(f"error: {error}", err=True)
    return code
