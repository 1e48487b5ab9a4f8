"""Whole programs made of the lower floors: the solver, the embedded models, the studies behind every published number."""

from __future__ import annotations

from toolwright.recipes._solver import Solver, choice_to_json

__all__ = ["Solver", "choice_to_json"]
