"""The one axis of all charts: from figures to places, and the rules and names at its marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from privsynth.report.charts import svg


def _identity(figure: float) -> float:
    return figure


@dataclass(frozen=True)
class Axis:
    """A line of figures from one place to another, of pixels.

    Attributes:
      marks: figures, rising; the first and the last are the ends of the axis.
      start, end: places of these two.
      measure: a rising function; equal steps of it are equally long, for example a logarithm.
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
        """Return a level rule at each mark of an upright axis, and its name `gap` left of it."""
        parts, (left, right) = [], ends
        for figure, name in zip(self.marks, names, strict=True):
            y = self(figure)
            parts.append(svg.line(left, y, right, y, stroke=svg.LINE))
            parts.append(svg.text(left - gap, y + drop, name, text_anchor="end", font_size=11, fill=svg.SOFT))
        return parts

    def rules_down(self, names: Sequence[str], ends: tuple[float, float], **line: float | str) -> list[str]:
        """Return an upright rule at each mark of a level axis, and its name below it."""
        parts, (top, bottom) = [], ends
        for figure, name in zip(self.marks, names, strict=True):
            x = self(figure)
            parts.append(svg.line(x, top, x, bottom, stroke=svg.LINE, **line))
            parts.append(svg.text(x, bottom + 18, name, text_anchor="middle", fill=svg.SOFT, font_size=11))
        return parts
