"""What makes a fork of the zygote cheaper: fewer page table entries to copy, and fewer pages that a child must copy for itself.

Every write to a shared page costs a child some microseconds, and even reading a Python object writes its reference count. So the code objects that the
libraries really run are put side by side, and what memory allows is mapped by huge pages, of which a fork copies one entry instead of 512. Measured in
LOG.md; nothing here changes what a snippet computes.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import types
from collections.abc import Callable, Iterable

_MADV_COLLAPSE = 25
_HUGE = 1 << 21
_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_ulong, ctypes.c_ulong, ctypes.c_int)


def gather_code(work: Callable[[], object], packages: Iterable[str]) -> int:
    """How many functions got a copy of their code, next to each other in memory: those of the packages that the work calls.

    The work must be done again afterwards, so that the copies are adapted to it before the fork, not after.
    """
    called: set[types.CodeType] = set()

    def note(frame: types.FrameType, event: str, argument: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    names = tuple(packages)
    functions = [each for each in gc.get_objects() if type(each) is types.FunctionType and each.__code__ in called and _belongs(each, names)]
    for function in functions:
        function.__code__ = function.__code__.replace()
    return len(functions)


def _belongs(function: types.FunctionType, packages: tuple[str, ...]) -> bool:
    module = function.__module__
    return isinstance(module, str) and module.partition(".")[0] in packages


def collapse(proc_fd: int) -> int:
    """How many bytes of this process's own memory are mapped by huge pages now; 0 where the kernel cannot."""
    done = 0
    try:
        fd = os.open("self/maps", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
    except OSError:
        return 0
    with os.fdopen(fd) as stream:
        lines = stream.read().splitlines()
    for line in lines:
        span, mode, _, _, inode, *_ = line.split()
        if mode == "rw-p" and inode == "0":
            start, end = (int(edge, 16) for edge in span.split("-"))
            for address in range(-(-start // _HUGE) * _HUGE, end - _HUGE + 1, _HUGE):
                if _libc.madvise(address, _HUGE, _MADV_COLLAPSE) == 0:
                    done += _HUGE
    return done
