"""The zygote's daily work: fork what is asked for, bury what ends. Written for few steps: after a fork, every page it touches must be copied.

Leaves out how the zygote came to be (`_zygote`) and what a child does (`_child`).
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable

from toolwright.sandbox import _child, _fork
from toolwright.sandbox._child import Job, Lock
from toolwright.sandbox._slot import Slot, Slots
from toolwright.sandbox._wire import EXITED, FAILED, FORK, REPORT, STARTED

_DESCRIPTORS, _ONE = struct.Struct("3i"), struct.Struct("i")
_DISK_FACTOR = 4


class Forking:
    """Forks children on a socket's demand until the socket closes."""

    def __init__(self, link: socket.socket, lock: Lock, slots: Slots, fork: Callable[[], int] | None = None) -> None:
        self._link = link
        self._lock = lock
        self._slots = slots
        self._fork = _fork.fork if fork is None else fork
        self._pid = os.getpid()
        self._children: dict[int, tuple[int, int, Slot]] = {}
        """By pidfd: the supervisor's number, the process id, and the scratch directory."""

    def serve(self) -> None:
        """Answer requests and report ends, until the supervisor is gone."""
        link = self._link.fileno()
        self._poll = select.epoll()
        self._poll.register(link, select.EPOLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd != link:
                    self._bury(fd)
                elif not self._answer():
                    return

    def _answer(self) -> bool:
        data, ancillary, _, _ = self._link.recvmsg(FORK.size, socket.CMSG_SPACE(_DESCRIPTORS.size), socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        number, memory_bytes, file_bytes, cpu_s, threads, output_bytes, session = FORK.unpack(data)
        fds = _DESCRIPTORS.unpack(ancillary[0][2])
        job = Job(number, memory_bytes, file_bytes, cpu_s, threads, output_bytes, session)
        try:
            self._begin(job, fds)
        except OSError as error:
            self._link.send(REPORT.pack(FAILED, number, 0, 0.0) + str(error).encode())
        for fd in fds:
            os.close(fd)
        return True

    def _begin(self, job: Job, fds: tuple[int, int, int]) -> None:
        slot = self._slots.take(_DISK_FACTOR * job.file_bytes, self._lock.landlock_abi, self._lock.rules)
        try:
            pid = self._fork()
        except OSError:
            self._slots.give_back(slot)
            raise
        if pid == 0:
            _child.live(self._lock, job, fds, slot, self._pid)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (job.id, pid, slot)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _ONE.pack(pidfd))]
        self._link.sendmsg([REPORT.pack(STARTED, job.id, 0, 0.0) + slot.folder.encode()], rights)
        self._poll.register(pidfd, select.EPOLLIN)

    def _bury(self, pidfd: int) -> None:
        number, pid, slot = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        self._link.send(REPORT.pack(EXITED, number, status, usage.ru_utime + usage.ru_stime))
        self._slots.give_back(slot)
