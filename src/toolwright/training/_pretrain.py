"""Training a small causal language model from nothing, on a stream of examples that never repeats by accident.

One process, one device. Hidden matrices learn with Muon, everything else with AdamW; the learning rate warms up, stays, and falls linearly to zero at the end
(so a run may be extended from a checkpoint taken before the fall). A run can be killed at any time and goes on from its last checkpoint: weights, optimiser
states and the stream's position are written together. Left out: several devices, and anything about what the examples say.

Source: Jordan et al. 2024, *Muon*; Hu et al. 2024 (MiniCPM) for the schedule.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolwright.training._examples import Example, batches
from toolwright.training._run import CurvePoint, Run, prepare


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """How long and how fast to learn."""

    max_tokens: int
    """Tokens (padding not counted) until the learning rate is zero."""
    batch_tokens: int = 8192
    muon_lr: float = 0.005
    adamw_lr: float = 0.003
    weight_decay: float = 0.05
    warmup_share: float = 0.02
    decay_share: float = 0.35
    clip_norm: float = 1.0
    validate_every: int = 1_000_000
    """In tokens."""
    seed: int = 0
    threads: int = 0
    """0 leaves torch's own choice."""
    bf16: bool = True
    compile: bool = True
    """Fuse the model's operations with torch.compile: about twice as fast on a CPU, after half a minute. Needs a C++ compiler there."""


def pretrain(
    model: Any,
    stream: Callable[[int], Iterator[Example]],
    validation: Mapping[str, Sequence[Example]],
    settings: PretrainSettings,
    folder: Path,
    *,
    max_minutes: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[CurvePoint]:
    """Train `model` in place and return the curve; weights, state and curve lie in `folder`.

    Args:
        model: a transformers causal language model.
        stream: examples from a position on; the same position always gives the same example.
        validation: held-out examples, by name.
        settings: must equal those of the checkpoint in `folder`, if there is one.
        folder: made if missing; a run found there goes on.
        max_minutes: stop (resumably, not yet finished) after so long.
        report: called with a line of progress about every ten seconds.

    Raises: UsageError if the folder holds a run with other settings; MissingExtra without torch.
    """
    prepare(settings)
    run = Run(model, model.parameters(), _optimizers(model, settings), settings, report)
    _resume(run, folder)
    opened, tokens_before = time.monotonic(), run.tokens
    deadline = math.inf if max_minutes is None else opened + 60 * max_minutes

    def over(window_ended: bool) -> bool:
        # Stopping, validating and saving happen between windows only, so that a resumed run sees exactly the examples it would have seen.
        return window_ended and (run.tokens >= settings.max_tokens or time.monotonic() >= deadline)

    def scale() -> float:
        done = run.tokens / settings.max_tokens
        return min(1.0, (done + 1e-4) / settings.warmup_share, max(0.0, (1 - done) / settings.decay_share))

    def progress(loss: float) -> str:
        rate = (run.tokens - tokens_before) / (time.monotonic() - opened)
        left = (settings.max_tokens - run.tokens) / max(rate, 1.0)
        return f"{run.tokens:,} of {settings.max_tokens:,} tokens, {rate:,.0f}/s, loss {loss:.3f}, {left / 60:.0f} min left"

    drawn = batches(stream(run.position), settings.batch_tokens)
    return run.go(drawn, validation, over=over, scale=scale, progress=progress, save=lambda: _save(run, folder))


def _optimizers(model: Any, settings: PretrainSettings) -> list[tuple[Any, float]]:
    """Each with its learning rate: Muon for hidden matrices, AdamW for everything else."""
    import torch

    from toolwright.training._muon import StackedMuon

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    return [
        (StackedMuon(matrices, lr=settings.muon_lr, weight_decay=settings.weight_decay), settings.muon_lr),
        (torch.optim.AdamW(others, lr=settings.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0), settings.adamw_lr),
    ]


def _save(run: Run, folder: Path) -> None:
    """Write the checkpoint so that a kill leaves the old or the new one, whole."""
    import torch

    state = run.state()
    new, old = folder / "checkpoint.new", folder / "checkpoint"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    run.model.save_pretrained(new)
    torch.save([o.state_dict() for o in run.optimizers], new / "optimizers.pt")
    (new / "run.json").write_text(json.dumps(state))
    if old.exists():
        shutil.rmtree(folder / "checkpoint.old", ignore_errors=True)
        os.replace(old, folder / "checkpoint.old")
    os.replace(new, old)
    shutil.rmtree(folder / "checkpoint.old", ignore_errors=True)


def _resume(run: Run, folder: Path) -> None:
    import torch
    from safetensors.torch import load_model

    found = next((c for c in (folder / "checkpoint", folder / "checkpoint.old") if (c / "run.json").is_file()), None)
    if found is None:
        return
    run.take_up(json.loads((found / "run.json").read_text()), found)
    load_model(run.model, found / "model.safetensors")
    for optimizer, saved in zip(run.optimizers, torch.load(found / "optimizers.pt", weights_only=True), strict=True):
        optimizer.load_state_dict(saved)
    run.report(f"going on from {run.tokens:,} tokens")
