"""Judging one candidate: filters in their order until one refutes, and reward models.

Filters say whether a candidate may stay; reward models (verifiers with ``is_reward``) say how good it is and refute nothing. Leaves out what strategies make
of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from toolwright.episodes import Episode, Problem, Verdict, Verifier, derive_seed, digest
from toolwright.errors import EpisodeFault
from toolwright.verifiers import combine

NOT_ASKED = Verdict(None, "Not checked: this strategy asks no verifier.")
SECOND = " (second pass)"
"""What the name of a reward model ends with where it is asked once more."""


def is_reward(verifier: Verifier) -> bool:
    """Whether it is a reward model: it ranks and does not filter."""
    return bool(getattr(verifier, "is_reward", False))


class SecondPass:
    """A reward model asked once more, with other draws: the second stage of `two_stage`."""

    is_reward = True

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    @property
    def name(self) -> str:
        return self._verifier.name + SECOND

    @property
    def digest(self) -> str:
        return digest("second pass", self._verifier.digest)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        found = await self._verifier.verify(problem, episode, seed=derive_seed(seed, "second pass"))
        return replace(found, verifier=self.name)


def with_second_passes(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """The verifiers, and behind them each reward model once more."""
    return [*verifiers, *(SecondPass(v) for v in verifiers if is_reward(v) and not v.name.endswith(SECOND))]


async def judge_each(problem: Problem, episode: Episode, verifiers: Sequence[Verifier], *, seed: int, spare_refuted: bool = False) -> list[Verdict]:
    """One verdict per verifier: of filters in their order until one refutes (the rest are not asked), then of every reward model.

    `spare_refuted`: reward models are not asked about what was refuted. Equal texts of one problem get equal seeds. A verifier that could not be run at all
    counts as one that could not decide.
    """
    found: list[Verdict] = []
    own_seed = derive_seed(seed, "verify", problem.id, digest(episode.text))
    for verifier in (v for v in verifiers if not is_reward(v)):
        found.append(await _asked(verifier, problem, episode, own_seed))
        if found[-1].refuted:
            break
    if spare_refuted and found and found[-1].refuted:
        return found
    for verifier in (v for v in verifiers if is_reward(v)):
        found.append(replace(await _asked(verifier, problem, episode, own_seed), is_reward=True))
    return found


async def judge(problem: Problem, episode: Episode, verifiers: Sequence[Verifier], *, seed: int) -> Verdict:
    """The verdict of all filters as one; see `judge_each`."""
    filters = [v for v in verifiers if not is_reward(v)]
    found = await judge_each(problem, episode, filters, seed=seed)
    return combine(found) if found else NOT_ASKED


async def _asked(verifier: Verifier, problem: Problem, episode: Episode, seed: int) -> Verdict:
    try:
        return await verifier.verify(problem, episode, seed=seed)
    except EpisodeFault as fault:
        return Verdict(None, f"The verifier {verifier.name} could not be run ({fault.boundary}: {fault}).", verifier.name)
