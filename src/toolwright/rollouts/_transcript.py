"""The growing record of one episode: spans, their token ids, and the prompt that the engine gets next.

Token ids are never made here. Model spans carry the ids that were sampled; the ids of prompt and tool spans are what the engine says it fed beyond those, so
that all ids of an episode in a row are exactly what the model saw. Where an engine fed something else than was known (it re-encoded the model's text, or its
template changed it), the tool span stays without ids and its result tells the drift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from toolwright.episodes import Completion, Cost, FinishReason, Message, Prompt, Provenance, Span, ToolResult
from toolwright.rollouts._prompts import shown


class Transcript:
    """One episode as far as it got.

    `inline`: tool results are spans of the same assistant turn; otherwise each turn becomes a message, and so does each result.
    """

    def __init__(self, messages: tuple[Message, ...], *, inline: bool) -> None:
        self._messages, self._inline = messages, inline
        self.spans: list[Span] = [Span(Provenance.PROMPT, shown(messages))]
        self.results: list[ToolResult] = []
        self.model_tokens = 0
        self.prompt_tokens = 0
        self.requests = 0
        self.tool_calls = 0
        self._turn: Span | None = None
        """The model's span of the current turn; always the last of `spans`."""

    @property
    def prompt(self) -> Prompt:
        """What the engine continues next."""
        if self._inline:
            return Prompt(self._messages, tuple(self.spans[1:]))
        return Prompt(self._messages, (self._turn,) if self._turn else ())

    @property
    def turn_text(self) -> str:
        """What the model wrote since the last tool result."""
        return self._turn.text if self._turn else ""

    @property
    def cost(self) -> Cost:
        """What was spent so far, without wall time."""
        return Cost(self.prompt_tokens, self.model_tokens, self.tool_calls)

    def hear(self, completion: Completion) -> None:
        """Take in what the model wrote."""
        self._settle(completion.prompt_token_ids)
        fed = completion.prompt_tokens or len(completion.prompt_token_ids or ())
        self.prompt_tokens += max(0, fed - self.model_tokens)
        self.model_tokens += _count(completion)
        self.requests += 1
        text = completion.text
        if completion.stop and not text.endswith(completion.stop):
            text += completion.stop
        if completion.surplus.isspace():
            # It is in the ids, so the tool span behind it must not begin with the same line break once more.
            text += completion.surplus
        if not text and not completion.token_ids:
            return
        heard = Span(Provenance.MODEL, text, completion.token_ids, completion.logps)
        if self._turn is None:
            self.spans.append(heard)
        else:
            self.spans[-1] = heard = _joined(self._turn, heard)
        self._turn = heard

    def end_turn(self, end: int, *, finish: FinishReason) -> None:
        """Close the model's span at a call that ends there, because the episode goes on behind it."""
        span = self._turn
        if span is None:
            return
        if span.text[end:].strip():
            # Written by a server that stops nowhere, without the result; its ids cannot be cut at a character.
            span = Span(Provenance.MODEL, span.text[:end])
        elif self._inline and finish is FinishReason.EOS and span.token_ids:
            # The turn goes on, so its end must not stand in the middle of it.
            span = replace(span, token_ids=span.token_ids[:-1], logps=span.logps[:-1] if span.logps else span.logps)
        self.spans[-1] = self._turn = span

    def answer(self, result: ToolResult, text: str, message: Message) -> None:
        """Append a tool's result: as a span of this text, or as this message."""
        if not self._inline:
            self._messages = (*self._messages, Message("assistant", self.turn_text), message)
            text = message.content
        self.spans.append(Span(Provenance.TOOL, text))
        self.results.append(result)
        self._turn = None

    def response_tokens(self, count: Callable[[Span], int]) -> int:
        """Tokens after the prompt, by model and tools; `count` is asked for spans whose ids are not known."""
        tools = [span for span in self.spans if span.provenance is Provenance.TOOL]
        return self.model_tokens + sum(len(span.token_ids) if span.token_ids is not None else count(span) for span in tools)

    def _settle(self, fed: tuple[int, ...] | None) -> None:
        """Give the one span that was fed without ids the ids it was fed as."""
        if fed is None:
            return
        last = self.spans[-1]
        if last.token_ids is not None or last.provenance is Provenance.MODEL or any(span.token_ids is None for span in self.spans[:-1]):
            return
        known = tuple(token for span in self.spans[:-1] for token in span.token_ids or ())
        if fed[: len(known)] == known:
            self.spans[-1] = replace(last, token_ids=fed[len(known) :])
        elif self.results:
            same = next((i for i, pair in enumerate(zip(known, fed, strict=False)) if pair[0] != pair[1]), min(len(known), len(fed)))
            self.results[-1] = replace(self.results[-1], meta={**self.results[-1].meta, "drift_tokens": len(known) - same})


def _joined(first: Span, second: Span) -> Span:
    """Two model spans in a row as one."""
    ids = first.token_ids + second.token_ids if first.token_ids is not None and second.token_ids is not None else None
    logps = first.logps + second.logps if ids is not None and first.logps is not None and second.logps is not None else None
    return Span(Provenance.MODEL, first.text + second.text, ids, logps)


def _count(completion: Completion) -> int:
    """The completion's tokens; a guess where the engine does not tell, and never nothing, so that budgets end every episode."""
    return completion.model_tokens or len(completion.token_ids or ()) or max(1, len(completion.text) // 4)
