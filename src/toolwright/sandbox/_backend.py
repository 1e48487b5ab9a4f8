"""What anything that runs snippets promises, so that tools and verifiers need not know which it is.

`Sandbox` is the default; `Bubblewrap` and `FaultySandbox` are others. A new one passes ``tests/sandbox/test_backends.py``. Leaves out how isolation is reached:
a back end says that itself, by `SandboxCapabilities` and by the level on every result.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from toolwright.sandbox._types import SandboxCapabilities, SandboxLimits, SandboxResult


@runtime_checkable
class BackendSession(Protocol):
    """A place whose turns see the variables and files of the turns before."""

    async def run(self, code: str) -> SandboxResult:
        """What became of the next turn; `session_reset` says that the variables are lost. One turn at a time."""


@runtime_checkable
class SandboxBackend(Protocol):
    """Runs snippets apart from this process, and from one another."""

    @property
    def limits(self) -> SandboxLimits:
        """What a snippet may use where the caller does not say."""

    @property
    def digest(self) -> str:
        """Names everything that can change a snippet's outcome."""

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        """What became of the snippet. Cancelling the call ends it; waiting for a place is not part of its time.

        Raises: UsageError where the machine's isolation is weaker than the caller accepts. Every other failure of the back end is the outcome `INFRA`.
        """

    def session(self, *, limits: SandboxLimits | None = None, seed: int = 0) -> AbstractAsyncContextManager[BackendSession]:
        """A place for turns that share variables; the limits count for each turn.

        Raises: SandboxFault where there is no place left.
        """

    def capabilities(self) -> SandboxCapabilities:
        """The isolation reached, tried out. Raises: SandboxFault or UsageError where it cannot start."""

    async def aclose(self) -> None:
        """End everything; safe to call twice. A later use starts anew."""
