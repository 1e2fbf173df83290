"""The strongest reasons against releasing: what was found, worst first, as sentences with their figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.sentences import sentence
from privsynth.findings.severity import strongest
from privsynth.findings.usability import EMPTY
from privsynth.policy.definition import PROMISES
from privsynth.report.explain_epsilon import percent
from privsynth.report.format_numbers import number
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.nouns import capital, listed, rows_noun, unit_noun, with_article
from privsynth.report.titles import Titles

MOST = 3  # reasons on page one (own): more are not remembered


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
      text: a sentence or two, with the figure.
      verdict: of the finding; "info" for a fact that no threshold judged.
      place: the section that has more.
    """

    text: str
    verdict: Verdict
    place: str


def reasons(report: ReportData, title: Titles) -> tuple[Reason, ...]:
    """Return at most three reasons: a promise that the policy refuses, findings that failed or ask for a look, then
    what public facts say.

    A public report holds public findings only, so that its reasons are public too.
    """
    found = [
        Reason(_worded(finding, title), finding.verdict, finding.family) for finding in strongest(report.findings, MOST)
    ]
    return (*_refused(report, title), *found, *_known(report))[:MOST]


def _worded(finding: Finding, title: Titles) -> str:
    """Return the sentence of a finding; the name of a column at its beginning stays as it is written."""
    words = sentence(finding, title)
    begins_with_a_name = bool(finding.group) and words.startswith(finding.group.split()[0])
    return words if begins_with_a_name else capital(words)


def _refused(report: ReportData, title: Titles) -> Iterator[Reason]:
    """Yield what the policy demands of the promise, and the release does not keep: no finding says so."""
    if report.policy is None:
        return
    for outcome in report.policy.outcomes:
        if outcome.metric in PROMISES and outcome.verdict == "fail":
            is_ = "there is none" if outcome.value is None else f"it is {number(outcome.value)}"
            text = f"{title(outcome.metric)}: the policy asks for {outcome.demand}, and {is_}."
            yield Reason(text, "fail", "policy")


def _known(report: ReportData) -> Iterator[Reason]:
    """Yield what no threshold judged, most serious first."""
    use, g = report.usability, report.guarantee
    if use is not None and use.lost:
        yield Reason(f"{len(use.lost)} of {use.count} columns are noise: {listed(use.lost)}.", "info", "usability")
    if use is not None and use.empty:
        are = "column is" if len(use.empty) == 1 else "columns are"
        text = f"{len(use.empty)} of {use.count} {are} empty, {listed(use.empty)}: {EMPTY}."
        yield Reason(text, "info", "usability")
    if use is not None and use.missed:
        ties = "; ".join(tie.replace(" × ", " with ") for tie in use.missed[:MOST])
        more = f" and {len(use.missed) - MOST} more ties" if len(use.missed) > MOST else ""
        yield Reason(f"Not tied as in the real table: {ties}{more}.", "info", "usability")
    if g is not None and g.left_out is not None and g.left_out.sentences(g.unit, g.max_rows_per_unit or 1):
        rows, moved = rows_noun(g), percent(g.left_out.most_moved, up=True).removesuffix(" %")
        yield Reason(
            f"{percent(g.left_out.rows)} of the {rows} were not used, since {with_article(unit_noun(g))} has more than "
            f"{g.max_rows_per_unit or 1:,}. For this alone a share of {rows} may be off by up to {moved} percentage "
            "points.",
            "info",
            "promise",
        )
    if use is not None and use.coarse:
        yield Reason(f"Only the rough shape is kept of {listed(use.coarse)}.", "info", "usability")
    without = sum(finding.verdict == "insufficient" for finding in report.findings)
    if without:
        figures = "figure lacks" if without == 1 else "figures lack"
        text = f"{without} {figures} the evidence for a verdict: too few rows, or too much noise."
        yield Reason(text, "insufficient", "checks")
