"""Training from nothing: it learns, it goes on after a kill as if nothing had happened, and it refuses what would silently be another run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
import torch

from toolwright.errors import UsageError
from toolwright.training import Example, PretrainSettings, pretrain, take, validate
from toolwright.training._muon import StackedMuon, orthogonalize

SETTINGS = PretrainSettings(max_tokens=12_000, batch_tokens=256, validate_every=4_000, bf16=False, compile=False, warmup_share=0.05)


def tiny_model(seed: int = 0):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=16,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=1,
    )
    return LlamaForCausalLM(shape)


def counting(position: int) -> Iterator[Example]:
    """A start, then its successors: learnable in a moment. The first token is given, the rest counts."""
    while True:
        rng = random.Random(position)
        start, length = rng.randint(2, 15), rng.randint(4, 9)
        ids = tuple(2 + (start - 2 + i) % 14 for i in range(length))
        yield Example(ids, (0.0,) + (1.0,) * (length - 1))
        position += 1


VALIDATION = {"next": take(counting(10_000), 40)}


def run(folder, *, model=None, minutes=None, settings=SETTINGS):
    model = model or tiny_model()
    return pretrain(model, counting, VALIDATION, settings, folder, max_minutes=minutes), model


def test_it_learns(tmp_path):
    curve, _ = run(tmp_path)
    assert curve[-1].validation["next"]["exact"] > 0.9
    assert curve[-1].tokens >= SETTINGS.max_tokens
    assert [p.tokens for p in curve] == sorted(p.tokens for p in curve)


class Killed(Exception):
    """Stands for a kill in the middle of a run."""


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    _, whole = run(tmp_path / "whole")
    kills = 0

    def killed_after(examples: int):
        def stream(position: int) -> Iterator[Example]:
            for count, example in enumerate(counting(position)):
                if count == examples:
                    raise Killed
                yield example

        return stream

    while True:
        parts = tiny_model(seed=5 if kills else 0)
        try:
            pretrain(parts, killed_after(1000), VALIDATION, SETTINGS, tmp_path / "parts")
            break
        except Killed:
            kills += 1
            assert kills < 20, "a killed run makes no progress"
    assert kills >= 1
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_kill_while_saving_leaves_a_checkpoint(tmp_path):
    run(tmp_path, minutes=0.0)
    # As a kill between the two renames leaves it: the old checkpoint set aside, the new one not yet in place.
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    told: list[str] = []
    pretrain(tiny_model(), counting, VALIDATION, SETTINGS, tmp_path, max_minutes=0.0, report=told.append)
    assert any("going on" in line for line in told)


def test_the_checkpoint_keeps_its_format(tmp_path):
    # Unfinished runs lie in it, and the export of the embedded models reads it.
    run(tmp_path, minutes=0.0)
    assert {"model.safetensors", "config.json", "optimizers.pt", "run.json"} <= {path.name for path in (tmp_path / "checkpoint").iterdir()}
    assert json.loads((tmp_path / "checkpoint" / "run.json").read_text()).keys() == {"settings", "tokens", "position", "steps", "seconds", "curve"}


def test_other_settings_are_refused(tmp_path):
    run(tmp_path, minutes=0.0)
    with pytest.raises(UsageError, match="muon_lr"):
        run(
            tmp_path,
            settings=PretrainSettings(max_tokens=12_000, batch_tokens=256, validate_every=4_000, bf16=False, compile=False, warmup_share=0.05, muon_lr=0.1),
        )


def test_validation_counts_only_weighted_tokens():
    model = tiny_model()
    examples = take(counting(0), 8)
    silent = [Example(e.ids, (0.0,) * len(e.ids)) for e in examples]
    assert validate(model, silent)["exact"] == 1.0
    assert validate(model, examples)["loss"] > 1.0


def test_stacked_muon_is_torchs_muon():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(8, 20)), torch.nn.Parameter(torch.randn(20, 8)), torch.nn.Parameter(torch.randn(8, 8))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    a = StackedMuon(ours, lr=0.02, weight_decay=0.1)
    b = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        # Both orthogonalise in bfloat16, whose rounding depends on the order of sums.
        assert torch.allclose(p, q, atol=2e-3)


def test_orthogonalize_brings_singular_values_near_one():
    torch.manual_seed(1)
    values = torch.linalg.svdvals(orthogonalize(torch.randn(3, 16, 40)).float())
    assert values.min() > 0.6
    assert values.max() < 1.3
