"""``toolwright distill``: a student's verifier roles, taught by exact solutions (embedded models) or by another model (any other student)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from toolwright.cli._options import Json, Threads, listed
from toolwright.cli._show import print_json, tell
from toolwright.errors import UsageError


def distill(
    student: Annotated[str, typer.Option("--student", "-s", help="pico or nano; or a model folder or hub id, which then needs a teacher.")],
    role: Annotated[
        str,
        typer.Option("--role", help="Comma-separated: verify (writes checking programs), judge (scores solutions and steps), solve (a control: it answers)."),
    ] = "verify,judge",
    folder: Annotated[Path | None, typer.Option(help="Where candidates and adapters lie; work found there goes on. Default: runs/roles/STUDENT.")] = None,
    max_minutes: Annotated[float | None, typer.Option(help="Be done after about so long, drawing included.")] = None,
    problems: Annotated[int | None, typer.Option(help="Training problems to draw candidates for.")] = None,
    noise: Annotated[float, typer.Option(help="How often the exact teacher errs, for studies: 0 to below 1.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Of problems, candidates and training, in place of the recipe's: another training seed.")] = None,
    base: Annotated[Path | None, typer.Option(help="A model folder in place of the packaged pico or nano.")] = None,
    teacher: Annotated[str | None, typer.Option(help="The teaching model's name, for students that are not embedded.")] = None,
    teacher_url: Annotated[str | None, typer.Option(help="The OpenAI-compatible server it runs on.")] = None,
    task: Annotated[str, typer.Option(help="The task whose training problems are taught, for students that are not embedded.")] = "gsm8k",
    threads: Threads = 0,
    export: Annotated[bool, typer.Option(help="Afterwards put the adapters where the package finds them (embedded students).")] = False,
    as_json: Json = False,
) -> None:
    """Teach a student to check solutions: adapters for the roles verify and judge."""
    from toolwright.engines import EMBEDDED
    from toolwright.recipes import distill as recipe

    roles = listed(role)
    where = folder or Path("runs/roles") / student.rstrip("/").rpartition("/")[2]
    data = Path(os.environ["TOOLWRIGHT_DATA"]) if os.environ.get("TOOLWRIGHT_DATA") else None

    if student in EMBEDDED:
        if teacher is not None or teacher_url is not None:
            raise UsageError(f"{student} is taught by exact solutions, so it takes no teacher; leave --teacher and --teacher-url out")
        if data is None:
            tell("TOOLWRIGHT_DATA is not set: learning from the package's own word problems only (see docs/data.md for GSM8K)")
        facts = recipe.distill(
            student, roles, where, data, base=base, noise=noise, seed=seed, problems=problems, max_minutes=max_minutes, threads=threads, report=tell
        )
        places = recipe.export(student, roles, where) if export else [where / each for each in roles]
    else:
        if export or base is not None or noise or seed is not None:
            raise UsageError(f"--export, --base, --noise and --seed are for {', '.join(EMBEDDED)}; the adapters of {student} stay in their folder")
        facts = recipe.distill_from_teacher(student, roles, where, teacher=teacher, teacher_url=teacher_url, task=task, problems=problems, report=tell)
        places = [where / each for each in roles]
    if as_json:
        print_json({"student": student, "roles": facts})
        return
    for place in places:
        typer.echo(str(place))
