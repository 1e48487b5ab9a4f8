"""Two stages without a tool: the reward models filter, then score with a second pass (the paper's control, arXiv 2504.04718, table 12).

It spends on a second opinion of the same kind what T1 spends on a tool, so it tells whether the tool or the second look helps.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick, ones, scores, vote
from toolwright.scaling._parallel import ParallelStrategy

THRESHOLD = 0.5
"""A first pass below it drops the candidate."""


def _pick(candidates: Sequence[Candidate]) -> Pick:
    voting = [c for c in candidates if c.votes]
    if not any(c.reward is not None for c in voting):
        found = scores(candidates) or ones(candidates)
        told = "There is no reward model for two passes; the vote was taken without any."
        return Pick(vote(candidates, found), found, told if voting else None)
    second = tuple(0.0 if not c.votes else max(1e-9, _second(c)) for c in candidates)
    left = tuple(0.0 if c.reward is not None and c.reward < THRESHOLD else w for c, w in zip(candidates, second, strict=True))
    answer = vote(candidates, left)
    if answer is not None or not voting:
        return Pick(answer, left)
    told = f"The first pass dropped all {len(voting)} candidates with an answer; the vote was taken with the second alone."
    return Pick(vote(candidates, second), second, told)


def _second(candidate: Candidate) -> float:
    """The second pass's score; the first's where there was no other, and undecided counts as the threshold."""
    for score in (candidate.second_reward, candidate.reward):
        if score is not None:
            return score
    return THRESHOLD


two_stage = ParallelStrategy(
    "two_stage", _pick, "Reward models alone, in two passes: the first drops, the second weighs the votes.", judging="rewards", second_passes=True
)
