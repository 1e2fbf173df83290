"""Cards for notebooks: small HTML of escaped texts, without a script, a style sheet or a request.

A card says three things first: what is promised, what is left of the budget, and the worst that was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

MOST_CHARACTERS = 400  # of one text (own): a card stays on one screen, and below 20 kB whatever a name holds
# What concerns people comes before what concerns the use of the rows.
_FAMILIES = (
    "membership",
    "disclosure",
    "alarms",
    "pii",
    "bias",
    "rules",
    "coverage",
    "utility",
    "histories",
    "fidelity",
    "decay",
)


def card(title: str, rows: Sequence[tuple[str, str]], *, note: str = "") -> str:
    """Return a card of labelled texts, with a note below."""
    lines = "".join(
        f'<tr><th style="text-align:left;vertical-align:top">{_text(label)}</th>'
        f'<td style="text-align:left">{_text(text)}</td></tr>'
        for label, text in rows
        if text
    )
    below = f"<p>{_text(note)}</p>" if note else ""
    return f"<div><p><strong>{_text(title)}</strong></p><table><tbody>{lines}</tbody></table>{below}</div>"


def promise_text(epsilon: float, delta: float, unit: str, max_rows_per_unit: int | None = None) -> str:
    """Return the promise of a release in one line."""
    whose = "each row" if unit == "row" else f"each {unit}"
    most = f", of which at most {max_rows_per_unit:,} rows were used" if (max_rows_per_unit or 1) > 1 else ""
    return f"({epsilon:g}, {delta:g})-differential privacy for {whose}{most}"


def checks_text(findings: Iterable[Mapping[str, Any]]) -> str:
    """Return how many checks failed, or wait for a person."""
    verdicts = [finding.get("verdict") for finding in findings]
    return f"{verdicts.count('fail')} failed, {verdicts.count('review')} for a person to review"


def worst_text(findings: Iterable[Mapping[str, Any]], *, exact: bool = False) -> str:
    """Return the worst finding in one line: what failed before what is to be reviewed, people before usefulness.

    Args:
      findings: as JSON-able data (`Finding.to_json`).
      exact: show the figure of an officer's finding too; else its name alone is told.
    """
    ranks = ("fail", "review")
    bad = [finding for finding in findings if finding.get("verdict") in ranks]
    if not bad:
        return "none failed or waits for review"
    worst = min(bad, key=lambda finding: (ranks.index(finding["verdict"]), _family(finding)))
    name = " · ".join(str(part) for part in (worst.get("name"), worst.get("group")) if part)
    if worst.get("visibility") != "public" and not exact:
        return f"{worst['verdict']}: {worst.get('name')}; its exact figure is in the officer's report"
    return f"{worst['verdict']}: {name} = {_figure(worst.get('value'))}{_interval(worst)}"


def _family(finding: Mapping[str, Any]) -> int:
    family = finding.get("family")
    return _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)


def _interval(finding: Mapping[str, Any]) -> str:
    low, high = finding.get("low"), finding.get("high")
    return "" if low is None or high is None else f" ({_figure(low)} to {_figure(high)})"


def _figure(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 64:  # of a report from anywhere: no float holds it
        return "no figure"
    return f"{value:.4g}" if isinstance(value, int | float) else "no figure"


def _text(text: str) -> str:
    return escape(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…")
