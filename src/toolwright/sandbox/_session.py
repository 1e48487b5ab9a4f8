"""Sessions on the caller's side: a snippet process that stays between turns, and second ones that start where it stands."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolwright.errors import SandboxFault
from toolwright.sandbox._exchange import LostError, exchange
from toolwright.sandbox._types import Outcome, SandboxResult
from toolwright.sandbox._wire import pack_message

if TYPE_CHECKING:
    import socket

    from toolwright.sandbox._client import Sandbox

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Replay:
    """What it cost to bring a forked session to where the first one stood."""

    turns: int
    cpu_s: float
    wall_s: float
    exact: bool
    """Every turn ended, printed and gave the same again. Where not (clocks, addresses, timeouts), the two sessions may differ in their variables too."""


class SandboxSession:
    """A snippet process that stays alive between turns; made by `Sandbox.session`."""

    def __init__(self, sandbox: Sandbox, opening: bytes, seed: int) -> None:
        self._sandbox = sandbox
        self._opening = opening
        self._seed = seed
        self._sock: socket.socket | None = None
        self._history: list[tuple[str, bytes]] = []
        """The turns since the process began, each with a digest of its result."""
        self.replay: Replay | None = None
        """Set on a session that was made by `fork`."""

    async def open(self) -> None:
        """Take a place for the session; its process starts with the first turn."""
        header = await self._opened()
        if "refused_session" in header:
            raise SandboxFault(f"{header['refused_session']} sessions are open already; close some, or raise max_sessions")

    async def _opened(self) -> dict[str, Any]:
        """The supervisor's answer; one that ends in between is tried anew, as nothing has happened yet."""
        for _ in range(_ATTEMPTS):
            self._sock = self._sandbox._connect()
            try:
                return (await exchange(self._sock, self._opening))[0]
            except LostError:
                self.close()
        raise SandboxFault("the sandbox's supervisor ends again and again")

    async def run(self, code: str) -> SandboxResult:
        """What became of the next turn; variables stay unless `session_reset` says they were lost.

        A turn that runs into a time limit is first interrupted (KeyboardInterrupt), and killed a second later if that does not help. Cancelling the call
        ends the session's process.

        Raises: UsageError where the isolation level is not accepted.
        """
        lost = self._sock is None
        if self._sock is None:
            await self.open()
        try:
            result, ended = await self._turn(code)
        except LostError:
            self.close()
            return self._sandbox._lost_result(session_reset=True)
        except asyncio.CancelledError:
            self.close()
            raise
        if result.session_reset:
            self._history.clear()
        if not ended:
            self._history.append((code, _fingerprint(result)))
        return replace(result, session_reset=True) if lost else result

    async def _turn(self, code: str) -> tuple[SandboxResult, bool]:
        """The turn's result, and whether the process ended with it."""
        from toolwright.sandbox._client import _encode

        if self._sock is None:
            raise LostError
        header, blobs = await exchange(self._sock, pack_message({"op": "turn", "seed": self._seed}, [_encode(code)]))
        return self._sandbox._result(header, blobs), bool(header.get("ended"))

    def fork(self) -> AbstractAsyncContextManager[SandboxSession]:
        """A second session that stands where this one stands, for searches that branch; the two share nothing from then on.

        It is made by running this one's turns again, from its process's start and with its seed, in a process of its own: that works at every level of
        isolation, and costs what the turns cost. `SandboxSession.replay` of the new session tells that cost, which counts against its totals, and whether
        every turn ended as it did here.

        Raises: SandboxFault where too many sessions are open, or where the turns cannot be run again.
        """
        return self._fork(list(self._history))

    @contextlib.asynccontextmanager
    async def _fork(self, history: list[tuple[str, bytes]]) -> AsyncIterator[SandboxSession]:
        branch = SandboxSession(self._sandbox, self._opening, self._seed)
        try:
            await branch.open()
            cpu_s = wall_s = 0.0
            exact = True
            for code, fingerprint in history:
                result = await branch.run(code)
                if result.outcome is Outcome.INFRA or result.session_reset:
                    raise SandboxFault(f"the session cannot be forked: one of its turns ended as {result.outcome} when it was run again ({result.error})")
                cpu_s, wall_s = cpu_s + result.cpu_s, wall_s + result.wall_s
                exact = exact and _fingerprint(result) == fingerprint
            branch.replay = Replay(len(history), cpu_s, wall_s, exact)
            yield branch
        finally:
            branch.close()

    def close(self) -> None:
        """End the session's process."""
        self._history.clear()
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def _fingerprint(result: SandboxResult) -> bytes:
    said = repr((str(result.outcome), result.exit_code, result.stdout, result.stderr, result.value, result.error))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
