"""What runs snippets, one class each with the same few methods: this package's sandbox and the ways that others offer, each at its best documented setting.

A rival that is not installed says so; nothing here is needed to use the package. `apart` says whether snippets are kept from each other and from this
machine: a fast rival without it does something else than a sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CORES = len(os.sched_getaffinity(0))
_IMPORTS = "import numpy, sympy\n"
_WAIT_S = 120


class NotInstalled(Exception):
    """Why a rival cannot be measured here."""


class Runner:
    """One way to run snippets."""

    name = ""
    setting = ""
    apart = "nothing"
    has_turns = False
    """Whether it can keep variables from one snippet to the next."""

    async def start(self) -> None:
        """Be ready for the first snippet."""

    async def run(self, code: str) -> str:
        """What the snippet prints, run with no variables of others."""
        raise NotImplementedError

    async def turn(self, code: str) -> str:
        """What the snippet prints as the next turn of a conversation."""
        raise NotImplementedError

    async def close(self) -> None:
        """End everything."""


class OurSandbox(Runner):
    """`toolwright.sandbox.Sandbox`."""

    has_turns = True

    def __init__(self, name: str, disable: Sequence[str] = ()) -> None:
        from toolwright.sandbox import Sandbox, SandboxLimits

        self.name = name
        self.box = Sandbox(limits=SandboxLimits(wall_s=_WAIT_S, cpu_s=60), disable=disable)
        self.apart = self.setting = ""
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        await self.box.run("1")
        reached = self.box.capabilities()
        self.setting = "default" if reached.level >= 3 else f"level {reached.level}"
        self.apart = f"level {reached.level}: " + ", ".join(layer.name for layer in reached.layers if layer.active)
        self._session = await self._stack.enter_async_context(self.box.session())

    async def run(self, code: str) -> str:
        return _printed(await self.box.run(code))

    async def turn(self, code: str) -> str:
        return _printed(await self._session.run(code))

    async def close(self) -> None:
        await self._stack.aclose()
        await self.box.aclose()


class OurBubblewrap(Runner):
    """`toolwright.sandbox.Bubblewrap`: the same promises with bubblewrap's boxes."""

    name, setting, has_turns = "toolwright, bubblewrap back end", "a box and an interpreter for each snippet", True
    apart = "bubblewrap's namespaces, and our filters in it"

    def __init__(self) -> None:
        from toolwright.sandbox import Bubblewrap, SandboxLimits

        _need_program("bwrap")
        self.box = Bubblewrap(limits=SandboxLimits(wall_s=_WAIT_S, cpu_s=60), max_running=CORES)
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        await self.box.run("1")
        self._session = await self._stack.enter_async_context(self.box.session())

    async def run(self, code: str) -> str:
        return _printed(await self.box.run(code))

    async def turn(self, code: str) -> str:
        return _printed(await self._session.run(code))

    async def close(self) -> None:
        await self._stack.aclose()
        await self.box.aclose()


def _printed(result: Any) -> str:
    if result.outcome.value != "ok":
        raise RuntimeError(f"the sandbox said {result}")
    return str(result.stdout)


class FreshPython(Runner):
    """A new interpreter for each snippet; at most one for each core at a time, which is quickest."""

    apart = "a process of its own, no more"

    def __init__(self, name: str, setting: str, prefix: str = "", command: Sequence[str] = ()) -> None:
        self.name, self.setting, self._prefix = name, setting, prefix
        self._command = [*command, sys.executable, "-I", "-c"]
        self._threads = ThreadPoolExecutor(CORES)

    async def run(self, code: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, code)

    def _run(self, code: str) -> str:
        done = subprocess.run([*self._command, self._prefix + code], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
        return done.stdout

    async def close(self) -> None:
        self._threads.shutdown()


def plain_bubblewrap() -> Runner:
    """Bubblewrap as its manual shows it, around a fresh interpreter."""
    _need_program("bwrap")
    box = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    runner = FreshPython("bubblewrap + python -I", "bwrap --unshare-all, the whole root read-only", command=box)
    runner.apart = "namespaces; all files readable, no filter of system calls, no limits"
    return runner


class Kernels(Runner):
    """ipykernel: interpreters that stay, reached over sockets. Snippets share the variables of a kernel, so `run` is a turn."""

    name, setting, has_turns = "ipykernel", f"{CORES} kernels over ipc, store_history=False", True
    apart = "nothing: snippets share a process and its variables"

    def __init__(self) -> None:
        _need_package("ipykernel", "jupyter_client")
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._kernels: list[tuple[Any, Any]] = []

    async def start(self) -> None:
        from jupyter_client.manager import AsyncKernelManager

        for _ in range(CORES):
            manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
            manager.kernel_spec.argv[0] = sys.executable
            await manager.start_kernel()
            client = manager.client()
            client.start_channels()
            await client.wait_for_ready(timeout=60)
            self._kernels.append((manager, client))
            self._free.put_nowait(client)

    async def run(self, code: str) -> str:
        client = await self._free.get()
        try:
            return await _execute(client, code)
        finally:
            self._free.put_nowait(client)

    turn = run

    async def close(self) -> None:
        for manager, client in self._kernels:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)


