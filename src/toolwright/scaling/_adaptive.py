"""Adaptive: draw in growing batches, and stop as soon as more samples would hardly change the answer.

Votes are T1's (refuted candidates have none). It stops where the posterior says that the leading answer will still lead after the whole budget, and sooner
where tools confirmed that answer. It decides on the first 1, 2, 3, … candidates in draw order, so equal seeds stop at the same place however quick each sample
was; what is in flight is cancelled. The thresholds are parameters, to be fixed on problems that are not tested on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from toolwright.episodes import Attempt, Budget, Choice, Problem, Verifier
from toolwright.errors import UsageError
from toolwright.scaling._candidates import Candidate, Judging
from toolwright.scaling._choosing import Rule, chosen
from toolwright.scaling._gathering import gather
from toolwright.scaling._majority import majority
from toolwright.scaling._parallel import ParallelStrategy, reward_the_refuted
from toolwright.scaling._posterior import beats_second, leads, stays
from toolwright.scaling._t1 import kept, t1_rule

Stop = Literal["stays", "leads", "beats_second"]


@dataclass(frozen=True, slots=True)
class Adaptive:
    """T1 (or another vote) over no more samples than it takes."""

    name: str = "adaptive"
    about: str = "T1 in growing batches that stop once the answer is settled."
    first: int = 4
    """The first batch; nothing stops sooner."""
    growth: float = 2.0
    """How much larger the number drawn is after each batch."""
    stop: Stop = "stays"
    """`stays`: the leader will lead after the whole budget; `leads`: it is the most probable answer; `beats_second`: more probable than the runner-up alone."""
    settled: float = 0.95
    """The posterior that is enough."""
    verified_settled: float = 0.8
    """The posterior that is enough for an answer that a filter confirmed; above 1: confirmation changes nothing."""
    verified_votes: int = 2
    """How many candidates with the leading answer must be confirmed."""
    prior: float = 1.0
    rule: Rule = t1_rule
    judging: Judging = "t1"

    def __post_init__(self) -> None:
        if self.first < 1 or self.growth <= 1:
            raise UsageError(f"batches from {self.first} on that grow by {self.growth} never end; the first is 1 or more, and the growth above 1")
        if not 0 <= self.settled <= 1 or self.verified_settled < 0 or self.verified_votes < 1 or self.prior <= 0:
            raise UsageError("settled goes from 0 to 1, verified_settled from 0, verified_votes from 1, and the prior is above 0")

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice; its `note` says where it stopped."""
        asked = self._parallel.asked(verifiers)
        enough = partial(self.why_settled, total=budget.samples)
        got = await gather(
            problem, attempt, asked, budget, seed=seed, spare_refuted=self.judging == "t1", batches=self.batch_ends(budget.samples), settled=enough
        )
        if self.judging == "t1" and not got.cut:
            await reward_the_refuted(problem, got, asked, seed)
        choice = self._choice(problem, got.candidates, got.settled_at or len(got.candidates), seed)
        told = " ".join(filter(None, (got.cut, self._parallel.unasked(asked), choice.fallback))) or None
        note = None if got.settled is None else f"{got.settled} ({got.settled_at} of {budget.samples} samples decided)."
        return replace(choice, fallback=told, note=note, cost=replace(choice.cost, wall_s=got.wall_s))

    def choose(self, problem: Problem, candidates: Sequence[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """The choice among clustered candidates drawn already, in draw order; the cost is that of all batches begun, so never less than a live run's."""
        total = len(candidates)
        for count in range(min(self.first, total), total):
            why = self.why_settled(candidates[:count], total=total)
            if why is not None:
                choice = self.choose_at(count, problem, candidates, seed=seed, keep_tried=keep_tried)
                return replace(choice, note=f"{why} ({count} of {total} samples decided).")
        return self._choice(problem, candidates, total, seed, keep_tried=keep_tried)

    def choose_at(self, count: int, problem: Problem, candidates: Sequence[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """What it chooses where the first `count` candidates settled it."""
        end = min(end for end in self.batch_ends(len(candidates)) if end >= count)
        return self._choice(problem, candidates[:end], count, seed, keep_tried=keep_tried)

    def batch_ends(self, total: int) -> list[int]:
        """How many are drawn after each batch; the last is `total`."""
        ends = [min(self.first, total)]
        while ends[-1] < total:
            ends.append(min(total, max(ends[-1] + 1, math.ceil(ends[-1] * self.growth))))
        return ends

    def why_settled(self, candidates: Sequence[Candidate], *, total: int) -> str | None:
        """Why these first candidates of `total` are enough; None where they are not."""
        if len(candidates) < self.first or len(candidates) >= total:
            return None
        chance, confirmed = self.signal(candidates, total=total)
        if not self.is_enough(chance, confirmed):
            return None
        if chance >= self.settled:
            return f"The leading answer is settled at {chance:.2f}"
        return f"The leading answer was confirmed {confirmed} times and is settled at {chance:.2f}"

    def signal(self, candidates: Sequence[Candidate], *, total: int) -> tuple[float, int]:
        """(the posterior that is stopped by, how many candidates with the leading answer a filter confirmed); (0, 0) without a vote."""
        usable = [c for c in candidates if c.usable]
        votes, members = self._votes(usable)
        if not votes:
            return 0.0, 0
        silent = sum(not c.votes or c.verdict.refuted for c in usable)
        chance = self._chance(votes, silent=silent, left=total - len(candidates))
        return chance, sum(c.verdict.score is not None and c.verdict.score >= 0.5 for c in members)

    def is_enough(self, chance: float, confirmed: int) -> bool:
        """Whether it stops at such a signal."""
        return chance >= self.settled or (confirmed >= self.verified_votes and chance >= self.verified_settled)

    @property
    def _parallel(self) -> ParallelStrategy:
        return ParallelStrategy(self.name, self.rule, self.about, judging=self.judging)

    def _votes(self, usable: Sequence[Candidate]) -> tuple[list[float], list[Candidate]]:
        """The vote sums, the leader's first, in units of the mean vote; and the candidates with the leading answer that vote."""
        weights = kept(usable)
        sums: dict[int, float] = defaultdict(float)
        for candidate, weight in zip(usable, weights, strict=True):
            if candidate.cluster is not None and weight > 0:
                sums[candidate.cluster] += weight
        if not sums:
            return [], []
        leader = max(sums, key=lambda cluster: sums[cluster])
        unit = sum(sums.values()) / sum(w > 0 for w in weights)
        members = [c for c, w in zip(usable, weights, strict=True) if c.cluster == leader and w > 0]
        return [sums[leader] / unit, *(v / unit for cluster, v in sums.items() if cluster != leader)], members

    def _chance(self, votes: Sequence[float], *, silent: int, left: int) -> float:
        if self.stop == "stays":
            return stays(votes, silent=silent, left=left, prior=self.prior)
        return leads(votes, prior=self.prior) if self.stop == "leads" else beats_second(votes, prior=self.prior)

    def _choice(self, problem: Problem, candidates: Sequence[Candidate], count: int, seed: int, *, keep_tried: bool = True) -> Choice:
        """The rule's choice among the first `count`; the others were begun, so they are kept and paid for, and have no say."""
        return chosen(self.name, self.rule, self.judging, problem, candidates, seed=seed, keep_tried=keep_tried, first=count)


adaptive = Adaptive()
adaptive_beta = Adaptive(
    "adaptive_beta",
    "Majority that stops once the leader beats the runner-up at 0.95 (a Beta posterior, as in its_hub); no tools.",
    stop="beats_second",
    verified_settled=2.0,
    rule=majority.pick,
    judging="nothing",
)
