"""Best of N with an imperfect verifier, in closed form.

The setting of arXiv 2504.04718 (theorem 2 and lemma C.1): candidates are right with probability `base`, independently; the verifier rejects a wrong one with
probability p and accepts a right one with probability q; the choice is uniform among the accepted, and among all where none was. Our extension takes several
tiers, so that a filter with false negatives of its own stands before a reward model, with T1's order: kept and liked, kept, liked, the rest. Leaves out votes
(more than two answers need the shape of the wrong ones), and errors that go together: filter and reward model err independently here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolwright.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rates:
    """How well something tells right from wrong."""

    p: float
    """Of wrong candidates, the share it rejects."""
    q: float
    """Of right candidates, the share it accepts; 1 − q are its false negatives."""

    def __post_init__(self) -> None:
        if not (0 <= self.p <= 1 and 0 <= self.q <= 1):
            raise UsageError(f"p = {self.p} and q = {self.q} are shares; each goes from 0 to 1")


@dataclass(frozen=True, slots=True)
class Tier:
    """One rank a candidate can get."""

    right: float
    """The share of right candidates that get it."""
    wrong: float
    """The share of wrong candidates that get it."""


EVERYTHING = Rates(0.0, 1.0)
"""No filter: rejects nothing."""


def best_of_n_accuracy(n: int, verifier: Rates, *, base: float = 0.5) -> float:
    """The chance that best of n is right.

    With ``base = 0.5`` this is the paper's (1 − a) q / (q + 1 − p) + a (1 − q) / (1 − q + p), where a = ((1 − q + p) / 2)^n.
    """
    return tiered_accuracy(n, [Tier(verifier.q, 1 - verifier.p), Tier(1 - verifier.q, verifier.p)], base=base)


def t1_accuracy(n: int, filter: Rates, reward: Rates, *, base: float = 0.5, drop_filter: bool = True) -> float:
    """The chance that the candidate with the largest f · r is right, where r is 1 for candidates the reward model accepts and nearly 0 for the others.

    `drop_filter`: where all candidates are refuted, r alone decides (as we do); otherwise any of them is taken (as in the paper's lemma).
    """
    return tiered_accuracy(n, t1_tiers(filter, reward, drop_filter=drop_filter), base=base)


def t1_tiers(filter: Rates, reward: Rates, *, drop_filter: bool = True) -> list[Tier]:
    """The ranks of T1, best first; errors of filter and reward model are independent of each other."""
    kept = [
        Tier(filter.q * reward.q, (1 - filter.p) * (1 - reward.p)),
        Tier(filter.q * (1 - reward.q), (1 - filter.p) * reward.p),
    ]
    if drop_filter:
        return [*kept, Tier((1 - filter.q) * reward.q, filter.p * (1 - reward.p)), Tier((1 - filter.q) * (1 - reward.q), filter.p * reward.p)]
    return [kept[0], Tier(1 - kept[0].right, 1 - kept[0].wrong)]


def tiered_accuracy(n: int, tiers: Sequence[Tier], *, base: float = 0.5) -> float:
    """The chance that a uniform pick from the best tier with any of n candidates in it is right.

    The best tier is k with probability T_k^n − T_(k+1)^n, where T_k is the chance that one candidate is in tier k or a worse one.
    """
    _check(n, tiers, base)
    below, found = 0.0, 0.0
    for tier in reversed(tiers):
        share = base * tier.right + (1 - base) * tier.wrong
        if share > 0:
            found += ((below + share) ** n - below**n) * base * tier.right / share
        below += share
    return found


def limit_accuracy(filter: Rates, reward: Rates, *, base: float = 0.5) -> float:
    """What T1 tends to with n: the odds of a candidate times q / (1 − p) of each stage, so a filter helps in the end exactly where q > 1 − p."""
    right, wrong = base * filter.q * reward.q, (1 - base) * (1 - filter.p) * (1 - reward.p)
    return right / (right + wrong) if right + wrong > 0 else base


def break_even_q(n: int, p: float, reward: Rates, *, base: float = 0.5) -> float | None:
    """The smallest share of right candidates that a filter which rejects p of the wrong ones must keep so as not to do harm at n; None where none is enough."""
    without = t1_accuracy(n, EVERYTHING, reward, base=base)
    if t1_accuracy(n, Rates(p, 1.0), reward, base=base) < without:
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if t1_accuracy(n, Rates(p, middle), reward, base=base) >= without else (middle, high)
    return high


def simulated_accuracy(n: int, tiers: Sequence[Tier], *, base: float = 0.5, draws: int = 100_000, seed: int = 0) -> tuple[float, float]:
    """(share right, its standard error) of so many simulated choices: candidates drawn, ranked and picked from one by one, no formula used."""
    import numpy

    _check(n, tiers, base)
    generator = numpy.random.default_rng(seed)
    right = generator.random((draws, n)) < base
    ranks = numpy.where(
        right,
        generator.choice(len(tiers), size=(draws, n), p=_whole([t.right for t in tiers])),
        generator.choice(len(tiers), size=(draws, n), p=_whole([t.wrong for t in tiers])),
    )
    # A random key within the best rank picks uniformly among its members.
    picked = (ranks + generator.random((draws, n))).argmin(axis=1)
    hits = right[numpy.arange(draws), picked]
    share = float(hits.mean())
    return share, float((share * (1 - share) / draws) ** 0.5)


def theory_curves(
    ns: Sequence[int] = (1, 2, 4, 8, 16, 32, 64), *, reward: Rates = Rates(0.82, 0.78), filters: Sequence[Rates] = (), base: float = 0.5
) -> list[dict[str, Any]]:
    """Rows of a figure: accuracy against n without a filter and with each one, as computed; the default reward model has the paper's measured rates."""
    chosen = filters or [Rates(p, q) for p in (0.3, 0.53, 0.8) for q in (1.0, 0.957, 0.8)]
    return [
        {"n": n, "p": rates.p, "q": rates.q, "accuracy": t1_accuracy(n, rates, reward, base=base), "limit": limit_accuracy(rates, reward, base=base)}
        for rates in (EVERYTHING, *chosen)
        for n in ns
    ]


def _whole(shares: Sequence[float]) -> list[float]:
    total = sum(shares)
    return [share / total for share in shares]


def _check(n: int, tiers: Sequence[Tier], base: float) -> None:
    if n < 1:
        raise UsageError(f"n = {n} samples give no answer; ask for 1 or more")
    if not 0 <= base <= 1:
        raise UsageError(f"base = {base} is a share; it goes from 0 to 1")
    for name in ("right", "wrong"):
        total = sum(getattr(tier, name) for tier in tiers)
        if abs(total - 1) > 1e-9:
            raise UsageError(f"the tiers hold {total:g} of the {name} candidates, but they must hold all of them")
