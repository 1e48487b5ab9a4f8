"""One child as the supervisor sees it: its streams, its clocks, and the verdict on how it ended.

Outcome, exit code, signal and times come from the kernel and from what the supervisor itself did. The child's own frames only fill in texts.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from toolwright.sandbox._capture import Capture
from toolwright.sandbox._cgroup import CgroupPlace
from toolwright.sandbox._wire import CUT_VALUE, DONE, ERROR, FORK, FRAME, JOB, READY, VALUE

_CHUNK = 1 << 16
_OUTPUT_FACTOR, _OUTPUT_FLOOR = 16, 4 << 20
_SHORTEST_CHECK_S = 0.002
_LATE_S = 0.02
"""CPU seconds by which the kernel's own limit may be short of ours."""
_GRACE_S = 1.0
_IDLE_CHECK_S = 1.0
_STARVED_FACTOR = 3
_SET_UP_S = 20.0
FORK_S = 6.0
"""A zygote that takes longer to fork is taken for wedged."""
_FRAME_ROOM = 256
"""What a frame may have beyond the output limit: the note on what was left out."""
_WHY_CHARACTERS = 500
_DESCRIPTORS_LEFT = 12
"""For what cannot be refused: messages of zygotes bring descriptors, and clocks are read from files."""
_MOST_FRAMES = 1000
"""In one turn. A child sends four at most; a snippet that floods the descriptor must not keep the supervisor busy."""
_WATCH_S = 0.25
"""How often what only watching bounds is looked at."""
_DISK_FACTOR, _MOST_FILES = 4, 4096
_MORE_THREADS = 1024
"""Beyond the limit: as many as are let through where the kernel counts them (`_child`)."""
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Limits:
    """The caller's limits as they came over the wire."""

    wall_s: float
    cpu_s: float
    memory_bytes: int
    output_bytes: int
    file_bytes: int
    threads: int


@dataclass(slots=True)
class Turn:
    """One snippet from request to reply; for a one-shot child its only one."""

    source: bytes
    seed: int
    kind: str = ""
    """Which sort of zygote it is for."""
    cpu_limit_s: float = math.inf
    wall_limit_s: float = math.inf
    """What is left to the whole session, where that is less than a turn may use."""
    attempts: int = 0
    started: float = 0.0
    cpu_before_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    stopped_for: str | None = None
    """The outcome for which we interrupted or killed it."""
    interrupted: float | None = None
    starved_before_s: float = 0.0
    starved_s: float = 0.0
    """How long it was ready while the machine had no core for it, as far as known; does not count against the wall limit."""
    out: Capture = field(default_factory=lambda: Capture(0))
    err: Capture = field(default_factory=lambda: Capture(0))
    value: bytes | None = None
    value_cut: bool = False
    error: bytes | None = None


def _channels() -> tuple[int, int, int, int, socket.socket, socket.socket]:
    """Both ends of stdout, stderr and control. Raises: OSError where descriptors run out; then none is kept."""
    made: list[int] = []
    try:
        made += os.pipe2(os.O_CLOEXEC)
        made += os.pipe2(os.O_CLOEXEC)
        ours, theirs = socket.socketpair()
    except OSError:
        for fd in made:
            os.close(fd)
        raise
    if scarce(theirs.fileno()):
        for fd in made:
            os.close(fd)
        ours.close()
        theirs.close()
        raise OSError(errno.EMFILE, f"{os.strerror(errno.EMFILE)}; raise the limit of open files (ulimit -n), or have fewer sessions")
    return made[0], made[1], made[2], made[3], ours, theirs


def scarce(fd: int) -> bool:
    """Whether so few descriptors are left after this one that who holds it could soon fail in the middle of something."""
    return fd > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _DESCRIPTORS_LEFT


