"""Which layers really hold, found by doing: each is put on a throwaway child that then tries what the layer forbids."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
from collections.abc import Callable, Collection
from dataclasses import replace

from toolwright.sandbox import _landlock, _linux, _seccomp
from toolwright.sandbox._child import Job, Lock, lock_down
from toolwright.sandbox._fork import NamespaceFork
from toolwright.sandbox._slot import Slot

_REPORT_FD = 2
_PATIENCE_S = 20
_DESCRIPTORS = 65
"""One more than a child may have."""
_RARELY_LOADED = ("colorsys", "sndhdr", "cmd", "fileinput")
Layers = dict[str, tuple[bool, str]]


def try_layers(lock: Lock, slot: Slot, disabled: Collection[str], *, reading_only: bytes | None = None) -> tuple[Lock, Layers]:
    """The lock with only the layers that hold, and what is known of each; `reading_only` is the seccomp template to take where Landlock does not hold.

    Raises: OSError where even the weakest lock-down fails, or where nothing can be imported under it.
    """
    layers: Layers = {}
    layers["landlock"] = _try("landlock", disabled, lambda: _landlock_holds(lock, slot))
    may_write = layers["landlock"][0] or reading_only is None
    if not may_write:
        lock = replace(lock, filter=reading_only)
    layers["seccomp"] = _try("seccomp", disabled, lambda: _seccomp_holds(lock, slot, may_write=may_write))
    if not may_write and layers["seccomp"][0]:
        layers["seccomp"] = (True, "holds: tried in a throwaway child; without Landlock it also refuses to open any file for writing")
    lock = replace(lock, landlock_abi=lock.landlock_abi if layers["landlock"][0] else None, filter=lock.filter if layers["seccomp"][0] else None)
    whole = _in_child(lambda: _whole_holds(lock, slot, may_write=may_write))
    if whole:
        raise OSError(f"the lock-down does not work on this machine: {whole}")
    layers["limits"] = (True, "memory, file size and descriptors hold: tried in a throwaway child; CPU time and threads besides")
    return lock, layers


def _try(name: str, disabled: Collection[str], check: Callable[[], str]) -> tuple[bool, str]:
    if name in disabled:
        return False, "switched off by the caller"
    problem = _in_child(check)
    return (False, problem) if problem else (True, "holds: tried in a throwaway child")


def _in_child(check: Callable[[], str]) -> str:
    """What the check says in a child of its own; the empty string is good."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(_PATIENCE_S)
        os.dup2(writer, _REPORT_FD)
        try:
            said = check()
        except BaseException as error:  # reported, and the child ends here
            said = f"{type(error).__name__}: {error}"
        os.write(_REPORT_FD, json.dumps(said).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    if status or not text:
        return f"the trial ended with status {status}"
    return str(json.loads(text))


def _landlock_holds(lock: Lock, slot: Slot) -> str:
    if lock.landlock_abi is None:
        return "the kernel has none, or it is not switched on"
    _linux.forbid_new_privileges()
    _landlock.restrict(slot.ruleset)
    if _works(lambda: os.listdir("/")):
        return "the root directory could still be listed"
    os.fchdir(slot.fd)
    with open("trial", "w") as stream:
        stream.write("x")
    os.remove("trial")
    return ""


def _seccomp_holds(lock: Lock, slot: Slot, *, may_write: bool) -> str:
    if lock.filter is None:
        return f"no system call table for {_linux.MACHINE}"
    _linux.forbid_new_privileges()
    _linux.install_filter(_seccomp.fill_template(lock.filter, os.getpid()))
    forbidden: tuple[Callable[[], object], ...] = (socket.socket, os.fork, lambda: os.kill(os.getppid(), 0), lambda: os.execv("/bin/true", ["true"]))
    for attempt in forbidden:
        if _works(attempt):
            return "a forbidden system call went through"
    os.fchdir(slot.fd)
    if not may_write and _works(lambda: os.open("trial", os.O_WRONLY | os.O_CREAT)):
        return "a file could still be opened for writing"
    return ""


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def try_namespace_fork() -> NamespaceFork:
    """A fork into process id namespaces that was seen to work.

    Raises: OSError where it does not.
    """
    fork = NamespaceFork()
    pid = fork()
    if pid == 0:
        os._exit(0 if os.getpid() == 1 and os.getppid() == 0 else 1)
    if os.waitpid(pid, 0)[1]:
        raise OSError("a child in a namespace of its own still had another process id")
    return fork


def _whole_holds(lock: Lock, slot: Slot, *, may_write: bool) -> str:
    """All layers together, and the libraries still to be reached under them."""
    job = Job(id=0, memory_bytes=256 << 20, file_bytes=1 << 12, cpu_s=_PATIENCE_S, threads=8, output_bytes=1 << 12, session=False)
    said = os.dup(_REPORT_FD)
    lock_down(lock, job, (said, said, said), slot, os.getppid())
    for name in _RARELY_LOADED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue  # not in every version
    if may_write or lock.filter is None:
        with open("trial", "w") as stream:
            stream.write("x")
        os.remove("trial")
    return limits_hold(job, may_write=may_write or lock.filter is None)


def limits_hold(job: Job, *, may_write: bool) -> str:
    """What of the job's limits can be exceeded; the empty string is good. Without `may_write` no file is tried."""
    with contextlib.suppress(MemoryError):
        bytes(job.memory_bytes + (32 << 20))  # asked for but untouched
        return "more memory than allowed can be had"
    held: list[int] = []
    with contextlib.suppress(OSError):
        while len(held) < _DESCRIPTORS:
            held.append(os.dup(_REPORT_FD))
    for fd in held:
        os.close(fd)
    if len(held) == _DESCRIPTORS:
        return "more descriptors than allowed can be had"
    if may_write:
        with contextlib.suppress(OSError), open("trial", "wb", buffering=0) as stream:
            while stream.tell() <= job.file_bytes:
                stream.write(bytes(job.file_bytes))
            return "files can be larger than allowed"
        os.remove("trial")
    return ""
