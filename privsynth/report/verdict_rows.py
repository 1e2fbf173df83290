"""The summary of checks: every verdict counted, one line for each name and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from privsynth.findings.families import FAMILIES
from privsynth.findings.finding import Finding, Verdict
from privsynth.report.blocks import APART, URGENCY, shared_ending
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

NAMED = 6  # groups that a row of the summary names; further ones are counted (own)


@dataclass(frozen=True)
class CheckRow:
    """One line of the summary: the findings of one name that share a verdict."""

    verdict: Verdict
    family: str
    title: str
    exact: bool
    count: int
    groups: str
    only: Finding | None
    threshold: str


def tally(report: ReportData) -> list[tuple[Verdict, int]]:
    """Return how many findings have each verdict, failures first; information is no verdict and left out."""
    counts = Counter(finding.verdict for finding in report.findings)
    return [(verdict, counts[verdict]) for verdict in URGENCY if verdict != "info"]


def checks(report: ReportData, title: Titles) -> list[CheckRow]:
    """Return every check that has a verdict, failures first, one line for each name and verdict."""
    together: dict[tuple[Verdict, str, str, str], list[Finding]] = {}
    for finding in report.findings:
        if finding.verdict != "info":
            key = (finding.verdict, finding.family, finding.name, finding.visibility)
            together.setdefault(key, []).append(finding)
    lines = [
        CheckRow(
            verdict=verdict,
            family=family,
            title=title(name),
            exact=visibility == "officer",
            count=len(own),
            groups=_names([f.group for f in own if f.group]),
            only=own[0] if len(own) == 1 else None,
            threshold=_threshold(own),
        )
        for (verdict, family, name, visibility), own in together.items()
    ]
    places = list(FAMILIES)
    return sorted(lines, key=lambda c: (URGENCY.index(c.verdict), places.index(c.family), c.exact))


def _threshold(findings: Sequence[Finding]) -> str:
    different = {finding.threshold for finding in findings}
    return "differs; see the section" if len(different) > 1 else different.pop() or "none"


def _names(groups: Sequence[str]) -> str:
    ending = shared_ending(groups) if len(groups) > 1 else ""
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    where = f" (all on {ending.removeprefix(APART)})" if ending else ""
    return "; ".join(group.removesuffix(ending) for group in groups[:NAMED]) + more + where
