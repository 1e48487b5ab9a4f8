"""The supervisor: a small process between the caller and the zygotes. It queues, starts, watches, kills, and reports.

It holds every deadline, so neither a busy caller nor the snippet can move one. It ends, and takes everything down with it, when the caller is gone. Leaves
out isolation itself (`_zygote`, `_child`), the zygotes' lives (`_herd`), and the clocks and verdicts of one child (`_running`).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import time
from collections import OrderedDict
from functools import partial
from typing import Any

from toolwright.sandbox import _linux
from toolwright.sandbox._cgroup import Cgroup
from toolwright.sandbox._connection import Connection
from toolwright.sandbox._herd import Herd, Zygote
from toolwright.sandbox._loop import EDGE, READ, WRITE, Loop
from toolwright.sandbox._needs import Needs
from toolwright.sandbox._queue import FairQueue
from toolwright.sandbox._running import CORES, FORK_S, Child, Limits, Turn, last_line, scarce
from toolwright.sandbox._strays import kill_strays, reap
from toolwright.sandbox._wire import EXITED, FAILED, HELLO, REPORT, STARTED

_MOST_ATTEMPTS = 3
_START_S = 60.0
_QUICK_DEATHS = 3
_SHARE_OF_MEMORY = 0.75
_WORTH_ENDING = 1 << 20
"""Bytes that a session must hold for its end to help."""
_KEY_CHARACTERS = 200
_ALL_LAYERS = 4


def main(argument: str) -> None:
    """Serve until the caller closes the link or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's business
    _linux.adopt_orphans()
    _linux.hide_memory()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a session needs seven, and the usual soft limit is 1,024
    config = json.loads(argument)
    os.set_inheritable(config["link"], False)
    supervisor = Supervisor(socket.socket(fileno=config["link"]), config)
    try:
        supervisor.serve()
    finally:
        supervisor.close()


