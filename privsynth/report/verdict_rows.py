"""The summary of checks: every verdict counted, one line for each name and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from privsynth.findings.families import FAMILIES
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.severity import FIRST, severity, worst_first
from privsynth.policy.one_verdict import verdict_counts
from privsynth.report.blocks import APART, shared_ending
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

NAMED = 6  # groups that a row of the summary names; further ones are counted (own)


@dataclass(frozen=True)
class CheckRow:
    """One line of the summary: the findings of one name that share a verdict, worst first."""

    verdict: Verdict
    family: str
    title: str
    exact: bool
    count: int
    groups: str
    only: Finding | None
    threshold: str
    severity: float


def tally(report: ReportData) -> list[tuple[Verdict, int]]:
    """Return how many checks have each verdict, failures first; information is no verdict and left out."""
    counts = verdict_counts(report.findings, report.policy)
    return [(verdict, counts[verdict]) for verdict in FIRST if verdict != "info"]


def checks(report: ReportData, title: Titles) -> list[CheckRow]:
    """Return every check that has a verdict, failures first, one line for each name and verdict."""
    together: dict[tuple[Verdict, str, str, str], list[Finding]] = {}
    for finding in sorted(report.findings, key=worst_first):
        if finding.verdict != "info":
            key = (finding.verdict, finding.family, finding.name, finding.visibility)
            together.setdefault(key, []).append(finding)
    lines = [
        CheckRow(
            severity=max(map(severity, own)),
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
    return sorted(lines, key=lambda c: (FIRST.index(c.verdict), -c.severity, places.index(c.family), c.exact))


def _threshold(findings: Sequence[Finding]) -> str:
    different = {finding.threshold for finding in findings}
    return "differs; see the section" if len(different) > 1 else different.pop() or "none"


def _names(groups: Sequence[str]) -> str:
    ending = shared_ending(groups) if len(groups) > 1 else ""
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    where = f" (all on {ending.removeprefix(APART)})" if ending else ""
    return "; ".join(group.removesuffix(ending) for group in groups[:NAMED]) + more + where
