"""Sandboxes of each level, and what must hold after every attack: the next snippet answers right, and nothing is left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolwright.sandbox import Sandbox, SandboxLimits, SandboxResult

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's layers are Linux's")
LIMITS = SandboxLimits(wall_s=1.2, cpu_s=0.3, memory_bytes=192 << 20, file_bytes=1 << 20)
DISABLED_FOR_LEVEL: dict[int, tuple[str, ...]] = {3: (), 2: ("namespaces",)}


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


@pytest.fixture(scope="session", params=sorted(DISABLED_FOR_LEVEL), ids=lambda level: f"level{level}")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One sandbox per level, with a secret in the environment it was started from."""
    os.environ["TOOLWRIGHT_TEST_SECRET"] = "hunter2-in-the-environment"
    with Sandbox(limits=LIMITS, disable=DISABLED_FOR_LEVEL[request.param]) as made:
        reached = made.capabilities()
        if reached.level != request.param:
            pytest.skip(f"this machine gives level {reached.level}: {[layer.why for layer in reached.layers if not layer.active]}")
        made.run_sync("1")
        yield made
    del os.environ["TOOLWRIGHT_TEST_SECRET"]


@pytest.fixture
def attack(sandbox: Sandbox) -> Iterator[Callable[..., SandboxResult]]:
    """Runs snippets; afterwards the canary must sing and nothing may be left."""
    link = sandbox._link
    assert link is not None
    supervisor = link.process.pid
    family, files = descendants(supervisor), open_files(descendants(supervisor) | {supervisor})
    yield sandbox.run_sync
    canary = sandbox.run_sync("import sympy\nsum(range(10)), str(sympy.Rational(2, 4)), len(__import__('os').listdir('.'))", seed=1)
    assert canary.value == "(45, '1/2', 0)", canary
    assert sandbox._link is link
    deadline = time.monotonic() + 5
    while (leaks := open_files({supervisor, *family}) > files or descendants(supervisor) != family) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not leaks, "a process or a descriptor was left, or the zygote was replaced"
