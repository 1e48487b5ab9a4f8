"""Imports run strictly downward; rooms of one floor never import each other; other rooms are entered by their door only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import toolwright

FLOORS = {
    "errors": 0, "episodes": 0,
    "sandbox": 1, "engines": 1, "retrieval": 1, "checks": 1,
    "tools": 2, "verifiers": 2,
    "rollouts": 3, "tasks": 3,
    "scaling": 4, "training": 4,
    "evaluation": 5, "analysis": 5, "cluster": 5,
    "recipes": 6, "server": 6,
    "cli": 7,
}  # fmt: skip
SIDEWAYS = {("episodes", "errors")}
"""The one allowed edge within a floor: the record raises UsageError on unreadable lines."""
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "misc", "base", "shared"}
PACKAGE = Path(toolwright.__file__).parent


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import of this package, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found += [(node.lineno, node.module or "")]
    return [(line, name) for line, name in found if name.split(".")[0] == "toolwright"]


def complaints(path: Path, room: str) -> list[str]:
    wrong = []
    for line, name in imports(path):
        parts = name.split(".")[1:]
        if not parts:
            continue
        other = parts[0]
        where = f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        if other == room:
            continue
        if other not in FLOORS:
            wrong.append(f"{where}: no such room")
        elif FLOORS[other] >= FLOORS[room] and (room, other) not in SIDEWAYS:
            wrong.append(f"{where}: floor {FLOORS[other]} from floor {FLOORS[room]}")
        elif any(part.startswith("_") for part in parts[1:]):
            wrong.append(f"{where}: past the door")
    return wrong


def sources() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE)


def test_imports_run_downward():
    wrong = [c for path in sources() for c in complaints(path, path.relative_to(PACKAGE).parts[0])]
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_floor_and_a_door_with_sorted_names():
    for room in sorted({p.relative_to(PACKAGE).parts[0] for p in sources()}):
        assert room in FLOORS, f"{room} stands on no floor"
        tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
        listed = [ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"]
        if listed:
            # Ruff's order: constants, classes, functions, each sorted.
            order = sorted(listed[0], key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))
            assert listed[0] == order, f"{room}.__all__ is not sorted"


def test_no_catch_all_names_and_no_file_over_600_lines():
    for path in sources():
        assert path.stem.strip("_") not in FORBIDDEN_NAMES and path.parent.name not in FORBIDDEN_NAMES, f"{path}: a name that says nothing"
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= 600, f"{path}: {lines} lines are two rooms that have not been told apart"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("from toolwright.cli import main", True),
        ("def f():\n    import toolwright.evaluation", True),
        ("from toolwright.errors import UsageError", False),
        ("from toolwright.episodes._types import Span", True),
    ],
)
def test_the_walk_sees_what_it_must(tmp_path, monkeypatch, text, wrong):
    path = PACKAGE / "checks" / "imagined.py"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: text)
    assert bool(complaints(path, "checks")) is wrong
