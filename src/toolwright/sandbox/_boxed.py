"""The first process inside a bubblewrap box: it forks the one child that runs the snippets, and tells the outside how that child really ended.

bubblewrap made the namespaces and the root directory; the child then takes the same lock-down as any other (`_child`). Leaves out clocks and verdicts.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import resource
import select
import site
import socket
import sys
from types import ModuleType
from typing import Any

from toolwright.sandbox import _child, _landlock, _linux, _namespaces, _probe, _seccomp
from toolwright.sandbox._child import Job, Lock
from toolwright.sandbox._slot import Slot

SCRATCH = "/scratch"
_GENERATORS = {"numpy": "numpy.random", "sympy": "sympy"}
_LIMITS = ("AS", "CPU", "FSIZE", "NOFILE", "CORE", "MEMLOCK", "MSGQUEUE", "NPROC")

_OURS: list[ModuleType] = []
"""Our own modules: alive, but not found by a snippet's imports."""


def main(argument: str) -> None:
    """Say hello, learn the own size, then try the layers out, or fork the child and wait for its end."""
    config: dict[str, Any] = json.loads(argument)
    hail = socket.socket(fileno=config["hail"])
    sys.path[:] = config["paths"]
    site.setquit()
    site.setcopyright()
    site.sethelper()
    for name in config["loaded"]:
        with contextlib.suppress(ModuleNotFoundError):  # not installed: the snippet will be told
            importlib.import_module(_GENERATORS[name])
    layers = _drop_user(config["uid"], config["disable"])
    hail.send(b"{}")
    baseline_bytes = int(hail.recv(64))
    lock, slot = _prepare(config, baseline_bytes)
    if config["job"] is None:
        lock, tried = _probe.try_layers(lock, slot, config["disable"])
        hail.send(json.dumps({"layers": {**layers, **tried}}).encode())
        return
    _run(hail, lock, slot, config)


def _drop_user(uid: int | None, disabled: list[str]) -> dict[str, tuple[bool, str]]:
    if uid is None:
        return {"user": (True, f"runs as the caller's user {os.geteuid()}, who is not root")}
    if "user" in disabled:
        return {"user": (False, "switched off by the caller")}
    try:
        _namespaces.drop_user(uid)
    except OSError as error:
        return {"user": (False, f"cannot become user {uid}: {error}")}
    return {"user": (True, f"root became user {uid}")}


def _prepare(config: dict[str, Any], baseline_bytes: int) -> tuple[Lock, Slot]:
    """The lock with every layer that was not switched off, and the scratch directory."""
    abi, template = None, None
    if "landlock" not in config["disable"]:
        with contextlib.suppress(OSError):  # the trial says why
            abi = _landlock.abi()
    if "seccomp" not in config["disable"] and _seccomp.supported(_linux.MACHINE):
        template = _seccomp.build_template(_linux.MACHINE, private_root=True)
    rules = _landlock.open_rules(config["readable"]) if abi is not None else []
    hard = {which: resource.getrlimit(which)[1] for which in (getattr(resource, f"RLIMIT_{name}") for name in _LIMITS)}
    fd = _parked(os.open(SCRATCH, os.O_PATH | os.O_CLOEXEC))
    ruleset = -1 if abi is None else _parked(_landlock.make_ruleset(abi, [*rules, (fd, _landlock.SCRATCH)]))
    return Lock(abi, rules, template, baseline_bytes, 0, config["uid"] is None, hard), Slot(SCRATCH, 0, fd, ruleset)


def _parked(fd: int) -> int:
    """The descriptor moved out of the way of the low numbers, which the child's lock-down gives to its streams."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(fd)
    return high


def _run(hail: socket.socket, lock: Lock, slot: Slot, config: dict[str, Any]) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        hail.send(b"{}")  # its sender's process id is what the outside is after
        hail.recv(64)
        for name in [name for name in sys.modules if name.split(".")[0] == "toolwright"]:
            _OURS.append(sys.modules.pop(name))
        _child.live(lock, Job(**config["job"]), (config["out"], config["err"], config["control"]), slot, parent)
    _linux.hide_memory()
    for name in ("out", "err", "control"):
        os.close(config[name])
    # When the caller closes the socket, or ends, this process ends and the kernel takes the whole box down. The signal that bubblewrap would send instead is
    # lost by the change of user.
    pidfd = os.pidfd_open(pid)
    waiting = select.poll()
    waiting.register(hail, 0)  # its end only: what comes in is for the child
    waiting.register(pidfd, select.POLLIN)
    if any(fd != pidfd for fd, _ in waiting.poll()):
        return
    _, status, usage = os.wait4(pid, 0)
    hail.send(json.dumps({"status": status, "cpu_s": usage.ru_utime + usage.ru_stime}).encode())
