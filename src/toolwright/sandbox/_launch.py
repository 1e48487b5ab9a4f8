"""How the supervisor and the zygote are started: which interpreter, which folders, which environment. Nothing of the caller's environment goes along."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolwright.errors import UsageError

_ROOM = Path(__file__).resolve().parent
_BOOT = """\
import sys, types
for name, path in (("toolwright", sys.argv[1]), ("toolwright.sandbox", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import importlib
importlib.import_module("toolwright.sandbox." + sys.argv[3]).main(sys.argv[4])
"""
"""Loads one module of this room without the rest of the package, so that the process stays small and a snippet finds little to look at."""

_LIBRARY_PATHS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def supervisor_command(config: dict[str, object]) -> list[str]:
    """The command line of the supervisor."""
    return _command(["-I", "-S"], "_supervisor", json.dumps(config))


def zygote_command() -> list[str]:
    """The command line of the zygote, but for its last argument: as isolated as `-I`, which would also ignore the hash seed."""
    return _command(["-s", "-P", "-S", "-B", "-X", "utf8"], "_zygote", "")[:-1]


def _command(flags: Sequence[str], module: str, argument: str) -> list[str]:
    if not sys.executable:
        raise UsageError("this Python does not know its own executable (sys.executable is empty), so no sandbox can be started; run a regular python")
    return [sys.executable, *flags, "-c", _BOOT, str(_ROOM.parent), str(_ROOM), module, argument]


def supervisor_environment() -> dict[str, str]:
    """A clean environment; only where the interpreter finds its shared libraries is taken over."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", **kept}


def zygote_environment() -> dict[str, str]:
    """What a snippet finds in os.environ, the same on every machine: UTC, fixed hash seed, one thread per library."""
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
    return {**supervisor_environment(), **single, "PYTHONHASHSEED": "0", "TZ": "UTC", "MPLBACKEND": "Agg", "MALLOC_ARENA_MAX": "2"}


def import_paths(preload: Sequence[str], importable: Sequence[str]) -> list[str]:
    """What sys.path is in the sandbox: the standard library and the folders of installed packages, without the caller's own folders."""
    stdlib = sysconfig.get_path("stdlib")
    paths = [*importable, stdlib, os.path.join(stdlib, "lib-dynload"), *_package_folders(preload)]
    return [path for path in dict.fromkeys(paths) if os.path.isdir(path)]


def _package_folders(preload: Sequence[str]) -> Iterable[str]:
    for name in preload:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is None:
            raise UsageError(f"cannot preload {name!r} in the sandbox: it is not installed; install it or leave it out of preload")
        if spec.submodule_search_locations and spec.origin:
            yield str(Path(spec.origin).parent.parent)
    yield sysconfig.get_path("purelib")
    yield sysconfig.get_path("platlib")


def readable_paths(paths: Sequence[str]) -> list[str]:
    """What a snippet may read besides its scratch directory."""
    own = os.path.join(sys.base_prefix, "lib")
    return [*paths, *_LIBRARY_PATHS, *_DEVICES, *([own] if sys.base_prefix not in ("/", "/usr") else [])]
