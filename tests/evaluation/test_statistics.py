from __future__ import annotations

import itertools
import math
import random

import pytest

from toolwright.errors import UsageError
from toolwright.evaluation import crossed_bootstrap, mean_interval, paired_bootstrap, pass_at_n, wilson


def test_wilson_against_published_values() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(263, 500) == pytest.approx((0.4822, 0.5694), abs=1e-4)


def test_wilson_at_the_edges() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0 and wilson(5, 5)[1] == 1.0
    with pytest.raises(UsageError):
        wilson(6, 5)


def test_wilson_covers_as_often_as_it_says() -> None:
    generator = random.Random(1)
    trials, share = 60, 0.3
    covered = sum(low <= share <= high for low, high in (wilson(sum(generator.random() < share for _ in range(trials)), trials) for _ in range(2000)))
    assert 0.93 < covered / 2000 < 0.97


@pytest.mark.parametrize(("samples", "right", "n"), [(5, 0, 2), (5, 2, 1), (5, 2, 2), (5, 2, 5), (6, 5, 3), (4, 4, 1)])
def test_pass_at_n_is_the_mean_over_all_subsets(samples: int, right: int, n: int) -> None:
    subsets = list(itertools.combinations(range(samples), n))
    expected = sum(any(i < right for i in subset) for subset in subsets) / len(subsets)
    assert pass_at_n(samples, right, n) == pytest.approx(expected)


@pytest.mark.parametrize(("samples", "right", "n"), [(5, 6, 1), (5, 1, 0), (5, 1, 6), (0, 0, 1)])
def test_pass_at_n_outside_its_range_is_refused(samples: int, right: int, n: int) -> None:
    with pytest.raises(UsageError):
        pass_at_n(samples, right, n)


def test_a_paired_difference_is_narrower_than_an_unpaired_one() -> None:
    generator = random.Random(2)
    hard = [generator.random() for _ in range(300)]
    b = [float(generator.random() > h) for h in hard]
    a = [1.0 if generator.random() < 0.1 else x for x in b]
    difference, low, high = paired_bootstrap(a, b)
    assert difference == pytest.approx(sum(a) / 300 - sum(b) / 300)
    assert 0 < low < difference < high
    assert high - low < 0.5 * (mean_interval(a)[2] - mean_interval(a)[1]) * math.sqrt(2)


def test_the_bootstrap_agrees_with_theory() -> None:
    generator = random.Random(3)
    values = [generator.gauss(0.0, 1.0) for _ in range(400)]
    mean, low, high = mean_interval(values, draws=4000)
    assert high - mean == pytest.approx(1.96 / math.sqrt(400), rel=0.1)
    assert mean - low == pytest.approx(1.96 / math.sqrt(400), rel=0.1)


def test_problems_without_both_values_are_left_out() -> None:
    assert paired_bootstrap([1.0, math.nan, 1.0], [0.0, 1.0, math.nan]) == (1.0, 1.0, 1.0)
    with pytest.raises(UsageError):
        paired_bootstrap([math.nan], [1.0])
    with pytest.raises(UsageError):
        paired_bootstrap([1.0], [1.0, 2.0])


def test_equal_seeds_give_equal_intervals() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    assert mean_interval(values, seed=4) == mean_interval(values, seed=4)


def test_the_crossed_bootstrap_is_one_over_problems_with_one_seed_and_sees_how_far_seeds_are_apart() -> None:
    generator = random.Random(5)
    row = [float(generator.random() < 0.4) for _ in range(300)]
    mean, low, high = crossed_bootstrap([row])
    assert (mean, low, high) == pytest.approx(mean_interval(row), abs=0.01)
    # Equal seeds tell nothing new; seeds that differ widen the interval, which then holds each of their means.
    same = crossed_bootstrap([row] * 3)
    assert same[2] - same[1] == pytest.approx(high - low, abs=0.015)
    other = [[min(1.0, x + shift) for x in row] for shift in (0.0, 0.2, 0.4)]
    wide = crossed_bootstrap(other)
    assert wide[2] - wide[1] > 1.5 * (high - low)
    assert wide[1] < sum(other[0]) / 300 + 0.05 and wide[2] > sum(other[2]) / 300 - 0.05


def test_the_crossed_bootstrap_leaves_out_what_one_seed_could_not_judge() -> None:
    assert crossed_bootstrap([[1.0, math.nan], [0.0, 1.0]])[0] == 0.5
    with pytest.raises(UsageError, match="one number per problem"):
        crossed_bootstrap([[1.0], [1.0, 0.0]])
    with pytest.raises(UsageError, match="no problem"):
        crossed_bootstrap([[math.nan], [1.0]])
