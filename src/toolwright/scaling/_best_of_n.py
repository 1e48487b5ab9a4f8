"""Best of n: the answer of the candidate the model itself found most probable, by mean log-probability per token, until reward models exist."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._parallel import ParallelStrategy, Pick, confidences, vote


def _pick(candidates: Sequence[Candidate]) -> Pick:
    voting = [c for c in candidates if c.votes]
    if any(c.mean_logp is None for c in voting):
        ones = tuple(1.0 if c.votes else 0.0 for c in candidates)
        return Pick(vote(candidates, ones), ones, "The engine gave no log-probabilities to rank by; the majority's answer was taken.")
    rewards = tuple(r if c.votes else 0.0 for c, r in zip(candidates, confidences(candidates), strict=True))
    best = max(zip(candidates, rewards, strict=True), key=lambda pair: pair[1]) if voting else None
    return Pick(best[0].answer if best else None, rewards)


best_of_n = ParallelStrategy("best_of_n", _pick, "The sample with the highest mean log-probability.")
