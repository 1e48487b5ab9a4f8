"""Attempts and verifiers that ask the run store first: what is stored is never drawn or judged again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, runtime_checkable

from toolwright.episodes import Episode, Message, Problem, RunStore, SampleKey, StopReason, Verdict, VerdictKey, Verifier, derive_seed, digest
from toolwright.rollouts import Rollout


@runtime_checkable
class LiveAttempt(Protocol):
    """An attempt with a model behind it, which can be asked again or a piece at a time; recorded samples cannot."""

    @property
    def rollout(self) -> Rollout:
        """What it draws with."""

    async def __call__(self, index: int) -> Episode:
        """The episode of one sample index."""

    async def again(self, index: int, after: Sequence[Message]) -> Episode:
        """An episode that answers messages after the question; the index names its sample."""


def sample_key(rollout: Rollout, problem: Problem, index: int, *, run_seed: int, seed: int | None = None) -> SampleKey:
    """The name of one sample; it changes with the wording of the problem, not only with its id.

    `seed`: the episode's own; a sample drawn otherwise than straight from the question has another one than its index gives, and so another name.
    """
    parts: list[object] = [rollout.setup_digest, problem.question, problem.choices]
    if seed is not None and seed != derive_seed(run_seed, problem.id, index):
        parts.append(seed)
    return SampleKey(run_seed, problem.id, index, digest(*parts))


class StoredAttempt:
    """An attempt that takes stored episodes and stores the ones it draws; without a store it only draws."""

    def __init__(
        self, rollout: Rollout, problem: Problem, store: RunStore | None, *, run_seed: int, on_episode: Callable[[Episode, bool], None] | None = None
    ) -> None:
        """`on_episode` sees each episode, and whether it was drawn now."""
        self._rollout, self._problem, self._store, self._run_seed, self._on_episode = rollout, problem, store, run_seed, on_episode

    @property
    def rollout(self) -> Rollout:
        return self._rollout

    async def __call__(self, index: int) -> Episode:
        return await self._found(index, None, lambda: self._rollout.attempt(self._problem, index, run_seed=self._run_seed))

    async def again(self, index: int, after: Sequence[Message]) -> Episode:
        seed = derive_seed(self._run_seed, self._problem.id, index, "again", list(after))
        return await self._found(index, seed, lambda: self._rollout.attempt(self._problem, index, run_seed=self._run_seed, after=tuple(after), seed=seed))

    async def _found(self, index: int, seed: int | None, draw: Callable[[], Awaitable[Episode]]) -> Episode:
        key = sample_key(self._rollout, self._problem, index, run_seed=self._run_seed, seed=seed)
        episode = None if self._store is None else self._store.episode(key)
        drawn = episode is None
        if episode is None:
            episode = await draw()
            if self._store is not None:
                self._store.put_episode(key, episode)
        if self._on_episode is not None:
            self._on_episode(episode, drawn)
        return episode


def stored_attempt(
    rollout: Rollout, problem: Problem, store: RunStore | None, *, run_seed: int, on_episode: Callable[[Episode, bool], None] | None = None
) -> StoredAttempt:
    """An attempt that takes stored episodes and stores the ones it draws; without a store it only draws.

    `on_episode` sees each episode, and whether it was drawn now.
    """
    return StoredAttempt(rollout, problem, store, run_seed=run_seed, on_episode=on_episode)


class StoredVerifier:
    """A verifier that takes stored verdicts and stores the ones it reaches."""

    def __init__(self, verifier: Verifier, store: RunStore, rollout: Rollout, *, run_seed: int) -> None:
        self._verifier, self._store, self._rollout, self._run_seed = verifier, store, rollout, run_seed

    @property
    def name(self) -> str:
        return self._verifier.name

    @property
    def digest(self) -> str:
        return self._verifier.digest

    @property
    def is_reward(self) -> bool:
        """Whether it is a reward model."""
        return bool(getattr(self._verifier, "is_reward", False))

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        if episode.stop in (StopReason.FAULT, StopReason.CANCELLED):
            return await self._verifier.verify(problem, episode, seed=seed)
        key = VerdictKey(sample_key(self._rollout, problem, episode.index, run_seed=self._run_seed, seed=episode.seed), self._verifier.digest)
        verdict = self._store.verdict(key)
        if verdict is None:
            verdict = await self._verifier.verify(problem, episode, seed=seed)
            self._store.put_verdict(key, verdict)
        return verdict
