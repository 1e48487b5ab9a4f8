"""The theory beside its simulation: as a result, and what would be said if they did not agree."""

from __future__ import annotations

import pytest

from toolwright.errors import UsageError
from toolwright.recipes import result_complaints, theory_study
from toolwright.recipes.study_report import report


@pytest.fixture(scope="module")
def content():
    return theory_study.measure(draws=4000)


def test_closed_form_and_simulation_agree_at_every_point(content):
    assert result_complaints(content) == [] and [each["seen"] for each in content["claims"]] == [True, True]
    points = content["tables"]["points"]
    assert len(points) == 100 and all(0 <= p["closed"] <= 1 and p["error"] < 0.01 for p in points)
    assert content["claims"][0]["value"] == max(abs(p["apart"]) for p in points) > 0
    alone = [p for p in points if (p["filter_p"], p["filter_q"]) == (0, 1)]
    assert all(p["closed"] == pytest.approx(p["without_filter"], abs=1e-5) for p in alone)
    harm = [p for p in points if p["filter_q"] == 0.6 and p["filter_p"] == 0.3 and p["n"] > 1]
    assert harm and all(p["closed"] < p["without_filter"] for p in harm)


def test_a_closed_form_that_is_wrong_is_not_seen(monkeypatch):
    monkeypatch.setattr(theory_study, "t1_accuracy", lambda n, *rates, base: base)
    assert [each["seen"] for each in theory_study.measure(draws=2000)["claims"]] == [False, False]


def test_it_has_a_page_with_its_curves_and_few_draws_are_refused(content):
    assert "<svg" in report("theory", content)
    with pytest.raises(UsageError, match="draws = 10"):
        theory_study.measure(draws=10)
