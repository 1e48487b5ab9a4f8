"""Faults outside the snippet: killed processes, cancelled callers, dead callers, garbage on the wire; and that nothing is ever left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, _session, _zygote
from toolwright.sandbox._wire import HEAD, pack_message

LIMITS = SandboxLimits(wall_s=30.0, cpu_s=2.0, memory_bytes=128 << 20)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=LIMITS, preload=(), spares=0) as made:
        made.run_sync("1")
        yield made


def supervisor_of(sandbox: Sandbox) -> int:
    assert sandbox._link is not None
    return sandbox._link.process.pid


def below(pid: int) -> list[int]:
    """Descendants, nearest first."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: list[int] = []
    front = [pid]
    while front := [child for child, parent in parents.items() if parent in front]:
        found += front
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], seconds: float = 5.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def test_import_is_quick_and_starts_nothing() -> None:
    code = "import asyncio, subprocess, tempfile, time; t = time.process_time(); import toolwright.sandbox as s; print(time.process_time() - t); s.Sandbox()"
    times = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(times) < 0.1
    heavy = "import sys, toolwright.sandbox; print([m for m in ('numpy', 'sympy', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_close_ends_every_process_and_a_later_use_starts_anew(sandbox: Sandbox) -> None:
    pids = [supervisor_of(sandbox), *below(supervisor_of(sandbox))]
    assert len(pids) >= 2
    sandbox.close()
    assert wait_until_gone(pids) == []
    assert sandbox.run_sync("2").value == "2"


def test_forgotten_sandbox_ends_too() -> None:
    sandbox = Sandbox(preload=())
    sandbox.run_sync("1")
    pids = [supervisor_of(sandbox), *below(supervisor_of(sandbox))]
    del sandbox
    gc.collect()
    assert wait_until_gone(pids) == []


