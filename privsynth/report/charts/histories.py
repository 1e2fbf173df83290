"""Charts of histories: how many rows there are for each row above, and what follows what; real beside synthetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.plots import SHADES, empty
from privsynth.report.format_numbers import share

MOST_BARS = 16  # pairs of bars that a page has room for; the rest is drawn as one (own)
LEAST = 0.002  # share below which the bars at the end are drawn as one: less than half a pixel (own)
_TOP, _BOTTOM, _LEFT = 50.0, 172.0, 44.0  # pixels: edges of the bars


def paired_bars(title: str, labels: Sequence[str], real: Sequence[float], synthetic: Sequence[float]) -> Markup:
    """Return two bars for each label, the real share beside the synthetic one; the last may stand for all further ones.

    Raises:
      ValueError: a share is negative or not finite, or there is not one for each label.
    """
    _check(labels, real, synthetic)
    if not labels:
        return empty(title)
    names, ours, theirs = list(labels), list(synthetic), list(real)
    tall = [i for i in range(len(names)) if max(ours[i], theirs[i]) >= LEAST]
    last = min(max(tall, default=0) + 1, MOST_BARS - 1)
    if last < len(names) - 1:
        names = [*names[:last], f"{names[last]} or more"]
        ours, theirs = ([*part[:last], math.fsum(part[last:])] for part in (ours, theirs))
    step = (svg.WIDE - _LEFT - 8) / len(names)
    width, top = min(step * 0.38, 24.0), max(*ours, *theirs, 1e-9)
    body = [_heading(title), _legend(), *_scale(top)]
    for index, (name, one, other) in enumerate(zip(names, theirs, ours, strict=True)):
        middle = _LEFT + step * (index + 0.5)
        for x, part, tone in ((middle - width, one, SHADES[2]), (middle, other, SHADES[5])):
            height = (_BOTTOM - _TOP) * part / top
            body.append(svg.rect(x, _BOTTOM - height, width - 1, height, fill=tone))
        body.append(svg.label(middle, _BOTTOM + 16, name, step + 8, text_anchor="middle", font_size=11))
    told = [f"{n}: real {share(a)}, synthetic {share(b)}" for n, a, b in zip(names, theirs, ours, strict=True)]
    desc = "; ".join(told[:8]) + ("; and more" if len(told) > 8 else "") + "."
    return svg.figure(title, desc, svg.WIDE, _BOTTOM + 28, "".join(body))


def _heading(title: str) -> str:
    return svg.label(8, 14, title, svg.WIDE - 16, font_weight="600")


def _legend() -> str:
    x, y = _LEFT, 26.0
    return "".join(
        svg.rect(at, y, 14, 10, fill=tone) + svg.text(at + 20, y + 9, name, font_size=11, fill=svg.SOFT)
        for at, tone, name in ((x, SHADES[2], "real"), (x + 90, SHADES[5], "synthetic"))
    )


def _scale(top: float) -> list[str]:
    """Return the ground line and the share at the top."""
    return [
        svg.line(_LEFT, _BOTTOM, svg.WIDE - 8, _BOTTOM, stroke=svg.SOFT),
        svg.line(_LEFT, _TOP, svg.WIDE - 8, _TOP, stroke=svg.LINE),
        svg.text(_LEFT - 6, _TOP + 4, share(top), text_anchor="end", font_size=10.5, fill=svg.SOFT),
        svg.text(_LEFT - 6, _BOTTOM + 4, "0", text_anchor="end", font_size=10.5, fill=svg.SOFT),
    ]


def two_matrices(
    title: str, labels: Sequence[str], real: Sequence[Sequence[float]], synthetic: Sequence[Sequence[float]]
) -> Markup:
    """Return how often each value is followed by each other one, real at the left and synthetic at the right.

    Args:
      real, synthetic: for each label, the share with which each label follows.
    Raises:
      ValueError: a share is negative or not finite, or a matrix does not fit the labels.
    """
    _check(labels, real, synthetic)
    for row in (*real, *synthetic):
        _check(labels, row)
    if not labels:
        return empty(title)
    left, top, gap = 110.0, 66.0, 24.0
    size = min(44.0, (svg.WIDE - left - gap - 8) / 2 / len(labels))
    side = size * len(labels)
    body = [_heading(title)]
    for name, x, grid in (("real", left, real), ("synthetic", left + side + gap, synthetic)):
        body.append(svg.text(x, 36, f"{name}: how often the column follows the row", font_size=11, fill=svg.SOFT))
        for j, label in enumerate(labels):
            middle = x + size * (j + 0.5)
            body.append(svg.label(middle, top - 8, label, size, text_anchor="middle", font_size=10))
        for i, row in enumerate(grid):
            body += [_cell(x + size * j, top + size * i, size, part) for j, part in enumerate(row)]
    for i, label in enumerate(labels):
        y = top + size * (i + 0.5) + 4
        body.append(svg.label(left - 8, y, label, left - 12, text_anchor="end", font_size=11))
    desc = "Value, and how often it is followed by itself: " + "; ".join(
        f"{label}: real {share(real[i][i])}, synthetic {share(synthetic[i][i])}" for i, label in enumerate(labels)
    )
    return svg.figure(title, f"{desc}.", svg.WIDE, top + side + 8, "".join(body))


def _cell(x: float, y: float, size: float, part: float) -> str:
    shade = min(len(SHADES) - 1, round(part * (len(SHADES) - 1)))
    tone = "#fff" if shade >= 4 else svg.INK
    box = svg.rect(x, y, size, size, fill=SHADES[shade], stroke="#fff", stroke_width=1)
    figure = "1" if part >= 0.995 else f"{part:.2f}".removeprefix("0")
    return box + svg.text(x + size / 2, y + size / 2 + 3.5, figure, text_anchor="middle", fill=tone, font_size=10)


def _check(labels: Sequence[str], *parts: Sequence[float] | Sequence[Sequence[float]]) -> None:
    for part in parts:
        if len(part) != len(labels):
            raise ValueError(f"{len(part)} figures do not fit {len(labels)} labels")
        if any(not isinstance(x, Sequence) and not (math.isfinite(x) and x >= 0) for x in part):
            raise ValueError("a chart was given a share that is negative or not finite")
