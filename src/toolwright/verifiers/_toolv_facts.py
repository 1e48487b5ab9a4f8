"""ToolV-facts: documents are retrieved for question and solution, and the model judges every statement of fact against them alone.

For stock models, by prompt with worked examples; no training. Source: T1 (arXiv 2504.04718) §4 and its appendix D.2: no query rewriting, three documents, and
a solution passes only if all of k rationales say Yes. We differ in one way: a rationale without a verdict abstains instead of failing. What the documents do
not tell counts as correct, so a poor index lets errors through and refutes nothing. Leaves out distilled adapters.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from toolwright.episodes import Completion, Cost, Engine, Episode, Problem, SamplingParams, ToolResult, Verdict, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.retrieval import Passage, Retriever
from toolwright.verifiers._facts_prompt import RULES, ChatFacts, FactForm, contradicted, facts_verdict

_VERSION = 1


@runtime_checkable
class Documents(Protocol):
    """Where the documents for a solution come from: a search, or something that an experiment puts in its place."""

    @property
    def digest(self) -> str:
        """Equal digests give equal documents."""

    def __call__(self, problem: Problem, solution: str) -> tuple[Passage, ...]:
        """The documents, best first; none where there is nothing to judge by. The gold answer must not be looked at."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The documents that a search for question and solution finds, joined as they stand."""

    retriever: Retriever
    k: int = 3

    @property
    def digest(self) -> str:
        return digest("retrieved", self.retriever.digest, self.k)

    def __call__(self, problem: Problem, solution: str) -> tuple[Passage, ...]:
        return self.retriever.search(f"{problem.question}\n{solution}", self.k)


class ToolVFacts:
    """Passes a solution if every one of k rationales that the model writes says Yes, refutes it if any says No.

    Rationales without a verdict abstain; if all do, or no document is found, so does the verdict. Evidence: one `ToolResult` per document (tool ``search``, its
    `meta` with `id`, `title` and `score`), then one per rationale (tool ``toolv_facts``, with `said`).
    """

    name = "toolv_facts"

    def __init__(
        self,
        engine: Engine,
        source: Retriever | Documents,
        *,
        form: FactForm | None = None,
        k: int = 4,
        temperature: float = 0.6,
        documents: int = 3,
        max_new_tokens: int = 768,
    ) -> None:
        """`source`: what is searched, or a function that gives the documents; `documents`: how many are searched for.

        Raises: UsageError for k or documents < 1.
        """
        for what, value in (("k", k), ("documents", documents)):
            if value < 1:
                raise UsageError(f"{what} = {value}, but ToolV-facts needs 1 or more")
        self._engine, self._form, self._k = engine, form or ChatFacts(), k
        self._documents: Documents = source if isinstance(source, Documents) else Retrieved(source, documents)
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature, stop=self._form.stop)

    @property
    def digest(self) -> str:
        return digest("toolv_facts", _VERSION, RULES, self._form.name, self._engine.digest, self._params, self._documents.digest, self._k)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The verdict of k rationales. Raises: EngineFault; UsageError where the index is damaged."""
        began = time.monotonic()
        problem, solution = problem.asked(), episode.text
        if not solution.strip():
            return Verdict(None, "There is no solution whose statements could be judged.", self.name)
        # A search reads files; other episodes go on meanwhile.
        passages = await asyncio.to_thread(self._documents, problem, solution)
        found = tuple(_as_result(passage) for passage in passages)
        if not passages:
            return Verdict(None, "No document was found to judge the solution by.", self.name, found, Cost(tool_calls=1, wall_s=time.monotonic() - began))
        prompt = self._form.ask(problem, passages, solution)
        replies = await self._engine.sample(prompt, n=self._k, params=self._params, seed=derive_seed(seed, "toolv_facts"))
        cost = Cost(sum(r.prompt_tokens for r in replies), sum(r.model_tokens for r in replies), 1, time.monotonic() - began)
        return self._conclude(replies, found, cost)

    def _conclude(self, replies: list[Completion], found: tuple[ToolResult, ...], cost: Cost) -> Verdict:
        said = [facts_verdict(reply.text) for reply in replies]
        evidence = (*found, *map(self._rationale, replies, said))
        against = [reply.text for reply, verdict in zip(replies, said, strict=True) if verdict is False]
        decided = sum(verdict is not None for verdict in said)
        if against:
            told = next((line for line in map(contradicted, against) if line is not None), "none of them says which statement")
            return Verdict(0.0, f"{_rationales(len(against), len(said))} found a statement that the documents contradict: {told}", self.name, evidence, cost)
        if decided:
            return Verdict(1.0, f"{_rationales(decided, len(said))} found no statement that the documents contradict.", self.name, evidence, cost)
        return Verdict(None, f"None of {len(said)} rationales ended in a verdict.", self.name, evidence, cost)

    def _rationale(self, reply: Completion, said: bool | None) -> ToolResult:
        return ToolResult(reply.text, said is not None, "ok" if said is not None else "no_verdict", self.name, meta={"said": said})


def _as_result(passage: Passage) -> ToolResult:
    return ToolResult(passage.shown, tool="search", meta={"id": passage.id, "title": passage.title, "score": round(passage.score, 4)})


def _rationales(count: int, of: int) -> str:
    noun = "rationale" if of == 1 else "rationales"
    return f"{count} {noun}" if count == of else f"{count} of {of} {noun}"
