"""How results and progress look: results on stdout, everything else on stderr, nothing that a model wrote reaches the terminal unescaped."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import typer

from toolwright.episodes import Choice, Tried
from toolwright.sandbox import printable

MARKS = {"right": "✓", "refuted": "✗", "open": "·"}


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def tell(line: str) -> None:
    """A line on stderr."""
    typer.echo(line, err=True)


class Progress:
    """A line on stderr that counts what is done and says how long the rest may take; silent for work under two seconds."""

    def __init__(self, what: str, total: int, *, quiet: bool = False) -> None:
        self._what, self._total, self._quiet = what, total, quiet
        self._done = 0
        self._started = self._told = time.monotonic()
        self._shown = False

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if self._quiet or now - self._started < 2 or (now - self._told < 0.5 and self._done < self._total):
            return
        self._told, self._shown = now, True
        left_s = (now - self._started) / self._done * (self._total - self._done)
        end = "" if sys.stderr.isatty() else "\n"
        typer.echo(f"\r{self._what}: {self._done} of {self._total}, about {duration(left_s)} left {end}", err=True, nl=False)

    def close(self) -> None:
        """End the line."""
        if self._shown and sys.stderr.isatty():
            typer.echo(err=True)


def duration(seconds: float) -> str:
    """A time a person reads at a glance."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_choice(choice: Choice, *, most: int | None = 3) -> None:
    """The answer, why it won, and the distinct candidates with what the tools said of them, at most so many of each kind (None: all)."""
    voters = sum(t.cluster is not None and t.cluster == _winner(choice) for t in choice.tried)
    refuted = sum(t.verdict.refuted for t in choice.tried)
    typer.echo(f"answer: {printable(choice.answer) if choice.answer is not None else '(none)'}")
    typer.echo(f"{len(choice.tried)} candidates, {refuted} refuted by tools; {voters} gave this answer ({choice.strategy})")
    if choice.note:
        typer.echo(choice.note)
    if choice.fallback:
        typer.echo(f"note: {choice.fallback}")
    for title, wanted in (("kept", False), ("refuted", True)):
        found = _distinct([t for t in choice.tried if t.verdict.refuted is wanted])
        for text, tried, count in found[:most]:
            mark = MARKS["refuted"] if wanted else MARKS["right"] if tried.cluster == _winner(choice) else MARKS["open"]
            times = f" ×{count}" if count > 1 else ""
            typer.echo(f"\n{mark} {title}{times}: {printable(tried.answer or '(no answer)')}")
            typer.echo("\n".join(f"    {line}" for line in printable(text).strip().splitlines()))
            typer.echo(f"  → {printable(tried.verdict.reason)}")
        if most is not None and len(found) > most:
            typer.echo(f"\n  … and {len(found) - most} more {title} (--all shows them)")
    cost = choice.cost
    typer.echo(f"\n{cost.model_tokens} tokens written, {cost.prompt_tokens} read, {cost.tool_calls} tool calls, {cost.wall_s:.1f} s")


def _winner(choice: Choice) -> int | None:
    return next((t.cluster for t in choice.tried if t.answer is not None and t.answer == choice.answer), None)


def _distinct(tried: list[Tried]) -> list[tuple[str, Tried, int]]:
    """(text, one of them, how many) by falling count."""
    groups: dict[str, list[Tried]] = {}
    for each in tried:
        groups.setdefault(each.episode.text, []).append(each)
    return sorted(((text, group[0], len(group)) for text, group in groups.items()), key=lambda row: -row[2])
