"""Many verdicts as one, by the rule that every strategy uses: refuted if any refutes."""

from __future__ import annotations

from collections.abc import Sequence

from toolwright.episodes import Cost, Verdict


def combine(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict: refuted if any refutes, else the lowest score that was given, else undecided.

    Reasons of the verdicts that settle it come first and alone where something is refuted; evidence and costs are those of all. Rewards settle nothing here:
    they are ranked with, not filtered by.
    """
    refuting = [v for v in verdicts if v.refuted]
    decided = [v for v in verdicts if v.score is not None and not v.is_reward]
    telling = refuting or decided or [v for v in verdicts if not v.is_reward]
    return Verdict(
        score=min((v.score for v in decided if v.score is not None), default=None),
        reason=" ".join(dict.fromkeys(v.reason for v in telling)) or "Nothing checked it.",
        verifier="+".join(dict.fromkeys(v.verifier for v in verdicts if v.verifier)),
        evidence=tuple(result for v in verdicts for result in v.evidence),
        cost=sum((v.cost for v in verdicts), Cost()),
    )
