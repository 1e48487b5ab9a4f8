"""The zygote: a single-threaded process with the libraries loaded that forks one child per snippet or session.

It never sees a snippet's source or output: those go between supervisor and child over descriptors that it only hands on. So nothing of one snippet can be
found in the memory of the next. Here is how it is set up; its daily work is in `_forking`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import resource
import site
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from toolwright.sandbox import _child, _fork, _landlock, _linux, _namespaces, _pages, _probe, _seccomp
from toolwright.sandbox._child import FIRST_ANCHOR_FD, Lock
from toolwright.sandbox._forking import Forking
from toolwright.sandbox._remove import remove_tree
from toolwright.sandbox._slot import Slots
from toolwright.sandbox._wire import HELLO

_SOCKET_FD = 3
_SCRATCH_PREFIX = "toolwright-sandbox-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WARM_UP = """
import sympy as s
x, y = s.symbols("x y")
s.solve(x**2 - 5*x + 6, x), s.solve([x + y - 3, x - y - 1], [x, y]), s.integrate(x**2, x), s.diff(s.sin(x)*x, x), s.limit(s.sin(x)/x, x, 0)
s.simplify(x + x), s.factor(x**4 - 1), s.expand((x + 1)**3), s.Matrix([[1, 2], [3, 4]]).det(), s.summation(x, (x, 1, 5)), s.gcd(12, 18)
str(s.Rational(1, 3) + 2), s.latex(s.sqrt(2)/3), s.N(s.pi, 20), s.nsimplify(0.25), s.factorint(360), s.isprime(97), s.binomial(5, 2), s.Eq(x, 2)
"""
"""What snippets commonly ask of sympy, so that its lazily made parts exist before the fork."""


def main(argument: str) -> None:
    """Set up, say hello, serve until the supervisor is gone."""
    began = time.monotonic()
    config: dict[str, Any] = json.loads(argument)
    _linux.die_with_parent()
    os.closerange(_SOCKET_FD + 1, 1 << 20)
    link = socket.socket(fileno=_SOCKET_FD)
    zygote = Zygote(link, config)
    zygote.set_up()
    zygote.greet(began).serve()
    os._exit(0)


class Zygote:
    """The state of the forking process."""

    def __init__(self, link: socket.socket, config: dict[str, Any]) -> None:
        self._link = link
        self._config = config
        self._disabled = set(config["disable"])
        self._layers: dict[str, tuple[bool, str]] = {}
        self._private_root = False
        self._can_mount = False
        self._own_user_namespace = False
        self._scratch_root = ""
        self._scratch_fd: int | None = None
        self._anchors: list[tuple[str, int]] = []
        self._lock: Lock | None = None
        self._ours: list[ModuleType] = []
        """Our own modules: alive, but not found by a snippet's imports."""

    # ---- once ----

    def set_up(self) -> None:
        """Take every layer this machine gives; what fails is recorded, never hidden."""
        proc_fd = _open_proc()
        self._enter_namespaces()
        self._preload()
        if not self._private_root:
            self._scratch_root, fd = make_scratch_root(self._config["scratch_parents"], os.getppid())
            _out_of_the_way(fd)
            os.close(fd)
            self._open_anchors()
        self._drop_user(proc_fd)
        if self._can_mount:
            self._scratch_fd = _namespaces.close_scratch()
        baseline = _address_space(proc_fd) if proc_fd >= 0 else 1 << 30
        self._use_anchors()
        self._lock = self._make_lock(baseline)
        self._ours = [sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "toolwright"]
        gc.collect()
        gc.freeze()
        if proc_fd >= 0:
            _pages.collapse(proc_fd)
            os.close(proc_fd)
        _linux.hide_memory()

    def _enter_namespaces(self) -> None:
        if "namespaces" in self._disabled:
            self._layers["namespaces"] = self._layers["root"] = (False, "switched off by the caller")
            return
        try:
            _namespaces.enter()
        except OSError as error:
            self._layers["namespaces"] = (False, str(error))
            self._layers["root"] = (False, "needs namespaces")
            return
        self._become_first_process()
        self._layers["namespaces"] = (True, "processes, network, IPC, host name and mounts of its own")
        try:
            _namespaces.build_root(self._config["readable"], self._config["uid"] if os.geteuid() == 0 else os.geteuid())
        except OSError as error:
            if os.getcwd() != "/" or not os.path.isdir(self._config["stdlib"]):
                raise  # half-way through: there is no root to go on with
            self._layers["root"] = (False, str(error))
            return
        self._private_root = True
        self._can_mount = self._own_user_namespace = os.geteuid() != 0
        self._scratch_root = _namespaces.SCRATCH_ROOT
        self._layers["root"] = (True, "an empty root directory with read-only libraries")

    def _become_first_process(self) -> None:
        """Fork into the process id namespace; the outer process only waits, and takes the namespace with it when it dies."""
        pid = os.fork()
        if pid:
            self._link.close()
            os.waitpid(pid, 0)
            os._exit(0)
        _linux.die_with_parent()

    def _preload(self) -> None:
        sys.path[:] = self._config["paths"]
        site.setquit()
        site.setcopyright()
        site.sethelper()
        for name in (*self._config["stdlib_modules"], *self._config["preload"]):
            importlib.import_module(name)
        if "numpy" in self._config["preload"]:
            importlib.import_module("numpy.random")  # loaded at its first use otherwise, and then not seeded
        if "sympy" in self._config["preload"]:
            _pages.gather_code(lambda: exec(_WARM_UP, {}), self._config["preload"])
            exec(_WARM_UP, {})

    def _open_anchors(self) -> None:
        """Hold import folders open that an unprivileged user could not reach, like those under /root."""
        if os.geteuid() != 0:
            return
        for path in self._config["paths"]:
            if os.path.isdir(path) and not _reachable(path):
                self._anchors.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC)))

    def _drop_user(self, proc_fd: int) -> None:
        if os.geteuid() != 0:
            self._layers["user"] = (True, f"runs as the caller's user {os.geteuid()}, who is not root")
            return
        if "user" in self._disabled:
            self._layers["user"] = (False, "switched off by the caller")
            return
        uid = self._config["uid"]
        if not self._private_root:
            os.chown(self._scratch_root, uid, uid)
        try:
            _namespaces.drop_user(uid)
        except OSError as error:
            self._layers["user"] = (False, f"cannot become user {uid}: {error}")
            return
        _linux.die_with_parent()
        self._layers["user"] = (True, f"root became user {uid}")
        if self._private_root:
            try:
                _namespaces.enter_user(proc_fd)
                self._can_mount = self._own_user_namespace = True
            except OSError:
                self._can_mount = False  # scratch directories then share one small mount

    def _use_anchors(self) -> None:
        """Let imports go through the held folders, for loaded packages too; the folders take the lowest free descriptors, which the children keep."""
        folders = {}
        parked = []
        for path, fd in self._anchors:
            parked.append((path, _out_of_the_way(fd)))
            os.close(fd)
        for at, (path, fd) in enumerate(parked):
            os.dup2(fd, FIRST_ANCHOR_FD + at, inheritable=False)
            os.close(fd)
            folders[path] = f"/proc/self/fd/{FIRST_ANCHOR_FD + at}"
        if folders:
            _redirect_imports(folders)

    def _make_lock(self, baseline_bytes: int) -> Lock:
        abi, template = None, None
        if "landlock" not in self._disabled:
            with contextlib.suppress(OSError):  # the probe says why
                abi = _landlock.abi()
        if "seccomp" not in self._disabled and _seccomp.supported(_linux.MACHINE):
            may_truncate = self._private_root or abi is None or _landlock.sees_truncation(abi)
            template = _seccomp.build_template(_linux.MACHINE, private_root=self._private_root, may_truncate=may_truncate)
        rules = _landlock.open_rules(self._config["readable"]) if abi is not None else []
        rules += [(FIRST_ANCHOR_FD + at, _landlock.READ) for at in range(len(self._anchors))]
        hard = {which: resource.getrlimit(which)[1] for which in _LIMITS}
        return Lock(abi, rules, template, baseline_bytes, len(self._anchors), self._own_user_namespace, hard)

    def greet(self, began: float) -> Forking:
        """What serves from now on, after telling the supervisor what was reached; the layers of the children are found by doing them in throwaway children."""
        slots = Slots(self._scratch_root, mounts=self._can_mount, root_fd=self._scratch_fd)
        before = self._require_lock()
        slot = slots.take(1 << 16, before.landlock_abi, before.rules)
        lock, layers = _probe.try_layers(before, slot, self._disabled, reading_only=self._reading_filter())
        slots.destroy(slot)
        fork, layers["processes"] = self._choose_fork()
        self._layers.update(layers)
        lock = _child.prepare_once(lock)
        hello = {
            "hello": self._layers,
            "level": _level(self._layers),
            "start_s": time.monotonic() - began,
            "scratch": "" if self._private_root else self._scratch_root,
            "bounds_threads": self._own_user_namespace,
        }
        pidfd = os.pidfd_open(os.getpid())
        socket.send_fds(self._link, [HELLO + json.dumps(hello).encode()], [pidfd])
        os.close(pidfd)
        return Forking(self._link, lock, slots, fork)

    def _reading_filter(self) -> bytes | None:
        """The filter for where Landlock turns out not to hold: without a private root, only a ban on all writing keeps files outside scratch safe."""
        if self._private_root or "seccomp" in self._disabled or not _seccomp.supported(_linux.MACHINE):
            return None
        return _seccomp.build_template(_linux.MACHINE, private_root=False, may_write=False)

    def _choose_fork(self) -> tuple[Callable[[], int], tuple[bool, str]]:
        """How children are forked, and whether each gets a process id namespace of its own."""
        if not self._config["strict"]:
            return _fork.fork, (False, "only with strict=True: one more namespace for each snippet")
        if "namespaces" in self._disabled:
            return _fork.fork, (False, "switched off by the caller")
        try:
            return _probe.try_namespace_fork(), (True, "each snippet is process 1 of a namespace of its own: tried in a throwaway child")
        except OSError as error:
            return _fork.fork, (False, str(error))

    def _require_lock(self) -> Lock:
        if self._lock is None:
            raise RuntimeError("the zygote was not set up")
        return self._lock


