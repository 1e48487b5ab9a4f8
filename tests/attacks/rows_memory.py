"""Rows 15–25: more memory, deeper stacks, and higher limits than were given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attack_rows import CPU, ERROR, KILLED, LIMITS, MEMORY, REFUSED, Case, Row, Story, dies_of, either, ends, fails

from toolwright.sandbox import Outcome

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(15, "one huge allocation", "MemoryError"),
    Row(16, "list that grows", "MemoryError"),
    Row(17, "huge numpy array", "MemoryError"),
    Row(18, "sparse map", "refused"),
    Row(19, "deep recursion", "RecursionError"),
    Row(20, "recursion without a limit", "contained; never a hang"),
    Row(21, "deep nesting in C", "contained"),
    Row(22, "long string", "MemoryError"),
    Row(23, "reference cycles", "contained"),
    Row(24, "raises its own limits", "refused"),
    Row(25, "many memory bombs at once", "neighbours answer right, the host keeps its memory"),
]

CASES = [
    Case(15, "bytearray", "x = bytearray(4 << 30)", ends(MEMORY)),
    Case(15, "list", "x = [0] * (1 << 33)", ends(MEMORY)),
    Case(16, "growing list", "x = []\nwhile True: x.append(bytearray(1 << 24))", ends(MEMORY, CPU)),
    Case(
        16, "catches MemoryError and goes on", "x = []\nwhile True:\n try: x.append(bytearray(1 << 24))\n except MemoryError: pass", ends(CPU, MEMORY, KILLED)
    ),
    Case(17, "numpy", "import numpy as np; np.ones((40000, 40000))", ends(MEMORY)),
    Case(18, "mmap", "import mmap; mmap.mmap(-1, 1 << 40)", REFUSED),
    Case(18, "anonymous file", "import os; os.memfd_create('x')", REFUSED),
    Case(19, "recursion", "def f(): f()\nf()", fails("RecursionError")),
    Case(20, "limit raised", "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()", ends(MEMORY, CPU, KILLED, ERROR)),
    Case(
        20,
        "limit raised in C",
        "import sys, functools; sys.setrecursionlimit(10**9)\nf = lambda: f.g()\nf.g = functools.partial(f)\nf()",
        ends(MEMORY, CPU, KILLED),
    ),
    Case(21, "json", "import json\nx = []\nfor _ in range(10**5): x = [x]\njson.dumps(x)", either(fails("RecursionError"), dies_of(11), ends(MEMORY))),
    Case(21, "repr", "x = []\nfor _ in range(10**6): x = [x]\nlen(repr(x))", either(fails("RecursionError"), dies_of(11), ends(MEMORY, CPU))),
    Case(
        21, "pickle", "import pickle\nx = []\nfor _ in range(10**6): x = [x]\npickle.dumps(x)", either(fails("RecursionError"), dies_of(11), ends(MEMORY, CPU))
    ),
    Case(22, "multiplied", "'a' * 10**11", ends(MEMORY)),
    Case(22, "padded", "'%*d' % (2**31 - 1, 1)", ends(MEMORY)),
    Case(23, "cycles", "import gc\ngc.disable()\nwhile True:\n x = []; x.append(x)", ends(MEMORY, CPU)),
    Case(24, "memory", "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", fails("ValueError", "PermissionError")),
    Case(24, "files", "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))", fails("ValueError", "PermissionError")),
    Case(24, "processor", "import resource\ntry: resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))\nexcept Exception: pass\nwhile True: pass", ends(CPU)),
]


_ROOM = 4


async def _bombs(stage: Stage) -> str:
    """As many at once as there are processes for, in a sandbox that may promise memory to four of them."""
    limits = replace(LIMITS, cpu_s=5.0)
    bomb, lowest, over = "x = []\nwhile True: x.append(bytearray(1 << 24))", _available(), asyncio.Event()
    floor = lowest - 2 * _ROOM * limits.memory_bytes

    async def watch() -> None:
        nonlocal lowest
        while not over.is_set():
            lowest = min(lowest, _available())
            await asyncio.sleep(0.02)

    with stage.fresh(limits=limits, preload=(), spares=0, max_running=16, total_memory_bytes=_ROOM * limits.memory_bytes) as sandbox:
        await sandbox.run("1")
        watching = asyncio.create_task(watch())
        results = await asyncio.gather(*(sandbox.run("print(6 * 7)" if at % 4 == 0 else bomb) for at in range(16)))
        over.set()
        await watching
    assert all(result.stdout == "42\n" for result in results[::4]), results
    ended = {result.outcome for at, result in enumerate(results) if at % 4}
    assert ended <= {MEMORY, CPU, Outcome.KILLED}, ended
    assert lowest > floor, f"{lowest >> 20} MiB free, less than {floor >> 20}"
    return ", ".join(sorted(ended))


def _available() -> int:
    """Bytes of memory the machine has left."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


STORIES = [Story(25, "12 bombs and 4 neighbours", _bombs)]
