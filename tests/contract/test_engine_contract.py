"""What every engine promises, whichever it is."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from toolwright.engines import Faults, HFEngine, OpenAIEngine, ScriptedEngine
from toolwright.episodes import Completion, Engine, FinishReason, Message, Prompt, Provenance, SamplingParams, Span
from toolwright.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from _fake_server import WORDS, FakeServer

CONTEXT = 256
KINDS = ["hf", "scripted", "openai-vllm", "openai-llamacpp", "openai-ollama", "openai-cloud"]


def scripted(prompt: Prompt, seed: int) -> str:
    forever = any("forever" in message.content for message in prompt.messages)
    return " ".join(random.Random(f"{prompt}{seed}").choices(WORDS, k=2000 if forever else 12))


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tiny_model: Path) -> Callable[[], Engine]:
    """Makes the engine; inside the event loop that uses it."""
    kind: str = request.param
    if kind == "hf":
        return lambda: HFEngine.load(tiny_model)
    if kind == "scripted":
        return lambda: ScriptedEngine(scripted, faults=Faults(context_tokens=CONTEXT, delay_s=0.001))
    vendor = kind.removeprefix("openai-")
    return lambda: OpenAIEngine("http://fake/v1", transport=FakeServer(vendor, context=CONTEXT, delay_s=0.001).transport(), backoff_s=0.001)


def run(make: Callable[[], Engine], use: Callable[[Engine], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        engine = make()
        try:
            await use(engine)
        finally:
            await engine.aclose()
            await engine.aclose()

    asyncio.run(main())


def ask(text: str = "How many apples?") -> Prompt:
    return Prompt((Message("user", text),))


def params(**fields: Any) -> SamplingParams:
    return SamplingParams(**{"max_new_tokens": 40, "temperature": 1.0} | fields)


def texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


def test_it_is_an_engine_and_says_what_it_can_do(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.name
        assert engine.digest == make().digest
        assert await engine.capabilities() == await engine.capabilities()

    run(make, use)


def test_samples_are_distinct_in_order_and_the_same_again(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        five = await engine.sample(ask(), n=5, params=params(), seed=3)
        assert len(set(texts(five))) == 5
        three = await engine.sample(ask(), n=3, params=params(), seed=3)
        assert texts(three) == texts(five)[:3]
        others = await engine.sample(ask(), n=5, params=params(), seed=4)
        assert not set(texts(others)) & set(texts(five))

    run(make, use)


def test_many_calls_at_once_do_not_mix(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        alone = [await engine.sample(ask(f"Number {k}?"), n=2, params=params(), seed=k) for k in range(6)]
        together = await asyncio.gather(*(engine.sample(ask(f"Number {k}?"), n=2, params=params(), seed=k) for k in range(6)))
        assert [texts(c) for c in alone] == [texts(c) for c in together]

    run(make, use)


def test_the_text_ends_with_the_stop_string_that_matched(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        free = (await engine.sample(ask(), n=4, params=params(), seed=5))[2]
        stop = next(free.text[k : k + 3] for k in range(4, 30) if "�" not in free.text[k : k + 3])
        stopped = (await engine.sample(ask(), n=4, params=params(stop=("never to be seen", stop)), seed=5))[2]
        assert stopped.finish is FinishReason.STOP
        assert stopped.stop == stop
        assert stopped.text == free.text[: free.text.index(stop) + len(stop)]

    run(make, use)


def test_ids_and_logps_have_one_length_and_are_natural_logs(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        can = await engine.capabilities()
        for drawing in (params(), params(stop=("o",))):
            for completion in await engine.sample(ask(), n=3, params=drawing, seed=6):
                if can.token_ids:
                    assert completion.token_ids is not None
                    assert completion.model_tokens == len(completion.token_ids)
                    assert completion.prompt_token_ids is not None
                    assert completion.prompt_tokens == len(completion.prompt_token_ids)
                if can.logps:
                    assert completion.logps is not None and completion.token_ids is not None
                    assert len(completion.logps) == len(completion.token_ids)
                    assert all(logp <= 1e-6 for logp in completion.logps)
                assert completion.prompt_tokens > 0
                assert completion.model_tokens > 0

    run(make, use)


def test_an_episode_goes_on_after_its_spans(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        (first,) = await engine.sample(ask(), n=1, params=params(max_new_tokens=9), seed=7)
        spans = (Span(Provenance.MODEL, first.text, first.token_ids), Span(Provenance.TOOL, "\n42 Äpfel\n"))
        (second,) = await engine.sample(Prompt(ask().messages, spans), n=1, params=params(max_new_tokens=9), seed=7)
        assert second.prompt_tokens > first.prompt_tokens
        if (await engine.capabilities()).token_ids:
            before = (first.prompt_token_ids or ()) + (first.token_ids or ())
            assert (second.prompt_token_ids or ())[: len(before)] == before

    run(make, use)


def test_a_prompt_may_be_spans_alone(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        (completion,) = await engine.sample(Prompt(spans=(Span(Provenance.PROMPT, "Once upon a time"),)), n=1, params=params(max_new_tokens=5), seed=1)
        assert completion.model_tokens == 5

    run(make, use)


def test_the_token_budget_ends_a_sample(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        for completion in await engine.sample(ask("Go on forever."), n=3, params=params(max_new_tokens=4), seed=2):
            assert completion.finish is FinishReason.LENGTH
            assert completion.model_tokens == 4
            assert completion.stop is None

    run(make, use)


def test_the_model_may_end_its_turn(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        drawn = await engine.sample(ask("Hi."), n=16, params=params(max_new_tokens=220), seed=1)
        ended = [completion for completion in drawn if completion.finish is FinishReason.EOS]
        assert ended
        assert all("<|im_end|>" not in completion.text for completion in ended)

    run(make, use)


def test_a_full_context_ends_a_sample_and_is_no_error(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        drawn = await engine.sample(ask("Go on forever."), n=8, params=params(max_new_tokens=10_000), seed=2)
        full = [completion for completion in drawn if completion.finish is FinishReason.CONTEXT]
        assert full
        for completion in full:
            assert completion.prompt_tokens + completion.model_tokens == CONTEXT
        for completion in await engine.sample(ask("one two three " * 150), n=2, params=params(), seed=2):
            assert completion.finish is FinishReason.CONTEXT
            assert completion.text == ""

    run(make, use)


def test_cancelling_a_call_leaves_the_engine_usable(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        await engine.capabilities()
        call = asyncio.create_task(engine.sample(ask("Go on forever."), n=8, params=params(max_new_tokens=150), seed=1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(await engine.sample(ask(), n=2, params=params(max_new_tokens=4), seed=1)) == 2

    run(make, use)


def test_greedy_samples_are_equal(make: Callable[[], Engine], request: pytest.FixtureRequest) -> None:
    async def use(engine: Engine) -> None:
        if isinstance(engine, ScriptedEngine):
            pytest.skip("a script is no distribution")
        drawn = await engine.sample(ask(), n=3, params=params(temperature=0, max_new_tokens=12), seed=9)
        assert len(set(texts(drawn))) == 1

    run(make, use)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": -3}, "n is -3"),
        ({"params": {"temperature": -1.0}}, "temperature is -1.0"),
        ({"params": {"top_p": 0.0}}, "top_p is 0.0"),
        ({"params": {"top_k": -1}}, "top_k is -1"),
        ({"params": {"max_new_tokens": 0}}, "max_new_tokens is 0"),
        ({"params": {"stop": ("",)}}, "stop string is empty"),
        ({"prompt": Prompt()}, "prompt is empty"),
    ],
)
def test_impossible_requests_are_usage_errors(make: Callable[[], Engine], wrong: dict[str, Any], named: str) -> None:
    async def use(engine: Engine) -> None:
        with pytest.raises(UsageError, match=named):
            await engine.sample(wrong.get("prompt", ask()), n=wrong.get("n", 1), params=params(**wrong.get("params", {})), seed=0)

    run(make, use)


def test_any_text_goes_in_and_comes_out(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        drawn = await engine.sample(ask("Grüße an 😀 und 数学\u200b\tend\\n"), n=3, params=params(), seed=8)
        for completion in drawn:
            assert completion.text.encode("utf-8").decode() == completion.text
            assert completion.text

    run(make, use)


def test_scores_are_one_number_per_token_or_a_usage_error(make: Callable[[], Engine]) -> None:
    async def use(engine: Engine) -> None:
        if not (await engine.capabilities()).token_ids:
            with pytest.raises(UsageError, match="cannot score"):
                await engine.score(ask(), "Yes")
            return
        scores = await engine.score(ask(), "Yes, 42 Äpfel")
        assert scores
        assert all(score <= 0 for score in scores)
        with pytest.raises(UsageError, match="empty"):
            await engine.score(ask(), "")

    run(make, use)
