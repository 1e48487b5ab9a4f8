"""Plays attacks in a sandbox of one level, and looks afterwards: the canary must sing, and no process, descriptor, file or IPC object may be left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attack_rows import LIMITS, THROUGH, Case, Story, told
from rows_secrets import SECRET, SECRET_NAME

from toolwright.errors import ToolwrightError
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxResult, SandboxSession

DISABLE: dict[int, tuple[str, ...]] = {3: (), 2: ("namespaces",), 1: ("landlock", "namespaces")}
"""What is forced off for a level."""
GRACE_S = 1.0
"""How long a session's turn may go on after it was asked to end, so that its variables can be kept."""
_SLACK = 128
"""Scratch directories that are kept for the next snippets, of each size and zygote, hold two descriptors each; a descriptor lost per snippet shows soon."""
_PATIENCE_S = 60.0
"""A slow disk may take long to remove thousands of folders."""
_MARKS = ("/tmp/toolwright-attack", "/dev/shm/toolwright-attack", "/root/toolwright-attack")
_CANARY = "import sympy\nsum(range(10)), str(sympy.Rational(2, 4)), len(__import__('os').listdir('.'))"
_KEPT, _STILL_KEPT = "kept = 41", "kept + 1"


class Unavailable(Exception):
    """This machine cannot give what was asked for; the text says why."""


@dataclass(frozen=True, slots=True)
class Record:
    """How one case went."""

    number: int
    name: str
    level: int
    way: str
    user: str
    ends: str
    """How it ended, in few words."""
    why: str = ""
    """What did not hold; empty where all did."""
    elapsed_s: float = 0.0
    """From the caller's request to the reply."""
    late_s: float | None = None
    """Where it ended at a time limit: how far beyond it; a session's grace counts to the limit."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


class Stage:
    """One sandbox of one level, the way in which attacks come, and what must be there when all is over."""

    def __init__(self, level: int, way: str = "one-shot", *, user: str = "") -> None:
        self.level = level
        self.way = way
        self.user = user or ("root" if os.geteuid() == 0 else "other")
        os.environ[SECRET_NAME] = SECRET
        self.sandbox = self.fresh(limits=LIMITS)
        self._stack = contextlib.AsyncExitStack()
        self._sessions: dict[SandboxLimits, SandboxSession] = {}
        """Of the story that is played, where it is played in sessions."""
        self._rest: tuple[int, int, int] | None = None

    def fresh(self, **options: Any) -> Sandbox:
        """Another sandbox of this level."""
        return Sandbox(disable=DISABLE[self.level], allow_degraded=self.level == 1, **options)

    def open(self) -> None:
        """Start, and note what is there when nothing runs. Raises: Unavailable where the machine does not give the level."""
        if self.level == 1 and os.geteuid() not in (0, 65_534):
            raise Unavailable("at level 1 the rows would harm this user's own files: play them as root or as user 65534")
        reached = self.sandbox.capabilities()
        if reached.level != self.level:
            raise Unavailable(f"this machine gives level {reached.level}: {[layer.why for layer in reached.layers if not layer.active]}")
        for _ in range(2):
            asyncio.run(self._warm())
            time.sleep(0.6)
        family = descendants(self.supervisor)
        self._rest = self.supervisor, len(family), open_files({self.supervisor, *family})
        self._ipc = ipc_objects()

    def close(self) -> None:
        """End the sandbox."""
        self.sandbox.close()
        os.environ.pop(SECRET_NAME, None)

    @property
    def supervisor(self) -> int:
        """Process id of the sandbox's supervisor."""
        link = self.sandbox._link
        assert link is not None
        return link.process.pid

    async def _warm(self) -> None:
        codes = ("import time; time.sleep(0.1)", "import time, sympy; time.sleep(0.1)", "import time, numpy; time.sleep(0.1)")
        await asyncio.gather(*(self.sandbox.run(codes[n % 3]) for n in range(12)))

    # ---- playing ----

    async def run(self, code: str, *, limits: SandboxLimits = LIMITS) -> SandboxResult:
        """The code, in the stage's way: in a process of its own, or as a turn of the story's session with those limits."""
        if self.way == "one-shot":
            return await self.sandbox.run(code, limits=limits)
        if limits not in self._sessions:
            self._sessions[limits] = await self._stack.enter_async_context(self.sandbox.session(limits=limits))
        return await self._sessions[limits].run(code)

    async def play(self, each: Case | Story, way: str) -> Record:
        """How it went; what did not hold is told, not raised."""
        self.way = way
        if isinstance(each, Case) and each.only not in ("", platform.machine()):
            return self._record(each, f"not on {platform.machine()}")
        try:
            made = await (self._play_case(each) if isinstance(each, Case) else self._play_story(each))
            await self.look_after()
        except (AssertionError, ToolwrightError) as error:
            return self._record(each, "wrong", why=f"{type(error).__name__}: {error}"[:2000])
        return made

    def _record(self, each: Case | Story, ends: str, **more: Any) -> Record:
        return Record(each.number, each.name, self.level, self.way, self.user, ends, **more)

    async def _play_case(self, case: Case) -> Record:
        if self.way == "one-shot":
            begin = time.monotonic()
            result = await self.sandbox.run(case.code, limits=case.limits)
            elapsed_s = time.monotonic() - begin
        else:
            result, elapsed_s = await self._play_turn(case)
        assert case.expected(self.level, self.way)(result), result
        assert result.outcome is not Outcome.INFRA, result
        assert result.level == self.level, result
        ends = told(result)
        if self.level == 1 and case.through is not None and case.through is not case.holds and not case.holds(result):
            ends = "open" if case.through is THROUGH or result.outcome is Outcome.OK else f"open ({ends})"
        late_s = lateness(result, elapsed_s, case.limits, session=self.way == "session")
        # A busy machine may take long; what is unloaded is measured by `benchmarks/attacks.py`.
        assert elapsed_s < 4 * case.limits.wall_s + GRACE_S + 3, f"took {elapsed_s:.1f} s: {result}"
        return self._record(case, ends, elapsed_s=elapsed_s, late_s=late_s)

    async def _play_turn(self, case: Case) -> tuple[SandboxResult, float]:
        async with self.sandbox.session(limits=case.limits) as session:
            assert (await session.run(_KEPT)).ok
            begin = time.monotonic()
            result = await session.run(case.code)
            elapsed_s = time.monotonic() - begin
            after = await session.run(_STILL_KEPT)
        assert after.outcome is not Outcome.INFRA, after
        if case.number not in _HARMS_ITSELF:
            whole = after.value == "42" and not after.session_reset and not result.session_reset
            reset = (result.session_reset or after.session_reset) and after.error == "NameError: name 'kept' is not defined"
            assert whole or reset, f"neither kept nor reported as reset: {result}, then {after}"
        return result, elapsed_s

    async def _play_story(self, story: Story) -> Record:
        begin = time.monotonic()
        self._sessions.clear()
        async with self._stack:
            ends = await story.play(self)
        return self._record(story, ends, elapsed_s=time.monotonic() - begin)

    # ---- afterwards ----

    async def look_after(self) -> None:
        """Fail unless the canary sings and all is as it was at rest."""
        canary = await self.sandbox.run(_CANARY, seed=1)
        assert canary.value == "(45, '1/2', 0)", f"the canary says {canary}"
        left = [mark for mark in _MARKS if os.path.lexists(mark)]
        for mark in left:
            os.remove(mark)
        assert not left, f"left behind: {left}"
        await until(lambda: not self.leaked(), lambda: self.leaked())

    def leaked(self) -> str:
        """What is left behind; spare processes and zygotes come and go, but are never more than at rest."""
        assert self._rest is not None
        supervisor, processes, files = self._rest
        if self.supervisor != supervisor:
            return "the supervisor was replaced"
        family = descendants(supervisor)
        if len(family) > processes:
            return f"{len(family)} processes instead of {processes}"
        held = open_files({supervisor, *family})
        if held > files + _SLACK:
            return f"{held} descriptors instead of {files}"
        if (ipc := ipc_objects()) > self._ipc:
            return f"{ipc} IPC objects instead of {self._ipc}"
        return "; ".join(f"left in scratch: {path}" for path in scratch_files({supervisor, *family})[:3])


