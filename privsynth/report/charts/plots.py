"""Charts of figures with their intervals, as dots or bars, one below the other.

Each chart has a title and a description, differs in shape and pattern as well as in colour, has no id, no script and no
style attribute, and is the same text for the same numbers. NaN and infinity are refused. The template adds the table of
the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.axis import Axis
from privsynth.report.format_numbers import number

WORST = 20  # rows of a chart: what fits a page (own)
_LEFT, _RIGHT = 12.0, svg.WIDE - 12.0  # pixels: ends of the axis
_VALUES = 84.0  # pixels: room for the figures at the right, beside the names


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of an interval or bar chart; None where there is no figure."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None

    def numbers(self) -> list[float]:
        """Return the figures that are not None."""
        return [x for x in (self.value, self.low, self.high, self.baseline) if x is not None]


def empty(title: str) -> Markup:
    """Return a picture that says there is nothing to show."""
    body = svg.text(12, 26, "Nothing was measured for this chart.", fill=svg.SOFT)
    return svg.figure(title, "Nothing was measured for this chart.", svg.WIDE, 44, body)


def worst_rows(rows: Sequence[Row], better: str, limit: int = WORST) -> list[Row]:
    """Return at most `limit` rows, the worst first; rows without a figure come before all others."""

    def badness(row: Row) -> float:
        if row.value is None:
            return math.inf
        if better == "higher":
            return -row.value
        if better == "target" and row.baseline is not None:
            return abs(row.value - row.baseline)
        return row.value

    return sorted(rows, key=lambda row: (-badness(row), row.label))[:limit] if len(rows) > limit else list(rows)


def forest(
    title: str,
    rows: Sequence[Row],
    *,
    better: str = "none",
    baseline_label: str = "",
    bars: bool = False,
    low: float | None = None,
    high: float | None = None,
) -> Markup:
    """Return a horizontal interval chart: a dot with its interval, a hollow diamond for the baseline.

    Args:
      rows: in the order to show; over 20, the worst 20 are shown and the picture says so.
      better: "lower", "higher", "target" or "none"; defines which are the worst.
      bars: draw a bar from zero to each value, for counts and shares of groups.
      low, high: figures that the axis must include.
    """
    if not rows:
        return empty(title)
    shown = worst_rows(rows, better)
    figures = [x for row in shown for x in row.numbers()] + [x for x in (low, high) if x is not None]
    if any(not math.isfinite(x) for x in figures):
        raise ValueError("a chart was given a number that is not finite")
    axis = _axis(figures, from_zero=bars)
    legend, top = _legend(shown, baseline_label, bars)
    if len(shown) < len(rows):
        legend += svg.text(8, top + 8, f"The worst {len(shown)} of {len(rows)}; all are in the table.", fill=svg.SOFT)
        top += 20
    y, drawn = top, []
    for row in shown:
        part, y = _forest_row(row, y, axis, bars)
        drawn.append(part)
    rules = axis.rules_down(svg.tick_texts(axis.marks), (top, y), stroke_width=1)
    return svg.figure(
        title, _describe(shown, len(rows), baseline_label), svg.WIDE, y + 24, "".join([legend, *rules, *drawn])
    )


def group_bars(title: str, rows: Sequence[Row], *, better: str = "target", baseline_label: str = "real rows") -> Markup:
    """Return bars with intervals for groups of people, each with its baseline."""
    return forest(title, rows, better=better, baseline_label=baseline_label, bars=True)


def _axis(figures: Sequence[float], *, from_zero: bool) -> Axis:
    """Return a horizontal axis for all figures, including zero if it is near."""
    if not figures:
        return Axis([0.0, 0.5, 1.0], _LEFT, _RIGHT)
    low, high = min(figures), max(figures)
    if low > 0 and (from_zero or low < 0.4 * high):
        low = 0.0
    if from_zero and high < 0:
        high = 0.0
    return Axis(svg.ticks(low, high), _LEFT, _RIGHT)


def _legend(rows: Sequence[Row], baseline_label: str, bars: bool) -> tuple[str, float]:
    """Return what the signs mean, and where it ends."""
    x, y = 8.0, 12.0
    first = svg.rect(x, y - 5, 14, 10, fill=svg.SHADES[3]) if bars else svg.marker("dot", x + 6, y)
    parts = [first, svg.text(x + 20, y + 4, "measured, with its interval", font_size=11, fill=svg.SOFT)]
    y += 18
    if any(row.baseline is not None for row in rows):
        name = f"for comparison: {baseline_label}" if baseline_label else "for comparison"
        lines, count = svg.paragraph(x + 20, y + 4, name, svg.WIDE - x - 28, font_size=11, fill=svg.SOFT)
        parts += [svg.marker("diamond", x + 6, y), lines]
        y += 13.2 * count + 5
    return "".join(parts), y


def _forest_row(row: Row, y: float, axis: Axis, bars: bool) -> tuple[str, float]:
    """Return a row, its name above its track, and where it ends."""
    name, count = svg.paragraph(8, y + 13, row.label, svg.WIDE - 16 - _VALUES)
    parts, y = [name], y + 14.4 * count + 10
    if row.value is None:
        parts.append(svg.text(axis.start, y + 4, "insufficient evidence", fill=svg.SOFT, font_style="italic"))
        return "".join(parts), y + 12
    x = axis(row.value)
    if bars:
        zero = axis(0.0) if axis.marks[0] <= 0 <= axis.marks[-1] else axis.start
        parts.append(svg.rect(min(zero, x), y - 5, abs(x - zero), 10, fill=svg.SHADES[3]))
    start, end = axis(_or(row.low, row.value)), axis(_or(row.high, row.value))
    if end > start:
        whisker = svg.line(start, y, end, y, stroke=svg.BLUE, stroke_width=2.5)
        caps = "".join(svg.line(at, y - 4, at, y + 4, stroke=svg.BLUE, stroke_width=1.5) for at in (start, end))
        parts.append(whisker + caps)
    if row.baseline is not None:
        parts.append(svg.marker("diamond", axis(row.baseline), y, 5.5))
    parts.append(svg.marker("dot", x, y, 4.5))
    figure = number(row.value)
    parts.append(svg.text(svg.WIDE - 8, y - 14.4 * count + 3, figure, text_anchor="end", font_weight="600"))
    return "".join(parts), y + 12


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _describe(rows: Sequence[Row], total: int, baseline_label: str) -> str:
    lead = f"The worst {len(rows)} of {total} figures. " if len(rows) < total else ""
    parts = []
    for row in rows[:8]:
        if row.value is None:
            parts.append(f"{row.label}: insufficient evidence")
            continue
        ends = "" if row.low is None or row.high is None else f", {number(row.low)} to {number(row.high)}"
        base = "" if row.baseline is None else f"; {baseline_label or 'for comparison'} {number(row.baseline)}"
        parts.append(f"{row.label}: {number(row.value)}{ends}{base}")
    rest = f"; and {len(rows) - 8} more" if len(rows) > 8 else ""
    return f"{lead}{'. '.join(parts)}{rest}. All figures are in the table beside the chart."
