"""Floor 3: episodes, made by an engine and tools taking turns on a problem."""

from __future__ import annotations

from toolwright.rollouts._rollout import Rollout

__all__ = ["Rollout"]
