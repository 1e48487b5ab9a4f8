"""Floor 5: one sampling run, then every strategy and every n from the same pool, with intervals, costs and the filters' report cards."""

from __future__ import annotations

from toolwright.evaluation._evaluate import evaluate
from toolwright.evaluation._pools import evaluate_pool
from toolwright.evaluation._progress import Progress, estimate_s
from toolwright.evaluation._report import Difference, FilterCard, Report, Row
from toolwright.evaluation._statistics import mean_interval, paired_bootstrap, pass_at_n, wilson

__all__ = [
    "Difference",
    "FilterCard",
    "Progress",
    "Report",
    "Row",
    "estimate_s",
    "evaluate",
    "evaluate_pool",
    "mean_interval",
    "paired_bootstrap",
    "pass_at_n",
    "wilson",
]
