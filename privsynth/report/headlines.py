"""The first page: one row for each family of findings, with its most telling figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from privsynth.findings.families import FAMILIES, families
from privsynth.findings.finding import Finding, Verdict
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

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
    """Return the figure that stands for a family: one that failed, if any did; exact before noisy, the worst of its
    name.
    """
    measured = [finding for finding in findings if finding.value is not None]
    measured = [finding for finding in measured if finding.verdict == "fail"] or measured
    for name in FAMILIES[family].telling:  # of several figures of one name the worst is shown
        own = [finding for finding in measured if finding.name == name]
        exact = [finding for finding in own if finding.visibility == "officer"]
        if own:
            return max(exact or own, key=_badness)
    return max(measured, key=_badness, default=None)


def _badness(finding: Finding) -> tuple[int, float]:
    order = {"fail": 3, "review": 2, "insufficient": 0}
    value = finding.value or 0.0
    if finding.better == "higher":
        value = -value
    elif finding.better == "target" and finding.baseline is not None:
        value = abs(value - finding.baseline)
    return order.get(finding.verdict, 1), value
