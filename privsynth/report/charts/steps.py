"""Line charts over steps: what each generation keeps, one line per regime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.axis import Axis
from privsynth.report.charts.roc import DASHES, TONES, mark
from privsynth.report.format_numbers import number

# Edges of the plot in pixels; left of it stand the names of the marks, below it those of the steps.
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, svg.WIDE - 16.0, 14.0, 210.0
MOST = len(TONES)


@dataclass(frozen=True)
class Line:
    """One line: a name and a figure for each step, None where there is none; `soft` draws it grey, as a baseline."""

    name: str
    values: Sequence[float | None]
    soft: bool = False


def steps(title: str, lines: Sequence[Line], *, across: str, low: float = 0.0) -> Markup:
    """Return lines over steps 0, 1, 2, …, each with its own dash and marker, and a description in words.

    Args:
      lines: at most five are drawn.
      across: what a step is, for example "generation".
      low: figure that the vertical axis must include.
    Raises:
      ValueError: a figure is not finite.
    """
    drawn = [line for line in lines if any(value is not None for value in line.values)][:MOST]
    count = max((len(line.values) for line in drawn), default=0)
    if count < 2:
        return svg.figure(title, "Nothing to draw.", svg.WIDE, 44, svg.text(12, 26, "Nothing was measured."))
    figures = [value for line in drawn for value in line.values if value is not None]
    if any(not math.isfinite(value) for value in figures):
        raise ValueError("a chart was given a number that is not finite")
    level = Axis(range(count), _LEFT, _RIGHT)
    upright = Axis(svg.ticks(min(low, *figures), max(figures)), _BOTTOM, _TOP)
    body = upright.rules_across(svg.tick_texts(upright.marks), (_LEFT, _RIGHT))
    for step in range(count):
        body.append(svg.text(level(step), _BOTTOM + 18, str(step), text_anchor="middle", font_size=11, fill=svg.SOFT))
    body.append(svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, across, text_anchor="middle", font_size=11))
    bottom = _BOTTOM + 60.0
    for index, line in enumerate(drawn):
        points = [(level(step), upright(value)) for step, value in enumerate(line.values) if value is not None]
        tone = svg.SOFT if line.soft else TONES[index]
        body.append(svg.path(points, stroke=tone, stroke_width=2, stroke_dasharray=DASHES[index]))
        body += [mark(index, x, y) for x, y in points]
        y = bottom
        body.append(svg.line(8, y, 36, y, stroke=tone, stroke_width=2, stroke_dasharray=DASHES[index]))
        name, count = svg.paragraph(44, y + 4, line.name, svg.WIDE - 52)
        body.append(mark(index, 22, y) + name)
        bottom += 14.4 * count + 6
    words = [f"{line.name}: {', '.join(number(value) for value in line.values)}" for line in drawn]
    desc = f"By {across}, from 0 to {count - 1}. " + ". ".join(words) + "."
    return svg.figure(title, desc, svg.WIDE, bottom, "".join(body))
