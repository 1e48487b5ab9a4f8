"""PRM: a chance for every step of a solution, and one score made of them.

`StepRM` reads the chance of a mark after each step from a model's log-probabilities, all steps in one batch. `ServedRM` asks a server that pools (vLLM and
what follows its interface) for the scores of a reward model. Leaves out training (`recipes`).

Source: Lightman et al. 2023, *Let's Verify Step by Step* (product); Wang et al. 2024, *Math-Shepherd* (minimum); T1 takes the last step.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from toolwright.episodes import Cost, Engine, Episode, Problem, ToolResult, Verdict, digest
from toolwright.errors import UsageError, VerifierFault
from toolwright.verifiers._forms import StepForm, TaggedSteps, asked
from toolwright.verifiers._genrm import chance
from toolwright.verifiers._steps import split_steps

if TYPE_CHECKING:
    import httpx

Reduction = Literal["last", "min", "product"]
REDUCTIONS: tuple[Reduction, ...] = ("last", "min", "product")
_VERSION = 1


def reduce_steps(scores: Sequence[float], reduction: Reduction) -> float:
    """One score of a solution's step scores. Raises: UsageError for no score."""
    if not scores:
        raise UsageError("no step has a score, so there is none for the solution")
    return {"last": scores[-1], "min": min(scores), "product": math.prod(scores)}[reduction]


class StepRM:
    """Scores a solution by the chance of a good mark after each of its steps.

    Evidence: one `ToolResult` per step, with `score` and `step` in its `meta`.
    """

    name = "prm"
    is_reward = True

    def __init__(self, engine: Engine, *, form: StepForm | None = None, reduction: Reduction = "last") -> None:
        """Raises: UsageError for an unknown reduction."""
        self._engine, self._form, self._reduction = engine, form or TaggedSteps(), _known(reduction)

    @property
    def digest(self) -> str:
        return digest("prm", _VERSION, self._engine.digest, self._form.name, self._form.marks, self._reduction)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The reduced chance. Raises: EngineFault; UsageError where the engine gives no log-probabilities of given text."""
        began = time.monotonic()
        steps = split_steps(episode.text)
        if not steps:
            return Verdict(None, "There is no step to judge.", self.name, is_reward=True)
        scores = await asyncio.gather(*(chance(self._engine, prompt, self._form.marks) for prompt in self._form.prompts(problem, steps)))
        return step_verdict(self.name, steps, scores, self._reduction, Cost(wall_s=time.monotonic() - began))


class ServedRM:
    """Scores a solution by a reward model behind a server's pooling endpoint.

    Speaks vLLM's documented form: ``POST /pooling`` with ``{"model", "messages"}``, answered by ``{"data": [{"data": […]}]}``. What comes back may be one
    number (an outcome reward), a number or a row per step (a PRM that pools at its step tag: the last number of a row is the chance of *good*).

    Source: vLLM, "Pooling Models" (docs.vllm.ai); Qwen2.5-Math-PRM's card for the step tag ``<extra_0>``.
    """

    name = "served_rm"
    is_reward = True

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        step_tag: str = "<extra_0>",
        system: str = "Please reason step by step, and put your final answer within \\boxed{}.",
        reduction: Reduction = "last",
        api_key: str | None = None,
        timeout_s: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`step_tag` stands after every step; an empty one sends the solution as it is (an outcome reward model). Raises: UsageError for a bad address."""
        if not base_url.startswith(("http://", "https://")):
            raise UsageError(f'base_url is "{base_url}", but an address such as http://localhost:8000 is needed')
        self._url = base_url.rstrip("/").removesuffix("/v1") + "/pooling"
        self._model, self._tag, self._system, self._reduction = model, step_tag, system, _known(reduction)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s, self._transport = timeout_s, transport

    @property
    def digest(self) -> str:
        return digest("served_rm", _VERSION, self._url, self._model, self._tag, self._system, self._reduction)

    async def verify(self, problem: Problem, episode: Episode, *, seed: int) -> Verdict:
        """The reduced score. Raises: VerifierFault where the server is not there, refuses, or answers something else."""
        began = time.monotonic()
        steps = split_steps(episode.text) if self._tag else (episode.text.strip(),)
        if not any(steps):
            return Verdict(None, "There is no step to judge.", self.name, is_reward=True)
        told = "".join(step + self._tag for step in steps)
        system = [{"role": "system", "content": self._system}] if self._system else []
        messages = [*system, {"role": "user", "content": asked(problem)}, {"role": "assistant", "content": told}]
        body = await self._ask({"model": self._model, "messages": messages})
        scores = _scores(body)
        if len(scores) not in (1, len(steps)):
            raise VerifierFault(f"{self._url} gave {len(scores)} scores for {len(steps)} steps; give the step tag that {self._model} was trained with")
        used = int((body.get("usage") or {}).get("prompt_tokens") or 0)
        return step_verdict(self.name, steps if len(scores) > 1 else (told,), scores, self._reduction, Cost(used, wall_s=time.monotonic() - began))

    async def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        import httpx

        try:
            async with httpx.AsyncClient(headers=self._headers, timeout=self._timeout_s, transport=self._transport) as client:
                response = await client.post(self._url, json=body)
                response.raise_for_status()
                answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise VerifierFault(
                f"no scores from the reward model at {self._url} ({error}); start it with: vllm serve {self._model} --runner pooling"
            ) from error
        return answer if isinstance(answer, dict) else {}


def step_verdict(name: str, steps: Sequence[str], scores: Sequence[float], reduction: Reduction, cost: Cost) -> Verdict:
    """The verdict of step scores: the reduced one, and a reason that names the weakest step."""
    score = reduce_steps(scores, reduction)
    weakest = min(range(len(scores)), key=scores.__getitem__)
    evidence = tuple(ToolResult(step, s >= 0.5, "ok", name, meta={"step": i, "score": s}) for i, (step, s) in enumerate(zip(steps, scores, strict=True)))
    told = " ".join(steps[weakest].split())[:80]
    return Verdict(
        score,
        f"{reduction} of {len(scores)} step scores: {score:.2f}; the weakest is step {weakest + 1} ({scores[weakest]:.2f}): “{told}”.",
        name,
        evidence,
        cost,
        is_reward=True,
    )


def _known(reduction: str) -> Reduction:
    for each in REDUCTIONS:
        if each == reduction:
            return each
    raise UsageError(f'reduction is "{reduction}", but one of {", ".join(REDUCTIONS)} is accepted')


def _scores(body: dict[str, Any]) -> list[float]:
    """The scores of a pooling answer, each in [0, 1]. Raises: VerifierFault for an answer of another form."""
    data = body.get("data")
    rows = data[0].get("data") if isinstance(data, list) and data and isinstance(data[0], dict) else None
    try:
        rows = rows if isinstance(rows, list) else [rows]
        scores = [float(row[-1] if isinstance(row, list) else row) for row in rows]
    except (TypeError, ValueError, IndexError) as error:
        raise VerifierFault(f"the reward model answered in no known form ({str(body)[:80]}); a pooling endpoint is needed") from error
    # An outcome model may give a logit; a chance is what a verdict holds.
    return [s if 0 <= s <= 1 else 1 / (1 + math.exp(-max(-700.0, min(700.0, s)))) for s in scores]
