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
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from toolwright.errors import MissingExtra, UsageError

SORT_WINDOW = 16
"""Batches drawn at once and sorted by length, so that little padding is computed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One document with a loss weight for each token."""

    ids: tuple[int, ...]
    """(T,)"""
    weights: tuple[float, ...]
    """(T,) how much the prediction *of* this token counts."""


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


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One validation of a run."""

    tokens: int
    seconds: float
    train_loss: float
    """Mean weighted loss since the last point, nats per weighted token."""
    validation: dict[str, dict[str, float]]
    """Per validation set: `loss` (nats per weighted token) and `exact` (share of examples whose weighted tokens are all the model's first choice)."""


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
    run = _Run(model, settings, folder, report)
    deadline = math.inf if max_minutes is None else time.monotonic() + 60 * max_minutes
    batches = _batches(stream(run.position), settings.batch_tokens)
    drawn = 1
    # Stopping, validating and saving happen between windows only, so that a resumed run sees exactly the examples it would have seen.
    while not drawn or (run.tokens < settings.max_tokens and time.monotonic() < deadline):
        batch, drawn = next(batches)
        run.step(batch)
        run.position += drawn
        if drawn and run.tokens >= run.next_validation:
            run.validate(validation)
            run.save()
    if not run.curve or run.curve[-1].tokens < run.tokens:
        run.validate(validation)
        run.save()
    return run.curve


class _Run:
    """A run in progress: optimisers, counters, curve, checkpoint."""

    def __init__(self, model: Any, settings: PretrainSettings, folder: Path, report: Callable[[str], None]) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtra("train", "training") from error
        from toolwright.training._muon import StackedMuon

        if settings.threads:
            torch.set_num_threads(settings.threads)
        torch.manual_seed(settings.seed)
        self.model, self.settings, self.folder, self.report = model, settings, folder, report
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
        others = [p for p in model.parameters() if not any(p is m for m in matrices)]
        self.optimizers = [
            StackedMuon(matrices, lr=settings.muon_lr, weight_decay=settings.weight_decay),
            torch.optim.AdamW(others, lr=settings.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        # The compiled form shares the model's weights; only training steps go through it, and lengths may vary without compiling anew.
        self._forward = torch.compile(model, dynamic=True) if settings.compile else model
        self.tokens = self.position = self.steps = 0
        self.seconds = 0.0
        self.curve: list[CurvePoint] = []
        self._losses: list[float] = []
        self._resume()
        self.next_validation = self.tokens + settings.validate_every
        self._started = self._reported = self._opened = time.monotonic()
        self._tokens_at_start = self.tokens

    def step(self, batch: list[Example]) -> None:
        import torch

        self._set_rates()
        self.model.train()
        ids, weights = _tensors(batch, self.model.device)
        loss = _losses(self._forward, ids, self.settings.bf16)
        loss = (loss * weights[:, 1:]).sum() / weights[:, 1:].sum()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self._losses.append(float(loss.detach()))
        self.tokens += sum(len(e.ids) for e in batch)
        self.steps += 1
        self._progress()

    def validate(self, validation: Mapping[str, Sequence[Example]]) -> None:
        results = {
            name: validate(self.model, examples, batch_tokens=self.settings.batch_tokens, bf16=self.settings.bf16) for name, examples in validation.items()
        }
        seconds = self.seconds + time.monotonic() - self._started
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        self._losses.clear()
        self.curve.append(CurvePoint(self.tokens, round(seconds, 1), round(mean, 4), results))
        self.next_validation = self.tokens + self.settings.validate_every
        self.report(f"{self.tokens:,} tokens, train {mean:.3f}; " + "; ".join(f"{n}: loss {r['loss']:.3f}, exact {r['exact']:.3f}" for n, r in results.items()))

    def save(self) -> None:
        """Write the checkpoint so that a kill leaves the old or the new one, whole."""
        import torch

        now = time.monotonic()
        self.seconds += now - self._started
        self._started = now
        new, old = self.folder / "checkpoint.new", self.folder / "checkpoint"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        self.model.save_pretrained(new)
        torch.save([o.state_dict() for o in self.optimizers], new / "optimizers.pt")
        state = {"settings": asdict(self.settings), "tokens": self.tokens, "position": self.position, "steps": self.steps, "seconds": self.seconds}
        (new / "run.json").write_text(json.dumps(state | {"curve": [asdict(p) for p in self.curve]}))
        if old.exists():
            shutil.rmtree(self.folder / "checkpoint.old", ignore_errors=True)
            os.replace(old, self.folder / "checkpoint.old")
        os.replace(new, old)
        shutil.rmtree(self.folder / "checkpoint.old", ignore_errors=True)

    def _resume(self) -> None:
        import torch
        from safetensors.torch import load_model

        found = next((c for c in (self.folder / "checkpoint", self.folder / "checkpoint.old") if (c / "run.json").is_file()), None)
        if found is None:
            return
        state = json.loads((found / "run.json").read_text())
        if changed := {k for k, v in asdict(self.settings).items() if state["settings"].get(k) != v} - {"threads", "max_tokens", "compile"}:
            raise UsageError(f"{found} holds a run with other settings ({', '.join(sorted(changed))}); use another folder or the same settings")
        load_model(self.model, found / "model.safetensors")
        for optimizer, saved in zip(self.optimizers, torch.load(found / "optimizers.pt", weights_only=True), strict=True):
            optimizer.load_state_dict(saved)
        self.tokens, self.position, self.steps, self.seconds = state["tokens"], state["position"], state["steps"], state["seconds"]
        self.curve = [CurvePoint(**p) for p in state["curve"]]
        self.report(f"going on from {self.tokens:,} tokens")

    def _set_rates(self) -> None:
        done = self.tokens / self.settings.max_tokens
        scale = min(1.0, (done + 1e-4) / self.settings.warmup_share, max(0.0, (1 - done) / self.settings.decay_share))
        for optimizer, rate in zip(self.optimizers, (self.settings.muon_lr, self.settings.adamw_lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._reported < 10:
            return
        self._reported = now
        rate = (self.tokens - self._tokens_at_start) / (now - self._opened)
        left = (self.settings.max_tokens - self.tokens) / max(rate, 1.0)
        recent = self._losses[-20:]
        self.report(f"{self.tokens:,} of {self.settings.max_tokens:,} tokens, {rate:,.0f}/s, loss {sum(recent) / len(recent):.3f}, {left / 60:.0f} min left")


def validate(model: Any, examples: Sequence[Example], *, batch_tokens: int = 8192, bf16: bool = False) -> dict[str, float]:
    """The weighted loss (nats per weighted token) and the share of examples whose weighted tokens are all the model's first choice."""
    import torch

    model.eval()
    total = weight = exact = 0.0
    with torch.no_grad():
        for batch, _ in _batches(iter(examples), batch_tokens, finite=True):
            ids, weights = _tensors(batch, model.device)
            logits = _logits(model, ids, bf16)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(weights[:, 1:].shape)
            counted = weights[:, 1:] >= 1
            total += float((loss * counted).sum())
            weight += float(counted.sum())
            exact += float(((logits.argmax(-1) == ids[:, 1:]) | ~counted).all(-1).sum())
    return {"loss": round(total / max(weight, 1.0), 4), "exact": round(exact / max(len(examples), 1), 4)}


def _batches(examples: Iterator[Example], batch_tokens: int, *, finite: bool = False) -> Iterator[tuple[list[Example], int]]:
    """(batch, examples drawn from the stream for it); within a window examples are sorted by length. The last batch of a window carries its whole count."""
    while True:
        window: list[Example] = []
        size = 0
        while size < SORT_WINDOW * batch_tokens and (example := next(examples, None)) is not None:
            window.append(example)
            size += len(example.ids)
        if not window:
            return
        ordered = iter(sorted(window, key=lambda e: len(e.ids)))
        batches: list[list[Example]] = [[]]
        for example in ordered:
            if batches[-1] and len(example.ids) * (len(batches[-1]) + 1) > batch_tokens:
                batches.append([])
            batches[-1].append(example)
        # A fixed shuffle: short and long batches alternate, so that the loss does not swing with the sort.
        batches = batches[::3] + batches[1::3] + batches[2::3]
        for number, batch in enumerate(batches):
            yield batch, len(window) if number == len(batches) - 1 else 0
        if finite and size < SORT_WINDOW * batch_tokens:
            return


def _tensors(batch: list[Example], device: Any) -> tuple[Any, Any]:
    import torch

    length = max(len(e.ids) for e in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    weights = torch.zeros(len(batch), length)
    for row, example in enumerate(batch):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        weights[row, : len(example.ids)] = torch.tensor(example.weights)
    return ids.to(device), weights.to(device)


def _logits(model: Any, ids: Any, bf16: bool) -> Any:
    """(B, T-1, V) float32: the prediction of each next token. Padding is on the right, so the causal mask alone hides it."""
    import torch

    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=bf16):
        return model(input_ids=ids[:, :-1], use_cache=False).logits.float()


def _losses(model: Any, ids: Any, bf16: bool) -> Any:
    """(B, T-1) nats."""
    import torch

    logits = _logits(model, ids, bf16)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(ids.shape[0], -1)


def take(stream: Iterator[Example], count: int) -> list[Example]:
    """The first `count` examples."""
    return list(islice(stream, count))
