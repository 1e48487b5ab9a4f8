"""The arms of the T1 study: which strategy is given which verifiers, by name, and what verifiers are called with roles of other training seeds.

An arm is named by what it stands on: ``majority``, ``rm`` (weighted best of n by the reward model), ``claims`` and ``toolv`` (the majority of what a filter
left), and sums of these: ``toolv+rm`` is the paper's T1.
"""

from __future__ import annotations

from dataclasses import replace

from toolwright.recipes._judged import Arm
from toolwright.scaling import adaptive, adaptive_beta, best_of_n, filtered, majority, t1, t1_argmax, two_stage, weighted

BOTH = ("claims", "toolv")
FILTERS: dict[str, tuple[str, ...]] = {"claims": ("claims",), "toolv": ("toolv",), "claims+toolv": BOTH}
REWARDS = ("genrm", "prm")
LIKED = 0.5
UNTAUGHT = ("greedy", "majority", "claims", "adaptive_beta", "pass@n")
"""Arms that ask no role, so that no adapter takes part."""


def arms(rm: str) -> list[Arm]:
    """The stages and their combinations, measured at every n; the last is adaptive, which stops by itself."""
    return [*stages(rm), Arm("adaptive", adaptive, BOTH, (rm,))]


def stages(rm: str) -> list[Arm]:
    """{no filter, each filter} × {votes, reward model}."""
    found = [Arm("majority", majority), Arm("rm", weighted, (), (rm,))]
    found += [Arm(name, filtered, filters) for name, filters in FILTERS.items()]
    return found + [Arm(f"{name}+rm", t1, filters, (rm,)) for name, filters in FILTERS.items()]


def more_arms(rm: str) -> list[Arm]:
    """Other strategies over the same verdicts, measured at N."""
    other = next(name for name in REWARDS if name != rm)
    named = [Arm("best_of_n", best_of_n, (), (rm,)), Arm("t1_argmax", t1_argmax, BOTH, (rm,)), Arm("two_stage", two_stage, (), (rm,))]
    return [*named, Arm("adaptive_beta", adaptive_beta), Arm(f"rm ({other})", weighted, (), (other,)), Arm(f"claims+toolv+rm ({other})", t1, BOTH, (other,))]


def ns_of(most: int) -> list[int]:
    """1, 2, 4, … and the most."""
    return [*(2**k for k in range(most.bit_length()) if 2**k < most), most]


def of_seed(name: str, seed: int) -> str:
    """What a verifier is called where its role was trained with another seed; claims were not trained."""
    return name if seed == 0 or name == "claims" else f"{name}@{seed}"


def of_seeds(arm: Arm, seeds: int) -> list[Arm]:
    """The arm with the roles of each training seed; once where it asks no role."""
    made = [replace(arm, filters=tuple(of_seed(f, k) for f in arm.filters), rewards=tuple(of_seed(r, k) for r in arm.rewards)) for k in range(seeds)]
    return list(dict.fromkeys(made))
