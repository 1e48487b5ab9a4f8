"""The built-in tasks: what pyproject.toml registers in the entry-point group ``toolwright.tasks``, under the names that `load` knows."""

from __future__ import annotations

from toolwright.tasks._benchmarks import addsub, aime2024, amc2023, asdiv, gsm8k, math500, mmlu_pro, multiarith, singleeq, singleop, svamp
from toolwright.tasks._encyclopedia import encyclopedia
from toolwright.tasks._generated import wordproblems

__all__ = [
    "addsub",
    "aime2024",
    "amc2023",
    "asdiv",
    "encyclopedia",
    "gsm8k",
    "math500",
    "mmlu_pro",
    "multiarith",
    "singleeq",
    "singleop",
    "svamp",
    "wordproblems",
]
