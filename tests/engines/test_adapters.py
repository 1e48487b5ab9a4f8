"""Adapters: views of one base with weights of their own, in PEFT's format."""

from __future__ import annotations

import asyncio
import json
import warnings
from pathlib import Path

import pytest
import torch

from toolwright.engines import AdapterShape, HFEngine, adapter_tensors, save_adapter, weights_digest, with_adapter
from toolwright.episodes import Message, Prompt, SamplingParams
from toolwright.errors import UsageError

PROMPT = Prompt((Message("user", "Ana has 12 apples and buys 30 more. How many?"),))
IDS = torch.tensor([[5, 9, 33, 7, 120, 4]])
SHAPE = AdapterShape(rank=4, alpha=8.0)


def drawn(engine: HFEngine, *, seed: int = 1) -> list[str]:
    async def main() -> list[str]:
        completions = await engine.sample(PROMPT, n=3, params=SamplingParams(max_new_tokens=12), seed=seed)
        await engine.aclose()
        return [c.text for c in completions]

    return asyncio.run(main())


def adapted(folder: Path, target: Path, *, seed: int = 0, **facts: object) -> tuple[HFEngine, object]:
    """A base engine and a view with a random adapter that is stored in `target`."""
    engine = HFEngine.load(folder)
    view = with_adapter(engine.model, SHAPE)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_tensors(view).values():
            # bfloat16 values, so that what is read back is what was made.
            parameter.copy_((0.3 * torch.randn(parameter.shape, generator=generator)).bfloat16())
    save_adapter(view, SHAPE, target, dict(facts), base="tiny")
    return engine, view


def test_a_fresh_adapter_changes_nothing_and_shares_every_weight(tiny_model: Path) -> None:
    engine = HFEngine.load(tiny_model)
    view = with_adapter(engine.model, SHAPE)
    with torch.inference_mode():
        assert torch.equal(view(input_ids=IDS).logits, engine.model(input_ids=IDS).logits)
    base = {p.data_ptr() for p in engine.model.parameters()}
    own = {p.data_ptr() for p in adapter_tensors(view).values()}
    assert {p.data_ptr() for p in view.parameters()} == base | own and not base & own
    layers = engine.model.config.num_hidden_layers
    assert len(own) == 2 * 7 * layers


def test_what_is_stored_is_what_is_loaded(tiny_model: Path, tmp_path: Path) -> None:
    engine, view = adapted(tiny_model, tmp_path / "verify")
    role = engine.with_adapter(tmp_path / "verify")
    with torch.inference_mode():
        there, here = role.model(input_ids=IDS).logits, view(input_ids=IDS).logits
        assert torch.equal(there, here)
        assert not torch.allclose(there, engine.model(input_ids=IDS).logits, atol=1e-2)
    assert role.digest != engine.digest
    assert role.name.endswith("+verify")


def test_peft_reads_it_the_same(tiny_model: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    _, view = adapted(tiny_model, tmp_path / "verify")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own remarks about other libraries
        theirs = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32), tmp_path / "verify").eval()
    with torch.inference_mode():
        assert torch.allclose(theirs(input_ids=IDS).logits, view(input_ids=IDS).logits, atol=1e-5)


def test_roles_decode_beside_each_other_as_they_do_alone(tiny_model: Path, tmp_path: Path) -> None:
    engine, _ = adapted(tiny_model, tmp_path / "one", seed=1)
    adapted(tiny_model, tmp_path / "two", seed=2)
    alone = [drawn(HFEngine.load(tiny_model)), *(drawn(HFEngine.load(tiny_model).with_adapter(tmp_path / name)) for name in ("one", "two"))]
    assert len({tuple(texts) for texts in alone}) == 3
    engines = [engine, engine.with_adapter(tmp_path / "one"), engine.with_adapter(tmp_path / "two")]

    async def together() -> list[list[str]]:
        asked = (e.sample(PROMPT, n=3, params=SamplingParams(max_new_tokens=12), seed=1) for e in engines)
        found = [[c.text for c in completions] for completions in await asyncio.gather(*asked)]
        await asyncio.gather(*(e.aclose() for e in engines))
        return found

    assert asyncio.run(together()) == alone


def test_other_weights_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    engine, _ = adapted(tiny_model, tmp_path / "right", base_weights=weights_digest(tiny_model))
    assert engine.with_adapter(tmp_path / "right").name
    adapted(tiny_model, tmp_path / "wrong", base_weights="0123456789abcdef")
    with pytest.raises(UsageError, match="other weights"):
        engine.with_adapter(tmp_path / "wrong")


def test_what_is_no_adapter_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    engine, _ = adapted(tiny_model, tmp_path / "verify")
    with pytest.raises(UsageError, match="no adapter in"):
        engine.with_adapter(tmp_path)
    config = json.loads((tmp_path / "verify" / "adapter_config.json").read_text())
    (tmp_path / "verify" / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(UsageError, match="use_dora"):
        engine.with_adapter(tmp_path / "verify")
    (tmp_path / "verify" / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
    with pytest.raises(UsageError, match="does not fit"):
        engine.with_adapter(tmp_path / "verify")
    with pytest.raises(UsageError, match="no linear layer"):
        with_adapter(engine.model, AdapterShape(layers=("c_attn",)))
    with pytest.raises(UsageError, match="rank"):
        AdapterShape(rank=0)
