"""Hard memory and process bounds by a cgroup (version 2) of each child's own, where a folder was delegated to us. Leaves out version 1.

`RLIMIT_AS` bounds address space, which a child's every mapping counts against; a cgroup bounds what is really used, by all of the child's processes together,
and kills them as one.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_NEEDED = ("memory", "pids")
_MOUNT = "/sys/fs/cgroup"
_PREFIX = "toolwright-"


@dataclass(frozen=True, slots=True)
class CgroupPlace:
    """The cgroup of one child."""

    folder: str

    def take(self, pid: int) -> None:
        """Put the process into it.

        Raises: OSError where that fails.
        """
        _write(f"{self.folder}/cgroup.procs", str(pid))

    def kill(self) -> None:
        """Kill every process in it."""
        with contextlib.suppress(OSError):  # nobody is left, or an older kernel; the process itself is killed in any case
            _write(f"{self.folder}/cgroup.kill", "1")

    def ran_out(self) -> bool:
        """Whether the kernel killed a process in it for memory."""
        try:
            events = Path(f"{self.folder}/memory.events").read_text().split()
        except OSError:
            return False
        return any(name == "oom_kill" and count != "0" for name, count in zip(events[::2], events[1::2], strict=False))

    def leave(self) -> None:
        """Remove it; one whose last process is still ending is removed with the others at the end."""
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)


class Cgroup:
    """A delegated cgroup, in which every child gets one of its own."""

    def __init__(self, parent: str | None) -> None:
        """`parent` is the delegated folder; None looks at the one this process is in.

        Raises: OSError that says why there is none to use.
        """
        delegated = parent or _own_folder()
        for name in _NEEDED:
            if name not in _read(f"{delegated}/cgroup.controllers").split():
                raise OSError(f"{delegated} has no {name} controller")
        self._folder = f"{delegated}/{_PREFIX}{os.getpid()}"
        os.mkdir(self._folder)
        try:
            for folder in (delegated, self._folder):
                _write(f"{folder}/cgroup.subtree_control", " ".join(f"+{name}" for name in _NEEDED))
        except OSError:
            os.rmdir(self._folder)
            raise

    def place(self, number: int, memory_bytes: int, most_processes: int) -> CgroupPlace:
        """A new cgroup with these bounds.

        Raises: OSError where it cannot be made.
        """
        folder = f"{self._folder}/{number}"
        os.mkdir(folder)
        for name, value in (("memory.max", memory_bytes), ("memory.swap.max", 0), ("pids.max", most_processes)):
            with contextlib.suppress(FileNotFoundError) if name == "memory.swap.max" else contextlib.nullcontext():  # a kernel may be without swap accounting
                _write(f"{folder}/{name}", str(value))
        return CgroupPlace(folder)

    def close(self) -> None:
        """Remove all of it."""
        for entry in Path(self._folder).glob("[0-9]*"):
            CgroupPlace(str(entry)).leave()
        with contextlib.suppress(OSError):  # a killed process may not be gone yet; an empty folder is all that stays
            os.rmdir(self._folder)


def _own_folder() -> str:
    for line in _read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            mounted = _MOUNT if os.path.exists(f"{_MOUNT}/cgroup.controllers") else f"{_MOUNT}/unified"
            return mounted + line[3:].rstrip("/")
    raise OSError("no cgroup of version 2 is mounted")


def _read(path: str) -> str:
    return Path(path).read_text()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
