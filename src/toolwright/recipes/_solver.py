"""A solver: engine, dialect, tools and verifiers put together by their names, for the command line and for ten lines of Python.

It holds what must be opened and closed (model, sandbox, equivalence workers); what to draw and how to choose stays with rollouts and strategies.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from toolwright.engines import EMBEDDED, is_embedded, load_engine
from toolwright.episodes import Budget, Choice, Engine, Episode, Problem, Prompt, RunStore, SamplingParams, Tool, Verifier, digest
from toolwright.errors import UsageError
from toolwright.recipes._named_verifiers import VERIFIERS, made_verifiers, packaged_adapters
from toolwright.recipes.calibrate import switched_off
from toolwright.retrieval import FtsIndex, Retriever, open_index
from toolwright.rollouts import Rollout
from toolwright.sandbox import Sandbox, SandboxBackend
from toolwright.scaling import solve
from toolwright.tools import DIALECTS, PythonTool

T = TypeVar("T")
_PROBED, _PROBE_TOKENS = 16, 8
"""How many candidates, and how many tokens of each, are timed for an estimate."""


class Solver:
    """A model that answers problems, with the tools that check it.

    Args:
        model: an embedded model's name, a folder, a hub id; with `base_url` the name of a served model.
        base_url: an OpenAI-compatible server.
        dialect: how the model may call the interpreter while it writes; ``text`` means not at all.
        verify: verifier names (claims, toolv-code, genrm, prm, toolv-facts); None takes claims, ToolV-code too where the model is not an embedded one, and
            ToolV-facts where there is an index.
        adapters: a folder with the model's roles, made by `toolwright distill`; the embedded models' own where None.
        calibration: a file made by `toolwright calibrate`; verifiers that it switches off are left out.
        index: what ToolV-facts searches: a file made by `toolwright index build`, or a retriever.
        more: verifiers of your own, asked after the named ones, such as a `ServedRM`.
        params: how to draw.
        allow_degraded: accept a sandbox that only has system-call filters.
        sandbox: what runs programs, in place of a `Sandbox`; the solver closes it.

    Raises: UsageError for an unknown name or a model that is not there.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dialect: str = "text",
        verify: Sequence[str] | None = None,
        params: SamplingParams | None = None,
        engine: Engine | None = None,
        allow_degraded: bool = False,
        sandbox: SandboxBackend | None = None,
        adapters: Path | None = None,
        calibration: Path | None = None,
        index: Path | Retriever | None = None,
        more: Sequence[Verifier] = (),
    ) -> None:
        if dialect not in DIALECTS:
            raise UsageError(f"no dialect {dialect!r}; there are {', '.join(DIALECTS)}")
        embedded = engine is None and is_embedded(model, base_url)
        usual = (*(VERIFIERS[:1] if embedded else VERIFIERS[:2]), *(("toolv-facts",) if index is not None else ()))
        names = verify if verify is not None else usual
        if unknown := [name for name in names if name not in VERIFIERS]:
            raise UsageError(f"no verifier {unknown[0]!r}; there are {', '.join(VERIFIERS)}")
        searched = open_index(index) if isinstance(index, Path) else index
        self._index = searched if isinstance(index, Path) and isinstance(searched, FtsIndex) else None
        off = switched_off(calibration) if calibration is not None else frozenset()
        self.engine: Engine = engine if engine is not None else load_engine(model, base_url=base_url, api_key=api_key)
        # The sandbox starts with the first snippet, so a solver that runs none pays nothing for it.
        self.sandbox: SandboxBackend = sandbox if sandbox is not None else Sandbox(allow_degraded=allow_degraded)
        tools: tuple[Tool, ...] = () if dialect == "text" else (PythonTool(self.sandbox),)
        self.rollout = Rollout(self.engine, dialect=dialect, tools=tools, params=params or SamplingParams(max_new_tokens=320 if embedded else 1024))
        roles = packaged_adapters(model or EMBEDDED[0]) if adapters is None and embedded else adapters
        made = made_verifiers([name for name in names if name.replace("-", "_") not in off], self.engine, self.sandbox, adapters=roles, index=searched)
        self.verifiers: tuple[Verifier, ...] = (*made.verifiers, *(each for each in more if each.name not in off))
        self._engines = (self.engine, *made.engines)

    def solve(
        self,
        question: str | Problem,
        *,
        n: int = 16,
        strategy: str = "t1",
        seed: int = 0,
        seconds: float | None = None,
        tokens: int | None = None,
        store: RunStore | None = None,
        on_episode: Callable[[Episode, bool], None] | None = None,
    ) -> Choice:
        """The answer, with all that was tried. It may be called where an event loop runs (a notebook), which then waits.

        Raises: UsageError for an empty question, n < 1 or an unknown strategy; NoUsableEpisode where every episode ended in a fault.
        """
        problem = question if isinstance(question, Problem) else Problem(digest("question", question), question)
        budget = Budget(samples=n, tokens=tokens, seconds=seconds)
        return _run(solve(problem, self.rollout, strategy=strategy, verifiers=self.verifiers, budget=budget, run_seed=seed, store=store, on_episode=on_episode))

    def estimate_s(self, question: str | Problem, *, n: int = 16) -> float:
        """Seconds that drawing n candidates takes at most, from timing a few tokens of some; tool runs come on top.

        Raises: UsageError where the engine cannot take the question; EngineFault where the backend is lost.
        """
        problem = question if isinstance(question, Problem) else Problem("estimate", question)
        return _run(self._estimate(problem, n))

    async def _estimate(self, problem: Problem, n: int) -> float:
        prompt = Prompt(await self.rollout.messages(problem))
        width, taken = min(n, _PROBED), []
        # One token first: it reads the prompt and warms the engine up, so that the difference is the pace of writing.
        for tokens in (1, 1 + _PROBE_TOKENS):
            started = time.monotonic()
            await self.engine.sample(prompt, n=width, params=replace(self.rollout.params, max_new_tokens=tokens), seed=0)
            taken.append(time.monotonic() - started)
        per_token = max(taken[1] - taken[0], 0.0) / _PROBE_TOKENS
        return (taken[0] + per_token * self.rollout.params.max_new_tokens) * -(-n // width)

    def close(self) -> None:
        """Free the model, the sandbox and an index that was opened here; safe to call twice."""
        for engine in self._engines:
            _run(engine.aclose())
        _run(self.sandbox.aclose())
        if self._index is not None:
            self._index.close()

    def __enter__(self) -> Solver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine; beside a running event loop it gets a loop and a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def choice_to_json(choice: Choice, model: str) -> dict[str, Any]:
    """The choice as ``toolwright solve --json`` prints it."""
    return {
        "answer": choice.answer,
        "tried": [
            {
                "answer": tried.answer,
                "text": tried.episode.text,
                "verdict": {"score": tried.verdict.score, "reason": tried.verdict.reason},
                "reward": tried.reward,
                "cluster": tried.cluster,
            }
            for tried in choice.tried
        ],
        "strategy": choice.strategy,
        "fallback": choice.fallback,
        "note": choice.note,
        "cost": {
            "prompt_tokens": choice.cost.prompt_tokens,
            "model_tokens": choice.cost.model_tokens,
            "tool_calls": choice.cost.tool_calls,
            "wall_s": round(choice.cost.wall_s, 3),
        },
        "model": model,
        "seed": choice.seed,
    }
