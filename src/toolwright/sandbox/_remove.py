"""Removes a folder that a snippet could write to, however deep it dug.

`shutil.rmtree` goes as deep into Python's stack as the folders go into each other, and a snippet decides how deep that is.
"""

from __future__ import annotations

import contextlib
import os

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: str) -> None:
    """Remove the folder and all in it; links are removed, not followed, and what resists stays. Nobody may use the folder any more."""
    try:
        here = os.open(folder, _OPEN)
    except OSError:
        return  # it is gone, or no folder
    entered: list[str] = []
    waiting = [_folders_left(here)]
    while waiting:
        if waiting[-1]:
            name = waiting[-1].pop()
            inner = _enter(name, here)
            if inner is not None:
                os.close(here)
                here = inner
                entered.append(name)
                waiting.append(_folders_left(here))
            continue
        waiting.pop()
        if entered:
            here = _go_up(here, entered.pop())
    os.close(here)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _folders_left(here: int) -> list[str]:
    """The folders in a folder, after all else in it was removed."""
    try:
        with os.scandir(here) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []
    for name, is_folder in found:
        if not is_folder:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=here)
    return [name for name, is_folder in found if is_folder]


def _enter(name: str, here: int) -> int | None:
    try:
        os.chmod(name, 0o700, dir_fd=here)
        return os.open(name, _OPEN, dir_fd=here)
    except OSError:
        return None


def _go_up(here: int, name: str) -> int:
    """The folder above, without the one that was left."""
    above = os.open("..", _OPEN, dir_fd=here)
    os.close(here)
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=above)
    return above
