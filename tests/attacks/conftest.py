"""Sandboxes of each level, and what must hold after every attack: the next snippet answers right, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolwright.sandbox import Sandbox, SandboxLimits, SandboxResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's layers are Linux's")
LIMITS = SandboxLimits(wall_s=1.2, cpu_s=0.3, memory_bytes=192 << 20, file_bytes=1 << 20)
DISABLED: dict[str, tuple[str, ...]] = {"best": (), "level2": ("namespaces",)}
_SLACK = 8
"""Scratch directories that are kept for the next snippet hold two descriptors each."""


def descendants(pid: int) -> set[int]:
    """Process ids below a process."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def open_files(pids: set[int]) -> int:
    """How many descriptors the processes hold together; 0 where this user may not see."""
    try:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    except PermissionError:
        return 0


@pytest.fixture(scope="session", params=["best", "level2"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The best sandbox of this machine, and one of level 2; both with a secret in the environment they were started from."""
    os.environ["TOOLWRIGHT_TEST_SECRET"] = "hunter2-in-the-environment"
    with Sandbox(limits=LIMITS, disable=DISABLED[request.param]) as made:
        reached = made.capabilities()
        if reached.level < 2:
            pytest.skip(f"this machine gives level {reached.level}: {[layer.why for layer in reached.layers if not layer.active]}")
        yield made
    del os.environ["TOOLWRIGHT_TEST_SECRET"]


@pytest.fixture(scope="session")
def at_rest(sandbox: Sandbox) -> tuple[int, set[int], int, int]:
    """(supervisor, the helpers that stay, how many processes and descriptors there are) of a sandbox that has run a few snippets at once."""

    async def warm() -> None:
        await asyncio.gather(*(sandbox.run("import time; time.sleep(0.1)") for _ in range(8)))

    asyncio.run(warm())
    assert sandbox._link is not None
    supervisor = sandbox._link.process.pid
    time.sleep(1.0)
    first = descendants(supervisor)
    asyncio.run(warm())
    time.sleep(1.0)
    family = descendants(supervisor)
    return supervisor, family & first, len(family), open_files({supervisor, *family})


@pytest.fixture
def attack(sandbox: Sandbox, at_rest: tuple[int, set[int], int, int]) -> Iterator[Callable[..., SandboxResult]]:
    """Runs snippets; afterwards the canary must sing and nothing may be left."""
    supervisor, helpers, processes, files = at_rest
    yield sandbox.run_sync
    canary = sandbox.run_sync("import sympy\nsum(range(10)), str(sympy.Rational(2, 4)), len(__import__('os').listdir('.'))", seed=1)
    assert canary.value == "(45, '1/2', 0)", canary
    assert sandbox._link is not None
    assert sandbox._link.process.pid == supervisor
    deadline = time.monotonic() + 10
    while (leaks := leaked(supervisor, helpers, processes, files)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not leaks


def leaked(supervisor: int, helpers: set[int], processes: int, files: int) -> str:
    """What is left behind, or gone that should stay; spare processes come and go, but their number stays."""
    family = descendants(supervisor)
    if not helpers <= family:
        return "the zygote was replaced"
    if len(family) != processes:
        return f"{len(family)} processes instead of {processes}"
    held = open_files({supervisor, *family})
    return f"{held} descriptors instead of {files}" if held > files + _SLACK else ""
