"""A report as one HTML page: tables, curves with bands, report cards. It needs no script, no font and no network; all text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from toolwright.evaluation._charts import COLOURS, Line, line_chart, reliability_chart, short
from toolwright.evaluation._report import FilterCard, Report, Row, ScoreCard, percent

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d6dbe1;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa4ae;--line:#3a424b;--paper:#14181c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}
p.soft,caption,figcaption{color:var(--soft);font-size:.87rem}caption{text-align:left;padding-bottom:.3rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6rem 0}
th,td{padding:.18rem .7rem .18rem 0;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{flex:1 1 26rem;max-width:31rem;margin:.3rem 0}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--ink)}
.grid{stroke:var(--line);stroke-width:.7}.axis{stroke:var(--soft)}.diagonal{stroke:var(--soft);stroke-dasharray:3 3}
.key{display:inline-block;width:1.1rem;height:.25rem;margin:0 .35rem .2rem 1rem;vertical-align:middle}
""".strip()
_AXES = (
    ("samples", "samples per problem"),
    ("tokens", "tokens per problem, read and written"),
    ("flops", "FLOPs per problem"),
    ("seconds", "seconds per problem"),
)


def page(reports: Sequence[Report]) -> str:
    """The reports as one page."""
    title = ", ".join(report.task for report in reports)
    body = "".join(_report(report) for report in reports)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _report(report: Report) -> str:
    facts = [f"{report.problems} problems", f"{report.samples} samples each", f"seed {report.run_seed}"]
    facts += [f"{short(report.parameters)} parameters"] if report.parameters else []
    facts += [f"{name} {value}" for name, value in (("task", report.task_digest), ("set-up", report.setup)) if value]
    if report.faults or report.undecided_grades:
        facts.append(f"left out: {report.faults} samples that ended in a fault, {report.undecided_grades} whose grade is undecided")
    parts = [f'<h1>{escape(report.task)}</h1><p class="soft">{escape(report.model)} · {escape(" · ".join(facts))}</p>']
    parts += [_curves(report), _rows(report), _differences(report)]
    parts += [_filter(card) for card in report.filters]
    parts.append(_scores(report.scores))
    return "".join(parts)


def _curves(report: Report) -> str:
    names = list(dict.fromkeys(row.strategy for row in (*report.results, *report.baselines, *report.oracle)))
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    charts = []
    for axis, label in _AXES:
        lines = [_line(report, name, axis, colours[name]) for name in names]
        charts.append(line_chart([line for line in lines if line.points], label))
    figures = "".join(f"<figure>{chart}</figure>" for chart in charts if chart)
    key = "".join(f'<span class="key" style="background:{colour}"></span>{escape(name)}' for name, colour in colours.items())
    told = "Bands: 95 % bootstrap over problems. pass@n is a perfect choice among n samples."
    if report.parameters:
        told += " FLOPs: 2 × parameters × tokens; seconds are summed over samples, as if drawn one after the other."
    return f'<h2>Accuracy against what it costs</h2><p>{key}</p><div class="charts">{figures}</div><p class="soft">{escape(told)}</p>'


def _line(report: Report, name: str, axis: str, colour: str) -> Line:
    rows = sorted((row for row in (*report.results, *report.baselines, *report.oracle) if row.strategy == name), key=lambda row: row.n)
    kept = [(x, row) for row in rows if row.accuracy is not None and (x := _cost(row, axis)) is not None and x > 0]
    points = [(x, row.accuracy or 0.0) for x, row in kept]
    band = [(row.low if row.band_low is None else row.band_low, row.high if row.band_high is None else row.band_high) for _, row in kept]
    return Line(name, colour, points, band if len(points) > 1 else (), dashed=name == "pass@n")


def _cost(row: Row, axis: str) -> float | None:
    if axis == "samples":
        return float(row.n)
    if axis == "flops":
        return row.flops
    return row.cost["prompt_tokens"] + row.cost["model_tokens"] if axis == "tokens" else row.cost["wall_s"]