_HARMS_ITSELF = {23, 63, 65, 75, 77}
"""Rows whose snippets break their own session's bookkeeping, which the next turns of the same session may feel; only theirs."""


def lateness(result: SandboxResult, elapsed_s: float, limits: SandboxLimits, *, session: bool) -> float | None:
    """How far beyond its time limit a run ended; None where it met none."""
    grace_s = GRACE_S if session and result.session_reset else 0.0  # a turn that would not end when asked spins on through it
    if result.outcome is Outcome.TIMEOUT_WALL:
        return elapsed_s - limits.wall_s - grace_s
    if result.outcome is Outcome.TIMEOUT_CPU:
        return result.cpu_s - limits.cpu_s - grace_s
    return None


async def until(holds: Callable[[], bool], why: Callable[[], str], seconds: float = _PATIENCE_S) -> None:
    """Wait for something to hold; fail with the reason where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, why()
        await asyncio.sleep(0.01)


def descendants(pid: int) -> set[int]:
    """Process ids below a process."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def open_files(pids: set[int]) -> int:
    """How many descriptors the processes hold together; 0 where this user may not see."""
    try:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    except (PermissionError, FileNotFoundError):
        return 0


def ipc_objects() -> int:
    """Shared memory, semaphores and message queues of the whole machine."""
    return sum(max(len(path.read_text().splitlines()) - 1, 0) for name in ("shm", "sem", "msg") if (path := Path("/proc/sysvipc") / name).exists())


def scratch_files(family: set[int]) -> list[str]:
    """Files in the scratch directories of these processes, as far as this user may look."""
    roots = {str(path) for pid in family for path in Path(tempfile.gettempdir()).glob(f"toolwright-sandbox-{pid}-*")} | {
        f"/proc/{pid}/root/scratch" for pid in family
    }
    found = []
    for root in roots:
        # Slots are empty or gone; looking two levels deep finds whatever is left of them.
        for pattern in ("*/*", "*/.*"):
            with contextlib.suppress(OSError):  # not this user's to see
                found += [str(path) for path in Path(root).glob(pattern)]
    return found
