"""The sections of a page: one for each family of findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.findings.families import FAMILIES, families
from privsynth.findings.finding import Finding
from privsynth.findings.sentences import sentence
from privsynth.findings.severity import kind_of, subject, worst_first
from privsynth.report.blocks import FindingGroup, blocks_of
from privsynth.report.overviews import overviews_of
from privsynth.report.records.promise import Guarantee
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

WORST = {"officer": 5, "public": 3}  # findings that a section says in sentences; its part of the annex has all (own)
OF_ROWS = {"fidelity", "bias"}  # families whose figures are shares of rows


@dataclass(frozen=True)
class Section:
    """One family of findings: heading, what it asks, the worst in sentences, overviews drawn together, and the blocks.

    Attributes:
      note: what holds for all shares of rows in it; "" where there is nothing to say.
      worst: findings with a figure, as sentences, worst first.
      count: of all findings.
    """

    family: str
    title: str
    lead: str
    note: str
    worst: tuple[tuple[Finding, str], ...]
    count: int
    overviews: tuple[Markup, ...]
    blocks: tuple[FindingGroup, ...]


def sections(report: ReportData, title: Titles) -> list[Section]:
    """Return the sections that have findings, in the order of the families."""
    note = "" if report.guarantee is None else left_out_words(report.guarantee)
    by_family = {family: [f for f in report.findings if f.family == family] for family in FAMILIES}
    return [
        Section(
            family=family,
            title=FAMILIES[family].title,
            lead=FAMILIES[family].lead,
            note=note if family in OF_ROWS else "",
            worst=worst(own, title, WORST[report.kind]),
            count=len(own),
            overviews=tuple(overviews_of(family, own, report, title)),
            blocks=tuple(blocks_of(own, title)),
        )
        for family, own in by_family.items()
        if own
    ]


def worst(findings: Sequence[Finding], title: Titles, most: int) -> tuple[tuple[Finding, str], ...]:
    """Return the worst findings that have a figure, with what they say in a sentence."""
    measured = sorted((f for f in findings if f.value is not None), key=worst_first)
    # The worst pair of columns is one of the pairs, and would be told twice.
    single = {(f.name, subject(f), f.visibility) for f in measured}
    told = [f for f in measured if f.name == kind_of(f) or (kind_of(f), subject(f), f.visibility) not in single]
    return tuple((finding, sentence(finding, title)) for finding in told[:most])


def left_out_words(g: Guarantee) -> str:
    """Return what rows beyond `max_rows_per_unit` mean for shares of rows; "" if nothing."""
    return "" if g.left_out is None else g.left_out.sentences(g.unit, g.max_rows_per_unit or 1)


def unmeasured(report: ReportData) -> list[str]:
    """Return the titles of the families without a finding."""
    there = {finding.family for finding in report.findings}
    asked = families(linked=bool(report.tables))
    return [about.title for family, about in asked.items() if family not in there]
