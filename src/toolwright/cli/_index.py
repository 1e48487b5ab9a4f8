"""``toolwright index build | search``: a local index over your own passages, and what it finds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from toolwright.cli._options import Json
from toolwright.cli._show import print_json
from toolwright.errors import UsageError

index = typer.Typer(help="Build a local index over your own passages, and search in it.", no_args_is_help=True)
_TOLD_EVERY_S = 2.0
_SHOWN = 300
"""Characters of a passage that a person is shown; --full shows all, --json always does."""


@index.command()
def build(
    source: Annotated[Path, typer.Argument(help="A folder of text and Markdown files, or a JSONL file (.gz too) with id, title and text.")],
    out: Annotated[Path, typer.Option(help="The index file; an index that lies there is replaced when the new one is whole.")],
    stems: Annotated[bool, typer.Option("--stems/--no-stems", help="Compare English stems; not for other languages.")] = True,
    as_json: Json = False,
) -> None:
    """Build an index."""
    from toolwright.retrieval import TOKENIZERS, build_index

    facts = build_index(source, out, tokenizer=TOKENIZERS[0 if stems else 1], tell=_teller())
    if as_json:
        print_json({"index": str(out), **asdict(facts)})
        return
    files = f"{facts.files} file{'s' if facts.files != 1 else ''}"
    typer.echo(f"{out}: {facts.passages:,} passages of {files}, {facts.characters:,} characters, {facts.bytes / 1e6:.1f} MB, digest {facts.digest}")


@index.command()
def search(
    file: Annotated[Path, typer.Argument(metavar="INDEX", help="An index file made by: toolwright index build.")],
    query: Annotated[str, typer.Argument(help="Free text of any length; - reads standard input.")],
    k: Annotated[int, typer.Option("--k", "-k", help="How many passages at most.")] = 3,
    backend: Annotated[str, typer.Option(help="fts5 (searches the file) or bm25s (loads it into memory; needs the extra).")] = "fts5",
    full: Annotated[bool, typer.Option(help="Show whole passages.")] = False,
    as_json: Json = False,
) -> None:
    """Show the passages that fit a text best."""
    from toolwright.retrieval import open_index
    from toolwright.sandbox import printable

    text = sys.stdin.buffer.read().decode("utf-8", errors="replace") if query == "-" else query
    if not text.strip():
        raise UsageError("the query is empty; give the words to look for")
    with open_index(file, backend=backend) as opened:
        began = time.perf_counter()
        found = opened.search(text, k)
        took_ms = 1000 * (time.perf_counter() - began)
    if as_json:
        print_json({"query": text, "passages": [asdict(passage) for passage in found], "wall_ms": round(took_ms, 3)})
    else:
        for place, passage in enumerate(found, 1):
            body = passage.text if full or len(passage.text) <= _SHOWN else passage.text[:_SHOWN].rstrip() + " …"
            typer.echo(f"{place}. {printable(passage.title) or '(no title)'}  [{printable(passage.id)}, {passage.score:.2f}]")
            typer.echo("\n".join(f"   {line}" for line in printable(body).splitlines()))
    if not found:
        typer.echo("no passage holds any of these words", err=True)


def _teller() -> Callable[[int], None]:
    """Says on stderr how many passages are in, for builds over two seconds."""
    told = time.monotonic()

    def tell(count: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TOLD_EVERY_S:
            told = time.monotonic()
            typer.echo(f"{count:,} passages", err=True)

    return tell
