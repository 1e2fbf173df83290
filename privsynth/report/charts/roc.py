"""The ROC chart with the bound that the guarantee sets to every attack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.axis import Axis
from privsynth.report.explain_epsilon import percent

Points = tuple[Sequence[float], Sequence[float]]
LOWEST = 1e-3  # left end of the logarithmic axes: the lowest false-positive rate that the audit tests
NOTE = "A curve is an estimate without its interval; at few false alarms it rests on single people."
_X, _SIDE = 56.0, 270.0  # pixels: left edge and side of a panel
_SHAPES = ("dot", "square", "diamond", "cross", "tick")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4")
TONES = (svg.BLUE, svg.RUST, svg.INK, svg.VIOLET, svg.GREEN)


@dataclass(frozen=True)
class Curve:
    """One ROC curve: false and true positive rates, both in [0, 1], of the same length, rising."""

    name: str
    fpr: Sequence[float]
    tpr: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.fpr) != len(self.tpr) or len(self.fpr) < 2:
            raise ValueError(f"the curve {self.name} needs two lists of the same length, at least 2")
        if any(not 0 <= x <= 1 for x in (*self.fpr, *self.tpr)):
            raise ValueError(f"the curve {self.name} leaves the range from 0 to 1")

    @property
    def area(self) -> float:
        """Area under the curve, straight between its points."""
        return sum(
            (right - left) * (low + high) / 2
            for left, right, low, high in zip(self.fpr, self.fpr[1:], self.tpr, self.tpr[1:], strict=False)
        )

    def at(self, rate: float) -> float:
        """Return the largest true positive rate at a false positive rate of at most `rate`."""
        return max((t for f, t in zip(self.fpr, self.tpr, strict=True) if f <= rate), default=0.0)


def roc(title: str, curves: Sequence[Curve], *, bound: Points | None = None) -> Markup:
    """Return two panels: the low end on logarithmic axes, which matters for privacy, and the whole ROC.

    Args:
      curves: at most five are drawn, those with the largest areas, so that the strongest attack is among them; the
        picture says how many are not. Each has a dash and a marker of its own.
      bound: the largest rates that the promised (epsilon, delta) allows; what lies above it is shaded.
    """
    drawn = sorted(curves, key=lambda curve: -curve.area)[: len(_SHAPES)]
    if not drawn:
        return svg.figure(title, "No attack gave a curve.", svg.WIDE, 44, svg.text(12, 26, "No attack gave a curve."))
    panels = (_Panel(log=True, y=26), _Panel(log=False, y=26 + _SIDE + 66))
    body = [panels[0].frame("few false alarms (log scales)"), panels[1].frame("all rates of false alarms")]
    for panel in panels:
        if bound is not None:
            body.append(panel.ruled_out(bound))
        body.append(panel.chance())
        body += [_draw(panel, curve, index) for index, curve in enumerate(drawn)]
    legend, y = _roc_legend(drawn, bound is not None, panels[1].y + _SIDE + 56)
    body.append(legend)
    for note in [NOTE] + ([_left_out(len(drawn), len(curves))] if len(curves) > len(drawn) else []):
        lines, count = svg.paragraph(8, y + 4, note, svg.WIDE - 16, font_size=11, fill=svg.SOFT)
        body.append(lines)
        y += 13.2 * count + 4
    return svg.figure(title, _roc_words(drawn, bound, len(curves)), svg.WIDE, y, "".join(body))


def _log_rate(rate: float) -> float:
    return math.log10(max(rate, LOWEST))


@dataclass(frozen=True)
class _Panel:
    log: bool
    y: float

    @property
    def marks(self) -> list[float]:
        return [10.0**-e for e in (3, 2, 1, 0)] if self.log else [0, 0.25, 0.5, 0.75, 1]

    def place(self, fpr: float, tpr: float) -> tuple[float, float]:
        measure = _log_rate if self.log else float
        level = Axis(self.marks, _X, _X + _SIDE, measure)
        upright = Axis(self.marks, self.y + _SIDE, self.y, measure)
        return level(fpr), upright(tpr)

    def points(self, fpr: Sequence[float], tpr: Sequence[float]) -> list[tuple[float, float]]:
        pairs = zip(fpr, tpr, strict=True)
        return [self.place(f, t) for f, t in pairs if not self.log or (f >= LOWEST and t >= LOWEST)]

    def frame(self, name: str) -> str:
        """Return the axes with their names, and the title of the panel."""
        parts = [svg.text(8, self.y - 10, f"hits, {name}", font_weight="600", font_size=11.5)]
        for mark in self.marks:
            x, y = self.place(mark, mark)
            shown = percent(mark) if mark else "0 %"
            parts.append(svg.line(x, self.y, x, self.y + _SIDE, stroke=svg.LINE))
            parts.append(svg.line(_X, y, _X + _SIDE, y, stroke=svg.LINE))
            middle = svg.inside(x, shown, 10.5)
            at: dict[str, float | str] = {"text_anchor": "middle", "font_size": 10.5, "fill": svg.SOFT}
            parts.append(svg.text(middle, self.y + _SIDE + 15, shown, **at))
            parts.append(svg.text(_X - 5, y + 3.5, shown, text_anchor="end", font_size=10.5, fill=svg.SOFT))
        words = "false alarms: people taken for members who are not"
        parts.append(svg.text(svg.WIDE / 2, self.y + _SIDE + 31, words, text_anchor="middle", font_size=11))
        return "".join(parts)

    def ruled_out(self, bound: Points) -> str:
        """Return the edge of what the guarantee allows, and a tone on all that lies above."""
        points = self.points(*bound)
        if len(points) < 2:
            return ""
        low = LOWEST if self.log else 0.0
        corners = [points[0], *points, self.place(1, 1), self.place(low, 1)]
        tone = svg.path([*corners, points[0]], fill=svg.SAND, stroke="none", opacity=0.45)
        return tone + svg.path(points, stroke=svg.RUST, stroke_width=2.5)

    def chance(self) -> str:
        (x1, y1), (x2, y2) = self.place(0, 0), self.place(1, 1)
        return svg.line(x1, y1, x2, y2, stroke=svg.SOFT, stroke_dasharray="1 4", stroke_width=1.5)


def _draw(panel: _Panel, curve: Curve, index: int) -> str:
    points = panel.points(curve.fpr, curve.tpr)
    if len(points) < 2:
        return ""
    body = svg.path(points, stroke=TONES[index], stroke_width=2, stroke_dasharray=DASHES[index])
    marks = sorted({round(len(points) * part / 5) for part in (1, 2, 3, 4)} - {0, len(points)})
    return body + "".join(mark(index, *points[at]) for at in marks)


def mark(index: int, x: float, y: float) -> str:
    """Return the marker of the curve of a number; each has a shape of its own."""
    tone = {"fill": TONES[index]} if _SHAPES[index] in ("dot", "square") else {"stroke": TONES[index]}
    return svg.marker(_SHAPES[index], x, y, 4, **tone)


def _roc_legend(curves: Sequence[Curve], bound: bool, y: float) -> tuple[str, float]:
    """Return the sign and the whole name of each line, and where the list ends."""
    entries = []
    if bound:
        edge = svg.rect(0, -6, 28, 6, fill=svg.SAND) + svg.line(0, 0, 28, 0, stroke=svg.RUST, stroke_width=2.5)
        entries.append((edge, "the most that the guarantee allows; no attack can lie above"))
    for index, curve in enumerate(curves):
        stroke = svg.line(0, 0, 28, 0, stroke=TONES[index], stroke_width=2, stroke_dasharray=DASHES[index])
        entries.append((stroke + mark(index, 14, 0), curve.name))
    chance = svg.line(0, 0, 28, 0, stroke=svg.SOFT, stroke_dasharray="1 4", stroke_width=1.5)
    entries.append((chance, "guesses by chance"))
    parts = []
    for sign, name in entries:
        lines, count = svg.paragraph(44, y + 4, name, svg.WIDE - 52, font_size=11.5)
        parts.append(f'<g transform="translate(8 {svg.coordinate(y)})">{sign}</g>{lines}')
        y += 13.8 * count + 5
    return "".join(parts), y


def _roc_words(curves: Sequence[Curve], bound: Points | None, total: int) -> str:
    limit = None if bound is None else Curve("bound", *bound)
    parts = []
    for rate in (0.001, 0.01, 0.1):
        seen = "; ".join(f"{curve.name} {percent(curve.at(rate))}" for curve in curves)
        allowed = "" if limit is None else f"; the bound allows about {percent(limit.at(rate))}"
        parts.append(f"At a false positive rate of {percent(rate)}, true positives: {seen}{allowed}.")
    return " ".join(parts) + (f" {_left_out(len(curves), total)}" if total > len(curves) else "")


def _left_out(drawn: int, total: int) -> str:
    return f"{drawn} of {total} curves are drawn, those with the largest areas; the others are in the table alone."
