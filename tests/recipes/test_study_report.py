"""The studies' pages: they stand alone, show what was found, and take text as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from toolwright.recipes import Measured, claim, result
from toolwright.recipes._study_page import Chart, Line, Point, study_page
from toolwright.recipes.study_report import STUDIES, report

CONTENT = result(
    "toolwright reproduce arithmetic",
    seconds=60,
    models={"pico": {"parameters": 1000, "digest": "d"}},
    tables={
        "accuracy": [
            {"way": way, "operands": k, "equations": 10, "accuracy": value, "low": value - 0.1, "high": value, "undecided": None}
            for way, value in (("text", 0.6), ("program", 1.0))
            for k in (3, 4)
        ]
    },
    claims=[
        claim("a", "worse <b>with</b> more", "source", Measured(0.6, 0.5, 0.7), Measured(0.9), seen=False),
        claim("b", "flat", "source", Measured(1.0), seen=True),
        claim("c", "not here", "source", Measured(), seen=None),
    ],
)


def test_a_page_stands_alone_and_shows_claims_pictures_and_tables():
    page = report("arithmetic", CONTENT)
    assert not re.search(r"(?:src|href)=|@import|<script", page)
    assert "worse &lt;b&gt;with&lt;/b&gt; more" in page and "<b>with</b>" not in page
    assert '<td class="no">no</td>' in page and '<td class="yes">yes</td>' in page and "not testable" in page
    assert "0.6 (0.5 to 0.7)" in page and "<td>program</td>" in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)
    assert page.count("<circle") == 4 and page.count("<polyline") == 2 and "text, 3: 60.0 % (50.0 to 60.0)" in page


@pytest.mark.parametrize("scale", ["log", "linear", "names"])
def test_points_stand_inside_the_frame_and_higher_values_higher_up(scale):
    xs = ["none", "gold"] if scale == "names" else [1, 64]
    chart = Chart("t", "x", [Line("a", [Point(xs[0], 0.2, 0.1, 0.3), Point(xs[1], 0.9)]), Line("b", [Point(xs[0], 0.25)])], scale=scale, chance=0.5)
    page = study_page("t", "l", CONTENT, [chart])
    found = [tuple(map(float, pair)) for pair in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', page)]
    assert len(found) == 3 and all(0 < x < 640 and 0 < y < 340 for x, y in found)
    assert found[0][1] > found[1][1] and found[0][0] < found[1][0]
    assert found[2][1] < found[0][1]


def test_a_chart_without_a_point_is_left_out():
    assert "<figure" not in study_page("t", "l", CONTENT, [Chart("empty", "x", [Line("a", [])], scale="log")])


def test_every_study_has_a_page():
    assert set(STUDIES) == {"t1", "arithmetic", "knowledge", "memory", "adaptive", "theory"}
