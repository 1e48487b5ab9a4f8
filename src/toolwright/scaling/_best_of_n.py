"""Best of n: the answer of the one best candidate, by the reward models' mean score, or else by the probability the model itself gave it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick, best, ones, ranking, scores, vote
from toolwright.scaling._parallel import ParallelStrategy


def _pick(candidates: Sequence[Candidate]) -> Pick:
    found = scores(candidates)
    if found is None:
        equal = ones(candidates)
        told = "There is no reward model, and the engine gave no log-probabilities to rank by; the majority's answer was taken."
        return Pick(vote(candidates, equal), equal, told)
    return Pick(best(candidates, found), found)


best_of_n = ParallelStrategy(
    "best_of_n",
    _pick,
    "The one sample with the highest reward, or the highest mean log-probability.",
    judging="rewards",
    ranks=partial(ranking, filtered=False),
)
