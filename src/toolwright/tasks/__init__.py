"""Problems with gold answers: benchmarks, users' files, and procedural word problems."""

from __future__ import annotations

from toolwright.tasks.wordproblems import Dial, Split, generate, split_digest, split_of

__all__ = ["Dial", "Split", "generate", "split_digest", "split_of"]
