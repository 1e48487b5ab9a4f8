from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolwright.engines import OpenAIEngine
from toolwright.episodes import FinishReason, Message, Prompt, Provenance, SamplingParams, Span
from toolwright.errors import EngineFault, UsageError

sys.path.insert(0, str(Path(__file__).parent))
from _fake_server import FakeServer, error

ASKED = Prompt((Message("user", "How many apples?"),))
SHORT = SamplingParams(max_new_tokens=12, temperature=1.0)
SPANS = (Span(Provenance.MODEL, "I compute <code>1+1</code>"), Span(Provenance.TOOL, "2"))


def run(server: FakeServer, use: Callable[[OpenAIEngine], Coroutine[Any, Any, Any]], base_url: str = "http://fake/v1", **options: Any) -> Any:
    async def main() -> Any:
        engine = OpenAIEngine(base_url, transport=server.transport(), backoff_s=0.001, **options)
        try:
            return await use(engine)
        finally:
            await engine.aclose()

    return asyncio.run(main())


def drawing(server: FakeServer) -> list[dict[str, Any]]:
    """The bodies that drew samples: all that carry a seed other than the probe's."""
    return [body for body in server.bodies if body.get("seed", 1) != 1]


async def sample(engine: OpenAIEngine, prompt: Prompt = ASKED, params: SamplingParams = SHORT, n: int = 1) -> Any:
    return await engine.sample(prompt, n=n, params=params, seed=77)


def test_each_sample_is_a_request_with_its_own_31_bit_seed_sent_side_by_side() -> None:
    server = FakeServer("llamacpp", delay_s=0.02)
    assert len(run(server, lambda engine: sample(engine, n=6))) == 6
    seeds = [body["seed"] for body in drawing(server)]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert server.most_open == 6


def test_concurrency_is_bounded() -> None:
    server = FakeServer("llamacpp", delay_s=0.005)
    run(server, lambda engine: sample(engine, n=9), concurrent=2)
    assert server.most_open == 2


def test_token_ids_go_in_verbatim_where_the_server_takes_them() -> None:
    server = FakeServer("vllm")
    odd = Span(Provenance.MODEL, "shown text", (1234, 77))
    (completion,) = run(server, lambda engine: sample(engine, Prompt(ASKED.messages, (odd,))))
    assert drawing(server)[-1]["prompt"][-2:] == [1234, 77]
    assert completion.prompt_token_ids[-2:] == (1234, 77)


def test_an_assistant_turn_is_continued_where_that_is_supported() -> None:
    server = FakeServer("ollama")
    run(server, lambda engine: sample(engine, Prompt(ASKED.messages, SPANS)))
    assert drawing(server)[-1]["messages"][-1] == {"role": "assistant", "content": "I compute <code>1+1</code>2"}


def test_without_prefill_tool_results_travel_as_tool_messages() -> None:
    server = FakeServer("cloud")
    run(server, lambda engine: sample(engine, Prompt(ASKED.messages, SPANS)))
    *_, said, told = drawing(server)[-1]["messages"]
    assert said["role"] == "assistant"
    assert told["role"] == "tool"
    assert told["tool_call_id"] == said["tool_calls"][0]["id"]
    assert told["content"] == "2"


def test_where_tool_messages_are_refused_they_travel_as_the_users_and_that_is_noted() -> None:
    server = FakeServer("cloud", refuses_tool_role=True)

    async def use(engine: OpenAIEngine) -> None:
        await sample(engine, Prompt(ASKED.messages, SPANS))
        assert any("Tool messages are refused" in note for note in (await engine.capabilities()).notes)

    run(server, use)
    assert drawing(server)[-1]["messages"][-1] == {"role": "user", "content": "2"}


@pytest.mark.parametrize("vendor", ["vllm", "cloud"])
def test_a_refused_system_message_is_put_before_the_users(vendor: str) -> None:
    server = FakeServer(vendor, refuses_system=True)
    prompt = Prompt((Message("system", "Be brief."), Message("user", "Hello.")))

    async def use(engine: OpenAIEngine) -> None:
        assert not (await engine.capabilities()).system_role
        (completion,) = await sample(engine, prompt)
        if vendor == "vllm":
            assert "".join(chr(i - 10) for i in completion.prompt_token_ids) == "[user]Be brief.\n\nHello.[assistant]"
        else:
            assert drawing(server)[-1]["messages"] == [{"role": "user", "content": "Be brief.\n\nHello."}]

    run(server, use)


def test_a_stream_is_closed_at_the_stop_string_and_stops_are_not_left_to_the_server() -> None:
    server = FakeServer("ollama")
    params = SamplingParams(max_new_tokens=4000, temperature=1.0, stop=("</code>",))
    (completion,) = run(server, lambda engine: sample(engine, Prompt((Message("user", "Go on forever."),)), params), retries=0)
    assert completion.finish is FinishReason.STOP
    assert completion.text.endswith("</code>")
    assert server.closed_early == 1
    assert "stop" not in drawing(server)[-1]


def test_thinking_is_kept_out_of_the_text_and_noted() -> None:
    server = FakeServer("cloud", thinks=True)

    async def use(engine: OpenAIEngine) -> None:
        for params in (SHORT, SamplingParams(max_new_tokens=12, temperature=1.0, stop=("never",))):
            (completion,) = await sample(engine, params=params)
            assert "think" not in completion.text
        assert any("thinks" in note for note in (await engine.capabilities()).notes)

    run(server, use)


