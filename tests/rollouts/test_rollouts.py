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


def retool(*turns: str, tool: EchoTool | None = None, faults: Faults | None = None, **options: Any) -> tuple[Rollout, ScriptedEngine, EchoTool]:
    engine, tool = ScriptedEngine([list(turns)], faults=faults or Faults()), tool or EchoTool()
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


def test_budget_is_cumulative_over_turns() -> None:
    rollout, engine, _ = retool(CALL, "one two three four five six " * 4, params=SamplingParams(max_new_tokens=24))
    episode = attempt(rollout)
    first, second = (request.params.max_new_tokens for request in engine.requests)
    written = [len(span.token_ids or ()) for span in episode.spans if span.provenance is Provenance.MODEL]
    assert (first, second) == (24, 24 - written[0])
    assert episode.stop is StopReason.MAX_TOKENS
    assert sum(written) == episode.cost.model_tokens == 24


def test_no_tool_runs_when_the_budget_is_spent_by_its_call() -> None:
    rollout, _, tool = retool(CALL, "#### 30")
    spent = len(attempt(rollout).spans[1].token_ids or ())
    tool.calls.clear()
    rollout, _, tool = retool(CALL, "#### 30", params=SamplingParams(max_new_tokens=spent))
    episode = attempt(rollout)
    assert (episode.stop, tool.calls, kinds(episode)) == (StopReason.MAX_TOKENS, [], ["prompt", "model"])


def test_total_bound_counts_tool_tokens_and_is_never_exceeded() -> None:
    long = EchoTool(answer=lambda _: ToolResult("7 " * 40))
    rollout, _, _ = retool(CALL, CALL, "#### 30 " * 50, tool=long, params=SamplingParams(max_new_tokens=400), max_total_tokens=160)
    episode = attempt(rollout)
    assert episode.stop is StopReason.MAX_TOKENS
    fed = [span for span in episode.spans[1:] if span.token_ids is not None]
    assert sum(len(span.token_ids or ()) for span in fed) <= 160


def test_full_context_ends_the_episode() -> None:
    rollout, _, _ = retool(CALL, "#### 30", faults=Faults(context_tokens=5))
    episode = attempt(rollout)
    assert (episode.stop, kinds(episode)) == (StopReason.CONTEXT_FULL, ["prompt"])
    rollout, _, _ = retool(CALL, "#### 30", tool=EchoTool(answer=lambda _: ToolResult("9 " * 2000)), faults=Faults(context_tokens=500))
    episode = attempt(rollout)
    assert (episode.stop, kinds(episode)) == (StopReason.CONTEXT_FULL, ["prompt", "model", "tool"])


def test_tool_calls_are_bounded() -> None:
    rollout, _, tool = retool(CALL, CALL, CALL, CALL, max_tool_calls=2)
    episode = attempt(rollout)
    assert (episode.stop, len(tool.calls), episode.cost.tool_calls) == (StopReason.MAX_TOOL_CALLS, 2, 2)
    assert kinds(episode)[-1] == "model"


def test_malformed_calls_are_answered_counted_and_bounded() -> None:
    rollout, _, tool = retool("print(1)</code>", "x</code>", "y</code>", max_malformed=2)
    episode = attempt(rollout)
    assert (episode.stop, tool.calls) == (StopReason.MALFORMED_CALLS, [])
    assert kinds(episode) == ["prompt", "model", "tool", "model", "tool", "model"]
    assert [result.outcome for result in episode.tool_results] == ["malformed"] * 2
    assert "Write the program between" in episode.spans[2].text
    assert episode.cost.tool_calls == 0


def test_model_recovers_from_a_malformed_call() -> None:
    rollout, _, tool = retool("print(1)</code>", CALL, "#### 30")
    episode = attempt(rollout)
    assert (episode.stop, len(tool.calls), len(episode.tool_results)) == (StopReason.FINISHED, 1, 2)


def test_halt_while_decoding_gives_a_cancelled_episode() -> None:
    rollout, engine, tool = retool(CALL, "#### 30", faults=Faults(delay_s=0.05))
    assert halted(rollout, after_s=0.02).stop is StopReason.CANCELLED
    assert engine.cancelled == 1
    episode = halted(rollout, after_s=0.075)
    assert (episode.stop, kinds(episode), tool.closed) == (StopReason.CANCELLED, ["prompt", "model", "tool"], 1)


def test_halt_while_a_tool_runs_closes_it() -> None:
    rollout, _, tool = retool(CALL, "#### 30", tool=EchoTool(delay_s=30))
    episode = halted(rollout, after_s=0.05)
    assert (episode.stop, kinds(episode), tool.closed) == (StopReason.CANCELLED, ["prompt", "model"], 1)


