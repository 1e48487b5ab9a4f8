"""Zygotes: which one forks a snippet, how they are replaced, namespaces of a snippet's own, and callers that take turns."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from toolwright.errors import UsageError
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits
from toolwright.sandbox._needs import FULL, LIGHT, LIGHT_MODULES, Needs
from toolwright.sandbox._queue import FairQueue
from toolwright.sandbox._strays import descendants

LIMITS = SandboxLimits(wall_s=60.0, cpu_s=5.0, memory_bytes=128 << 20)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("print(2 + 2)", LIGHT),
        ("import math, random as r\nfrom fractions import Fraction\nfrom collections.abc import Iterable", LIGHT),
        ("import os.path; import re", LIGHT),
        ("# a sympathetic word, important from here on\nx = 1", LIGHT),
        ("import sympy", FULL),
        ("x = 'import numpy'", FULL),
        ("def f():\n    from numpy.linalg import det", FULL),
        ("if True: import networkx", FULL),
        ("import math, networkx", FULL),
        ("import \\\n networkx", FULL),
        ("from \\\n networkx import Graph", FULL),
        ("__import__('num' + 'py')", FULL),
        ("import importlib", FULL),
        ("exec('impo' + 'rt numpy')", FULL),
        ("import sys; sys.modules", FULL),
        ("import sqlite3", FULL),
    ],
)
def test_look_errs_towards_the_full_zygote(source: str, kind: str) -> None:
    assert Needs(("numpy", "sympy")).kind(source.encode()) == kind
    assert Needs(()).kind(source.encode()) == LIGHT


def test_light_modules_exist_and_are_loaded() -> None:
    with Sandbox(preload=("numpy",), limits=LIMITS, zygotes=1, spares=0) as sandbox:
        loaded = sandbox.run_sync(f"import sys\nprint([name for name in {LIGHT_MODULES} if name not in getattr(sys, 'mod' + 'ules')])")
        assert loaded.stdout == "[]\n", loaded
        assert sandbox.run_sync("import sys\n'numpy' in getattr(sys, 'mod' + 'ules')").value == "True", "it names numpy, so it gets it"
        assert sandbox.run_sync("import sys\n'num' + 'py' in getattr(sys, 'mod' + 'ules')").value == "False"
        fooled = sandbox.run_sync("np = getattr(__builtins__, '__imp' + 'ort__')('num' + 'py')\nint(np.arange(4).sum())")
        assert fooled.value == "6", "a snippet that fools the look imports for itself"


def test_worn_zygotes_are_replaced_and_nothing_is_lost() -> None:
    async def story(sandbox: Sandbox) -> None:
        supervisor = sandbox._link.process.pid if sandbox._link is not None else -1
        first = descendants(supervisor)
        async with sandbox.session() as session:
            assert (await session.run("x = 20")).ok
            results = await asyncio.gather(*(sandbox.run(f"{n} + 1") for n in range(60)))
            assert [result.value for result in results] == [str(n + 1) for n in range(60)]
            again = await session.run("x + 1")
            assert (again.value, again.session_reset) == ("21", False), "a session stays on its zygote"
        deadline = time.monotonic() + 30
        while (first & descendants(supervisor) or len(descendants(supervisor)) > 4) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            await sandbox.run("1")
        assert not first & descendants(supervisor), "worn zygotes end with their last child"
        assert len(descendants(supervisor)) <= 4, "no more than are asked for, once those that overlap are gone"
        assert (await sandbox.run("2")).value == "2"

    with Sandbox(preload=(), limits=LIMITS, recycle_after=10) as sandbox:
        sandbox.capabilities()
        asyncio.run(story(sandbox))


def test_killed_zygote_among_several() -> None:
    async def story(sandbox: Sandbox, supervisor: int) -> None:
        runs = [asyncio.create_task(sandbox.run(f"import time; time.sleep(0.3); print({n})")) for n in range(12)]
        await asyncio.sleep(0.4)
        for pid in sorted(descendants(supervisor))[:2]:  # one zygote and what started it
            os.kill(pid, signal.SIGKILL)
        results = await asyncio.gather(*runs)
        assert [(result.outcome, result.stdout) for result in results] == [(Outcome.OK, f"{n}\n") for n in range(12)]

    with Sandbox(preload=(), limits=LIMITS, zygotes=2, max_running=4, spares=0) as sandbox:
        sandbox.capabilities()
        assert sandbox._link is not None
        asyncio.run(story(sandbox, sandbox._link.process.pid))


def test_strict_gives_each_snippet_its_own_process_namespace() -> None:
    with Sandbox(preload=(), limits=SandboxLimits(wall_s=60, cpu_s=0.3), strict=True, spares=1) as sandbox:
        reached = sandbox.capabilities()
        if reached.level < 4:
            with pytest.raises(UsageError, match=r"below the level 4.*leave strict out"):
                sandbox.run_sync("1")
            pytest.skip(reached.layer("processes").why)
        result = sandbox.run_sync("import os, threading\nprint(os.getpid(), os.getppid(), threading.get_native_id(), threading.main_thread().native_id)")
        assert (result.stdout, result.level) == ("1 0 1 1\n", 4)
        assert sandbox.run_sync("while True: pass").outcome is Outcome.TIMEOUT_CPU
        crash = sandbox.run_sync("import ctypes; ctypes.string_at(0)")
        assert (crash.outcome, crash.signal) == (Outcome.KILLED, 11)
        assert sandbox.run_sync("import os; os.abort()").outcome is Outcome.KILLED
        assert sandbox.run_sync("import os; os.fork()").error == "PermissionError: [Errno 1] Operation not permitted"
        assert sandbox.run_sync("import threading\nt = threading.Thread(target=print, args=(7,)); t.start(); t.join()").stdout == "7\n"

        async def talk() -> None:
            async with sandbox.session() as session:
                await session.run("x = 1")
                slow = await session.run("while True: pass")
                assert (slow.outcome, slow.session_reset) == (Outcome.TIMEOUT_CPU, False), "the soft interrupt reaches process 1, which has a handler"
                assert (await session.run("x")).value == "1"

        asyncio.run(talk())


def test_strict_is_refused_where_namespaces_are_missing() -> None:
    with Sandbox(preload=(), strict=True, disable=("namespaces",)) as sandbox, pytest.raises(UsageError, match="level 2, below the level 4"):
        sandbox.run_sync("1")


def test_callers_take_turns() -> None:
    order: list[str] = []

    async def story(sandbox: Sandbox) -> None:
        async def one(key: str) -> None:
            assert (await sandbox.run("1", key=key)).ok
            order.append(key)

        many = [asyncio.create_task(one("many")) for _ in range(300)]
        await asyncio.sleep(0.05)
        await asyncio.gather(*(one("few") for _ in range(5)))
        assert order.count("many") < 150, "the caller with five snippets waited for the one with three hundred"
        await asyncio.gather(*many)

    with Sandbox(preload=(), limits=LIMITS, max_running=1) as sandbox:
        sandbox.run_sync("1")
        asyncio.run(story(sandbox))


def test_fair_queue_is_round_robin() -> None:
    queue: FairQueue[int] = FairQueue()
    for item in range(3):
        queue.push("a", item)
    queue.push("b", 10)
    queue.push("c", 20)
    queue.push("c", 21)
    queue.remove("c", 20)
    queue.remove("c", 99)
    queue.remove("z", 0)
    first = queue.pop()
    assert first == ("a", 0)
    queue.push_front(*first)
    assert [item for _, item in (queue.pop(), queue.pop(), queue.pop())] == [0, 10, 21]
    assert queue and queue.take_all() == [1, 2] and not queue
    with pytest.raises(IndexError):
        queue.pop()
