"""One scenario in a process of its own: a primitive is really taken away (by a filter, a limit or a mount), then the sandbox is used; prints facts as JSON.

``python tests/sandbox/missing_primitive.py SCENARIO [--user nobody]``. Exits with 3 and a reason where this machine cannot take the primitive away.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import platform
import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "attacks"), str(Path(__file__).parent)]

from attack_driver import become_nobody
from attack_stage import Unavailable, descendants

from toolwright.errors import ToolwrightError
from toolwright.sandbox import Sandbox, SandboxLimits, SandboxResult, _linux

Facts = dict[str, Any]
NUMBERS = {"unshare": (272, 97), "landlock_create_ruleset": (444, 444), "seccomp": (317, 277), "clone": (56, 220)}
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN, _ALLOW, _ERRNO = 0x20, 0x15, 0x45, 0x06, 0x7FFF0000, 0x00050000
_CLONE_VM = 0x100
ATTACKS = {
    "file": "open('/etc/passwd').read()",
    "write": "open('/tmp/toolwright-attack', 'w')",
    "socket": "import socket; socket.socket()",
    "fork": "import os; os.fork()",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "kill": "import os; os.kill(os.getppid(), 0)",
    "namespace": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise PermissionError",
}


def number(name: str) -> int:
    return NUMBERS[name][{"x86_64": 0, "aarch64": 1}[platform.machine()]]


def take_away(answers: dict[str, int]) -> None:
    """From now on these system calls answer with an error, here and in all that is started."""
    program = [(_LOAD, 0, 0, 0)]
    for name, answer in answers.items():
        program += [(_JUMP_EQUAL, 0, 1, number(name)), (_RETURN, 0, 0, _ERRNO | answer)]
    install([*program, (_RETURN, 0, 0, _ALLOW)])


def install(program: list[tuple[int, int, int, int]]) -> None:
    _linux.forbid_new_privileges()
    _linux.install_filter(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))


def told(result: SandboxResult) -> list[Any]:
    return [str(result.outcome), result.value, (result.error or "").split(":")[0], result.level]


def used(**options: Any) -> Facts:
    """What the sandbox says of itself, of a sum, and of a few attacks; or its refusal."""
    with Sandbox(preload=(), spares=0, **options) as sandbox:
        try:
            reached = sandbox.capabilities()
            facts: Facts = {"level": reached.level, "layers": {layer.name: [layer.active, layer.why] for layer in reached.layers}}
            facts["sum"] = told(sandbox.run_sync("1 + 1"))
            facts["attacks"] = {name: told(sandbox.run_sync(code)) for name, code in ATTACKS.items()}
            facts["session"] = asyncio.run(in_session(sandbox))
        except ToolwrightError as error:
            facts = {"refused": f"{type(error).__name__}: {error}"}
    return facts


async def in_session(sandbox: Sandbox) -> list[Any]:
    async with sandbox.session() as session:
        await session.run("x = 41")
        return told(await session.run("x + 1"))


# ---- scenarios ----


def no_namespaces() -> Facts:
    take_away({"unshare": errno.EPERM})
    return used()


def no_landlock() -> Facts:
    take_away({"landlock_create_ruleset": errno.ENOSYS})
    return {"plain": used(), "accepted": used(allow_degraded=True)}


def no_landlock_nor_namespaces() -> Facts:
    take_away({"landlock_create_ruleset": errno.EOPNOTSUPP, "unshare": errno.EPERM})
    return {"plain": used(), "accepted": used(allow_degraded=True)}


def no_seccomp() -> Facts:
    take_away({"seccomp": errno.EINVAL})
    return {"plain": used(), "degraded": used(allow_degraded=True)}


def low_limits() -> Facts:
    """Hard limits below what is wished: used as they are, never raised, never a reason to fail every snippet."""
    hard = {"NOFILE": 48, "FSIZE": 1 << 16, "AS": 2 << 30, "CPU": 30}
    for name, value in hard.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    code = f"import resource\n[resource.getrlimit(getattr(resource, 'RLIMIT_' + n))[1] for n in {list(hard)}]"
    with Sandbox(preload=(), spares=0, limits=SandboxLimits(memory_bytes=8 << 30, file_bytes=1 << 30, cpu_s=60, wall_s=60)) as sandbox:
        found = sandbox.run_sync(code)
        bomb = sandbox.run_sync("x = bytearray(4 << 30)")
        return {"hard": list(hard.values()), "found": json.loads(found.value or "null"), "bomb": told(bomb), "level": found.level}


def _mount_read_only(*folders: str) -> None:
    if os.geteuid() != 0:
        raise Unavailable("only root can make a folder read-only for itself")
    try:
        _linux.unshare(_linux.CLONE_NEWNS)
        _linux.mount("none", "/", None, _linux.MS_REC | _linux.MS_PRIVATE)
        for folder in folders:
            # The folder itself and not an empty one over it: the package or its interpreter may lie there.
            _linux.mount(folder, folder, None, _linux.MS_BIND)
            _linux.mount("none", folder, None, _linux.MS_BIND | _linux.MS_REMOUNT | _linux.MS_RDONLY)
    except OSError as error:
        raise Unavailable(str(error)) from error


def read_only_tmp() -> Facts:
    os.environ["TMPDIR"] = "/tmp"
    _mount_read_only("/tmp")
    return {"level 3": used(), "level 2": used(disable=("namespaces",))}


def read_only_everywhere() -> Facts:
    os.environ["TMPDIR"] = "/tmp"
    _mount_read_only("/tmp", "/dev/shm")
    return {"level 3": used(), "level 2": used(disable=("namespaces",))}


def few_descriptors() -> Facts:
    """The supervisor may have few: what cannot be served is the sandbox's fault, and told as that; what was there before goes on, and so do the next ones."""

    async def crowd(sandbox: Sandbox) -> tuple[list[SandboxResult], list[SandboxResult]]:
        async with sandbox.session() as session:
            await session.run("x = 41")
            resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (60, 60))
            results = await asyncio.gather(*(sandbox.run("import time; time.sleep(0.3); 7") for _ in range(24)))
            return results, [await session.run("x + 1"), await sandbox.run("1 + 1")]

    with Sandbox(preload=(), spares=0, max_running=24) as sandbox:
        sandbox.run_sync("1")
        assert sandbox._link is not None
        supervisor = sandbox._link.process.pid
        results, after = asyncio.run(crowd(sandbox))
        return {
            "outcomes": sorted({str(result.outcome) for result in results}),
            "reasons": sorted({str(result.error) for result in results} - {"None"}),
            "values": sorted({result.value for result in results if result.ok} - {None}),
            "after": [told(result)[:2] for result in after],
            "replaced": sandbox._link.process.pid != supervisor,
        }


