from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from toolwright.engines import HFEngine
from toolwright.episodes import Completion, FinishReason, Message, Prompt, Provenance, SamplingParams, Span
from toolwright.errors import EngineFault, UsageError


@asynccontextmanager
async def loaded(folder: Path, **options: Any) -> AsyncIterator[HFEngine]:
    engine = HFEngine.load(folder, **options)
    try:
        yield engine
    finally:
        await engine.aclose()


def with_engine(folder: Path, use: Callable[[HFEngine], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with loaded(folder, **options) as engine:
            return await use(engine)

    return asyncio.run(main())


def ask(text: str) -> Prompt:
    return Prompt((Message("user", text),))


def full_logits(engine: HFEngine, ids: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return engine.model(input_ids=torch.tensor([ids])).logits[0].float()


def test_greedy_equals_a_plain_full_forward_token_by_token(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        prompts = [ask(f"How many apples {'and pears ' * k}are {k}?") for k in range(7)]
        drawn = await asyncio.gather(*(engine.sample(p, n=1, params=SamplingParams(max_new_tokens=24, temperature=0), seed=0) for p in prompts))
        for prompt, (completion,) in zip(prompts, drawn, strict=True):
            ids = engine.encode(prompt)
            for token in completion.token_ids or ():
                assert int(full_logits(engine, ids)[-1].argmax()) == token
                ids += (token,)

    with_engine(tiny_model, use)


def test_greedy_equals_generate(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        ids = engine.encode(ask("12 + 30 = ?"))
        (completion,) = await engine.sample(ask("12 + 30 = ?"), n=1, params=SamplingParams(max_new_tokens=40, temperature=0), seed=0)
        with torch.inference_mode():
            whole = engine.model.generate(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=40, do_sample=False)
        assert tuple(whole[0, len(ids) :].tolist()) == completion.token_ids

    with_engine(tiny_model, use)


def test_logps_are_those_of_the_untempered_model(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        params = SamplingParams(max_new_tokens=30, temperature=0.7, top_p=0.9, top_k=40)
        for completion in await engine.sample(ask("Grüße?"), n=5, params=params, seed=4):
            fed, new = completion.prompt_token_ids, completion.token_ids
            assert fed and new and completion.logps
            logps = full_logits(engine, fed + new).log_softmax(-1)[len(fed) - 1 : -1]
            wanted = logps.gather(1, torch.tensor(new).unsqueeze(1)).squeeze(1)
            assert torch.allclose(wanted, torch.tensor(completion.logps), atol=1e-4)

    with_engine(tiny_model, use)


def test_score_equals_a_full_forward_and_what_sampling_said(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        prompt = ask("How many apples does she have now?")
        ids, new = engine.encode(prompt), tuple(engine.tokenizer("The answer is 42.", add_special_tokens=False)["input_ids"])
        scores = await asyncio.gather(*(engine.score(prompt, "The answer is 42.") for _ in range(3)))
        logps = full_logits(engine, ids + new).log_softmax(-1)[len(ids) - 1 : -1]
        wanted = logps.gather(1, torch.tensor(new).unsqueeze(1)).squeeze(1)
        for score in scores:
            assert torch.allclose(wanted, torch.tensor(score), atol=1e-4)

    with_engine(tiny_model, use)


def test_a_sample_is_the_same_alone_and_among_twenty_others(tiny_model: Path) -> None:
    params = SamplingParams(max_new_tokens=40, temperature=1.0, top_p=0.95)

    async def alone(engine: HFEngine) -> list[Completion]:
        return await engine.sample(ask("Wie viele Äpfel?"), n=2, params=params, seed=11)

    async def crowd(engine: HFEngine) -> list[Completion]:
        others = [
            engine.sample(ask(f"Another question {'x' * k}?"), n=1, params=SamplingParams(max_new_tokens=10 + 3 * k, temperature=k % 3 / 2), seed=k)
            for k in range(20)
        ]
        results = await asyncio.gather(*others[:10], alone(engine), *others[10:])
        return results[10]

    one, many = with_engine(tiny_model, alone), with_engine(tiny_model, crowd)
    assert [c.token_ids for c in one] == [c.token_ids for c in many]
    assert [c.token_ids for c in with_engine(tiny_model, crowd, slots=3)] == [c.token_ids for c in one]


def test_more_samples_than_slots_all_come_in_order(tiny_model: Path) -> None:
    params = SamplingParams(max_new_tokens=12, temperature=1.0)

    async def use(engine: HFEngine) -> list[Completion]:
        return await engine.sample(ask("Go."), n=11, params=params, seed=5)

    few, enough = with_engine(tiny_model, use, slots=2), with_engine(tiny_model, use, slots=16)
    assert [c.text for c in few] == [c.text for c in enough]
    assert len({c.text for c in few}) == 11


def test_equal_prompts_are_computed_once(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        prompt = ask("How many apples does she have now?")
        await engine.sample(prompt, n=8, params=SamplingParams(max_new_tokens=4), seed=0)
        assert engine.stats.computed_tokens == len(engine.encode(prompt))
        assert engine.stats.shared_prompts == 7
        assert engine.stats.samples == 8

    with_engine(tiny_model, use)


def test_a_prompt_that_continues_an_episode_reuses_its_prefix_and_changes_nothing(tiny_model: Path) -> None:
    params = SamplingParams(max_new_tokens=24, temperature=1.0)

    async def use(engine: HFEngine) -> None:
        prompt = ask("Use the tool, then say how many apples there are.")
        (first,) = await engine.sample(prompt, n=1, params=params, seed=2)
        longer = Prompt(prompt.messages, (Span(Provenance.MODEL, first.text, first.token_ids), Span(Provenance.TOOL, "\n42\n")))
        before = engine.stats.computed_tokens
        hot = await engine.sample(longer, n=2, params=params, seed=3)
        computed = engine.stats.computed_tokens - before
        assert engine.stats.prefix_hits == 1
        assert computed <= len(engine.encode(Prompt(spans=longer.spans[1:]))) + 1
        async with loaded(tiny_model) as fresh:
            cold = await fresh.sample(longer, n=2, params=params, seed=3)
            assert fresh.stats.prefix_hits == 0
        assert [c.token_ids for c in hot] == [c.token_ids for c in cold]
        fed = hot[0].prompt_token_ids or ()
        assert fed[: len(engine.encode(prompt)) + len(first.token_ids or ())] == engine.encode(prompt) + (first.token_ids or ())

    with_engine(tiny_model, use)


def test_new_weights_forget_the_old_prefixes(tiny_model: Path) -> None:
    params = SamplingParams(max_new_tokens=8, temperature=0)

    async def use(engine: HFEngine) -> None:
        prompt = ask("How many apples does she have now?")
        await engine.sample(prompt, n=1, params=params, seed=0)
        with torch.no_grad():
            engine.model.model.embed_tokens.weight.mul_(-1.5)
        await engine.weights_changed("other")
        (after,) = await engine.sample(prompt, n=1, params=params, seed=0)
        assert engine.stats.prefix_hits == 0
        assert engine.digest == "other"
        ids = engine.encode(prompt)
        assert (after.token_ids or ())[0] == int(full_logits(engine, ids)[-1].argmax())

    with_engine(tiny_model, use)


def test_the_prefix_store_stays_within_its_bytes(tiny_model: Path) -> None:
    from toolwright.engines._prefixes import PrefixStore

    store = PrefixStore(limit_bytes=5_000)
    for k in range(50):
        store.add([k] * 20, [torch.zeros(2, 20, 4)])
    assert store.find([49] * 20) is not None
    assert store.find([0] * 20) is None
    found = store.find([49] * 18 + [7] * 9)
    assert found is not None
    assert found[1] == 18


def test_cancelling_frees_the_slots(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        call = asyncio.create_task(engine.sample(ask("Go on for long."), n=6, params=SamplingParams(max_new_tokens=220, temperature=1.0), seed=1))
        while engine.live < 4:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        (after,) = await engine.sample(ask("Next."), n=1, params=SamplingParams(max_new_tokens=3, temperature=0), seed=0)
        assert after.model_tokens
        assert engine.live == 0
        assert engine.stats.cancelled >= 2
        assert engine.stats.samples + engine.stats.cancelled == 7

    with_engine(tiny_model, use, slots=4)


def test_a_model_that_fails_faults_every_waiting_call_and_the_engine_goes_on(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(engine: HFEngine) -> None:
        whole = engine._loop._forward._model

        def broken(**_: Any) -> Any:
            raise RuntimeError("out of memory")

        engine._loop._forward._model = broken
        calls = [engine.sample(ask(f"{k}"), n=2, params=SamplingParams(max_new_tokens=3), seed=1) for k in range(3)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, EngineFault) and "out of memory" in str(outcome) for outcome in outcomes)
        engine._loop._forward._model = whole
        assert await engine.sample(ask("1"), n=1, params=SamplingParams(max_new_tokens=3), seed=1)

    with_engine(tiny_model, use)


def test_a_closed_engine_says_so(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(EngineFault, match="closed"):
            await engine.sample(ask("1"), n=1, params=SamplingParams(), seed=0)

    with_engine(tiny_model, use)


def test_the_stop_string_may_straddle_tokens(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        (free,) = await engine.sample(ask("Hm?"), n=1, params=SamplingParams(max_new_tokens=60, temperature=1.0), seed=8)
        ids = free.token_ids or ()
        pieces = [engine._decode(ids[: k + 1]) for k in range(len(ids))]
        # From the middle of one token's text to the middle of a later one's.
        at = next(k for k in range(3, 50) if len(pieces[k]) >= len(pieces[k - 1]) + 2 and "�" not in pieces[k + 1][len(pieces[k]) - 1 : len(pieces[k]) + 1])
        stop = free.text[len(pieces[at]) - 1 : len(pieces[at]) + 1]
        (stopped,) = await engine.sample(ask("Hm?"), n=1, params=SamplingParams(max_new_tokens=60, temperature=1.0, stop=(stop, "never there")), seed=8)
        assert stopped.finish is FinishReason.STOP
        assert stopped.stop == stop
        assert stopped.text.endswith(stop)
        assert stopped.text.count(stop) == 1
        assert free.text.startswith(stopped.text)
        assert ids[: len(stopped.token_ids or ())] == stopped.token_ids

    with_engine(tiny_model, use)


def test_every_slot_length_and_window_agrees_for_a_sliding_window_model(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    size = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
    }
    with torch.random.fork_rng():
        torch.manual_seed(1)
        models = [
            MistralForCausalLM(MistralConfig(**size, sliding_window=9)),
            Qwen3ForCausalLM(Qwen3Config(**size, use_sliding_window=True, sliding_window=7, max_window_layers=1)),
            Qwen3ForCausalLM(Qwen3Config(**size)),
        ]
    params = SamplingParams(max_new_tokens=20, temperature=0)

    async def use(model: Any) -> None:
        engine = HFEngine(model, tokenizer, name="windowed")
        prompts = [ask("How many?"), ask("How many apples does she have now, and then again?")]
        drawn = await asyncio.gather(*(engine.sample(p, n=1, params=params, seed=0) for p in prompts))
        for (completion,) in drawn:
            ids = (completion.prompt_token_ids or ()) + (completion.token_ids or ())
            logps = full_logits(engine, ids).log_softmax(-1)[len(completion.prompt_token_ids or ()) - 1 : -1]
            assert torch.allclose(logps.max(-1).values, torch.tensor(completion.logps), atol=1e-4)
        await engine.aclose()

    for model in models:
        asyncio.run(use(model.eval()))


def test_digest_tells_models_dtypes_and_templates_apart(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    same = HFEngine.load(tiny_model).digest
    assert HFEngine.load(copy).digest == same
    assert HFEngine.load(tiny_model, dtype="bfloat16").digest != same
    (copy / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert HFEngine.load(copy).digest != same


def test_bfloat16_draws(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        drawn = await engine.sample(ask("Go."), n=3, params=SamplingParams(max_new_tokens=8), seed=1)
        assert all(c.model_tokens for c in drawn)

    with_engine(tiny_model, use, dtype="bfloat16")


def test_a_template_without_system_role_gets_the_system_text_in_the_first_user_message(tiny_model: Path) -> None:
    engine = HFEngine.load(tiny_model)
    engine.tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}{{ m['role'] }}:{{ m['content'] }};{% endfor %}"
    )
    engine = HFEngine(engine.model, engine.tokenizer, name="gemma-like")
    ids = engine.encode(Prompt((Message("system", "Be brief."), Message("user", "Hello."))))
    assert engine._decode(ids) == "user:Be brief.\n\nHello.;"
    assert not asyncio.run(engine.capabilities()).system_role


@pytest.mark.parametrize(
    ("given", "said"),
    [("/no/such/folder", "no model folder"), ("no-such-model", "no model folder"), ("someone/no-such-model", "neither a folder here")],
)
def test_a_missing_model_is_one_clear_sentence(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        HFEngine.load(given)
    assert given in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_and_a_broken_model_are_clear_sentences(tmp_path: Path, tiny_model: Path) -> None:
    import shutil

    with pytest.raises(UsageError, match="holds no transformers model"):
        HFEngine.load(tmp_path)
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    (copy / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="could not be loaded"):
        HFEngine.load(copy)
    with pytest.raises(UsageError, match="dtype"):
        HFEngine.load(tiny_model, dtype="int3")
    with pytest.raises(UsageError, match="slots"):
        HFEngine.load(tiny_model, slots=0)


def test_a_character_cut_in_the_middle_is_not_shown(tiny_model: Path) -> None:
    async def use(engine: HFEngine) -> None:
        (long,) = await engine.sample(ask("Grüße"), n=1, params=SamplingParams(max_new_tokens=60, temperature=1.0), seed=3)
        ids = long.token_ids or ()
        cut = next(k for k in range(1, len(ids)) if engine._decode(ids[:k]).endswith("�"))
        (short,) = await engine.sample(ask("Grüße"), n=1, params=SamplingParams(max_new_tokens=cut, temperature=1.0), seed=3)
        assert short.token_ids == ids[:cut]
        assert not short.text.endswith("�")

    with_engine(tiny_model, use)


def test_a_template_that_reads_the_system_message_without_showing_it_is_left_to_do_so(tiny_model: Path) -> None:
    engine = HFEngine.load(tiny_model)
    engine.tokenizer.chat_template = (
        "{% set mode = namespace(tag='A:') %}{% for m in messages %}{% if m['role'] == 'system' %}{% set mode.tag = 'B:' %}"
        "{% else %}{{ m['content'] }}{% endif %}{% endfor %}{{ mode.tag }}"
    )
    engine = HFEngine(engine.model, engine.tokenizer, name="mode by system message")
    assert engine._decode(engine.encode(Prompt((Message("system", "use tools"), Message("user", "Hello."))))) == "Hello.B:"
    engine.tokenizer.chat_template = "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}:"
    engine = HFEngine(engine.model, engine.tokenizer, name="knows no system")
    assert engine._decode(engine.encode(Prompt((Message("system", "Be brief."), Message("user", "Hello."))))) == "Be brief.\n\nHello.:"
