"""The words of a free text that are worth looking for: no query language, whatever the text holds, and not more words than a search should cost.

A question with a whole solution behind it has a hundred words. Words in most passages weigh nothing under BM25 and cost most, so they are left out; of the
rest the rarest are kept. Leaves out stems: what counts as the same word is the index's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MOST_TERMS = 64
COMMON = 0.5
"""Words in more than this share of the passages are left out, unless there are no others."""
FEW = 8
MOST_MATCHES = 200_000
"""Beyond the few rarest, words are left out when the passages with them are more than so many in all: the bound on what a search of a large index costs."""
_WORD = re.compile(r"[^\W_]+")
_LONGEST = 64
"""Longer words are cut: no passage is found by the hundredth letter of a word."""


def words(text: str) -> tuple[str, ...]:
    """The different words of a text in their order, in lower case."""
    return tuple(dict.fromkeys(word[:_LONGEST] for word in _WORD.findall(text.lower())))


def rarest(terms: Sequence[str], occurs_in: Callable[[str], int], passages: int, *, most: int = MOST_TERMS) -> tuple[str, ...]:
    """The terms to search for: those that occur, without the common ones, at most so many, the rarest first where some must go; in their order.

    `occurs_in` is the number of passages with a term.
    """
    counts = {term: count for term in terms if (count := occurs_in(term))}
    telling = {term: count for term, count in counts.items() if count <= COMMON * passages}
    if not telling:
        # In a small index every word may be common; a few of those are still something to go by.
        telling, most = counts, min(most, FEW)
    kept: set[str] = set()
    matches = 0
    for term in sorted(telling, key=lambda term: telling[term])[:most]:
        matches += telling[term]
        if len(kept) < FEW or matches <= MOST_MATCHES:
            kept.add(term)
    return tuple(term for term in telling if term in kept)
