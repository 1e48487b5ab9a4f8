"""Majority: the answer most candidates gave, equivalent answers counted together (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._parallel import ParallelStrategy, Pick, vote


def _pick(candidates: Sequence[Candidate]) -> Pick:
    ones = tuple(1.0 if c.votes else 0.0 for c in candidates)
    return Pick(vote(candidates, ones), ones)


majority = ParallelStrategy("majority", _pick, "The answer most samples gave, equivalent answers counted together.")
