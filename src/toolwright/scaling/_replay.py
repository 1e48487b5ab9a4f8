"""Replay: strategies over episodes and verdicts that exist already, with no model and no tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from toolwright.episodes import Attempt, Episode, Problem, Verdict
from toolwright.errors import UsageError


def recorded_attempt(episodes: Iterable[Episode]) -> Attempt:
    """An attempt that looks episodes of one problem up by their index.

    Raises (when called): UsageError for an index that was not recorded.
    """
    by_index = {episode.index: episode for episode in episodes}

    async def attempt(index: int) -> Episode:
        if index not in by_index:
            raise UsageError(f"sample {index} was not recorded; there are {len(by_index)}, so ask for fewer")
        return by_index[index]

    return attempt


class RecordedVerifier:
    """A verifier that looks its verdicts up by problem id and sample index."""

    def __init__(self, name: str, verdicts: Mapping[tuple[str, int], Verdict], *, digest: str = "recorded") -> None:
        """`digest`: of the verifier that gave the verdicts."""
        self._name, self._verdicts, self._digest = name, verdicts, digest

    def renumbered(self, numbers: Mapping[int, int]) -> RecordedVerifier:
        """The same verdicts under other sample indices: old index to new; what is not named is left out."""
        moved = {(problem_id, numbers[index]): verdict for (problem_id, index), verdict in self._verdicts.items() if index in numbers}
        return RecordedVerifier(self._name, moved, digest=self._digest)

    @property
    def is_reward(self) -> bool:
        """Whether it was a reward model that gave the verdicts."""
        return any(verdict.is_reward for verdict in self._verdicts.values())

    @property
    def name(self) -> str:
        return self._name

    @property
    def digest(self) -> str:
        return self._digest

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The recorded verdict. Raises: UsageError where there is none."""
        found = self._verdicts.get((problem.id, episode.index))
        if found is None:
            raise UsageError(f"no verdict by {self._name} was recorded for sample {episode.index} of {problem.id}")
        return found
