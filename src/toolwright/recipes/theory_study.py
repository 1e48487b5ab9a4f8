"""The theory of best of n, held to a simulation that knows no formula: T1's lemma, and our extension with the filter's own false negatives.

``toolwright reproduce theory``: over a grid of n, filters, reward models and shares of right candidates, the closed form beside candidates that are drawn,
ranked and picked one by one. Beside it the curves that the theory draws, and how many of the right candidates a filter must keep so as not to do harm. No model
is run.

Source: T1 (arXiv 2504.04718), theorem 2 and lemma C.1, which hold the share of right candidates that are kept fixed.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from toolwright.episodes import derive_seed
from toolwright.errors import UsageError
from toolwright.recipes._results import Measured, claim, result
from toolwright.scaling import Rates, best_of_n_accuracy, break_even_q, simulated_accuracy, t1_accuracy, t1_tiers, theory_curves

NS = (1, 2, 4, 16, 64)
FILTERS = (Rates(0.0, 1.0), Rates(0.53, 0.957), Rates(0.53, 0.8), Rates(0.9, 0.6), Rates(0.3, 0.6))
"""None, the paper's ToolV, one that loses more right candidates, a harsh one, and one that does harm."""
REWARDS = (Rates(0.6, 0.78), Rates(0.82, 0.78))
BASES = (0.1, 0.5)
REJECTS = (0.3, 0.53, 0.8)
DRAWS = 100_000
WORST, WITHIN_95 = 4.0, 0.9
"""Bars, in standard errors of the simulation: no point farther away, and this share of points within 1.96."""
SOURCE = "T1 (arXiv 2504.04718), lemma C.1"


def measure(*, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """The result. Raises: UsageError for fewer than a thousand draws."""
    if draws < 1000:
        raise UsageError(f"draws = {draws} tell too little; give 1000 or more")
    started = time.monotonic()
    points = [_point(*each, draws=draws, seed=seed) for each in itertools.product(NS, FILTERS, REWARDS, BASES)]
    keep = [{"n": n, "p": p, "q": break_even_q(n, p, REWARDS[1])} for n in NS[1:] for p in REJECTS]
    tables = {"points": points, "curves": theory_curves(NS, reward=REWARDS[1]), "break_even": keep, "draws": draws}
    command = "toolwright reproduce theory" + ("" if draws == DRAWS else f" --draws {draws}")
    return result(command, seconds=time.monotonic() - started, seeds=[seed], tables=tables, claims=claims(points))


def _point(n: int, filter_: Rates, reward: Rates, base: float, *, draws: int, seed: int) -> dict[str, Any]:
    """One point: as computed, as simulated, and how many standard errors lie between."""
    exact = t1_accuracy(n, filter_, reward, base=base)
    own = derive_seed("theory", seed, n, filter_.p, filter_.q, reward.p, reward.q, base)
    share, error = simulated_accuracy(n, t1_tiers(filter_, reward), base=base, draws=draws, seed=own)
    without = best_of_n_accuracy(n, reward, base=base)
    rates = {"filter_p": filter_.p, "filter_q": filter_.q, "reward_p": reward.p, "reward_q": reward.q, "base": base}
    return {"n": n, **rates, "closed": exact, "simulated": share, "error": error, "apart": (share - exact) / error, "without_filter": without}


def claims(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Closed form and simulation agree."""
    apart = [abs(point["apart"]) for point in points]
    within = sum(each <= 1.96 for each in apart) / len(apart)
    texts = (
        f"of {len(points)} points none lies farther than {WORST:g} standard errors of the simulation from the closed form (value: the farthest)",
        f"at least {WITHIN_95:.0%} of them within 1.96 standard errors, where 95 % are to be expected",
    )
    return [
        claim("theory-worst", texts[0], SOURCE, Measured(max(apart)), Measured(WORST), seen=max(apart) <= WORST),
        claim("theory-within", texts[1], SOURCE, Measured(within), Measured(WITHIN_95), seen=within >= WITHIN_95),
    ]
