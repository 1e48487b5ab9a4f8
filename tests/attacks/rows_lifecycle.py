"""Rows 89–100: faults outside the snippet, sessions, seeds, and programs that must simply work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attack_rows import Case, Row, Story

from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxResult
from toolwright.sandbox._wire import HEAD, pack_message

if TYPE_CHECKING:
    from attack_stage import Stage

ROWS = [
    Row(89, "a zygote is killed, or stands still", "a new one; what it ran is run again"),
    Row(90, "the caller is killed", "everything below it ends"),
    Row(91, "the caller gives up waiting", "the snippet is killed and reaped"),
    Row(92, "half a request, a gibibyte, garbage", "that connection is closed, no other"),
    Row(93, "a crowd of snippets, one in twenty an attack", "no leak; every answer right"),
    Row(94, "a machine under load", "no snippet within its CPU limit is timed out"),
    Row(95, "a layer of the isolation is missing", "the documented level, or a refusal; never silent"),
    Row(96, "random numbers", "equal for equal seeds, different for different ones"),
    Row(97, "a session's turn runs into a limit", "variables stay, or the reset is told"),
    Row(98, "another session's variables, patches, files", "not seen"),
    Row(99, "thousands of sessions", "refused or closed, not out of memory"),
    Row(100, "legitimate programs", "the same output as without the sandbox"),
]
CASES: list[Case] = []
_PATIENT = SandboxLimits(wall_s=30.0, cpu_s=2.0, memory_bytes=128 << 20)
_LONG = SandboxLimits(wall_s=60.0, cpu_s=10.0)


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                if int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(name))
    return found


def alive(pid: int) -> bool:
    """Whether the process runs (a dead one that is not yet buried does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def family_of(sandbox: Sandbox) -> list[int]:
    """The supervisor and all below it, nearest first."""
    assert sandbox._link is not None
    found, front = [sandbox._link.process.pid], [sandbox._link.process.pid]
    while front := [child for pid in front for child in children(pid)]:
        found += front
    return found


async def gone(pids: list[int], seconds: float = 5.0) -> None:
    """Wait until none of the processes runs."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if alive(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        await asyncio.sleep(0.01)


async def _killed_zygote(stage: Stage) -> str:
    with stage.fresh(limits=_PATIENT, preload=(), spares=0) as sandbox:
        await sandbox.run("1")
        assert sandbox._link is not None
        supervisor = sandbox._link.process.pid
        running = [asyncio.create_task(sandbox.run(f"import time; time.sleep(0.6); print({n})")) for n in range(3)]
        await asyncio.sleep(0.3)
        zygotes = children(supervisor)
        assert zygotes
        for pid in zygotes:
            os.kill(pid, signal.SIGKILL)
        results = await asyncio.gather(*running)
        assert [(each.outcome, each.stdout) for each in results] == [(Outcome.OK, f"{n}\n") for n in range(3)], results
        assert sandbox._link.process.pid == supervisor
    return "run again, all right"


async def _killed_under_a_turn(stage: Stage) -> str:
    """A turn is not run twice, as its first part may have happened: it is told as the sandbox's failure, with its variables, and the next one starts anew."""
    with stage.fresh(limits=_PATIENT, preload=(), spares=0) as sandbox:
        async with sandbox.session() as session:
            assert (await session.run("x = 1")).ok
            assert sandbox._link is not None
            running = asyncio.create_task(session.run("import time; time.sleep(20)"))
            await asyncio.sleep(0.3)
            for pid in children(sandbox._link.process.pid):
                os.kill(pid, signal.SIGKILL)
            result = await running
            assert (result.outcome, result.session_reset, result.level) == (Outcome.INFRA, True, stage.level), result
            result = await session.run("x")
            assert (result.error, result.session_reset) == ("NameError: name 'x' is not defined", False), result
    return "told as infra and as reset"


async def _wedged_zygote(stage: Stage) -> str:
    with stage.fresh(limits=_PATIENT, preload=(), spares=0) as sandbox:
        await sandbox.run("1")
        for pid in family_of(sandbox)[1:]:
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        assert (await sandbox.run("2")).value == "2"
        assert time.monotonic() - begin < 20
    return "replaced, answered"


_CALLER = """
import sys, threading, time
from toolwright.sandbox import Sandbox
sandbox = Sandbox(preload=(), spares=0, disable={disable!r}, allow_degraded=True)
sandbox.run_sync("1")
print(sandbox._link.process.pid, flush=True)
threading.Thread(target=sandbox.run_sync, args=("import time; time.sleep(50)",), daemon=True).start()
time.sleep(50)
"""


async def _dead_caller(stage: Stage) -> str:
    from attack_stage import DISABLE

    script = textwrap.dedent(_CALLER.format(disable=DISABLE[stage.level]))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        supervisor = int(caller.stdout.readline())
        family: list[int] = []
        deadline = time.monotonic() + 5
        while len(family) < 3 and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            front = [supervisor]
            family = [supervisor]
            while front := [child for pid in front for child in children(pid)]:
                family += front
        caller.kill()
        caller.wait()
        await gone(family)
    return "all gone"


async def _given_up(stage: Stage) -> str:
    before = set(family_of(stage.sandbox))
    limits = SandboxLimits(wall_s=20)  # spares have other limits: this one is forked for the run
    task = asyncio.create_task(stage.sandbox.run("import time; time.sleep(15)", limits=limits))
    deadline = time.monotonic() + 5
    while not (started := set(family_of(stage.sandbox)) - before) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert started
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    await gone(list(started))
    return "killed"


_GARBAGE = (
    b"\xff" * 100,
    HEAD.pack(1 << 30, 0),
    HEAD.pack(10, 1 << 30),
    HEAD.pack((1 << 32) - 1, (1 << 32) - 1),
    HEAD.pack(4, 0) + b"[1]\n",
    HEAD.pack(2, 0) + b"{}",
    pack_message({"op": "turn", "seed": 0}, [b"1"]),
    pack_message({"op": "run", "limits": {"x": 1}, "seed": 0}, [b"1"]),
    pack_message({"op": "dance"}),
)


async def _garbage(stage: Stage) -> str:
    loop = asyncio.get_running_loop()
    async with stage.sandbox.session() as bystander:
        assert (await bystander.run("x = 41")).ok
        for garbage in _GARBAGE:
            with stage.sandbox._connect() as sock:
                sock.setblocking(False)
                await loop.sock_sendall(sock, garbage)
                answer = await asyncio.wait_for(loop.sock_recv(sock, 100), 3)
                assert answer == b"", (garbage, answer)
        with stage.sandbox._connect() as half:
            half.sendall(pack_message({"op": "hello"})[:5])
        assert (await bystander.run("x + 1")).value == "42"
    return "that connection closed"


async def _crowd(stage: Stage, count: int = 200) -> str:
    places = asyncio.Semaphore(64)
    attacks = ("while True: pass", "import os\nwhile True: os.fork()", "import ctypes; ctypes.string_at(0)", "x = bytearray(4 << 30)", "open('/etc/shadow')")

    async def one(n: int) -> SandboxResult:
        code = attacks[n // 20 % len(attacks)] if n % 20 == 0 else ("open('f', 'w').write('x'); " if stage.level > 1 else "") + f"print({n} ** 2)"
        async with places:
            return await stage.sandbox.run(code, limits=SandboxLimits(wall_s=30, cpu_s=0.3, memory_bytes=192 << 20))

    results = await asyncio.gather(*(one(n) for n in range(count)))
    assert all(each.outcome is not Outcome.INFRA for each in results)
    assert [each.stdout for n, each in enumerate(results) if n % 20] == [f"{n * n}\n" for n in range(count) if n % 20]
    assert all(each.outcome is not Outcome.OK for each in results[::20])
    return "every answer right"


async def _long_crowd(stage: Stage) -> str:
    return await _crowd(stage, 3000)


async def _loaded(stage: Stage) -> str:
    spinners = [subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) for _ in range(8)]
    try:
        await asyncio.sleep(0.3)
        work = "import time\nend = time.process_time() + 0.15\nwhile time.process_time() < end: pass\nprint('done')"
        results = [await stage.sandbox.run(work, limits=SandboxLimits(wall_s=2.0, cpu_s=0.6, memory_bytes=192 << 20)) for _ in range(3)]
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
    assert all(each.stdout == "done\n" for each in results), results
    return "no false timeout"


async def _missing_layers(stage: Stage) -> str:
    """Each layer switched off by itself: the level says so, and less than 2 is refused unless it was accepted."""
    for off, level in ((("namespaces",), 2), (("landlock",), 1), (("seccomp",), 0), (("landlock", "seccomp"), 0)):
        with Sandbox(preload=(), disable=off, spares=0) as sandbox:
            reached = sandbox.capabilities()
            assert reached.level == level, (off, reached)
            assert all(not reached.layer(name).active and reached.layer(name).why for name in off), reached
            if level == 2:
                assert (await sandbox.run("1")).level == 2
                continue
            with pytest.raises(UsageError, match=f"level {level}"):
                await sandbox.run("1")
    return "told, or refused"


async def _seeds(stage: Stage) -> str:
    code = "import random, numpy as np\nprint(random.random(), np.random.rand())"
    first, same, other = [(await stage.sandbox.run(code, seed=seed)).stdout for seed in (1, 1, 2)]
    assert first == same
    assert all(a != b for a, b in zip(first.split(), other.split(), strict=True))
    return "as seeded"


async def _limits_in_a_session(stage: Stage) -> str:
    async with stage.sandbox.session() as session:
        await session.run("x = 1")
        await session.run("x += 1")
        soft = await session.run("while True: pass")
        assert (soft.outcome, soft.session_reset) == (Outcome.TIMEOUT_CPU, False), soft
        assert (await session.run("x")).value == "2"
        hard = await session.run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass")
        assert (hard.outcome, hard.session_reset) == (Outcome.TIMEOUT_CPU, True), hard
        assert (await session.run("x")).error == "NameError: name 'x' is not defined"
    return "kept, or told as reset"


async def _strangers(stage: Stage) -> str:
    async with stage.sandbox.session() as one, stage.sandbox.session() as two:
        await one.run("import os, numpy, builtins\nx = 1\nos.environ['E'] = '1'\nnumpy.pi = 3\nbuiltins.len = None")
        await one.run("open('f', 'w').close()\nos.mkdir('d'); os.chdir('d')")
        seen = await two.run("import os, numpy\nprint('x' in globals(), os.listdir('.'), os.environ.get('E'), numpy.pi > 3.1, len('ab'))")
        assert seen.stdout == "False [] None True 2\n", seen
    return "not seen"


async def _many_sessions(stage: Stage, **options: int) -> str:
    """More sessions than allowed: some are refused, or lose their process and say so; never does one answer from nothing."""
    most, opened, refused = 12, [], 0
    with stage.fresh(limits=_PATIENT, preload=(), spares=0, **(options or {"max_sessions": most})) as sandbox:
        await sandbox.run("1")
        at_rest = len(family_of(sandbox))
        async with contextlib.AsyncExitStack() as stack:
            for n in range(60):
                try:
                    session = await stack.enter_async_context(sandbox.session())
                    assert (await session.run(f"x = {n}")).ok
                    opened.append((n, session))
                except SandboxFault as error:
                    assert "sessions" in str(error)
                    refused += 1
            assert len(family_of(sandbox)) <= at_rest + most
            answers = [(n, await session.run("x")) for n, session in opened]
            assert all(answer.value == str(n) or answer.session_reset for n, answer in answers), answers
            lost = sum(answer.session_reset for _, answer in answers)
            assert refused + lost >= 60 - most
        assert (await sandbox.run("2")).value == "2"
    return "refused" if refused else "closed, told as reset"


async def _many_processes(stage: Stage) -> str:
    return await _many_sessions(stage, max_live_sessions=12)


async def _legitimate(stage: Stage) -> str:
    if (folder := str(Path(__file__).parents[1] / "sandbox")) not in sys.path:  # where these tests run without those
        sys.path.append(folder)
    import legitimate_snippets

    for name in legitimate_snippets.SAMPLE:
        if stage.way == "session":  # the first turn of one of its own: the names of others would be there
            async with stage.sandbox.session(limits=_LONG) as session:
                boxed = await session.run(legitimate_snippets.SNIPPETS[name])
        else:
            boxed = await stage.sandbox.run(legitimate_snippets.SNIPPETS[name], limits=_LONG)
        plain = await asyncio.to_thread(legitimate_snippets.run_plainly, legitimate_snippets.SNIPPETS[name])
        if name in legitimate_snippets.NEEDS_LEVEL and stage.level < legitimate_snippets.NEEDS_LEVEL[name]:
            assert not boxed.ok, boxed
        else:
            assert boxed.ok and boxed.stdout == plain, (name, boxed, plain)
    return "the same output"


STORIES = [
    Story(89, "killed", _killed_zygote),
    Story(89, "killed under a session's turn", _killed_under_a_turn, ways=("session",)),
    Story(89, "standing still", _wedged_zygote, levels=(3, 2), slow=True),
    Story(90, "killed caller", _dead_caller),
    Story(91, "cancelled", _given_up),
    Story(92, "garbage", _garbage),
    Story(93, "200 snippets", _crowd),
    Story(93, "3,000 snippets", _long_crowd, slow=True),
    Story(94, "8 spinning processes", _loaded),
    Story(95, "each layer off", _missing_layers, levels=(3,)),
    Story(96, "seeds", _seeds),
    Story(97, "limits", _limits_in_a_session),
    Story(98, "strangers", _strangers),
    Story(99, "60 where 12 are allowed", _many_sessions),
    Story(99, "60 where 12 may have a process", _many_processes),
    Story(100, "legitimate programs", _legitimate, ways=("one-shot", "session")),
]
