"""The sections of a page: one for each family of findings."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from privsynth.findings.families import FAMILIES, families
from privsynth.report.blocks import FindingGroup, blocks_of
from privsynth.report.overviews import overviews_of
from privsynth.report.records.promise import Guarantee
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

OF_ROWS = {"fidelity", "bias"}  # families whose figures are shares of rows


@dataclass(frozen=True)
class Section:
    """One family of findings: heading, what it asks, overviews drawn together, and the blocks.

    Attributes:
      note: what holds for all shares of rows in it; "" where there is nothing to say.
    """

    family: str
    title: str
    lead: str
    note: str
    overviews: tuple[Markup, ...]
    blocks: tuple[FindingGroup, ...]


def sections(report: ReportData, title: Titles) -> list[Section]:
    """Return the sections that have findings, in the order of the families."""
    found = []
    note = "" if report.guarantee is None else left_out_words(report.guarantee)
    for family, about in FAMILIES.items():
        own = [finding for finding in report.findings if finding.family == family]
        if own:
            overviews = tuple(overviews_of(family, own, report, title))
            said = note if family in OF_ROWS else ""
            found.append(Section(family, about.title, about.lead, said, overviews, tuple(blocks_of(own, title))))
    return found


def left_out_words(g: Guarantee) -> str:
    """Return what rows beyond `max_rows_per_unit` mean for shares of rows; "" if nothing."""
    return "" if g.left_out is None else g.left_out.sentences(g.unit, g.max_rows_per_unit or 1)


def unmeasured(report: ReportData) -> list[str]:
    """Return the titles of the families without a finding."""
    there = {finding.family for finding in report.findings}
    asked = families(linked=bool(report.tables))
    return [about.title for family, about in asked.items() if family not in there]
