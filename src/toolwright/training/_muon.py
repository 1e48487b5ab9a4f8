"""Muon for many small matrices: those of one shape are orthogonalised together.

`torch.optim.Muon` works matrix by matrix; for a model of a million parameters that is hundreds of tiny products a step, which cost more than the model's own
backward pass (LOG.md). The mathematics is the same: Nesterov momentum, five quintic Newton–Schulz iterations, decoupled weight decay, and a scale that makes
the update's size that of Adam.

Source: Jordan et al. 2024, *Muon*; the scale is that of Moonlight (Liu et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class StackedMuon(torch.optim.Optimizer):  # type: ignore[misc]  # torch is not followed by the type checker
    """Muon over 2-D parameters, stacked by shape."""

    def __init__(self, matrices: Iterable[Any], *, lr: float, weight_decay: float = 0.0, momentum: float = 0.95) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[Any]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape.setdefault(tuple(sorted(matrix.shape)), []).append(matrix)
            for matrices in by_shape.values():
                self._update(matrices, group)

    def _update(self, matrices: list[Any], group: dict[str, Any]) -> None:
        directions = []
        for matrix in matrices:
            state = self.state[matrix]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(matrix)
            state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
            direction = matrix.grad.lerp(state["momentum"], group["momentum"])
            directions.append(direction if direction.shape[0] <= direction.shape[1] else direction.T)
        updates = orthogonalize(torch.stack(directions))
        scale = 0.2 * max(matrices[0].shape) ** 0.5
        for matrix, update in zip(matrices, updates, strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_((update if matrix.shape == update.shape else update.T).to(matrix.dtype), alpha=-group["lr"] * scale)


def orthogonalize(stack: Any) -> Any:
    """The nearest semi-orthogonal matrices, roughly: five Newton–Schulz iterations. Shapes: (N, rows, columns), rows ≤ columns, in and out."""
    a, b, c = _COEFFICIENTS
    x = stack.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