class Child:
    """A forked child, from before its fork until after its end."""

    def __init__(self, number: int, limits: Limits, session: bool, *, held: bool = False) -> None:
        self.number = number
        self.limits = limits
        self._held = held
        """Whether nothing may be sent to it before it was `started`."""
        self._scratch = ""
        self._watch_threads = False
        self._watched = 0.0
        self.session = session
        self.pidfd = -1
        self.due: float | None = None
        """When the supervisor will look at its clocks; kept here for it."""
        self.turn: Turn | None = None
        self.ready = False
        self.asked = time.monotonic()
        self.idle_since = self.asked
        self.done_code: str | None = None
        self.overdrawn = False
        """It used too much between two turns, and must go."""
        self.held_bytes = 0
        """Of a session between turns: the memory it took since its start and did not give back."""
        self._idle_cpu_s = 0.0
        self._bytes_before: int | None = None
        self._pid = 0
        self._delays = -1
        self._place: CgroupPlace | None = None
        self._frames = bytearray()
        self._frame_count = 0
        self._outgoing = bytearray()
        self._out, out, self._err, err, self._control, control = _channels()
        for fd in (self._out, self._err):
            os.set_blocking(fd, False)
        self._control.setblocking(False)
        self.theirs = [out, err, control.detach()]
        self.open = {self._out, self._err, self._control.fileno()}
        """Of our descriptors, those not yet at their end."""
        self.fds = frozenset(self.open)

    # ---- what the event loop calls ----

    def fork_request(self) -> dict[str, Any]:
        """The zygote's side of the request."""
        limits = self.limits
        cpu_s = 86_400 if self.session else math.ceil(limits.cpu_s) + 1
        request = {"id": self.number, "memory_bytes": limits.memory_bytes, "file_bytes": limits.file_bytes, "cpu_s": cpu_s}
        return {**request, "threads": limits.threads, "output_bytes": limits.output_bytes, "session": self.session}

    def fork_record(self) -> bytes:
        """`fork_request`, as the zygote takes it."""
        request = self.fork_request()
        return FORK.pack(
            request["id"], request["memory_bytes"], request["file_bytes"], request["cpu_s"], request["threads"], request["output_bytes"], request["session"]
        )

    def close_theirs(self) -> None:
        """Close our copies of the child's ends."""
        for fd in self.theirs:
            os.close(fd)
        self.theirs = []

    def started(self, pidfd: int, scratch: str, place: CgroupPlace | None = None, *, watch_threads: bool = False) -> None:
        """The zygote forked it; `scratch` is given where the size of its folder must be watched because no mount bounds it, `watch_threads` where the kernel
        does not bound their number.

        Raises: OSError where there is a `place` in a cgroup for it, but it cannot be put there.
        """
        self.pidfd = pidfd
        self._scratch, self._watch_threads = scratch, watch_threads
        if place is not None:
            self._place = place
            place.take(self.pid)
        self._held = False

    @property
    def pid(self) -> int:
        """Its process id as this process sees it; -1 where it is gone. Found out when first asked for: most snippets end before."""
        if self._pid == 0 and self.pidfd >= 0:
            self._pid = pid_of(self.pidfd)
        return self._pid or -1

    def begin(self, turn: Turn) -> None:
        """Hand a turn to the child; its clocks start when the child has it and is ready."""
        self.turn = turn
        turn.attempts += 1
        turn.out, turn.err = Capture(self.limits.output_bytes), Capture(self.limits.output_bytes)
        turn.value = turn.error = turn.stopped_for = turn.interrupted = None
        turn.value_cut = False
        self.done_code = None
        self._frame_count = 0
        if self.session:
            self._discard()
        self._outgoing += JOB.pack(len(turn.source), turn.seed) + turn.source
        if self.ready:
            self._start_clocks()

    def _start_clocks(self) -> None:
        if self.turn is not None:
            self.turn.started = time.monotonic()
            self.turn.starved_s = 0.0
            if self._bytes_before is None and self.session:
                self._bytes_before = _own_bytes(self.pid)
            if self.session:  # another child's life is one turn, and what it waited before is little
                self.turn.cpu_before_s, self.turn.starved_before_s = self.cpu_used_s(), self._delay_before_s()

    def _delay_before_s(self) -> float:
        """Seconds its first thread has waited for a core so far; 0 where the kernel does not tell."""
        try:
            if self._delays < 0:
                self._delays = os.open(f"/proc/{self.pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._delays, 64, 0).split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def cpu_used_s(self) -> float:
        """CPU seconds of all its threads so far; 0 once it is gone."""
        if self.pid <= 0:
            return 0.0
        try:
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return 0.0

    def writable(self) -> None:
        """Send what waits to be sent."""
        while self._outgoing and not self._held:
            try:
                sent = self._control.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()  # the child is gone; its end is reported elsewhere
                return
            del self._outgoing[:sent]

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outgoing) and not self._held

    @property
    def control_fd(self) -> int:
        """The descriptor of the control channel."""
        return self._control.fileno()

    def readable(self, fd: int, most_reads: int = 16) -> bool:
        """Take in what the descriptor holds; False at its end."""
        for _ in range(most_reads):
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                data = b""
            if not data:
                self.open.discard(fd)
                return False
            self._take(fd, data)
            if len(data) < _CHUNK:  # that was all; there will be another event for more
                return True
        return True

    def _take(self, fd: int, data: bytes) -> None:
        turn = self.turn
        if fd == self._control.fileno():
            self._frames += data
            self._split_frames()
        elif turn is not None:
            (turn.out if fd == self._out else turn.err).add(data)
            if turn.out.total + turn.err.total > max(_OUTPUT_FACTOR * self.limits.output_bytes, _OUTPUT_FLOOR):
                self.stop("output_limit")

    def _split_frames(self) -> None:
        while len(self._frames) >= FRAME.size:
            kind, size = FRAME.unpack_from(self._frames)
            if size > self.limits.output_bytes + _FRAME_ROOM:
                self._frames.clear()  # no frame of ours is so long: the snippet wrote it
                return
            if len(self._frames) < FRAME.size + size:
                return
            self._frame_count += 1
            if self._frame_count > _MOST_FRAMES:
                self._frames.clear()
                self.stop("output_limit")
                return
            payload = bytes(self._frames[FRAME.size : FRAME.size + size])
            del self._frames[: FRAME.size + size]
            self._frame(kind, payload)

    def _frame(self, kind: bytes, payload: bytes) -> None:
        turn = self.turn
        if kind == READY and not self.ready:
            self.ready = True
            self._start_clocks()
        elif turn is not None and kind in (VALUE, CUT_VALUE):
            turn.value, turn.value_cut = payload, kind == CUT_VALUE
        elif turn is not None and kind == ERROR:
            turn.error = payload
        elif turn is not None and kind == DONE and self.session and self.ready:
            self.done_code = payload[:16].decode("ascii", "replace")

    def drain(self) -> None:
        """Take in everything already written, without waiting for more; a pipe holds less than this reads."""
        for fd in list(self.open):
            self.readable(fd, 64)

    def _discard(self) -> None:
        """Throw away what a thread of an earlier turn wrote after that turn's end."""
        turn, self.turn = self.turn, None
        self.drain()
        self.turn = turn

    # ---- clocks ----

    def next_check(self, now: float) -> float | None:
        """Seconds until a clock must be looked at; None for never."""
        if not self.ready:
            return max(self.asked + (_SET_UP_S if self.pidfd >= 0 else FORK_S) - now, 0)
        turn = self.turn
        if turn is None:
            return _IDLE_CHECK_S if self.session else None
        if turn.interrupted is not None:
            return max(turn.interrupted + _GRACE_S - now, 0)
        left_wall = turn.started + min(self.limits.wall_s, turn.wall_limit_s) + turn.starved_s - now
        left_cpu = self._cpu_limit_s() - (self._turn_cpu_s() if now - turn.started > _SHORTEST_CHECK_S else 0.0)
        soonest = max(min(left_wall, max(left_cpu / CORES, _SHORTEST_CHECK_S)), 0)
        return min(soonest, _WATCH_S) if self._scratch or self._watch_threads else soonest

    def check(self, now: float) -> None:
        """Stop the child where a clock has run out."""
        turn = self.turn
        if not self.ready:
            if now - self.asked > _SET_UP_S:
                self.stop("infra")
        elif turn is None:
            if self.session and (self.cpu_used_s() - self._idle_cpu_s > self.limits.cpu_s or self._unbounded()):
                self.overdrawn = True  # a thread, or a forged end of turn, works on behind the clocks' back
            self._note_held()
        elif turn.interrupted is not None:
            if now - turn.interrupted > _GRACE_S:
                self.kill()
        elif turn.stopped_for is not None:
            return
        elif self._turn_cpu_s() >= self._cpu_limit_s():
            self.stop("timeout_cpu")
        elif now - turn.started >= (wall_s := min(self.limits.wall_s, turn.wall_limit_s)) + turn.starved_s:
            # What its own threads took of the cores is no starving, however long they kept each other waiting.
            not_its_own_s = now - turn.started - self._turn_cpu_s() / CORES
            turn.starved_s = min(_run_delay_s(self.pid) - turn.starved_before_s, not_its_own_s, _STARVED_FACTOR * wall_s)
            if now - turn.started >= wall_s + turn.starved_s:
                self.stop("timeout_wall")
        elif (self._scratch or self._watch_threads) and now - self._watched > _WATCH_S:
            self._watched = now
            if self._unbounded():
                self.stop("policy")

    def _note_held(self) -> None:
        self.held_bytes = max(_own_bytes(self.pid) - (self._bytes_before or 0), 0)

    def _unbounded(self) -> bool:
        """Whether it uses more than it may of what only watching bounds."""
        if self._watch_threads and _threads(self.pid) > self.limits.threads + _MORE_THREADS:
            return True
        return bool(self._scratch) and _overfull(self._scratch, _DISK_FACTOR * self.limits.file_bytes)

    def _cpu_limit_s(self) -> float:
        return self.limits.cpu_s if self.turn is None else min(self.limits.cpu_s, self.turn.cpu_limit_s)

    def _turn_cpu_s(self) -> float:
        return self.cpu_used_s() - self.turn.cpu_before_s if self.turn is not None else 0.0

    # ---- its end ----

    def stop(self, outcome: str) -> None:
        """End the turn: a session is first asked to (its variables stay), a one-shot child is killed."""
        turn = self.turn
        if turn is not None and turn.stopped_for is None:
            turn.stopped_for = outcome
            if self.session and self.ready and outcome in ("timeout_cpu", "timeout_wall"):
                turn.interrupted = time.monotonic()
                self._signal(signal.SIGINT)
                return
        self.kill()

    def kill(self) -> None:
        """Kill it, at once and for certain."""
        if self._place is not None:
            self._place.kill()
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return

    def close(self) -> None:
        """Let go of everything."""
        self.close_theirs()
        self._control.close()
        for fd in (self._out, self._err, self.pidfd, self._delays):
            if fd >= 0:
                os.close(fd)
        if self._place is not None:
            self._place.leave()
        self.open = set()
        self._out = self._err = self.pidfd = self._delays = -1

    def finish_turn(self) -> dict[str, Any]:
        """The verdict on a session's turn that ended by itself, or by our request."""
        turn = self._end_clocks(self._turn_cpu_s())
        code = int(self.done_code) if self.done_code is not None and self.done_code.isdigit() else 1
        outcome = turn.stopped_for or _by_code(code, turn)
        self.idle_since, self._idle_cpu_s = time.monotonic(), self.cpu_used_s()
        self._note_held()
        self.turn = None
        return _verdict(turn, outcome, exit_code=code if turn.stopped_for is None else None)

    def end(self, status: int, cpu_s: float) -> dict[str, Any] | None:
        """The verdict on the turn in which the child ended; None where there was none."""
        if self.turn is None:
            return None
        turn = self._end_clocks(cpu_s if not self.session else max(cpu_s - self.turn.cpu_before_s, 0.0))
        self.turn = None
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        if not self.ready:
            return _verdict(turn, "infra", why=last_line(turn.err.text()) or "the child ended before it was locked down")
        if ended_by is None:
            return _verdict(turn, _by_code(code or 0, turn), exit_code=code)
        return _verdict(turn, self._by_signal(ended_by, turn), number=ended_by)

    def _by_signal(self, number: int, turn: Turn) -> str:
        if turn.stopped_for is not None and number == signal.SIGKILL:
            return turn.stopped_for
        if number == signal.SIGKILL and self._place is not None and self._place.ran_out():
            return "memory"
        if number in (signal.SIGKILL, signal.SIGXCPU) and turn.cpu_s >= self.limits.cpu_s - _LATE_S:
            return "timeout_cpu"
        return "policy" if number == signal.SIGSYS else "killed"

    def _end_clocks(self, cpu_s: float) -> Turn:
        if self.turn is None:
            raise RuntimeError("there is no turn to end")
        self.turn.wall_s = time.monotonic() - self.turn.started if self.turn.started else 0.0
        self.turn.cpu_s = cpu_s
        return self.turn


