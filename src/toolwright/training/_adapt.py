"""Fine-tuning a few parameters of a model on a fixed set of examples: how an adapter learns its role, on a CPU in minutes.

Which parameters learn is the caller's to say (an adapter's, as a rule); all others stay as they are. The learning rate warms up and falls linearly to zero at
the end of the tokens or of the time, whichever comes first. A run can be killed and goes on from its last checkpoint. Left out: several devices.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolwright.episodes import derive_seed, write_text
from toolwright.errors import UsageError
from toolwright.training._examples import Example, batches
from toolwright.training._run import CurvePoint, Run, prepare


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

    Raises: UsageError without examples, or if the folder holds a run with other settings; MissingExtra without torch.
    """
    if not examples:
        raise UsageError("no examples to learn from")
    prepare(settings)
    import torch

    max_s = math.inf if max_minutes is None else 60 * max_minutes
    optimizer = torch.optim.AdamW(list(parameters.values()), lr=settings.lr, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
    run = Run(model, parameters.values(), [(optimizer, settings.lr)], settings, report)
    _resume(run, parameters, folder)

    def done() -> float:
        """The share of the run that is over, in [0, 1]."""
        return min(1.0, max(run.tokens / settings.max_tokens, run.seconds / max_s))

    def scale() -> float:
        now = done()
        return min(1.0, (now + 1e-3) / settings.warmup_share, (1 - now) / (1 - settings.warmup_share))

    def progress(loss: float) -> str:
        return f"{run.tokens:,} of at most {settings.max_tokens:,} tokens, {100 * done():.0f} %, loss {loss:.3f}"

    drawn = batches(_passes(examples, run.position, settings.seed), settings.batch_tokens)
    with _only(model, parameters):
        run.go(drawn, validation, over=lambda window_ended: done() >= 1, scale=scale, progress=progress, save=lambda: _save(run, parameters, folder))
    model.eval()
    return run.curve


@contextmanager
def _only(model: Any, parameters: Mapping[str, Any]) -> Iterator[None]:
    """Gradients for these parameters only, for the time."""
    took_gradients = {p: p.requires_grad for p in model.parameters()}
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, took in took_gradients.items():
            parameter.requires_grad_(took)


def _passes(examples: Sequence[Example], position: int, seed: int) -> Iterator[Example]:
    """The examples from the position on, each pass in an order of its own."""
    passed, offset = divmod(position, len(examples))
    while True:
        order = list(range(len(examples)))
        random.Random(derive_seed("adapt", seed, passed)).shuffle(order)
        for index in order[offset:]:
            yield examples[index]
        passed, offset = passed + 1, 0


def _save(run: Run, parameters: Mapping[str, Any], folder: Path) -> None:
    """Write the checkpoint so that a kill leaves the old or the new one, whole."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(run.state())
    new = folder / "adapting.new"
    (optimizer,) = run.optimizers
    torch.save({"parameters": {n: p.detach() for n, p in parameters.items()}, "optimizer": optimizer.state_dict(), "told": told}, new)
    os.replace(new, folder / "adapting.pt")
    write_text(folder / "curve.json", told)


def _resume(run: Run, parameters: Mapping[str, Any], folder: Path) -> None:
    import torch

    path = folder / "adapting.pt"
    if not path.is_file():
        return
    kept = torch.load(path, weights_only=True)
    run.take_up(json.loads(kept["told"]), path)
    if kept["parameters"].keys() != parameters.keys():
        raise UsageError(f"{path} holds a run of other parameters; use another folder")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(kept["parameters"][name])
    (optimizer,) = run.optimizers
    optimizer.load_state_dict(kept["optimizer"])
    run.report(f"going on from {run.tokens:,} tokens")
