"""Landlock: which files a child may read, and the one directory it may write. Leaves out what Landlock does not see (stat, chmod, utime: seccomp's work)."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

from toolwright.sandbox._linux import call, syscall

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1, 2, 4, 8, 16, 32
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
READ = _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE
SCRATCH = _WRITE_FILE | _READ_FILE | _READ_DIR | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SYM | _REFER | _TRUNCATE


def abi() -> int:
    """The kernel's Landlock version; a hint only, the probe finds out by doing.

    Raises: OSError where there is no Landlock.
    """
    return syscall("landlock", _CREATE, None, 0, 1)


def sees_truncation(version: int) -> bool:
    """Whether that version also guards files against being emptied by their path, which opens nothing for writing."""
    return version >= 3


def make_ruleset(version: int, rules: Iterable[tuple[int, int]]) -> int:
    """A descriptor of the rules: (open path fd, rights) pairs.

    TCP is refused from version 4; signals and abstract sockets are kept inside from version 6.
    """
    handled = (1 << 13) - 1
    handled |= (_REFER if version >= 2 else 0) | (_TRUNCATE if sees_truncation(version) else 0) | (_IOCTL_DEV if version >= 5 else 0)
    attributes = struct.pack("=QQQ", handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = syscall("landlock_create_ruleset", _CREATE, attributes, size, 0)
    try:
        for path_fd, rights in rules:
            syscall("landlock_add_rule", _ADD, ruleset, 1, struct.pack("=Qi", rights & handled, path_fd), 0)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def restrict(ruleset: int) -> None:
    """Confine this process to the rules. Needs no_new_privs first."""
    call("landlock_restrict_self", _RESTRICT, ruleset)


def open_rules(paths: Iterable[str]) -> list[tuple[int, int]]:
    """Rules to read the paths that exist; device nodes may be written too."""
    rules = []
    for path in paths:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # a path this machine does not have needs no rule
        mode = os.fstat(fd).st_mode
        rights = READ if stat.S_ISDIR(mode) else DEVICE if stat.S_ISCHR(mode) else READ & _ON_FILES
        rules.append((fd, rights))
    return rules
