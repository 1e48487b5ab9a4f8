"""One episode being played: sample, look for a call, run the tool, let the model read the result, again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from toolwright.episodes import (
    Completion,
    Engine,
    FinishReason,
    Message,
    Problem,
    Prompt,
    SamplingParams,
    Span,
    StopReason,
    Tool,
    ToolResult,
    ToolSession,
    derive_seed,
)
from toolwright.errors import EngineFault, ToolFailure
from toolwright.rollouts._prompts import messages_for
from toolwright.rollouts._transcript import Transcript
from toolwright.tools import Call, Dialect, MalformedCall

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What all episodes of a rollout share."""

    engine: Engine
    dialect: Dialect
    tools: Mapping[str, Tool]
    params: SamplingParams
    system: str
    max_tool_calls: int
    max_malformed: int
    max_total_tokens: int | None


@runtime_checkable
class _Encoder(Protocol):
    """An engine that tells how it would encode a prompt; not all do."""

    def encode(self, prompt: Prompt) -> tuple[int, ...]: ...


class Play:
    """One episode: `run` plays it once, and `transcript` holds what has happened, whatever stopped it."""

    def __init__(self, setup: Setup, problem: Problem, seed: int, halt: asyncio.Event | None, after: tuple[Message, ...] = ()) -> None:
        """`after`: messages between the question and the episode."""
        self._setup, self._problem, self._seed, self._halt, self._after = setup, problem, seed, halt, after
        self._sessions: dict[str, ToolSession] = {}
        self._malformed = 0
        self._can_continue = True
        self.transcript = Transcript((*messages_for(problem, setup.system), *after), inline=True)

    async def run(self) -> StopReason:
        """Why the episode ended.

        Raises: EpisodeFault where a boundary failed.
        """
        setup = self._setup
        capabilities = await setup.engine.capabilities()
        self._can_continue = capabilities.prefill
        messages = (*messages_for(self._problem, setup.system, system_role=capabilities.system_role), *self._after)
        self.transcript = Transcript(messages, inline=setup.dialect.inline and capabilities.prefill)
        async with AsyncExitStack() as stack:
            while (stop := await self._turn(stack)) is None:
                pass
        return stop

    async def _turn(self, stack: AsyncExitStack) -> StopReason | None:
        """One request and what it leads to; None where the episode goes on."""
        room = self._room()
        if room < 1:
            return StopReason.MAX_TOKENS
        completion = await self._unless_halted(self._sample(room))
        if completion is None:
            return StopReason.CANCELLED
        self.transcript.hear(completion)
        if completion.finish in _FULL:
            return _FULL[completion.finish]
        dialect = self._setup.dialect
        stopped = completion.finish is FinishReason.STOP and completion.stop in dialect.stops
        found = dialect.find_call(self.transcript.turn_text, ended=not (stopped and self._can_continue))
        if found is not None:
            self.transcript.end_turn(found.end, finish=completion.finish)
            return await self._answer(self._known(found), stack)
        if not stopped:
            return StopReason.FINISHED
        if not self._can_continue:
            # The stop string was no call's end, and only a message makes the model write on.
            self._tell(ToolResult("Go on.", outcome="continue"))
        return None

    async def _sample(self, room: int) -> Completion:
        setup, transcript = self._setup, self.transcript
        stops = (*setup.dialect.stops, *(stop for stop in setup.params.stop if stop not in setup.dialect.stops))
        params = replace(setup.params, max_new_tokens=room, stop=stops)
        drawn = await setup.engine.sample(transcript.prompt, n=1, params=params, seed=derive_seed(self._seed, transcript.requests))
        if not drawn:
            raise EngineFault(f"the engine {setup.engine.name} answered a request without a completion")
        return drawn[0]

    def _known(self, found: Call | MalformedCall) -> Call | MalformedCall:
        """The call, if there is such a tool."""
        tools = self._setup.tools
        if isinstance(found, MalformedCall) or found.tool in tools:
            return found
        return MalformedCall(f"There is no tool {found.tool!r}. The tools are: {', '.join(tools)}.", found.end)

    async def _answer(self, found: Call | MalformedCall, stack: AsyncExitStack) -> StopReason | None:
        """The call's result told to the model; a stop reason where no more calls are allowed, or none could be read on with."""
        setup, transcript = self._setup, self.transcript
        if isinstance(found, MalformedCall):
            self._malformed += 1
            if self._malformed > setup.max_malformed:
                return StopReason.MALFORMED_CALLS
            self._tell(ToolResult(found.message, ok=False, outcome="malformed"))
            return None
        if transcript.tool_calls >= setup.max_tool_calls:
            return StopReason.MAX_TOOL_CALLS
        if self._room() < 1:
            return StopReason.MAX_TOKENS
        transcript.tool_calls += 1
        result = await self._unless_halted(self._call(found, stack))
        if result is None:
            return StopReason.CANCELLED
        self._tell(result, missing=found.missing)
        return None

    async def _call(self, call: Call, stack: AsyncExitStack) -> ToolResult:
        if call.tool not in self._sessions:
            opened = self._setup.tools[call.tool].open(seed=derive_seed(self._seed, "tool", call.tool))
            self._sessions[call.tool] = await stack.enter_async_context(opened)
        try:
            return await self._sessions[call.tool].call(call.arguments)
        except ToolFailure as failure:
            return ToolResult(str(failure), ok=False, outcome="failure", tool=call.tool)

    def _tell(self, result: ToolResult, *, missing: str = "") -> None:
        dialect = self._setup.dialect
        text = missing + dialect.render_result(result, after=self.transcript.turn_text + missing)
        self.transcript.answer(result, text, dialect.result_message(result))

    def _room(self) -> int:
        """How many tokens the model may still write."""
        setup = self._setup
        room = setup.params.max_new_tokens - self.transcript.model_tokens
        if setup.max_total_tokens is None:
            return room
        return min(room, setup.max_total_tokens - self.transcript.response_tokens(self._tokens_in))

    def _tokens_in(self, span: Span) -> int:
        """How many tokens a span of text will be: as the engine would encode it, or else one a byte, which is never too few."""
        engine: object = self._setup.engine
        return len(engine.encode(Prompt((), (span,)))) if isinstance(engine, _Encoder) else len(span.text.encode())

    async def _unless_halted(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The work's result; None, with the work cancelled, where the episode was halted first."""
        if self._halt is None:
            return await work
        task, halted = asyncio.ensure_future(work), asyncio.ensure_future(self._halt.wait())
        try:
            await asyncio.wait((task, halted), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, halted):
                each.cancel()
            await asyncio.gather(task, halted, return_exceptions=True)


_FULL = {FinishReason.LENGTH: StopReason.MAX_TOKENS, FinishReason.CONTEXT: StopReason.CONTEXT_FULL}