async def _execute(client: Any, code: str) -> str:
    asked, printed = client.execute(code, store_history=False, allow_stdin=False), ""
    while True:
        message = await client.get_iopub_msg(timeout=_WAIT_S)
        if message["parent_header"].get("msg_id") != asked:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            printed += content["text"]
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            return printed


class PebblePool(Runner):
    """A pool of processes as ToRA's executor and its heirs use, kept between batches and with the libraries imported, which is quicker than theirs."""

    name, setting = "process pool (pebble, as in ToRA)", f"{CORES} workers that stay, numpy and sympy imported, time limit per task"
    apart = "nothing: snippets share a worker process with the caller's rights"

    def __init__(self) -> None:
        _need_package("pebble")

    async def start(self) -> None:
        from pebble import ProcessPool

        self._pool = ProcessPool(max_workers=CORES, initializer=_import_all)
        await asyncio.gather(*(self.run("import time; time.sleep(0.3); print(1)") for _ in range(CORES)))

    async def run(self, code: str) -> str:
        return str(await asyncio.wrap_future(self._pool.schedule(_exec_captured, args=(code,), timeout=_WAIT_S)))

    async def close(self) -> None:
        self._pool.stop()
        await asyncio.to_thread(self._pool.join)


def _import_all() -> None:
    exec(_IMPORTS, {})


def _exec_captured(code: str) -> str:
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    return printed.getvalue()


class Smolagents(Runner):
    """smolagents' LocalPythonExecutor: walks the syntax tree within this process."""

    name, setting, has_turns = "smolagents LocalPythonExecutor", "numpy and sympy authorised, a new executor for each snippet", True
    apart = "nothing: an interpreter within this process; its makers say it is no security boundary"

    def __init__(self) -> None:
        _need_package("smolagents")

    async def start(self) -> None:
        self._kept = self._executor()
        _import_all()

    def _executor(self) -> Any:
        from smolagents.local_python_executor import LocalPythonExecutor

        executor = LocalPythonExecutor(additional_authorized_imports=["numpy", "numpy.*", "sympy", "sympy.*"])
        executor.send_tools({})
        return executor

    async def run(self, code: str) -> str:
        return str(self._executor()(code).logs)

    async def turn(self, code: str) -> str:
        return str(self._kept(code).logs)


def _need_package(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise NotInstalled(f"the package {name} is not installed; scripts/bench sandbox makes an environment with it")


def _need_program(name: str) -> None:
    if shutil.which(name) is None:
        raise NotInstalled(f"{name} is not installed")


ALL = {
    "sandbox": lambda: OurSandbox("sandbox"),
    "sandbox_level_2": lambda: OurSandbox("sandbox, level 2", ("namespaces",)),
    "fresh": lambda: FreshPython("fresh python -I", "as many at a time as cores"),
    "fresh_sympy": lambda: FreshPython("fresh python -I, numpy and sympy imported", "as many at a time as cores", _IMPORTS),
    "bubblewrap": plain_bubblewrap,
    "bubblewrap_backend": OurBubblewrap,
    "ipykernel": Kernels,
    "pebble": PebblePool,
    "smolagents": Smolagents,
}
"""By the name used in results; the first is what the others are compared with."""


async def open_all(names: Sequence[str]) -> tuple[dict[str, Runner], dict[str, dict[str, Any]], dict[str, str]]:
    """(the runners that can be had, what each start took, why the others cannot)."""
    runners: dict[str, Runner] = {}
    starts: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    for name in names:
        before = memory_mib()
        try:
            runner = ALL[name]()
        except NotInstalled as error:
            missing[name] = str(error)
            continue
        begin = time.perf_counter()
        try:
            await runner.start()
            printed = await runner.run(_IMPORTS + "print(2 + 2)")
        except Exception as error:  # a rival's own failure is told, and the rest is measured
            missing[name] = f"it does not work here: {type(error).__name__}: {str(error)[:200]}"
            await runner.close()
            continue
        if printed.strip() != "4":
            raise RuntimeError(f"{name} says 2 + 2 is {printed!r}")
        runners[name] = runner
        starts[name] = {"name": runner.name, "setting": runner.setting, "apart": runner.apart, "start_s": time.perf_counter() - begin}
        starts[name]["memory_mib"] = memory_mib() - before
    return runners, starts, missing


def memory_mib() -> float:
    """What this process and all below it hold, each shared page counted in parts (PSS)."""
    total, front = 0.0, [os.getpid()]
    while front:
        pid = front.pop()
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/smaps_rollup") as stream:
                total += sum(int(line.split()[1]) for line in stream if line.startswith("Pss:")) / 1024
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as stream:
                    front += [int(child) for child in stream.read().split()]
    return total
