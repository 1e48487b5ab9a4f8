"""Sessions: what stays between turns, what a time limit does to it, and what two sessions share (nothing)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from toolwright.errors import SandboxFault, UsageError
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


async def until_process_is_gone(sandbox: Sandbox, helpers: int = 4) -> None:
    """Wait for the zygotes, which with what started them are so many processes, to have no child."""
    link = sandbox._link
    assert link is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        if len(_descendants(link.process.pid)) <= helpers:
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


@pytest.mark.parametrize(
    "work",
    [
        "n = 0\n while n < 100 and not time.sleep(0.01):\n  n += 1\n  with open(f'f{n}', 'wb') as f: f.write(bytes(1 << 20))",
        "for n in range(1300): threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()",
    ],
    ids=["disk", "threads"],
)
def test_what_only_watching_bounds_is_watched_between_turns_too(work: str) -> None:
    limits = SandboxLimits(wall_s=30.0, cpu_s=20.0, file_bytes=1 << 20)
    behind = f"import threading, time\nthreading.stack_size(32768)\ndef f():\n {work}\nthreading.Thread(target=f, daemon=True).start()"

    async def story(sandbox: Sandbox) -> None:
        async with sandbox.session(limits=limits) as session:
            assert (await session.run(behind)).ok
            await until_process_is_gone(sandbox, helpers=1)
            assert (await session.run("1")).session_reset

    with Sandbox(preload=(), spares=0, zygotes=1, disable=("namespaces",)) as sandbox:
        asyncio.run(story(sandbox))


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


def test_totals_bound_all_turns_together(sandbox: Sandbox) -> None:
    burn = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"

    async def story() -> None:
        async with sandbox.session(total_cpu_s=0.3) as session:
            assert (await session.run("x = 1")).ok
            assert (await session.run(burn)).ok
            last = await session.run("while True: pass")
            assert (last.outcome, last.error, last.session_reset) == (Outcome.TIMEOUT_CPU, "KeyboardInterrupt", False)
            assert last.cpu_s < 0.25, "the turn got what was left of the total, which is less than its own limit"
            refused = await session.run("x")
            assert (refused.outcome, refused.error) == (Outcome.TIMEOUT_CPU, "the session's cpu time is used up")
        async with sandbox.session(total_wall_s=0.4) as session:
            assert (await session.run("import time; time.sleep(10)")).outcome is Outcome.TIMEOUT_WALL
            assert (await session.run("1")).error == "the session's wall time is used up"

    asyncio.run(story())
    with pytest.raises(UsageError, match="total_cpu_s=0 is out of range"):
        sandbox.session(total_cpu_s=0)


def test_idle_session_ends_and_says_so() -> None:
    async def story(sandbox: Sandbox) -> None:
        async with sandbox.session() as session:
            await session.run("x = 1")
            await until_process_is_gone(sandbox, helpers=2)
            result = await session.run("'x' in globals()")
            assert (result.value, result.session_reset) == ("False", True)
            assert (await session.run("1")).session_reset is False

    with Sandbox(preload=(), spares=0, session_idle_s=0.2) as sandbox:
        asyncio.run(story(sandbox))


def test_least_recently_used_session_makes_room() -> None:
    async def story(sandbox: Sandbox) -> None:
        async with AsyncExitStack() as stack:
            one, two, three = [await stack.enter_async_context(sandbox.session()) for _ in range(3)]
            for session in (one, two):
                await session.run("x = 1")
            assert (await one.run("x")).value == "1", "now the other is the least recently used"
            assert (await three.run("x = 3")).ok
            assert (await one.run("x")).session_reset is False
            lost = await two.run("'x' in globals()")
            assert (lost.value, lost.session_reset) == ("False", True)
            assert len(_descendants(sandbox._link.process.pid if sandbox._link else -1)) <= 2 + 3, "two live, and one may still be ending"

    with Sandbox(preload=(), spares=0, max_live_sessions=2) as sandbox:
        asyncio.run(story(sandbox))


def test_a_turn_that_comes_while_its_process_is_taken_is_not_blamed_for_that() -> None:
    async def story(sandbox: Sandbox) -> None:
        for _ in range(5):
            async with sandbox.session() as one, sandbox.session() as two:
                assert (await one.run("x = 1")).ok
                made_room, result = await asyncio.gather(two.run("2"), one.run("'x' in globals()"))
                assert made_room.value == "2"
                assert (result.outcome, result.value == "False") == (Outcome.OK, result.session_reset), result

    with Sandbox(preload=(), spares=0, max_live_sessions=1) as sandbox:
        asyncio.run(story(sandbox))


def test_sessions_that_hold_much_memory_make_room_and_those_that_hold_little_stay() -> None:
    limits = SandboxLimits(wall_s=30.0, memory_bytes=300 << 20)

    async def story(sandbox: Sandbox) -> None:
        async with AsyncExitStack() as stack:
            small, *large = [await stack.enter_async_context(sandbox.session(limits=limits)) for _ in range(4)]
            assert (await small.run("x = 0")).ok
            for n, session in enumerate(large, start=1):
                assert (await session.run(f"x = bytearray({n} << 20); x = b'1' * (150 << 20); x = len(x), x")).ok
            assert (await small.run("x")).value == "0", "it holds next to nothing, so its end would not help"
            again = [await session.run("'x' in globals()") for session in large]
            assert [result.session_reset for result in again] == [True, True, False]
            await large[2].run("del x")
            assert (await sandbox.run("x = bytearray(200 << 20)", limits=limits)).ok
            assert not (await large[2].run("1")).session_reset, "what it gave back is not held against it"

    with Sandbox(preload=(), spares=0, total_memory_bytes=500 << 20) as sandbox:
        asyncio.run(story(sandbox))


def test_fork_stands_where_the_session_stands_and_shares_nothing(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("import random, os\nx = [random.random()]\nopen('f', 'w').write('a')")
        await session.run("x.append(len(x))\n1 / 0")
        before = (await session.run("x")).value
        async with session.fork() as branch:
            assert branch.replay is not None and (branch.replay.turns, branch.replay.exact) == (3, True)
            assert branch.replay.cpu_s > 0 and branch.replay.wall_s > 0
            assert (await branch.run("x, open('f').read()")).value == f"({before}, 'a')"
            assert (await branch.run("x.clear(); open('f', 'w').write('b')")).ok
            async with branch.fork() as twig:
                assert (await twig.run("x, open('f').read()")).value == "([], 'b')"
        assert session.replay is None
        assert (await session.run("x, open('f').read()")).value == f"({before}, 'a')"

    talk(sandbox, story, seed=5)


def test_fork_says_where_the_replay_differs_and_forgets_what_was_lost(sandbox: Sandbox) -> None:
    async def story(session: SandboxSession) -> None:
        await session.run("y = 1\nimport os; os._exit(0)")
        await session.run("import time\nprint(time.monotonic_ns())")
        async with session.fork() as branch:
            assert branch.replay is not None and (branch.replay.turns, branch.replay.exact) == (1, False)
            assert (await branch.run("'y' in globals()")).value == "False"

    talk(sandbox, story)
