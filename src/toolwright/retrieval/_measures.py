"""How good a ranking is, against the documents known to be right. Standard definitions; leaves out whose ranking it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2

from toolwright.errors import UsageError


def ndcg(ranked: Sequence[str], gold: Collection[str], k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k with gains of 0 and 1. Raises: UsageError without a gold document."""
    _check(gold, k)
    found = sum(1 / log2(place + 2) for place, name in enumerate(ranked[:k]) if name in gold)
    return found / sum(1 / log2(place + 2) for place in range(min(k, len(gold))))


def recall(ranked: Sequence[str], gold: Collection[str], k: int = 3) -> float:
    """The share of the gold documents that stand among the first k. Raises: UsageError without a gold document."""
    _check(gold, k)
    return len(set(ranked[:k]) & set(gold)) / len(set(gold))


def _check(gold: Collection[str], k: int) -> None:
    if not gold:
        raise UsageError("a ranking without a gold document has no quality; leave such queries out")
    if k < 1:
        raise UsageError(f"k = {k}, but at least the first place must be looked at")
