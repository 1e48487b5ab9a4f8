"""One linear layer with a low-rank adapter beside it."""

from __future__ import annotations

from typing import Any

import torch


class LowRankLinear(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by the type checker
    """``W x + scale · B (A x)`` over a layer whose own weights stay as they are; B starts at zero."""

    def __init__(self, layer: Any, rank: int, scale: float, generator: Any) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale
        weight = layer.weight
        # Drawn on the CPU, so that a seed means the same on every device; the bound is that of a fresh linear layer, as in PEFT.
        start = torch.empty(rank, layer.in_features).uniform_(-1, 1, generator=generator) / layer.in_features**0.5
        self.lora_A = torch.nn.Parameter(start.to(device=weight.device, dtype=weight.dtype))
        self.lora_B = torch.nn.Parameter(torch.zeros(layer.out_features, rank, device=weight.device, dtype=weight.dtype))

    def forward(self, x: Any) -> Any:
        """The layer's output with the adapter's share. Shapes: (…, in) to (…, out)."""
        low = torch.nn.functional.linear(x, self.lora_A)
        return self.layer(x) + self.scale * torch.nn.functional.linear(low, self.lora_B)
