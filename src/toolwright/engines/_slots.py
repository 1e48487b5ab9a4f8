"""The keys and values of all slots, owned by us and handed to any transformers model as its cache.

Rows stand compactly at the front, each starting at column 0, so that a forward pass over the live rows reads a view and copies nothing. A finished row's
place is taken by the last one. Tensors grow in blocks and are zeroed, because a masked column still must hold finite numbers. Left out: paging, quantised
caches, and models that keep a state other than keys and values.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache

BLOCK = 128


class SlotCache(Cache):  # type: ignore[misc]
    """Keys and values, per layer (rows, heads, columns, dim)."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._keys: list[Any] = []
        self._values: list[Any] = []
        self._rows = 0
        self._columns = 0
        self._first = 0
        self._where: tuple[Any, slice, Any] | None = None
        self._length = 0

    @property
    def scratch(self) -> int:
        """The column that padding is written to; no mask ever shows it."""
        return self._columns

    def reserve(self, rows: int, columns: int) -> None:
        """Room for that many rows and columns, kept content included."""
        if rows <= self._rows and columns <= self._columns:
            return
        if rows > self._rows:
            self._rows = 1 << (rows - 1).bit_length()
        self._columns = max(self._columns, -(-columns // BLOCK) * BLOCK)
        self._keys = [self._grown(old) for old in self._keys]
        self._values = [self._grown(old) for old in self._values]

    def aim(self, first: int, columns: Any, length: int) -> None:
        """Say where the next forward pass writes: rows from `first` on, at `columns` (B, Q); and that attention reads the first `length` columns."""
        rows = torch.arange(first, first + columns.shape[0], device=columns.device).unsqueeze(1)
        self._first, self._where, self._length = first, (rows, slice(None), columns), length

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The rows' keys and values up to the aimed length, the new ones among them. Called by the model, once per layer."""
        while len(self._keys) <= layer_idx:
            self._keys.append(self._zeros(key_states))
            self._values.append(self._zeros(value_states))
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        keys[self._where] = key_states.transpose(1, 2)
        values[self._where] = value_states.transpose(1, 2)
        last = self._first + key_states.shape[0]
        return keys[self._first : last, :, : self._length], values[self._first : last, :, : self._length]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The columns that the next forward pass reads."""
        return self._length

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row over another."""
        for tensor in (*self._keys, *self._values):
            tensor[target, :, :length] = tensor[source, :, :length]

    def fan_out(self, source: int, first: int, count: int, length: int) -> None:
        """Copy a row to `count` rows from `first` on."""
        for tensor in (*self._keys, *self._values):
            tensor[first : first + count, :, :length] = tensor[source, :, :length]

    def take(self, row: int, length: int) -> list[Any]:
        """A row's content as tensors of its own."""
        return [tensor[row, :, :length].clone() for tensor in (*self._keys, *self._values)]

    def put(self, row: int, content: list[Any], length: int) -> None:
        """Write back the first columns of what `take` gave."""
        for tensor, kept in zip((*self._keys, *self._values), content, strict=True):
            tensor[row, :, :length] = kept[:, :length]

    def _zeros(self, like: Any) -> Any:
        # One column more than asked for is the scratch column.
        return torch.zeros((self._rows, like.shape[1], self._columns + 1, like.shape[3]), dtype=like.dtype, device=like.device)

    def _grown(self, old: Any) -> Any:
        new = torch.zeros((self._rows, old.shape[1], self._columns + 1, old.shape[3]), dtype=old.dtype, device=old.device)
        new[: old.shape[0], :, : old.shape[2]] = old
        return new
