"""Greedy: the one sample at temperature 0. What every other strategy is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick
from toolwright.scaling._parallel import ParallelStrategy


def _pick(candidates: Sequence[Candidate]) -> Pick:
    return Pick(candidates[0].answer, tuple(1.0 for _ in candidates))


greedy = ParallelStrategy("greedy", _pick, "One sample at temperature 0.", temperature=0.0, samples=1)
