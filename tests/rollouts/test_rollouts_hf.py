"""Rollouts over the real decode loop: what is recorded is what was fed, and nothing depends on what runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from test_rollouts import EchoTool

from toolwright.engines import HFEngine
from toolwright.episodes import Completion, Episode, Message, Problem, Prompt, Provenance, SamplingParams, Tool, ToolResult
from toolwright.rollouts import Rollout
from toolwright.tools import Call, MalformedCall, RetoolDialect


class EagerDialect(RetoolDialect):
    """Takes any vowel for a call, so that a model that only babbles makes many."""

    def __init__(self) -> None:
        super().__init__(stops=("a", "e", "i", "o", "u"))

    def find_call(self, text: str, *, ended: bool = True) -> Call | MalformedCall | None:
        return None if ended or not text else Call("python", text, len(text))


class Watched(HFEngine):
    """Keeps what was fed and what came back."""

    def watch(self) -> list[tuple[Prompt, Completion]]:
        self.seen: list[tuple[Prompt, Completion]] = []
        return self.seen

    async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
        done = await super().sample(prompt, n=n, params=params, seed=seed)
        self.seen.append((prompt, done[0]))
        return done


def with_engine(folder: Path, use: Callable[[Watched], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        engine = Watched.load(folder, slots=8)
        engine.watch()
        try:
            return await use(engine)
        finally:
            await engine.aclose()

    return asyncio.run(main())


def rollout(engine: HFEngine, tools: list[Tool], **options: Any) -> Rollout:
    params = SamplingParams(max_new_tokens=60, temperature=1.0)
    return Rollout(engine, dialect=EagerDialect(), tools=tools, system="Babble.", params=params, max_tool_calls=5, **options)


def plain(episode: Episode) -> Episode:
    """The episode without how long it took."""
    return replace(episode, cost=replace(episode.cost, wall_s=0.0))


def test_all_ids_in_a_row_are_what_was_fed(tiny_model: Path) -> None:
    async def use(engine: Watched) -> None:
        turns = 0
        for index in range(6):
            seen = engine.watch()
            tool = EchoTool(answer=lambda said: ToolResult(f"heard {len(said)} é <|im_end|>"))
            episode = await rollout(engine, [tool]).attempt(Problem("p", "Say something."), index)
            spans = episode.spans if episode.spans[-1].provenance is Provenance.MODEL else episode.spans[:-1]
            ids = tuple(token for span in spans for token in span.token_ids or ())
            last = seen[-1][1]
            assert all(span.token_ids is not None for span in spans)
            assert ids == (last.prompt_token_ids or ()) + (last.token_ids or ())
            assert not any("drift_tokens" in result.meta for result in episode.tool_results)
            # No special token came in through the tool.
            end = engine.encode(Prompt((), (replace(episode.spans[0], text="<|im_end|>", token_ids=None),)))[0]
            assert all(end not in (span.token_ids or ()) for span in spans if span.provenance is Provenance.TOOL)
            assert episode.cost.model_tokens == sum(len(c.token_ids or ()) for _, c in seen) <= 60
            turns += len(episode.tool_results)
        assert turns >= 6

    with_engine(tiny_model, use)


def test_company_changes_nothing(tiny_model: Path) -> None:
    async def use(engine: Watched) -> None:
        tool = EchoTool(delay_s=0.01)
        problems = [Problem(f"p{i}", f"Say something about {i} apples.") for i in range(4)]
        together = await rollout(engine, [tool]).run(problems, 3, run_seed=5)
        alone = [await rollout(engine, [tool]).attempt(problem, index, run_seed=5) for problem in problems for index in range(3)]
        assert [e.text for e in together] == [e.text for e in alone]
        assert [e.spans[1].token_ids for e in together] == [e.spans[1].token_ids for e in alone]
        assert tool.closed == len(tool.opened)

    with_engine(tiny_model, use)


def test_the_system_message_is_part_of_the_prompt_span(tiny_model: Path) -> None:
    async def use(engine: Watched) -> None:
        made = rollout(engine, [EchoTool()])
        episode = await made.attempt(Problem("p", "Say something."), 0)
        messages = await made.messages(Problem("p", "Say something."))
        assert messages == (Message("system", "Babble."), Message("user", "Say something."))
        assert episode.spans[0].token_ids == engine.encode(Prompt(messages))
        assert "Babble." in episode.spans[0].text

    with_engine(tiny_model, use)


def test_halting_frees_the_slot(tiny_model: Path) -> None:
    async def use(engine: Watched) -> None:
        halt = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, halt.set)
        episodes = await rollout(engine, [EchoTool(delay_s=5)]).run([Problem("p", "Say something.")], 4, halt=halt)
        assert all(episode.stop in ("cancelled", "finished") for episode in episodes)
        for _ in range(200):
            if not engine.live:
                break
            await asyncio.sleep(0.01)
        assert engine.live == 0

    with_engine(tiny_model, use)
