"""Names to tasks: the built-in table, the entry-point group ``toolwright.tasks``, and the string form of the command line."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from toolwright.errors import UsageError
from toolwright.tasks import loaders
from toolwright.tasks._files import load_file
from toolwright.tasks._rows import FORMATS, format_of
from toolwright.tasks._types import Loader, Task

GROUP = "toolwright.tasks"
BUILT_IN: Mapping[str, Loader] = {name: getattr(loaders, name) for name in loaders.__all__}
"""What pyproject.toml registers in the group, here too so that a source tree that was never installed has it."""


def task_names() -> list[str]:
    """The tasks `load` knows by name, sorted: built-in ones and those that installed packages register."""
    return sorted({*BUILT_IN, *_registered()})


def load(
    name: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str = "test",
    limit: int | None = None,
    seed: int | None = None,
    **options: Any,
) -> Task:
    """The task of a name, of a name with settings (``wordproblems:digits=4,steps=3,count=200``), or of a JSONL or CSV file.

    `data` is the data folder (else TOOLWRIGHT_DATA, else the hub); `limit` keeps that many problems, the first or, with a `seed`, drawn ones. Settings in the
    name go before arguments. Files take `question`, `answer` and `id`, word problems `dial`, `count` and the fields of the dial.

    Raises: UsageError for an unknown name, a setting the task does not have, or data that is not there.
    """
    known = task_names()
    plain, settings = _parse(os.fspath(name), known)
    arguments: dict[str, Any] = {"data": data, "split": split, "limit": limit, "seed": seed, **options, **settings}
    if plain not in known:
        return _load_path(plain, known, arguments)
    loader = BUILT_IN.get(plain) or _registered()[plain].load()
    return cast(Task, _call(plain, loader, arguments))


def _registered() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _parse(text: str, known: list[str]) -> tuple[str, dict[str, Any]]:
    """(name or path, settings) of the string form; a colon in a path does not count unless a file's ending stands before it."""
    plain, colon, rest = text.rpartition(":") if "=" in text.rpartition(":")[2] else (text, "", "")
    if not colon or not (plain in known or format_of(Path(plain)) or plain.isidentifier()):
        return text, {}
    settings: dict[str, Any] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"{text!r}: {part!r} is no setting; the form is {plain}:name=value,name=value")
        if key in settings:
            raise UsageError(f"{text!r} sets {key} twice")
        settings[key] = _value(value)
    return plain, settings


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _load_path(text: str, known: list[str], arguments: dict[str, Any]) -> Task:
    path = Path(text)
    if format_of(path) is None and not path.is_file():
        near = difflib.get_close_matches(text, known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"no task named {text!r}{hint}; there are {', '.join(known)}, or the path of a file ending in {', '.join(FORMATS)}")
    if arguments.pop("split") != "test":
        raise UsageError(f"{text} is a file, and a file has no splits; give each split a file of its own")
    arguments.pop("data")
    return cast(Task, _call("a file", load_file, {"path": path, **arguments}))


def _call(name: str, loader: Any, arguments: dict[str, Any]) -> object:
    """The loader's result; settings it does not have, or of the wrong kind, become a UsageError."""
    parameters = inspect.signature(loader).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if unknown := [key for key in arguments if key not in parameters and not open_ended]:
        takes = [key for key in parameters if key not in ("data", "path")]
        raise UsageError(f"{name} has no setting {unknown[0]!r}; it has {', '.join(takes)}")
    for key in ("limit", "seed", "count"):
        value = arguments.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise UsageError(f"{key} = {value!r}, but it is a whole number")
    return loader(**arguments)
