"""What servers answer, brought into one form: text, token ids and log-probabilities wherever this vendor keeps them, thinking taken out, usage counted.

Pure functions over JSON, so that every vendor's quirk is a test of one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_THINK, _THOUGHT = "<think>", "</think>"


@dataclass(slots=True)
class Answer:
    """One choice of an answer, whole or as far as it has been streamed."""

    text: str = ""
    finish: str | None = None
    """The server's own word; None while it goes on."""
    stop: str | None = None
    """The stop string that the server says it matched."""
    token_ids: list[int] | None = None
    logps: list[float] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_tokens: int | None = None
    model_tokens: int | None = None
    pieces: int = 0
    """Tokens seen one by one, for servers that report no usage."""
    thought: bool = False
    """The server told the model's thinking apart, or the text holds it between tags."""
    _logprob_ids: list[int] = field(default_factory=list)

    def add(self, body: Mapping[str, Any]) -> None:
        """Take in a whole answer, or one event of a stream."""
        usage = body.get("usage") or {}
        self.prompt_tokens = usage.get("prompt_tokens", self.prompt_tokens)
        self.model_tokens = usage.get("completion_tokens", self.model_tokens)
        choices = body.get("choices") or []
        if not choices:
            return
        choice = choices[0]
        message = choice.get("message") or choice.get("delta") or {}
        self.text += choice.get("text") or message.get("content") or ""
        self.thought = self.thought or bool(message.get("reasoning_content") or message.get("reasoning"))
        self.finish = choice.get("finish_reason") or self.finish
        reason = choice.get("stop_reason", choice.get("matched_stop"))
        self.stop = reason if isinstance(reason, str) else self.stop
        self.prompt_token_ids = choice.get("prompt_token_ids") or body.get("prompt_token_ids") or self.prompt_token_ids
        self._add_tokens(choice)

    def _add_tokens(self, choice: Mapping[str, Any]) -> None:
        ids, logps = _logprobs(choice.get("logprobs"))
        self.pieces += len(logps) or 1
        self.logps = (self.logps or []) + logps if logps else self.logps
        self._logprob_ids += ids
        if stated := choice.get("token_ids"):
            self.token_ids = (self.token_ids or []) + list(stated)
        elif choice.get("token_ids") is None and self._logprob_ids and self.logps and len(self._logprob_ids) == len(self.logps):
            self.token_ids = list(self._logprob_ids)

    def visible(self) -> str:
        """The text without a block of thinking at its start."""
        lead = self.text.lstrip()
        if not lead.startswith(_THINK):
            return self.text
        self.thought = True
        _, closed, rest = lead.partition(_THOUGHT)
        return rest.lstrip("\n") if closed else ""

    def aligned(self) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
        """(token ids, log-probabilities) where they belong together; log-probabilities without ids are of no use to a record."""
        if self.token_ids is None:
            return None, None
        logps = tuple(self.logps) if self.logps is not None and len(self.logps) == len(self.token_ids) else None
        return tuple(self.token_ids), logps


def _logprobs(logprobs: Mapping[str, Any] | None) -> tuple[list[int], list[float]]:
    """(ids where given, log-probabilities), from the chat form or the completions form."""
    if not logprobs:
        return [], []
    content = logprobs.get("content")
    if content:
        # llama.cpp puts the id into each entry.
        return [entry["id"] for entry in content if "id" in entry], [float(entry["logprob"]) for entry in content]
    return [], [float(x) for x in logprobs.get("token_logprobs") or () if x is not None]


def prompt_logps(body: Mapping[str, Any], ids: tuple[int, ...], start: int) -> tuple[float, ...] | None:
    """The log-probabilities of the prompt's tokens from `start` on, as vLLM gives them; None where there are none."""
    choices = body.get("choices") or [{}]
    entries = choices[0].get("prompt_logprobs") or body.get("prompt_logprobs")
    if not entries or len(entries) < len(ids):
        return None
    found = [(entry or {}).get(str(token)) for entry, token in zip(entries[start : len(ids)], ids[start:], strict=True)]
    if any(entry is None for entry in found):
        return None
    return tuple(float(entry["logprob"]) for entry in found if entry is not None)
