"""Floor 4: how candidates become a choice.

Each strategy is one object with one signature: ``await strategy(problem, attempt, verifiers, budget, seed=0)`` gives a `Choice`. Those with a `choose` decide
over stored samples and recorded pools with the same code; revise and beam need a model. The theory of best of n stands beside them.
"""

from __future__ import annotations

from toolwright.scaling._adaptive import Adaptive, adaptive, adaptive_beta
from toolwright.scaling._beam import Beam, beam
from toolwright.scaling._best_of_n import best_of_n
from toolwright.scaling._candidates import Candidate, Judging, as_candidate, clustered, judging_costs, total_cost, with_verdicts
from toolwright.scaling._choosing import Pick
from toolwright.scaling._greedy import greedy
from toolwright.scaling._judging import SecondPass, is_reward, judge, judge_each, with_second_passes
from toolwright.scaling._majority import majority
from toolwright.scaling._parallel import ParallelStrategy
from toolwright.scaling._registry import NamedStrategy, find_strategy, strategy_names
from toolwright.scaling._replay import RecordedVerifier, recorded_attempt
from toolwright.scaling._revise import Revise, revise
from toolwright.scaling._solve import at_temperature, solve
from toolwright.scaling._stored import LiveAttempt, StoredVerifier, sample_key, stored_attempt
from toolwright.scaling._t1 import filtered, t1, t1_argmax
from toolwright.scaling._theory import (
    Rates,
    Tier,
    best_of_n_accuracy,
    break_even_q,
    limit_accuracy,
    simulated_accuracy,
    t1_accuracy,
    t1_tiers,
    theory_curves,
    tiered_accuracy,
)
from toolwright.scaling._two_stage import two_stage
from toolwright.scaling._weighted import weighted

__all__ = [
    "Adaptive",
    "Beam",
    "Candidate",
    "Judging",
    "LiveAttempt",
    "NamedStrategy",
    "ParallelStrategy",
    "Pick",
    "Rates",
    "RecordedVerifier",
    "Revise",
    "SecondPass",
    "StoredVerifier",
    "Tier",
    "adaptive",
    "adaptive_beta",
    "as_candidate",
    "at_temperature",
    "beam",
    "best_of_n",
    "best_of_n_accuracy",
    "break_even_q",
    "clustered",
    "filtered",
    "find_strategy",
    "greedy",
    "is_reward",
    "judge",
    "judge_each",
    "judging_costs",
    "limit_accuracy",
    "majority",
    "recorded_attempt",
    "revise",
    "sample_key",
    "simulated_accuracy",
    "solve",
    "stored_attempt",
    "strategy_names",
    "t1",
    "t1_accuracy",
    "t1_argmax",
    "t1_tiers",
    "theory_curves",
    "tiered_accuracy",
    "total_cost",
    "two_stage",
    "weighted",
    "with_second_passes",
    "with_verdicts",
]
