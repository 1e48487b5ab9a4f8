"""System calls the standard library does not offer, through ctypes. Thin: no policy here.

Raises everywhere: OSError with the call's name.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_RDONLY, MS_REMOUNT, MS_NOATIME, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 1, 32, 1024, 4096, 16384, 1 << 18
MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_SECCOMP_NR = {"x86_64": 317, "aarch64": 277}
_PIVOT_ROOT_NR = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR_NR = 442
_MOUNT_ATTR = {"ro": 1, "nosuid": 2, "nodev": 4}
_AT_RECURSIVE = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_plain = ctypes.CDLL(None, use_errno=True)
"""The same library once more: what every child calls is declared in advance, so that a call makes few objects, and touches few pages."""
_plain.syscall.argtypes = (ctypes.c_long,) * 6
_plain.syscall.restype = ctypes.c_long
_plain.capset.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_HOLE = struct.Struct("=I")
_CAPABILITY_HEADER, _NO_CAPABILITIES = struct.pack("=Ii", 0x20080522, 0), bytes(24)
MACHINE = os.uname().machine


def _raise(name: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{name}: {os.strerror(number)}")


def syscall(name: str, number: int, *arguments: int | bytes | None) -> int:
    """What the system call gives back, if it is no error."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        _raise(name)
    return result


def call(name: str, number: int, first: int = 0, second: int = 0, third: int = 0) -> int:
    """`syscall`, for numbers only."""
    result = int(_plain.syscall(number, first, second, third, 0, 0))
    if result < 0:
        _raise(name)
    return result


def _prctl(name: str, option: int, argument: int = 0) -> None:
    if _libc.prctl(option, argument, 0, 0, 0) < 0:
        _raise(name)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Lost by a change of uid, so set it after."""
    _prctl("prctl(PR_SET_PDEATHSIG)", _PR_SET_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent ends."""
    _prctl("prctl(PR_SET_CHILD_SUBREAPER)", _PR_SET_SUBREAPER, 1)


def show_memory() -> None:
    """Undo `hide_memory`, which a change of user does too: only then are this process's own files in /proc its own."""
    _prctl("prctl(PR_SET_DUMPABLE)", _PR_SET_DUMPABLE, 1)


def hide_memory() -> None:
    """Keep other processes of the same user out of this one's memory and files."""
    _prctl("prctl(PR_SET_DUMPABLE)", _PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """Make set-uid programs powerless for this process and its children, for good."""
    _prctl("prctl(PR_SET_NO_NEW_PRIVS)", _PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability of this process."""
    if _plain.capset(_CAPABILITY_HEADER, _NO_CAPABILITIES) < 0:
        _raise("capset")


def unshare(flags: int) -> None:
    """Leave the namespaces named by the flags for fresh ones."""
    if _libc.unshare(ctypes.c_int(flags)) < 0:
        _raise("unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount the source at the target."""
    encoded = [None if text is None else text.encode() for text in (source, target, kind, options)]
    if _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]) < 0:
        _raise(f"mount {target}")


def make_read_only(target: str, *, devices: bool = False) -> None:
    """Make a mount and all below it read-only, without set-uid programs, and without device nodes unless `devices`."""
    flags = _MOUNT_ATTR["ro"] | _MOUNT_ATTR["nosuid"] | (0 if devices else _MOUNT_ATTR["nodev"])
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)
    syscall(f"mount_setattr {target}", _MOUNT_SETATTR_NR, -100, target.encode() + b"\0", _AT_RECURSIVE, attributes, len(attributes))


def unmount(target: str) -> None:
    """Take a mount away at once; the kernel frees it when its last user is gone."""
    if _libc.umount2(target.encode(), ctypes.c_int(MNT_DETACH)) < 0:
        _raise(f"umount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root and hang the former root at `old`."""
    syscall("pivot_root", _PIVOT_ROOT_NR[MACHINE], new.encode() + b"\0", old.encode() + b"\0")


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class PreparedFilter:
    """A seccomp filter laid out before the fork, of which a child fills the holes with a number and installs it."""

    def __init__(self, program: bytes, holes: Sequence[int]) -> None:
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._structure = _FilterProgram(len(program) // 8, ctypes.cast(self._buffer, ctypes.c_void_p))
        self._address = ctypes.addressof(self._structure)
        self._holes = tuple(holes)

    def install(self, number: int) -> None:
        """Put it on this thread and all it starts."""
        for at in self._holes:
            _HOLE.pack_into(self._buffer, at, number)
        call("seccomp", _SECCOMP_NR[MACHINE], 1, 0, self._address)


def install_filter(program: bytes) -> None:
    """Put a seccomp filter (8 bytes an instruction) on this thread and all it starts."""
    buffer = ctypes.create_string_buffer(program, len(program))
    structure = _FilterProgram(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    call("seccomp", _SECCOMP_NR[MACHINE], 1, 0, ctypes.addressof(structure))