_LIMITS = (
    resource.RLIMIT_AS,
    resource.RLIMIT_CPU,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_NPROC,
)


def _open_proc() -> int:
    """/proc as it is now, on a descriptor out of the way of those that stay; -1 where there is none."""
    if not os.path.isdir("/proc/self"):
        return -1
    fd = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
    try:
        return _out_of_the_way(fd)
    finally:
        os.close(fd)


def _out_of_the_way(fd: int) -> int:
    """A copy of the descriptor above those that stay, however few descriptors this user may have."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, min(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))


def _address_space(proc_fd: int) -> int:
    fd = os.open("self/statm", os.O_RDONLY, dir_fd=proc_fd)
    with os.fdopen(fd) as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def _reachable(path: str) -> bool:
    """Whether any user may walk to the folder."""
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def _redirect_imports(folders: dict[str, str]) -> None:
    def moved(path: str) -> str:
        for folder, replacement in folders.items():
            if path == folder or path.startswith(folder + "/"):
                return replacement + path[len(folder) :]
        return path

    sys.path[:] = [moved(path) for path in sys.path]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        _move_module(module, moved)


def _move_module(module: ModuleType, moved: Any) -> None:
    spec = getattr(module, "__spec__", None)
    for paths in (getattr(module, "__path__", None), getattr(spec, "submodule_search_locations", None)):
        if isinstance(paths, list):
            paths[:] = [moved(path) for path in paths]
    if isinstance(getattr(module, "__file__", None), str):
        module.__file__ = moved(module.__file__)
    if isinstance(getattr(spec, "origin", None), str) and spec is not None:
        spec.origin = moved(spec.origin)
    loader: Any = getattr(module, "__loader__", None)
    if isinstance(getattr(loader, "path", None), str):
        loader.path = moved(loader.path)


def make_scratch_root(parents: Sequence[str], supervisor: int) -> tuple[str, int]:
    """A folder for scratch directories on the host, and a descriptor that locks it while any process holds that; folders of the dead are swept away."""
    for parent in parents:
        for name in os.listdir(parent) if os.path.isdir(parent) else ():
            owner = name.removeprefix(_SCRATCH_PREFIX).split("-")[0]
            folder = f"{parent}/{name}"
            if name.startswith(_SCRATCH_PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}") and _abandoned(folder):
                remove_tree(folder)
        folder = f"{parent}/{_SCRATCH_PREFIX}{supervisor}-{os.urandom(4).hex()}"
        try:
            os.mkdir(folder, 0o711)
        except OSError:
            continue  # the next parent may be writable
        fd = os.open(folder, _FOLDER)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        return folder, fd
    raise OSError(f"no scratch folder can be made in any of {', '.join(parents)}")


def _abandoned(folder: str) -> bool:
    """Whether nobody holds the folder. Its owner's id alone does not tell: another container may share the parent, and have its own ids."""
    try:
        fd = os.open(folder, _FOLDER)
    except OSError:
        return False  # a link, or another user's
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _level(layers: dict[str, tuple[bool, str]]) -> int:
    def active(*names: str) -> bool:
        return all(layers.get(name, (False, ""))[0] for name in names)

    if not active("seccomp"):
        return 0
    if not active("landlock"):
        return 1
    if not active("namespaces", "root", "user"):
        return 2
    return 4 if active("processes") else 3
