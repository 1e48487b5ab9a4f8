"""A study's result as one HTML page that needs nothing else: its claims, its pictures as SVG, its tables. For results of every study, measured in full or not.

Pictures are described as `Chart`s by who knows the tables (`study_report`); this draws them. All text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a3d9a", "#8c564b")
"""Told apart with every kind of colour vision for the first six (Okabe and Ito)."""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 340, 52, 16, 16, 46
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--faint:#667;--rule:#d8dbe0;--good:#1a7f37;--bad:#b42318}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#14171b;--faint:#9aa2ad;--rule:#343a42;--good:#57ab5a;--bad:#f47067}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid var(--rule)}
p.lead,figcaption,.origin{color:var(--faint)}figure{margin:1rem 0;display:inline-block;vertical-align:top;width:min(100%,640px)}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--ink)}svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--faint)}
table{border-collapse:collapse;font-size:13px;margin:.6rem 0;display:block;overflow-x:auto}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--rule);text-align:left;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.claim{white-space:normal;min-width:24rem}.yes{color:var(--good);font-weight:600}.no{color:var(--bad);font-weight:600}
.key{font-size:13px}.key span{display:inline-block;margin-right:1.1rem}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:50%;margin-right:.35rem}
code{font-size:13px;overflow-wrap:anywhere}
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One value, with its interval where it has one."""

    x: float | str
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture: lines over numbers, or dots over names."""

    title: str
    x_label: str
    lines: Sequence[Line]
    about: str = ""
    scale: Literal["log", "linear", "names"] = "linear"
    chance: float | None = None
    """Where a dashed line is drawn."""


def study_page(title: str, lead: str, content: Mapping[str, Any], charts: Sequence[Chart]) -> str:
    """The whole page."""
    claims = "".join(_claim_row(each) for each in content["claims"])
    head = '<tr><th>seen</th><th>claim</th><th class="n">found</th><th class="n">against</th></tr>'
    parts = [f"<h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p>", f"<h2>What was claimed</h2><table>{head}{claims}</table>"]
    drawn = [figure for chart in charts if (figure := _figure(chart))]
    parts += ["<h2>Pictures</h2>", *drawn] if drawn else []
    parts += [_section(name, rows) for name, rows in content["tables"].items() if _is_table(rows)]
    models = ", ".join(f"{name} ({facts['parameters']:,} parameters)" if facts["parameters"] else name for name, facts in content["models"].items())
    where = f"commit {escape(str(content['commit']))} · {escape(content['machine'])} · {content['seconds'] / 60:.1f} min"
    told = f"<code>{escape(content['command'])}</code><br>{where}"
    parts.append(f"<p class='origin'>{told}<br>{escape(models)}</p>")
    top = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f"{top}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"


def _claim_row(each: Mapping[str, Any]) -> str:
    kind, told = {True: ("yes", "yes"), False: ("no", "no"), None: ("", "not testable")}[each["seen"]]
    found, against = _measured(each["value"], each["low"], each["high"]), _measured(each["against"], each["against_low"], each["against_high"])
    return f'<tr><td class="{kind}">{told}</td><td class="claim">{escape(each["text"])}</td><td class="n">{found}</td><td class="n">{against}</td></tr>'


def _measured(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return _shown(value) + ("" if low is None or high is None else f" ({_shown(low)} to {_shown(high)})")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _is_table(rows: Any) -> bool:
    return isinstance(rows, list) and bool(rows) and all(isinstance(row, Mapping) for row in rows)


def _section(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], Mapping)))
    numeric = {key: any(_is_number(row.get(key)) for row in rows) for key in columns}
    head = "".join(f"<th{_right(numeric[key])}>{escape(key.replace('_', ' '))}</th>" for key in columns)
    body = "".join("<tr>" + "".join(f"<td{_right(numeric[key])}>{_cell(row.get(key))}</td>" for key in columns) + "</tr>" for row in rows)
    return f"<h2>{escape(name.replace('_', ' ').capitalize())}</h2><table><tr>{head}</tr>{body}</table>"


def _right(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if _is_number(value):
        return f"{value:,}" if isinstance(value, int) else _shown(value)
    return escape({True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(chart: Chart) -> str:
    lines = [Line(line.name, [p for p in line.points if chart.scale != "log" or (isinstance(p.x, int | float) and p.x > 0)]) for line in chart.lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    frame = _Frame.of(chart, lines)
    parts = frame.axes(chart)
    shown = len(lines)
    for number, line in enumerate(lines):
        parts += frame.line(line, COLOURS[number % len(COLOURS)], chart.scale, shift=(number - (shown - 1) / 2) * 7 if chart.scale == "names" else 0.0)
    keys = "".join(f'<span><i style="background:{COLOURS[n % len(COLOURS)]}"></i>{escape(line.name)}</span>' for n, line in enumerate(lines))
    about = f" {escape(chart.about)}" if chart.about else ""
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(chart.title)}">{"".join(parts)}</svg>'
    return f'<figure>{svg}<div class="key">{keys}</div><figcaption><b>{escape(chart.title)}.</b>{about}</figcaption></figure>'


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values stand in a picture."""

    names: tuple[str, ...]
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @classmethod
    def of(cls, chart: Chart, lines: Sequence[Line]) -> _Frame:
        """The frame that holds every point."""
        names = tuple(dict.fromkeys(str(p.x) for line in lines for p in line.points)) if chart.scale == "names" else ()
        xs = [float(names.index(str(p.x))) if names else _place(p.x, chart.scale) for line in lines for p in line.points]
        ys = [y for line in lines for p in line.points for y in (p.y, p.low, p.high) if y is not None] + ([chart.chance] if chart.chance is not None else [])
        pad = 0.5 if names else max(0.02, 0.04 * (max(xs) - min(xs)))
        low, high = math.floor(min(ys) * 20 - 0.2) / 20, math.ceil(max(ys) * 20 + 0.2) / 20
        return cls(names, min(xs) - pad, max(xs) + pad, max(low, 0.0) if min(ys) >= 0 else low, min(high, 1.0) if max(ys) <= 1 else high)

    def x(self, value: float) -> float:
        """Across the page."""
        return round(_LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Down the page."""
        return round(_HEIGHT - _BOTTOM - (value - self.y_low) / max(1e-9, self.y_high - self.y_low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    def axes(self, chart: Chart) -> list[str]:
        """Grid, ticks and labels."""
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (self.y_high - self.y_low) / s <= 8)
        parts = []
        for k in range(math.ceil(self.y_low / step - 1e-9), math.floor(self.y_high / step + 1e-9) + 1):
            place = self.y(k * step)
            parts.append(f'<line x1="{_LEFT}" y1="{place}" x2="{_WIDTH - _RIGHT}" y2="{place}" class="grid"/>')
            parts.append(f'<text x="{_LEFT - 6}" y="{place + 4}" text-anchor="end">{100 * k * step:.0f}</text>')
        for value, text in self.ticks(chart):
            parts.append(f'<text x="{self.x(value)}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{escape(text)}</text>')
        if chart.chance is not None:
            place = self.y(chart.chance)
            parts.append(f'<line x1="{_LEFT}" y1="{place}" x2="{_WIDTH - _RIGHT}" y2="{place}" class="axis" stroke-dasharray="5 4"/>')
        parts.append(f'<line x1="{_LEFT}" y1="{_HEIGHT - _BOTTOM}" x2="{_WIDTH - _RIGHT}" y2="{_HEIGHT - _BOTTOM}" class="axis"/>')
        parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(chart.x_label)}</text>')
        return [*parts, f'<text x="4" y="{_TOP - 4}">%</text>']

    def ticks(self, chart: Chart) -> list[tuple[float, str]]:
        """What stands under the axis: every name, every x that has a point where they are few, else powers of ten."""
        if self.names:
            return [(float(i), name) for i, name in enumerate(self.names)]
        xs = sorted({float(p.x) for line in chart.lines for p in line.points if not isinstance(p.x, str) and (chart.scale != "log" or p.x > 0)})
        if len(xs) <= 10:
            return [(_place(x, chart.scale), _brief(x)) for x in xs]
        if chart.scale == "linear":
            return [(x, _brief(x)) for x in xs[:: -(-len(xs) // 10)]]
        powers = [k / 2 for k in range(math.ceil(2 * self.x_low), math.floor(2 * self.x_high) + 1)]
        return [(power, _brief(10**power)) for power in powers]

    def line(self, line: Line, colour: str, scale: str, *, shift: float) -> list[str]:
        """The points with their intervals, joined unless they stand over names."""
        places = []
        parts = []
        for p in sorted(line.points, key=lambda p: 0.0 if isinstance(p.x, str) else p.x):
            x = (self.x(float(self.names.index(str(p.x)))) if self.names else self.x(_place(p.x, scale))) + shift
            y = self.y(p.y)
            places.append(f"{x},{y}")
            if p.low is not None and p.high is not None:
                parts.append(f'<line x1="{x}" y1="{self.y(p.low)}" x2="{x}" y2="{self.y(p.high)}" stroke="{colour}" stroke-opacity="0.55" stroke-width="1.5"/>')
            tip = f"{line.name}, {p.x}: {100 * p.y:.1f} %" + ("" if p.low is None or p.high is None else f" ({100 * p.low:.1f} to {100 * p.high:.1f})")
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"><title>{escape(tip)}</title></circle>')
        joined = [] if self.names else [f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8"/>']
        return [*joined, *parts]


def _place(x: float | str, scale: str) -> float:
    value = float(x)
    return math.log10(value) if scale == "log" else value


def _brief(value: float) -> str:
    for size, mark in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2g}{mark}"
    return f"{value:.3g}"
