"""Training: from nothing (`pretrain`), and a few parameters of a trained model (`adapt`). Reinforcement learning comes to stand beside them."""

from __future__ import annotations

from toolwright.training._adapt import AdaptSettings, adapt
from toolwright.training._examples import Example, take
from toolwright.training._pretrain import PretrainSettings, pretrain
from toolwright.training._run import CurvePoint, validate

__all__ = ["AdaptSettings", "CurvePoint", "Example", "PretrainSettings", "adapt", "pretrain", "take", "validate"]
