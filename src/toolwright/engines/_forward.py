"""One forward pass over the slots: ids in, logits out, through any transformers causal language model that keeps keys and values.

Rows differ in length, so the attention mask and the positions are made here, by the model's own configuration (sliding windows included). Left out: models
with a recurrent state, chunked attention or cross-attention; `unsupported` says so before anything is loaded into a slot.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from toolwright.engines._slots import SlotCache

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}


def unsupported(model: Any) -> str | None:
    """Why this model cannot be decoded here, as the end of a sentence; None where it can."""
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        return "is an encoder-decoder, but only decoder-only models are supported"
    if getattr(model, "_is_stateful", False) or set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS:
        return "keeps a state other than keys and values, which is not supported in process; serve it and give base_url"
    return None


class Forward:
    """A model with its slots."""

    def __init__(self, model: Any) -> None:
        config = model.config
        self._model = model
        self._device = model.device
        self._sliding: int | None = getattr(config, "sliding_window", None)
        kinds = set(getattr(config, "layer_types", None) or ())
        self._by_kind = "sliding_attention" in kinds
        if kinds == {"full_attention"} or getattr(config, "use_sliding_window", True) is False:
            self._sliding = None
        self._additive = getattr(config, "_attn_implementation", "sdpa") == "eager"
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.cache = SlotCache()

    def reset(self) -> None:
        """Start over with empty slots."""
        self.cache = SlotCache()

    def reserve(self, rows: int, columns: int) -> None:
        """Room in the slots."""
        self.cache.reserve(rows, columns)

    def prompts(self, first: int, prompts: Sequence[Sequence[int]], starts: Sequence[int], keep: int) -> Any:
        """(B, keep, V) logits of the last `keep` tokens of each prompt, whose first `starts` tokens are in the slots already, from row `first` on.

        Rows are padded on the left, so that all of them end in the last place; what padding computes goes to the scratch column.
        """
        width = max(max(len(ids) - start for ids, start in zip(prompts, starts, strict=True)), keep)
        tokens = torch.zeros((len(prompts), width), dtype=torch.long)
        positions = torch.zeros_like(tokens)
        columns = torch.full_like(tokens, self.cache.scratch)
        for row, (ids, start) in enumerate(zip(prompts, starts, strict=True)):
            count = len(ids) - start
            tokens[row, width - count :] = torch.tensor(ids[start:])
            positions[row, width - count :] = torch.arange(start, len(ids))
            columns[row, width - count :] = positions[row, width - count :]
        return self._call(first, tokens, positions, columns, keep, max(map(len, prompts)))

    def tokens(self, ids: Sequence[int], positions: Sequence[int]) -> Any:
        """(B, V) logits after one token per row, for the first B rows."""
        self.reserve(len(ids), max(positions) + 1)
        at = torch.tensor(positions).unsqueeze(1)
        return self._call(0, torch.tensor(ids).unsqueeze(1), at, at, 1, max(positions) + 1)[:, -1]

    def _call(self, first: int, tokens: Any, positions: Any, columns: Any, keep: int, length: int) -> Any:
        tokens, positions, columns = (t.to(self._device, non_blocking=True) for t in (tokens, positions, columns))
        self.cache.aim(first, columns, length)
        extra = {"logits_to_keep": keep} if self._keeps else {}
        output = self._model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=self._mask(positions, length),
            past_key_values=self.cache,
            use_cache=True,
            **extra,
        )
        return output.logits[:, -keep:]

    def _mask(self, positions: Any, length: int) -> Any:
        """The mask (B, 1, Q, L) in the form this model takes."""
        at = torch.arange(length, device=positions.device)
        seen = at <= positions.unsqueeze(-1)  # (B, Q, L)
        if self._sliding is None:
            return self._form(seen)
        near = self._form(seen & (at > positions.unsqueeze(-1) - self._sliding))
        return {"full_attention": self._form(seen), "sliding_attention": near} if self._by_kind else near

    def _form(self, seen: Any) -> Any:
        if not self._additive:
            return seen.unsqueeze(1)
        dtype = self._model.dtype
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min).unsqueeze(1)
