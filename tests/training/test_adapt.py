"""Fine-tuning an adapter: only it learns, it learns what it is shown, and a killed run goes on."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from toolwright.engines import AdapterShape, adapter_tensors, with_adapter
from toolwright.errors import UsageError
from toolwright.training import AdaptSettings, Example, adapt

SETTINGS = AdaptSettings(max_tokens=9_000, batch_tokens=256, lr=0.02, validate_every=4_000, bf16=False)


def base() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=16,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=1,
        # Frozen weights as small as usual could not say anything clearly.
        initializer_range=0.2,
    )
    return LlamaForCausalLM(shape)


def counting(count: int, seed: int) -> list[Example]:
    """A start, then its successors; the first token is given, the rest counts."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        start, length = rng.randint(2, 15), rng.randint(4, 9)
        found.append(Example(tuple(2 + (start - 2 + i) % 14 for i in range(length)), (0.0,) + (1.0,) * (length - 1)))
    return found


VALIDATION = {"next": counting(40, 99)}


def run(folder: Path, *, settings: AdaptSettings = SETTINGS, minutes: float | None = None) -> tuple[Any, Any, list[Any]]:
    model = base()
    view = with_adapter(model, AdapterShape(rank=8, alpha=16.0))
    curve = adapt(view, adapter_tensors(view), counting(300, 1), VALIDATION, settings, folder, max_minutes=minutes)
    return model, view, curve


def test_it_learns_and_the_base_stays_as_it_was(tmp_path: Path) -> None:
    model, _, curve = run(tmp_path)
    fresh = base()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))
    assert all(p.requires_grad for p in model.parameters()), "gradients of the base were switched off and not on again"
    assert curve[-1].validation["next"]["loss"] < 0.3 < curve[0].validation["next"]["loss"]
    assert [p.tokens for p in curve] == sorted(p.tokens for p in curve)


def test_a_finished_run_is_only_read(tmp_path: Path) -> None:
    _, first, curve = run(tmp_path)
    _, again, read = run(tmp_path)
    assert read == curve
    assert all(torch.equal(a, b) for a, b in zip(adapter_tensors(first).values(), adapter_tensors(again).values(), strict=True))


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if "next: loss" in line and "tokens, train" in line:
            lines.append(line)
            if len(lines) == 2:
                raise Killed

    lines: list[str] = []
    model = base()
    view = with_adapter(model, AdapterShape(rank=8, alpha=16.0))
    with pytest.raises(Killed):
        adapt(view, adapter_tensors(view), counting(300, 1), VALIDATION, SETTINGS, tmp_path / "killed", report=kill)
    _, resumed, curve = run(tmp_path / "killed")
    _, whole, whole_curve = run(tmp_path / "whole")
    assert [p.tokens for p in curve] == [p.tokens for p in whole_curve]
    for a, b in zip(adapter_tensors(resumed).values(), adapter_tensors(whole).values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_checkpoint_of_the_first_format_goes_on(tmp_path: Path) -> None:
    _, _, curve = run(tmp_path)
    path = tmp_path / "adapting.pt"
    kept = torch.load(path, weights_only=True)
    assert kept.keys() == {"parameters", "optimizer", "told"}
    told = json.loads(kept["told"])
    del told["steps"]
    assert told.keys() == {"settings", "tokens", "position", "seconds", "curve"}
    torch.save(kept | {"told": json.dumps(told)}, path)
    assert run(tmp_path)[2] == curve


def test_time_ends_it_too(tmp_path: Path) -> None:
    _, _, curve = run(tmp_path, settings=replace(SETTINGS, max_tokens=10**9), minutes=0.01)
    assert curve[-1].tokens < 10**8
    assert curve[-1].seconds >= 0.6


def test_what_would_be_another_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(UsageError, match="lr"):
        run(tmp_path, settings=replace(SETTINGS, lr=0.5))
    with pytest.raises(UsageError, match="no examples"):
        model = base()
        adapt(model, {}, [], {}, SETTINGS, tmp_path / "none")
