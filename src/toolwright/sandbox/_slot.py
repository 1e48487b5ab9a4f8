"""Scratch directories with their Landlock rules, made once and used again while they can be made as new.

Making one costs a mount; most snippets write nothing, some a file or two. A slot with more in it, or with a changed mode, is thrown away with all it holds.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice

from toolwright.sandbox import _landlock, _linux, _namespaces
from toolwright.sandbox._remove import remove_tree

_MOST_KEPT = 16
_MOST_WIPED = 8
_MODE = stat.S_IFDIR | 0o700
_TIMES = (0, 0)
"""When a slot was last read and written, as its next user sees it: what the one before left there could be a message."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One scratch directory."""

    folder: str
    total_bytes: int
    fd: int
    """The directory itself, open as a path."""
    ruleset: int
    """Landlock rules that let this directory be written; -1 without Landlock."""
    empty_bytes: int = -1
    """What the directory's size is while it is empty, where the size tells; else -1."""


class Slots:
    """Makes, keeps and destroys slots below one root."""

    def __init__(self, root: str, *, mounts: bool, root_fd: int | None = None) -> None:
        """`root_fd`: through which folders are made, where the root's path is read-only."""
        self.root = root
        self._mounts = mounts
        self._root_fd = root_fd
        self._kept: list[Slot] = []

    def take(self, total_bytes: int, version: int | None, rules: list[tuple[int, int]]) -> Slot:
        """An empty slot of that size under those rules."""
        for at, slot in enumerate(self._kept):
            if slot.total_bytes == total_bytes:
                return self._kept.pop(at)
        # A name that no other snippet can guess: what Landlock does not see (stat, chmod, chdir) takes any path.
        name = os.urandom(16).hex()
        folder = f"{self.root}/{name}"
        os.mkdir(folder if self._root_fd is None else name, 0o700, dir_fd=self._root_fd)
        if self._mounts:
            _namespaces.scratch_mount(folder, max(total_bytes, 1 << 16), os.geteuid())
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        ruleset = -1 if version is None else _landlock.make_ruleset(version, [*rules, (fd, _landlock.SCRATCH)])
        slot = Slot(folder, total_bytes, fd, ruleset, _empty_bytes(folder, fd) if self._mounts else -1)
        os.utime(folder, ns=_TIMES)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Keep the slot if it is as new, or easily made so; else destroy it."""
        try:
            kept = len(self._kept) < _MOST_KEPT and self._is_new(slot)
        except OSError:
            kept = False  # without Landlock a snippet can remove the directory itself
        if kept:
            self._kept.append(slot)
        else:
            self.destroy(slot)

    def _is_new(self, slot: Slot) -> bool:
        found = os.fstat(slot.fd)
        if found.st_mode != _MODE:
            return False
        if found.st_size != slot.empty_bytes and not _wipe(slot.folder):
            return False
        os.utime(slot.folder, ns=_TIMES)
        return True

    def destroy(self, slot: Slot) -> None:
        """Remove the slot and all in it."""
        os.close(slot.fd)
        if slot.ruleset >= 0:
            os.close(slot.ruleset)
        if self._mounts:
            _linux.unmount(slot.folder)
            os.rmdir(slot.folder if self._root_fd is None else os.path.basename(slot.folder), dir_fd=self._root_fd)
        else:
            remove_tree(slot.folder)  # what resists is removed with the whole root at the end


def _empty_bytes(folder: str, fd: int) -> int:
    """The directory's size, if every entry makes it larger, as on tmpfs; else -1."""
    empty = os.fstat(fd).st_size
    os.close(os.open(f"{folder}/trial", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    grown = os.fstat(fd).st_size > empty
    os.unlink(f"{folder}/trial")
    return empty if grown and os.fstat(fd).st_size == empty else -1


def _wipe(folder: str) -> bool:
    """Whether the folder is empty now; only a few plain files are removed."""
    with os.scandir(folder) as entries:
        names = [(entry.path, entry.is_file(follow_symlinks=False)) for entry in islice(entries, _MOST_WIPED + 1)]
    if len(names) > _MOST_WIPED or not all(plain for _, plain in names):
        return False
    for path, _ in names:
        os.unlink(path)
    return True
