"""Removes a folder that a snippet could write to, however deep it dug.

`shutil.rmtree` goes as deep into Python's stack as the folders go into each other, and a snippet decides how deep that is.
"""

from __future__ import annotations

import contextlib
import os

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: str) -> None:
    """Remove the folder and all in it; links are removed, not followed, and what resists stays."""
    try:
        top = os.open(folder, _OPEN)
    except OSError:
        return  # it is gone, or no folder
    waiting: list[str] = []
    try:
        _empty(top, top, waiting)
        while waiting:
            name = waiting.pop()
            with contextlib.suppress(OSError):
                os.chmod(name, 0o700, dir_fd=top)
                inner = os.open(name, _OPEN, dir_fd=top)
                try:
                    _empty(inner, top, waiting)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _empty(fd: int, top: int, waiting: list[str]) -> None:
    """Remove the files of a folder, and move its folders to the top, where they wait for the same."""
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        with contextlib.suppress(OSError):
            if not is_folder:
                os.unlink(name, dir_fd=fd)
            elif fd == top:
                waiting.append(name)
            else:
                os.chmod(name, 0o700, dir_fd=fd)  # else a closed folder cannot be moved
                moved = os.urandom(16).hex()
                os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=top)
                waiting.append(moved)
