"""What an attack is: a numbered row of snippets or stories, each with what must come of it at every level, one-shot and as a session's turn.

The rows themselves stand in `rows_*.py`, one file a theme; `attack_stage` plays them. Leaves out how a sandbox is made and what is checked after each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolwright.sandbox import Outcome, SandboxLimits, SandboxResult

if TYPE_CHECKING:
    from attack_stage import Stage

Check = Callable[[SandboxResult], bool]
LEVELS = (3, 2, 1)
WAYS = ("one-shot", "session")
LIMITS = SandboxLimits(wall_s=20.0, cpu_s=0.3, memory_bytes=192 << 20, file_bytes=1 << 20)
"""The wall is far away, so that a busy machine changes nothing."""
SHORT = SandboxLimits(wall_s=0.8, cpu_s=20.0, memory_bytes=192 << 20, file_bytes=1 << 20)
"""For what sleeps, or waits for what will not come."""
CPU, WALL, OK, ERROR, KILLED, MEMORY = (
    Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL, Outcome.OK, Outcome.ERROR, Outcome.KILLED, Outcome.MEMORY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the attack list."""

    number: int
    attack: str
    must: str
    """What has to hold, in words."""


@dataclass(frozen=True, slots=True)
class Case:
    """One snippet of a row, and what must come of it."""

    number: int
    name: str
    code: str
    holds: Check
    below: Check | None = None
    """At level 2 (and 1) where that differs from level 3, as documented."""
    through: Check | None = None
    """At level 1 where files are open to it, as documented: this shows that the attack goes through."""
    turn: Check | None = None
    """As a session's turn, where that differs from a run of its own."""
    limits: SandboxLimits = LIMITS
    only: str = ""
    """The machine architecture it is written for; empty for all."""

    def expected(self, level: int, way: str) -> Check:
        """The check for a level and a way."""
        if way == "session" and self.turn is not None:
            return self.turn
        if level == 1 and self.through is not None:
            return self.through
        return self.below if level < 3 and self.below is not None else self.holds


@dataclass(frozen=True, slots=True)
class Story:
    """Several runs that belong together; it ends in a few words on what happened, or in an AssertionError."""

    number: int
    name: str
    play: Callable[[Stage], Awaitable[str]]
    ways: tuple[str, ...] = ("one-shot",)
    levels: tuple[int, ...] = LEVELS
    slow: bool = False
    """Not in the default run."""


def ends(*outcomes: Outcome) -> Check:
    """It ended in one of these ways."""
    return lambda result: result.outcome in outcomes


def fails(*names: str) -> Check:
    """It ended in an uncaught exception of one of these names."""
    return lambda result: result.outcome is ERROR and result.error is not None and result.error.split(":")[0] in names


def says(text: str) -> Check:
    """It came to its end and printed just this."""
    return lambda result: result.outcome is OK and result.stdout == text + "\n"


def dies_of(number: int) -> Check:
    """This signal, which was not ours, killed it."""
    return lambda result: result.outcome is KILLED and result.signal == number


def either(*checks: Check) -> Check:
    """One of the checks holds."""
    return lambda result: any(check(result) for check in checks)


REFUSED = fails("PermissionError", "OSError", "FileNotFoundError")
THROUGH = ends(OK)


def told(result: SandboxResult) -> str:
    """How a run ended, in as few words as tell it: `timeout_cpu`, `error PermissionError`, `error exit 3`, `killed 11`."""
    if result.outcome is ERROR:
        name = result.error.split(":")[0].split("(")[0].strip() if result.error else ""
        return f"error {name.rsplit('.', 1)[-1]}" if name and name != "SystemExit" else f"error exit {result.exit_code}"
    return f"killed {result.signal}" if result.outcome is KILLED else str(result.outcome)
