"""Attempts and verifiers that ask the run store first: what is stored is never drawn or judged again."""

from __future__ import annotations

from collections.abc import Callable

from toolwright.episodes import Attempt, Episode, Problem, RunStore, SampleKey, StopReason, Verdict, VerdictKey, Verifier, digest
from toolwright.rollouts import Rollout


def sample_key(rollout: Rollout, problem: Problem, index: int, *, run_seed: int) -> SampleKey:
    """The name of one sample; it changes with the wording of the problem, not only with its id."""
    return SampleKey(run_seed, problem.id, index, digest(rollout.setup_digest, problem.question, problem.choices))


def stored_attempt(
    rollout: Rollout, problem: Problem, store: RunStore | None, *, run_seed: int, on_episode: Callable[[Episode, bool], None] | None = None
) -> Attempt:
    """An attempt that takes stored episodes and stores the ones it draws; without a store it only draws.

    `on_episode` sees each episode, and whether it was drawn now.
    """

    async def attempt(index: int) -> Episode:
        key = sample_key(rollout, problem, index, run_seed=run_seed)
        episode = None if store is None else store.episode(key)
        drawn = episode is None
        if episode is None:
            episode = await rollout.attempt(problem, index, run_seed=run_seed)
            if store is not None:
                store.put_episode(key, episode)
        if on_episode is not None:
            on_episode(episode, drawn)
        return episode

    return attempt


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

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        if episode.stop in (StopReason.FAULT, StopReason.CANCELLED):
            return await self._verifier.verify(problem, episode, seed=seed)
        key = VerdictKey(sample_key(self._rollout, problem, episode.index, run_seed=self._run_seed), self._verifier.digest)
        verdict = self._store.verdict(key)
        if verdict is None:
            verdict = await self._verifier.verify(problem, episode, seed=seed)
            self._store.put_verdict(key, verdict)
        return verdict
