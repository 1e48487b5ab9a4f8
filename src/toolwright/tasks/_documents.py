"""The documents of a problem under four conditions, so that what retrieval adds can be told from what reading adds.

``none``: no document; ``garbage``: drawn at random; ``retrieved``: what a search for question and solution finds; ``gold``: the very passages that the facts
stand in. Source: T1 (arXiv 2504.04718), whose gold documents are written by a large model for each question; here the task knows them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from toolwright.episodes import Problem, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.retrieval import Passage, Retriever
from toolwright.tasks._types import Task

Condition = Literal["none", "garbage", "retrieved", "gold"]
CONDITIONS: tuple[Condition, ...] = ("none", "garbage", "retrieved", "gold")


class Library:
    """The documents of a task's problems under one condition; `verifiers.ToolVFacts` takes it as its source.

    Raises: UsageError for an unknown condition, one that lacks what it needs (passages, a retriever, a task that knows its gold documents), or k < 1.
    """

    def __init__(self, condition: str, task: Task, passages: Sequence[Passage] = (), *, retriever: Retriever | None = None, k: int = 3, seed: int = 0) -> None:
        """`passages`: all there are, for garbage and gold; `retriever`: searches them; `k`: documents per problem, gold ones excepted."""
        if condition not in CONDITIONS:
            raise UsageError(f"no condition {condition!r}; there are {', '.join(CONDITIONS)}")
        if k < 1:
            raise UsageError(f"k = {k}, but at least one document is needed; the condition without any is called none")
        if condition == "retrieved" and retriever is None:
            raise UsageError("the condition 'retrieved' needs a retriever; give an index")
        self.condition, self._retriever, self._k, self._seed = condition, retriever, k, seed
        self._passages, self._by_id = tuple(passages), {p.id: p for p in passages}
        self._gold: dict[str, tuple[str, ...]] = {p.id: tuple(p.meta.get("documents", ())) for p in task.problems}
        if condition == "gold":
            self._check_gold(task)
        if condition == "garbage" and len(passages) < k + max(map(len, self._gold.values())):
            raise UsageError(f"{len(passages)} passages are too few to draw {k} that have nothing to do with a problem")

    @property
    def digest(self) -> str:
        found = self._retriever.digest if self.condition == "retrieved" and self._retriever is not None else digest(sorted(self._by_id))
        return digest("library", self.condition, found, self._k, self._seed, self._gold)

    def __call__(self, problem: Problem, solution: str = "") -> tuple[Passage, ...]:
        """The documents, best first. Raises: UsageError for a problem of another task (gold and garbage only)."""
        if self.condition == "none":
            return ()
        if self.condition == "retrieved" and self._retriever is not None:
            return self._retriever.search(f"{problem.question}\n{solution}" if solution else problem.question, self._k)
        if problem.id not in self._gold:
            raise UsageError(f"the problem {problem.id!r} is none of this library's task")
        gold = self._gold[problem.id]
        if self.condition == "gold":
            return tuple(self._by_id[name] for name in gold)
        rng = random.Random(derive_seed("garbage", self._seed, problem.id))
        drawn = rng.sample(self._passages, self._k + len(gold))
        return tuple(p for p in drawn if p.id not in gold)[: self._k]

    def _check_gold(self, task: Task) -> None:
        without = [name for name, gold in self._gold.items() if not gold]
        if without:
            raise UsageError(f"{task.name} does not know the gold documents of {without[0]!r}; the condition 'gold' is for tasks like encyclopedia")
        if missing := [name for gold in self._gold.values() for name in gold if name not in self._by_id]:
            raise UsageError(f"the gold document {missing[0]!r} is not among the passages given; give all passages of the task")
