"""GenRM: the model says Yes or No to a solution, after rationales or at once, and the chance of Yes is the score.

The chance comes from log-probabilities, normalised over the two words; where the engine has none, from how often sampled replies say Yes. Leaves out how a
model learns it (`recipes`).

Source: Zhang et al. 2024, *Generative Verifiers*, arXiv 2408.15240; T1 (arXiv 2504.04718), equation 2: the mean over rationales.
"""

from __future__ import annotations

import asyncio
import math
import re
import time

from toolwright.episodes import Cost, Engine, Episode, Problem, Prompt, Provenance, SamplingParams, Span, ToolResult, Verdict, derive_seed, digest
from toolwright.errors import UsageError
from toolwright.verifiers._forms import ChatJudge, JudgeForm

_VERSION = 1
_SAID = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_SHOWN = 300


class GenRM:
    """Scores a solution with the chance that the model calls it right, as a mean over rationales; None where no reply gave a verdict.

    Evidence: one `ToolResult` per rationale, with its `score` in `meta`.
    """

    name = "genrm"
    is_reward = True

    def __init__(
        self, engine: Engine, *, form: JudgeForm | None = None, rationales: int = 1, temperature: float = 0.6, max_new_tokens: int = 512, samples: int = 4
    ) -> None:
        """`rationales`: how many are written, where the form has any (the paper: 8). `samples`: replies counted where there are no log-probabilities.

        Raises: UsageError for less than one of either.
        """
        if rationales < 1 or samples < 1:
            raise UsageError(f"rationales = {rationales} and samples = {samples}, but at least 1 of each is needed")
        self._engine, self._form = engine, form or ChatJudge()
        self._rationales, self._samples = (rationales if self._form.closing else 1), samples
        self._params = SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature)

    @property
    def digest(self) -> str:
        return digest(
            "genrm", _VERSION, self._engine.digest, self._form.name, self._form.words, self._form.closing, self._rationales, self._samples, self._params
        )

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The mean chance of Yes. Raises: EngineFault."""
        began = time.monotonic()
        if not episode.model_text.strip():
            return Verdict(None, "There is no solution to judge.", self.name, is_reward=True)
        prompt = self._form.ask(problem, episode.text)
        scored = (await self._engine.capabilities()).logps
        if scored:
            try:
                found, cost = await self._by_logps(prompt, derive_seed(seed, "genrm"))
            except UsageError:
                # Log-probabilities of what it draws, but not of given text: many servers.
                scored = False
        if not scored:
            found, cost = await self._by_samples(prompt, derive_seed(seed, "genrm"))
        cost += Cost(wall_s=time.monotonic() - began)
        evidence = tuple(
            ToolResult(text[-_SHOWN:], score is not None, "ok" if score is not None else "no_verdict", self.name, meta={"score": score})
            for text, score in found
        )
        scores = [score for _, score in found if score is not None]
        if not scores:
            return Verdict(None, f"None of {len(found)} judgements ended in Yes or No.", self.name, evidence, cost, is_reward=True)
        mean = sum(scores) / len(scores)
        return Verdict(mean, f"The model holds the solution right with a chance of {100 * mean:.0f} %.", self.name, evidence, cost, is_reward=True)

    async def _by_logps(self, prompt: Prompt, seed: int) -> tuple[list[tuple[str, float | None]], Cost]:
        """(rationale, chance of Yes after it) of each."""
        prompts, texts, cost = [prompt], [""], Cost()
        if self._form.closing:
            cut = self._form.closing.strip()
            params = SamplingParams(self._params.max_new_tokens, self._params.temperature, stop=(cut,))
            replies = await self._engine.sample(prompt, n=self._rationales, params=params, seed=seed)
            texts = [reply.text.split(cut)[0].rstrip() for reply in replies]
            said = (Span(Provenance.MODEL, text + self._form.closing) for text in texts)
            prompts = [Prompt(prompt.messages, (*prompt.spans, span)) for span in said]
            cost = sum((Cost(reply.prompt_tokens, reply.model_tokens) for reply in replies), cost)
        scores = await asyncio.gather(*(chance(self._engine, each, self._form.words) for each in prompts))
        return list(zip(texts, scores, strict=True)), cost

    async def _by_samples(self, prompt: Prompt, seed: int) -> tuple[list[tuple[str, float | None]], Cost]:
        """(reply, 1 for Yes and 0 for No) of each."""
        count = max(self._rationales, self._samples)
        # Greedy replies would all be one.
        params = self._params if self._params.temperature > 0 else SamplingParams(self._params.max_new_tokens, 0.6)
        replies = await self._engine.sample(prompt, n=count, params=params, seed=seed)
        cost = sum((Cost(reply.prompt_tokens, reply.model_tokens) for reply in replies), Cost())
        return [(reply.text, verdict_said(reply.text, self._form.closing.strip())) for reply in replies], cost


async def chance(engine: Engine, prompt: Prompt, words: tuple[str, str]) -> float:
    """The chance of the first of two continuations, where it must be one of them. Raises: UsageError where the engine cannot score."""
    yes, no = await asyncio.gather(*(engine.score(prompt, word) for word in words))
    return 1 / (1 + math.exp(min(700.0, math.fsum(no) - math.fsum(yes))))


def verdict_said(reply: str, closing: str) -> float | None:
    """What a reply concludes: 1 for Yes, 0 for No, None for neither; what stands after the closing line counts, else the last of the two words."""
    _, found, after = reply.rpartition(closing) if closing else ("", "", reply)
    words = _SAID.findall(after if found or not closing else reply)
    if not words:
        return None
    word = words[0] if found or not closing else words[-1]
    return 1.0 if word.casefold() == "yes" else 0.0
