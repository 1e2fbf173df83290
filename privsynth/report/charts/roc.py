"""The ROC chart with the bound that epsilon allows, and the icon array that explains epsilon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.axis import Axis
from privsynth.report.explain_epsilon import RiskCard, percent

Points = tuple[Sequence[float], Sequence[float]]
LOWEST = 1e-3  # left end of the logarithmic axes: the lowest false-positive rate that the audit tests
NOTE = "A curve is an estimate without its interval; at few false alarms it rests on single people."
_SHAPES = ("dot", "square", "diamond", "cross", "tick")
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4")
TONES = (svg.BLUE, svg.RUST, svg.INK, "#5b3f8c", "#3d6b35")


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
    """Return two panels: the whole ROC, and its low end on logarithmic axes, which matters for privacy.

    Args:
      curves: at most five are drawn, those with the largest areas, so that the strongest attack is among them; the
        picture says how many are not. Each has a dash and a marker of its own.
      bound: the largest rates that the promised (epsilon, delta) allows; drawn as a grey edge.
    """
    drawn = sorted(curves, key=lambda curve: -curve.area)[: len(_SHAPES)]
    if not drawn:
        return svg.figure(title, "No attack gave a curve.", svg.WIDE, 44, svg.text(12, 26, "No attack gave a curve."))
    left, right = _Panel(50, 270, False), _Panel(390, 270, True)
    body = [left.frame("all false alarm rates"), right.frame("few false alarms (log scale)")]
    for panel in (left, right):
        if bound is not None:
            points = panel.points(*bound)
            if points:
                body.append(svg.path(points, stroke=svg.SOFT, stroke_width=5, opacity=0.35))
        body.append(panel.chance())
        for index, curve in enumerate(drawn):
            body.append(_draw(panel, curve, index))
    body.append(_roc_legend(drawn, bound is not None))
    rows = -(-(len(drawn) + 1 + (bound is not None)) // 2)
    notes = [NOTE] + ([_left_out(len(drawn), len(curves))] if len(curves) > len(drawn) else [])
    for line, note in enumerate(notes):
        body.append(svg.text(50, 340 + 20 * rows + 16 * line, note, font_size=11, fill=svg.SOFT))
    height = 336 + 20 * rows + 16 * len(notes)
    return svg.figure(title, _roc_words(drawn, bound, len(curves)), svg.WIDE, height, "".join(body))


def _log_rate(rate: float) -> float:
    return math.log10(max(rate, LOWEST))


@dataclass(frozen=True)
class _Panel:
    x: float
    size: float
    log: bool
    y: float = 26

    @property
    def marks(self) -> list[float]:
        return [10.0**-e for e in (3, 2, 1, 0)] if self.log else [0, 0.25, 0.5, 0.75, 1]

    def place(self, fpr: float, tpr: float) -> tuple[float, float]:
        size, measure = self.size - 20, _log_rate if self.log else float
        level = Axis(self.marks, self.x, self.x + size, measure)
        upright = Axis(self.marks, self.y + size, self.y, measure)
        return level(fpr), upright(tpr)

    def points(self, fpr: Sequence[float], tpr: Sequence[float]) -> list[tuple[float, float]]:
        pairs = zip(fpr, tpr, strict=True)
        return [self.place(f, t) for f, t in pairs if not self.log or (f >= LOWEST and t >= LOWEST)]

    def frame(self, name: str) -> str:
        size = self.size - 20
        parts = [svg.text(self.x, 14, name, font_weight="600")]
        for mark in self.marks:
            x, y = self.place(mark, mark)
            shown = percent(mark) if self.log else f"{mark:g}"
            parts.append(svg.line(x, self.y, x, self.y + size, stroke=svg.LINE))
            parts.append(svg.line(self.x, y, self.x + size, y, stroke=svg.LINE))
            parts.append(svg.text(x, self.y + size + 16, shown, text_anchor="middle", font_size=10.5, fill=svg.SOFT))
            parts.append(svg.text(self.x - 6, y + 3.5, shown, text_anchor="end", font_size=10.5, fill=svg.SOFT))
        parts.append(
            svg.text(self.x + size / 2, self.y + size + 34, "false positive rate", text_anchor="middle", font_size=11)
        )
        return "".join(parts)

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


def _roc_legend(curves: Sequence[Curve], bound: bool) -> str:
    entries = []
    for index, curve in enumerate(curves):
        stroke = svg.line(0, 0, 28, 0, stroke=TONES[index], stroke_width=2, stroke_dasharray=DASHES[index])
        entries.append((stroke + mark(index, 14, 0), curve.name))
    entries.append((svg.line(0, 0, 28, 0, stroke=svg.SOFT, stroke_dasharray="1 4", stroke_width=1.5), "chance"))
    if bound:
        entries.append(
            (svg.line(0, 0, 28, 0, stroke=svg.SOFT, stroke_width=5, opacity=0.35), "the most that (ε, δ) allows")
        )
    parts = []
    for index, (sign, name) in enumerate(entries):
        x, y = (50, 390)[index % 2], 328 + 20 * (index // 2)
        parts.append(f'<g transform="translate({x} {y})">{sign}</g>' + svg.label(x + 36, y + 4, name, 250))
    return "".join(parts)


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


def people(title: str, cards: Sequence[RiskCard]) -> Markup:
    """Return 100 icons per card: filled, right without the person's data; hatched, at most right with them."""
    body, desc, step, across = [], [], 15.0, svg.WIDE / 3
    for index, card in enumerate(cards[:3]):
        left = across * index + 24
        before = round(card.prior * 100)
        after = min(100, max(before, math.ceil(card.highest * 100 - 1e-7)))
        body.append(svg.text(left, 16, f"{before} in 100 without", font_weight="600"))
        body.append(svg.text(left, 32, f"at most {after} in 100 with", fill=svg.SOFT))
        body.extend(_person(left + step * (i % 10), 44 + step * (i // 10), i, before, after) for i in range(100))
        desc.append(f"Right {before} in 100 times without the person's rows, at most {after} in 100 times with them.")
    y = 44 + step * 10 + 16
    for x, index, name in ((24, 0, "right anyway"), (150, 1, "right because of the data, at most"), (400, 2, "wrong")):
        body.append(_person(x, y - 10, index, 1, 2) + svg.text(x + 20, y, name, font_size=11, fill=svg.SOFT))
    return svg.figure(title, " ".join(desc), svg.WIDE, y + 12, "".join(body))


def _person(x: float, y: float, index: int, before: int, after: int) -> str:
    if index < before:
        return svg.rect(x, y, 12, 12, fill=svg.INK)
    if index < after:
        return svg.rect(x, y, 12, 12, fill="#f7d9c4", stroke=svg.RUST) + svg.hatch(
            x, y, 12, 12, gap=4, stroke=svg.RUST, stroke_width=1.2
        )
    return svg.rect(x, y, 12, 12, fill="#fff", stroke=svg.LINE)
