"""One bubblewrap box as the outside sees it: its command line, its start, its turns, its end.

The child in it is watched by the same code as any other (`_running`); its true end is told by the first process of the box (`_boxed`).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox import _launch
from toolwright.sandbox._boxed import SCRATCH
from toolwright.sandbox._running import Child, Limits, Turn, last_line
from toolwright.sandbox._types import SandboxLimits

_START_S = 30.0
_UID = 65_534
_CREDENTIALS = struct.Struct("iii")
_SPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_DROP_ROOT = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")


@dataclass(frozen=True, slots=True)
class Setting:
    """What all boxes of a back end have in common."""

    program: str
    importable: tuple[str, ...]
    disable: tuple[str, ...]


class Box:
    """One bubblewrap process and the child in it. Used by one thread at a time; `close` may come from any."""

    def __init__(self, setting: Setting, limits: SandboxLimits | None, *, session: bool = False, loaded: Sequence[str] = ()) -> None:
        self._setting, self._session, self._loaded = setting, session, loaded
        self._limits = None if limits is None else Limits(**asdict(limits))
        self._guard = threading.Lock()
        self._turning = threading.Lock()
        self._missing: Sequence[str] = ()
        self._killed = self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._child: Child | None = None
        self._hail: socket.socket | None = None

    @property
    def alive(self) -> bool:
        """Whether the next turn will find what this one left."""
        with self._guard:
            return self._child is not None and self._hail is not None and not select.select([self._hail], [], [], 0)[0]

    def close(self) -> None:
        """End the box and all in it, from any thread."""
        with self._guard:
            self._killed = True
            if self._process is not None:
                self._process.kill()
            if self._hail is not None:
                with contextlib.suppress(OSError):  # it has ended already
                    self._hail.shutdown(socket.SHUT_RDWR)
        if self._turning.acquire(blocking=False):  # else the turn that is running cleans up, now that it ends
            try:
                self._bury()
            finally:
                self._turning.release()

    def try_layers(self) -> dict[str, tuple[bool, str]]:
        """What each layer gives in such a box. Raises: SandboxFault where there is no box at all."""
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as complaints:
            try:
                try:
                    hail = self._launch({}, None, writer)
                finally:
                    os.close(writer)
                message, _ = _hear(hail)
            except OSError as error:
                raise SandboxFault(f"bubblewrap cannot make a box here: {error}") from error
            finally:
                self._bury()
            if message is not None:
                layers: dict[str, tuple[bool, str]] = {name: (bool(active), why) for name, (active, why) in message["layers"].items()}
                return layers
            said = last_line(complaints.read().decode("utf-8", "replace"))
        raise SandboxFault(f"bubblewrap cannot make a box here: {said or 'it gave no reason'}")

    def turn(self, source: bytes, seed: int, missing: Sequence[str]) -> dict[str, Any]:
        """The verdict on one snippet, run without the missing layers; a one-shot box ends with it."""
        turn = Turn(source, seed % (1 << 64))
        self._missing = missing
        with self._turning:
            try:
                if self._child is None:
                    self._open()
                if self._child is None or self._hail is None:
                    return infra("bubblewrap gave no box")
                self._child.begin(turn)
                verdict, self._ended = _attend(self._child, self._hail)
                return verdict
            except OSError as error:
                return infra(f"bubblewrap: {error}")
            finally:
                if not self._session or self._killed or self._ended or self._child is None or self._child.pidfd < 0:
                    self._bury()

    def _open(self) -> None:
        if self._limits is None:
            raise RuntimeError("a box for trials runs no snippets")
        child = self._child = Child(0, self._limits, self._session)
        job = child.fork_request()
        out, err, control = child.theirs
        hail = self._launch({"out": out, "err": err, "control": control}, job, err)
        child.close_theirs()
        message, pid = _hear(hail)
        if message is not None:
            pidfd = os.pidfd_open(pid)
            child.started(pidfd, "", watch_threads=os.geteuid() == 0)  # root has no user namespace of its own here
            hail.send(b"go")

    def _launch(self, fds: dict[str, int], job: dict[str, Any] | None, errors: int) -> socket.socket:
        """Start bubblewrap, and tell its first process how large that is; the socket on which more will be heard."""
        hail, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hail.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        hail.settimeout(_START_S)
        self._hail = hail
        with theirs:
            command = _command(self._setting, {**fds, "hail": theirs.fileno()}, job, self._loaded, self._missing)
            with self._guard:
                if self._killed:
                    raise OSError("it was ended before it began")
                self._process = subprocess.Popen(
                    command,
                    env=_launch.zygote_environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(*fds.values(), theirs.fileno()),
                )
        message, pid = _hear(hail)
        if message is not None:
            with open(f"/proc/{pid}/statm") as stream:
                pages = int(stream.read().split()[0])
            hail.send(str(pages * os.sysconf("SC_PAGE_SIZE")).encode())
        return hail

    def _bury(self) -> None:
        """Let go of everything, at once."""
        with self._guard:
            process, self._process = self._process, None
            hail, self._hail = self._hail, None
        if hail is not None:
            hail.close()
        if process is not None:
            process.kill()
            process.wait()
        if self._child is not None:
            self._child.kill()
            self._child.close()
            self._child = None


def _attend(child: Child, hail: socket.socket) -> tuple[dict[str, Any], bool]:
    """(the verdict, whether the child has ended with it): serves the child's streams and clocks until its turn is over."""
    with selectors.DefaultSelector() as events:
        for fd in child.open:
            events.register(fd, selectors.EVENT_READ)
        events.register(hail, selectors.EVENT_READ)
        while True:
            child.writable()
            if child.control_fd in events.get_map():
                events.modify(child.control_fd, selectors.EVENT_READ | (selectors.EVENT_WRITE if child.wants_write else 0))
            for key, mask in events.select(child.next_check(time.monotonic())):
                if key.fd == hail.fileno():
                    return _last_verdict(child, hail), True
                if mask & selectors.EVENT_READ and not child.readable(key.fd):
                    events.unregister(key.fd)
            if child.done_code is not None:
                child.drain()
                return child.finish_turn(), False
            child.check(time.monotonic())


