"""Problems with gold answers: benchmarks, users' files, procedural word problems, a generated encyclopedia, and pools of recorded solutions.

``python -m toolwright.tasks check`` checks the word-problem templates. Nothing here runs a model or judges an answer.
"""

from __future__ import annotations

from toolwright.tasks._documents import CONDITIONS, Library
from toolwright.tasks._encyclopedia import Asking, ask, knowledge_of
from toolwright.tasks._files import load_file
from toolwright.tasks._generated import today
from toolwright.tasks._knowledge import Entity, Knowledge, World
from toolwright.tasks._pools import Pool, load_pool
from toolwright.tasks._registry import load, task_names
from toolwright.tasks._types import Grade, Loader, Task, self_check
from toolwright.tasks.wordproblems import Dial, Split, generate, split_digest, split_of

__all__ = [
    "CONDITIONS",
    "Asking",
    "Dial",
    "Entity",
    "Grade",
    "Knowledge",
    "Library",
    "Loader",
    "Pool",
    "Split",
    "Task",
    "World",
    "ask",
    "generate",
    "knowledge_of",
    "load",
    "load_file",
    "load_pool",
    "self_check",
    "split_digest",
    "split_of",
    "task_names",
    "today",
]
