"""What is paid once per zygote: an unprivileged user, own namespaces, and a root directory that holds nothing but the libraries.

Leaves out what every child gets for itself (`_child`). Each step says why it could not be done; what that means for the level is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from toolwright.sandbox import _linux
from toolwright.sandbox._linux import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS

SCRATCH_ROOT = "/scratch"
_NEW_ROOT = "/tmp"
_ALL = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS


def enter() -> None:
    """Leave every namespace of the caller for fresh ones; the process id namespace begins with the next fork.

    Root does it as root; any other user through a user namespace.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _linux.unshare(_ALL)
    else:
        _linux.unshare(_ALL | CLONE_NEWUSER)
        _map_user("/proc/self", uid, gid)
    with contextlib.suppress(OSError):  # the machine's own name tells little
        socket.sethostname("sandbox")


def enter_user(proc_fd: int) -> None:
    """A user and mount namespace of its own for a process that has dropped to another user: the right to mount scratch directories, and nothing else.

    `proc_fd` is an open /proc of the outside.
    """
    uid, gid = os.geteuid(), os.getegid()
    _linux.show_memory()
    _linux.unshare(CLONE_NEWUSER | CLONE_NEWNS)
    os.fchdir(proc_fd)
    _map_user("self", uid, gid)
    os.chdir("/")


def _map_user(folder: str, uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def drop_user(uid: int) -> None:
    """Become an unprivileged user without any group."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def build_root(readable: Sequence[str], owner: int) -> None:
    """Replace the root directory by an empty one with read-only views of the readable paths, and a scratch mount that belongs to `owner`."""
    sources = _open_sources(readable)
    links = [(path, os.path.realpath(path)) for path in sorted(readable) if os.path.realpath(path) != path and os.path.exists(path)]
    _linux.mount("none", "/", None, _linux.MS_REC | _linux.MS_PRIVATE)
    _linux.mount("tmpfs", _NEW_ROOT, "tmpfs", _linux.MS_NOSUID, "size=2m,mode=755")
    shown: list[str] = []
    for path, fd in sources:
        if not _inside(path, shown):
            _show(path, fd)
            shown.append(path)
        os.close(fd)
    for path, target in links:
        if not _inside(path, shown):
            link = Path(_NEW_ROOT + path)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
            shown.append(path)
    _finish_root(owner)


def _finish_root(owner: int) -> None:
    scratch, old = _NEW_ROOT + SCRATCH_ROOT, _NEW_ROOT + "/old"
    os.mkdir(scratch)
    os.mkdir(old)
    _linux.mount("tmpfs", scratch, "tmpfs", _linux.MS_NOSUID | _linux.MS_NODEV, f"size=1m,mode=711,uid={owner},gid={owner}")
    _linux.pivot_root(_NEW_ROOT, old)
    os.chdir("/")
    _linux.unmount("/old")
    os.rmdir("/old")
    _linux.mount("none", "/", None, _linux.MS_REMOUNT | _linux.MS_BIND | _linux.MS_RDONLY | _linux.MS_NOSUID)


def _inside(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def _open_sources(readable: Sequence[str]) -> list[tuple[str, int]]:
    """(real path, open path fd), parents before children; opened before anything is mounted over them."""
    sources = []
    for path in sorted({os.path.realpath(path) for path in readable}):
        try:
            sources.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))
        except OSError:
            continue  # a path this machine does not have need not be shown
    return sources


def _show(path: str, fd: int) -> None:
    target = Path(_NEW_ROOT + path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        target.mkdir()
    else:
        target.touch()
    _linux.mount(f"/proc/self/fd/{fd}", str(target), None, _linux.MS_BIND | _linux.MS_REC)
    _linux.make_read_only(str(target), devices=path.startswith("/dev/"))


def close_scratch() -> int:
    """A descriptor through which folders can still be made in the scratch root; its path is read-only from now on.

    Else a snippet could change the mode of the root, which Landlock does not see, and shut every other snippet out of its scratch directory.
    """
    fd = os.open(SCRATCH_ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _linux.mount(SCRATCH_ROOT, SCRATCH_ROOT, None, _linux.MS_BIND)
    flags = _linux.MS_REMOUNT | _linux.MS_BIND | _linux.MS_RDONLY | _linux.MS_NOSUID | _linux.MS_NODEV
    _linux.mount("none", SCRATCH_ROOT, None, flags)
    return fd


def scratch_mount(folder: str, total_bytes: int, owner: int) -> None:
    """A scratch directory of its own over an empty folder, with a bound on bytes and files, that is gone when unmounted."""
    options = f"size={total_bytes},nr_inodes=4096,mode=700,uid={owner},gid={owner}"
    _linux.mount("tmpfs", folder, "tmpfs", _linux.MS_NOSUID | _linux.MS_NODEV | _linux.MS_NOEXEC | _linux.MS_NOATIME, options)
