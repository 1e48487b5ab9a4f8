from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import (
    Capabilities,
    Completion,
    Episode,
    FinishReason,
    Problem,
    Prompt,
    Provenance,
    SamplingParams,
    StopReason,
    ToolResult,
    ToolSession,
    derive_seed,
)
from toolwright.errors import EngineFault, SandboxFault, ToolFailure, UsageError
from toolwright.rollouts import Rollout

PROBLEM = Problem("p1", "What is 5 times 2, plus 20?")
CALL = "<code>\nprint(5*2+20)\n</code>"


@dataclass
class EchoTool:
    """Answers with what it is told to, and remembers what happened to it."""

    answer: Callable[[str], ToolResult] = lambda arguments: ToolResult("30", tool="python")
    delay_s: float = 0.0
    calls: list[str] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    closed: int = 0
    name: str = "python"
    digest: str = "echo"
    schema: dict[str, object] = field(default_factory=lambda: {"type": "function", "function": {"name": "python", "description": "Runs Python."}})

    def open(self, *, seed: int) -> AbstractAsyncContextManager[ToolSession]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[ToolSession]:
            self.opened.append(seed)
            try:
                yield self
            finally:
                self.closed += 1

        return opened()

    async def call(self, arguments: str) -> ToolResult:
        self.calls.append(arguments)
        await asyncio.sleep(self.delay_s)
        return self.answer(arguments)


def attempt(rollout: Rollout, *, index: int = 0, run_seed: int = 0, problem: Problem = PROBLEM) -> Episode:
    return asyncio.run(rollout.attempt(problem, index, run_seed=run_seed))


def retool(*turns: str, tool: EchoTool | None = None, faults: Faults = Faults(), **options: Any) -> tuple[Rollout, ScriptedEngine, EchoTool]:
    engine, tool = ScriptedEngine([list(turns)], faults=faults), tool or EchoTool()
    return Rollout(engine, dialect="retool", tools=[tool], **options), engine, tool


def kinds(episode: Episode) -> list[str]:
    return [str(span.provenance) for span in episode.spans]


def test_text_episode_holds_prompt_and_model_span() -> None:
    engine = ScriptedEngine(["n1: 5*2=10\nleft: 10+20=30\n#### 30"])
    episode = attempt(Rollout(engine))
    assert (episode.stop, episode.text, episode.dialect) == (StopReason.FINISHED, "n1: 5*2=10\nleft: 10+20=30\n#### 30", "text")
    assert kinds(episode) == ["prompt", "model"]
    assert [message.role for message in engine.requests[0].prompt.messages] == ["system", "user"]
    assert "<code>" not in engine.requests[0].prompt.messages[0].content
    assert engine.requests[0].prompt.messages[1].content == PROBLEM.question
    assert episode.seed == derive_seed(0, "p1", 0)
    assert engine.requests[0].seed == derive_seed(episode.seed, 0)


def test_retool_spans_are_as_the_embedded_models_learn_them() -> None:
    rollout, engine, tool = retool(CALL, "#### 30")
    episode = attempt(rollout)
    assert [span.text for span in episode.spans[1:]] == [CALL, "\n<interpreter>\n30\n</interpreter>\n\n", "#### 30"]
    assert kinds(episode) == ["prompt", "model", "tool", "model"]
    assert "<code>" in engine.requests[0].prompt.messages[0].content
    assert tool.calls == ["\nprint(5*2+20)\n"]
    assert (len(tool.opened), tool.closed) == (1, 1)
    assert episode.stop is StopReason.FINISHED
    assert episode.cost.tool_calls == 1
    assert episode.model_text == CALL + "#### 30"
    assert len(episode.tool_results) == 1


def test_all_ids_in_a_row_are_what_was_fed() -> None:
    rollout, engine, _ = retool(CALL, CALL, "#### 30")
    episode = attempt(rollout)
    ids = [token for span in episode.spans for token in span.token_ids or ()]
    assert all(span.token_ids for span in episode.spans)
    last = asyncio.run(engine.sample(engine.requests[-1].prompt, n=1, params=SamplingParams(), seed=0))[0]
    assert last.prompt_token_ids == tuple(ids[: len(last.prompt_token_ids or ())])
    assert len(ids) == len(last.prompt_token_ids or ()) + len(episode.spans[-1].token_ids or ())
    assert all((span.logps is not None) == (span.provenance is Provenance.MODEL) for span in episode.spans)


def test_cost_counts_prompt_tokens_once_a_request_and_not_the_models_own() -> None:
    rollout, _, _ = retool(CALL, "#### 30")
    episode = attempt(rollout)
    prompt, call, tool, answer = (len(span.token_ids or ()) for span in episode.spans)
    assert episode.cost.prompt_tokens == prompt + (prompt + tool)
    assert episode.cost.model_tokens == call + answer
    assert episode.cost.wall_s > 0


def test_turns_draw_from_seeds_of_their_own() -> None:
    rollout, engine, _ = retool(CALL, "#### 30")
    first = attempt(rollout, index=3, run_seed=7)
    assert [request.seed for request in engine.requests] == [derive_seed(derive_seed(7, "p1", 3), turn) for turn in range(2)]
    assert replace(attempt(rollout, index=3, run_seed=7), cost=first.cost) == first


def test_lost_engine_is_a_fault_and_keeps_what_was_there() -> None:
    rollout, _, tool = retool(CALL, "#### 30", faults=Faults(lost_after_calls=1))
    episode = attempt(rollout)
    assert (episode.stop, kinds(episode)) == (StopReason.FAULT, ["prompt", "model", "tool"])
    assert episode.fault is not None and episode.fault.startswith("engine: ")
    assert tool.closed == 1
