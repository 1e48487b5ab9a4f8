"""The caller's side: `Sandbox` and its sessions.

Every run and every session has a socket of its own to the supervisor, handed over through one shared link. So threads and event loops need no common
reader, and giving up on a run is closing its socket: the supervisor then kills the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolwright.episodes import digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import _launch
from toolwright.sandbox._gate import Gate
from toolwright.sandbox._types import Layer, Outcome, SandboxCapabilities, SandboxLimits, SandboxResult, limits_to_wire
from toolwright.sandbox._wire import MAX_REPLY_BYTES, MAX_SOURCE_BYTES, message_size, pack_message, split_message

VERSION = 1
"""Raised when the same snippet may end differently than before; part of every digest."""
DISABLEABLE = ("landlock", "namespaces", "seccomp", "user")
_IN_FLIGHT = 128
_ATTEMPTS = 3
_CLOSE_S = 5.0
_UID = 65_534
_PACKAGES = ("numpy", "sympy")


class _Lost(Exception):
    """The supervisor went away in the middle of a request."""


@dataclass(slots=True)
class _Link:
    """The running supervisor."""

    process: subprocess.Popen[bytes]
    sock: socket.socket
    owner: int
    """The process that started it; a forked copy of that process starts its own."""


class Sandbox:
    """Runs Python snippets in locked-down processes.

    The first use starts the supervisor and the zygote (about half a second with numpy and sympy preloaded); making the object costs nothing. One object
    serves any number of threads and event loops. Close it with `close`, `aclose` or ``with``; it also ends with the process that made it.

    `preload` names packages that every snippet finds loaded; `importable` names more folders that snippets may import from (and read); `spares`
    processes are kept forked and locked down for the next snippets with the default limits, which hides most of the latency; `disable`
    switches layers off (some of landlock, namespaces, seccomp, user), for tests of weaker levels.

    Raises: UsageError at the first use where the machine gives less than level 2 and the caller did not accept that: `allow_degraded` accepts level 1
    (files can be read), `allow_unsafe` accepts level 0 (no isolation at all).
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
    ) -> None:
        if unknown := set(disable) - set(DISABLEABLE):
            raise UsageError(f"disable={sorted(unknown)} names no layer; give some of {', '.join(DISABLEABLE)}")
        for name, value in (("max_running", max_running), ("max_sessions", max_sessions)):
            if value is not None and value < 1:
                raise UsageError(f"{name}={value} is out of range; give 1 or more")
        self.limits = SandboxLimits() if limits is None else limits
        self._max_running = max_running or len(os.sched_getaffinity(0)) + 1
        self._max_sessions = max_sessions
        self._session_idle_s = session_idle_s
        self._spares = spares
        self._minimum_level = 0 if allow_unsafe else 1 if allow_degraded else 2
        self._preload = tuple(preload)
        self._importable = tuple(str(Path(folder).resolve()) for folder in importable)
        self._disable = tuple(sorted(disable))
        self._gate = Gate(_IN_FLIGHT)
        self._guard = threading.Lock()
        self._link: _Link | None = None
        self._finalizer: weakref.finalize[..., Sandbox] | None = None
        self._warned = False

    # ---- what it does ----

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        """What became of the snippet, run in a process of its own.

        Cancelling the call kills the snippet. A fault of the sandbox itself is retried; if it persists the outcome is `INFRA`.

        Raises: UsageError where the isolation level is not accepted.
        """
        request = self._request(code, limits or self.limits, seed)
        await self._gate.enter()
        try:
            for _ in range(_ATTEMPTS):
                sock = self._connect()
                try:
                    return self._result(*await _exchange(sock, request))
                except _Lost:
                    continue
                finally:
                    sock.close()
        finally:
            self._gate.leave()
        return _lost_result()

    def run_sync(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        """`run` for callers without an event loop; safe in threads."""
        request = self._request(code, limits or self.limits, seed)
        self._gate.enter_sync()
        try:
            for _ in range(_ATTEMPTS):
                with self._connect() as sock, contextlib.suppress(_Lost):
                    return self._result(*_exchange_sync(sock, request))
        finally:
            self._gate.leave()
        return _lost_result()

    def session(self, *, limits: SandboxLimits | None = None, seed: int = 0) -> AbstractAsyncContextManager[SandboxSession]:
        """A snippet process that stays: each `SandboxSession.run` sees the variables and files of the ones before.

        Raises: SandboxFault where too many sessions are open; UsageError where the isolation level is not accepted.
        """
        return self._session(limits or self.limits, seed)

    @contextlib.asynccontextmanager
    async def _session(self, limits: SandboxLimits, seed: int) -> AsyncIterator[SandboxSession]:
        session = SandboxSession(self, limits, seed)
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
                header, _ = _exchange_sync(sock, pack_message({"op": "hello"}))
            except _Lost as error:
                raise SandboxFault("the sandbox's supervisor ended while it started") from error
        if "broken" in header:
            raise SandboxFault(f"the sandbox cannot start: {str(header['broken']).strip()[-500:]}")
        return _capabilities(header)

    @property
    def digest(self) -> str:
        """Names everything that can change a snippet's outcome."""
        return digest("sandbox", VERSION, self.limits, self._preload, self._importable)

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

    def _connect(self) -> socket.socket:
        """A fresh socket to the supervisor, which is started if it is not there."""
        for _ in range(_ATTEMPTS):
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(self._running_link().sock, [b"N"], [theirs.fileno()])
                    return ours
                except OSError:
                    ours.close()
                    self.close()
                except BaseException:  # also when interrupted: no process may be left; raised again
                    ours.close()
                    raise
        raise SandboxFault("the sandbox's supervisor ends as soon as it starts")

    def _running_link(self) -> _Link:
        with self._guard:
            link = self._link
            if link is not None and link.owner != os.getpid():
                link.sock.close()  # a copy by fork: the supervisor belongs to the process that started it
                if self._finalizer is not None:
                    self._finalizer.detach()
                link = None
            if link is None:
                link = self._link = self._start()
                self._finalizer = weakref.finalize(self, _end, link)
            return link

    def _start(self) -> _Link:
        paths = _launch.import_paths(self._preload, self._importable)
        inside = {
            "paths": paths,
            "stdlib": os.path.dirname(os.__file__),
            "readable": _launch.readable_paths(paths),
            "preload": self._preload,
            "disable": self._disable,
            "uid": _UID,
            "scratch_parents": list(dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm"))),
        }
        config = {
            "zygote": _launch.zygote_command(json.dumps(inside)),
            "environment": _launch.zygote_environment(),
            "minimum_level": self._minimum_level,
            "max_running": self._max_running,
            "max_sessions": self._max_sessions,
            "session_idle_s": self._session_idle_s,
            "spares": self._spares,
            "spare_limits": limits_to_wire(self.limits),
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
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
        return _Link(process, ours, os.getpid())

    # ---- messages ----

    def _request(self, code: str, limits: SandboxLimits, seed: int) -> bytes:
        return pack_message({"op": "run", "limits": limits_to_wire(limits), "seed": seed}, [_encode(code)])

    def _result(self, header: dict[str, Any], blobs: list[bytes]) -> SandboxResult:
        if "refused_level" in header:
            raise UsageError(_refusal(header["refused_level"], header["layers"]))
        texts = iter(blobs)
        stdout, stderr, value, error = (next(texts).decode() if kept else None for kept in header["kept"])
        level, outcome = int(header["level"]), Outcome(header["outcome"])
        if level == 0 and outcome is not Outcome.INFRA and not self._warned:
            self._warned = True
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


class SandboxSession:
    """A snippet process that stays alive between turns; made by `Sandbox.session`."""

    def __init__(self, sandbox: Sandbox, limits: SandboxLimits, seed: int) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._seed = seed
        self._sock: socket.socket | None = None
        self._was_open = False

    async def open(self) -> None:
        """Take a place for the session; its process starts with the first turn."""
        self._sock = self._sandbox._connect()
        try:
            header, _ = await _exchange(self._sock, pack_message({"op": "open", "limits": limits_to_wire(self._limits)}))
        except _Lost as error:
            raise SandboxFault("the sandbox's supervisor ended") from error
        if "refused_session" in header:
            raise SandboxFault(f"{header['refused_session']} sessions are open already; close some, or raise max_sessions")

    async def run(self, code: str) -> SandboxResult:
        """What became of the next turn; variables stay unless `session_reset` says they were lost.

        A turn that runs into a time limit is first interrupted (KeyboardInterrupt), and killed a second later if that does not help. Cancelling the call
        ends the session's process.

        Raises: UsageError where the isolation level is not accepted.
        """
        lost = self._sock is None
        if self._sock is None:
            await self.open()
        request = pack_message({"op": "turn", "seed": self._seed}, [_encode(code)])
        try:
            if self._sock is None:
                raise _Lost
            result = self._sandbox._result(*await _exchange(self._sock, request))
        except _Lost:
            self.close()
            return _lost_result(session_reset=True)
        except asyncio.CancelledError:
            self.close()
            raise
        return replace(result, session_reset=True) if lost else result

    def close(self) -> None:
        """End the session's process."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def probe() -> SandboxCapabilities:
    """The isolation this machine gives, tried out in a sandbox that is closed again."""
    with Sandbox(preload=(), allow_unsafe=True) as sandbox:
        return sandbox.capabilities()


def _encode(code: str) -> bytes:
    data = code.encode("utf-8", "surrogatepass")
    if len(data) > MAX_SOURCE_BYTES:
        raise UsageError(f"the snippet has {len(data)} bytes; the sandbox takes up to {MAX_SOURCE_BYTES}")
    return data


def _refusal(level: int, layers: dict[str, tuple[bool, str]]) -> str:
    missing = "; ".join(f"{name}: {why}" for name, (active, why) in layers.items() if not active)
    option = "allow_degraded=True" if level == 1 else "allow_unsafe=True"
    return f"this machine gives sandbox level {level}, below the level 2 that is asked for ({missing}); to accept it, pass {option}"


def _lost_result(*, session_reset: bool = False) -> SandboxResult:
    return SandboxResult(Outcome.INFRA, error="the sandbox's supervisor ended while the snippet ran", session_reset=session_reset)


def _capabilities(header: dict[str, Any]) -> SandboxCapabilities:
    layers = tuple(Layer(name, active, why) for name, (active, why) in header["hello"].items())
    return SandboxCapabilities(int(header["level"]), layers, float(header["start_s"]))


def _end(link: _Link) -> None:
    """Close the link, which ends the supervisor; kill it if that does not help."""
    link.sock.close()
    if link.owner != os.getpid():
        return
    try:
        link.process.wait(_CLOSE_S)
    except subprocess.TimeoutExpired:
        link.process.kill()
        link.process.wait()


async def _exchange(sock: socket.socket, request: bytes) -> tuple[dict[str, Any], list[bytes]]:
    loop = asyncio.get_running_loop()
    sock.setblocking(False)
    buffer = bytearray()
    try:
        await loop.sock_sendall(sock, request)
        while (message := split_message(buffer, MAX_REPLY_BYTES)) is None:
            part = await loop.sock_recv(sock, max(4096, min(1 << 20, message_size(buffer) - len(buffer))))
            if not part:
                raise _Lost
            buffer += part
    except (ConnectionError, BrokenPipeError) as error:
        raise _Lost from error
    return message[0], message[1]


def _exchange_sync(sock: socket.socket, request: bytes) -> tuple[dict[str, Any], list[bytes]]:
    sock.setblocking(True)
    buffer = bytearray()
    try:
        sock.sendall(request)
        while (message := split_message(buffer, MAX_REPLY_BYTES)) is None:
            part = sock.recv(max(4096, min(1 << 20, message_size(buffer) - len(buffer))))
            if not part:
                raise _Lost
            buffer += part
    except (ConnectionError, BrokenPipeError) as error:
        raise _Lost from error
    return message[0], message[1]