def low_soft_limit() -> Facts:
    """As on most machines: few descriptors unless one asks for more, and more sessions than those would do for."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    async def crowd(sandbox: Sandbox) -> list[Any]:
        async with contextlib.AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(sandbox.session()) for _ in range(60)]
            first = [await session.run(f"x = {n}") for n, session in enumerate(sessions)]
            again = [await session.run("x") for session in sessions]
        return [all(result.ok for result in first), [result.value for result in again] == [str(n) for n in range(60)]]

    with Sandbox(preload=(), spares=0, max_live_sessions=60) as sandbox:
        return {"right": asyncio.run(crowd(sandbox))}


def no_fork() -> Facts:
    """No memory for a fork, from the beginning: threads and new programs still start."""
    program = [(_LOAD, 0, 0, 0), (_JUMP_EQUAL, 0, 3, number("clone")), (_LOAD, 0, 0, 16), (_JUMP_SET, 1, 0, _CLONE_VM)]
    install([*program, (_RETURN, 0, 0, _ERRNO | errno.ENOMEM), (_RETURN, 0, 0, _ALLOW)])
    with Sandbox(preload=(), spares=0) as sandbox:
        begin = time.monotonic()
        result = sandbox.run_sync("1 + 1")
        facts = {"run": told(result), "why": result.error, "seconds": time.monotonic() - begin}
        try:
            sandbox.capabilities()
        except ToolwrightError as error:
            facts["refused"] = f"{type(error).__name__}: {error}"
    return {**facts, "left": len(descendants(os.getpid()))}


SCENARIOS: dict[str, Callable[[], Facts]] = {
    each.__name__: each
    for each in (
        no_namespaces,
        no_landlock,
        no_landlock_nor_namespaces,
        no_seccomp,
        low_limits,
        read_only_tmp,
        read_only_everywhere,
        few_descriptors,
        low_soft_limit,
        no_fork,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--user", choices=("same", "nobody"), default="same")
    options = parser.parse_args()
    try:
        if platform.machine() not in ("x86_64", "aarch64"):
            raise Unavailable(f"no numbers of system calls for {platform.machine()}")
        if options.user == "nobody":
            become_nobody()
        print(json.dumps(SCENARIOS[options.scenario]()))
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
