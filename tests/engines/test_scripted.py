from __future__ import annotations

import asyncio
from typing import Any

import pytest

from toolwright.engines import Faults, ScriptedEngine
from toolwright.episodes import Completion, FinishReason, Message, Prompt, Provenance, SamplingParams, Span
from toolwright.errors import EngineFault, UsageError

ASKED = Prompt((Message("user", "How many apples?"),))


def sample(engine: ScriptedEngine, n: int = 1, prompt: Prompt = ASKED, seed: int = 0, **params: Any) -> list[Completion]:
    return asyncio.run(engine.sample(prompt, n=n, params=SamplingParams(**params), seed=seed))


def test_a_pool_is_drawn_from_by_seed() -> None:
    pool = [f"answer {k}" for k in range(40)]
    first, again = sample(ScriptedEngine(pool), n=8), sample(ScriptedEngine(pool), n=8)
    assert first == again
    assert len({c.text for c in first}) > 4
    assert sample(ScriptedEngine(pool), n=8, seed=1) != first


def test_in_order_takes_one_after_the_other() -> None:
    engine = ScriptedEngine(["a", "b", "c"], in_order=True)
    assert [c.text for c in sample(engine, n=2)] == ["a", "b"]
    assert [c.text for c in sample(engine, n=2, seed=9)] == ["c", "a"]


def test_a_mapping_answers_by_what_is_asked() -> None:
    engine = ScriptedEngine({"apples": ["12"], "pears": ["7"]})
    assert sample(engine)[0].text == "12"
    assert sample(engine, prompt=Prompt((Message("user", "And pears?"),)))[0].text == "7"
    with pytest.raises(EngineFault, match="no reply"):
        sample(engine, prompt=Prompt((Message("user", "Plums?"),)))


def test_a_function_sees_prompt_and_seed() -> None:
    engine = ScriptedEngine(lambda prompt, seed: f"{prompt.messages[0].content} {seed % 7}")
    assert sample(engine)[0].text.startswith("How many apples?")


def test_scripts_of_turns_go_on_as_they_began() -> None:
    engine = ScriptedEngine([["<code>1+1</code> never", "It is 2."], ["<code>2+2</code>", "It is 4."]])
    for seed in range(12):
        (first,) = sample(engine, seed=seed, stop=("</code>",))
        assert first.finish is FinishReason.STOP
        spans = (Span(Provenance.MODEL, first.text, first.token_ids), Span(Provenance.TOOL, "x"))
        (second,) = sample(engine, prompt=Prompt(ASKED.messages, spans), seed=seed * 31 + 5)
        assert second.text == {"<code>1+1</code>": "It is 2.", "<code>2+2</code>": "It is 4."}[first.text]
        assert second.finish is FinishReason.EOS


def test_a_completion_is_given_as_it_is() -> None:
    told = Completion("x", FinishReason.EOS, (5,), (-0.5,), model_tokens=1)
    assert sample(ScriptedEngine([told])) == [told]


def test_calls_samples_and_requests_are_counted() -> None:
    engine = ScriptedEngine(["a"])
    sample(engine, n=3)
    sample(engine, seed=5)
    assert (engine.calls, engine.samples) == (2, 4)
    assert [(r.n, r.seed) for r in engine.requests] == [(3, 0), (1, 5)]


def test_lost_after_calls() -> None:
    engine = ScriptedEngine(["a"], faults=Faults(lost_after_calls=2))
    sample(engine)
    sample(engine)
    for _ in range(2):
        with pytest.raises(EngineFault, match="lost after 2"):
            sample(engine)
    assert engine.samples == 2


def test_fails_every() -> None:
    engine = ScriptedEngine(["a"], faults=Faults(fails_every=3))
    outcomes = []
    for _ in range(6):
        try:
            outcomes.append(len(sample(engine)))
        except EngineFault:
            outcomes.append(0)
    assert outcomes == [1, 1, 0, 1, 1, 0]


def test_a_slow_engine_can_be_cancelled() -> None:
    engine = ScriptedEngine(["a"], faults=Faults(delay_s=30))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.sample(ASKED, n=1, params=SamplingParams(), seed=0), 0.02)

    asyncio.run(main())
    assert engine.cancelled == 1


def test_vendor_quirks() -> None:
    reply = ["Yes </code> and more"]
    stripped = sample(ScriptedEngine(reply, faults=Faults(strips_stop=True)), stop=("</code>",))[0]
    assert (stripped.text, stripped.stop) == ("Yes ", "</code>")
    assert sample(ScriptedEngine(reply, faults=Faults(no_logps=True)))[0].logps is None
    bare = sample(ScriptedEngine(reply, faults=Faults(no_token_ids=True)))[0]
    assert bare.token_ids is None and bare.logps is None and bare.prompt_token_ids is None
    assert len(sample(ScriptedEngine(reply, faults=Faults(ignores_n=True)), n=4)) == 1
    assert sample(ScriptedEngine(reply, faults=Faults(wrong_usage=True)))[0].model_tokens == 0
    with pytest.raises(UsageError, match="cannot score"):
        asyncio.run(ScriptedEngine(reply, faults=Faults(no_logps=True)).score(ASKED, "Yes"))


def test_scores_can_be_told() -> None:
    engine = ScriptedEngine(["a"], scores=lambda prompt, continuation: [-0.1 if continuation == "Yes" else -2.0])
    assert asyncio.run(engine.score(ASKED, "Yes")) == (-0.1,)
    assert asyncio.run(engine.score(ASKED, "No")) == (-2.0,)
