"""SVG elements as text. No ids, so that any number of charts can share a page; no style attributes, so that they pass a
strict content security policy; every text is escaped.

Tones are attributes, so that a picture is right by itself. `templates/charts.css` gives each of them another value on a
dark page; there is one for every tone here."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Sequence

from markupsafe import Markup

from privsynth.report.charts.text_width import LINE_HEIGHT, text_width, wrapped

INK = "#1b2733"
SOFT = "#54616e"
LINE = "#c9d1d9"
BLUE = "#1f5a86"
RUST = "#a8430f"
SAND = "#f7d9c4"
VIOLET, GREEN = "#5b3f8c", "#3d6b35"
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif"
PAPER = "#fff"  # of what stands on a dark tone, and between two tones
SHADES = ("#f3f7fa", "#d8e6f0", "#b0cce0", "#7facca", "#4b86b0", "#1f5a86", "#123a5a")  # from little to much
# Pixels: the width of every chart of a report (own). That of a phone, so that its texts are as large there as they are
# drawn; wider pages put several beside each other.
WIDE = 360


def clean(text: str) -> str:
    """Return the text without control and direction-changing characters, which could hide or reorder what is read."""
    if text.isprintable():  # most are, and then none of these is in it
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _hidden(char) else char for char in text)


def _hidden(char: str) -> bool:
    joiners = "\n\t\u200c\u200d"  # the joiners shape letters in several scripts and move nothing
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char not in joiners


def escape(text: str) -> str:
    """Return the text, cleaned, for SVG content or an attribute in double quotes."""
    return html.escape(clean(text), quote=True)


def coordinate(value: float) -> str:
    """Return a coordinate with at most two decimals. Raises ValueError for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError("a chart was given a number that is not finite")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def attributes(values: dict[str, float | str]) -> str:
    """Return ` key="value"` pairs; numbers as coordinates, underscores as hyphens."""
    parts = []
    for key, value in values.items():
        shown = escape(value) if isinstance(value, str) else coordinate(value)
        parts.append(f' {key.replace("_", "-")}="{shown}"')
    return "".join(parts)


def rect(x: float, y: float, width: float, height: float, **more: float | str) -> str:
    """Return a rectangle; a negative width is refused by the caller's scale, not here."""
    return f"<rect{attributes({'x': x, 'y': y, 'width': width, 'height': height, **more})}/>"


def line(x1: float, y1: float, x2: float, y2: float, **more: float | str) -> str:
    """Return a straight line."""
    return f"<line{attributes({'x1': x1, 'y1': y1, 'x2': x2, 'y2': y2, 'stroke': INK, **more})}/>"


def path(points: Sequence[tuple[float, float]], **more: float | str) -> str:
    """Return a polyline as a path."""
    steps = " ".join(f"{'M' if i == 0 else 'L'}{coordinate(x)} {coordinate(y)}" for i, (x, y) in enumerate(points))
    return f'<path d="{steps}"{attributes({"fill": "none", "stroke": INK, **more})}/>'


def text(x: float, y: float, content: str, **more: float | str) -> str:
    """Return a text; font size 12 and ink unless said."""
    return f"<text{attributes({'x': x, 'y': y, 'fill': INK, **more})}>{escape(content)}</text>"


def inside(x: float, content: str, size: float, width: float = WIDE) -> float:
    """Return the middle of a text that is centred at x, moved as far as it must be to stay in the picture."""
    half = text_width(clean(content), size) / 2 + 1
    return min(max(x, half), max(width - half, half))


def paragraph(x: float, y: float, content: str, width: float, **more: float | str) -> tuple[str, int]:
    """Return a text broken into lines of at most `width` pixels, never cut, and how many lines it has.

    The first line stands at y, the next `LINE_HEIGHT` times the font size below.
    """
    size = float(more.get("font_size", 12))
    lines = wrapped(clean(content), width, size, bold=str(more.get("font_weight", "")) >= "600")
    if len(lines) == 1:
        return text(x, y, lines[0], **more), 1
    tag = attributes({"x": x, "y": y, "fill": INK, **more})
    step = coordinate(size * LINE_HEIGHT)
    spans = [f'<tspan x="{coordinate(x)}" dy="{step}">{escape(line)}</tspan>' for line in lines[1:]]
    return f"<text{tag}>{escape(lines[0])}{''.join(spans)}</text>", len(lines)


def hatch(x: float, y: float, width: float, height: float, *, gap: float = 5, **more: float | str) -> str:
    """Return diagonal lines that fill a rectangle: a pattern without a `<pattern>`, which would need an id."""
    if not gap > 0:
        raise ValueError(f"gap must be above 0, not {gap}")
    steps = []
    offset = gap
    while offset < width + height:
        x0, y0 = (offset, 0.0) if offset <= width else (width, offset - width)
        x1, y1 = (0.0, offset) if offset <= height else (offset - height, height)
        steps.append(f"M{coordinate(x + x0)} {coordinate(y + y0)}L{coordinate(x + x1)} {coordinate(y + y1)}")
        offset += gap
    return f'<path d="{"".join(steps)}"{attributes({"fill": "none", "stroke": INK, **more})}/>'


def marker(shape: str, x: float, y: float, size: float = 5, **more: float | str) -> str:
    """Return a marker: "dot", "ring", "diamond", "square", "cross" or "tick"."""
    if shape in ("dot", "ring"):
        tone: dict[str, float | str] = (
            {"fill": BLUE} if shape == "dot" else {"fill": PAPER, "stroke": INK, "stroke_width": 1.6}
        )
        return f"<circle{attributes({'cx': x, 'cy': y, 'r': size, **tone, **more})}/>"
    if shape == "diamond":
        corners = [(x, y - size), (x + size, y), (x, y + size), (x - size, y), (x, y - size)]
        return path(corners, **{"fill": PAPER, "stroke_width": 1.6, **more})
    if shape == "square":
        return rect(x - size, y - size, 2 * size, 2 * size, **{"fill": RUST, **more})
    if shape == "cross":
        return line(x - size, y - size, x + size, y + size, **more) + line(
            x - size, y + size, x + size, y - size, **more
        )
    return line(x, y - size, x, y + size, **{"stroke_width": 2, **more})


def figure(title: str, desc: str, width: float, height: float, body: str) -> Markup:
    """Return the whole picture, with its title and description for readers who do not see it."""
    across, down = coordinate(width), coordinate(height)
    size = f'viewBox="0 0 {across} {down}" width="{across}" height="{down}"'
    return Markup(
        f'<svg class="chart" role="img" {size} font-family="{html.escape(FONT)}" font-size="12">'
        f"<title>{escape(title)}</title><desc>{escape(desc)}</desc>{body}</svg>"
    )  # fmt: skip


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from at or below `low` to at or above `high`."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a chart was given a number that is not finite")
    span = high - low
    size = max(abs(low), abs(high))
    if span <= max(size * 1e-9, 1e-12):  # too close for a scale
        span = (size if size > 1e-12 else 1.0) * 0.1
        low, high = low - span / 2, high + span / 2
    rough = span / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-12)
    last = math.ceil(high / step - 1e-12)
    return [0.0 if i == 0 else i * step for i in range(first, last + 1)]


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the ticks as texts with the same number of decimals, as many as their step needs."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if not math.isclose(round(step, digits), step, rel_tol=1e-6):
        digits += 1
    return [f"{value:,.{digits}f}".replace("-", "−") for value in values]
