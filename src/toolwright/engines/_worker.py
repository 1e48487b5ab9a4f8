"""The decode loop: one thread that owns the model, a fixed number of slots, and a queue.

Waiting samples are admitted into free slots before every step, so a long episode never holds up a short one; equal prompts are computed once. A step feeds
one token per live row. Rows finish by end-of-sequence, stop string, token budget or context, and the last row takes the free place. Nothing here knows
asyncio: a job carries a function to call with its completion. Left out: several models, several devices, chunked prefill.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from toolwright.engines._draw import DrawSettings, draw, stream
from toolwright.engines._forward import Forward
from toolwright.engines._prefixes import PrefixStore
from toolwright.engines._stops import Decode, find_stop, stop_window, text_after, whole_characters
from toolwright.episodes import Completion, FinishReason, SamplingParams
from toolwright.errors import EngineFault

PREFILL_TOKENS = 4096
"""Prompt tokens per forward pass: enough to fill the machine, little enough to bound memory."""


@dataclass(slots=True)
class EngineStats:
    """What an in-process engine has done so far."""

    samples: int = 0
    """Completions delivered."""
    cancelled: int = 0
    steps: int = 0
    """Forward passes that fed one token per live row."""
    model_tokens: int = 0
    prompt_tokens: int = 0
    """Prompt tokens of all samples, computed or not."""
    computed_tokens: int = 0
    """Prompt tokens that went through the model."""
    prefix_hits: int = 0
    """Prompts that began with something computed before."""
    prefix_tokens: int = 0
    """Prompt tokens taken from there."""
    shared_prompts: int = 0
    """Samples admitted beside one with an equal prompt, which was computed for both."""


@dataclass(eq=False, slots=True)
class SampleJob:
    """One sample to draw."""

    ids: tuple[int, ...]
    params: SamplingParams
    seed: int
    deliver: Callable[[Completion | EngineFault], None]
    cancelled: bool = False


@dataclass(eq=False, slots=True)
class ScoreJob:
    """One continuation to score: the tokens from `start` on."""

    ids: tuple[int, ...]
    start: int
    deliver: Callable[[tuple[float, ...] | EngineFault], None]
    cancelled: bool = False


Job = SampleJob | ScoreJob
J = TypeVar("J", SampleJob, ScoreJob)


@dataclass(slots=True)
class Row:
    """A sample in a slot. All but the last of its ids have their keys and values in the cache."""

    job: SampleJob
    ids: list[int]
    limit: int
    """How many ids it may have, prompt included."""
    uniforms: np.random.Generator
    window: int
    logps: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, job: SampleJob, context: int) -> Row:
        """The row before its first token."""
        limit = min(len(job.ids) + job.params.max_new_tokens, context)
        return cls(job, list(job.ids), limit, stream(job.seed), stop_window(job.params.stop) if job.params.stop else 0)


class DecodeLoop:
    """The thread and everything it owns."""

    def __init__(self, model: Any, *, slots: int, cache_bytes: int, eos_ids: frozenset[int], decode: Decode, context: int) -> None:
        self.stats = EngineStats()
        self._forward = Forward(model)
        self._prefixes = PrefixStore(cache_bytes)
        self._slots, self._eos_ids, self._decode, self._context = slots, eos_ids, decode, context
        self._rows: list[Row] = []
        self._settings: DrawSettings | None = None
        self._samples: deque[SampleJob] = deque()
        self._scores: deque[ScoreJob] = deque()
        self._open: set[Job] = set()
        self._wake = threading.Condition()
        self._closing = self._stale = False
        self._thread: threading.Thread | None = None

    def submit(self, jobs: Iterable[Job]) -> None:
        """Queue the jobs, all visible to the loop at once; the thread starts with the first."""
        with self._wake:
            if self._closing:
                raise EngineFault("the engine was closed; load it again")
            for job in jobs:
                self._open.add(job)
                if isinstance(job, SampleJob):
                    self._samples.append(job)
                else:
                    self._scores.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="toolwright-decode", daemon=True)
                self._thread.start()
            self._wake.notify()

    def forget(self) -> None:
        """Drop everything computed with the weights as they were; live rows go on with what they have."""
        with self._wake:
            self._stale = True

    def close(self) -> None:
        """End the thread after the step in hand; jobs not done get an EngineFault."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def live(self) -> int:
        """Slots in use."""
        return len(self._rows)

    def _run(self) -> None:
        with torch.inference_mode():
            while self._wait():
                try:
                    self._drop_cancelled()
                    self._admit()
                    if self._rows:
                        self._step()
                except Exception as error:  # a boundary: whatever the model raised must reach those who wait for it, or they wait for ever
                    self._fail(EngineFault(f"the model failed while decoding: {type(error).__name__}: {error}"))
        self._fail(EngineFault("the engine was closed while it was decoding"))

    def _wait(self) -> bool:
        with self._wake:
            while not (self._closing or self._samples or self._scores or self._rows):
                self._wake.wait()
            if self._stale:
                self._prefixes.clear()
                self._stale = False
            return not self._closing

    def _fail(self, fault: EngineFault) -> None:
        with self._wake:
            jobs = list(self._open)
            self._open.clear()
            self._samples.clear()
            self._scores.clear()
        self._rows.clear()
        self._settings = None
        self._forward.reset()
        self._prefixes.clear()
        for job in jobs:
            job.deliver(fault)

    def _drop_cancelled(self) -> None:
        with self._wake:
            self._samples = deque(self._kept(self._samples))
            self._scores = deque(self._kept(self._scores))
        for index in reversed(range(len(self._rows))):
            job = self._rows[index].job
            if job.cancelled:
                self._free(index)
                self._let_go(job)

    def _kept(self, jobs: Iterable[J]) -> Iterator[J]:
        for job in jobs:
            if job.cancelled:
                self._let_go(job)
            else:
                yield job

    def _let_go(self, job: Job) -> None:
        self.stats.cancelled += 1
        with self._wake:
            self._open.discard(job)

    def _close_job(self, job: Job) -> bool:
        """True for the one who may deliver it."""
        with self._wake:
            known = job in self._open
            self._open.discard(job)
        return known

    def _admit(self) -> None:
        with self._wake:
            scores = list(self._scores)
            self._scores.clear()
            free = self._slots - len(self._rows)
            samples = [self._samples.popleft() for _ in range(min(free, len(self._samples)))]
        self._score_all(scores)
        self._start_all(samples)

    def _start_all(self, jobs: Sequence[SampleJob]) -> None:
        groups: dict[tuple[int, ...], list[SampleJob]] = {}
        for job in jobs:
            groups.setdefault(job.ids, []).append(job)
        for batch in self._batches(list(groups)):
            logits = self._prefill(batch, [1] * len(batch))
            first = len(self._rows)
            sources: list[int] = []
            self._rows += [Row.of(groups[ids][0], self._context) for ids in batch]
            sources += range(len(batch))
            for source, ids in enumerate(batch):
                twins = groups[ids][1:]
                self._forward.reserve(len(self._rows) + len(twins), 0)
                self._forward.cache.fan_out(first + source, len(self._rows), len(twins), len(ids))
                self._rows += [Row.of(job, self._context) for job in twins]
                sources += [source] * len(twins)
                self.stats.shared_prompts += len(twins)
                self.stats.prompt_tokens += len(ids) * (1 + len(twins))
            rows = self._rows[first:]
            settings = DrawSettings.of([row.job.params for row in rows], logits.shape[-1], logits.device)
            self._extend(first, draw(logits[:, -1][sources], settings, [row.uniforms.random() for row in rows]))
            self._settings = None

    def _score_all(self, jobs: list[ScoreJob]) -> None:
        while jobs:
            # Few at a time: the logits of every scored position are held at once.
            batch, jobs = jobs[:8], jobs[8:]
            keeps = [len(job.ids) - job.start + 1 for job in batch]
            logits = self._prefill([job.ids for job in batch], keeps).float()
            for job, keep, row in zip(batch, keeps, logits, strict=True):
                targets = torch.tensor(job.ids[job.start :], device=row.device).unsqueeze(1)
                at = row[len(row) - keep : -1]
                if self._close_job(job):
                    job.deliver(tuple((at.gather(1, targets).squeeze(1) - at.logsumexp(-1)).tolist()))

    def _batches(self, prompts: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
        """Prompts of like length together, each batch padded to at most `PREFILL_TOKENS`."""
        batches: list[list[tuple[int, ...]]] = []
        for ids in sorted(prompts, key=len, reverse=True):
            if batches and (len(batches[-1]) + 1) * len(batches[-1][0]) <= PREFILL_TOKENS and len(ids) * 2 + 32 >= len(batches[-1][0]):
                batches[-1].append(ids)
            else:
                batches.append([ids])
        return batches

    def _prefill(self, prompts: Sequence[tuple[int, ...]], keeps: Sequence[int]) -> Any:
        """(B, K, V) logits of the last K tokens of each prompt, K the largest of `keeps`; their keys and values lie in the rows after the live ones."""
        first = len(self._rows)
        self._forward.reserve(first + len(prompts), max(map(len, prompts)))
        starts = []
        for offset, (ids, keep) in enumerate(zip(prompts, keeps, strict=True)):
            found = self._prefixes.find(ids)
            start = min(found[1], len(ids) - keep) if found else 0
            if found and start > 0:
                self._forward.cache.put(first + offset, found[0].content, start)
                self.stats.prefix_hits += 1
                self.stats.prefix_tokens += start
            else:
                start = 0
            starts.append(start)
            self.stats.computed_tokens += len(ids) - start
        logits = self._forward.prompts(first, prompts, starts, max(keeps))
        for offset, (ids, keep, start) in enumerate(zip(prompts, keeps, starts, strict=True)):
            length = len(ids) - keep + 1
            if start < length - 1:
                self._remember(first + offset, ids[:length])
        return logits

    def _remember(self, row: int, ids: Sequence[int]) -> None:
        self._prefixes.add(ids, self._forward.cache.take(row, len(ids)))

    def _step(self) -> None:
        rows = self._rows
        logits = self._forward.tokens([row.ids[-1] for row in rows], [len(row.ids) - 1 for row in rows])
        if self._settings is None:
            self._settings = DrawSettings.of([row.job.params for row in rows], logits.shape[-1], logits.device)
        self.stats.steps += 1
        self._extend(0, draw(logits, self._settings, [row.uniforms.random() for row in rows]))

    def _extend(self, first: int, drawn: tuple[list[int], list[float]]) -> None:
        """Give each row from `first` on its token, and let go of those it finished."""
        finished: list[tuple[int, Completion]] = []
        for index, (token, logp) in enumerate(zip(*drawn, strict=True), start=first):
            row = self._rows[index]
            row.ids.append(token)
            row.logps.append(logp)
            if (completion := self._finished(row)) is not None:
                finished.append((index, completion))
        self.stats.model_tokens += len(drawn[0])
        for index, completion in reversed(finished):
            row = self._rows[index]
            self._remember(index, row.ids[:-1])
            self._free(index)
            self.stats.samples += 1
            if self._close_job(row.job):
                row.job.deliver(completion)

    def _free(self, index: int) -> None:
        last = self._rows.pop()
        if index < len(self._rows):
            self._forward.cache.move(len(self._rows), index, len(last.ids) - 1)
            self._rows[index] = last
        self._settings = None

    def _finished(self, row: Row) -> Completion | None:
        prompt, new = row.job.ids, row.ids[len(row.job.ids) :]
        if new[-1] in self._eos_ids:
            return self._completion(row, text_after(self._decode, prompt, new[:-1]), FinishReason.EOS)
        if stops := row.job.params.stop:
            lead = () if len(new) > row.window else prompt
            if find_stop(text_after(self._decode, lead, new[-row.window :]), stops):
                text = text_after(self._decode, prompt, new)
                if found := find_stop(text, stops):
                    return self._completion(row, text[: found[0]], FinishReason.STOP, found[1], text[found[0] :])
        if len(row.ids) < row.limit:
            return None
        reason = FinishReason.LENGTH if len(new) >= row.job.params.max_new_tokens else FinishReason.CONTEXT
        return self._completion(row, text_after(self._decode, prompt, new), reason)

    def _completion(self, row: Row, text: str, finish: FinishReason, stop: str | None = None, surplus: str = "") -> Completion:
        ids = tuple(row.ids[len(row.job.ids) :])
        return Completion(
            text=text if finish is FinishReason.STOP else whole_characters(text),
            finish=finish,
            token_ids=ids,
            logps=tuple(row.logps),
            prompt_tokens=len(row.job.ids),
            model_tokens=len(ids),
            stop=stop,
            surplus=surplus,
            prompt_token_ids=row.job.ids,
        )
