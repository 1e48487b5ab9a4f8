"""Floor 4: how candidates become a choice.

Each strategy is one file and one object with one signature: ``await strategy(problem, attempt, verifiers, budget, seed=0)`` gives a `Choice`. The same code
decides over candidates drawn live, over stored ones, and over recorded pools (`ParallelStrategy.choose`).
"""

from __future__ import annotations

from toolwright.scaling._best_of_n import best_of_n
from toolwright.scaling._candidates import Candidate, as_candidate, clustered, judge, judge_each
from toolwright.scaling._greedy import greedy
from toolwright.scaling._majority import majority
from toolwright.scaling._parallel import ParallelStrategy, Pick
from toolwright.scaling._registry import find_strategy, strategy_names
from toolwright.scaling._replay import RecordedVerifier, recorded_attempt
from toolwright.scaling._solve import at_temperature, solve
from toolwright.scaling._stored import StoredVerifier, sample_key, stored_attempt
from toolwright.scaling._t1 import t1

__all__ = [
    "Candidate",
    "ParallelStrategy",
    "Pick",
    "RecordedVerifier",
    "StoredVerifier",
    "as_candidate",
    "at_temperature",
    "best_of_n",
    "clustered",
    "find_strategy",
    "greedy",
    "judge",
    "judge_each",
    "majority",
    "recorded_attempt",
    "sample_key",
    "solve",
    "stored_attempt",
    "strategy_names",
    "t1",
]