def halted(rollout: Rollout, *, after_s: float) -> Episode:
    async def main() -> Episode:
        halt = asyncio.Event()
        asyncio.get_running_loop().call_later(after_s, halt.set)
        return await rollout.attempt(PROBLEM, 0, halt=halt)

    return asyncio.run(main())


def test_cancelling_the_task_closes_the_tool_and_stays_cancelled() -> None:
    rollout, _, tool = retool(CALL, "#### 30", tool=EchoTool(delay_s=30))

    async def main() -> None:
        task = asyncio.create_task(rollout.attempt(PROBLEM, 0))
        while not tool.calls:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert tool.closed == 1


def raising(error: Exception) -> Callable[[str], ToolResult]:
    def answer(_: str) -> ToolResult:
        raise error

    return answer


def test_broken_sandbox_is_a_fault_and_not_a_result() -> None:
    rollout, _, tool = retool(CALL, "#### 30", tool=EchoTool(answer=raising(SandboxFault("no processes left"))))
    episode = attempt(rollout)
    assert (episode.stop, episode.fault, episode.tool_results) == (StopReason.FAULT, "sandbox: no processes left", ())
    assert tool.closed == 1


def test_tool_failure_is_told_to_the_model() -> None:
    rollout, _, _ = retool(CALL, "#### 30", tool=EchoTool(answer=raising(ToolFailure("the index is empty"))))
    episode = attempt(rollout)
    assert episode.stop is StopReason.FINISHED
    assert "the index is empty" in episode.spans[2].text
    assert (episode.tool_results[0].ok, episode.tool_results[0].outcome) == (False, "failure")


def test_one_fault_leaves_the_siblings_alone() -> None:
    engine = ScriptedEngine([[CALL, "#### 30"]], faults=Faults(fails_every=5))
    rollout = Rollout(engine, dialect="retool", tools=[EchoTool()])
    episodes = asyncio.run(rollout.run([Problem(str(i), "?") for i in range(6)], 2))
    stops = [episode.stop for episode in episodes]
    assert stops.count(StopReason.FAULT) >= 2
    assert stops.count(StopReason.FINISHED) >= 6
    assert len(stops) == 12


def test_capability_probe_that_fails_is_a_fault() -> None:
    class Down(ScriptedEngine):
        async def capabilities(self) -> Capabilities:
            raise EngineFault("nobody answers at http://localhost:1")

    episode = attempt(Rollout(Down(["x"])))
    assert (episode.stop, kinds(episode)) == (StopReason.FAULT, ["prompt"])


def test_stripped_stop_string_is_put_back() -> None:
    rollout, _, _ = retool(CALL, "#### 30", faults=Faults(strips_stop=True))
    assert attempt(rollout).spans[1].text == CALL


def test_tag_in_a_string_of_the_program_is_no_end() -> None:
    tool = EchoTool()
    episode = attempt(Rollout(ByRequest(["<code>\nprint('a </code>", " b')\n</code>", "#### 1"]), dialect="retool", tools=[tool]))
    assert tool.calls == ["\nprint('a </code> b')\n"]
    assert [span.text for span in episode.spans if span.provenance is Provenance.MODEL] == ["<code>\nprint('a </code> b')\n</code>", "#### 1"]
    span = episode.spans[1]
    assert span.token_ids and span.logps and len(span.token_ids) == len(span.logps)
    assert episode.spans[2].token_ids is not None


class ByRequest(ScriptedEngine):
    """Says one text per request, whatever was said before."""

    def __init__(self, replies: list[str], *, capabilities: Capabilities | None = None, **options: Any) -> None:
        super().__init__(replies, in_order=True, **options)
        self._shown = capabilities

    async def capabilities(self) -> Capabilities:
        return self._shown or await super().capabilities()


def test_call_left_open_at_the_end_of_the_turn_is_run_and_closed() -> None:
    rollout, _, tool = retool("<code>\nprint(30)", "#### 30")
    episode = attempt(rollout)
    assert tool.calls == ["\nprint(30)"]
    assert episode.spans[2].text == "\n</code>\n<interpreter>\n30\n</interpreter>\n\n"
    # The end-of-sequence token was drawn, but the turn went on.
    assert 0 not in (episode.spans[1].token_ids or ())
    assert len(episode.spans[1].logps or ()) == len(episode.spans[1].token_ids or ())
    assert all(span.token_ids is not None for span in episode.spans)


def test_words_written_after_a_call_without_its_result_are_cut() -> None:
    class Deaf(ScriptedEngine):
        """Hears no stop strings, as some servers do, and writes on."""

        async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
            said = len(prompt.spans)
            return [Completion(CALL + "\n<interpreter>\n99\n</interpreter>\n#### 99" if not said else "#### 30", FinishReason.EOS, model_tokens=9)]

    episode = attempt(Rollout(Deaf(["unused"]), dialect="retool", tools=[EchoTool()]))
    assert "99" not in episode.text
    assert episode.model_text == CALL + "#### 30"


