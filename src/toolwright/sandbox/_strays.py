"""Processes that came to the supervisor from elsewhere: orphans to bury, and at level 0 what a snippet left running. Leaves out its own children."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Sequence

from toolwright.sandbox._running import pid_of


def reap() -> None:
    """Bury orphans that came to us."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def kill_strays(pidfds: Iterable[int], pids: Sequence[int]) -> None:
    """Kill every process below this one but those given."""
    ours = {*(pid_of(pidfd) for pidfd in pidfds if pidfd >= 0), *pids}
    for pid in descendants(os.getpid()) - ours:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    reap()


def descendants(pid: int) -> set[int]:
    """The ids of all processes below one."""
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
