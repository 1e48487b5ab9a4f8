"""A back end that leaves namespaces and root directory to bubblewrap: every snippet gets a box and a fresh interpreter of its own.

Slower than `Sandbox` by the start of an interpreter and of the snippet's imports, with nothing forked from a warm process; for those who trust bubblewrap
more than this package. Inside the box the snippet takes the usual lock-down (limits, Landlock, seccomp). Leaves out warm starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolwright.episodes import digest
from toolwright.errors import SandboxFault, UsageError
from toolwright.sandbox._client import _encode, _refusal, need_linux
from toolwright.sandbox._types import Layer, Outcome, SandboxCapabilities, SandboxLimits, SandboxResult

if TYPE_CHECKING:
    from toolwright.sandbox._box import Box  # needs Linux, which only using it should

VERSION = 1
DISABLEABLE = ("landlock", "seccomp", "user")
_SEEDED = ("numpy", "sympy")
"""Loaded before the snippet starts where it names them, because they have random generators of their own that the seed must reach."""
_ATTEMPTS = 3


class Bubblewrap:
    """Runs each snippet, or session, with a fresh interpreter in a bubblewrap box.

    `importable` names more folders that snippets may import from (and read); `program` is bubblewrap's command. Called by root, snippets run as user 65534
    (bubblewrap then needs no user namespace); the number of their threads is then bounded by watching only.

    Raises: UsageError where bubblewrap is missing, or where Landlock cannot be had and the caller did not say `allow_degraded`.
    """

    def __init__(
        self,
        *,
        limits: SandboxLimits | None = None,
        max_running: int | None = None,
        max_sessions: int = 64,
        importable: Sequence[str | Path] = (),
        allow_degraded: bool = False,
        disable: Collection[str] = (),
        program: str = "bwrap",
    ) -> None:
        need_linux()
        if unknown := set(disable) - set(DISABLEABLE):
            raise UsageError(f"disable={sorted(unknown)} names no layer; give some of {', '.join(DISABLEABLE)}")
        for name, value in (("max_running", max_running), ("max_sessions", max_sessions)):
            if value is not None and value < 1:
                raise UsageError(f"{name}={value} is out of range; give 1 or more")
        self.limits = SandboxLimits() if limits is None else limits
        self._max_running = max_running or len(os.sched_getaffinity(0)) + 1
        self._max_sessions = max_sessions
        self._minimum_level = 1 if allow_degraded else 2
        self._importable = tuple(str(Path(folder).resolve()) for folder in importable)
        self._disable = tuple(sorted(disable))
        self._program = program
        self._guard = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._boxes: set[Box] = set()
        self._sessions = 0
        self._found: SandboxCapabilities | None = None

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        source = _encode(code)
        verdict: dict[str, Any] = {}
        for _ in range(_ATTEMPTS):
            verdict = await self._turn(self._box(limits or self.limits, loaded=[name for name in _SEEDED if name in code]), source, seed)
            if verdict["outcome"] != "infra":
                break
        return self._result(verdict)

    def session(self, *, limits: SandboxLimits | None = None, seed: int = 0) -> AbstractAsyncContextManager[BubblewrapSession]:
        return self._session(limits or self.limits, seed)

    @contextlib.asynccontextmanager
    async def _session(self, limits: SandboxLimits, seed: int) -> AsyncIterator[BubblewrapSession]:
        with self._guard:
            if self._sessions >= self._max_sessions:
                raise SandboxFault(f"{self._max_sessions} sessions are open already; close some, or raise max_sessions")
            self._sessions += 1
        session = BubblewrapSession(self, limits, seed)
        try:
            yield session
        finally:
            session.close()
            with self._guard:
                self._sessions -= 1

    def capabilities(self) -> SandboxCapabilities:
        from toolwright.sandbox._zygote import _level

        if self._found is None:
            began = time.monotonic()
            layers = {"namespaces": (True, "made by bubblewrap"), "root": (True, "made by bubblewrap: read-only libraries and nothing else")}
            layers |= self._box(None).try_layers()
            named = tuple(Layer(name, active, why) for name, (active, why) in layers.items())
            self._found = SandboxCapabilities(_level(layers), named, time.monotonic() - began)
        return self._found

    @property
    def digest(self) -> str:
        return digest("bubblewrap", VERSION, self.limits, self._importable, *self._disable)

    async def aclose(self) -> None:
        with self._guard:
            boxes, threads, self._threads = list(self._boxes), self._threads, None
        for box in boxes:
            box.close()
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    async def __aenter__(self) -> Bubblewrap:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # ---- what boxes and sessions use ----

    def _box(self, limits: SandboxLimits | None, *, session: bool = False, loaded: Sequence[str] = ()) -> Box:
        from toolwright.sandbox._box import Box, Setting

        return Box(Setting(self._program, self._importable, self._disable), limits, session=session, loaded=loaded)

    async def _turn(self, box: Box, source: bytes, seed: int) -> dict[str, Any]:
        """The verdict, worked out in a thread of ours; giving up on it kills the box.

        The threads stay as long as the back end: a box dies with the thread that started it.
        """
        with self._guard:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._max_running, thread_name_prefix="bubblewrap")
            self._boxes.add(box)
            working = self._threads.submit(self._checked_turn, box, source, seed)
        try:
            return await asyncio.wrap_future(working)
        except asyncio.CancelledError:
            box.close()
            raise
        finally:
            if not box.alive:
                self._boxes.discard(box)

    def _checked_turn(self, box: Box, source: bytes, seed: int) -> dict[str, Any]:
        """The verdict, where the isolation is good enough."""
        try:
            found = self.capabilities()
        except SandboxFault as error:
            return {"outcome": "infra", "texts": ["", "", None, str(error)]}
        if found.level < self._minimum_level:
            raise UsageError(_refusal(found.level, {layer.name: (layer.active, layer.why) for layer in found.layers}))
        return box.turn(source, seed, missing=[layer.name for layer in found.layers if not layer.active])

    def _result(self, verdict: dict[str, Any]) -> SandboxResult:
        stdout, stderr, value, error = verdict.pop("texts")
        level = 0 if self._found is None else self._found.level
        fields = {**verdict, "outcome": Outcome(verdict["outcome"])}
        return SandboxResult(**fields, stdout=stdout or "", stderr=stderr or "", value=value, error=error, level=level)


class BubblewrapSession:
    """A box that stays between turns; made by `Bubblewrap.session`. It starts with the first turn."""

    def __init__(self, owner: Bubblewrap, limits: SandboxLimits, seed: int) -> None:
        self._owner, self._limits, self._seed = owner, limits, seed
        self._box: Box | None = None
        self._lost = False

    async def run(self, code: str) -> SandboxResult:
        source = _encode(code)
        if self._box is not None and not self._box.alive:
            self.close()
            self._lost = True
        if self._box is None:
            self._box = self._owner._box(self._limits, session=True, loaded=_SEEDED)
        box, lost = self._box, self._lost
        try:
            verdict = await self._owner._turn(box, source, self._seed)
        except asyncio.CancelledError:
            self.close()
            self._lost = True
            raise
        if box.alive:
            self._lost = False
        else:
            self.close()
            lost, self._lost = True, False
        return replace(self._owner._result(verdict), session_reset=lost)

    def close(self) -> None:
        """End the session's box."""
        if self._box is not None:
            self._box.close()
            self._owner._boxes.discard(self._box)
            self._box = None
