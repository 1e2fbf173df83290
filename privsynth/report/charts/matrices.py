"""Matrices: two tiles of counts of pairs on one scale, real beside synthetic, and distances of all pairs of columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.plots import empty
from privsynth.report.charts.text_width import text_width, words, wrapped
from privsynth.report.format_numbers import number, share

WORST = 20  # columns of a matrix: what fits a page (own)
RATIOS = (1.1, 1.5, 2.0, 3.0, 5.0)  # of a distance to what fresh real rows show: where a darker tone begins (own)
_NAMES = 118.0  # pixels: room for names at the left
_SMALL = 10.0  # font size of the names of a tile


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two tables of shares, of the same rows and columns.

    Attributes:
      title: of the pair.
      rows, columns: labels.
      real, synthetic: for each row a share for each column.
      meaning: what a figure is, for example "% of all rows".
      real_name: what the first tile shows.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    real: Sequence[Sequence[float]]
    synthetic: Sequence[Sequence[float]]
    meaning: str = "% of all rows"
    real_name: str = "real"

    def __post_init__(self) -> None:
        for grid in (self.real, self.synthetic):
            if len(grid) != len(self.rows) or any(len(row) != len(self.columns) for row in grid):
                raise ValueError(f"the figures of {self.title} do not fit its labels")
            if any(not math.isfinite(x) for row in grid for x in row):
                raise ValueError("a chart was given a share that is not finite")


def tiles(pair: Pair) -> Markup:
    """Return two pictures on one scale, to stand beside each other where there is room; darker is more.

    Tones go with the square root of a share: beside one that holds half of the rows others would all be pale.
    """
    if not pair.rows or not pair.columns:
        return empty(pair.title)
    top = max(max(x for row in grid for x in row) for grid in (pair.real, pair.synthetic))
    both = ((pair.real_name, pair.real), ("synthetic", pair.synthetic))
    drawn = Markup().join(_tile(pair, name, grid, max(top, 1e-9)) for name, grid in both)
    return Markup('<div class="tiles">') + drawn + Markup("</div>")


def _tile(pair: Pair, name: str, grid: Sequence[Sequence[float]], top: float) -> Markup:
    longest = max(text_width(svg.clean(row), _SMALL) for row in pair.rows)
    left = min(longest, _NAMES) + 14
    width = min((svg.WIDE - left - 6) / len(pair.columns), 64.0)
    heads, deep = _heads(pair.columns, left, width)
    meaning, lines = svg.paragraph(8, 30, pair.meaning, svg.WIDE - 16, font_size=10.5, fill=svg.SOFT)
    body = [svg.text(8, 14, name, font_weight="600"), meaning]
    y = 28 + 12.6 * lines + deep
    body += [f'<g transform="translate(0 {svg.coordinate(y - 5)})">{head}</g>' for head in heads]
    for label, row in zip(pair.rows, grid, strict=True):
        lines = len(wrapped(svg.clean(label), _NAMES, _SMALL))
        height = max(24.0, 12.0 * lines + 4)
        first = y + height / 2 + 3.5 - 6 * (lines - 1)
        body.append(svg.paragraph(8, first, label, _NAMES, font_size=_SMALL)[0])
        body += [_cell(left + width * j, y, (width, height), part, top) for j, part in enumerate(row)]
        y += height
    return svg.figure(f"{pair.title}, {name}", _words(pair, grid), svg.WIDE, y + 6, "".join(body))


def _heads(names: Sequence[str], left: float, width: float) -> tuple[list[str], float]:
    """Return the names above columns, whole, and how high they stand: level where they fit, else upright."""
    level = [wrapped(svg.clean(name), width - 3, _SMALL) for name in names]
    whole = all(" ".join(lines) == " ".join(svg.clean(name).split()) for lines, name in zip(level, names, strict=True))
    if whole and all(len(lines) <= 3 and text_width(max(lines, key=len), _SMALL) <= width - 3 for lines in level):
        deep, heads = 12.0 * max(map(len, level)), []
        for j, lines in enumerate(level):
            x, y = left + width * (j + 0.5), -12.0 * (len(lines) - 1)
            heads.append(svg.paragraph(x, y, names[j], width - 3, text_anchor="middle", font_size=_SMALL)[0])
        return heads, deep
    lines_at_most = max(1, int((width - 2) // 12))
    room = max(60.0, *(text_width(word, _SMALL) for name in names for word in words(svg.clean(name))))
    room = min(room, 160.0)  # a word longer than that is broken
    while any(len(wrapped(svg.clean(name), room, _SMALL)) > lines_at_most for name in names):
        room += 12
    deep, heads = 0.0, []
    for j, name in enumerate(names):
        lines = wrapped(svg.clean(name), room, _SMALL)
        deep = max(deep, *(text_width(line, _SMALL) for line in lines))
        x = left + width * (j + 0.5) + 3.5 - 6 * (len(lines) - 1)
        text = svg.paragraph(0, 0, name, room, font_size=_SMALL)[0]
        heads.append(f'<g transform="translate({svg.coordinate(x)} 0) rotate(-90)">{text}</g>')
    return heads, deep + 4


def _cell(x: float, y: float, size: tuple[float, float], part: float, top: float) -> str:
    width, height = size
    shade = min(len(svg.SHADES) - 1, round(math.sqrt(max(part, 0.0) / top) * (len(svg.SHADES) - 1)))
    box = svg.rect(x, y, width, height, fill=svg.SHADES[shade], stroke=svg.PAPER, stroke_width=1)
    figure = f"{part * 100:.0f}" if width < 30 or part >= 0.0995 else f"{part * 100:.1f}"
    if part < 0.0005 or figure in ("0", "0.0", "-0"):
        return box
    tone = svg.PAPER if shade >= 4 else svg.INK
    return box + svg.text(x + width / 2, y + height / 2 + 3.5, figure, text_anchor="middle", fill=tone, font_size=10)


def _words(pair: Pair, grid: Sequence[Sequence[float]]) -> str:
    found = sorted(
        ((part, row, column) for row, parts in zip(pair.rows, grid, strict=True)
         for column, part in zip(pair.columns, parts, strict=True)),
        key=lambda each: -each[0],
    )  # fmt: skip
    return (
        "Largest: " + "; ".join(f"{row} and {column}: {share(max(part, 0))}" for part, row, column in found[:6]) + "."
    )


def heatmap(title: str, values: Sequence[tuple[str, str, float]], *, better: str = "lower") -> Markup:
    """Return a matrix of column pairs; darker is worse, and each square shows its figure where there is room.

    Args:
      values: (column, column, figure), each pair once.
      better: "lower" or "higher". Over 20 columns, those of the worst pairs are shown and the picture says so.
    """
    figures = [value for _, _, value in values]
    if any(not math.isfinite(value) for value in figures):
        raise ValueError("a chart was given a number that is not finite")
    low, high = min(figures, default=0.0), max(figures, default=0.0)

    def shade(value: float) -> int:
        part = 0.0 if high == low else (value - low) / (high - low)
        return round((1 - part if better == "higher" and high > low else part) * (len(svg.SHADES) - 1))

    note = f"Darker is worse ({'lower' if better == 'higher' else 'higher'} figures)."
    return _triangle(title, values, shade, note, worst_first=better != "higher")


def ratios(title: str, values: Sequence[tuple[str, str, float]], beside: str) -> Markup:
    """Return a matrix of how many times further each pair lies from the real rows than fresh real rows do.

    Args:
      values: (column, column, ratio), each pair once; 1 is as good as can be.
      beside: what the distance is divided by, in words.
    """
    if any(not (math.isfinite(value) and value >= 0) for _, _, value in values):
        raise ValueError("a chart was given a ratio that is negative or not finite")

    def shade(value: float) -> int:
        return sum(value >= limit for limit in RATIOS) + (value >= RATIOS[0])

    steps = [f"below {RATIOS[0]:g}", *(f"{limit:g}" for limit in RATIOS)]
    note = f"How many times the distance of {beside}: 1 is as near as fresh real rows."
    legend = [(0 if i == 0 else i + 1, step) for i, step in enumerate(steps)]
    return _triangle(title, values, shade, note, legend=legend)


def _triangle(
    title: str,
    values: Sequence[tuple[str, str, float]],
    shade: Callable[[float], int],
    note: str,
    *,
    worst_first: bool = True,
    legend: Sequence[tuple[int, str]] = (),
) -> Markup:
    """Return the lower half of a matrix; columns bear the numbers of the rows, so that every name is whole."""
    if not values:
        return empty(title)
    ranked = sorted(values, key=lambda item: item[2], reverse=worst_first)
    names, total = _columns_of(values, ranked), len({name for a, b, _ in values for name in (a, b)})
    if len(names) < total:
        note = f"{len(names)} of {total} columns: those of the worst pairs. {note}"
    lines, count = svg.paragraph(8, 14, note, svg.WIDE - 16, font_size=11, fill=svg.SOFT)
    body: list[str] = [lines]
    y = 14.0 * count + 8
    if legend:
        body.append(_key(legend, y))
        y += 34
    left = min(max(text_width(f"{len(names)} {svg.clean(name)}", 11) for name in names), _NAMES) + 14
    size = min(34.0, (svg.WIDE - left - 6) / max(len(names) - 1, 1))
    for j in range(len(names) - 1):
        x = left + size * (j + 0.5)
        body.append(svg.text(x, y + 10, str(j + 1), text_anchor="middle", font_size=9 if size > 14 else 8))
    y += 16
    cells = {frozenset((a, b)): value for a, b, value in values}
    for i, name in enumerate(names):
        label = f"{i + 1} {name}"
        lines_of = len(wrapped(svg.clean(label), _NAMES, 11))
        height = max(min(size, 26.0), 13.0 * lines_of + 2)
        body.append(svg.paragraph(8, y + height / 2 + 4 - 6.6 * (lines_of - 1), label, _NAMES, font_size=11)[0])
        for j, column in enumerate(names[:i]):
            value = cells.get(frozenset((name, column)))
            if value is not None:
                body.append(_square(left + j * size, y, (size, height), value, shade(value), f"{name} × {column}"))
        y += height
    desc = "Worst pairs: " + "; ".join(f"{a} × {b}: {number(v)}" for a, b, v in ranked[:5]) + "."
    return svg.figure(title, f"{note} {desc}", svg.WIDE, y + 6, "".join(body))


def _key(legend: Sequence[tuple[int, str]], y: float) -> str:
    width, parts = (svg.WIDE - 16) / len(legend), []
    for i, (tone, name) in enumerate(legend):
        x = 8 + width * i
        parts.append(svg.rect(x, y, width - 2, 10, fill=svg.SHADES[tone]))
        parts.append(svg.text(x, y + 22, name if i == 0 else f"{name} ×", font_size=10, fill=svg.SOFT))
    return "".join(parts)


def _square(x: float, y: float, size: tuple[float, float], value: float, shade: int, name: str) -> str:
    box = svg.rect(x, y, *size, fill=svg.SHADES[shade], stroke=svg.PAPER, stroke_width=1)
    figure = f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}".removeprefix("0")
    shown = ""
    if text_width(figure, 9) <= size[0] - 2:
        tone = svg.PAPER if shade >= 4 else svg.INK
        shown = svg.text(
            x + size[0] / 2, y + size[1] / 2 + 3, figure.replace("-", "−"), text_anchor="middle", fill=tone, font_size=9
        )
    return f"<g><title>{svg.escape(name)}: {number(value)}</title>{box}{shown}</g>"


def _columns_of(values: Sequence[tuple[str, str, float]], ranked: Sequence[tuple[str, str, float]]) -> list[str]:
    ordered = list(dict.fromkeys(name for one, two, _ in values for name in (one, two)))
    if len(ordered) <= WORST:
        return ordered
    kept: set[str] = set()
    for one, two, _ in ranked:
        if len(kept | {one, two}) <= WORST:
            kept |= {one, two}
    return [name for name in ordered if name in kept]
