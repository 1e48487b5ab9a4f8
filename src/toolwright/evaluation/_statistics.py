"""The statistics of a report: intervals over problems, the oracle, paired differences. numpy only, loaded when first used."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from toolwright.errors import UsageError

_Z = 1.959963984540054
"""The 97.5 % point of the normal distribution: all intervals are 95 %."""


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share; (0, 1) without trials.

    `successes` may be fractional, where each trial is a mean over draws; the interval is then wider than needed, never narrower.
    """
    if trials < 0 or not -1e-9 <= successes <= trials + 1e-9:
        raise UsageError(f"{successes} successes of {trials} trials are impossible")
    if trials == 0:
        return 0.0, 1.0
    share, z2 = min(max(successes / trials, 0.0), 1.0), _Z * _Z
    middle = share + z2 / (2 * trials)
    spread = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    low, high = (middle - spread) / (1 + z2 / trials), (middle + spread) / (1 + z2 / trials)
    # The ends are exact at 0 and 1; rounding must not move them past the share itself.
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def pass_at_n(samples: int, right: int, n: int) -> float:
    """The chance that n of the samples, drawn without putting back, hold a right one: 1 − C(samples − right, n) / C(samples, n).

    Source: arXiv 2107.03374, equation 1. Raises: UsageError unless 0 ≤ right ≤ samples and 1 ≤ n ≤ samples.
    """
    if not 0 <= right <= samples or not 1 <= n <= samples:
        raise UsageError(f"pass@{n} of {samples} samples with {right} right is not defined; n may be 1 to {samples}")
    missed = 1.0
    for i in range(n):
        missed *= max(0, samples - right - i) / (samples - i)
    return 1.0 - missed


def mean_interval(values: Sequence[float], *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """(mean, low, high): a 95 % percentile bootstrap over the values, one per problem; NaN values are left out.

    Raises: UsageError without a value.
    """
    return paired_bootstrap(values, [0.0] * len(values), draws=draws, seed=seed)


def paired_bootstrap(a: Sequence[float], b: Sequence[float], *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """(mean of a − b, low, high): problems drawn with putting back, each with both its values, 95 % percentile interval.

    A problem where either is NaN is left out. Raises: UsageError for different lengths or no problem with both.
    """
    import numpy

    if len(a) != len(b):
        raise UsageError(f"paired values need one problem each, but there are {len(a)} and {len(b)}")
    differences = numpy.asarray(a, dtype=float) - numpy.asarray(b, dtype=float)
    differences = differences[~numpy.isnan(differences)]
    count = len(differences)
    if count == 0:
        raise UsageError("no problem has both values, so there is nothing to compare")
    means = [differences[drawn].mean(axis=1) for drawn in _resampled(count, draws, seed)]
    low, high = numpy.quantile(numpy.concatenate(means), [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def crossed_bootstrap(values: Sequence[Sequence[float]], *, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """(mean, low, high) of values of (training seed, problem): both drawn with putting back, each apart, 95 % percentile interval.

    Shapes: `values` (S, P); a problem where any is NaN is left out. With one seed it is a bootstrap over problems. Few seeds make a coarse interval, and never
    one that speaks of more seeds than there are. Source: Owen 2007, the pigeonhole bootstrap. Raises: UsageError for rows of different lengths, or nothing.
    """
    import numpy

    if not values or len({len(row) for row in values}) > 1:
        raise UsageError(f"values of {len(values)} training seeds need one number per problem each")
    table = numpy.asarray(values, dtype=float)
    table = table[:, ~numpy.isnan(table).any(axis=0)]
    seeds, count = table.shape
    if count == 0:
        raise UsageError("no problem has a value with every training seed, so there is nothing to compare")
    generator = numpy.random.default_rng(seed)
    means: list[Any] = []
    slice_size = max(1, 2_000_000 // count)
    for start in range(0, draws, slice_size):
        size = min(slice_size, draws - start)
        problems = generator.multinomial(count, [1 / count] * count, size=size)
        drawn = generator.multinomial(seeds, [1 / seeds] * seeds, size=size)
        means.append(((drawn @ table) * problems).sum(axis=1) / (seeds * count))
    low, high = numpy.quantile(numpy.concatenate(means), [0.025, 0.975])
    return float(table.mean()), float(low), float(high)


def _resampled(count: int, draws: int, seed: int) -> Iterable[Any]:
    """Which problems each draw of a bootstrap holds, in slices: all draws at once would be draws × problems numbers."""
    return _kept_draws(count, draws, seed) if count * draws <= _KEPT else _drawn(count, draws, seed)


@lru_cache(maxsize=4)
def _kept_draws(count: int, draws: int, seed: int) -> list[Any]:
    """The same, kept: a report compares many pairs over the same problems."""
    return list(_drawn(count, draws, seed))


def _drawn(count: int, draws: int, seed: int) -> Iterator[Any]:
    import numpy

    generator = numpy.random.default_rng(seed)
    slice_size = max(1, 2_000_000 // count)
    for start in range(0, draws, slice_size):
        yield generator.integers(0, count, size=(min(slice_size, draws - start), count))


_KEPT = 8_000_000
