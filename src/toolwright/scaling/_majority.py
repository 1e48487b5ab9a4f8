"""Majority: the answer most candidates gave, equivalent answers counted together (self-consistency, arXiv 2203.11171)."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick, ones, vote
from toolwright.scaling._parallel import ParallelStrategy


def _pick(candidates: Sequence[Candidate]) -> Pick:
    equal = ones(candidates)
    return Pick(vote(candidates, equal), equal)


majority = ParallelStrategy("majority", _pick, "The answer most samples gave, equivalent answers counted together.")
