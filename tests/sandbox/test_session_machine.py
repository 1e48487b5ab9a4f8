"""Sessions under any order of open, run, time out, crash, close and forge, against a simple model: a number each holds, or has lost and says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule, run_state_machine_as_test

from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxResult, SandboxSession

LIMITS = SandboxLimits(wall_s=30.0, cpu_s=0.12, memory_bytes=64 << 20)
HARMLESS = ("1/0", "raise SystemExit(3)", "import sys; sys.exit()", "def f(:", "print('x' * 10**6)", "'y' * 10**6", "bytearray(1 << 30)", "open('/etc/passwd')")
DEADLY = (
    "import os; os._exit(0)",
    "import os; os._exit(9)",
    "import ctypes; ctypes.string_at(0)",
    "import os; os.kill(os.getpid(), 9)",
    "import os; os.closerange(0, 50)",
)
ENDLESS = ("while True: pass", "while True:\n try:\n  while True: pass\n except BaseException: pass")


class SessionMachine(RuleBasedStateMachine):
    """What the sandbox says, beside what a dictionary says."""

    sandbox: Sandbox
    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.held: dict[int, int | None] = {}
        """By session: the number its variable holds; None where it has none."""
        self.opened: dict[int, tuple[Any, SandboxSession]] = {}
        self.made = 0

    def run(self, key: int, code: str) -> SandboxResult:
        """A turn; the model forgets what the sandbox says is lost."""
        result = self.loop.run_until_complete(self.opened[key][1].run(code))
        assert result.outcome is not Outcome.INFRA, result
        assert result.level >= 2
        if result.session_reset:
            self.held[key] = None
        return result

    @initialize()
    def begin(self) -> None:
        """The sandbox is shared by all runs of the machine."""
        self.sandbox.capabilities()

    @rule(target=sessions)
    def open(self) -> Any:
        """A session with nothing in it."""
        if len(self.opened) >= 4:
            return multiple()
        context = self.sandbox.session()
        self.made += 1
        self.opened[self.made] = (context, self.loop.run_until_complete(context.__aenter__()))
        self.held[self.made] = None
        return self.made

    @rule(key=sessions, number=st.integers(-1000, 1000))
    def put(self, key: int, number: int) -> None:
        """It holds what was put last."""
        result = self.run(key, f"held = {number}")
        assert result.ok, result
        self.held[key] = number

    @rule(key=sessions)
    def look(self, key: int) -> None:
        """It says what the model says; where the loss is told only now, the name is unknown."""
        before = self.held[key]
        result = self.run(key, "held")
        if before is None or result.session_reset:
            assert result.error == "NameError: name 'held' is not defined", result
        else:
            assert result.value == str(before), result

    @rule(key=sessions, code=st.sampled_from(HARMLESS))
    def stumble(self, key: int, code: str) -> None:
        """An error loses nothing."""
        before = self.held[key]
        result = self.run(key, code)
        assert before is None or self.held[key] == before or result.session_reset, result
        assert not result.session_reset, (code, result)

    @rule(key=sessions, code=st.sampled_from(DEADLY))
    def die(self, key: int, code: str) -> None:
        """A dead process is told, in this turn or the next."""
        result = self.run(key, code)
        if not result.session_reset:
            result = self.run(key, "held")
            assert result.session_reset, result
        self.held[key] = None

    @rule(key=sessions, code=st.sampled_from(ENDLESS))
    def hang(self, key: int, code: str) -> None:
        """A time limit is told as one; the variable stays, or its loss is told."""
        result = self.run(key, code)
        assert result.outcome is Outcome.TIMEOUT_CPU, result

    @rule(key=sessions)
    def cancel(self, key: int) -> None:
        """A turn that is given up takes the session's process with it, and the next turn says so."""

        async def give_up() -> None:
            task = asyncio.ensure_future(self.opened[key][1].run("import time; time.sleep(20)"))
            await asyncio.sleep(0.03)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        self.loop.run_until_complete(give_up())
        self.held[key] = None
        result = self.run(key, "held")
        assert result.session_reset and result.error == "NameError: name 'held' is not defined", result

    @rule(key=consumes(sessions))
    def close(self, key: int) -> None:
        """A closed session is gone."""
        context, _ = self.opened.pop(key)
        del self.held[key]
        self.loop.run_until_complete(context.__aexit__(None, None, None))

    @invariant()
    def strangers_see_nothing(self) -> None:
        """A run of its own knows nobody's variable."""
        result = self.loop.run_until_complete(self.sandbox.run("held"))
        assert result.error == "NameError: name 'held' is not defined", result

    def teardown(self) -> None:
        """Close what is open."""
        for context, _ in self.opened.values():
            self.loop.run_until_complete(context.__aexit__(None, None, None))
        self.loop.close()


def play(examples: int, steps: int) -> None:
    chosen = settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck))
    with Sandbox(limits=LIMITS, preload=(), spares=1) as sandbox:
        machine = type("Machine", (SessionMachine,), {"sandbox": sandbox})
        run_state_machine_as_test(machine, settings=chosen)  # type: ignore[no-untyped-call]


def test_any_order_of_events() -> None:
    play(examples=5, steps=14)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_orders_of_events() -> None:
    play(examples=150, steps=40)
