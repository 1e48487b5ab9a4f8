"""``toolwright demo``: today's held-out word problem, solved in front of you."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer

from toolwright.cli._options import Candidates, DialectName, Json, Model, ShowAll
from toolwright.cli._show import print_json, show_choice
from toolwright.errors import UsageError


def demo(
    date: Annotated[str | None, typer.Argument(help="YYYY-MM-DD; today by default.")] = None,
    model: Model = None,
    dialect: DialectName = "text",
    n: Candidates = 64,
    show_all: ShowAll = False,
    as_json: Json = False,
) -> None:
    """Solve the problem of the day: a story in an order of operations that no embedded model was trained on."""
    from toolwright.checks import grade
    from toolwright.episodes import Problem
    from toolwright.recipes import Solver, choice_to_json
    from toolwright.tasks import today

    problem = today(_date(date))
    with Solver(model, dialect=dialect) as solver:
        # The gold answer stays here: what solves the problem never holds it.
        choice = solver.solve(Problem(problem.id, problem.question), n=n)
    right = choice.answer is not None and grade(choice.answer, problem.gold or "") is True
    if as_json:
        print_json({"question": problem.question, "gold": problem.gold, "right": right, **choice_to_json(choice, solver.engine.name)})
        return
    typer.echo(f"{problem.question}\n")
    show_choice(choice, most=None if show_all else 3)
    typer.echo(f"\nthe right answer is {problem.gold}: {solver.engine.name} was {'right' if right else 'wrong'}")


def _date(text: str | None) -> datetime.date:
    if text is None:
        return datetime.date.today()
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no date; give it as YYYY-MM-DD") from error
