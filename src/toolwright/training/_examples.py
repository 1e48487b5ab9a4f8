"""What a model learns from: weighted documents, and how they become batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

SORT_WINDOW = 16
"""Batches drawn at once and sorted by length, so that little padding is computed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One document with a loss weight for each token."""

    ids: tuple[int, ...]
    """(T,)"""
    weights: tuple[float, ...]
    """(T,) how much the prediction *of* this token counts."""


def take(stream: Iterator[Example], count: int) -> list[Example]:
    """The first `count` examples."""
    return list(islice(stream, count))


def batches(examples: Iterator[Example], batch_tokens: int, *, finite: bool = False) -> Iterator[tuple[list[Example], int]]:
    """(batch, examples drawn from the stream for it); within a window examples are sorted by length. The last batch of a window carries its whole count."""
    while True:
        window: list[Example] = []
        size = 0
        while size < SORT_WINDOW * batch_tokens and (example := next(examples, None)) is not None:
            window.append(example)
            size += len(example.ids)
        if not window:
            return
        ordered = iter(sorted(window, key=lambda e: len(e.ids)))
        made: list[list[Example]] = [[]]
        for example in ordered:
            if made[-1] and len(example.ids) * (len(made[-1]) + 1) > batch_tokens:
                made.append([])
            made[-1].append(example)
        # A fixed shuffle: short and long batches alternate, so that the loss does not swing with the sort.
        made = made[::3] + made[1::3] + made[2::3]
        for number, batch in enumerate(made):
            yield batch, len(window) if number == len(made) - 1 else 0
        if finite and size < SORT_WINDOW * batch_tokens:
            return


def tensors(batch: list[Example], device: Any) -> tuple[Any, Any]:
    """(ids, weights), both (B, T), padded on the right with zeros."""
    import torch

    length = max(len(e.ids) for e in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    weights = torch.zeros(len(batch), length)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids.to(device), weights.to(device)
