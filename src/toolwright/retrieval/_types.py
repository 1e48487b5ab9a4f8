"""What a search gives back, what searches, and what an index is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that can be found."""

    id: str
    title: str
    text: str
    score: float = 0.0
    """How well it fits the query that found it, larger is better; 0 before any search. Scores of two indexes do not compare."""

    @property
    def shown(self) -> str:
        """Title and text, as a reader sees them."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@runtime_checkable
class Retriever(Protocol):
    """Finds passages for a free text."""

    @property
    def digest(self) -> str:
        """What is searched, and how: equal digests find equal passages."""

    def search(self, query: str, k: int = 3) -> tuple[Passage, ...]:
        """At most k passages, best first; none where no word of the query stands in any. Safe to call from several threads.

        Raises: UsageError for k < 1, or an index that is damaged.
        """


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What an index holds."""

    passages: int
    files: int
    """Files read; 1 for a JSONL, 0 for an index made in memory."""
    characters: int
    """Of titles and texts together."""
    digest: str
    """Of ids, titles and texts in their order: equal sources give equal digests."""
    tokenizer: str
    bytes: int = 0
    """Of the index file; 0 in memory."""
