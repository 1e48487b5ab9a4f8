"""Training: from nothing (`pretrain`). Fine-tuning and reinforcement learning come to stand beside it."""

from __future__ import annotations

from toolwright.training._pretrain import CurvePoint, Example, PretrainSettings, pretrain, take, validate

__all__ = ["CurvePoint", "Example", "PretrainSettings", "pretrain", "take", "validate"]
