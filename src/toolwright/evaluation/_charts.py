"""Charts as plain SVG: lines with bands, and a reliability diagram. No dependency; all text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from toolwright.evaluation._report import Bin

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a3d9a", "#8c564b", "#17becf", "#7f7f7f", "#b2df8a", "#e31a1c")
"""Told apart with every kind of colour vision for the first seven (Okabe and Ito)."""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 300, 46, 12, 28, 42


@dataclass(frozen=True, slots=True)
class Line:
    """One strategy's points."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    """(x above 0, y in [0, 1]), by x."""
    band: Sequence[tuple[float, float]] = ()
    """(low, high) of each point."""
    dashed: bool = False


def line_chart(lines: Sequence[Line], label: str) -> str:
    """Accuracy in per cent against a quantity on a logarithmic axis."""
    xs = [x for line in lines for x, _ in line.points if x > 0]
    if not xs:
        return ""
    ys = [y for line in lines for pair in (*((y, y) for _, y in line.points), *line.band) for y in pair]
    low, high = math.log10(min(xs)), math.log10(max(xs))
    bottom, top = max(0.0, math.floor(min(ys) * 20 - 0.5) / 20), min(1.0, math.ceil(max(ys) * 20 + 0.5) / 20)
    frame = _Frame(low - 0.03, max(high, low + 0.1) + 0.03, bottom, max(top, bottom + 0.05))
    parts = [*frame.grid(label), *(frame.band(line) for line in lines if line.band), *(frame.line(line) for line in lines)]
    return _svg(parts, f"Accuracy against {label}")


def reliability_chart(bins: Sequence[Bin], name: str) -> str:
    """The share that is right against the score, with the diagonal of a calibrated score; the area of a point tells how many samples it stands for."""
    frame = _Frame(0.0, 1.0, 0.0, 1.0)
    most = max((b.samples for b in bins), default=1)
    parts = frame.grid("score", linear=True)
    parts.append(f'<line x1="{frame.x(0)}" y1="{frame.y(0)}" x2="{frame.x(1)}" y2="{frame.y(1)}" class="diagonal"/>')
    for each in bins:
        radius = 2 + 9 * math.sqrt(each.samples / most)
        tip = f"score {each.score:.2f}: {100 * each.right:.1f} % right of {each.samples}"
        place = f'cx="{frame.x(each.score)}" cy="{frame.y(each.right)}" r="{radius:.1f}"'
        parts.append(f'<circle {place} fill="{COLOURS[0]}" fill-opacity="0.7"><title>{escape(tip)}</title></circle>')
    return _svg(parts, f"Reliability of {name}")


def short(value: float) -> str:
    """A number of any size in a few characters."""
    for size, mark in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{mark}"
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return round(_LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    def grid(self, label: str, *, linear: bool = False) -> list[str]:
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (self.y_high - self.y_low) / s <= 8)
        parts = []
        for k in range(math.ceil(self.y_low / step - 1e-9), math.floor(self.y_high / step + 1e-9) + 1):
            place = self.y(k * step)
            parts.append(f'<line x1="{_LEFT}" y1="{place}" x2="{_WIDTH - _RIGHT}" y2="{place}" class="grid"/>')
            parts.append(f'<text x="{_LEFT - 5}" y="{place + 4}" text-anchor="end">{100 * k * step:.0f}</text>')
        ticks = [(v, f"{v:.1f}") for v in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)] if linear else self._log_ticks()
        for value, text in ticks:
            place = self.x(value)
            parts.append(f'<line x1="{place}" y1="{_HEIGHT - _BOTTOM}" x2="{place}" y2="{_HEIGHT - _BOTTOM + 4}" class="axis"/>')
            parts.append(f'<text x="{place}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>')
        parts.append(f'<line x1="{_LEFT}" y1="{_HEIGHT - _BOTTOM}" x2="{_WIDTH - _RIGHT}" y2="{_HEIGHT - _BOTTOM}" class="axis"/>')
        parts.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>')
        return [*parts, f'<text x="4" y="{_TOP - 15}">% right</text>']

    def _log_ticks(self) -> list[tuple[float, str]]:
        for factors in ((1, 2, 5), (1, 3), (1,)):
            ticks = [math.log10(f) + e for e in range(math.floor(self.x_low) - 1, math.ceil(self.x_high) + 1) for f in factors]
            inside = [(t, short(10**t)) for t in ticks if self.x_low <= t <= self.x_high]
            if len(inside) <= 8:
                break
        return inside or [(t, short(10**t)) for t in (self.x_low + 0.03, self.x_high - 0.03)]

    def band(self, line: Line) -> str:
        upper = [(self.x(math.log10(x)), self.y(high)) for (x, _), (_, high) in zip(line.points, line.band, strict=True) if x > 0]
        lower = [(self.x(math.log10(x)), self.y(low)) for (x, _), (low, _) in zip(line.points, line.band, strict=True) if x > 0]
        corners = " ".join(f"{x},{y}" for x, y in (*upper, *reversed(lower)))
        return f'<polygon points="{corners}" fill="{line.colour}" fill-opacity="0.12"/>'

    def line(self, line: Line) -> str:
        points = [(self.x(math.log10(x)), self.y(y), x, y) for x, y in line.points if x > 0]
        path = " ".join(f"{x},{y}" for x, y, *_ in points)
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        marks = "".join(
            f'<circle cx="{x}" cy="{y}" r="3" fill="{line.colour}"><title>{escape(line.name)}: {100 * value:.1f} % at {short(at)}</title></circle>'
            for x, y, at, value in points
        )
        return f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.8"{dash}/>{marks}'


def _svg(parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
