"""An engine whose words were written beforehand: for tests, for replaying recorded pools, and for documentation that runs anywhere.

It keeps the contract of a real engine (streams by seed, stop strings, budgets, token ids, log-probabilities) over made-up tokens, one per word or mark, and
breaks it on request: `Faults` holds the ways in which real backends misbehave. Calls and samples are counted, and the requests kept, so that a test can ask
what was drawn.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from toolwright.engines._requests import check_request
from toolwright.engines._stops import find_stop
from toolwright.episodes import Capabilities, Completion, FinishReason, Prompt, Provenance, SamplingParams, derive_seed, digest
from toolwright.errors import EngineFault, UsageError

Reply = str | Completion
Script = Sequence[str]
"""The model's turns of one episode, in order."""
Replies = Callable[[Prompt, int], Reply] | Sequence[Reply | Script] | Mapping[str, Sequence[Reply | Script]]

EOS_ID = 0
_PIECE = re.compile(r"\s?\w+|\s?[^\w\s]|\s")


@dataclass(frozen=True, slots=True)
class Faults:
    """How a backend misbehaves; the default is not at all."""

    lost_after_calls: int | None = None
    """Every call after that many raises EngineFault."""
    fails_every: int | None = None
    """Every k-th call raises EngineFault, the others work."""
    delay_s: float = 0.0
    strips_stop: bool = False
    """The matched stop string is missing from the text."""
    no_logps: bool = False
    no_token_ids: bool = False
    ignores_n: bool = False
    """One completion comes back, whatever n was."""
    context_tokens: int | None = None
    wrong_usage: bool = False
    """Token counts are reported as zero."""


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """One call of `sample`, as it came."""

    prompt: Prompt
    n: int
    params: SamplingParams
    seed: int


