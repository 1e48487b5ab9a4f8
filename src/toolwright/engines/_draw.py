"""The draw of one token per row, independent of which rows stand beside it.

Each row brings one uniform number per token from its own counter-based stream, and the token is the inverse of the cumulative distribution at it, summed in
double precision: rows share a matrix but nothing else. Greedy rows take the exact argmax. Log-probabilities are those of the untempered model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from toolwright.episodes import SamplingParams


def stream(seed: int) -> np.random.Generator:
    """The uniform numbers of one sample: a Philox counter keyed by its seed."""
    return np.random.Generator(np.random.Philox(key=seed))


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """Sampling parameters of B rows as columns."""

    temperatures: Any
    """(B, 1), 1 where the row is greedy."""
    greedy: Any
    """(B,) bool."""
    any_greedy: bool
    all_greedy: bool
    top_ks: Any
    """(B, 1), or None where no row cuts by rank."""
    widest: int
    """The largest top_k."""
    top_ps: Any
    """(B, 1), or None where no row cuts by mass."""

    @classmethod
    def of(cls, params: Sequence[SamplingParams], vocabulary: int, device: Any) -> DrawSettings:
        """The columns of these rows; made once and used until the rows change."""
        greedy = [p.temperature == 0 for p in params]
        ranks = [min(p.top_k, vocabulary) or vocabulary for p in params]
        masses = [p.top_p for p in params]
        return cls(
            temperatures=torch.tensor([p.temperature or 1.0 for p in params], device=device).unsqueeze(1),
            greedy=torch.tensor(greedy, device=device),
            any_greedy=any(greedy),
            all_greedy=all(greedy),
            top_ks=torch.tensor(ranks, device=device).unsqueeze(1) if min(ranks) < vocabulary else None,
            widest=max(ranks),
            top_ps=torch.tensor(masses, device=device).unsqueeze(1) if min(masses) < 1 else None,
        )


def draw(logits: Any, settings: DrawSettings, uniforms: Sequence[float]) -> tuple[list[int], list[float]]:
    """(token ids, natural log-probabilities under the untempered model), B of each.

    Shapes: logits (B, V); uniforms (B,) in [0, 1), not looked at for greedy rows.
    """
    logits = logits.float()
    if settings.all_greedy:
        tokens = logits.argmax(-1)
    else:
        tokens = _inverse(_kept(logits / settings.temperatures, settings), uniforms)
        if settings.any_greedy:
            tokens = torch.where(settings.greedy, logits.argmax(-1), tokens)
    logps = logits.gather(1, tokens.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)
    return tokens.tolist(), logps.tolist()


def _kept(scaled: Any, settings: DrawSettings) -> Any:
    """(B, V) probabilities, zero where top_k or top_p cut."""
    wide = torch.float32 if scaled.device.type == "mps" else torch.float64
    if settings.top_ks is None and settings.top_ps is None:
        return scaled.to(wide).softmax(-1)
    # Where every row cuts by rank, only the best few need an order: sorting a vocabulary of 150,000 would take longer than the model.
    ordered, order = scaled.topk(settings.widest, dim=-1) if settings.widest < scaled.shape[1] else scaled.sort(dim=-1, descending=True, stable=True)
    if settings.top_ks is not None:
        ranks = torch.arange(ordered.shape[1], device=scaled.device).unsqueeze(0)
        ordered = ordered.masked_fill(ranks >= settings.top_ks, -torch.inf)
    probabilities = ordered.to(wide).softmax(-1)
    if settings.top_ps is not None:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill((before >= settings.top_ps) & (before > 0), 0)
    return torch.zeros(scaled.shape, dtype=wide, device=scaled.device).scatter_(1, order, probabilities)


def _inverse(probabilities: Any, uniforms: Sequence[float]) -> Any:
    """(B,) the first token at which the cumulative probability exceeds the uniform number."""
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:]
    target = torch.tensor(uniforms, dtype=cumulative.dtype, device=cumulative.device).unsqueeze(1) * total
    # Below the total even where the product rounds up to it: a token of probability zero must never be drawn.
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(1)