class Supervisor:
    """What is queued, what runs, and who waits for it."""

    def __init__(self, link: socket.socket, config: dict[str, Any]) -> None:
        self._link = link
        self._config = config
        self._loop = Loop()
        self._needs = Needs(config["preload"])
        self._queue: FairQueue[Connection] = FairQueue()
        self._parked: dict[str, list[Connection]] = {kind: [] for kind in self._needs.kinds}
        """Turns that are due, but whose sort of zygote is not ready yet."""
        self._connections: set[Connection] = set()
        self._homes: dict[int, Zygote] = {}
        """By the child's number: the zygote that forks it."""
        self._owners: dict[int, Connection] = {}
        """By the child's number; a spare child has none."""
        self._spares: dict[str, list[Child]] = {kind: [] for kind in self._needs.kinds}
        self._spare_limits = Limits(**config["spare_limits"])
        self._spare_deaths = 0
        self._sessions: OrderedDict[int, Child] = OrderedDict()
        """Children of sessions, the least recently used first."""
        self._busy: set[Child] = set()
        self._hello: dict[str, Any] | None = None
        """What the first zygote reached."""
        self._failed_starts = dict.fromkeys(self._needs.kinds, 0)
        self._last_words = "a helper process ended without a word"
        self._number = 0
        self._open = True
        self._memory_bytes = config["total_memory_bytes"] or _memory_for_children()
        self._cgroup, self._cgroup_layer = _try_cgroup(config["cgroup"])
        link.setblocking(False)
        self._loop.watch(link.fileno(), self._accept)
        self._loop.watch(os.pidfd_open(os.getppid()), self._leave)
        self._herd = Herd(config, self._needs.kinds, self._zygote_began)
        for kind in reversed(self._needs.kinds):  # what takes longest first
            self._herd.fill(kind)

    def serve(self) -> None:
        """Handle events until the caller is gone."""
        while self._open:
            self._loop.turn()

    def _leave(self, mask: int) -> None:
        self._open = False

    def close(self) -> None:
        """Take everything down."""
        self._open = False
        for zygote in self._herd.all:
            zygote.kill()
        for zygote in self._herd.all:
            zygote.bury()
        if self._cgroup is not None:
            self._cgroup.close()

    # ---- the caller's side ----

    def _accept(self, mask: int) -> None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._link, 16, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            if not data:
                self._open = False
                return
            for fd in fds:
                if scarce(fd):
                    os.close(fd)
                    continue
                connection = Connection(socket.socket(fileno=fd))
                self._connections.add(connection)
                self._loop.watch(fd, partial(self._serve, connection))

    def _serve(self, connection: Connection, mask: int) -> None:
        if not connection.open:
            return
        if mask & WRITE:
            self._send(connection)
        if mask & READ:
            alive = connection.receive()
            try:
                message = connection.request() if alive else None
                if message is not None:
                    self._request(connection, *message)
            except (ValueError, KeyError, TypeError, IndexError, RecursionError):  # garbage: that connection only
                alive = False
            if not alive:
                self._drop(connection)

    def _request(self, connection: Connection, header: dict[str, Any], blobs: list[bytes]) -> None:
        kind = header["op"]
        if kind == "hello":
            connection.wants_hello = True
            self._answer_hello(connection)
            return
        if connection.turn is not None:
            raise ValueError("one turn at a time")
        if kind == "open":
            self._open_session(connection, header)
            return
        if kind == "run" and not connection.session:
            connection.limits = Limits(**header["limits"])
            connection.key = str(header.get("key", ""))[:_KEY_CHARACTERS]
        elif kind != "turn" or not connection.session:
            raise ValueError("no such request")
        turn = connection.turn = Turn(blobs[0], int(header["seed"]) % (1 << 64))
        turn.kind = self._needs.kinds[-1] if connection.session else self._needs.kind(turn.source)
        if (used_up := connection.allot(turn)) is not None:
            why = f"the session's {used_up} time is used up"
            self._finish(connection, {"outcome": f"timeout_{used_up}", "texts": ["", "", None, why]})
            return
        self._queue.push(connection.key, connection)
        self._pump()

    def _open_session(self, connection: Connection, header: dict[str, Any]) -> None:
        connection.limits = Limits(**header["limits"])
        connection.session = True
        connection.key = str(header.get("key", ""))[:_KEY_CHARACTERS]
        connection.budget(header.get("total_cpu_s"), header.get("total_wall_s"))
        if sum(each.session for each in self._connections) > self._config["max_sessions"]:
            self._answer(connection, {"refused_session": self._config["max_sessions"]})
        else:
            self._answer(connection, {"opened": True})

    def _answer_hello(self, connection: Connection) -> None:
        if any(self._herd.starting(kind) for kind in self._needs.kinds):
            return
        if self._hello is not None:
            self._answer(connection, {**self._hello, "minimum": self._config["minimum_level"]})
        else:
            self._answer(connection, {"broken": self._last_words})
        connection.wants_hello = False

    def _answer(self, connection: Connection, header: dict[str, Any]) -> None:
        if connection.answer(header):
            self._wait_to_send(connection)
        else:
            self._drop(connection)

    def _send(self, connection: Connection) -> None:
        if connection.send():
            self._wait_to_send(connection)
        else:
            self._drop(connection)

    def _wait_to_send(self, connection: Connection) -> None:
        self._loop.wait_for(connection.fd, READ | WRITE if connection.wants_write else READ)

    def _drop(self, connection: Connection) -> None:
        """The caller no longer waits for this connection's answer."""
        if not connection.open:
            return
        connection.open = False
        self._connections.discard(connection)
        self._loop.unwatch(connection.fd)
        connection.sock.close()
        self._queue.remove(connection.key, connection)
        for parked in self._parked.values():
            if connection in parked:
                parked.remove(connection)
        if connection.child is not None:
            connection.child.kill()

    # ---- admission ----

    def _pump(self) -> None:
        """Start what may start: callers in turn, as many at once as allowed."""
        while self._queue and len(self._busy) < self._config["max_running"]:
            key, connection = self._queue.pop()
            turn, limits = connection.turn, connection.limits
            if turn is None or limits is None:
                continue
            if not self._has_memory(connection, limits):
                self._queue.push_front(key, connection)
                break
            self._start(connection, turn, limits)
        self._refill()

    def _has_memory(self, connection: Connection, limits: Limits) -> bool:
        """Whether there is memory for one more: promised to what runs, held by sessions that wait. Of those the least recently used end where it is short."""
        promised = sum(child.limits.memory_bytes for child in self._busy) + limits.memory_bytes
        waiting = [child for child in self._sessions.values() if child.turn is None and child is not connection.child and child.held_bytes >= _WORTH_ENDING]
        held = sum(child.held_bytes for child in waiting)
        for child in waiting:
            if promised + held <= self._memory_bytes:
                break
            self._end_session(child)
            held -= child.held_bytes
        return not self._busy or promised + held <= self._memory_bytes

    def _start(self, connection: Connection, turn: Turn, limits: Limits) -> None:
        if connection.child is None:
            zygote = self._herd.choose(turn.kind)
            if zygote is None:
                self._parked[turn.kind].append(connection)
                self._herd.fill(turn.kind)
                return
            if zygote.level < self._config["minimum_level"]:
                self._refuse(connection, zygote)
                return
            try:
                connection.child = self._spare(connection, turn.kind, limits) or self._fork(zygote, limits, connection.session)
            except OSError as error:
                self._finish(connection, {"outcome": "infra", "texts": ["", "", None, f"no child can be made: {error}"]})
                return
            self._owners[connection.child.number] = connection
        child = connection.child
        if connection.session:
            self._sessions[child.number] = child
            self._sessions.move_to_end(child.number)
        self._busy.add(child)
        child.begin(turn)
        self._push(child)
        self._set_clock(child)

    def _refuse(self, connection: Connection, zygote: Zygote) -> None:
        connection.turn = None
        layers = zygote.hello["hello"] if zygote.hello is not None else {}
        self._answer(connection, {"refused_level": zygote.level, "minimum": self._config["minimum_level"], "layers": layers})

    def _spare(self, connection: Connection, kind: str, limits: Limits) -> Child | None:
        """A child that waits for work, if there is one with these limits; rather one that is already locked down."""
        spares = self._spares[kind]
        if connection.session or not spares or limits != self._spare_limits:
            return None
        child = min(spares, key=lambda each: not each.ready)
        spares.remove(child)
        return child

    def _refill(self) -> None:
        """Fork spare children while nobody waits, so that the next snippet need not wait for a fork."""
        if self._spare_deaths >= _QUICK_DEATHS:
            return
        for kind, spares in self._spares.items():
            for _ in range(self._config["spares"] - len(spares)):
                zygotes = [each for each in self._herd.serving(kind) if each.level >= self._config["minimum_level"]]
                if zygotes:
                    with contextlib.suppress(OSError):  # only a convenience; a real request will say what is wrong
                        spares.append(self._fork(min(zygotes, key=lambda each: len(each.children)), self._spare_limits, session=False))

    def _fork(self, zygote: Zygote, limits: Limits, session: bool) -> Child:
        if session:
            self._make_room()
        self._number += 1
        child = Child(self._number, limits, session, held=self._cgroup is not None)
        self._homes[child.number] = zygote
        for fd in child.open:
            self._loop.watch(fd, partial(self._hear, child, fd), READ | EDGE)
        zygote.fork(child)
        self._set_clock(child)
        return child

    def _make_room(self) -> None:
        """End the process of the session that was not used for longest, where there are as many as memory allows."""
        if len(self._sessions) >= self._config["max_live_sessions"]:
            idle = next((child for child in self._sessions.values() if child.turn is None), None)
            if idle is not None:
                self._end_session(idle)

    def _end_session(self, child: Child) -> None:
        """Take the process of a session that waits. Its next turn says so; that may be here before this process is gone, and must not end with it."""
        self._sessions.pop(child.number, None)
        child.kill()
        owner = self._owners.pop(child.number, None)
        if owner is not None:
            owner.child, owner.was_reset = None, True

    # ---- children ----

    def _push(self, child: Child) -> None:
        child.writable()
        self._loop.wait_for(child.control_fd, READ | WRITE | EDGE if child.wants_write else READ | EDGE)

    def _hear(self, child: Child, fd: int, mask: int) -> None:
        if fd not in child.open:
            return
        if mask & WRITE:
            self._push(child)
        if mask & READ:
            ready = child.ready
            if not child.readable(fd):
                self._loop.unwatch(fd)
            if child.ready and not ready:
                self._set_clock(child)
        if child.done_code is not None and child.turn is not None:
            child.drain()
            self._finish(self._owners[child.number], child.finish_turn())
            self._set_clock(child)
            self._pump()

    def _set_clock(self, child: Child) -> None:
        wait = child.next_check(time.monotonic())
        due = None if wait is None else time.monotonic() + wait
        if due is not None and (child.due is None or due < child.due):
            self._loop.call_at(due, partial(self._check, child, due))
            child.due = due

    def _check(self, child: Child, due: float) -> None:
        if child.due != due or child.number not in self._homes:
            return  # it was set anew, or has ended
        child.due = None
        now = time.monotonic()
        if child.pidfd < 0 and now - child.asked > FORK_S:
            self._zygote_ended(self._homes[child.number])
            return
        child.check(now)
        owner = self._owners.get(child.number)
        waits = child.session and child.ready and child.turn is None and owner is not None
        if waits and (child.overdrawn or (owner is not None and owner.turn is None and now - child.idle_since > self._config["session_idle_s"])):
            self._end_session(child)
        else:
            self._set_clock(child)

    def _finish(self, connection: Connection, verdict: dict[str, Any], level: int | None = None) -> None:
        turn, connection.turn = connection.turn, None
        child = connection.child
        if child is not None:
            self._busy.discard(child)
        if connection.session and turn is not None:
            connection.charge(verdict)
            if verdict["outcome"] in ("timeout_cpu", "timeout_wall") and connection.allot(turn) is not None:
                verdict["texts"][3] = verdict["texts"][3] or "the session's total time is used up"
        if connection.open:
            reset, connection.was_reset = connection.was_reset, False
            home = self._homes.get(child.number) if child is not None else None
            if level is None:
                level = home.level if home is not None else self._hello["level"] if self._hello is not None else 0
            self._answer(connection, {**verdict, "level": level, "session_reset": reset})

    def _forget(self, child: Child) -> None:
        child.close()
        for fd in child.fds:
            self._loop.closed(fd)
        zygote = self._homes.pop(child.number)
        del zygote.children[child.number]
        self._busy.discard(child)
        self._sessions.pop(child.number, None)
        connection = self._owners.pop(child.number, None)
        if connection is not None:
            connection.child = None
            connection.was_reset = connection.session
        else:
            self._spares[zygote.kind] = [each for each in self._spares[zygote.kind] if each is not child]
        self._herd.dismiss(zygote)

    def _retry(self, connection: Connection, why: str) -> None:
        """Queue the turn again, in front; a session's turn is not run a second time, as its first part may have happened."""
        turn = connection.turn
        if turn is None or not connection.open:
            return
        if turn.attempts >= _MOST_ATTEMPTS or (connection.session and turn.started):
            self._finish(connection, {"outcome": "infra", "texts": ["", "", None, why]})
        else:
            self._queue.push_front(connection.key, connection)

    # ---- the zygotes' side ----

    def _zygote_began(self, zygote: Zygote) -> None:
        self._loop.watch(zygote.sock.fileno(), partial(self._listen, zygote))
        self._loop.watch(zygote.stderr, partial(self._overhear, zygote))
        self._loop.call_at(zygote.asked + _START_S, partial(self._give_up_waiting, zygote))

    def _give_up_waiting(self, zygote: Zygote) -> None:
        if zygote in self._herd.all and zygote.hello is None:
            self._zygote_ended(zygote)

    def _overhear(self, zygote: Zygote, mask: int) -> None:
        if not zygote.overhear():
            self._loop.unwatch(zygote.stderr)

    def _listen(self, zygote: Zygote, mask: int) -> None:
        if zygote not in self._herd.all:
            return
        for data, fds in zygote.receive():
            if not data:
                self._zygote_ended(zygote)
                break
            kind = data[:1]
            if kind == HELLO:
                self._welcome(zygote, json.loads(data[1:]), fds[0])
                continue
            _, number, status, cpu_s = REPORT.unpack_from(data)
            child = zygote.children[number]
            if kind == STARTED:
                self._started(zygote, child, fds[0], data[REPORT.size :].decode())
            elif kind == EXITED:
                self._child_ended(zygote, child, status, cpu_s)
            elif kind == FAILED:
                self._not_forked(zygote, child, data[REPORT.size :].decode("utf-8", "replace"))
        self._pump()

    def _welcome(self, zygote: Zygote, hello: dict[str, Any], pidfd: int) -> None:
        zygote.hello, zygote.pidfd = hello, pidfd
        hello["hello"]["cgroup"] = self._cgroup_layer
        self._failed_starts[zygote.kind] = 0
        self._hello = self._hello or hello
        if hello["level"] == _ALL_LAYERS - 1 and self._cgroup is not None:
            hello["level"] = _ALL_LAYERS
        for worn in self._herd.worn(zygote.kind):
            self._retire(worn)
        for connection in self._parked[zygote.kind]:
            self._queue.push_front(connection.key, connection)
        self._parked[zygote.kind] = []
        self._herd.fill(zygote.kind)
        for connection in [each for each in self._connections if each.wants_hello]:
            self._answer_hello(connection)

    def _started(self, zygote: Zygote, child: Child, pidfd: int, scratch: str) -> None:
        hello = zygote.hello or {}
        try:
            limits = child.limits
            place = None if self._cgroup is None else self._cgroup.place(child.number, limits.memory_bytes, limits.threads)
            child.started(pidfd, scratch if hello.get("scratch") else "", place, watch_threads=not hello.get("bounds_threads"))
        except OSError:  # it must not run without its bounds; its end is an end before the start, which is tried again
            child.kill()
            return
        self._push(child)
        owner = self._owners.get(child.number)
        if zygote.retiring if owner is None else not owner.open:
            child.kill()  # nobody waits for it any more

    def _child_ended(self, zygote: Zygote, child: Child, status: int, cpu_s: float) -> None:
        child.drain()
        connection, verdict = self._owners.get(child.number), None
        if connection is None:
            self._spare_deaths += not (zygote.retiring or child.session)
        else:
            if child.session and child.turn is not None and child.done_code is not None:
                self._finish(connection, child.finish_turn())
            verdict = child.end(status, cpu_s)
        failed = not child.ready and os.WIFEXITED(status)
        self._forget(child)
        if verdict is None or connection is None:
            pass
        elif verdict["outcome"] == "infra":
            self._retry(connection, verdict["texts"][3])
        else:
            self._spare_deaths = 0
            self._finish(connection, {**verdict, "ended": True}, zygote.level)
        if failed:
            self._retire(zygote)
        if zygote.level == 0:
            self._kill_strays()

    def _not_forked(self, zygote: Zygote, child: Child, why: str) -> None:
        child.turn = None
        connection = self._owners.get(child.number)
        self._forget(child)
        if connection is None:
            self._spare_deaths += 1
        else:
            self._retry(connection, f"the zygote could not fork: {why}")
        self._retire(zygote)

    def _retire(self, zygote: Zygote) -> None:
        """Let a zygote end when its last session has; its spare children are of no use any more."""
        self._herd.retire(zygote)
        for child in self._spares[zygote.kind]:
            if self._homes[child.number] is zygote:
                child.kill()
        self._spares[zygote.kind] = [child for child in self._spares[zygote.kind] if self._homes[child.number] is not zygote]

    def _zygote_ended(self, zygote: Zygote) -> None:
        """The zygote is gone, or must go, and its children with it; what they ran is run again by another."""
        zygote.kill()
        zygote.overhear()
        self._loop.unwatch(zygote.stderr)
        self._loop.unwatch(zygote.sock.fileno())
        self._herd.all.remove(zygote)
        zygote.bury()
        said = last_line(zygote.last_words)
        self._last_words = said or self._last_words
        for child in list(zygote.children.values()):
            child.turn = None
            owner = self._owners.get(child.number)
            self._forget(child)
            if owner is not None:
                self._retry(owner, f"the zygote ended: {said or 'it was killed'}")
        reap()
        if zygote.hello is None:
            self._failed_starts[zygote.kind] += 1
        if self._failed_starts[zygote.kind] >= _QUICK_DEATHS:
            self._give_up(zygote.kind)
        elif self._open:
            self._herd.fill(zygote.kind)
        if self._open:
            self._pump()

    def _give_up(self, kind: str) -> None:
        """Zygotes of this kind end as soon as they start: say so to everyone who waits for one, and try again with the next."""
        self._failed_starts[kind] = 0
        waiting, self._parked[kind] = self._parked[kind], []
        served = bool(self._herd.serving(kind))
        for connection in self._queue.take_all():
            if served or connection.turn is None or connection.turn.kind != kind or connection.child is not None:
                self._queue.push(connection.key, connection)
            else:
                waiting.append(connection)
        for connection in waiting:
            self._finish(connection, {"outcome": "infra", "texts": ["", "", None, f"the zygote cannot start: {self._last_words}"]})
        for connection in [each for each in self._connections if each.wants_hello]:
            self._answer_hello(connection)

    def _kill_strays(self) -> None:
        """Kill what a snippet without seccomp forked and left; postponed while a fork of ours is not yet reported."""
        children = [child for zygote in self._herd.all for child in zygote.children.values()]
        if all(child.pidfd >= 0 for child in children):
            kill_strays([pidfd for zygote in self._herd.all for pidfd in (zygote.launcher, zygote.pidfd)], [child.pid for child in children])


def _try_cgroup(wish: str | bool) -> tuple[Cgroup | None, tuple[bool, str]]:
    """The delegated cgroup, if one is wished for and to be had, and what is known of it."""
    if wish is False:
        return None, (False, "only with cgroup=True or a delegated folder: memory and processes counted by the kernel, killed as one")
    try:
        return Cgroup(None if wish is True else str(wish)), (True, "each snippet in a cgroup of its own, with hard bounds on memory and processes")
    except OSError as error:
        return None, (False, str(error))


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
