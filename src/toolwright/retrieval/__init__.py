"""Floor 1: a local index over passages, and the search in it: SQLite FTS5, or bm25s in memory.

Lexical only (BM25 with stems): no embeddings, no reranker, no query rewriting. What is concluded from the passages is not decided here.
"""

from __future__ import annotations

from toolwright.retrieval._bm25s import Bm25sIndex
from toolwright.retrieval._build import BACKENDS, build_index, open_index
from toolwright.retrieval._fts import TOKENIZERS, FtsIndex
from toolwright.retrieval._measures import ndcg, recall
from toolwright.retrieval._sources import read_passages
from toolwright.retrieval._types import IndexFacts, Passage, Retriever

__all__ = [
    "BACKENDS",
    "TOKENIZERS",
    "Bm25sIndex",
    "FtsIndex",
    "IndexFacts",
    "Passage",
    "Retriever",
    "build_index",
    "ndcg",
    "open_index",
    "read_passages",
    "recall",
]
