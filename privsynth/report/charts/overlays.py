"""Real and synthetic rows of one column on one scale: bars for categories, steps for numbers and dates.

The real shares are exact for the officer. In a public report they are a paid release, drawn with the band of its noise,
or they are missing and the synthetic rows stand alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.text_width import text_width
from privsynth.report.format_numbers import share

MOST_BARS = 8  # categories of a picture; the rest is drawn as one (own)
BAND = 1.96  # standard deviations of noise on either side: 95 % of normal noise
OTHERS = "all others"
_LEFT, _RIGHT = 8.0, svg.WIDE - 8.0  # pixels: edges of the plot
_FIGURES = 66.0  # pixels: room for the figures at the right
_THICK = 10.0  # pixels: of a bar
_TOP, _HEIGHT = 50.0, 112.0  # pixels: of the plot of steps


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """What a picture of one column shows.

    Attributes:
      title: name of the column.
      labels: of the categories; or of the edges of the bins, one more than there are shares.
      edges: of the bins, rising, in any unit; None for categories.
      synthetic, real: shares of the rows, in the order of the labels; real is None where nothing may be told. Noisy
        shares may be below zero.
      sd: standard deviation of the noise in each real share; None where there is no noise.
      note: what else is to be said, such as missing cells.
    """

    title: str
    labels: Sequence[str]
    synthetic: Sequence[float]
    real: Sequence[float] | None = None
    sd: Sequence[float] | None = None
    edges: Sequence[float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        count = len(self.labels) - (self.edges is not None)
        if self.edges is not None and (
            len(self.edges) != len(self.labels) or any(b <= a for a, b in pairwise(self.edges))
        ):
            raise ValueError(f"the edges of {self.title} do not rise, or are not as many as their labels")
        for part in (self.synthetic, self.real, self.sd):
            if part is not None and len(part) != count:
                raise ValueError(f"{len(part)} shares do not fit {count} labels or bins of {self.title}")
            if part is not None and any(not math.isfinite(x) for x in part):
                raise ValueError(f"a share of {self.title} is not finite")
        if any(x < 0 for x in (*self.synthetic, *(self.sd or ()))):
            raise ValueError(f"a share or a standard deviation of {self.title} is negative")

    @property
    def distance(self) -> float:
        """Half of the summed differences between real and synthetic shares; 0 without real ones."""
        if self.real is None:
            return 0.0
        return 0.5 * math.fsum(abs(a - b) for a, b in zip(self.real, self.synthetic, strict=True))


def overlay(data: Overlay) -> Markup:
    """Return bars for categories, the worst first, and steps for bins of a scale."""
    if not data.synthetic or not max(*data.synthetic, *(data.real or ()), 0.0) > 0:
        note = svg.text(_LEFT, 26, "There are no rows to show.", fill=svg.SOFT)
        return svg.figure(data.title, "There are no rows to show.", svg.WIDE, 44, note)
    return _bars(data) if data.edges is None else _steps(data)


def _bars(data: Overlay) -> Markup:
    rows = _folded(data)
    named = [row.highest for row in rows if row.label != OTHERS]
    # Beside the sum of hundreds of categories the named ones would all be slivers: that has figures alone.
    top = max(max(named or [row.highest for row in rows]), 1e-9)
    body, y = [_legend(data)], 40.0
    room = _RIGHT - _LEFT - _FIGURES
    for row in rows:
        lines, count = svg.paragraph(_LEFT, y, row.label, _RIGHT - _LEFT, font_size=11.5)
        body.append(lines)
        y += 14 * count - 8
        drawn = row.highest <= top * 1.0001
        if row.real is not None:
            width = room * min(max(row.real, 0.0) / top, 1.0)
            if drawn:
                body.append(svg.rect(_LEFT, y, width, _THICK - 2, fill=svg.PAPER, stroke=svg.INK, stroke_width=1.2))
            if drawn and row.sd is not None:
                ends = [_LEFT + room * min(max(row.real + side * BAND * row.sd, 0.0) / top, 1.0) for side in (-1, 1)]
                body.append(_whisker(ends[0], ends[1], y + _THICK / 2 - 1))
            body.append(_figure(y + _THICK - 2, row.real, svg.INK))
            y += _THICK + 1
        if drawn:
            body.append(svg.rect(_LEFT, y, room * row.synthetic / top, _THICK - 2, fill=svg.BLUE))
        body.append(_figure(y + _THICK - 2, row.synthetic, svg.BLUE))
        y += _THICK + 18
    y -= 8
    if data.note:
        lines, count = svg.paragraph(_LEFT, y, data.note, _RIGHT - _LEFT, font_size=11, fill=svg.SOFT)
        body.append(lines)
        y += 14 * count
    told = [f"{r.label}: {_told(r.real, r.synthetic)}" for r in rows]
    return svg.figure(data.title, f"{'; '.join(told)}. {data.note}".strip(), svg.WIDE, y, "".join(body))


@dataclass(frozen=True)
class _Bar:
    label: str
    synthetic: float
    real: float | None
    sd: float | None

    @property
    def gap(self) -> float:
        return self.synthetic if self.real is None else abs(self.real - self.synthetic)

    @property
    def highest(self) -> float:
        real = 0.0 if self.real is None else self.real + BAND * (self.sd or 0.0)
        return max(self.synthetic, real)


def _folded(data: Overlay) -> list[_Bar]:
    """Return the categories, the worst first, and all that are beyond `MOST_BARS` as one."""
    real: Sequence[float | None] = data.real if data.real is not None else [None] * len(data.labels)
    sd: Sequence[float | None] = data.sd if data.sd is not None else [None] * len(data.labels)
    rows = [_Bar(*each) for each in zip(data.labels, data.synthetic, real, sd, strict=True)]
    last = [row for row in rows if row.label == OTHERS]
    rows = sorted((row for row in rows if row.label != OTHERS), key=lambda row: (-row.gap, row.label))
    if len(rows) + len(last) > MOST_BARS:
        last += rows[MOST_BARS - 1 :]
        rows = rows[: MOST_BARS - 1]
    return [*rows, _together(last)] if last else rows


def _together(rows: Sequence[_Bar]) -> _Bar:
    """Return several categories as one; independent noises add up in their squares."""
    known = [row.real for row in rows if row.real is not None]
    noise = [row.sd**2 for row in rows if row.sd is not None]
    return _Bar(
        OTHERS,
        math.fsum(row.synthetic for row in rows),
        math.fsum(known) if known else None,
        math.sqrt(math.fsum(noise)) if noise else None,
    )


def _figure(y: float, value: float, tone: str) -> str:
    return svg.text(_RIGHT, y, share(max(value, 0.0)), text_anchor="end", font_size=11, fill=tone)


def _whisker(start: float, end: float, y: float) -> str:
    caps = "".join(svg.line(x, y - 4, x, y + 4, stroke=svg.RUST, stroke_width=1.5) for x in (start, end))
    return svg.line(start, y, end, y, stroke=svg.RUST, stroke_width=2) + caps


def _legend(data: Overlay) -> str:
    """Return what the tones mean; without real shares there is one alone."""
    own = svg.rect(_LEFT, 8, 14, 10, fill=svg.BLUE) + svg.text(_LEFT + 20, 17, "synthetic", font_size=11, fill=svg.SOFT)
    if data.real is None:
        return own
    parts, x = [], _LEFT
    parts.append(svg.rect(x, 8, 14, 10, fill=svg.PAPER, stroke=svg.INK, stroke_width=1.2))
    parts.append(svg.text(x + 20, 17, "real" if data.sd is None else "real, noisy", font_size=11, fill=svg.SOFT))
    x += 56 if data.sd is None else 98
    parts.append(f'<g transform="translate({svg.coordinate(x)} 0)">{own}</g>')
    if data.sd is not None:
        x += 98
        parts.append(
            svg.rect(x, 8, 14, 10, fill=svg.SAND, stroke=svg.RUST, stroke_width=0.8)
            if data.edges is not None
            else _whisker(x, x + 14, 13)
        )
        parts.append(svg.text(x + 20, 17, "95 % of the noise", font_size=11, fill=svg.SOFT))
    return "".join(parts)


def _steps(data: Overlay) -> Markup:
    assert data.edges is not None
    edges = data.edges
    widths = [b - a for a, b in pairwise(edges)]
    real = data.real or ()
    highest = [part / width for shares in (data.synthetic, real) for part, width in zip(shares, widths, strict=False)]
    top, scale, bottom = max(*highest, 0.0), (_RIGHT - _LEFT) / (edges[-1] - edges[0]), _TOP + _HEIGHT

    def across(edge: float) -> float:
        return _LEFT + (edge - edges[0]) * scale

    def upright(part: float, width: float) -> float:
        return bottom - _HEIGHT * min(max(part / width / top, 0.0), 1.25)

    body = [_legend(data)]
    body.append(svg.path(_outline(data.synthetic, edges, across, upright), fill=svg.SHADES[2], stroke=svg.BLUE))
    if data.real is not None:
        if data.sd is not None:
            for i, (part, sd, width) in enumerate(zip(data.real, data.sd, widths, strict=True)):
                high, low = upright(part + BAND * sd, width), upright(part - BAND * sd, width)
                body.append(svg.rect(across(edges[i]), high, width * scale, low - high, fill=svg.SAND, opacity=0.75))
        outline = _outline(data.real, edges, across, upright)
        body.append(svg.path(outline, stroke=svg.INK, stroke_width=1.8, stroke_dasharray="5 2"))
    body.append(svg.line(_LEFT, bottom, _RIGHT, bottom, stroke=svg.SOFT))
    body += _edge_texts(data.labels, [across(edge) for edge in edges], bottom + 15)
    y = bottom + 34.0
    lines, count = svg.paragraph(_LEFT, y, data.note, _RIGHT - _LEFT, font_size=11, fill=svg.SOFT)
    height = y + 14 * (count - 1) + 8 if data.note else bottom + 24
    pairs = list(pairwise(data.labels))
    real_parts: Sequence[float | None] = data.real if data.real is not None else [None] * len(pairs)
    shown = zip(pairs, real_parts, data.synthetic, strict=True)
    told = [f"{a} to {b}: {_told(one, other)}" for (a, b), one, other in shown]
    return svg.figure(
        data.title,
        f"{'; '.join(told)}. {data.note}".strip(),
        svg.WIDE,
        height,
        "".join(body) + (lines if data.note else ""),
    )


def _outline(
    shares: Sequence[float],
    edges: Sequence[float],
    across: Callable[[float], float],
    upright: Callable[[float, float], float],
) -> list[tuple[float, float]]:
    """Return the corners of steps, from the ground to the ground."""
    bottom = _TOP + _HEIGHT
    points = [(across(edges[0]), bottom)]
    for part, (start, end) in zip(shares, pairwise(edges), strict=True):
        y = upright(part, end - start)
        points += [(across(start), y), (across(end), y)]
    return [*points, (across(edges[-1]), bottom)]


def _edge_texts(labels: Sequence[str], places: Sequence[float], y: float) -> list[str]:
    """Return the labels of the first and the last edge, and of those between that have room."""
    shown: list[tuple[float, float, str]] = []
    order = [0, len(labels) - 1, *_middles(0, len(labels) - 1)]
    for at in order:
        middle, half = svg.inside(places[at], labels[at], 11), text_width(labels[at], 11) / 2 + 5
        if all(abs(middle - other) >= half + wide for other, wide, _ in shown):
            shown.append(
                (middle, half, svg.text(middle, y, labels[at], text_anchor="middle", font_size=11, fill=svg.SOFT))
            )
    return [text for _, _, text in sorted(shown)]


def _middles(low: int, high: int) -> list[int]:
    """Return the places between two others: the middle, then those of the halves, to quarters."""
    middle = (low + high) // 2
    quarters = [(low + middle) // 2, (middle + high) // 2]
    return [at for at in dict.fromkeys([middle, *quarters]) if low < at < high]


def _told(real: float | None, synthetic: float) -> str:
    return share(synthetic) if real is None else f"real {share(max(real, 0.0))}, synthetic {share(synthetic)}"
