"""The supervisor's zygotes: how they are started, chosen, replaced, and buried. Leaves out their children's clocks and verdicts (`_running`)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolwright.sandbox._remove import remove_tree
from toolwright.sandbox._running import Child

_LINK_FD = 3
_TEXT_BYTES = 1 << 16
_LAST_WORDS = 2000


@dataclass(slots=True, eq=False)
class Zygote:
    """One zygote, from before its start until after its end."""

    kind: str
    sock: socket.socket
    stderr: int
    launcher: int
    """The process that was started, by pidfd; with namespaces the zygote is its child."""
    asked: float
    hello: dict[str, Any] | None = None
    """What it reached; None while it starts."""
    pidfd: int = -1
    forks: int = 0
    retiring: bool = False
    """It takes no more work, and ends with its last child."""
    children: dict[int, Child] = field(default_factory=dict)
    last_words: str = ""

    @classmethod
    def start(cls, kind: str, command: list[str], environment: dict[str, str]) -> Zygote:
        """A new process, which will say hello when it is ready."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, writer, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), _LINK_FD),
        ]
        asked = time.monotonic()
        launcher = os.pidfd_open(os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True))
        theirs.close()
        os.close(writer)
        ours.setblocking(False)
        return cls(kind, ours, reader, launcher, asked)

    @property
    def level(self) -> int:
        """The isolation its children get."""
        return -1 if self.hello is None else int(self.hello["level"])

    @property
    def load(self) -> int:
        """How many of its children have work."""
        return sum(child.turn is not None for child in self.children.values())

    def fork(self, child: Child) -> None:
        """Ask for the child."""
        self.forks += 1
        self.children[child.number] = child
        with contextlib.suppress(OSError):  # the zygote is dying; its end requeues the turn
            socket.send_fds(self.sock, [child.fork_record()], child.theirs)
        child.close_theirs()

    def receive(self) -> Iterator[tuple[bytes, list[int]]]:
        """Its reports that have come, each with the descriptors beside it; an empty one where it has ended."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, _TEXT_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            yield data, fds
            if not data:
                return

    def overhear(self) -> bool:
        """Take in what it complains of; False at the end."""
        try:
            data = os.read(self.stderr, _TEXT_BYTES)
        except BlockingIOError:
            return True
        self.last_words = (self.last_words + data.decode("utf-8", "replace"))[-_LAST_WORDS:]
        return bool(data)

    def kill(self) -> None:
        """Kill it with all its children."""
        for pidfd in [self.launcher, self.pidfd, *(child.pidfd for child in self.children.values())]:
            if pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    def bury(self) -> None:
        """Wait for its end, which must be near, and let go of everything."""
        with contextlib.suppress(ChildProcessError):  # it may have been reaped with the orphans
            os.waitid(os.P_PIDFD, self.launcher, os.WEXITED)
        self.sock.close()
        for fd in (self.stderr, self.pidfd, self.launcher):
            if fd >= 0:
                os.close(fd)
        if self.hello is not None and self.hello["scratch"]:
            remove_tree(self.hello["scratch"])


class Herd:
    """All zygotes of a supervisor, by kind."""

    def __init__(self, config: dict[str, Any], kinds: Sequence[str], began: Callable[[Zygote], None]) -> None:
        self._config = config
        self._most: dict[str, int] = config["zygotes"]
        self._began = began
        self.kinds = tuple(kinds)
        self.all: list[Zygote] = []

    def start(self, kind: str) -> None:
        """One more zygote of that kind."""
        inside = {**self._config["inside"], **self._config["by_kind"][kind]}
        command = [*self._config["zygote"], json.dumps(inside)]
        zygote = Zygote.start(kind, command, self._config["environment"])
        self.all.append(zygote)
        self._began(zygote)

    def serving(self, kind: str) -> list[Zygote]:
        """Those of the kind that take work."""
        return [each for each in self.all if each.kind == kind and each.hello is not None and not each.retiring]

    def starting(self, kind: str) -> list[Zygote]:
        """Those of the kind that do not yet."""
        return [each for each in self.all if each.kind == kind and each.hello is None]

    def fill(self, kind: str) -> None:
        """Start what is missing to the number wished for; the first alone, so that it is ready soon."""
        there = len(self.serving(kind)) + len(self.starting(kind))
        for _ in range(self._most[kind] - there if self.serving(kind) else 1 - there):
            self.start(kind)

    def choose(self, kind: str) -> Zygote | None:
        """The one with the fewest children at work; None where there is none yet. A worn one is replaced by and by."""
        serving = self.serving(kind)
        if not serving:
            return None
        best = min(serving, key=lambda each: each.load)
        if best.forks >= self._config["recycle_after"] and not self.starting(kind):
            self.start(kind)  # the old one works until the new one is ready
        return best

    def worn(self, kind: str) -> list[Zygote]:
        """Those of the kind that have forked their share."""
        return [each for each in self.serving(kind) if each.forks >= self._config["recycle_after"]]

    def retire(self, zygote: Zygote) -> None:
        """Give it no more work; its sessions stay until they end."""
        zygote.retiring = True
        self.fill(zygote.kind)
        self.dismiss(zygote)

    def dismiss(self, zygote: Zygote) -> None:
        """Let a retiring one end, if it has no children left."""
        if zygote.retiring and not zygote.children:
            with contextlib.suppress(OSError):  # it has ended by itself
                zygote.sock.shutdown(socket.SHUT_WR)
