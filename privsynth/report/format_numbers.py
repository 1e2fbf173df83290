"""Numbers as text, in one fixed way, so that the same report gives the same bytes."""

from __future__ import annotations

import math
import re

_SCIENTIFIC = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([-+]?\d+)(?!\w)")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MINUS = "−"
# Units of which there can be one, and how one is written; that of mu is in the titles of its findings.
_ONE = {
    "columns": "column",
    "generations": "generation",
    "rows": "row",
    "slices": "slice",
    "standard deviations": "standard deviation",
}
_UNWRITTEN = "mu"
MOST_DIGITS = 6  # after the point, of a figure just below one (own)


def number(value: float | None, unit: str = "") -> str:
    """Return a figure for a reader: about three significant digits, thousands grouped, a true minus, then the unit.

    None becomes a dash. Integers of up to seven digits are kept exactly.
    Raises:
      ValueError: the value is not finite.
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        raise ValueError("a figure of the report is not a finite number")
    text = _magnitude(abs(value), whole=isinstance(value, int))
    sign = MINUS if value < 0 and text != "0" else ""
    shown = "" if unit == _UNWRITTEN else _ONE.get(unit, unit) if text == "1" else unit
    return f"{sign}{text} {shown}".rstrip()


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Return "low to high", one-sided where an end is missing, or a dash."""
    if low is None and high is None:
        return "–"
    if low is None:
        return f"at most {number(high, unit)}"
    if high is None:
        return f"at least {number(low, unit)}"
    return f"{number(low)} to {number(high, unit)}"


def power(value: float) -> str:
    """Return a small probability as a power of ten if it is one, for example "10⁻⁶"."""
    if value <= 0:
        return number(value)
    exponent = round(math.log10(value))
    if exponent <= -3 and math.isclose(value, 10.0**exponent, rel_tol=1e-9):
        return "10" + str(exponent).translate(_SUPERSCRIPT)
    return number(value)


def tidy(text: str) -> str:
    """Return a sentence with numbers such as 1e-06 written as 10⁻⁶, and 2.5e-07 as 2.5 × 10⁻⁷."""
    return _SCIENTIFIC.sub(_as_power, text)


def _as_power(found: re.Match[str]) -> str:
    mantissa, exponent = found[1], str(int(found[2])).translate(_SUPERSCRIPT)
    return f"10{exponent}" if mantissa in ("1", "1.0") else f"{mantissa} × 10{exponent}"


def share(value: float) -> str:
    """Return a share as a percentage with at most one decimal; never "0 %" for what is above zero."""
    if 0 < value < 0.0005:
        return "under 0.1 %"
    text = f"{value * 100:.1f}"
    return f"{text.removesuffix('.0')} %"


def _magnitude(size: float, *, whole: bool) -> str:
    if size == 0:
        return "0"
    if (whole or size == int(size)) and size < 1e7:
        return f"{int(size):,}"
    if size >= 1e7 or size < 1e-4:
        exponent = math.floor(math.log10(size))
        mantissa = f"{size / 10.0**exponent:.2f}"
        if mantissa == "10.00":
            mantissa, exponent = "1.00", exponent + 1
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPT)}"
    if size >= 100:
        return f"{size:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.01 else 4 if size >= 0.001 else 5
    text = f"{size:.{digits}f}"
    while size < 1 and float(text) == 1 and digits < MOST_DIGITS:  # "1.000 to 1" would be an interval of one number
        digits += 1
        text = f"{size:.{digits}f}"
    return text