def _rows(report: Report) -> str:
    head = ("strategy", "n", "% right", "95 % interval", "95 % band", "to oracle", "tokens", "FLOPs", "tool calls", "seconds", "fallback %")
    lines = [
        (
            row.strategy,
            row.n,
            percent(row.accuracy),
            f"{percent(row.low)} – {percent(row.high)}",
            f"{percent(row.band_low)} – {percent(row.band_high)}",
            "–" if row.gap is None else f"{100 * row.gap:+.1f}",
            f"{row.cost['prompt_tokens'] + row.cost['model_tokens']:.0f}",
            "–" if row.flops is None else short(row.flops),
            f"{row.cost['tool_calls']:.1f}",
            f"{row.cost['wall_s']:.2f}",
            percent(row.fallbacks),
        )
        for row in (*report.results, *report.baselines, *report.oracle)
    ]
    return "<h2>All figures</h2>" + _table(
        "Per problem; the interval is Wilson's over problems, the band a bootstrap of their means over subsets.", head, lines
    )


def _differences(report: Report) -> str:
    if not report.differences:
        return ""
    most = max(max(d.a_n, d.b_n) for d in report.differences)
    lines = [
        (f"{d.a} ({d.a_n}) − {d.b} ({d.b_n})", f"{100 * d.difference:+.1f}", f"{100 * d.low:+.1f} to {100 * d.high:+.1f}", d.problems)
        for d in report.differences
        if max(d.a_n, d.b_n) == most
    ]
    return "<h2>Paired differences</h2>" + _table(
        f"Points, at n = {most}; paired bootstrap over problems, 95 %.", ("", "points", "interval", "problems"), lines
    )


def _filter(card: FilterCard) -> str:
    kinds = ("passed", "undecided", "refuted")
    lines = [(kind, getattr(card, f"{kind}_right"), getattr(card, f"{kind}_wrong")) for kind in kinds]
    matrix = _table("Samples by what the filter said and what they were.", ("", "right", "wrong"), lines)
    told = [
        f"Refutes {percent(card.caught)} % of wrong and {percent(card.false_refutation)} % of right samples.",
        f"Of what it refutes, {percent(card.precision)} % is wrong; of what it keeps, {percent(card.kept_precision)} % is right.",
        f"It could not decide {percent(card.abstained)} %, and ran out of time on {percent(card.timed_out_share)} %.",
        f"All right samples were refuted in {card.problems_lost} of {card.problems_with_right} problems that had one;",
        f"the only right one in {card.only_right_lost} of {card.problems_with_one_right}.",
    ]
    return f"<h2>Filter: {escape(card.verifier)}</h2>{matrix}<p>{escape(' '.join(told))}</p>"


def _scores(cards: Sequence[ScoreCard]) -> str:
    if not cards:
        return ""
    head = (
        "score",
        "AUC",
        "AUC within a problem",
        "calibration error",
        "precision at 0.5",
        "recall at 0.5",
        "with the filters: precision",
        "recall",
        "undecided",
    )
    lines = [
        (
            card.score,
            _three(card.auc),
            _three(card.auc_within),
            _three(card.ece),
            percent(card.precision),
            percent(card.recall),
            percent(card.filtered_precision),
            percent(card.filtered_recall),
            card.undecided,
        )
        for card in cards
    ]
    charts = "".join(f"<figure>{reliability_chart(card.bins, card.score)}<figcaption>{escape(card.score)}</figcaption></figure>" for card in cards if card.bins)
    return "<h2>Scores</h2>" + _table("Against the gold answers, over samples.", head, lines) + f'<h3>Reliability</h3><div class="charts">{charts}</div>'


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(caption: str, head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><caption>{escape(caption)}</caption><tr>{top}</tr>{body}</table></div>'
