"""The caller's side: `Sandbox`.

Every run and every session has a socket of its own to the supervisor, handed over through one shared link, and used again by later runs. So threads and event
loops need no common reader, and giving up on a run is closing its socket: the supervisor then kills the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolwright.episodes import digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import _launch
from toolwright.sandbox._exchange import LostError, exchange, exchange_sync
from toolwright.sandbox._gate import Gate
from toolwright.sandbox._needs import FULL, LIGHT, LIGHT_MODULES
from toolwright.sandbox._session import SandboxSession
from toolwright.sandbox._types import LAYERS, ON_DEMAND, Layer, Outcome, SandboxCapabilities, SandboxLimits, SandboxResult, limits_to_wire
from toolwright.sandbox._wire import MAX_SOURCE_BYTES, pack_message

VERSION = 1
"""Raised when the same snippet may end differently than before; part of every digest."""
DISABLEABLE = ("landlock", "namespaces", "seccomp", "user")
_IN_FLIGHT = 128
_ATTEMPTS = 3
_CLOSE_S = 5.0
_UID = 65_534
_PACKAGES = ("numpy", "sympy")
_MOST_ZYGOTES = 8
"""By default; one feeds several cores."""
_SESSION_BYTES = 64 << 20
"""What a living session is taken to need, for how many may live at once."""


@dataclass(slots=True)
class _Link:
    """The running supervisor."""

    process: subprocess.Popen[bytes]
    sock: socket.socket
    owner: int
    """The process that started it; a forked copy of that process starts its own."""
    idle: list[socket.socket] = field(default_factory=list)
    """Sockets to it that no run uses at the moment."""


class Sandbox:
    """Runs Python snippets in locked-down processes.

    The first use starts the supervisor and the zygotes (about half a second with numpy and sympy preloaded); making the object costs nothing. One object
    serves any number of threads and event loops. Close it with `close`, `aclose` or ``with``; it also ends with the process that made it.

    What runs: at most `max_running` snippets at once, callers with different keys in turn. `zygotes` processes with the packages of `preload` loaded
    (default: one per core, up to 8) fork the snippets that name one of them, light ones the rest; each is replaced after `recycle_after` forks. `spares`
    processes of each sort are kept forked and locked down for the next snippets with the default limits, which hides most of the latency. `importable`
    names more folders that snippets may import from (and read).

    Sessions: at most `max_sessions` are open; of those, `max_live_sessions` have a process (default: as many as memory allows at 64 MiB each), the one not
    used for longest losing its variables; so does one that was idle for `session_idle_s`. The next turn then says `session_reset`.

    Memory: what running snippets are promised by their limits and what idle sessions hold stays below `total_memory_bytes` together (default: three quarters
    of what is free at the start). Where it is short, the sessions not used for longest lose their variables, then snippets wait.

    Isolation: `strict` gives each snippet a process id namespace of its own; `cgroup` (True: the one this process is in, or a delegated folder) bounds its
    memory and processes by the kernel's count. `disable` switches layers off (some of landlock, namespaces, seccomp, user), for tests of weaker levels.

    Raises: UsageError at the first use where the machine gives less than level 2 and the caller did not accept that: `allow_degraded` accepts level 1
    (files can be read), `allow_unsafe` accepts level 0 (no isolation at all); or less than level 4 with `strict`.
    """

    def __init__(
        self,
        *,
        limits: SandboxLimits | None = None,
        max_running: int | None = None,
        max_sessions: int = 256,
        session_idle_s: float = 3600.0,
        spares: int = 2,
        allow_degraded: bool = False,
        allow_unsafe: bool = False,
        preload: Sequence[str] = _PACKAGES,
        importable: Sequence[str | Path] = (),
        disable: Collection[str] = (),
        zygotes: int | None = None,
        recycle_after: int = 5000,
        max_live_sessions: int | None = None,
        total_memory_bytes: int | None = None,
        strict: bool = False,
        cgroup: bool | str | Path = False,
    ) -> None:
        need_linux()
        if unknown := set(disable) - set(DISABLEABLE):
            raise UsageError(f"disable={sorted(unknown)} names no layer; give some of {', '.join(DISABLEABLE)}")
        counts = {"max_running": max_running, "max_sessions": max_sessions, "zygotes": zygotes}
        counts |= {"recycle_after": recycle_after, "max_live_sessions": max_live_sessions, "total_memory_bytes": total_memory_bytes}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{name}={value} is out of range; give 1 or more")
        self.limits = SandboxLimits() if limits is None else limits
        cores = len(os.sched_getaffinity(0))
        self._max_running = max_running or cores + 1
        self._max_sessions = max_sessions
        self._session_idle_s = session_idle_s
        self._spares = spares
        self._minimum_level = 4 if strict else 0 if allow_unsafe else 1 if allow_degraded else 2
        full = min(cores, _MOST_ZYGOTES) if zygotes is None else zygotes
        self._zygotes = {LIGHT: full if zygotes is not None and not preload else max(1, full // 4), FULL: full}
        self._recycle_after = recycle_after
        self._max_live_sessions = max_live_sessions
        self._total_memory_bytes = total_memory_bytes
        self._strict = strict
        self._cgroup = cgroup if isinstance(cgroup, bool) else str(cgroup)
        self._preload = tuple(preload)
        self._importable = tuple(str(Path(folder).resolve()) for folder in importable)
        self._disable = tuple(sorted(disable))
        self._gate = Gate(_IN_FLIGHT)
        self._guard = threading.Lock()
        self._link: _Link | None = None
        self._finalizer: weakref.finalize[..., Sandbox] | None = None
        self._level = 0
        """Of the last result."""

    # ---- what it does ----

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0, key: str = "") -> SandboxResult:
        """What became of the snippet, run in a process of its own.

        Where many wait, callers with different keys take turns. Cancelling the call kills the snippet. A fault of the sandbox itself is retried; if it persists
        the outcome is `INFRA`.

        Raises: UsageError where the isolation level is not accepted.
        """
        request = self._request(code, limits or self.limits, seed, key)
        await self._gate.enter(key)
        try:
            for _ in range(_ATTEMPTS):
                link, sock = self._borrow()
                try:
                    answer = await exchange(sock, request)
                except BaseException as error:  # cancelled too: closing the socket kills the snippet; raised again
                    sock.close()
                    if not isinstance(error, LostError):
                        raise
                    _drop_idle(link)
                else:
                    link.idle.append(sock)
                    return self._result(*answer)
        except SandboxFault as fault:
            return SandboxResult(Outcome.INFRA, error=str(fault), level=self._level)
        finally:
            self._gate.leave()
        return self._lost_result()

    def run_sync(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0, key: str = "") -> SandboxResult:
        """`run` for callers without an event loop; safe in threads."""
        request = self._request(code, limits or self.limits, seed, key)
        self._gate.enter_sync(key)
        try:
            for _ in range(_ATTEMPTS):
                link, sock = self._borrow()
                try:
                    answer = exchange_sync(sock, request)
                except BaseException as error:  # interrupted too: closing the socket kills the snippet; raised again
                    sock.close()
                    if not isinstance(error, LostError):
                        raise
                    _drop_idle(link)
                else:
                    link.idle.append(sock)
                    return self._result(*answer)
        except SandboxFault as fault:
            return SandboxResult(Outcome.INFRA, error=str(fault), level=self._level)
        finally:
            self._gate.leave()
        return self._lost_result()

    def session(
        self,
        *,
        limits: SandboxLimits | None = None,
        seed: int = 0,
        key: str = "",
        total_cpu_s: float | None = None,
        total_wall_s: float | None = None,
    ) -> AbstractAsyncContextManager[SandboxSession]:
        """A snippet process that stays: each `SandboxSession.run` sees the variables and files of the ones before.

        `limits` are those of each turn; the totals bound all turns together, and a turn after they are used up is a timeout at once.

        Raises: SandboxFault where too many sessions are open; UsageError where the isolation level is not accepted.
        """
        for name, value in (("total_cpu_s", total_cpu_s), ("total_wall_s", total_wall_s)):
            if value is not None and value <= 0:
                raise UsageError(f"{name}={value} is out of range; give seconds above 0")
        limits = limits or self.limits
        opening = {"op": "open", "limits": limits_to_wire(limits), "key": key, "total_cpu_s": total_cpu_s, "total_wall_s": total_wall_s}
        return self._session(pack_message(opening), seed)

    @contextlib.asynccontextmanager
    async def _session(self, opening: bytes, seed: int) -> AsyncIterator[SandboxSession]:
        session = SandboxSession(self, opening, seed)
        try:
            await session.open()
            yield session
        finally:
            session.close()

    def capabilities(self) -> SandboxCapabilities:
        """The isolation this machine gives, tried out; starts the sandbox if it is not running.

        Raises: SandboxFault where the sandbox cannot start.
        """
        with self._connect() as sock:
            try:
                header, _ = exchange_sync(sock, pack_message({"op": "hello"}))
            except LostError as error:
                raise SandboxFault("the sandbox's supervisor ended while it started") from error
        if "broken" in header:
            raise SandboxFault(f"the sandbox cannot start: {header['broken']}")
        return _capabilities(header)

    @property
    def digest(self) -> str:
        """Names everything that can change a snippet's outcome."""
        return digest("sandbox", VERSION, self.limits, self._preload, self._importable, *self._disable, *(("strict",) if self._strict else ()))

    # ---- its life ----

    def close(self) -> None:
        """End the supervisor and everything below it; a later use starts anew."""
        with self._guard:
            finalizer, self._finalizer, self._link = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    async def aclose(self) -> None:
        """`close`, without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _borrow(self) -> tuple[_Link, socket.socket]:
        """A socket to the supervisor for one run: one that was used before, if there is one."""
        link = self._running_link()
        try:
            return link, link.idle.pop()
        except IndexError:
            sock = self._connect()
            return self._running_link(), sock

    def _connect(self) -> socket.socket:
        """A fresh socket to the supervisor, which is started if it is not there."""
        for _ in range(_ATTEMPTS):
            link = self._running_link()
            try:
                ours, theirs = socket.socketpair()
            except OSError as error:
                raise SandboxFault(f"the sandbox cannot be reached: {error}") from error
            with theirs:
                try:
                    socket.send_fds(link.sock, [b"N"], [theirs.fileno()])
                    return ours
                except OSError:
                    ours.close()
                    self._give_up(link)
                except BaseException:  # interrupted; raised again
                    ours.close()
                    raise
        raise SandboxFault("the sandbox's supervisor ends as soon as it starts")

    def _give_up(self, link: _Link) -> None:
        """End a supervisor that is not there any more, unless another thread did: what that one started is alive."""
        with self._guard:
            if self._link is not link:
                return
            finalizer, self._finalizer, self._link = self._finalizer, None, None
        if finalizer is not None:
            finalizer()

    def _running_link(self) -> _Link:
        link = self._link
        if link is not None and link.owner == os.getpid():
            return link
        with self._guard:
            link = self._link
            if link is not None and link.owner != os.getpid():
                link.sock.close()  # a copy by fork: the supervisor belongs to the process that started it
                _drop_idle(link)
                if self._finalizer is not None:
                    self._finalizer.detach()
                link = None
            if link is None:
                try:
                    link = self._link = self._start()
                except OSError as error:
                    raise SandboxFault(f"the sandbox cannot be started: {error}") from error
                self._finalizer = weakref.finalize(self, _end, link)
            return link

    def _start(self) -> _Link:
        paths = _launch.import_paths(self._preload, self._importable)
        inside = {
            "paths": paths,
            "stdlib": os.path.dirname(os.__file__),
            "readable": _launch.readable_paths(paths),
            "disable": self._disable,
            "strict": self._strict,
            "uid": _UID,
            "scratch_parents": list(dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm"))),
            "stdlib_modules": LIGHT_MODULES,
        }
        config = {
            "zygote": _launch.zygote_command(),
            "environment": _launch.zygote_environment(),
            "inside": inside,
            "by_kind": {LIGHT: {"preload": []}, FULL: {"preload": self._preload}},
            "preload": self._preload,
            "zygotes": self._zygotes,
            "recycle_after": self._recycle_after,
            "minimum_level": self._minimum_level,
            "max_running": self._max_running,
            "max_sessions": self._max_sessions,
            "max_live_sessions": self._max_live_sessions or _sessions_in_memory(),
            "total_memory_bytes": self._total_memory_bytes,
            "session_idle_s": self._session_idle_s,
            "spares": self._spares,
            "spare_limits": limits_to_wire(self.limits),
            "cgroup": self._cgroup,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = subprocess.Popen(
                _launch.supervisor_command({**config, "link": theirs.fileno()}),
                env=_launch.supervisor_environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:  # raised again
            ours.close()
            raise
        finally:
            theirs.close()
        return _Link(process, ours, os.getpid())

    # ---- messages ----

    def _request(self, code: str, limits: SandboxLimits, seed: int, key: str) -> bytes:
        return pack_message({"op": "run", "limits": limits_to_wire(limits), "seed": seed, "key": key}, [_encode(code)])

    def _result(self, header: dict[str, Any], blobs: list[bytes]) -> SandboxResult:
        if "refused_level" in header:
            raise UsageError(_refusal(header["refused_level"], header["layers"], header["minimum"]))
        texts = iter(blobs)
        stdout, stderr, value, error = (next(texts).decode() if kept else None for kept in header["kept"])
        level, outcome = int(header["level"]), Outcome(header["outcome"])
        self._level = level
        if level == 0 and outcome is not Outcome.INFRA:
            warnings.warn("sandbox level 0: snippets run without isolation and can read, change and send what this user can", RuntimeWarning, stacklevel=3)
        return SandboxResult(
            outcome=outcome,
            stdout=stdout or "",
            stderr=stderr or "",
            value=value,
            error=error,
            exit_code=header.get("exit_code"),
            signal=header.get("signal"),
            wall_s=header.get("wall_s", 0.0),
            cpu_s=header.get("cpu_s", 0.0),
            truncated=header.get("truncated", False),
            level=level,
            session_reset=header.get("session_reset", False),
        )

    def _lost_result(self, *, session_reset: bool = False) -> SandboxResult:
        why = "the sandbox's supervisor ended while the snippet ran"
        return SandboxResult(Outcome.INFRA, error=why, level=self._level, session_reset=session_reset)


def probe() -> SandboxCapabilities:
    """The isolation this machine gives, tried out in a sandbox that is closed again."""
    try:
        need_linux()
    except UsageError as error:
        return SandboxCapabilities(0, tuple(Layer(name, False, str(error)) for name in LAYERS))
    with Sandbox(preload=(), allow_unsafe=True) as sandbox:
        return sandbox.capabilities()


def need_linux() -> None:
    """Raises: UsageError elsewhere."""
    if sys.platform != "linux":
        raise UsageError(f"the sandbox needs Linux, and this is {sys.platform}; run Toolwright in a Linux container or virtual machine")


def _encode(code: str) -> bytes:
    data = code.encode("utf-8", "surrogatepass")
    if len(data) > MAX_SOURCE_BYTES:
        raise UsageError(f"the snippet has {len(data)} bytes; the sandbox takes up to {MAX_SOURCE_BYTES}")
    return data


def _refusal(level: int, layers: dict[str, tuple[bool, str]], minimum: int = 2) -> str:
    asked_for = {name: layer for name, layer in layers.items() if minimum > 3 or name not in ON_DEMAND}
    missing = "; ".join(f"{name}: {why}" for name, (active, why) in asked_for.items() if not active)
    given = f"this machine gives sandbox level {level}, below the level {max(minimum, 2)} that is asked for ({missing})"
    if minimum > 2:
        return f"{given}; to accept it, leave strict out"
    return f"{given}; to accept it, pass {'allow_degraded=True' if level == 1 else 'allow_unsafe=True'}"


def _sessions_in_memory() -> int:
    """How many sessions may live at once, by the machine's memory."""
    return max(1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 // _SESSION_BYTES)


def _drop_idle(link: _Link) -> None:
    while link.idle:
        with contextlib.suppress(IndexError):  # another thread may be faster
            link.idle.pop().close()


def _capabilities(header: dict[str, Any]) -> SandboxCapabilities:
    layers = tuple(Layer(name, active, why) for name, (active, why) in header["hello"].items())
    return SandboxCapabilities(int(header["level"]), layers, float(header["start_s"]))


def _end(link: _Link) -> None:
    """Close the link, which ends the supervisor; kill it if that does not help."""
    ours = link.owner == os.getpid()
    if ours:
        with contextlib.suppress(OSError):  # it has ended already
            link.sock.shutdown(socket.SHUT_RDWR)  # a copy of this process by fork holds the socket too, so closing it would say nothing
    link.sock.close()
    _drop_idle(link)
    if not ours:
        return
    try:
        link.process.wait(_CLOSE_S)
    except subprocess.TimeoutExpired:
        link.process.kill()
        link.process.wait()
