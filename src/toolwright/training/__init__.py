"""Training: from nothing (`pretrain`), and a few parameters of a trained model (`adapt`). Reinforcement learning comes to stand beside them."""

from __future__ import annotations

from toolwright.training._adapt import AdaptSettings, adapt
from toolwright.training._pretrain import CurvePoint, Example, PretrainSettings, pretrain, take, validate

__all__ = ["AdaptSettings", "CurvePoint", "Example", "PretrainSettings", "adapt", "pretrain", "take", "validate"]