def test_thinking_tags_in_the_text_are_taken_out() -> None:
    from toolwright.engines._answers import Answer

    answer = Answer()
    answer.add({"choices": [{"message": {"content": "<think>2+2 is 5?</think>\n\nFour."}, "finish_reason": "stop"}]})
    assert answer.visible() == "Four."
    assert answer.thought
    open_end = Answer()
    open_end.add({"choices": [{"message": {"content": "<think>on and on"}, "finish_reason": "length"}]})
    assert open_end.visible() == ""


def test_fields_that_are_refused_are_left_out_from_then_on() -> None:
    server = FakeServer("cloud")

    async def use(engine: OpenAIEngine) -> None:
        await sample(engine)
        before = len(server.bodies)
        await sample(engine, n=4)
        assert len(server.bodies) == before + 4

    run(server, use)
    assert "max_completion_tokens" in server.bodies[-1]


@pytest.mark.parametrize("vendor", ["vllm", "cloud"])
def test_busy_and_broken_answers_are_asked_again_and_retry_after_is_kept(vendor: str) -> None:
    server = FakeServer(vendor)

    async def use(engine: OpenAIEngine) -> None:
        await engine.capabilities()
        slow_down = error(429, "slow down", **{"retry-after": "0.2"})
        server.failures = [slow_down, error(503, "loading"), httpx.ConnectError("refused"), httpx.ReadError("cut")]
        begun = asyncio.get_running_loop().time()
        assert (await sample(engine))[0].text
        assert asyncio.get_running_loop().time() - begun >= 0.19

    run(server, use)


def test_a_server_that_dies_is_a_fault_that_names_it_and_says_what_to_do() -> None:
    server = FakeServer("vllm", dead_after=6)

    async def use(engine: OpenAIEngine) -> None:
        with pytest.raises(EngineFault, match=r"http://fake/v1.*start it again"):
            for _ in range(9):
                await sample(engine)

    run(server, use, retries=2)


def test_errors_that_stay_are_a_fault_with_the_servers_own_words() -> None:
    async def use(engine: OpenAIEngine) -> None:
        await engine.capabilities()
        server.failures = [error(500, "CUDA out of memory")] * 3
        with pytest.raises(EngineFault, match=r"answered 500 3 times \(CUDA out of memory\)"):
            await sample(engine)

    server = FakeServer("vllm")
    run(server, use, retries=2)


def test_one_failed_sample_cancels_its_siblings() -> None:
    server = FakeServer("vllm", delay_s=0.05)

    async def use(engine: OpenAIEngine) -> None:
        await engine.capabilities()
        server.failures = [error(500, "gone")]
        with pytest.raises(EngineFault):
            await sample(engine, n=5)
        assert server.open_now == 0

    run(server, use, retries=0)


def test_nobody_at_the_address_is_one_clear_sentence() -> None:
    async def use() -> None:
        engine = OpenAIEngine("http://127.0.0.1:9/v1", backoff_s=0.001)
        with pytest.raises(UsageError, match=r"no OpenAI-compatible server answers at http://127.0.0.1:9/v1") as caught:
            await engine.capabilities()
        assert "\n" not in str(caught.value)
        await engine.aclose()

    asyncio.run(use())


def test_an_address_without_scheme_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="localhost:11434"):
        OpenAIEngine("localhost:11434")


def test_the_servers_address_without_v1_is_understood() -> None:
    server = FakeServer("vllm")
    assert run(server, sample, base_url="http://fake/")[0].text
    assert run(FakeServer("vllm"), sample, base_url="http://fake/v1/chat/completions")[0].text


def test_a_page_that_is_no_api_is_said_to_be_none() -> None:
    async def page(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="<html>hello</html>")

    async def use() -> None:
        engine = OpenAIEngine("http://fake/v1", transport=httpx.MockTransport(page), backoff_s=0.001)
        with pytest.raises(UsageError, match="not JSON"):
            await engine.capabilities()
        await engine.aclose()

    asyncio.run(use())


def test_keys_and_models_are_checked_with_clear_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(engine: OpenAIEngine) -> str:
        with pytest.raises(UsageError) as caught:
            await engine.capabilities()
        return str(caught.value)

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" in run(FakeServer("cloud", key="secret"), refused)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert run(FakeServer("cloud", key="secret"), sample)[0].text
    said = run(FakeServer("cloud", key="secret"), refused, model="other")
    assert '"other"' in said
    assert "fake" in said


def test_probing_happens_once_for_many_calls() -> None:
    server = FakeServer("vllm")

    async def use(engine: OpenAIEngine) -> None:
        await asyncio.gather(*(sample(engine) for _ in range(8)))

    run(server, use)
    assert len(server.bodies) - len(drawing(server)) <= 3


def test_the_engine_works_in_one_event_loop_after_another() -> None:
    server = FakeServer("vllm")
    engine = OpenAIEngine("http://fake/v1", transport=server.transport())

    async def use() -> str:
        text: str = (await sample(engine))[0].text
        await engine.aclose()
        return text

    assert asyncio.run(use()) == asyncio.run(use())


def test_a_request_that_leaves_too_little_room_is_asked_for_what_there_is() -> None:
    server = FakeServer("cloud", context=300)
    prompt = Prompt((Message("user", "Go on forever. " * 10),))
    (completion,) = run(server, lambda engine: sample(engine, prompt, SamplingParams(max_new_tokens=290, temperature=1.0)))
    assert completion.finish is FinishReason.CONTEXT
    assert completion.prompt_tokens + completion.model_tokens == 300


def test_other_refusals_reach_the_user_in_the_servers_words() -> None:
    async def use(engine: OpenAIEngine) -> None:
        await engine.capabilities()
        server.failures = [error(400, "logit_bias of this sort is forbidden")]
        with pytest.raises(UsageError, match="forbidden"):
            await sample(engine)

    server = FakeServer("vllm")
    run(server, use)
