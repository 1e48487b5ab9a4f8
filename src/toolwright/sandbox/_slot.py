"""Scratch directories with their Landlock rules, made once and used again while nothing was ever made in them.

Making one costs a mount; most snippets write nothing. A slot that was written to is thrown away, even where it is empty again: the numbers of its next files
would tell how many there were before, which could be a message.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from toolwright.sandbox import _landlock, _linux, _namespaces
from toolwright.sandbox._remove import remove_tree

_MOST_KEPT = 16
_TIMES = (0, 0)
"""When a slot was last read and written, as its next user sees it."""


@dataclass(slots=True)
class Slot:
    """One scratch directory."""

    folder: str
    total_bytes: int
    fd: int
    """The directory itself, open as a path."""
    ruleset: int
    """Landlock rules that let this directory be written; -1 without Landlock."""
    changed_ns: int = -1
    """When we last changed the directory. Nobody can set this time: any other means that something was made, removed, or changed in it."""


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
        slot = Slot(folder, total_bytes, fd, ruleset)
        _set_times(slot)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Keep the slot if nothing was ever made in it; else destroy it."""
        try:
            kept = len(self._kept) < _MOST_KEPT and _is_new(slot)
        except OSError:
            kept = False  # without Landlock a snippet can remove the directory itself
        if kept:
            self._kept.append(slot)
        else:
            self.destroy(slot)

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


def _is_new(slot: Slot) -> bool:
    found = os.fstat(slot.fd)
    if found.st_ctime_ns != slot.changed_ns:
        return False
    if found.st_atime_ns:  # it was listed
        _set_times(slot)
    return True


def _set_times(slot: Slot) -> None:
    os.utime(slot.folder, ns=_TIMES)
    slot.changed_ns = os.fstat(slot.fd).st_ctime_ns