def test_killed_zygote_is_replaced_and_the_snippet_run_again(sandbox: Sandbox) -> None:
    supervisor = supervisor_of(sandbox)
    family = below(supervisor)

    def kill_soon() -> None:
        time.sleep(0.3)
        os.kill(family[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill_soon)
    thread.start()
    result = sandbox.run_sync("import time; time.sleep(0.8); print('done')")
    thread.join()
    assert (result.outcome, result.stdout) == (Outcome.OK, "done\n")
    assert supervisor_of(sandbox) == supervisor
    assert wait_until_gone(family) == []


def test_zygote_killed_again_and_again_is_infra_and_nothing_else(sandbox: Sandbox) -> None:
    supervisor, stop = supervisor_of(sandbox), threading.Event()

    def keep_killing() -> None:
        while not stop.wait(0.25):
            for pid in below(supervisor):
                with_suppress(pid)

    thread = threading.Thread(target=keep_killing)
    thread.start()
    try:
        result = sandbox.run_sync("import time; time.sleep(3)")
    finally:
        stop.set()
        thread.join()
    assert result.outcome is Outcome.INFRA
    assert result.error
    assert sandbox.run_sync("1").value == "1"


def with_suppress(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_package_that_cannot_be_loaded_fails_only_the_snippets_that_need_it(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("packages")
    for parent in (folder, *list(folder.parents)[:2]):
        parent.chmod(0o755)
    (folder / "broken_package.py").write_text("def f():\n    raise ValueError('out of order')\nf()\n")
    monkeypatch.syspath_prepend(str(folder))

    async def story(made: Sandbox) -> None:
        waiting = [asyncio.create_task(made.run(f"import time; time.sleep(0.3); {n}")) for n in range(8)]
        needy = asyncio.create_task(made.run("import broken_package"))
        assert [result.value for result in await asyncio.gather(*waiting)] == [str(n) for n in range(8)]
        result = await needy
        assert (result.outcome, result.error) == (Outcome.INFRA, "the zygote cannot start: ValueError: out of order"), result

    with Sandbox(limits=LIMITS, preload=("broken_package",), importable=[folder], max_running=1, spares=0) as made:
        asyncio.run(story(made))


def test_what_the_supervisor_took_with_it_has_the_level_it_would_have_had(sandbox: Sandbox) -> None:
    level = sandbox.run_sync("1").level
    done = threading.Event()

    def keep_killing() -> None:
        while not done.wait(0.05):
            for pid in children_of_this_process():
                with_suppress(pid)

    thread = threading.Thread(target=keep_killing)
    thread.start()
    try:
        result = sandbox.run_sync("import time; time.sleep(9)")
    finally:
        done.set()
        thread.join()
    assert (result.outcome, result.level) == (Outcome.INFRA, level) and level > 0


def children_of_this_process() -> list[int]:
    return [pid for pid in below(os.getpid()) if b"_supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_killed_supervisor_is_replaced(sandbox: Sandbox) -> None:
    supervisor = supervisor_of(sandbox)
    family = below(supervisor)
    os.kill(supervisor, signal.SIGKILL)
    assert wait_until_gone(family) == []
    assert sandbox.run_sync("3").value == "3"
    assert supervisor_of(sandbox) != supervisor


def test_session_survives_its_supervisors_death_as_a_reset(sandbox: Sandbox) -> None:
    async def story() -> None:
        async with sandbox.session() as session:
            await session.run("x = 1")
            os.kill(supervisor_of(sandbox), signal.SIGKILL)
            result = await session.run("x")
            assert (result.outcome, result.session_reset) == (Outcome.INFRA, True)
            assert (await session.run("7")).value == "7"

    asyncio.run(story())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_caller(how: signal.Signals) -> None:
    script = """
        import threading, time
        from toolwright.sandbox import Sandbox
        sandbox = Sandbox(preload=(), spares=0)
        sandbox.run_sync("1")
        print(sandbox._link.process.pid, flush=True)
        threading.Thread(target=sandbox.run_sync, args=("import time; time.sleep(50)",)).start()
        time.sleep(50)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        supervisor = int(caller.stdout.readline())
        deadline = time.monotonic() + 5
        while len(family := [supervisor, *below(supervisor)]) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        family = [supervisor, *below(supervisor)]
        caller.send_signal(how)
        caller.wait()
        assert wait_until_gone(family) == []


def test_cancelled_run_is_killed(sandbox: Sandbox) -> None:
    async def story() -> None:
        supervisor = supervisor_of(sandbox)
        before = below(supervisor)
        task = asyncio.create_task(sandbox.run("import time; time.sleep(3)"))
        deadline = time.monotonic() + 2
        while below(supervisor) == before and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        started = set(below(supervisor)) - set(before)
        assert started
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert wait_until_gone(list(started), 2.0) == []
        assert (await sandbox.run("1 + 1")).value == "2"

    asyncio.run(story())


def test_cancelling_while_queued_frees_the_place() -> None:
    async def story(sandbox: Sandbox) -> None:
        tasks = [asyncio.create_task(sandbox.run("import time; time.sleep(0.5)")) for _ in range(200)]
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        begin = time.monotonic()
        assert (await sandbox.run("5")).value == "5"
        assert time.monotonic() - begin < 2

    with Sandbox(preload=(), max_running=1) as sandbox:
        sandbox.run_sync("1")
        asyncio.run(story(sandbox))


def test_interrupted_sync_run_is_killed(sandbox: Sandbox) -> None:
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    before = below(supervisor_of(sandbox))
    with pytest.raises(KeyboardInterrupt):
        sandbox.run_sync("import time; time.sleep(3)")
    timer.join()
    assert wait_until_gone([pid for pid in below(supervisor_of(sandbox)) if pid not in before], 2.0) == []
    assert sandbox.run_sync("1").ok


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        HEAD.pack(1 << 31, 1 << 31),
        HEAD.pack(4, 0) + b"[1]\n",
        HEAD.pack(2, 0) + b"{}",
        pack_message({"op": "turn", "seed": 0}, [b"1"]),
        pack_message({"op": "run", "limits": {"x": 1}, "seed": 0}, [b"1"]),
        pack_message({"op": "run", "limits": None}, []),
        pack_message({"op": "dance"}),
    ],
)
def test_garbage_closes_that_connection_only(sandbox: Sandbox, garbage: bytes) -> None:
    supervisor = supervisor_of(sandbox)
    with sandbox._connect() as sock:
        sock.settimeout(3)
        sock.sendall(garbage)
        assert sock.recv(100) == b""
    with sandbox._connect() as half:
        half.sendall(pack_message({"op": "hello"})[:5])
    assert sandbox.run_sync("1").ok
    assert supervisor_of(sandbox) == supervisor


def test_garbage_on_the_link_does_not_stop_it(sandbox: Sandbox) -> None:
    assert sandbox._link is not None
    sandbox._link.sock.send(b"no descriptor")
    assert sandbox.run_sync("1").ok


def test_forked_caller_gets_its_own_supervisor(sandbox: Sandbox) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            value = sandbox.run_sync("40 + 2").value
            os.write(writer, f"{value} {supervisor_of(sandbox)}".encode())
            sandbox.close()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        value, other = stream.read().split()
    os.waitpid(pid, 0)
    assert value == "42"
    assert int(other) != supervisor_of(sandbox)
    assert sandbox.run_sync("1").ok


def test_closing_does_not_wait_for_a_forked_copy_of_the_caller() -> None:
    made = Sandbox(preload=(), spares=0)
    made.run_sync("1")
    family = [supervisor_of(made), *below(supervisor_of(made))]
    pid = os.fork()
    if pid == 0:
        time.sleep(60)  # it holds every descriptor of ours
        os._exit(0)
    try:
        begin = time.monotonic()
        made.close()
        assert time.monotonic() - begin < 4
        assert wait_until_gone(family) == []
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_session_opens_though_the_supervisor_ends_in_that_moment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, left = _session.exchange, [1]

    async def exchange(sock: socket.socket, request: bytes) -> object:
        if left and left.pop():
            os.kill(supervisor_of(sandbox), signal.SIGKILL)
        return await plain(sock, request)

    monkeypatch.setattr("toolwright.sandbox._session.exchange", exchange)

    async def story() -> None:
        async with sandbox.session() as session:
            assert (await session.run("6 * 7")).value == "42"

    asyncio.run(story())


def test_a_supervisor_that_another_thread_replaced_is_not_ended(sandbox: Sandbox) -> None:
    old = sandbox._link
    assert old is not None
    os.kill(supervisor_of(sandbox), signal.SIGKILL)
    assert sandbox.run_sync("1").ok
    new = supervisor_of(sandbox)
    sandbox._give_up(old)  # a thread that used the old one finds out only now
    assert sandbox.run_sync("2").ok and supervisor_of(sandbox) == new


def test_no_descriptors_in_the_caller_are_the_sandboxes_fault(sandbox: Sandbox) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    sandbox.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), hard[1]))
    try:
        result = sandbox.run_sync("1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, hard)
    assert result.outcome is Outcome.INFRA and "Too many open files" in str(result.error), result
    assert sandbox.run_sync("1").ok


def test_start_from_a_thread_that_ends() -> None:
    sandbox = Sandbox(preload=())
    thread = threading.Thread(target=sandbox.run_sync, args=("1",))
    thread.start()
    thread.join()
    time.sleep(0.1)
    supervisor = supervisor_of(sandbox)
    assert sandbox.run_sync("2").value == "2"
    assert supervisor_of(sandbox) == supervisor
    sandbox.close()


def test_no_leaks_after_many_runs_of_all_kinds(sandbox: Sandbox) -> None:
    async def story(count: int) -> None:
        kinds = ["1", "1/0", "import os; os._exit(3)", "import ctypes; ctypes.string_at(0)", "print('x' * 10**6)", "open('f', 'w').write('x')"]
        quick = SandboxLimits(wall_s=0.05)
        runs = [sandbox.run(kinds[n % len(kinds)]) for n in range(count)] + [sandbox.run("import time; time.sleep(9)", limits=quick) for _ in range(4)]
        results = await asyncio.gather(*runs)
        assert Outcome.INFRA not in {result.outcome for result in results}

        async def chat() -> None:
            async with sandbox.session() as session:
                await session.run("x = 1")

        await asyncio.gather(*(chat() for _ in range(8)))

    def held() -> tuple[int, int, int]:
        return len(os.listdir("/proc/self/fd")), len(below(supervisor)), sum(fds(pid) for pid in (supervisor, *below(supervisor)))

    def fds(pid: int) -> int:
        try:
            return len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return 0

    supervisor = supervisor_of(sandbox)
    asyncio.run(story(60))
    time.sleep(0.5)
    before = held()
    asyncio.run(story(60))
    slack = 8  # scratch directories kept for the next snippet hold two descriptors each
    deadline = time.monotonic() + 5
    while (held()[:2] != before[:2] or held()[2] > before[2] + slack) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert held()[:2] == before[:2]
    assert held()[2] <= before[2] + slack


def test_level_2_leaves_no_folder_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders cannot be entered by an unprivileged user
    parent.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(parent))
    try:
        with Sandbox(preload=(), disable=("namespaces",)) as sandbox:
            assert sandbox.run_sync("open('f', 'w').write('x')").ok
            assert len(os.listdir(parent)) == 1
            deadline = time.monotonic() + 5
            while list(parent.rglob("f")) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert list(parent.rglob("f")) == []
        assert os.listdir(parent) == []
        with Sandbox(preload=(), disable=("namespaces",)) as sandbox:
            sandbox.run_sync("1")
            supervisor = supervisor_of(sandbox)
            os.kill(supervisor, signal.SIGKILL)
            wait_until_gone([supervisor])
            sandbox.run_sync("1")  # its start sweeps up what the killed one left
            assert len(os.listdir(parent)) == 1
        assert os.listdir(parent) == []
    finally:
        shutil.rmtree(parent)


def test_only_scratch_folders_that_nobody_holds_are_swept(tmp_path: Path) -> None:
    unseen = 0  # no process has this id: as in another container that shares the folder
    first, held = _zygote.make_scratch_root([str(tmp_path)], unseen)
    second, also = _zygote.make_scratch_root([str(tmp_path)], unseen)
    (tmp_path / "toolwright-sandbox-0-link").symlink_to(tmp_path)
    os.close(held)
    third, last = _zygote.make_scratch_root([str(tmp_path)], unseen)
    assert {str(path) for path in tmp_path.iterdir() if not path.is_symlink()} == {second, third}, first
    os.close(also)
    os.close(last)


def test_spares_are_used_replaced_and_taken_down() -> None:
    def spares() -> set[int]:
        return set(below(supervisor)) - helpers

    with Sandbox(preload=(), spares=2) as sandbox:
        sandbox.capabilities()
        supervisor = supervisor_of(sandbox)
        helpers = set(below(supervisor)[: 2 if sandbox.capabilities().layer("namespaces").active else 1])
        sandbox.run_sync("1")
        for _ in range(5):
            deadline = time.monotonic() + 10
            while len(spares()) != 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            waiting = spares()
            assert len(waiting) == 2
            assert sandbox.run_sync("1").ok
            assert len(waiting - spares()) <= 1
        for pid in spares():
            os.kill(pid, signal.SIGKILL)  # a spare that dies must not become a snippet's failure
        time.sleep(0.2)
        assert [sandbox.run_sync(f"{n}").value for n in range(4)] == ["0", "1", "2", "3"]
        other = sandbox.run_sync("import resource; resource.getrlimit(resource.RLIMIT_FSIZE)[0]", limits=SandboxLimits(file_bytes=4096))
        assert other.value == "4096", "a spare has the default limits only"
        everything = [supervisor, *below(supervisor)]
    assert wait_until_gone(everything) == []


def test_refuses_where_nothing_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolwright.sandbox._launch._DEVICES", ())
    with Sandbox(preload=("numpy",)) as sandbox:  # without /dev/null no child can be set up, and no snippet may run half-protected
        result = sandbox.run_sync("print('ran')")
    assert result.outcome is Outcome.INFRA
    assert result.stdout == ""


@pytest.mark.slow
def test_wedged_zygote_is_replaced() -> None:
    with Sandbox(preload=(), limits=LIMITS) as sandbox:
        sandbox.run_sync("1")
        for pid in below(supervisor_of(sandbox)):
            os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        assert sandbox.run_sync("2").value == "2"
        assert time.monotonic() - begin < 15
