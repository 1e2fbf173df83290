"""What was promised: the waterfall of the budget, and the icon array that explains epsilon."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.plots import empty
from privsynth.report.explain_epsilon import RiskCard
from privsynth.report.format_numbers import share

LEAST_UNUSED = 0.0005  # share below which nothing is left of the budget: it would be written as 0 % (own)
_LEFT, _RIGHT, _FIGURES = 8.0, svg.WIDE - 8.0, 74.0  # pixels: edges of the bars, and room for figures beside them


def waterfall(title: str, parts: Sequence[tuple[str, float]], *, total: str) -> Markup:
    """Return the budget as a fall: the whole at the top, then what each step took from what was left.

    Args:
      parts: name and share of the whole, in the order in which they were spent; they add up to at most 1.
      total: name of the whole, for example "ε = 3, the whole budget".
    """
    if not parts:
        return empty(title)
    if any(not (math.isfinite(part) and part >= 0) for _, part in parts):
        raise ValueError("a waterfall was given a share that is negative or not finite")
    rest = 1 - math.fsum(part for _, part in parts)
    steps = [*parts, *([("not used", rest)] if rest > LEAST_UNUSED else [])]
    body: list[str] = []
    room, y, gone = _RIGHT - _LEFT - _FIGURES, 14.0, 0.0
    for index, (name, part) in enumerate([(total, 1.0), *steps]):
        weight = {"font_weight": "600"} if index == 0 else {}
        lines, count = svg.paragraph(_LEFT, y, name, _RIGHT - _LEFT, font_size=11.5, **weight)
        y += 14 * count - 9
        x, width = _LEFT + room * gone, room * part
        if index > 0 and gone > 0:
            body.append(svg.line(x, y - 14 * count - 10, x, y, stroke=svg.SOFT, stroke_dasharray="2 3"))
        unused = index == len(steps) and rest > LEAST_UNUSED
        tone = {"fill": svg.PAPER, "stroke": svg.INK} if unused else {"fill": svg.INK if index == 0 else svg.BLUE}
        body.append(svg.rect(x, y, max(width, 1.0), 12, **tone))
        body.append(svg.text(_RIGHT, y + 10.5, share(part), text_anchor="end", font_size=11.5, font_weight="600"))
        body.append(lines)
        y += 30
        gone += part if index > 0 else 0.0
    desc = f"{total}; of it " + "; ".join(f"{name}: {share(part)}" for name, part in steps) + "."
    return svg.figure(title, desc, svg.WIDE, y - 10, "".join(body))


def people(title: str, cards: Sequence[RiskCard]) -> Markup:
    """Return 100 icons per card: filled, right without the person's data; hatched, at most right with them."""
    body, desc, step, across = [], [], 11.0, (svg.WIDE - 8) / 3
    for index, card in enumerate(cards[:3]):
        left = across * index + 8
        before = round(card.prior * 100)
        after = min(100, max(before, math.ceil(card.highest * 100 - 1e-7)))
        body.append(svg.text(left, 14, f"without: {before}", font_size=11))
        body.append(svg.text(left, 29, f"with: at most {after}", font_weight="600", font_size=10.5))
        body.extend(_person(left + step * (i % 10), 38 + step * (i // 10), i, before, after) for i in range(100))
        desc.append(f"Right {before} in 100 times without the person's rows, at most {after} in 100 times with them.")
    y = 38 + step * 10 + 18
    for index, name in ((0, "right anyway"), (1, "right because of the data, at most"), (2, "wrong")):
        body.append(_person(8, y - 9, index, 1, 2) + svg.text(26, y, name, font_size=11, fill=svg.SOFT))
        y += 18
    return svg.figure(title, " ".join(desc), svg.WIDE, y - 8, "".join(body))


def _person(x: float, y: float, index: int, before: int, after: int) -> str:
    if index < before:
        return svg.rect(x, y, 9, 9, fill=svg.INK)
    if index < after:
        hatch = svg.hatch(x, y, 9, 9, gap=4, stroke=svg.RUST, stroke_width=1.2)
        return svg.rect(x, y, 9, 9, fill=svg.SAND, stroke=svg.RUST) + hatch
    return svg.rect(x, y, 9, 9, fill=svg.PAPER, stroke=svg.LINE)
