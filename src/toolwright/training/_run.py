"""The loop that training from nothing and fine-tuning share: steps, validations, and what a checkpoint says of a run.

What learns, how fast at the moment, when it is over and in which files it is kept is said by the two that use it (`_pretrain`, `_adapt`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolwright.errors import MissingExtra, UsageError
from toolwright.training._examples import Example, batches, tensors

if TYPE_CHECKING:
    from toolwright.training._adapt import AdaptSettings
    from toolwright.training._pretrain import PretrainSettings

TOLD_EVERY_S = 10
CHANGEABLE = {"threads", "max_tokens", "compile"}
"""Settings that a run may go on with other values of."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One validation of a run."""

    tokens: int
    seconds: float
    train_loss: float
    """Mean weighted loss since the last point, nats per weighted token."""
    validation: dict[str, dict[str, float]]
    """Per validation set: `loss` (nats per weighted token) and `exact` (share of examples whose weighted tokens are all the model's first choice)."""


class Run:
    """A run in progress: optimisers, counters, curve. `parameters` are clipped together; each optimiser comes with its full learning rate."""

    def __init__(
        self,
        model: Any,
        parameters: Iterable[Any],
        optimizers: Sequence[tuple[Any, float]],
        settings: PretrainSettings | AdaptSettings,
        report: Callable[[str], None],
    ) -> None:
        import torch

        self.model, self.optimizers, self.settings, self.report = model, [optimizer for optimizer, _ in optimizers], settings, report
        self._parameters, self._rates = list(parameters), [rate for _, rate in optimizers]
        # The compiled form shares the model's weights; only training steps go through it, and lengths may vary without compiling anew.
        self._forward = torch.compile(model, dynamic=True) if settings.compile else model
        self.tokens = self.position = self.steps = 0
        self.curve: list[CurvePoint] = []
        self._losses: list[float] = []
        self._before_s = 0.0
        self._started = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time of the run, that before it was taken up again included."""
        return self._before_s + time.monotonic() - self._started

    def go(
        self,
        drawn_batches: Iterator[tuple[list[Example], int]],
        validation: Mapping[str, Sequence[Example]],
        *,
        over: Callable[[bool], bool],
        scale: Callable[[], float],
        progress: Callable[[float], str],
        save: Callable[[], None],
    ) -> list[CurvePoint]:
        """The curve, once it is over.

        Args:
            drawn_batches: from the run's position on, as `batches` makes them.
            validation: held-out examples, by name.
            over: whether to stop now; it is told whether a window of examples has just ended.
            scale: what the learning rates are multiplied with in the next step.
            progress: a line about the run with its recent loss.
            save: writes the checkpoint.
        """
        due, window_ended = self.tokens + self.settings.validate_every, True
        while not over(window_ended):
            batch, drawn = next(drawn_batches)
            self._step(batch, scale(), progress)
            self.position += drawn
            window_ended = drawn > 0
            if window_ended and self.tokens >= due:
                self._validate(validation)
                save()
                due = self.tokens + self.settings.validate_every
        if not self.curve or self.curve[-1].tokens < self.tokens:
            self._validate(validation)
            save()
        return self.curve

    def state(self) -> dict[str, Any]:
        """What a checkpoint says beside weights and optimisers, as JSON takes it."""
        counters = {"tokens": self.tokens, "position": self.position, "steps": self.steps, "seconds": self.seconds}
        return {"settings": asdict(self.settings), **counters, "curve": [asdict(point) for point in self.curve]}

    def take_up(self, state: Mapping[str, Any], place: Path) -> None:
        """Go on from what a checkpoint at `place` says.

        Raises: UsageError if it was made with other settings.
        """
        if changed := {name for name, value in asdict(self.settings).items() if state["settings"].get(name) != value} - CHANGEABLE:
            raise UsageError(f"{place} holds a run with other settings ({', '.join(sorted(changed))}); use another folder or the same settings")
        self.tokens, self.position, self._before_s = state["tokens"], state["position"], state["seconds"]
        # Checkpoints of fine-tuning did not count steps at first.
        self.steps = state.get("steps", 0)
        self.curve = [CurvePoint(**point) for point in state["curve"]]

    def _step(self, batch: list[Example], scale: float, progress: Callable[[float], str]) -> None:
        import torch

        for optimizer, rate in zip(self.optimizers, self._rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * scale
        self.model.train()
        ids, weights = tensors(batch, self.model.device)
        _, losses = _predict(self._forward, ids, self.settings.bf16)
        # A batch in which nothing counts (only cut-off examples) teaches nothing, and must not divide by zero.
        loss = (losses * weights[:, 1:]).sum() / weights[:, 1:].sum().clamp(min=1e-6)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip_norm)
        for optimizer in self.optimizers:
            optimizer.step()
        self._losses.append(float(loss.detach()))
        self.tokens += sum(len(e.ids) for e in batch)
        self.steps += 1
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            recent = self._losses[-20:]
            self.report(progress(sum(recent) / len(recent)))

    def _validate(self, validation: Mapping[str, Sequence[Example]]) -> None:
        results = {
            name: validate(self.model, examples, batch_tokens=self.settings.batch_tokens, bf16=self.settings.bf16) for name, examples in validation.items()
        }
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        self._losses.clear()
        self.curve.append(CurvePoint(self.tokens, round(self.seconds, 1), round(mean, 4), results))
        self.report(f"{self.tokens:,} tokens, train {mean:.3f}; " + "; ".join(f"{n}: loss {r['loss']:.3f}, exact {r['exact']:.3f}" for n, r in results.items()))


def prepare(settings: PretrainSettings | AdaptSettings) -> None:
    """Set torch's threads and seed.

    Raises: MissingExtra without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("train", "training") from error
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)


def validate(model: Any, examples: Sequence[Example], *, batch_tokens: int = 8192, bf16: bool = False) -> dict[str, float]:
    """The weighted loss (nats per weighted token) and the share of examples whose weighted tokens are all the model's first choice."""
    import torch

    model.eval()
    total = weight = exact = 0.0
    with torch.no_grad():
        for batch, _ in batches(iter(examples), batch_tokens, finite=True):
            ids, weights = tensors(batch, model.device)
            logits, losses = _predict(model, ids, bf16)
            counted = weights[:, 1:] >= 1
            total += float((losses * counted).sum())
            weight += float(counted.sum())
            exact += float(((logits.argmax(-1) == ids[:, 1:]) | ~counted).all(-1).sum())
    return {"loss": round(total / max(weight, 1.0), 4), "exact": round(exact / max(len(examples), 1), 4)}


def _predict(model: Any, ids: Any, bf16: bool) -> tuple[Any, Any]:
    """(logits (B, T-1, V) float32, losses (B, T-1) in nats) of each next token. Padding is on the right, so the causal mask alone hides it."""
    import torch

    with torch.autocast(ids.device.type, dtype=torch.bfloat16, enabled=bf16):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits.float()
    return logits, torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(ids.shape[0], -1)
