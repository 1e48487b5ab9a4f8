"""How far an evaluation is, and how long it will still take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a sampling run stands."""

    done: int
    """Samples that are there, stored ones included."""
    total: int
    stored: int
    """Of `done`, those that an earlier run had drawn."""
    faults: int
    elapsed_s: float
    left_s: float | None
    """Estimated; None until the first samples of this run are there."""


OnProgress = Callable[[Progress], None]


def estimate_s(*, left: int, drawn: int, elapsed_s: float, in_flight: int, latency_s: float) -> float | None:
    """Seconds until the samples left are drawn; None before the first one.

    `latency_s`: the sum of how long each of the `drawn` samples took. While fewer samples are through than are in flight at once, the pace so far says little
    (most of the work done is not finished), so the pace is taken from how long one takes: samples in flight / seconds of one.
    """
    if left <= 0:
        return 0.0
    if drawn == 0:
        return None
    if drawn < in_flight and latency_s > 0:
        return left * (latency_s / drawn) / in_flight
    return left * elapsed_s / drawn
