"""How well a filter or a score tells right from wrong: rates with bounds, and the area under the ROC curve. Plain data; nothing here runs a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolwright.episodes import Verdict
from toolwright.evaluation import wilson


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % Wilson interval."""

    value: float | None
    """None where there was nothing to count."""
    low: float
    high: float
    count: int
    """What it is a share of."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What a verifier does to right and wrong solutions, in the theory's letters."""

    verifier: str
    q: Rate
    """Right solutions that it lets through (accepted or undecided)."""
    p: Rate
    """Wrong solutions that it refutes."""
    decided: Rate
    """Solutions on which it had a say."""
    auc: float | None
    """The chance that a right solution's score is above a wrong one's, ties counting half; None where either is missing."""


def rate(successes: int, count: int) -> Rate:
    """The share and its interval."""
    low, high = wilson(successes, count)
    return Rate(successes / count if count else None, low, high, count)


def quality(verifier: str, verdicts: Sequence[tuple[Verdict, bool]]) -> Quality:
    """The quality of (verdict, solution was right) pairs. A reward counts as refuting below one half, which is where its two words are equally likely."""
    right = [v for v, good in verdicts if good]
    wrong = [v for v, good in verdicts if not good]
    scored = [(v.score, good) for v, good in verdicts if v.score is not None]
    return Quality(
        verifier,
        q=rate(sum(not _against(v) for v in right), len(right)),
        p=rate(sum(_against(v) for v in wrong), len(wrong)),
        decided=rate(len(scored), len(verdicts)),
        auc=area([s for s, good in scored if good], [s for s, good in scored if not good]),
    )


def area(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The area under the ROC curve: how often a right one's score is above a wrong one's, ties counting half; None where either is missing."""
    if not right or not wrong:
        return None
    ordered = sorted([(s, True) for s in right] + [(s, False) for s in wrong], key=lambda each: each[0])
    above, below, at = 0.0, 0, 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end][0] == ordered[at][0]:
            end += 1
        good = sum(is_right for _, is_right in ordered[at:end])
        bad = end - at - good
        above += good * (below + bad / 2)
        below += bad
        at = end
    return above / (len(right) * len(wrong))


def _against(verdict: Verdict) -> bool:
    return verdict.score is not None and verdict.score < 0.5
