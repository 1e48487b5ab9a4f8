"""Fine-tuning a few parameters of a model on a fixed set of examples: how an adapter learns its role, on a CPU in minutes.

Which parameters learn is the caller's to say (an adapter's, as a rule); all others stay as they are. The learning rate warms up and falls linearly to zero at
the end of the tokens or of the time, whichever comes first. A run can be killed and goes on from its last checkpoint. Left out: several devices.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolwright.episodes import derive_seed, write_text
from toolwright.errors import UsageError
from toolwright.training._pretrain import CurvePoint, Example, _batches, _losses, _tensors, validate


@dataclass(frozen=True, slots=True)
class AdaptSettings:
    """How long and how fast to learn."""

    max_tokens: int
    """Tokens (padding not counted) over all passes through the examples."""
    batch_tokens: int = 4096
    lr: float = 3e-3
    warmup_share: float = 0.05
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    validate_every: int = 400_000
    """In tokens."""
    seed: int = 0
    threads: int = 0
    """0 leaves torch's own choice."""
    bf16: bool = True
    compile: bool = False
    """Fuse the model's operations: quicker after half a minute, so for runs of several minutes."""


def adapt(
    model: Any,
    parameters: Mapping[str, Any],
    examples: Sequence[Example],
    validation: Mapping[str, Sequence[Example]],
    settings: AdaptSettings,
    folder: Path,
    *,
    max_minutes: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[CurvePoint]:
    """Train `parameters` of `model` in place and return the curve; a checkpoint of them lies in `folder`.

    Args:
        model: a transformers causal language model; its other parameters stop taking gradients for the time.
        parameters: what learns, by name.
        examples: passed through in an order drawn anew for each pass.
        validation: held-out examples, by name.
        settings: must equal those of the checkpoint in `folder`, if there is one.
        folder: made if missing; a run found there goes on.
        max_minutes: the end of the schedule, if the tokens do not end it first.
        report: called with a line of progress about every ten seconds.

    Raises: UsageError without examples, or if the folder holds a run with other settings.
    """
    if not examples:
        raise UsageError("no examples to learn from")
    import torch

    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    took_gradients = {p: p.requires_grad for p in model.parameters()}
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    try:
        run = _Adaption(model, parameters, examples, settings, folder, max_minutes, report)
        return run.go(validation)
    finally:
        for parameter, took in took_gradients.items():
            parameter.requires_grad_(took)


class _Adaption:
    """A run in progress: optimiser, counters, curve, checkpoint."""

    def __init__(
        self,
        model: Any,
        parameters: Mapping[str, Any],
        examples: Sequence[Example],
        settings: AdaptSettings,
        folder: Path,
        max_minutes: float | None,
        report: Callable[[str], None],
    ) -> None:
        import torch

        self.model, self.parameters, self.examples, self.settings, self.folder, self.report = model, dict(parameters), examples, settings, folder, report
        self.optimizer = torch.optim.AdamW(list(self.parameters.values()), lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
        self._forward = torch.compile(model, dynamic=True) if settings.compile else model
        self._max_s = math.inf if max_minutes is None else 60 * max_minutes
        self.tokens = self.position = 0
        self.curve: list[CurvePoint] = []
        self._losses: list[float] = []
        self._before_s = 0.0
        self._started = self._reported = time.monotonic()
        self._resume()

    @property
    def done(self) -> float:
        """The share of the run that is over, in [0, 1]."""
        return min(1.0, max(self.tokens / self.settings.max_tokens, self._elapsed() / self._max_s))

    def go(self, validation: Mapping[str, Sequence[Example]]) -> list[CurvePoint]:
        batches = _batches(self._stream(), self.settings.batch_tokens)
        next_validation = self.tokens + self.settings.validate_every
        while self.done < 1:
            batch, drawn = next(batches)
            self._step(batch)
            self.position += drawn
            if drawn and self.tokens >= next_validation:
                self._validate(validation)
                self._save()
                next_validation = self.tokens + self.settings.validate_every
        if not self.curve or self.curve[-1].tokens < self.tokens:
            self._validate(validation)
            self._save()
        self.model.eval()
        return self.curve

    def _stream(self) -> Iterator[Example]:
        """The examples from the position on, each pass in an order of its own."""
        passed, offset = divmod(self.position, len(self.examples))
        while True:
            order = list(range(len(self.examples)))
            random.Random(derive_seed("adapt", self.settings.seed, passed)).shuffle(order)
            for index in order[offset:]:
                yield self.examples[index]
            passed, offset = passed + 1, 0

    def _step(self, batch: list[Example]) -> None:
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * min(1.0, (self.done + 1e-3) / self.settings.warmup_share, (1 - self.done) / (1 - self.settings.warmup_share))
        self.model.train()
        ids, weights = _tensors(batch, self.model.device)
        loss = _losses(self._forward, ids, self.settings.bf16)
        # A batch in which nothing counts (only cut-off examples) teaches nothing, and must not divide by zero.
        loss = (loss * weights[:, 1:]).sum() / weights[:, 1:].sum().clamp(min=1e-6)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.clip_norm)
        self.optimizer.step()
        self._losses.append(float(loss.detach()))
        self.tokens += sum(len(e.ids) for e in batch)
        now = time.monotonic()
        if now - self._reported >= 10:
            self._reported = now
            recent = self._losses[-20:]
            self.report(f"{self.tokens:,} of at most {self.settings.max_tokens:,} tokens, {100 * self.done:.0f} %, loss {sum(recent) / len(recent):.3f}")

    def _validate(self, validation: Mapping[str, Sequence[Example]]) -> None:
        results = {
            name: validate(self.model, examples, batch_tokens=self.settings.batch_tokens, bf16=self.settings.bf16) for name, examples in validation.items()
        }
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        self._losses.clear()
        self.curve.append(CurvePoint(self.tokens, round(self._elapsed(), 1), round(mean, 4), results))
        self.report(f"{self.tokens:,} tokens, train {mean:.3f}; " + "; ".join(f"{n}: loss {r['loss']:.3f}, exact {r['exact']:.3f}" for n, r in results.items()))

    def _save(self) -> None:
        """Write the checkpoint so that a kill leaves the old or the new one, whole."""
        import torch

        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"settings": asdict(self.settings), "tokens": self.tokens, "position": self.position, "seconds": self._elapsed()}
        told = json.dumps(state | {"curve": [asdict(p) for p in self.curve]})
        new = self.folder / "adapting.new"
        kept = {"parameters": {n: p.detach() for n, p in self.parameters.items()}, "optimizer": self.optimizer.state_dict(), "told": told}
        torch.save(kept, new)
        os.replace(new, self.folder / "adapting.pt")
        write_text(self.folder / "curve.json", told)

    def _resume(self) -> None:
        import torch

        path = self.folder / "adapting.pt"
        if not path.is_file():
            return
        kept = torch.load(path, weights_only=True)
        state = json.loads(kept["told"])
        if changed := {k for k, v in asdict(self.settings).items() if state["settings"].get(k) != v} - {"threads", "max_tokens", "compile"}:
            raise UsageError(f"{path} holds a run with other settings ({', '.join(sorted(changed))}); use another folder or the same settings")
        if kept["parameters"].keys() != self.parameters.keys():
            raise UsageError(f"{path} holds a run of other parameters; use another folder")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(kept["parameters"][name])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.tokens, self.position, self._before_s = state["tokens"], state["position"], state["seconds"]
        self.curve = [CurvePoint(**p) for p in state["curve"]]
        self.report(f"going on from {self.tokens:,} tokens")

    def _elapsed(self) -> float:
        """Seconds of the run, those before it was taken up again included."""
        return self._before_s + time.monotonic() - self._started
