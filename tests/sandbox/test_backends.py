"""What every sandbox back end promises, whichever it is: `SandboxBackend` in words of tests. A new one is added to `BACKENDS`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import BackendSession, Bubblewrap, FaultySandbox, Outcome, Sandbox, SandboxBackend, SandboxLimits, SandboxResult

LIMITS = SandboxLimits(wall_s=60.0, cpu_s=5.0, memory_bytes=256 << 20, file_bytes=1 << 20)
SESSIONS = 3
BACKENDS: dict[str, Callable[[], SandboxBackend]] = {
    "sandbox": lambda: Sandbox(limits=LIMITS, preload=("numpy",), max_sessions=SESSIONS),
    "sandbox-level2": lambda: Sandbox(limits=LIMITS, preload=("numpy",), max_sessions=SESSIONS, disable=("namespaces",)),
    "bubblewrap": lambda: Bubblewrap(limits=LIMITS, max_sessions=SESSIONS),
    "faulty": lambda: FaultySandbox(Sandbox(limits=LIMITS, preload=("numpy",), max_sessions=SESSIONS)),
}


def why_not(backend: SandboxBackend) -> str:
    """Why the back end cannot be used here; empty where it can."""
    try:
        level = backend.capabilities().level
    except (UsageError, SandboxFault) as error:
        return str(error)
    return "" if level >= 2 else f"this machine gives it level {level}"


SLOW = ("sandbox-level2", "faulty")
"""Left to the full run: what they add to the others is tested by itself."""
PARAMS = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in BACKENDS]


@pytest.fixture(scope="module", params=PARAMS)
def backend(request: pytest.FixtureRequest) -> Iterator[SandboxBackend]:
    made = BACKENDS[request.param]()
    if reason := why_not(made):
        pytest.skip(reason)
    yield made
    asyncio.run(made.aclose())


def run(backend: SandboxBackend, code: str, *, seed: int = 0, **limits: float) -> SandboxResult:
    given = SandboxLimits(**{**{name: getattr(LIMITS, name) for name in LIMITS.__slots__}, **limits}) if limits else None  # type: ignore[arg-type]
    return asyncio.run(backend.run(code, limits=given, seed=seed))


def talk(backend: SandboxBackend, story: Callable[[BackendSession], Coroutine[Any, Any, None]], **given: Any) -> None:
    async def tell() -> None:
        async with backend.session(**given) as session:
            await story(session)

    asyncio.run(tell())


def test_it_has_the_protocols_parts(backend: SandboxBackend) -> None:
    assert isinstance(backend, SandboxBackend)
    assert backend.limits == LIMITS
    reached = backend.capabilities()
    assert reached.level >= 2 and reached.layer("limits").active and all(layer.why for layer in reached.layers)
    assert len(backend.digest) == 16


def test_an_ok_run_tells_everything(backend: SandboxBackend) -> None:
    result = run(backend, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert (result.outcome, result.stdout, result.stderr, result.value) == (Outcome.OK, "out\n", "err\n", "42"), result
    assert (result.error, result.exit_code, result.signal, result.truncated, result.session_reset, result.fault) == (None, 0, None, False, False, None)
    assert 0 < result.cpu_s < 5 and 0 < result.wall_s < 60
    assert result.level == backend.capabilities().level


@pytest.mark.parametrize(
    ("code", "outcome", "exit_code", "signal"),
    [
        ("1 / 0", Outcome.ERROR, 1, None),
        ("def f(:", Outcome.ERROR, 1, None),
        ("raise SystemExit(7)", Outcome.ERROR, 7, None),
        ("import os; os._exit(0)", Outcome.OK, 0, None),
        ("import os; os._exit(139)", Outcome.ERROR, 139, None),
        ("import os; os.kill(os.getpid(), 9)", Outcome.KILLED, None, 9),
        ("import ctypes; ctypes.string_at(0)", Outcome.KILLED, None, 11),
        ("x = bytearray(1 << 40)", Outcome.MEMORY, 1, None),
    ],
)
def test_how_it_ended_is_told_apart(backend: SandboxBackend, code: str, outcome: Outcome, exit_code: int | None, signal: int | None) -> None:
    result = run(backend, code)
    assert (result.outcome, result.exit_code, result.signal) == (outcome, exit_code, signal), result


def test_an_error_is_one_line_with_the_snippets_own_traceback(backend: SandboxBackend) -> None:
    result = run(backend, "def f():\n    return {}['k']\nf()")
    assert result.error == "KeyError: 'k'"
    assert 'File "<snippet>", line 3, in <module>' in result.stderr and "toolwright" not in result.stderr


def test_cpu_and_wall_limits(backend: SandboxBackend) -> None:
    result = run(backend, "while True: pass", cpu_s=0.3)
    assert result.outcome is Outcome.TIMEOUT_CPU and 0.3 <= result.cpu_s < 0.6, result
    result = run(backend, "import time\nprint('before', flush=True)\ntime.sleep(50)", wall_s=0.4)
    assert result.outcome is Outcome.TIMEOUT_WALL and 0.4 <= result.wall_s < 3 and result.cpu_s < 0.3, result
    assert result.stdout == "before\n", "what was printed is kept"


def test_output_is_bounded_and_keeps_head_and_tail(backend: SandboxBackend) -> None:
    result = run(backend, "print('a' * 100_000); print('the end')", output_bytes=1000)
    assert result.outcome is Outcome.OK and result.truncated
    assert result.stdout.startswith("aaa") and result.stdout.endswith("the end\n") and len(result.stdout) < 1200
    result = run(backend, "while True: print('x' * 10**6)", output_bytes=1000)
    assert result.outcome is Outcome.OUTPUT_LIMIT and len(result.stdout) < 1200


def test_a_long_value_is_cut_in_bytes_and_says_so(backend: SandboxBackend) -> None:
    whole, cut, wide = (run(backend, code, output_bytes=1000) for code in ("'x' * 900", "'x' * 5000 + 'end'", "'\\ud800' * 500 + '数' * 5000"))
    assert whole.value == repr("x" * 900) and not whole.truncated
    for result, left_out in ((cut, 4005), (wide, 7335)):
        assert result.ok and result.truncated and result.value is not None
        assert f"[... {left_out} characters left out ...]" in result.value and len(result.value.encode()) <= 1100, result
    assert str(cut.value).startswith("'xxx") and str(cut.value).endswith("xxxend'")
    assert str(wide.value).startswith("'\\ud800") and str(wide.value).endswith("数数'")


def test_a_forged_value_is_bounded_as_any_other(backend: SandboxBackend) -> None:
    forge = "import os, struct\nfor kind in (b'V', b'C', b'E'): os.write(3, struct.pack('>cI', kind, {0}) + b'\\xff' * {0})\nprint('on')"
    for size in (1000, 4000):
        result = run(backend, forge.format(size), output_bytes=1000)
        assert result.stdout == "on\n" and len(result.value or "") <= 4 * 1000, result


def test_memory_and_file_limits(backend: SandboxBackend) -> None:
    assert run(backend, "x = bytearray(200 << 20)").ok
    assert run(backend, "x = bytearray(100 << 20)", memory_bytes=64 << 20).outcome is Outcome.MEMORY
    result = run(backend, "open('f', 'wb').write(bytes(2 << 20))", file_bytes=1 << 20)
    assert result.outcome is Outcome.ERROR and "OSError" in str(result.error), result


def test_odd_text_goes_in_and_comes_out(backend: SandboxBackend) -> None:
    assert run(backend, "").ok
    assert run(backend, "\ufeffprint('bom')\r\nprint('crlf')\r\n").stdout == "bom\ncrlf\n"
    assert run(backend, "print('ä数😀')").stdout == "ä数😀\n"
    assert run(backend, "print('\\ud800')").stdout == "\\ud800\n"
    assert run(backend, "import os; os.write(1, b'\\xff\\x00ok')").stdout == "\\xff\x00ok"
    assert run(backend, "x = 1\x00").outcome is Outcome.ERROR
    assert run(backend, "'\ud800'").outcome in (Outcome.OK, Outcome.ERROR)


def test_the_seed_decides_every_generator(backend: SandboxBackend) -> None:
    code = "import random, numpy as np\nprint(random.random(), np.random.rand())"
    one, same, other = (run(backend, code, seed=seed).stdout.split() for seed in (1, 1, 2))
    assert one == same
    assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "import os; os.listdir('/root'), os.listdir('/home')",
        "open('/tmp/left-behind', 'w').write('x')",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import socket; socket.create_connection(('127.0.0.1', 22), 2)",
        "import os; os.kill(os.getppid(), 9)",
    ],
)
def test_the_outside_is_out_of_reach(backend: SandboxBackend, code: str) -> None:
    result = run(backend, code)
    assert result.outcome is Outcome.ERROR, result
    assert run(backend, "1 + 1").value == "2"


def test_the_callers_secrets_are_not_seen(backend: SandboxBackend) -> None:
    os.environ["TOOLWRIGHT_TEST_SECRET"] = "hunter2"
    try:
        fresh = BACKENDS["bubblewrap"]() if isinstance(backend, Bubblewrap) else Sandbox(preload=())
        result = run(fresh, "import os; print(sorted(os.environ))")
        asyncio.run(fresh.aclose())
    finally:
        del os.environ["TOOLWRIGHT_TEST_SECRET"]
    assert result.ok and "TOOLWRIGHT_TEST_SECRET" not in result.stdout


def test_the_machines_name_is_not_told(backend: SandboxBackend) -> None:
    if not backend.capabilities().layer("namespaces").active:
        pytest.skip("without a namespace for it, the name is the machine's")
    assert run(backend, "import os; os.uname().nodename").value == "'sandbox'"


def test_runs_share_nothing(backend: SandboxBackend) -> None:
    assert run(backend, "import os, builtins\nopen('note', 'w').write('x')\nos.environ['E'] = '1'\nbuiltins.len = None\nleft = 1").ok
    assert run(backend, "import os\nprint(os.listdir('.'), os.environ.get('E'), len('ab'), 'left' in globals())").stdout == "[] None 2 False\n"


def test_many_at_once_each_get_their_own(backend: SandboxBackend) -> None:
    async def crowd() -> list[str | None]:
        return [result.value for result in await asyncio.gather(*(backend.run(f"{n} * {n}") for n in range(24)))]

    assert asyncio.run(crowd()) == [str(n * n) for n in range(24)]


def test_a_cancelled_run_ends(backend: SandboxBackend) -> None:
    async def story() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.run("import time; time.sleep(50)", limits=SandboxLimits(wall_s=60)), 0.7)
        begin = time.monotonic()
        await backend.aclose()
        assert time.monotonic() - begin < 10, "something of it ran on"
        assert (await backend.run("1 + 1")).value == "2"

    asyncio.run(story())


def test_a_session_keeps_variables_and_files(backend: SandboxBackend) -> None:
    async def story(session: BackendSession) -> None:
        assert (await session.run("x = 41\ndef f(n): return n + x")).ok
        assert (await session.run("open('note', 'w').write('hi')\nf(1)")).value == "42"
        assert (await session.run("1/0")).error == "ZeroDivisionError: division by zero"
        result = await session.run("print(x, open('note').read())")
        assert (result.stdout, result.session_reset, result.level) == ("41 hi\n", False, backend.capabilities().level)

    talk(backend, story)


def test_a_session_survives_a_time_limit_it_can_be_interrupted_in(backend: SandboxBackend) -> None:
    async def story(session: BackendSession) -> None:
        await session.run("x = 1")
        result = await session.run("while True: pass")
        assert (result.outcome, result.session_reset) == (Outcome.TIMEOUT_CPU, False), result
        assert (await session.run("x")).value == "1"

    talk(backend, story, limits=SandboxLimits(wall_s=60, cpu_s=0.3))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", Outcome.TIMEOUT_CPU),
        ("import os; os._exit(3)", Outcome.ERROR),
        ("import os; os.kill(os.getpid(), 9)", Outcome.KILLED),
    ],
    ids=["uninterruptible", "left", "crashed"],
)
def test_a_lost_session_says_so_once_and_goes_on(backend: SandboxBackend, code: str, outcome: Outcome) -> None:
    async def story(session: BackendSession) -> None:
        await session.run("x = 1")
        result = await session.run(code)
        assert (result.outcome, result.session_reset) == (outcome, True), result
        result = await session.run("x")
        assert (result.error, result.session_reset) == ("NameError: name 'x' is not defined", False), result

    talk(backend, story, limits=SandboxLimits(wall_s=60, cpu_s=0.3))


def test_a_cancelled_turn_loses_the_session(backend: SandboxBackend) -> None:
    async def story(session: BackendSession) -> None:
        await session.run("x = 1")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.run("import time; time.sleep(30)"), 0.3)
        result = await session.run("x")
        assert result.session_reset and result.error == "NameError: name 'x' is not defined", result

    talk(backend, story)


def test_sessions_are_apart_and_seeded(backend: SandboxBackend) -> None:
    async def story() -> None:
        async with backend.session(seed=1) as one, backend.session(seed=1) as two, backend.session(seed=2) as three:
            drawn = [(await session.run("import random; x = random.random(); x")).value for session in (one, two, three)]
            assert drawn[0] == drawn[1] != drawn[2]
            await one.run("y = 1")
            assert (await two.run("y")).outcome is Outcome.ERROR

    asyncio.run(story())


def test_too_many_sessions_are_a_fault_and_room_comes_back(backend: SandboxBackend) -> None:
    async def story() -> None:
        async with backend.session(), backend.session(), backend.session():
            with pytest.raises(SandboxFault, match=rf"{SESSIONS} sessions are open"):
                async with backend.session():
                    pass
        await asyncio.sleep(0.1)
        async with backend.session() as session:
            assert (await session.run("2")).value == "2"

    asyncio.run(story())


def children() -> set[int]:
    """Process ids of this process's own children."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.mark.parametrize("kind", PARAMS)
