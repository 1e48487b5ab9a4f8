"""What is wrong with the word-problem templates; ``python -m toolwright.tasks check`` prints it.

A template author runs this after every change; the tests run it over all templates.
"""

from __future__ import annotations

import random
import re
import tomllib
from importlib import resources

from toolwright.errors import UsageError
from toolwright.tasks._kits import KINDS, Kit, load_kits
from toolwright.tasks._templates import Redraw, Story, Template, fill, load_templates


def check(file: str | None = None, samples: int = 30) -> list[str]:
    """What is wrong with the templates (of one file, or all): numbers that never work out, unknown slots, steps that do not fit."""
    templates, stories = load_templates()
    complaints = []
    only = None if file is None else ids_of(file)
    entries: tuple[Template | Story | Kit, ...] = (*templates, *stories, *load_kits())
    for source in entries:
        if only is not None and source.id.partition("/")[0] not in only:
            continue
        try:
            _check_one(source, samples)
        except (UsageError, KeyError, ValueError) as error:
            complaints.append(f"{source.id}: {error}")
    return complaints


def ids_of(file: str) -> set[str]:
    """The ids of the entries of one template file, named without its ending.

    Raises: UsageError for a file that is not there.
    """
    folder = resources.files("toolwright.tasks").joinpath("templates")
    entry = folder.joinpath(f"{file.removesuffix('.toml')}.toml")
    if not entry.is_file():
        there = sorted(e.name.removesuffix(".toml") for e in folder.iterdir() if e.name.endswith(".toml"))
        raise UsageError(f"no template file {file!r}; there are {', '.join(there)}")
    return {row["id"].partition("/")[0] for kind in tomllib.loads(entry.read_text(encoding="utf-8")).values() for row in kind}


def _check_one(source: Template | Story | Kit, samples: int) -> None:
    if isinstance(source, Kit):
        _check_kit(source)
        return
    for number in range(samples):
        rng = random.Random(number)
        digits = 1 + number % 5
        if isinstance(source, Story):
            for op in source.events:
                _render_story(source, rng, op, digits)
            continue
        try:
            drawn = source.render(rng, digits=max(digits, 2), distractors=0.5)
        except Redraw as error:
            raise UsageError(f"no numbers with {max(digits, 2)} digits work out; loosen its draw or where") from error
        for text in source.text:
            shown = {name for name in source.draw if "{" + name + "}" in text}
            if missing := _needed(source) - shown:
                raise UsageError(f"wording {text[:40]!r}… does not tell {sorted(missing)}")
        if "[" in drawn.question or "{" in drawn.question:
            raise UsageError(f"left over: {drawn.question}")


def _check_kit(kit: Kit) -> None:
    rng = random.Random(kit.id)
    for kind, clauses in kit.clauses.items():
        for clause in clauses:
            told = sorted(slot for slot in re.findall(r"\{(\w+)\}", clause) if len(slot) == 1)
            if told != sorted(KINDS[kind]):
                raise UsageError(f"a clause of {kind} tells {told}, not {sorted(KINDS[kind])}: {clause!r}")
            drawn = fill(rng, clause, kit.draw_words(rng), {slot: 7 for slot in told})
            if "[" in drawn or "{" in drawn or len(re.findall(r"\b(?:7|seven)\b", drawn, re.IGNORECASE)) != len(told):
                raise UsageError(f"not a clause of {kind}: {drawn!r}")


def _needed(template: Template) -> set[str]:
    """The drawn numbers that the steps use."""
    used = {name for _, symbolic in template.steps for name in re.findall(r"[A-Za-z_]\w*", symbolic)}
    return used & set(template.draw)


def _render_story(story: Story, rng: random.Random, op: str, digits: int) -> None:
    for _ in range(300):
        try:
            story.render(rng, (op,), digits=digits)
            return
        except Redraw:
            continue
    raise UsageError(f"event {op} never works out at {digits} digits")