def _last_verdict(child: Child, hail: socket.socket) -> dict[str, Any]:
    """The child has ended, or the whole box."""
    report, _ = _hear(hail)
    child.drain()
    if child.done_code is not None:
        return child.finish_turn()
    verdict = None if report is None else child.end(report["status"], report["cpu_s"])
    return verdict or infra((last_line(child.turn.err.text()) if child.turn is not None else "") or "the box ended while the snippet ran")


def _hear(hail: socket.socket) -> tuple[dict[str, Any] | None, int]:
    """(what the box said, the process id of who said it); None where it has ended, or says nothing for too long."""
    try:
        data, ancillary, _, _ = hail.recvmsg(1 << 16, socket.CMSG_SPACE(_CREDENTIALS.size))
    except (TimeoutError, ConnectionError):
        return None, -1
    if not data:
        return None, -1
    pid = next((_CREDENTIALS.unpack(content)[0] for _, kind, content in ancillary if kind == socket.SCM_CREDENTIALS), -1)
    return json.loads(data), pid


def infra(why: str) -> dict[str, Any]:
    """The verdict of a failure that is not the snippet's."""
    return {"outcome": "infra", "texts": ["", "", None, why]}


def _outermost(paths: Sequence[str]) -> list[str]:
    """The paths that lie in no other of them."""
    found: list[str] = []
    for path in sorted(set(paths)):
        if not any(path.startswith(folder + "/") for folder in found):
            found.append(path)
    return found


def _command(setting: Setting, fds: dict[str, int], job: dict[str, Any] | None, loaded: Sequence[str], missing: Sequence[str]) -> list[str]:
    """The command line of bubblewrap around the first process of the box."""
    program = shutil.which(setting.program)
    if program is None:
        raise UsageError(f"{setting.program} is not installed; install the package bubblewrap of your system, or use Sandbox(), which needs nothing more")
    root, python = os.geteuid() == 0, os.path.realpath(sys.executable)
    paths = _launch.import_paths((), setting.importable)
    readable = _launch.readable_paths(paths)
    config = {
        "paths": paths,
        "readable": readable,
        "loaded": loaded,
        "disable": [*setting.disable, *missing],
        "uid": _UID if root else None,
        "job": job,
        **fds,
    }
    spaces = (*_SPACES, *_DROP_ROOT) if root else ("--unshare-all",)
    command = [program, *spaces, "--as-pid-1", "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    shown = _outermost([*readable, python, str(_launch._ROOM)])
    for folder in sorted({str(parent) for path in shown for parent in Path(path).parents} - {"/"}):
        command += ["--perms", "0755", "--dir", folder]  # bubblewrap alone would make some of them for root only
    for path in shown:
        command += ["--dev-bind-try" if path.startswith("/dev/") else "--ro-bind-try", path, path]
    size_bytes = 4 * int(job["file_bytes"]) if job is not None else 0
    command += ["--size", str(max(size_bytes, 1 << 16)), "--perms", "1777", "--tmpfs", SCRATCH, "--remount-ro", "/"]
    inside = _launch._command(["-I", "-S", "-B", "-X", "utf8"], "_boxed", json.dumps(config))
    return [*command, "--", python, *inside[1:]]
