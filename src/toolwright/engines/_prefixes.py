"""What was computed for earlier prompts and episodes, found again by their tokens.

An episode that stopped for a tool call comes back as a longer prompt; its keys and values are here, unless newer ones needed the room (least recently used
go first). Whole blocks of tokens are found by hash; the rest of a match is compared token by token.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 16


@dataclass(slots=True)
class StoredPrefix:
    """Keys and values of a run of tokens."""

    ids: Any
    """(T,) int32."""
    content: list[Any]
    size_bytes: int
    blocks: tuple[int, ...]
    """Hash of the first 1, 2, … blocks."""


class PrefixStore:
    """Least-recently-used store of prefixes, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._entries: OrderedDict[int, StoredPrefix] = OrderedDict()
        self._by_block: dict[int, int] = {}
        self._next = 0

    def find(self, ids: Sequence[int]) -> tuple[StoredPrefix, int] | None:
        """(stored prefix, how many tokens of it these ids begin with), the longest by whole blocks; None where not even one block matches."""
        array = np.asarray(ids, dtype=np.int32)
        for block in reversed(_block_hashes(array)):
            if (key := self._by_block.get(block)) is not None:
                entry = self._entries[key]
                self._entries.move_to_end(key)
                return entry, _common(entry.ids, array)
        return None

    def add(self, ids: Sequence[int], content: list[Any]) -> None:
        """Keep this content, and let go of the least recently used where there is no room."""
        array = np.asarray(ids, dtype=np.int32)
        blocks = _block_hashes(array)
        size_bytes = sum(tensor.element_size() * tensor.nelement() for tensor in content) + array.nbytes
        if not blocks or size_bytes > self._limit_bytes:
            return
        key, self._next = self._next, self._next + 1
        self._entries[key] = StoredPrefix(array, content, size_bytes, blocks)
        self._size_bytes += size_bytes
        # The newest entry answers for all its blocks: it is the one most likely to be continued.
        self._by_block.update(dict.fromkeys(blocks, key))
        while self._size_bytes > self._limit_bytes:
            self._drop_oldest()

    def clear(self) -> None:
        """Forget everything, as must be done when the weights change."""
        self._entries.clear()
        self._by_block.clear()
        self._size_bytes = 0

    def _drop_oldest(self) -> None:
        key, entry = self._entries.popitem(last=False)
        self._size_bytes -= entry.size_bytes
        for block in entry.blocks:
            if self._by_block.get(block) == key:
                del self._by_block[block]


def _block_hashes(ids: Any) -> tuple[int, ...]:
    hashes: list[int] = []
    for start in range(0, len(ids) - BLOCK + 1, BLOCK):
        hashes.append(hash((hashes[-1] if hashes else 0, ids[start : start + BLOCK].tobytes())))
    return tuple(hashes)


def _common(one: Any, other: Any) -> int:
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length
