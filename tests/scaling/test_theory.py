"""The closed forms against the paper's formula, against simulation, and at their limits."""

from __future__ import annotations

import itertools

import pytest

from toolwright.errors import UsageError
from toolwright.scaling import (
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

REWARD = Rates(0.6, 0.78)
NO_FILTER = Rates(0.0, 1.0)


@pytest.mark.parametrize(("p", "four", "many"), [(0.6, 0.650, 0.661), (0.8, 0.757, 0.796), (0.95, 0.852, 0.940)])
def test_the_figures_that_were_worked_out_by_hand(p: float, four: float, many: float) -> None:
    assert best_of_n_accuracy(4, Rates(p, 0.78)) == pytest.approx(four, abs=0.0006)
    assert best_of_n_accuracy(64, Rates(p, 0.78)) == pytest.approx(many, abs=0.0006)


@pytest.mark.parametrize(("n", "p", "q"), list(itertools.product([1, 2, 5, 64], [0.5, 0.8, 1.0], [0.5, 0.7, 1.0])))
def test_it_is_the_papers_formula_at_one_half(n: int, p: float, q: float) -> None:
    a = ((1 - q + p) / 2) ** n
    rejected = a * (1 - q) / (1 - q + p) if 1 - q + p else 0.0
    accepted = (1 - a) * q / (q + 1 - p) if q + 1 - p else 0.0
    assert best_of_n_accuracy(n, Rates(p, q)) == pytest.approx(accepted + rejected)


def test_more_rejection_is_better_from_two_samples_on_and_one_sample_knows_nothing() -> None:
    values = [best_of_n_accuracy(8, Rates(p, 0.78)) for p in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert all(a < b for a, b in itertools.pairwise(values))
    assert best_of_n_accuracy(1, Rates(0.9, 0.9), base=0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("n", [1, 2, 8, 32])
@pytest.mark.parametrize(
    ("filter_", "reward", "base"), [(Rates(0.5, 0.9), REWARD, 0.5), (Rates(0.9, 0.6), Rates(0.9, 0.5), 0.1), (Rates(0.2, 1.0), REWARD, 0.7)]
)
@pytest.mark.parametrize("drop_filter", [True, False])
def test_the_closed_form_is_within_monte_carlo_error(n: int, filter_: Rates, reward: Rates, base: float, drop_filter: bool) -> None:
    exact = t1_accuracy(n, filter_, reward, base=base, drop_filter=drop_filter)
    share, error = simulated_accuracy(n, t1_tiers(filter_, reward, drop_filter=drop_filter), base=base, draws=40_000, seed=n)
    # 24 comparisons: four standard errors keep a false alarm below one in six hundred for fixed seeds that were not chosen.
    assert abs(share - exact) < 4 * error
    assert error < 0.003


def test_a_filter_with_false_negatives_can_do_harm_and_the_limit_says_when() -> None:
    blunt = Rates(0.3, 0.6)  # keeps 60 % of right and 70 % of wrong ones
    assert t1_accuracy(8, blunt, REWARD) < t1_accuracy(8, NO_FILTER, REWARD)
    assert limit_accuracy(blunt, REWARD) < limit_accuracy(NO_FILTER, REWARD)
    useful = Rates(0.53, 0.957)  # the paper's ToolV: 53 % of false positives for 4.3 % of true ones
    assert t1_accuracy(64, useful, REWARD) > t1_accuracy(64, NO_FILTER, REWARD)
    assert t1_accuracy(100_000, useful, REWARD) == pytest.approx(limit_accuracy(useful, REWARD))
    assert limit_accuracy(Rates(0.4, 0.6), REWARD) == pytest.approx(limit_accuracy(NO_FILTER, REWARD))


def test_no_filter_is_plain_best_of_n() -> None:
    for n in (1, 3, 17):
        assert t1_accuracy(n, NO_FILTER, REWARD, base=0.3) == pytest.approx(best_of_n_accuracy(n, REWARD, base=0.3))


def test_dropping_the_filter_when_all_are_refuted_is_never_worse_where_the_filter_knows_enough() -> None:
    # With a weak filter before a strong reward model the order itself is wrong: kept but disliked stands above refuted but liked.
    for n, p, q in itertools.product([1, 2, 4, 64], [0.6, 0.95], [0.75, 0.9]):
        assert t1_accuracy(n, Rates(p, q), REWARD) >= t1_accuracy(n, Rates(p, q), REWARD, drop_filter=False) - 1e-12


def test_the_break_even_point_is_where_it_breaks_even() -> None:
    q = break_even_q(16, 0.5, REWARD)
    assert q is not None
    without = t1_accuracy(16, NO_FILTER, REWARD)
    assert t1_accuracy(16, Rates(0.5, q), REWARD) == pytest.approx(without, abs=1e-9)
    assert t1_accuracy(16, Rates(0.5, q - 0.05), REWARD) < without < t1_accuracy(16, Rates(0.5, q + 0.05), REWARD)


def test_the_figure_has_a_row_for_each_filter_and_n() -> None:
    rows = theory_curves([1, 4], filters=[Rates(0.5, 0.9)])
    assert [(r["n"], r["p"]) for r in rows] == [(1, 0.0), (4, 0.0), (1, 0.5), (4, 0.5)]
    assert rows[3]["accuracy"] == pytest.approx(t1_accuracy(4, Rates(0.5, 0.9), Rates(0.82, 0.78)))


def test_impossible_figures_are_refused() -> None:
    for wrong in (lambda: Rates(1.2, 0.5), lambda: best_of_n_accuracy(0, REWARD), lambda: best_of_n_accuracy(2, REWARD, base=2)):
        with pytest.raises(UsageError):
            wrong()
    with pytest.raises(UsageError, match="hold all"):
        tiered_accuracy(2, [Tier(0.5, 0.5)])