class ScriptedEngine:
    """An engine that says what it is told to.

    `replies` is one of: a function of prompt and the sample's own seed; a sequence from which each sample picks by its seed, where an entry that is a
    sequence of texts is the turns of one episode; or a mapping from a text that the last message contains to such a sequence (the first key found
    counts).
    """

    def __init__(
        self,
        replies: Replies,
        *,
        name: str = "scripted",
        in_order: bool = False,
        faults: Faults = Faults(),
        scores: Callable[[Prompt, str], Sequence[float]] | None = None,
    ) -> None:
        """`in_order`: samples take the entries one after the other, whatever their seeds, and start over at the end."""
        self._replies, self._name, self._in_order, self._faults, self._scores = replies, name, in_order, faults, scores
        self.calls = 0
        self.samples = 0
        self.cancelled = 0
        self._taken = 0
        self.requests: list[ScriptedRequest] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def digest(self) -> str:
        told = getattr(self._replies, "__qualname__", None) if callable(self._replies) else self._replies
        return digest("scripted", self._name, told)

    async def capabilities(self) -> Capabilities:
        faults = self._faults
        return Capabilities(
            logps=not (faults.no_logps or faults.no_token_ids),
            token_ids=not faults.no_token_ids,
            prefill=True,
            multiple=not faults.ignores_n,
            context_tokens=faults.context_tokens,
            notes=("Replies are scripted.",),
        )

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        check_request(prompt, n, params)
        await self._pass_faults()
        self.requests.append(ScriptedRequest(prompt, n, params, seed))
        count = 1 if self._faults.ignores_n else n
        done = [self._completion(prompt, params, derive_seed(seed, i)) for i in range(count)]
        self.samples += count
        return done

    async def score(self, prompt: Prompt, continuation: str) -> tuple[float, ...]:
        if self._faults.no_logps:
            raise UsageError(f"the engine {self._name} offers no log-probabilities, so it cannot score")
        if not continuation:
            raise UsageError("the continuation to score is empty")
        await self._pass_faults()
        if self._scores is not None:
            return tuple(self._scores(prompt, continuation))
        return tuple(_logp(token) for token in _ids(continuation))

    async def aclose(self) -> None:
        return None

    async def _pass_faults(self) -> None:
        faults = self._faults
        self.calls += 1
        if faults.lost_after_calls is not None and self.calls > faults.lost_after_calls:
            raise EngineFault(f"the engine {self._name} was lost after {faults.lost_after_calls} calls")
        if faults.fails_every and self.calls % faults.fails_every == 0:
            raise EngineFault(f"the engine {self._name} failed on call {self.calls}")
        try:
            await asyncio.sleep(faults.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def _completion(self, prompt: Prompt, params: SamplingParams, seed: int) -> Completion:
        fed = _prompt_ids(prompt)
        reply = self._reply(prompt, seed)
        if isinstance(reply, str):
            reply = self._cut(reply, params, fed)
        faults = self._faults
        if faults.strips_stop and reply.stop:
            reply = replace(reply, text=reply.text.removesuffix(reply.stop))
        if faults.no_logps or faults.no_token_ids:
            reply = replace(reply, logps=None)
        if faults.no_token_ids:
            reply = replace(reply, token_ids=None, prompt_token_ids=None)
        if faults.wrong_usage:
            reply = replace(reply, prompt_tokens=0, model_tokens=0)
        return reply

    def _reply(self, prompt: Prompt, seed: int) -> Reply:
        if callable(self._replies):
            return self._replies(prompt, seed)
        entries = self._entries(prompt)
        said = tuple(span.text for span in prompt.spans if span.provenance is Provenance.MODEL)
        if self._in_order:
            entry = entries[self._taken % len(entries)]
            self._taken += 1
            return entry if isinstance(entry, str | Completion) else entry[len(said) % len(entry)]
        # A script is a candidate while it says what the episode has said so far.
        open_turns = [
            entry if isinstance(entry, str | Completion) else entry[len(said)]
            for entry in entries
            if isinstance(entry, str | Completion) or (len(said) < len(entry) and all(map(_continues, entry, said)))
        ]
        if not open_turns:
            return ""
        return open_turns[seed % len(open_turns)]

    def _entries(self, prompt: Prompt) -> Sequence[Reply | Script]:
        if callable(self._replies):
            raise TypeError("a function has no entries")
        if not isinstance(self._replies, Mapping):
            return self._replies
        asked = prompt.messages[-1].content if prompt.messages else "".join(span.text for span in prompt.spans)
        for key, entries in self._replies.items():
            if key in asked:
                return entries
        raise EngineFault(f"the engine {self._name} has no reply for a prompt that ends: {asked[-80:]!r}")

    def _cut(self, reply: str, params: SamplingParams, fed: tuple[int, ...]) -> Completion:
        """The reply as far as stop strings, token budget and context let it go."""
        pieces = _PIECE.findall(reply)
        room = None if self._faults.context_tokens is None else max(0, self._faults.context_tokens - len(fed))
        stop = None
        finish = FinishReason.EOS
        if found := find_stop(reply, params.stop):
            stop, finish = found[1], FinishReason.STOP
            pieces = _pieces_to(pieces, found[0])
        bound = params.max_new_tokens if room is None else min(params.max_new_tokens, room)
        needed = len(pieces) + (finish is FinishReason.EOS)
        if needed > bound:
            pieces, stop = pieces[:bound], None
            finish = FinishReason.LENGTH if bound == params.max_new_tokens else FinishReason.CONTEXT
        ids = tuple(map(_id, pieces)) + ((EOS_ID,) if finish is FinishReason.EOS else ())
        text = "".join(pieces)
        return Completion(
            text=text[: found[0]] if found and stop else text,
            finish=finish,
            token_ids=ids,
            logps=tuple(map(_logp, ids)),
            prompt_tokens=len(fed),
            model_tokens=len(ids),
            stop=stop,
            prompt_token_ids=fed,
        )


def _continues(turn: str, said: str) -> bool:
    """A turn may have been cut by a stop string."""
    return turn.startswith(said)


def _pieces_to(pieces: list[str], end: int) -> list[str]:
    """The pieces up to the one that holds the character before `end`."""
    length = 0
    for count, piece in enumerate(pieces, start=1):
        length += len(piece)
        if length >= end:
            return pieces[:count]
    return pieces


def _prompt_ids(prompt: Prompt) -> tuple[int, ...]:
    ids: list[int] = []
    for message in prompt.messages:
        ids += _ids(f"{message.role}: {message.content}\n")
    for span in prompt.spans:
        ids += span.token_ids if span.token_ids is not None else _ids(span.text)
    return tuple(ids)


def _ids(text: str) -> tuple[int, ...]:
    return tuple(map(_id, _PIECE.findall(text)))


def _id(piece: str) -> int:
    return derive_seed(piece) % (2**31 - 1) + 1


def _logp(token: int) -> float:
    """A made-up log-probability, always the same for a token."""
    return -(token % 997 + 1) / 997
