"""``toolwright check``: the arithmetic claims of any worked solution, checked exactly, with no model."""

from __future__ import annotations

from typing import Annotated

import typer

from toolwright.cli._options import Json, read_text
from toolwright.cli._show import print_json

WORDS = {True: "true", False: "false", None: "undecided"}


def check(
    file: Annotated[str, typer.Argument(help="A text file with a worked solution; - reads standard input.")],
    as_json: Json = False,
    all_claims: Annotated[bool, typer.Option("--all", help="Show undecided claims too.")] = False,
) -> None:
    """Check the claims of a worked solution: place, verdict, right value. Leaves with 1 if any is false."""
    from toolwright.checks import find_claims
    from toolwright.sandbox import printable

    text = read_text(file, kind="a text file")
    claims = find_claims(text)
    if as_json:
        rows = [{"text": c.text, "start": c.start, "end": c.end, "verdict": WORDS[c.verdict], "expected": c.expected} for c in claims]
        print_json({"claims": rows})
    else:
        for claim in claims:
            if claim.verdict is None and not all_claims:
                continue
            line = text.count("\n", 0, claim.start) + 1
            right = f"; the right value is {claim.expected}" if claim.expected is not None and claim.verdict is False else ""
            typer.echo(f"line {line}: {WORDS[claim.verdict]}: {printable(claim.text)}{right}")
        counts = {word: sum(c.verdict is verdict for c in claims) for verdict, word in WORDS.items()}
        typer.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    if any(c.verdict is False for c in claims):
        raise typer.Exit(1)