def test_closing_twice_leaves_nothing_and_a_later_use_starts_anew(kind: str) -> None:
    made = BACKENDS[kind]()
    if reason := why_not(made):
        pytest.skip(reason)
    asyncio.run(made.aclose())
    before, files = children(), len(os.listdir("/proc/self/fd"))

    async def story() -> None:
        async with made.session() as session:
            assert (await session.run("x = 1")).ok
            assert (await made.run("2")).value == "2"
            await made.aclose()
            await made.aclose()
            assert children() == before
            result = await session.run("x")
            assert result.session_reset, result
        assert (await made.run("3")).value == "3"
        await made.aclose()

    asyncio.run(story())
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_snippet_that_is_too_long_is_a_usage_error(backend: SandboxBackend) -> None:
    with pytest.raises(UsageError, match="bytes; the sandbox takes up to"):
        run(backend, "#" * (33 << 20))


def test_a_missing_bubblewrap_is_named() -> None:
    async def story() -> None:
        async with Bubblewrap(program="no-such-bwrap") as made:
            with pytest.raises(UsageError, match=r"no-such-bwrap is not installed; install the package bubblewrap.*Sandbox\(\)"):
                await made.run("1")

    asyncio.run(story())


def test_a_bubblewrap_that_cannot_make_boxes_is_infra_with_its_own_words(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)

    async def story() -> None:
        async with Bubblewrap(program=str(broken)) as made:
            with pytest.raises(SandboxFault, match="cannot make a box here: bwrap: No permissions"):
                made.capabilities()
            result = await made.run("1")
            assert result.outcome is Outcome.INFRA and "No permissions" in str(result.error)

    asyncio.run(story())


def test_bubblewrap_without_landlock_is_refused_unless_accepted() -> None:
    made = Bubblewrap(disable=("landlock",))
    try:
        level = made.capabilities().level
    except (UsageError, SandboxFault) as error:
        pytest.skip(str(error))
    assert level == 1
    with pytest.raises(UsageError, match=r"level 1, below the level 2.*allow_degraded=True"):
        run(made, "1")
    accepted = Bubblewrap(disable=("landlock",), allow_degraded=True)
    result = run(accepted, "open('/etc/passwd')")
    assert (result.level, str(result.error)[:17]) == (1, "FileNotFoundError"), "the box itself hides the files"
    asyncio.run(made.aclose())
    asyncio.run(accepted.aclose())
