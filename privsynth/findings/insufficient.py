"""Findings on missing evidence, and shares as text."""

from __future__ import annotations

from typing import Any

from privsynth.findings.finding import Finding, Visibility


def insufficient(family: str, name: str, why: str, *, visibility: Visibility = "officer", **more: Any) -> Finding:
    """Return a finding that says why there is no figure. Missing evidence is reported, never left out."""
    meaning = f"Not measured: {why} This is missing evidence, not a good result."
    return Finding(
        family=family,
        name=name,
        value=None,
        visibility=visibility,
        verdict="insufficient",
        meaning=meaning,
        **more,
    )


def percent(share: float, digits: int = 1) -> str:
    """Return a share as text, 0.031 -> '3.1 %'."""
    return f"{100 * share:.{digits}f} %"
