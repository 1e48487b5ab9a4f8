"""Forking a single-threaded interpreter without its after-fork work, which would touch five times as many pages as the fork itself.

`os.fork` takes and rebuilds locks, thread states and hooks that only matter where other threads existed; the zygote has none. Leaves out everything a child
does afterwards.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable

from toolwright.sandbox._linux import CLONE_NEWPID, MACHINE

_CLONE_NR = {"x86_64": 56, "aarch64": 220}
_CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID, _SIGCHLD = 0x00200000, 0x01000000, 17
_THREAD_BLOCK_BYTES = 1024
"""How much of the C library's thread block is searched for the thread id it remembers."""

_held = ctypes.PyDLL(None, use_errno=True)
"""The C library, called without letting go of the interpreter's lock."""


def _plain_fork() -> Callable[[], int]:
    try:
        raw = _held._Fork
    except AttributeError:  # an older C library
        return os.fork

    def fork() -> int:
        pid = int(raw())
        if pid < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"fork: {os.strerror(number)}")
        return pid

    return fork


fork = _plain_fork()
"""The child's id in the parent, 0 in the child; OSError where there can be no child. Only for a process with one thread."""


def renew_thread_id() -> None:
    """Let the threading module know the child's own thread id."""
    renew = getattr(threading.main_thread(), "_set_native_id", None)
    if renew is not None:
        renew()


class NamespaceFork:
    """`fork` into a process id namespace of the child's own, in which it is process 1."""

    def __init__(self) -> None:
        self._tid_address = _find_thread_id()

    def __call__(self) -> int:
        """The child's id in the parent, 0 in the child.

        Raises: OSError where namespaces cannot be nested, or the system call number is not known here.
        """
        if MACHINE not in _CLONE_NR:
            raise OSError(f"no clone call is known for {MACHINE}")
        flags = CLONE_NEWPID | _SIGCHLD | (_CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID if self._tid_address else 0)
        child_tid, other = ctypes.c_long(self._tid_address), ctypes.c_long(0)
        fourth, fifth = (child_tid, other) if MACHINE == "x86_64" else (other, child_tid)
        pid = int(_held.syscall(ctypes.c_long(_CLONE_NR[MACHINE]), ctypes.c_long(flags), ctypes.c_long(0), ctypes.c_long(0), fourth, fifth))
        if pid < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"clone(CLONE_NEWPID): {os.strerror(number)}")
        return pid


def _find_thread_id() -> int:
    """Where the C library remembers this thread's id, found by forking once and looking for what changed to the child's id; 0 if it is not found.

    A raw clone leaves the old id there, and abort() would signal a stranger.
    """
    block = threading.get_ident()
    before = _words(block)
    reader, writer = os.pipe()
    pid = fork()
    if pid == 0:
        own = threading.get_native_id()
        found = [at for at, word in enumerate(_words(block)) if word == own and before[at] != own]
        os.write(writer, struct.pack("=i", found[0] if len(found) == 1 else -1))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    at = struct.unpack("=i", said)[0] if len(said) == 4 else -1
    return block + 4 * at if at >= 0 and before[at] == threading.get_native_id() else 0


def _words(address: int) -> tuple[int, ...]:
    return struct.unpack(f"={_THREAD_BLOCK_BYTES // 4}i", ctypes.string_at(address, _THREAD_BLOCK_BYTES))
