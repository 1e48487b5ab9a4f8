"""The supervisor: a small process between the caller and the zygote. It queues, starts, watches, kills, and reports.

It holds every deadline, so neither a busy caller nor the snippet can move one. It ends, and takes everything down with it, when the caller is gone. Leaves
out isolation itself (`_zygote`, `_child`) and the clocks and verdicts of one child (`_running`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from toolwright.sandbox import _linux
from toolwright.sandbox._remove import remove_tree
from toolwright.sandbox._running import CORES, FORK_S, Child, Limits, Turn, pid_of
from toolwright.sandbox._wire import MAX_SOURCE_BYTES, pack_message, split_message

_ZYGOTE_LINK_FD = 3
_MOST_ATTEMPTS = 3
_START_S = 60.0
_QUICK_DEATHS = 3
_SHARE_OF_MEMORY = 0.75
Handler = Callable[[int], None]


def main(argument: str) -> None:
    """Serve until the caller closes the link or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's business
    _linux.adopt_orphans()
    _linux.hide_memory()
    config = json.loads(argument)
    os.set_inheritable(config["link"], False)
    supervisor = Supervisor(socket.socket(fileno=config["link"]), config)
    try:
        supervisor.serve()
    finally:
        supervisor.close()


class Connection:
    """One run or one session of the caller."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.limits: Limits | None = None
        self.session = False
        self.turn: Turn | None = None
        """Waiting or running."""
        self.child: Child | None = None
        self.was_reset = False
        self.wants_hello = False


class Supervisor:
    """The event loop and what it keeps track of."""

    def __init__(self, link: socket.socket, config: dict[str, Any]) -> None:
        self._link = link
        self._config = config
        self._select = selectors.DefaultSelector()
        self._queue: deque[Connection] = deque()
        self._connections: set[Connection] = set()
        self._children: dict[int, Child] = {}
        self._owners: dict[int, Connection] = {}
        """By the child's number; a spare child has none."""
        self._spare_limits = Limits(**config["spare_limits"])
        self._spare_deaths = 0
        self._zygote: socket.socket | None = None
        self._launcher = self._zygote_pidfd = -1
        self._hello: dict[str, Any] | None = None
        self._level = 0
        """The last zygote's."""
        self._asked_at = 0.0
        self._deaths = 0
        self._last_words = ""
        self._stderr = -1
        self._number = 0
        self._open = True
        self._memory_bytes = _memory_for_children()
        self._watch(link.fileno(), self._accept)
        self._caller = os.pidfd_open(os.getppid())
        self._watch(self._caller, self._leave)
        self._start_zygote()

    # ---- the loop ----

    def serve(self) -> None:
        """Handle events until the caller is gone."""
        while self._open:
            now = time.monotonic()
            waits = [wait for child in self._children.values() if (wait := child.next_check(now)) is not None]
            if self._hello is None and self._zygote is not None:
                waits.append(max(self._asked_at + _START_S - now, 0))
            events = self._select.select(min(waits) if waits else None)
            current = self._select.get_map()
            for key, mask in events:
                if current.get(key.fd) is key:  # else an earlier event of this batch closed it
                    key.data(mask)
            self._check_clocks()

    def _watch(self, fd: int, handler: Handler, mask: int = selectors.EVENT_READ) -> None:
        self._select.register(fd, mask, handler)

    def _unwatch(self, fd: int) -> None:
        if fd in self._select.get_map():
            self._select.unregister(fd)

    def _leave(self, mask: int) -> None:
        self._open = False

    def _check_clocks(self) -> None:
        now = time.monotonic()
        for child in list(self._children.values()):
            child.check(now)
            waiting = child.session and child.ready and child.turn is None and self._owners[child.number].turn is None
            if waiting and now - child.idle_since > self._config["session_idle_s"]:
                child.kill()
        slow_start = self._hello is None and self._zygote is not None and now - self._asked_at > _START_S
        if slow_start or any(child.pidfd < 0 and now - child.asked > FORK_S for child in self._children.values()):
            self._kill_zygote()
            self._bury_zygote()

    # ---- the caller's side ----

    def _accept(self, mask: int) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._link, 16, 1)
        except OSError:
            data, fds = b"", []
        if not data:
            self._open = False
            return
        for fd in fds:
            connection = Connection(socket.socket(fileno=fd))
            connection.sock.setblocking(False)
            self._connections.add(connection)
            self._watch(fd, lambda mask, connection=connection: self._serve_connection(connection, mask))  # type: ignore[misc]

    def _serve_connection(self, connection: Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._send_out(connection)
        if not mask & selectors.EVENT_READ or connection not in self._connections:
            return
        try:
            data = connection.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        connection.incoming += data
        try:
            message = split_message(connection.incoming, MAX_SOURCE_BYTES)
            if message is not None:
                header, blobs, used = message
                del connection.incoming[:used]
                self._request(connection, header, blobs)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):  # garbage: that connection only
            self._drop(connection)

    def _request(self, connection: Connection, header: dict[str, Any], blobs: list[bytes]) -> None:
        kind = header["op"]
        if kind == "hello":
            connection.wants_hello = True
            self._answer_hello(connection)
            return
        if kind in ("run", "open"):
            connection.limits = Limits(**header["limits"])
            connection.session = kind == "open"
            if connection.session and sum(each.session for each in self._connections) > self._config["max_sessions"]:
                self._reply(connection, {"refused_session": self._config["max_sessions"]})
                return
        if kind == "open":
            self._reply(connection, {"opened": True})
            return
        if connection.turn is not None or connection.limits is None:
            raise ValueError("one turn at a time")
        connection.turn = Turn(blobs[0], int(header["seed"]) % (1 << 64))
        self._queue.append(connection)
        self._pump()

    def _answer_hello(self, connection: Connection) -> None:
        if self._hello is not None:
            connection.wants_hello = False
            self._reply(connection, {**self._hello, "minimum": self._config["minimum_level"]})
        elif self._zygote is None:
            connection.wants_hello = False
            self._reply(connection, {"broken": self._last_words})

    def _reply(self, connection: Connection, header: dict[str, Any]) -> None:
        texts = header.pop("texts", [])
        kept = [text is not None for text in texts]
        blobs = [text.encode("utf-8", "backslashreplace") for text in texts if text is not None]
        connection.outgoing += pack_message({**header, "kept": kept}, blobs)
        self._send_out(connection)

    def _send_out(self, connection: Connection) -> None:
        while connection.outgoing:
            try:
                sent = connection.sock.send(connection.outgoing)
            except BlockingIOError:
                break
            except OSError:
                self._drop(connection)
                return
            del connection.outgoing[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        key = self._select.get_map().get(connection.sock.fileno())
        if key is not None and key.events != wanted:
            self._select.modify(key.fd, wanted, key.data)

    def _drop(self, connection: Connection) -> None:
        """The caller no longer waits for this connection's answer."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._unwatch(connection.sock.fileno())
        connection.sock.close()
        if connection in self._queue:
            self._queue.remove(connection)
        if connection.child is not None:
            connection.child.kill()

    # ---- admission ----

    def _pump(self) -> None:
        """Start what may start, in the order it came."""
        if self._hello is None:
            if self._zygote is None:
                self._start_zygote()
            return
        while self._queue:
            connection = self._queue[0]
            if self._hello["level"] < self._config["minimum_level"]:
                self._queue.popleft()
                connection.turn = None
                self._reply(connection, {"refused_level": self._hello["level"], "layers": self._hello["hello"]})
                continue
            busy = [child for child in self._children.values() if child.turn is not None]
            if len(busy) >= self._config["max_running"]:
                return
            limits = connection.limits
            if limits is None or (busy and sum(child.limits.memory_bytes for child in busy) + limits.memory_bytes > self._memory_bytes):
                return
            self._queue.popleft()
            self._start(connection, limits)
        self._refill()

    def _start(self, connection: Connection, limits: Limits) -> None:
        turn = connection.turn
        if turn is None:
            return
        if connection.child is None:
            try:
                connection.child = self._spare(connection, limits) or self._fork(limits, connection.session)
            except OSError as error:
                self._fail(connection, f"no child can be made: {error}")
                return
            self._owners[connection.child.number] = connection
        connection.child.begin(turn)
        self._push(connection.child)

    def _spare(self, connection: Connection, limits: Limits) -> Child | None:
        """A child that waits for work, if there is one with these limits; rather one that is already locked down."""
        if connection.session or limits != self._spare_limits:
            return None
        spares = [child for child in self._children.values() if child.number not in self._owners]
        return min(spares, key=lambda child: not child.ready, default=None)

    def _refill(self) -> None:
        """Fork spare children while nobody waits, so that the next snippet need not wait for a fork."""
        spares = len(self._children) - len(self._owners)
        if self._hello is None or self._hello["level"] < self._config["minimum_level"] or self._spare_deaths >= _QUICK_DEATHS:
            return
        for _ in range(self._config["spares"] - spares):
            with contextlib.suppress(OSError):  # only a convenience; a real request will say what is wrong
                self._fork(self._spare_limits, session=False)

    def _fork(self, limits: Limits, session: bool) -> Child:
        if self._zygote is None:
            raise OSError("the zygote is not running")
        self._number += 1
        child = Child(self._number, limits, session)
        self._children[child.number] = child
        for fd in child.open:
            self._watch(fd, lambda mask, fd=fd: self._hear(child, fd, mask))  # type: ignore[misc]
        with contextlib.suppress(OSError):  # the zygote is dying; its end requeues the turn
            socket.send_fds(self._zygote, [json.dumps(child.fork_request()).encode()], child.theirs)
        child.close_theirs()
        return child

    def _push(self, child: Child) -> None:
        child.writable()
        key = self._select.get_map().get(child.control_fd)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.wants_write else 0)
        if key is not None and key.events != wanted:
            self._select.modify(key.fd, wanted, key.data)

    def _hear(self, child: Child, fd: int, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._push(child)
        if mask & selectors.EVENT_READ and not child.readable(fd):
            self._unwatch(fd)
        if child.done_code is not None and child.turn is not None:
            child.drain()
            self._finish(self._owners[child.number], child.finish_turn())
            self._pump()

    def _finish(self, connection: Connection, verdict: dict[str, Any]) -> None:
        connection.turn = None
        if connection in self._connections:
            reset, connection.was_reset = connection.was_reset, False
            self._reply(connection, {**verdict, "level": self._level, "session_reset": reset})

    def _fail(self, connection: Connection, why: str) -> None:
        self._finish(connection, {"outcome": "infra", "texts": ["", "", None, why]})

    # ---- the zygote's side ----

    def _start_zygote(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        command: list[str] = self._config["zygote"]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, writer, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), _ZYGOTE_LINK_FD),
        ]
        self._asked_at = time.monotonic()
        self._launcher = os.pidfd_open(os.posix_spawn(command[0], command, self._config["environment"], file_actions=actions, setsid=True))
        theirs.close()
        os.close(writer)
        self._zygote, self._stderr = ours, reader
        self._watch(ours.fileno(), self._listen)
        self._watch(reader, self._overhear)

    def _overhear(self, mask: int) -> None:
        try:
            data = os.read(self._stderr, 4096)
        except BlockingIOError:
            return
        self._last_words = (self._last_words + data.decode("utf-8", "replace"))[-2000:]
        if not data:
            self._unwatch(self._stderr)

    def _listen(self, mask: int) -> None:
        if self._zygote is None:
            return
        try:
            data, fds, _, _ = socket.recv_fds(self._zygote, 1 << 16, 1)
        except OSError:
            data, fds = b"", []
        if not data:
            self._bury_zygote()
            return
        report = json.loads(data)
        if "hello" in report:
            self._zygote_pidfd = fds[0]
            self._hello, self._level = report, report["level"]
            for connection in [each for each in self._connections if each.wants_hello]:
                self._answer_hello(connection)
        elif "started" in report:
            child = self._children[report["started"]]
            child.started(fds[0], report["scratch"] if self._hello is not None and self._hello["scratch"] else "")
            if child.number in self._owners and self._owners[child.number] not in self._connections:
                child.kill()
        elif "exited" in report:
            self._deaths = 0
            self._child_ended(report)
        else:
            self._not_forked(report)
        self._pump()

    def _child_ended(self, report: dict[str, Any]) -> None:
        child = self._children[report["exited"]]
        child.drain()
        connection = self._owners.get(child.number)
        verdict = None
        if connection is None:
            self._spare_deaths += 1
        else:
            if child.session and child.turn is not None and child.done_code is not None:
                self._finish(connection, child.finish_turn())
            verdict = child.end(report["status"], report["cpu_s"])
        self._forget(child)
        self._reap()
        if self._hello is not None and self._hello["level"] == 0:
            self._kill_strays()
        if connection is None or verdict is None:
            return
        if verdict["outcome"] == "infra":
            self._retry(connection, verdict["texts"][3])
        else:
            self._spare_deaths = 0
            self._finish(connection, verdict)

    def _not_forked(self, report: dict[str, Any]) -> None:
        child = self._children[report["failed"]]
        child.turn = None
        connection = self._owners.get(child.number)
        self._forget(child)
        if connection is None:
            self._spare_deaths += 1
        else:
            self._retry(connection, f"the zygote could not fork: {report['why']}")

    def _forget(self, child: Child) -> None:
        for fd in child.all_fds:
            self._unwatch(fd)
        child.close()
        del self._children[child.number]
        connection = self._owners.pop(child.number, None)
        if connection is not None:
            connection.child = None
            connection.was_reset = connection.session

    def _retry(self, connection: Connection, why: str) -> None:
        """Queue the turn again, in front; a session's turn is not run a second time, as its first part may have happened."""
        turn = connection.turn
        if turn is None or connection not in self._connections:
            return
        if turn.attempts >= _MOST_ATTEMPTS or (connection.session and turn.started):
            self._fail(connection, why)
        else:
            self._queue.appendleft(connection)

    def _kill_zygote(self) -> None:
        for pidfd in [self._launcher, self._zygote_pidfd, *(child.pidfd for child in self._children.values())]:
            if pidfd >= 0:
                _kill(pidfd)

    def _bury_zygote(self) -> None:
        """The zygote is gone: its children with it; what they ran is run again by the next one."""
        self._kill_zygote()
        if self._stderr in self._select.get_map():
            self._overhear(0)
        self._await_launcher()
        for fd in (self._stderr, self._zygote_pidfd, self._launcher):
            if fd >= 0:
                self._unwatch(fd)
                os.close(fd)
        if self._zygote is not None:
            self._unwatch(self._zygote.fileno())
            self._zygote.close()
        self._remove_scratch()
        self._stderr = self._zygote_pidfd = self._launcher = -1
        self._zygote, was_up, self._hello = None, self._hello is not None, None
        for child in list(self._children.values()):
            child.turn = None
            owner = self._owners.get(child.number)
            self._forget(child)
            if owner is not None:
                self._retry(owner, f"the zygote ended: {self._last_words[-300:]}")
        self._reap()
        self._deaths += 1
        if self._deaths >= _QUICK_DEATHS and not was_up:
            self._give_up()
        elif self._open:
            self._start_zygote()

    def _give_up(self) -> None:
        self._deaths = 0
        queue, self._queue = self._queue, deque()
        for connection in queue:
            self._fail(connection, f"the zygote cannot start: {self._last_words[-500:]}")
        for connection in [each for each in self._connections if each.wants_hello]:
            self._answer_hello(connection)

    def _remove_scratch(self) -> None:
        folder = self._hello["scratch"] if self._hello is not None else ""
        if folder:
            remove_tree(folder)

    def _kill_strays(self) -> None:
        """Kill what a snippet without seccomp forked and left; postponed while a fork of ours is not yet reported."""
        if any(child.pidfd < 0 for child in self._children.values()):
            return
        ours = {pid_of(self._launcher), pid_of(self._zygote_pidfd), *(child.pid for child in self._children.values())}
        for pid in _descendants(os.getpid()) - ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        """Bury orphans that came to us."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return

    def close(self) -> None:
        """Take everything down."""
        self._open = False
        self._kill_zygote()
        self._await_launcher()
        self._remove_scratch()

    def _await_launcher(self) -> None:
        if self._launcher >= 0:
            with contextlib.suppress(ChildProcessError):  # it may have been reaped with the orphans
                os.waitid(os.P_PIDFD, self._launcher, os.WEXITED)


def _kill(pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return


def _descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stream:
                    parents[int(name)] = int(stream.read().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
    found: set[int] = set()
    front = {pid}
    while front := {child for child, parent in parents.items() if parent in front} - found:
        found |= front
    return found


def _memory_for_children() -> int:
    """Bytes that all running snippets together may be promised; several times the machine's where it cannot be known."""
    try:
        with open("/proc/meminfo") as stream:
            for line in stream:
                if line.startswith("MemAvailable:"):
                    return int(int(line.split()[1]) * 1024 * _SHARE_OF_MEMORY)
    except OSError:
        pass
    return CORES << 34
