"""The axis of all charts: maps figures to pixels, and draws rules and labels at its marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privsynth.report.charts import svg
from privsynth.report.charts.text_width import text_width


def _identity(figure: float) -> float:
    return figure


@dataclass(frozen=True)
class Axis:
    """Maps figures to pixels.

    Attributes:
      marks: rising figures; the first and the last are the ends of the axis.
      start, end: pixels of these two.
      measure: a rising function whose equal steps are equally long, for example a logarithm.
    """

    marks: Sequence[float]
    start: float
    end: float
    measure: Callable[[float], float] = _identity

    def __call__(self, figure: float) -> float:
        low, high = self.measure(self.marks[0]), self.measure(self.marks[-1])
        return self.start + (self.measure(figure) - low) / (high - low) * (self.end - self.start)

    def rules_across(
        self, names: Sequence[str], ends: tuple[float, float], *, gap: float = 8, drop: float = 4
    ) -> list[str]:
        """Return a horizontal rule at each mark of a vertical axis, and its label `gap` to the left."""
        parts, (left, right) = [], ends
        for figure, name in zip(self.marks, names, strict=True):
            y = self(figure)
            parts.append(svg.line(left, y, right, y, stroke=svg.LINE))
            parts.append(svg.text(left - gap, y + drop, name, text_anchor="end", font_size=11, fill=svg.SOFT))
        return parts

    def rules_down(
        self, names: Sequence[str], ends: tuple[float, float], *, width: float = svg.WIDE, **line: float | str
    ) -> list[str]:
        """Return a vertical rule at each mark of a horizontal axis, and its label below where there is room for it."""
        parts, (top, bottom), free = [], ends, -1.0
        for figure, name in zip(self.marks, names, strict=True):
            x = self(figure)
            parts.append(svg.line(x, top, x, bottom, stroke=svg.LINE, **line))
            half, middle = text_width(name, 11) / 2, svg.inside(x, name, 11, width)
            if middle - half > free:
                parts.append(svg.text(middle, bottom + 16, name, text_anchor="middle", fill=svg.SOFT, font_size=11))
                free = middle + half + 4
        return parts
