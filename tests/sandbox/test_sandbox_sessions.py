"""Sessions: what stays between turns, what a time limit does to it, and what two sessions share (nothing)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from toolwright.errors import SandboxFault
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxSession
from toolwright.sandbox._strays import descendants as _descendants

LIMITS = SandboxLimits(wall_s=30.0, cpu_s=0.3, memory_bytes=128 << 20)
"""CPU decides; the wall is far away, so that a busy machine changes nothing."""
SHORT = SandboxLimits(wall_s=0.5, cpu_s=20.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=LIMITS, preload=("numpy",), max_sessions=20, spares=0, zygotes=1) as made:
        yield made


def talk(sandbox: Sandbox, story: Callable[[SandboxSession], Awaitable[None]], *, seed: int = 0, limits: SandboxLimits = LIMITS) -> None:
    async def tell() -> None:
        async with sandbox.session(seed=seed, limits=limits) as session:
            await story(session)

    asyncio.run(tell())


async def until_process_is_gone(sandbox: Sandbox) -> None:
    """Wait for the zygote to have no child."""
    link = sandbox._link
    assert link is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        if len(_descendants(link.process.pid)) <= 4:
            return
    raise AssertionError("the session's process works on")


def test_variables_functions_and_files_stay(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        assert (await session.run("x = 41\ndef f(n): return n + x")).ok
        assert (await session.run("f(1)")).value == "42"
        assert (await session.run("open('note', 'w').write('hi')")).value == "2"
        assert (await session.run("open('note').read()")).value == "'hi'"
        assert (await session.run("1/0")).error == "ZeroDivisionError: division by zero"
        result = await session.run("print(x)")
        assert (result.stdout, result.level, result.session_reset) == ("41\n", sandbox.capabilities().level, False)

    talk(sandbox, story)


def test_traceback_of_a_later_turn_names_its_own_line(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("def f():\n    raise KeyError('first turn')")
        result = await session.run("pass\nf()")
        assert "raise KeyError('first turn')" in result.stderr and "line 2, in <module>\n    f()" in result.stderr

    talk(sandbox, story)


@pytest.mark.parametrize(
    ("code", "limits", "outcome"),
    [("while True: pass", LIMITS, Outcome.TIMEOUT_CPU), ("import time; time.sleep(60)", SHORT, Outcome.TIMEOUT_WALL)],
    ids=["cpu", "wall"],
)
def test_soft_interrupt_keeps_the_state(sandbox: Sandbox, code: str, limits: SandboxLimits, outcome: Outcome) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("x = 1")
        result = await session.run(code)
        assert (result.outcome, result.session_reset) == (outcome, False)
        assert (await session.run("x")).value == "1"

    talk(sandbox, story, limits=limits)


def test_hard_kill_is_reported_as_a_reset(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("x = 1")
        result = await session.run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass")
        assert (result.outcome, result.session_reset, result.signal) == (Outcome.TIMEOUT_CPU, True, 9)
        result = await session.run("x")
        assert (result.error, result.session_reset) == ("NameError: name 'x' is not defined", False)

    talk(sandbox, story)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("import os; os._exit(0)", Outcome.OK), ("import os; os._exit(3)", Outcome.ERROR), ("import ctypes; ctypes.string_at(0)", Outcome.KILLED)],
)
def test_death_in_a_turn_is_a_reset(sandbox: Sandbox, code: str, outcome: Outcome) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("x = 1")
        result = await session.run(code)
        assert (result.outcome, result.session_reset) == (outcome, True)
        assert (await session.run("2")).value == "2"

    talk(sandbox, story)


def test_exit_ends_the_turn_only(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("x = 1")
        result = await session.run("import sys; sys.exit(4)")
        assert (result.outcome, result.exit_code, result.session_reset) == (Outcome.ERROR, 4, False)
        assert (await session.run("x")).value == "1"

    talk(sandbox, story)


def test_memory_error_leaves_the_session_usable(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        assert (await session.run("x = bytearray(1 << 30)")).outcome is Outcome.MEMORY
        assert (await session.run("1 + 1")).value == "2"

    talk(sandbox, story)


def test_cpu_is_counted_per_turn(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        for _ in range(4):
            result = await session.run("import time\nend = time.process_time() + 0.15\nwhile time.process_time() < end: pass")
            assert result.ok and 0.14 < result.cpu_s < 0.29, result

    talk(sandbox, story)


def test_late_output_of_a_thread_is_not_the_next_turns(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        late = "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('late')), daemon=True).start()\nprint('now')"
        assert (await session.run(late)).stdout == "now\n"
        await asyncio.sleep(0.3)
        assert (await session.run("print('next')")).stdout == "next\n"

    talk(sandbox, story)


def test_working_on_between_turns_ends_the_process(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("import threading\ndef spin():\n while True: pass\nthreading.Thread(target=spin, daemon=True).start()")
        await until_process_is_gone(sandbox)
        result = await session.run("spin")
        assert result.session_reset and result.error == "NameError: name 'spin' is not defined"

    talk(sandbox, story)


def test_forged_end_of_turn_fools_only_itself(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        result = await session.run("import os, struct\nos.write(3, struct.pack('>cI', b'D', 1) + b'0')\nwhile True: pass")
        assert result.outcome is Outcome.OK
        await until_process_is_gone(sandbox)
        assert (await session.run("1 + 1")).value == "2"

    talk(sandbox, story)


def test_seed_starts_the_session_and_goes_on(sandbox: Sandbox) -> None:
    seen = []

    async def story(session: SandboxSession) -> None:
        await session.run("import random")
        seen.append([(await session.run("random.random()")).value for _ in range(2)])

    for seed in (1, 1, 2):
        talk(sandbox, story, seed=seed)
    assert seen[0] == seen[1] != seen[2]
    assert seen[0][0] != seen[0][1]


def test_sessions_share_nothing(sandbox: Sandbox) -> None:
    async def both() -> None:
        async with sandbox.session() as one, sandbox.session() as two:
            await one.run("import os, numpy, builtins\nx = 1\nopen('f', 'w').close()\nos.environ['E'] = '1'\nnumpy.pi = 3\nbuiltins.len = None")
            result = await two.run("import os, numpy\nprint('x' in globals(), os.listdir('.'), os.environ.get('E'), numpy.pi > 3.1, len('ab'))")
            assert result.stdout == "False [] None True 2\n", result

    asyncio.run(both())


def test_too_many_sessions_are_refused_and_room_comes_back(sandbox: Sandbox) -> None:
    async def crowd() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                session = await stack.enter_async_context(sandbox.session())
            assert (await session.run("1")).ok
            with pytest.raises(SandboxFault, match="20 sessions are open"):
                await stack.enter_async_context(sandbox.session())
        await asyncio.sleep(0.1)
        async with sandbox.session() as session:
            assert (await session.run("1")).ok

    asyncio.run(crowd())


def test_cancelled_turn_kills_the_process_and_the_next_starts_anew(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("x = 1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.run("import time; time.sleep(20)"), 0.2)
        result = await session.run("x")
        assert result.session_reset and result.error == "NameError: name 'x' is not defined"

    talk(sandbox, story)


def test_many_sessions_at_once(sandbox: Sandbox) -> None:
    async def one(number: int) -> None:
        async with sandbox.session() as session:
            await session.run(f"x = {number}")
            for step in range(5):
                assert (await session.run("x += 1\nx")).value == str(number + step + 1)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(15)))

    asyncio.run(all_of_them())
