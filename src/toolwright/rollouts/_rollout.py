"""Episodes: a model and its tools taking turns on a problem, until one of the stop reasons ends it.

One object per set-up, any number of episodes at once: while the tool of one episode runs, the engine decodes the others. Leaves out what an episode is worth
(verifiers, tasks) and where it is kept (the run store).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any

from toolwright.episodes import Engine, Episode, Message, Problem, SamplingParams, StopReason, Tool, derive_seed, digest
from toolwright.errors import EpisodeFault, UsageError
from toolwright.rollouts._play import Play, Setup
from toolwright.rollouts._prompts import PROMPT_VERSION, messages_for
from toolwright.tools import Dialect, find_dialect

DEFAULT_PARAMS = SamplingParams()


class Rollout:
    """One way to attempt problems: engine, dialect, tools, and bounds.

    `params.max_new_tokens` bounds what the model writes in an episode over all its turns; `max_total_tokens` bounds model and tool tokens together.
    `system` replaces the dialect's instruction; an empty text sends none.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        dialect: str | Dialect = "text",
        tools: Sequence[Tool] = (),
        params: SamplingParams = DEFAULT_PARAMS,
        max_tool_calls: int = 4,
        max_malformed: int = 2,
        max_total_tokens: int | None = None,
        system: str | None = None,
    ) -> None:
        self.engine, self.params, self.dialect = engine, params, find_dialect(dialect)
        self.tools = {tool.name: tool for tool in tools}
        _check_tools(self.dialect, tools)
        for name, value, least in (("max_tool_calls", max_tool_calls, 0), ("max_malformed", max_malformed, 0), ("max_total_tokens", max_total_tokens, 1)):
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}, but at least {least} is needed")
        self.max_tool_calls, self.max_malformed, self.max_total_tokens = max_tool_calls, max_malformed, max_total_tokens
        self.system = self.dialect.instruction(tools) if system is None else system

    @property
    def setup_digest(self) -> str:
        """Names everything that shapes an episode but the problem and the seed."""
        bounds = (self.max_tool_calls, self.max_malformed, self.max_total_tokens)
        tools = [tool.digest for tool in self.tools.values()]
        return digest("rollout", PROMPT_VERSION, self.system, self.dialect.digest, tools, self.params, bounds, self.engine.digest)

    def _setup(self) -> Setup:
        return Setup(self.engine, self.dialect, self.tools, self.params, self.system, self.max_tool_calls, self.max_malformed, self.max_total_tokens)

    async def messages(self, problem: Problem) -> tuple[Message, ...]:
        """The messages that open this problem's episodes."""
        capabilities = await self.engine.capabilities()
        return messages_for(problem, self.system, system_role=capabilities.system_role)

    async def attempt(
        self,
        problem: Problem,
        index: int,
        *,
        run_seed: int = 0,
        halt: asyncio.Event | None = None,
        after: tuple[Message, ...] = (),
        seed: int | None = None,
    ) -> Episode:
        """The episode of one sample index; the same for the same set-up, problem, index and run seed, whatever runs beside it.

        `after`: messages between the question and the episode, such as an earlier solution and a remark on it; `seed` then names the sample in place of run
        seed, problem and index. Setting `halt` ends it early as cancelled, with what it has. Cancelling the task closes its tools and gives no episode.

        Raises: UsageError where the engine cannot take the request at all. Any other failure is an episode that ended in a fault.
        """
        started = time.monotonic()
        seed = derive_seed(run_seed, problem.id, index) if seed is None else seed
        play = Play(self._setup(), problem, seed, halt, after)
        fault: str | None = None
        try:
            stop = await play.run()
        except EpisodeFault as error:
            stop, fault = StopReason.FAULT, f"{error.boundary}: {error}"
        return Episode(
            problem_id=problem.id,
            index=index,
            spans=tuple(play.transcript.spans),
            stop=stop,
            seed=seed,
            dialect=self.dialect.name,
            engine=self.engine.digest,
            params=self.params,
            cost=replace(play.transcript.cost, wall_s=time.monotonic() - started),
            tool_results=tuple(play.transcript.results),
            fault=fault,
        )

    async def run(
        self,
        problems: Iterable[Problem],
        n: int,
        *,
        run_seed: int = 0,
        concurrency: int = 128,
        done: Container[tuple[str, int]] = (),
        on_episode: Callable[[Episode], None] | None = None,
        halt: asyncio.Event | None = None,
    ) -> list[Episode]:
        """N episodes of each problem, in the order of problems and indices, `concurrency` of them at a time.

        `done` holds the (problem id, index) that are not to be made again; `on_episode` sees each episode as soon as it has ended. Setting `halt` cancels what
        is in flight and starts nothing more.

        Raises: UsageError as soon as one attempt does; the others are cancelled.
        """
        if n < 1 or concurrency < 1:
            raise UsageError(f"n is {n} and concurrency {concurrency}, but both must be at least 1")
        jobs = [(problem, index) for problem in problems for index in range(n) if (problem.id, index) not in done]
        waiting = iter(enumerate(jobs))
        made: list[tuple[int, Episode]] = []

        async def work() -> None:
            for number, (problem, index) in waiting:
                if halt is not None and halt.is_set():
                    return
                episode = await self.attempt(problem, index, run_seed=run_seed, halt=halt)
                made.append((number, episode))
                if on_episode is not None:
                    on_episode(episode)

        await _all([work() for _ in range(min(concurrency, len(jobs)))])
        return [episode for _, episode in sorted(made, key=lambda pair: pair[0])]


def _check_tools(dialect: Dialect, tools: Sequence[Tool]) -> None:
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise UsageError(f"two tools have the same name: {', '.join(names)}")
    if tools and not dialect.has_tools:
        raise UsageError(f'the dialect "{dialect.name}" has no tool calls, but the tools {", ".join(names)} were given; use retool, markdown or hermes')
    if dialect.has_tools and not tools:
        raise UsageError(f'the dialect "{dialect.name}" needs at least one tool, e.g. tools=[PythonTool(sandbox)]; without tools use the dialect "text"')
    if dialect.has_tools and dialect.only_tool not in (None, *names):
        raise UsageError(f'the dialect "{dialect.name}" can only call the tool "{dialect.only_tool}", but the tools are {", ".join(names)}; use hermes')


async def _all(workers: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Nothing, when all are through; the first failure, or being cancelled, ends the others and waits for them to clean up."""
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
