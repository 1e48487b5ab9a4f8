"""How sure it is that the leading answer will go on leading: what adaptive sampling stops by.

Votes are draws from an unknown distribution over answers. The prior is a Dirichlet with `prior` for every answer seen, for one answer not seen yet, and for
votes that do not count. Leaves out what a vote is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from toolwright.episodes import derive_seed

DRAWS = 2000
"""Monte-Carlo draws: a standard error of half a point where it matters (0.95)."""


def stays(votes: Sequence[float], *, silent: int, left: int, prior: float = 1.0) -> float:
    """The chance that the first of the vote sums is still the largest after `left` more draws (ties count as staying).

    `votes`: of each answer, the leader's first; `silent`: draws that gave no vote. Exact at 0 and 1: a lead that cannot be caught up is certain.
    """
    leader, *others = votes
    if left <= 0 or leader - max(others, default=0.0) >= left:
        return 1.0
    return _stays(round(leader, 1), tuple(sorted((round(v, 1) for v in others), reverse=True)), silent, left, prior)


def leads(votes: Sequence[float], *, prior: float = 1.0) -> float:
    """The chance that the first answer is the most probable one of all, an answer not seen yet included: the Dirichlet posterior."""
    leader, *others = votes
    return _leads(round(leader, 1), tuple(sorted((round(v, 1) for v in others), reverse=True)), prior)


def beats_second(votes: Sequence[float], *, prior: float = 1.0) -> float:
    """The chance that the first answer is more probable than the runner-up: a Beta posterior over these two alone.

    Source: Adaptive-Consistency (arXiv 2305.11860), which its_hub's Beta stop uses.
    """
    leader, *others = votes
    return 1.0 - beta_cdf(0.5, leader + prior, max(others, default=0.0) + prior)


@lru_cache(maxsize=200_000)
def _stays(leader: float, others: tuple[float, ...], silent: int, left: int, prior: float) -> float:
    import numpy

    generator = numpy.random.default_rng(derive_seed("stays", leader, others, silent, left, prior))
    now = numpy.array([leader, *others, 0.0])
    shares = generator.dirichlet([leader + prior, *(v + prior for v in others), prior, silent + prior], size=DRAWS)
    after = now + generator.multinomial(left, shares)[:, :-1]
    return float((after[:, 0] >= after[:, 1:].max(axis=1)).mean())


@lru_cache(maxsize=200_000)
def _leads(leader: float, others: tuple[float, ...], prior: float) -> float:
    import numpy

    generator = numpy.random.default_rng(derive_seed("leads", leader, others, prior))
    shares = generator.dirichlet([leader + prior, *(v + prior for v in others), prior], size=DRAWS)
    return float((shares[:, 0] >= shares[:, 1:].max(axis=1)).mean())


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1]; by its continued fraction (Lentz)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    value = c = 1.0
    d = 0.0
    for i in range(300):
        m = i // 2
        if i == 0:
            term = 1.0
        elif i % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _not_zero(1.0 + term * d)
        c = _not_zero(1.0 + term / c)
        value *= c * d
        if abs(c * d - 1.0) < 1e-13:
            break
    return front * (value - 1.0)


def _not_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
