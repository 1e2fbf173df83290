"""The first page: one row for each family of findings, with its worst figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from privsynth.findings.families import FAMILIES, families
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.severity import FIRST, worst_first
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

URGENT = FIRST.index("insufficient")  # verdicts before it are about a figure that is beyond its limits
_COUNTED: tuple[Verdict, ...] = ("fail", "review", "insufficient", "pass")


@dataclass(frozen=True)
class Headline:
    """One row of the first page.

    Attributes:
      family: its section. title: the question of the section.
      verdict: the worst of its findings that have a figure or fail; "insufficient" if none has one.
      finding: the figure that represents the family; None if there is none.
      name: of that figure, for people.
      exact: whether the figure is the officer's.
      counts: how many findings have which verdict, failures first.
    """

    family: str
    title: str
    verdict: Verdict
    finding: Finding | None
    name: str
    counts: tuple[tuple[Verdict, int], ...]

    @property
    def exact(self) -> bool:
        """Whether the figure is the officer's."""
        return self.finding is not None and self.finding.visibility == "officer"


def headlines(report: ReportData, title: Titles) -> list[Headline]:
    """Return one row for each family, also for those without findings."""
    asked = families(linked=bool(report.tables))
    return [_headline(family, [f for f in report.findings if f.family == family], title) for family in asked]


def _headline(family: str, findings: Sequence[Finding], title: Titles) -> Headline:
    counts = Counter(finding.verdict for finding in findings)
    verdict = next((v for v in ("fail", "review", "pass", "info") if counts[v]), "insufficient")
    shown = _telling(family, findings)
    return Headline(
        family=family,
        title=FAMILIES[family].title,
        verdict=verdict,  # type: ignore[arg-type]
        finding=shown,
        name="" if shown is None else title(shown.name),
        counts=tuple((v, counts[v]) for v in _COUNTED if counts[v]),
    )


def _telling(family: str, findings: Sequence[Finding]) -> Finding | None:
    """Return the worst figure of a family, exact before noisy; where none is beyond its limits, the most telling."""
    order = FAMILIES[family].telling
    measured = [finding for finding in findings if finding.value is not None]

    def key(finding: Finding) -> tuple[Any, ...]:
        verdict, severity, *rest = worst_first(finding)
        told = order.index(finding.name) if finding.name in order else len(order)
        return verdict if verdict < URGENT else URGENT, severity, told, finding.visibility == "public", *rest

    return min(measured, key=key, default=None)
