"""What a release promises, read from the report.json that its signature covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsynth.errors import VerificationError
from privsynth.signing._files import digest_bytes, read_limited
from privsynth.strict.json import loads

MAX_REPORT_JSON_BYTES = 64_000_000  # as much as the page that is made of it may have


@dataclass(frozen=True)
class Promise:
    """The guarantee in the words of the signer: verifying shows who says so, not that it is true.

    Attributes:
      epsilon, delta: the whole cost of the release.
      unit: "row", or the column that names the protected unit.
      max_rows_per_unit: at most this many rows of a unit were used; None where the unit is a row.
    """

    epsilon: float
    delta: float
    unit: str
    max_rows_per_unit: int | None


def read_report(path: Path, sha256: str) -> Any:
    """Return the document in a report.json, or None where it cannot be read.

    Args:
      sha256: the digest that was signed; other bytes, put there since, are not believed.
    """
    try:
        data = read_limited(path, MAX_REPORT_JSON_BYTES)
        if digest_bytes(data).sha256 != sha256:
            return None
        return loads(data, what="report.json", max_bytes=MAX_REPORT_JSON_BYTES, error=VerificationError)
    except (OSError, VerificationError):
        return None


def promise_of(report: Any) -> Promise | None:
    """Return the promise of a report.json, or None where it makes none."""
    guarantee = report.get("guarantee") if isinstance(report, Mapping) else None
    return _promise(guarantee) if isinstance(guarantee, Mapping) else None


def _promise(guarantee: Mapping[str, Any]) -> Promise | None:
    epsilon, delta = _number(guarantee.get("epsilon")), _number(guarantee.get("delta"))
    unit, most = guarantee.get("unit"), guarantee.get("max_rows_per_unit")
    if epsilon is None or delta is None or not epsilon > 0 or not 0 <= delta < 1:
        return None
    if not isinstance(unit, str) or not unit or not (most is None or (type(most) is int and most > 0)):
        return None
    return Promise(epsilon, delta, unit, most)


def _number(value: Any) -> float | None:
    """Return a JSON number as it stands; the strict reader let no infinity in, and booleans are none."""
    return value if type(value) in (int, float) else None
