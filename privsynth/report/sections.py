"""From findings to the sections of a page: order, tables, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from privsynth.audit.finding import FAMILIES, Family, Finding
from privsynth.report import charts, curves
from privsynth.report.charts import Row
from privsynth.report.curves import Curve
from privsynth.report.model import ReportData
from privsynth.report.plain import bound_curve
from privsynth.report.titles import FAMILY_TITLES, TITLES

_ORDER = {"fail": 0, "review": 1, "insufficient": 2, "pass": 3, "info": 4}
# Findings that are drawn with one row a group; (name, bars).
_PICTURES: dict[str, bool] = {
    "tvd_1way": False,
    "representation": True,
    "base_rate": True,
    "subgroup_fidelity": False,
    "membership_auc": False,
    "membership_auc_by_group": False,
    "utility_auc": False,
    "downstream_auroc": False,
}


@dataclass(frozen=True)
class Section:
    """One family of findings.

    Attributes:
      family, title, lead: heading and what it asks.
      findings: worst verdict first.
      pictures: charts; the table of findings holds the same figures.
    """

    family: Family
    title: str
    lead: str
    findings: tuple[Finding, ...]
    pictures: tuple[Markup, ...]


def title_of(finding: Finding) -> str:
    """Return a finding's name for people."""
    return TITLES.get(finding.name, finding.name.replace("_", " "))


def sections(report: ReportData) -> list[Section]:
    """Return the sections that have findings, in the order of the families."""
    found = []
    for family in FAMILIES:
        own = [finding for finding in report.findings if finding.family == family]
        if own:
            title, lead = FAMILY_TITLES[family]
            ordered = sorted(enumerate(own), key=lambda pair: (_ORDER[pair[1].verdict], pair[0]))
            found.append(
                Section(family, title, lead, tuple(f for _, f in ordered), tuple(_pictures(family, own, report)))
            )
    return found


def tally(report: ReportData) -> list[tuple[str, int]]:
    """Return how many findings have each verdict, failures first, information left out."""
    counts = Counter(finding.verdict for finding in report.findings)
    return [(verdict, counts[verdict]) for verdict in ("fail", "review", "insufficient", "pass")]


def _pictures(family: Family, findings: Sequence[Finding], report: ReportData) -> list[Markup]:
    pictures = []
    for name, bars in _PICTURES.items():
        for visibility, words in (("public", ""), ("officer", ", exact")):
            own = [f for f in findings if f.name == name and f.visibility == visibility]
            if len(own) > 1 or (own and name == "membership_auc"):
                pictures.append(_rows(TITLES[name] + words, own, bars))
    if family == "fidelity":
        pictures += _matrix(findings)
    if family == "membership":
        pictures += _roc(findings, report)
    return pictures


def _rows(title: str, findings: Sequence[Finding], bars: bool) -> Markup:
    rows = [
        Row(label=f.group or title_of(f), value=f.value, low=f.low, high=f.high, baseline=f.baseline) for f in findings
    ]
    label = next((f.baseline_label for f in findings if f.baseline_label), "")
    better = findings[0].better
    if bars:
        return charts.group_bars(title, rows, better=better, baseline_label=label or "real rows")
    return charts.forest(title, rows, better=better, baseline_label=label)


def _matrix(findings: Sequence[Finding]) -> list[Markup]:
    for finding in findings:
        matrix, columns = finding.detail.get("matrix"), finding.detail.get("columns")
        if matrix and columns:
            values = [
                (str(columns[i]), str(columns[j]), float(matrix[i][j]))
                for i in range(len(columns))
                for j in range(i + 1, len(columns))
                if matrix[i][j] is not None
            ]
            if values:
                return [charts.heatmap("Distance of each pair of columns, exact", values)]
    return []


def _roc(findings: Sequence[Finding], report: ReportData) -> list[Markup]:
    drawn = []
    for finding in findings:
        fpr, tpr = finding.detail.get("fpr"), finding.detail.get("tpr")
        if fpr and tpr and len(fpr) > 1:
            drawn.append(Curve(finding.group or title_of(finding), fpr, tpr))
    if not drawn:
        return []
    bound = None
    if report.guarantee is not None:
        g = report.guarantee
        bound = bound_curve(epsilon=g.epsilon, delta=g.delta, mu=g.mu)
    return [curves.roc("Membership attacks, and the most that the promise allows", drawn, bound=bound)]