NO_PREFILL = Capabilities(prefill=False)


def test_without_prefill_results_travel_as_messages() -> None:
    engine = ByRequest([CALL, "The answer is 30."], capabilities=NO_PREFILL)
    episode = attempt(Rollout(engine, dialect="retool", tools=[EchoTool()]))
    assert all(not request.prompt.spans for request in engine.requests)
    assert [(message.role, message.content) for message in engine.requests[1].prompt.messages[2:]] == [
        ("assistant", CALL),
        ("user", "<interpreter>\n30\n</interpreter>"),
    ]
    assert kinds(episode) == ["prompt", "model", "tool", "model"]
    assert episode.stop is StopReason.FINISHED


def test_without_prefill_a_stop_that_ends_no_call_is_answered() -> None:
    engine = ByRequest(["The list:\n```text\na\n```\n", "The answer is 30."], capabilities=NO_PREFILL)
    episode = attempt(Rollout(engine, dialect="markdown", tools=[EchoTool()]))
    assert [result.outcome for result in episode.tool_results] == ["continue"]
    assert episode.stop is StopReason.FINISHED


def test_with_prefill_a_stop_that_ends_no_call_is_continued() -> None:
    engine = ByRequest(["The list:\n```text\na\n```\n", "```python\nprint(30)\n```\n", "The answer is 30."])
    episode = attempt(Rollout(engine, dialect="markdown", tools=[EchoTool()]))
    assert kinds(episode) == ["prompt", "model", "tool", "model"]
    assert episode.spans[2].text == "```output\n30\n```\n"
    assert episode.spans[1].text == "The list:\n```text\na\n```\n```python\nprint(30)\n```\n"


HERMES = '<tool_call>\n{"name": "python", "arguments": {"code": "print(5*2+20)"}}\n</tool_call>'


def test_hermes_results_are_messages_and_drift_is_told() -> None:
    engine = ByRequest([HERMES, "\\boxed{30}"])
    tool = EchoTool()
    episode = attempt(Rollout(engine, dialect="hermes", tools=[tool]))
    assert tool.calls == ['{"code": "print(5*2+20)"}']
    assert engine.requests[1].prompt.messages[-1].content == "<tool_response>\n30\n</tool_response>"
    assert not engine.requests[1].prompt.spans
    # The scripted template puts "assistant: " before the model's words, so its second prompt is not what it wrote: drift.
    assert episode.tool_results[0].meta["drift_tokens"] > 0
    assert episode.spans[2].token_ids is None


def test_unknown_tool_is_told_with_the_names_there_are() -> None:
    engine = ByRequest([HERMES.replace("python", "calculator"), HERMES, "\\boxed{30}"])
    tool = EchoTool()
    episode = attempt(Rollout(engine, dialect="hermes", tools=[tool]))
    assert "The tools are: python" in episode.spans[2].text
    assert (len(tool.calls), episode.stop) == (1, StopReason.FINISHED)


def test_system_text_moves_into_the_question_where_there_is_no_system_role() -> None:
    engine = ByRequest(["x"], capabilities=Capabilities(prefill=True, system_role=False))
    attempt(Rollout(engine))
    (message,) = engine.requests[0].prompt.messages
    assert message.role == "user"
    assert message.content.endswith(PROBLEM.question) and "step by step" in message.content


def test_options_are_lettered() -> None:
    engine = ScriptedEngine(["x"])
    attempt(Rollout(engine), problem=Problem("m", "Which?", choices=("red", "green", "blue")))
    assert "Which?\n(A) red\n(B) green\n(C) blue\n" in engine.requests[0].prompt.messages[-1].content


def test_own_system_text_and_none_at_all() -> None:
    engine = ScriptedEngine(["x"])
    attempt(Rollout(engine, system="Be brief."))
    attempt(Rollout(engine, system=""))
    assert [[m.content for m in r.prompt.messages] for r in engine.requests] == [["Be brief.", PROBLEM.question], [PROBLEM.question]]


