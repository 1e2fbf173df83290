"""Charts as inline SVG: intervals, bars, histograms, matrices.

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
from privsynth.report.format_numbers import number, share

WORST = 20  # rows of a chart, and columns of a matrix: what fits a page (own)
LEFT, RIGHT = 210.0, svg.WIDE - 76.0  # pixels: between the names at the left and the figures at the right
SHADES = ("#f3f7fa", "#d8e6f0", "#b0cce0", "#7facca", "#4b86b0", "#1f5a86", "#123a5a")


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
    top, step = (48 if len(shown) < len(rows) else 30), 26
    height = top + step * len(shown) + 34
    body = [_legend(shown, baseline_label, bars)]
    if len(shown) < len(rows):
        body.append(svg.text(8, 36, f"The worst {len(shown)} of {len(rows)}; all are in the table.", fill=svg.SOFT))
    body += axis.rules_down(svg.tick_texts(axis.marks), (top, top + step * len(shown)), stroke_width=1)
    for index, row in enumerate(shown):
        body.append(_forest_row(row, top + step * index + step / 2, axis, bars))
    return svg.figure(title, _describe(shown, len(rows), baseline_label), svg.WIDE, height, "".join(body))


def group_bars(title: str, rows: Sequence[Row], *, better: str = "target", baseline_label: str = "real rows") -> Markup:
    """Return bars with intervals for groups of people, each with its baseline."""
    return forest(title, rows, better=better, baseline_label=baseline_label, bars=True)


def _axis(figures: Sequence[float], *, from_zero: bool) -> Axis:
    """Return a horizontal axis for all figures, including zero if it is near."""
    if not figures:
        return Axis([0.0, 0.5, 1.0], LEFT, RIGHT)
    low, high = min(figures), max(figures)
    if low > 0 and (from_zero or low < 0.4 * high):
        low = 0.0
    if from_zero and high < 0:
        high = 0.0
    return Axis(svg.ticks(low, high), LEFT, RIGHT)


def _legend(rows: Sequence[Row], baseline_label: str, bars: bool) -> str:
    x, y = LEFT, 12.0
    first = svg.rect(x, y - 5, 14, 10, fill=svg.BLUE) if bars else svg.marker("dot", x + 6, y)
    parts = [first, svg.text(x + 20, y + 4, "measured, with its interval", font_size=11, fill=svg.SOFT)]
    if any(row.baseline is not None for row in rows):
        name = f"for comparison: {baseline_label}" if baseline_label else "for comparison"
        parts.append(svg.marker("diamond", x + 200, y))
        parts.append(svg.label(x + 212, y + 4, name, 230, font_size=11, fill=svg.SOFT))
    return "".join(parts)


def _forest_row(row: Row, y: float, axis: Axis, bars: bool) -> str:
    parts = [svg.label(axis.start - 12, y + 4, row.label, axis.start - 20, text_anchor="end")]
    if row.value is None:
        parts.append(svg.text(axis.start + 8, y + 4, "insufficient evidence", fill=svg.SOFT, font_style="italic"))
        return "".join(parts)
    x = axis(row.value)
    if bars:
        zero = axis(0.0) if axis.marks[0] <= 0 <= axis.marks[-1] else axis.start
        parts.append(svg.rect(min(zero, x), y - 7, abs(x - zero), 14, fill=SHADES[3]))
    start, end = axis(_or(row.low, row.value)), axis(_or(row.high, row.value))
    if end > start:
        whisker = svg.line(start, y, end, y, stroke=svg.BLUE, stroke_width=2.5)
        caps = "".join(svg.line(at, y - 4, at, y + 4, stroke=svg.BLUE, stroke_width=1.5) for at in (start, end))
        parts.append(whisker + caps)
    if row.baseline is not None:
        parts.append(svg.marker("diamond", axis(row.baseline), y, 6))
    parts.append(svg.marker("dot", x, y, 4.5))
    parts.append(svg.text(svg.WIDE - 8, y + 4, number(row.value), text_anchor="end", font_weight="600"))
    return "".join(parts)


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


def histogram(title: str, labels: Sequence[str], counts: Sequence[float], *, ordered: bool = False) -> Markup:
    """Return a small histogram: vertical bars for bins of a scale, horizontal bars for categories.

    Categories keep their order; of more than seven, those after the sixth are drawn as one.
    """
    if len(labels) != len(counts):
        raise ValueError(f"{len(labels)} labels do not fit {len(counts)} counts")
    if any(not (math.isfinite(c) and c >= 0) for c in counts):
        raise ValueError("a histogram was given a count that is negative or not finite")
    total = math.fsum(counts)
    if total == 0:
        body = svg.text(8, 60, "no rows", fill=svg.SOFT)
        return svg.figure(title, "There are no rows to show.", 220, 124, body, small=True)
    shares = [count / total for count in counts]
    parts = [f"{name}: {share(part)}" for name, part in zip(labels, shares, strict=True)]
    desc = "Synthetic rows. " + "; ".join(parts[:12]) + ("; and more" if len(parts) > 12 else "") + "."
    body = _bins(labels, shares) if ordered else _categories(labels, shares)
    return svg.figure(title, desc, 220, 124, body, small=True)


def _bins(labels: Sequence[str], shares: Sequence[float]) -> str:
    width, top = 212 / len(shares), max(shares)
    parts = [svg.line(4, 104, 216, 104, stroke=svg.SOFT)]
    for index, part in enumerate(shares):
        height = 94 * part / top
        gap = min(2.0, width * 0.2)
        parts.append(svg.rect(4 + index * width, 104 - height, width - gap, height, fill=SHADES[4]))
    parts.append(svg.label(4, 118, labels[0], 100, font_size=10.5, fill=svg.SOFT))
    if len(labels) > 1:
        parts.append(svg.label(216, 118, labels[-1], 100, font_size=10.5, fill=svg.SOFT, text_anchor="end"))
    return "".join(parts)


def _categories(labels: Sequence[str], shares: Sequence[float]) -> str:
    pairs = list(zip(labels, shares, strict=True))
    if len(pairs) > 7:
        pairs = [*pairs[:6], ("all others", math.fsum(part for _, part in pairs[6:]))]
    top, step, parts = max(part for _, part in pairs), 124 / max(len(pairs), 4), []
    for index, (name, part) in enumerate(pairs):
        y = step * index + step / 2
        parts.append(svg.label(84, y + 3.5, name, 80, font_size=10.5, text_anchor="end"))
        parts.append(svg.rect(90, y - step * 0.3, 82 * part / top, step * 0.6, fill=SHADES[4]))
        parts.append(svg.text(218, y + 3.5, share(part), font_size=10, fill=svg.SOFT, text_anchor="end"))
    return "".join(parts)


def heatmap(title: str, values: Sequence[tuple[str, str, float]], *, better: str = "lower") -> Markup:
    """Return a matrix of column pairs; darker is worse, and each square shows its figure.

    Args:
      values: (column, column, figure), each pair once.
      better: "lower" or "higher". Over 20 columns, those of the worst pairs are shown and the picture says so.
    """
    if not values:
        return empty(title)
    if any(not math.isfinite(value) for _, _, value in values):
        raise ValueError("a chart was given a number that is not finite")
    names = _heatmap_columns(values, better)
    everyone = {name for one, two, _ in values for name in (one, two)}
    cells = {frozenset((one, two)): value for one, two, value in values if one in names and two in names}
    low, high = min(cells.values()), max(cells.values())
    size, left, top = min(44.0, 410 / len(names)), 140.0, 26.0
    body = [svg.text(8, 14, _heatmap_note(len(names), len(everyone), better), font_size=11, fill=svg.SOFT)]
    for i, row in enumerate(names):
        y = top + i * size
        body.append(svg.label(left - 8, y + size / 2 + 4, row, left - 16, text_anchor="end", font_size=11))
        for j, column in enumerate(names[: i + 1]):
            value = cells.get(frozenset((row, column)))
            if value is not None and i != j:
                body.append(_cell(left + j * size, y, size, value, (low, high), better, f"{row} × {column}"))
        body.append(svg.label(left + i * size + 4, y + size / 2 + 4, row, svg.WIDE - left - i * size - 8, font_size=11))
    worst = sorted(values, key=lambda item: item[2], reverse=better != "higher")[:5]
    desc = "Worst pairs: " + "; ".join(f"{a} × {b}: {number(v)}" for a, b, v in worst) + "."
    return svg.figure(title, desc, svg.WIDE, top + size * len(names) + 8, "".join(body))


def _heatmap_columns(values: Sequence[tuple[str, str, float]], better: str) -> list[str]:
    ordered = list(dict.fromkeys(name for one, two, _ in values for name in (one, two)))
    if len(ordered) <= WORST:
        return ordered
    kept: set[str] = set()
    for one, two, _ in sorted(values, key=lambda item: item[2], reverse=better != "higher"):
        if len(kept | {one, two}) <= WORST:
            kept |= {one, two}
    return [name for name in ordered if name in kept]


def _heatmap_note(shown: int, total: int, better: str) -> str:
    worse = "lower" if better == "higher" else "higher"
    some = f"{shown} of {total} columns: those of the worst pairs. " if shown < total else ""
    return f"{some}Darker is worse ({worse} figures)."


def _cell(x: float, y: float, size: float, value: float, ends: tuple[float, float], better: str, name: str) -> str:
    low, high = ends
    part = 0.0 if high == low else (value - low) / (high - low)
    shade = round((1 - part if better == "higher" and high > low else part) * (len(SHADES) - 1))
    box = svg.rect(x, y, size, size, fill=SHADES[shade], stroke="#fff", stroke_width=1)
    tone = "#fff" if shade >= 4 else svg.INK
    figure = f"{value:.2f}".replace("0.", ".", 1).replace("-", "−") if size < 36 else number(round(value, 3))
    shown = svg.text(
        x + size / 2, y + size / 2 + 3.5, figure, text_anchor="middle", fill=tone, font_size=10 if size >= 30 else 9
    )
    return f"<g><title>{svg.escape(name)}: {number(value)}</title>{box}{shown}</g>"


def budget_bar(title: str, parts: Sequence[tuple[str, float]]) -> Markup:
    """Return a stacked bar of shares of the budget, hatched in turn, with a legend; what is left is shown as unused."""
    if not parts:
        return empty(title)
    if any(not (math.isfinite(part) and part >= 0) for _, part in parts):
        raise ValueError("a budget bar was given a share that is negative or not finite")
    rest = 1 - math.fsum(part for _, part in parts)
    shown = [*parts, *([("not used", rest)] if rest > 0.0005 else [])]
    width, x, body = svg.WIDE - 16.0, 8.0, []
    for index, (name, part) in enumerate(shown):
        last = rest > 0.0005 and index == len(shown) - 1
        body.append(_segment(x, 6, width * part, 30, index, last))
        y = 60 + 20 * index
        body.append(_segment(8, y - 10, 18, 13, index, last))
        body.append(svg.label(34, y, name, 480))
        body.append(svg.text(svg.WIDE - 8, y, share(part), text_anchor="end", font_weight="600"))
        x += width * part
    desc = "; ".join(f"{name}: {share(part)}" for name, part in shown) + "."
    return svg.figure(title, desc, svg.WIDE, 54 + 20 * len(shown), "".join(body))


def _segment(x: float, y: float, width: float, height: float, index: int, unused: bool) -> str:
    fill = "#fff" if unused else (SHADES[5], SHADES[2], SHADES[4], SHADES[1], SHADES[6], SHADES[3])[index % 6]
    box = svg.rect(x, y, width, height, fill=fill, stroke=svg.INK if unused else "#fff", stroke_width=1)
    gap = (0, 6, 0, 10, 4)[index % 5]
    if unused or width < 1 or gap == 0:
        return box
    tone = "#fff" if index % 2 == 0 else svg.INK
    return box + svg.hatch(x, y, width, height, gap=gap, stroke=tone, opacity=0.55)