def _by_code(code: int, turn: Turn) -> str:
    if code == 0:
        return "ok"
    last = (turn.error or b"").partition(b":")[0]
    return "memory" if last.endswith(b"MemoryError") else "error"


def _verdict(turn: Turn, outcome: str, *, exit_code: int | None = None, number: int | None = None, why: str | None = None) -> dict[str, Any]:
    texts = [turn.value, turn.error if outcome != "ok" else None]
    value, error = (None if text is None else text.decode("utf-8", "backslashreplace") for text in texts)
    cut = turn.out.truncated or turn.err.truncated or (turn.value_cut and outcome == "ok")
    return {
        "outcome": outcome,
        "exit_code": exit_code,
        "signal": number,
        "wall_s": turn.wall_s,
        "cpu_s": turn.cpu_s,
        "truncated": cut,
        "texts": [turn.out.text(), turn.err.text(), value if outcome == "ok" else None, why or error],
    }


def last_line(text: str) -> str:
    """What a traceback comes to: its last line that is not empty, or the empty string."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[-_WHY_CHARACTERS:]


def pid_of(pidfd: int) -> int:
    """The process id, as this process sees it; -1 once the process is gone."""
    with open(f"/proc/self/fdinfo/{pidfd}") as stream:
        for line in stream:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    return -1


def _threads(pid: int) -> int:
    """How many threads the process has; 0 where the kernel does not tell."""
    try:
        return os.stat(f"/proc/{pid}/task").st_nlink - 2
    except OSError:
        return 0


def _own_bytes(pid: int) -> int:
    """Memory the process has that is no file's, with what it shares with the zygote; 0 where the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/statm") as stream:
            _, resident, of_files, *_ = stream.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(of_files)) * os.sysconf("SC_PAGE_SIZE")


def _run_delay_s(pid: int) -> float:
    """Seconds the most starved thread of the process has waited for a core; 0 where the kernel does not tell."""
    longest = 0.0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stream:
                longest = max(longest, int(stream.read().split()[1]) / 1e9)
    except (OSError, ValueError, IndexError):
        return longest
    return longest


def _overfull(folder: str, most_bytes: int) -> bool:
    """Whether a folder holds more bytes or more files than allowed."""
    files, size, folders = 0, 0, [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    files += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if size > most_bytes or files > _MOST_FILES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue  # it was removed meanwhile
    return False
