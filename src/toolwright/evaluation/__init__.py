"""Floor 5: one sampling run, then every strategy and every n from the same pool, with intervals, costs and the filters' report cards."""

from __future__ import annotations

from toolwright.evaluation._cells import SamplePool
from toolwright.evaluation._evaluate import evaluate
from toolwright.evaluation._html import page as html_page
from toolwright.evaluation._pools import evaluate_pool
from toolwright.evaluation._progress import Progress, estimate_s
from toolwright.evaluation._report import Bin, Difference, FilterCard, Report, Row, ScoreCard
from toolwright.evaluation._statistics import crossed_bootstrap, mean_interval, paired_bootstrap, pass_at_n, wilson
from toolwright.evaluation._thresholds import SETTLED, VERIFIED, Fitted, Setting, fit_adaptive, fit_adaptive_pool, fitted

__all__ = [
    "SETTLED",
    "VERIFIED",
    "Bin",
    "Difference",
    "FilterCard",
    "Fitted",
    "Progress",
    "Report",
    "Row",
    "SamplePool",
    "ScoreCard",
    "Setting",
    "crossed_bootstrap",
    "estimate_s",
    "evaluate",
    "evaluate_pool",
    "fit_adaptive",
    "fit_adaptive_pool",
    "fitted",
    "html_page",
    "mean_interval",
    "paired_bootstrap",
    "pass_at_n",
    "wilson",
]
