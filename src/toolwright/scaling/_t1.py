"""T1: filter, score, vote (arXiv 2504.04718, §4).

f is 0 for a candidate that any filter refutes and 1 else; *could not decide* never drops. r is the mean score of the reward models, without them the geometric
mean probability of the candidate's tokens, and 1 for all where there is neither. `t1` takes the answer with the largest sum of f · r (what the paper's tables
measure), `t1_argmax` the one candidate with the largest f · r (its formula), `filtered` the majority of what f left (its ToolV alone). What the paper leaves
open: where every candidate with an answer is refuted, f is dropped and the choice says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from toolwright.scaling._candidates import Candidate
from toolwright.scaling._choosing import Pick, Rule, best, ones, ranking, scores, vote
from toolwright.scaling._parallel import ParallelStrategy

_Taking = Callable[[Sequence[Candidate], Sequence[float]], str | None]
_Weighing = Callable[[Sequence[Candidate]], tuple[float, ...]]


def _worth(candidates: Sequence[Candidate]) -> tuple[float, ...]:
    return scores(candidates) or ones(candidates)


def kept(candidates: Sequence[Candidate], weigh: _Weighing = _worth) -> tuple[float, ...]:
    """What each candidate votes with: f · r."""
    left = [c for c in candidates if not c.verdict.refuted]
    # Only what is left is scored: rewards of refuted candidates are not asked for, and must not change those of the others.
    worth = iter(weigh(left)) if left else iter(())
    return tuple(0.0 if c.verdict.refuted else next(worth) for c in candidates)


def _rule(take: _Taking, weigh: _Weighing, done: str) -> Rule:
    def pick(candidates: Sequence[Candidate]) -> Pick:
        filtered = kept(candidates, weigh)
        answer = take(candidates, filtered)
        voting = sum(c.votes for c in candidates)
        if answer is not None or not voting:
            return Pick(answer, filtered)
        told = "The one candidate with an answer was refuted" if voting == 1 else f"All {voting} candidates with an answer were refuted"
        unfiltered = weigh(candidates)
        return Pick(take(candidates, unfiltered), unfiltered, f"{told}; {done} without the filter.", unfiltered=True)

    return pick


t1_rule = _rule(vote, _worth, "the vote was taken")
t1 = ParallelStrategy("t1", t1_rule, "Refuted samples have no vote; the others vote with their reward or probability.", judging="t1")
t1_argmax = ParallelStrategy(
    "t1_argmax",
    _rule(best, _worth, "the best was taken"),
    "The one sample with the highest reward (or probability) among those not refuted.",
    judging="t1",
    ranks=partial(ranking, filtered=True),
)
filtered = ParallelStrategy(
    "filtered", _rule(vote, ones, "the vote was taken"), "The answer most samples gave among those not refuted; no rewards.", judging="filters"
)
