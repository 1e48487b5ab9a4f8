"""Weighted best of n: the answer with the largest sum of rewards over the candidates that gave it (the metric of arXiv 2504.04718's tables)."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick, ones, scores, vote
from toolwright.scaling._parallel import ParallelStrategy


def _pick(candidates: Sequence[Candidate]) -> Pick:
    found = scores(candidates)
    if found is None:
        equal = ones(candidates)
        told = "There is no reward model, and the engine gave no log-probabilities; all votes counted the same."
        return Pick(vote(candidates, equal), equal, told)
    return Pick(vote(candidates, found), found)


weighted = ParallelStrategy("weighted", _pick, "The answer with the largest sum of rewards, or of probabilities.", judging="rewards")
