"""Parallel strategies: draw independent candidates, then pick. Each one adds a pure rule (`pick`); all else is here.

Leaves out strategies that draw with regard to what they saw (adaptive, revise, beam).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from toolwright.episodes import Attempt, Budget, Choice, Problem, Verifier
from toolwright.scaling._candidates import Candidate, Judging, clustered, with_verdicts
from toolwright.scaling._choosing import Rule, chosen
from toolwright.scaling._gathering import Gathered, gather
from toolwright.scaling._judging import is_reward, judge_each, with_second_passes

Ranking = Callable[[Sequence[Candidate]], list[tuple[float, float]] | None]
"""What each candidate is ranked by, larger is better; None where that depends on what it is drawn with."""


@dataclass(frozen=True, slots=True)
class ParallelStrategy:
    """A strategy that draws candidates independently and picks once it has them.

    Episodes that ended in a fault stay in `Choice.tried` and have no say. Raises: UsageError for a budget without a sample; NoUsableEpisode where every episode
    ended in a fault.
    """

    name: str
    pick: Rule
    about: str
    """One sentence for a list of strategies."""
    judging: Judging = "nothing"
    """Which verifiers it asks: none, filters, reward models, or as T1 does (reward models only about what the filters left)."""
    temperature: float | None = None
    """What its attempts are to be drawn with; None leaves that to the caller."""
    samples: int | None = None
    """How many it draws at most, whatever the budget; None: all of it."""
    second_passes: bool = False
    """Whether reward models are asked twice."""
    ranks: Ranking | None = None
    """Of a strategy that takes the one candidate it ranks highest: by what. Its expectation over subsets is then exact and cheap."""

    async def __call__(self, problem: Problem, attempt: Attempt, verifiers: Sequence[Verifier], budget: Budget, *, seed: int = 0) -> Choice:
        """The choice; its cost's `wall_s` is how long the call took."""
        if self.samples is not None:
            budget = replace(budget, samples=min(budget.samples, self.samples))
        asked = self.asked(verifiers)
        got = await gather(problem, attempt, asked, budget, seed=seed, spare_refuted=self.judging == "t1")
        if self.judging == "t1" and not got.cut:
            await reward_the_refuted(problem, got, asked, seed)
        choice = self.choose(problem, got.candidates, seed=seed)
        told = " ".join(filter(None, (got.cut, self.unasked(asked), choice.fallback))) or None
        return replace(choice, fallback=told, cost=replace(choice.cost, wall_s=got.wall_s))

    def choose(self, problem: Problem, candidates: Sequence[Candidate], *, seed: int = 0, keep_tried: bool = True) -> Choice:
        """The choice among clustered candidates that were drawn already, in draw order; its cost's `wall_s` is their sum.

        Without `keep_tried` the choice's `tried` stays empty: for choosing thousands of times.
        """
        return chosen(self.name, self.pick, self.judging, problem, candidates[: self.samples], seed=seed, keep_tried=keep_tried)

    def asked(self, verifiers: Sequence[Verifier]) -> list[Verifier]:
        """Those of the verifiers whose verdicts it wants."""
        wanted = [v for v in verifiers if self.judging in ("t1", "all") or self.judging == ("rewards" if is_reward(v) else "filters")]
        return with_second_passes(wanted) if self.second_passes else wanted

    def unasked(self, asked: Sequence[Verifier]) -> str | None:
        """What to tell where there was nothing to ask."""
        if self.judging in ("filters", "t1", "all") and not asked:
            return f"No verifier was given, so {self.name} chose without one."
        return None


async def reward_the_refuted(problem: Problem, got: Gathered, verifiers: Sequence[Verifier], seed: int) -> None:
    """Where every candidate with an answer is refuted, ask the reward models about them after all: they are all there is to choose by."""
    rewards = [v for v in verifiers if is_reward(v)]
    voting = {c.text_key: c for c in got.candidates if c.votes}
    if not rewards or not voting or not all(c.verdict.refuted for c in voting.values()):
        return
    found = await asyncio.gather(*(judge_each(problem, c.episode, rewards, seed=seed) for c in voting.values()))
    by_text = dict(zip(voting, found, strict=True))
    got.candidates = clustered(problem, [with_verdicts(c, by_text[c.text_key]) if c.votes else c for c in got.candidates])
