"""Whole programs made of the lower floors: the solver, the embedded models, the studies behind every published number."""

from __future__ import annotations

from toolwright.recipes._results import Measured, claim, model_facts, publish, read_result, result, result_complaints, write_result
from toolwright.recipes._solver import Solver, choice_to_json

__all__ = [
    "Measured",
    "Solver",
    "choice_to_json",
    "claim",
    "model_facts",
    "publish",
    "read_result",
    "result",
    "result_complaints",
    "write_result",
]
