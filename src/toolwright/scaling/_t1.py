"""T1: filter, score, vote (arXiv 2504.04718, §4: the answer with the largest sum of f · r).

f is 0 for a candidate that any verifier refutes and 1 else; *could not decide* never drops. r is the geometric mean probability of the candidate's tokens
until reward models exist, and 1 for all where the engine gives no log-probabilities: then this is the majority among what was not refuted. What the paper
leaves open: where every candidate with an answer is refuted, f is dropped and all vote with r, and the choice says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._parallel import ParallelStrategy, Pick, confidences, vote


def _pick(candidates: Sequence[Candidate]) -> Pick:
    scores = [r if c.votes else 0.0 for c, r in zip(candidates, confidences(candidates), strict=True)]
    filtered = tuple(0.0 if c.verdict.refuted else r for c, r in zip(candidates, scores, strict=True))
    answer = vote(candidates, filtered)
    if answer is not None or not any(scores):
        return Pick(answer, filtered)
    voting = sum(c.votes for c in candidates)
    told = "The one candidate with an answer was refuted" if voting == 1 else f"All {voting} candidates with an answer were refuted"
    return Pick(vote(candidates, scores), tuple(scores), f"{told}; the vote was taken without the filter.")


t1 = ParallelStrategy("t1", _pick, "Refuted samples have no vote; the others vote with their probability.", asks_verifiers=True)
