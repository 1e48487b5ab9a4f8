"""The wall clock of a child that has to wait for a core, without a child: what others took of the machine is forgiven, what its own threads took is not."""

from __future__ import annotations

import time

import pytest

from toolwright.sandbox import _running
from toolwright.sandbox._running import CORES, Child, Limits, Turn

LIMITS = Limits(wall_s=1.0, cpu_s=1000.0, memory_bytes=64 << 20, output_bytes=1000, file_bytes=0, threads=7)


@pytest.mark.parametrize(
    ("elapsed_s", "waited_s", "cpu_s", "stopped"),
    [
        (1.1, 0.0, 1.0, True),
        (1.5, 1.2, 0.3, False),
        (4.1, 9.0, 0.1, True),
        (1.5, 9.0, 1.5 * CORES, True),
        (1.5, 9.0, 0.75 * CORES, False),
    ],
    ids=["unloaded", "starved by others", "starved for too long", "starved by its own threads", "by both"],
)
def test_waiting_for_a_core_is_forgiven_up_to_what_others_took(
    monkeypatch: pytest.MonkeyPatch, elapsed_s: float, waited_s: float, cpu_s: float, stopped: bool
) -> None:
    monkeypatch.setattr(_running, "_run_delay_s", lambda pid: waited_s)
    monkeypatch.setattr(Child, "cpu_used_s", lambda self: cpu_s)
    child = Child(1, LIMITS, session=False)
    try:
        child.ready = True
        child.begin(Turn(b"1", 0))
        assert child.turn is not None
        child.check(child.turn.started + elapsed_s)
        assert (child.turn.stopped_for == "timeout_wall") is stopped
        wait = child.next_check(time.monotonic())
        assert wait is not None and wait >= 0
    finally:
        child.close_theirs()
        child.close()
