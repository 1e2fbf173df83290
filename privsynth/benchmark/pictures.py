"""Charts of a benchmark: figures against epsilon, and against seconds.

Scores with best value 1 have an axis stretched towards 1: equal steps are equal factors of the distance to 1, so that
0.97 and 0.98 are as far apart as 0.4 and 0.6. Every generator has a colour, a shape and a dash of its
own, the same in all charts. Only our own shapes are filled and our lines heavy; a shape of a quoted figure is drawn in
dots; what is not private says so in rust. Legends are in groups of these kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from markupsafe import Markup

from privsynth.report.charts import svg
from privsynth.report.charts.axis import Axis
from privsynth.report.charts.text_width import text_width
from privsynth.report.format_numbers import number

WIDE = 660.0  # pixels: the width of a chart of the benchmark, which is read on a desk (own)
# Edges of the plot in pixels.
LEFT, RIGHT, TOP, BOTTOM = 52.0, WIDE - 14.0, 14.0, 286.0
NO_PRIVACY_SLOT = 84.0  # pixels: the column at the right, for what has no epsilon
DODGE = 3.0  # pixels between series at the same epsilon, so that their intervals do not overlap
MARKER = 4.5  # pixels: radius of a shape
_TONES = (svg.BLUE, svg.RUST, "#3d6b35", "#5b3f8c", "#7a5c00", "#0d6e6e", "#a0245e", svg.INK)
_SHAPES = ("dot", "square", "diamond", "triangle")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3")
MARK_GAP = 26.0  # pixels between two marks of a stretched axis, at least
# Distance to 1 of the possible marks: 2, 1, 0.9, … 0.1, 0.09, … 0.001.
_STEPS = (
    2.0,
    *(round(digit * 10.0**-power, 4) for power in (1, 2, 3) for digit in range(10 if power == 1 else 9, 0, -1)),
)


Box = tuple[float, float, float, float]  # left, top, right, bottom
# Where the name of a spot may stand: right, left or middle of it, and how many lines below; the best place first.
_PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))


class Kind(Enum):
    """Where figures come from; the value heads a group of a legend."""

    OURS = "privsynth"
    ELSEWHERE = "other programs, judged here"
    QUOTED = "other programs, figures quoted"
    NOT_PRIVATE = "without any privacy"


@dataclass(frozen=True)
class Point:
    """A figure at one epsilon (None: without privacy): mean, and standard deviation over the seeds."""

    epsilon: float | None
    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class Series:
    """The points of one generator.

    Attributes:
      name: as in the legend.
      place: its number among all generators of the page; sets colour, shape and dash.
      kind: where its figures come from.
    """

    name: str
    place: int
    kind: Kind
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Spot:
    """A generator in the chart against seconds."""

    name: str
    place: int
    kind: Kind
    seconds: float
    figure: float


@dataclass(frozen=True)
class Scale:
    """Maps figures to heights; `stretched` scores (best 1) by the logarithm of their distance to 1."""

    marks: tuple[float, ...]
    stretched: bool

    @classmethod
    def over(cls, figures: Sequence[float], *, stretched: bool) -> Scale:
        """Return a scale for all figures; scores of 1 or more are drawn at the top."""
        if not stretched:
            return cls(tuple(svg.ticks(min(figures), max(figures))), False)
        missing = [max(1.0 - x, 0.002) for x in figures]
        low = min((x for x in _STEPS if x >= max(missing) * 1.02), default=max(missing))
        high = max((x for x in _STEPS if x <= min(missing) * 0.98), default=_STEPS[-1])
        gap = MARK_GAP / (BOTTOM - TOP) * math.log(low / high)
        marks = [low]
        for x in _STEPS:
            if math.log(marks[-1] / x) >= gap and math.log(x / high) >= gap:
                marks.append(x)
        return cls(tuple(1.0 - x for x in (*marks, high)), True)

    def __call__(self, figure: float) -> float:
        return min(max(self.axis(figure), TOP), BOTTOM)

    @property
    def axis(self) -> Axis:
        """The upright axis behind it, which goes beyond its ends."""
        return Axis(self.marks, BOTTOM, TOP, self._depth)

    def _depth(self, figure: float) -> float:
        return -math.log(max(1.0 - figure, 1e-4)) if self.stretched else figure

    def names(self) -> list[str]:
        """Return the marks as texts."""
        if not self.stretched:
            return svg.tick_texts(self.marks)
        return [f"{mark:.4f}".rstrip("0").rstrip(".").replace("-", "−") for mark in self.marks]


def against_epsilon(
    title: str, series: Sequence[Series], *, stretched: bool, ceiling: float | None, ceiling_name: str
) -> Markup:
    """Return a chart with a line per generator, whiskers of one standard deviation, and the ceiling dashed.

    What has no epsilon stands in a column of its own at the right.
    Raises:
      ValueError: a figure is not finite.
    """
    points = [point for one in series for point in one.points]
    if not points:
        return svg.figure(title, "No run has this figure.", WIDE, 44, svg.text(12, 26, "No run has this figure."))
    ends = [x for p in points for x in (p.mean - (p.sd or 0.0), p.mean + (p.sd or 0.0))]
    if any(not math.isfinite(x) for x in ends):
        raise ValueError("a chart was given a number that is not finite")
    scale = Scale.over([*ends, *([] if ceiling is None else [ceiling])], stretched=stretched)
    across = _epsilons(points)
    body = [_frame(scale), _epsilon_marks(points, across)]
    if ceiling is not None:
        body.append(svg.line(LEFT, scale(ceiling), RIGHT, scale(ceiling), stroke=svg.SOFT, stroke_dasharray="5 4"))
    shift = min(DODGE, 24.0 / len(series))
    drawn = [_line(one, scale, across, (i - (len(series) - 1) / 2) * shift) for i, one in enumerate(series)]
    body += [part for part, one in zip(drawn, series, strict=True) if one.kind != Kind.OURS]
    body += [part for part, one in zip(drawn, series, strict=True) if one.kind == Kind.OURS]  # ours lie on top
    legend, height = _legend([(one.kind, _sign(one), one.name) for one in series], BOTTOM + 56, ceiling, ceiling_name)
    return svg.figure(title, _words(series, ceiling, ceiling_name), WIDE, height, "".join(body) + legend)


def _epsilons(points: Sequence[Point]) -> Callable[[float | None], float]:
    """Return the place of each epsilon on a logarithmic axis."""
    known = [math.log(p.epsilon) for p in points if p.epsilon is not None]
    open_ = any(p.epsilon is None for p in points)
    left, right = LEFT + 34, RIGHT - 34 - (NO_PRIVACY_SLOT if open_ and known else 0)
    low, high = (min(known), max(known)) if known else (0.0, 0.0)

    def place(epsilon: float | None) -> float:
        if epsilon is None:
            return RIGHT - NO_PRIVACY_SLOT / 2 if known else (LEFT + RIGHT) / 2
        return (left + right) / 2 if high == low else left + (math.log(epsilon) - low) / (high - low) * (right - left)

    return place


def _epsilon_marks(points: Sequence[Point], across: Callable[[float | None], float]) -> str:
    parts = []
    for epsilon in sorted({p.epsilon for p in points if p.epsilon is not None}):
        x = across(epsilon)
        parts.append(svg.line(x, BOTTOM, x, BOTTOM + 5, stroke=svg.SOFT))
        parts.append(svg.text(x, BOTTOM + 18, f"{epsilon:g}", text_anchor="middle", fill=svg.SOFT, font_size=11))
    if any(p.epsilon is None for p in points):
        x = across(None)
        parts.append(svg.text(x, BOTTOM + 18, "no privacy", text_anchor="middle", fill=svg.RUST, font_size=11))
        if len({p.epsilon for p in points}) > 1:
            edge = RIGHT - NO_PRIVACY_SLOT
            parts.append(svg.line(edge, TOP, edge, BOTTOM, stroke=svg.LINE))
    parts.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "ε (smaller is more private)", text_anchor="middle"))
    return "".join(parts)


def _frame(scale: Scale) -> str:
    return "".join(scale.axis.rules_across(scale.names(), (LEFT, RIGHT), gap=6, drop=3.5))


def _line(one: Series, scale: Scale, across: Callable[[float | None], float], shift: float) -> str:
    tone = _TONES[one.place % len(_TONES)]
    places = [(across(p.epsilon) + shift, scale(p.mean), p) for p in one.points]
    private = [(x, y) for x, y, p in places if p.epsilon is not None]
    parts = []
    if len(private) > 1:
        dash = _DASHES[one.place // len(_TONES) % len(_DASHES)]
        parts.append(svg.path(private, stroke=tone, stroke_width=_weight(one.kind), stroke_dasharray=dash))
    for x, y, point in places:
        if point.sd:
            low, high = scale(point.mean - point.sd), scale(point.mean + point.sd)
            parts.append(svg.line(x, low, x, high, stroke=tone, stroke_width=1.6))
            parts += [svg.line(x - 3, end, x + 3, end, stroke=tone, stroke_width=1.6) for end in (low, high)]
        parts.append(_marker(one.place, one.kind, x, y))
    return "".join(parts)


def _weight(kind: Kind) -> float:
    return 2.8 if kind == Kind.OURS else 1.4


def _marker(place: int, kind: Kind, x: float, y: float) -> str:
    tone, shape = _TONES[place % len(_TONES)], _SHAPES[(place + place // len(_TONES)) % len(_SHAPES)]
    style: dict[str, float | str] = {"fill": tone if kind == Kind.OURS else "#fff", "stroke": tone, "stroke_width": 1.6}
    if kind == Kind.QUOTED:
        style["stroke_dasharray"] = "1.6 1.6"
    if shape == "triangle":
        r = MARKER + 1
        return svg.path([(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8), (x, y - r)], **style)
    return svg.marker(shape, x, y, MARKER + (1 if shape == "diamond" else 0), **style)


def _sign(one: Series) -> str:
    """Return the sign of a series in the legend: its line, if it has one, and its marker."""
    tone, dash = _TONES[one.place % len(_TONES)], _DASHES[one.place // len(_TONES) % len(_DASHES)]
    drawn = sum(point.epsilon is not None for point in one.points) > 1
    weight = _weight(one.kind)
    line = svg.line(0, 0, 28, 0, stroke=tone, stroke_width=weight, stroke_dasharray=dash) if drawn else ""
    return line + _marker(one.place, one.kind, 14, 0)


def _legend(
    entries: Sequence[tuple[Kind, str, str]], top: float, ceiling: float | None, ceiling_name: str
) -> tuple[str, float]:
    """Return the legend, in two columns below the name of each kind, and where it ends."""
    parts, y = [], top
    if ceiling is not None:
        parts.append(svg.line(LEFT, y, LEFT + 28, y, stroke=svg.SOFT, stroke_dasharray="5 4"))
        parts.append(svg.text(LEFT + 36, y + 4, f"{ceiling_name}: {number(ceiling)}"))
        y += 22
    for kind in Kind:
        of_kind = [(sign, name) for other, sign, name in entries if other == kind]
        if of_kind:
            parts.append(svg.text(LEFT, y + 4, kind.value, font_size=11, fill=svg.SOFT, font_weight="bold"))
        for i, (sign, name) in enumerate(of_kind):
            x, row = (LEFT, LEFT + 305)[i % 2], y + 20 + 20 * (i // 2)
            parts.append(f'<g transform="translate({svg.coordinate(x)} {svg.coordinate(row)})">{sign}</g>')
            parts.append(svg.text(x + 36, row + 4, name, **_tone_of_name(kind)))
        y += 26 + 20 * math.ceil(len(of_kind) / 2) if of_kind else 0
    return "".join(parts), y


def _tone_of_name(kind: Kind) -> dict[str, float | str]:
    if kind == Kind.OURS:
        return {"font_weight": "bold"}
    return {"fill": svg.RUST} if kind == Kind.NOT_PRIVATE else {}


def _words(series: Sequence[Series], ceiling: float | None, ceiling_name: str) -> str:
    parts = [] if ceiling is None else [f"{ceiling_name}: {number(ceiling)}."]
    for one in series:
        seen = [f"{'no privacy' if p.epsilon is None else f'ε {p.epsilon:g}'} {number(p.mean)}" for p in one.points]
        parts.append(f"{one.name}: {', '.join(seen)}.")
    return " ".join(parts) + " All figures are in the table below."


def against_seconds(
    title: str, spots: Sequence[Spot], *, stretched: bool, ceiling: float | None, ceiling_name: str
) -> Markup:
    """Return a chart of a figure against the seconds of a fit, on a logarithmic axis.

    A name stands beside its shape where there is room for it; the legend holds all of them.
    """
    if not spots:
        return svg.figure(title, "No run has this figure.", WIDE, 44, svg.text(12, 26, "No run has this figure."))
    figures = [spot.figure for spot in spots] + ([] if ceiling is None else [ceiling])
    if any(not math.isfinite(x) for x in (*figures, *(spot.seconds for spot in spots))):
        raise ValueError("a chart was given a number that is not finite")
    scale = Scale.over(figures, stretched=stretched)
    seconds = [max(spot.seconds, 0.01) for spot in spots]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)) + 1e-9)
    high = max(high, low + 1)

    level = Axis([10.0**power for power in range(low, high + 1)], LEFT, RIGHT, _log_seconds)
    body, taken = [_frame(scale)], []
    body += level.rules_down([f"{mark:g}" for mark in level.marks], (TOP, BOTTOM), width=WIDE)
    body.append(svg.text((LEFT + RIGHT) / 2, BOTTOM + 34, "seconds of a fit (log scale)", text_anchor="middle"))
    if ceiling is not None:
        y = scale(ceiling)
        body.append(svg.line(LEFT, y, RIGHT, y, stroke=svg.SOFT, stroke_dasharray="5 4"))
        taken.append((LEFT, y - 2, RIGHT, y + 2))
    places = {id(spot): (level(spot.seconds), scale(spot.figure)) for spot in spots}
    body.append(_spots(spots, places, taken))
    desc = " ".join(f"{s.name}: {number(s.figure)} in {number(s.seconds)} seconds." for s in spots)
    entries = [(s.kind, _marker(s.place, s.kind, 14, 0), s.name) for s in spots]
    legend, height = _legend(entries, BOTTOM + 56, ceiling, ceiling_name)
    return svg.figure(title, f"{desc} All figures are in the table below.", WIDE, height, "".join(body) + legend)


def _log_seconds(seconds: float) -> float:
    return math.log10(max(seconds, 0.01))


def _spots(spots: Sequence[Spot], places: Mapping[int, tuple[float, float]], taken: list[Box]) -> str:
    """Return shapes, with names where there is room for them; ours are placed first."""
    shapes = {key: (x - 14, y - 7, x + 14, y + 7) for key, (x, y) in places.items()}
    parts = [_marker(spot.place, spot.kind, *places[id(spot)]) for spot in spots]
    for spot in sorted(spots, key=lambda spot: (spot.kind != Kind.OURS, places[id(spot)][1])):
        others = [*taken, *(box for key, box in shapes.items() if key != id(spot))]
        width = text_width(spot.name, 11, bold=spot.kind == Kind.OURS)
        for dx, dy in _PLACES:
            at, box = _name_place(*places[id(spot)], dx, dy, width)
            if _inside(box) and not any(_overlap(box, other) for other in others):
                taken.append(box)
                more = {"text_anchor": ("middle", "start", "end")[dx], **_tone_of_name(spot.kind)}
                parts.append(svg.text(at, box[3] - 3, spot.name, font_size=11, **more))
                break
    return "".join(parts)


def _name_place(x: float, y: float, dx: int, dy: int, width: float) -> tuple[float, Box]:
    """Return anchor and box of a name right (dx 1), left (−1) or in the middle (0) of a shape, dy lines below it."""
    left = x + 9 if dx > 0 else x - 9 - width if dx < 0 else x - width / 2
    return x + 9 * dx, (left, y - 7 + 13 * dy, left + width, y + 6 + 13 * dy)


def _inside(box: Box) -> bool:
    return box[0] >= LEFT and box[2] <= RIGHT and box[1] >= TOP - 12 and box[3] <= BOTTOM


def _overlap(one: Box, other: Box) -> bool:
    """Return whether two boxes share a point."""
    across = min(one[2], other[2]) > max(one[0], other[0])
    return across and min(one[3], other[3]) > max(one[1], other[1])