def test_run_keeps_order_skips_what_is_done_and_tells_each() -> None:
    engine = ScriptedEngine(lambda prompt, seed: f"{prompt.messages[-1].content} {seed}", faults=Faults(delay_s=0.001))
    problems = [Problem(name, name) for name in "abc"]
    seen: list[tuple[str, int]] = []
    episodes = asyncio.run(
        Rollout(engine).run(problems, 4, concurrency=5, done={("b", 1), ("c", 3)}, on_episode=lambda e: seen.append((e.problem_id, e.index)))
    )
    made = [(episode.problem_id, episode.index) for episode in episodes]
    assert made == [(name, i) for name in "abc" for i in range(4) if (name, i) not in {("b", 1), ("c", 3)}]
    assert sorted(seen) == made
    assert len({episode.text for episode in episodes}) == 10
    alone = attempt(Rollout(engine), index=2, problem=problems[1])
    assert alone.text == next(e.text for e in episodes if (e.problem_id, e.index) == ("b", 2))


def test_tools_of_some_run_while_others_are_decoded() -> None:
    engine = ScriptedEngine([[CALL, "#### 30"]], faults=Faults(delay_s=0.05))
    rollout = Rollout(engine, dialect="retool", tools=[EchoTool(delay_s=0.05)])
    started = asyncio.run(timed(rollout.run([Problem(str(i), "?") for i in range(20)], 1)))
    assert started < 1.0  # one after the other: 20 x 0.15 s


async def timed(work: Any) -> float:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await work
    return loop.time() - before


def test_concurrency_is_bounded() -> None:
    running: list[int] = [0, 0]

    class Counting(ScriptedEngine):
        async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
            running[0] += 1
            running[1] = max(running)
            await asyncio.sleep(0.002)
            running[0] -= 1
            return await super().sample(prompt, n=n, params=params, seed=seed)

    asyncio.run(Rollout(Counting(["x"])).run([PROBLEM], 20, concurrency=3))
    assert running == [0, 3]


def test_run_halts() -> None:
    async def main() -> list[Episode]:
        halt = asyncio.Event()
        engine = ScriptedEngine(["x"], faults=Faults(delay_s=0.02))
        return await Rollout(engine).run([PROBLEM], 50, concurrency=2, halt=halt, on_episode=lambda _: halt.set())

    episodes = asyncio.run(main())
    assert len(episodes) <= 3


def test_what_the_engine_cannot_take_is_raised_at_once_and_ends_the_others() -> None:
    tool = EchoTool(delay_s=30)

    class Picky(ScriptedEngine):
        async def sample(self, prompt: Prompt, *, n: int, params: SamplingParams, seed: int) -> list[Completion]:
            if "bad" in prompt.messages[-1].content:
                await asyncio.sleep(0.02)
                raise UsageError("the chat template refuses this")
            return await super().sample(prompt, n=n, params=params, seed=seed)

    rollout = Rollout(Picky([[CALL, "#### 30"]]), dialect="retool", tools=[tool])
    with pytest.raises(UsageError, match="refuses"):
        asyncio.run(rollout.run([Problem("1", "good"), Problem("2", "bad")], 1))
    assert (len(tool.opened), tool.closed) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dialect": "xml"}, 'no dialect "xml"'),
        ({"dialect": "retool"}, "needs at least one tool"),
        ({"tools": [EchoTool()]}, "has no tool calls"),
        ({"dialect": "retool", "tools": [EchoTool(name="search")]}, 'only call the tool "python"'),
        ({"dialect": "hermes", "tools": [EchoTool(), EchoTool()]}, "same name"),
        ({"max_tool_calls": -1}, "max_tool_calls is -1"),
        ({"max_total_tokens": 0}, "max_total_tokens is 0"),
    ],
)
def test_impossible_setups_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Rollout(ScriptedEngine(["x"]), **options)


def test_impossible_runs_are_told() -> None:
    with pytest.raises(UsageError, match="n is 0"):
        asyncio.run(Rollout(ScriptedEngine(["x"])).run([PROBLEM], 0))


def test_setup_digest_names_what_shapes_an_episode() -> None:
    def digests(**options: Any) -> str:
        return Rollout(ScriptedEngine(["x"]), **options).setup_digest

    tool = EchoTool()
    different = [
        digests(),
        digests(system="Be brief."),
        digests(params=SamplingParams(temperature=0)),
        digests(max_tool_calls=1),
        digests(max_total_tokens=9),
        digests(dialect="retool", tools=[tool]),
        digests(dialect="markdown", tools=[tool]),
        digests(dialect="retool", tools=[replace(tool, digest="other")]),
        Rollout(ScriptedEngine(["y"])).setup_digest,
    ]
    assert len(set(different)) == len(different)
    assert digests() == digests()


def test_engine_that_tells_no_counts_still_ends() -> None:
    engine = ByRequest(["</code>"], faults=Faults(wrong_usage=True, no_token_ids=True))
    episode = attempt(Rollout(engine, dialect="retool", tools=[EchoTool()], params=SamplingParams(max_new_tokens=20), max_malformed=10**6))
    assert episode.stop is StopReason.MAX_TOKENS
    assert len(engine.requests) <= 20
