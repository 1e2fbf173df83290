"""Pictures that stand for several findings of a family at once."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from privsynth.findings.finding import Finding
from privsynth.report.blocks import row_of
from privsynth.report.charts import matrices, plots, roc, svg
from privsynth.report.charts.overlays import Overlay, overlay
from privsynth.report.charts.roc import Curve
from privsynth.report.charts.steps import Line, steps
from privsynth.report.explain_epsilon import bound_curve
from privsynth.report.report_data import ReportData
from privsynth.report.titles import Titles

FOLLOWS = "of 100 rows with the value at the left, how many are followed by the one above"
# Findings of different names that share a scale and a chart.
_TOGETHER: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "fidelity": (("Mean distance, over all columns", ("tvd_1way_mean", "tvd_2way_mean", "tvd_3way_mean")),),
    "histories": (
        (
            "Mean distance, over all columns of a table",
            (
                "parent_distance_mean",
                "place_distance_mean",
                "transition_distance_mean",
                "gap_distance_mean",
                "aggregate_1way_mean",
                "aggregate_2way_mean",
            ),
        ),
    ),
    "utility": (("Trained on synthetic rows, tested on real ones (AUROC)", ("tstr_auroc", "utility_auc")),),
    "membership": (
        (
            "Membership attacks on everybody, on the most vulnerable, and on the generator (AUC)",
            ("membership_auc", "membership_auc_vulnerable", "membership_shadow_auc"),
        ),
        (
            "Membership attacks: hits at few false alarms, among all and within groups",
            ("membership_tpr", "membership_tpr_by_group"),
        ),
    ),
    "disclosure": (
        (
            "Attacks on individuals: excess over people who were not in the data",
            ("singling_out", "linkability", "inference", "attribute_inference"),
        ),
    ),
    "coverage": (("Rows of one table that lie among those of the other", ("precision", "recall", "coverage")),),
}
# Label of a row of such a chart, if not its title; "" if its group is enough.
_SHORT = {
    "tvd_1way_mean": "single columns",
    "tvd_2way_mean": "pairs of columns",
    "tvd_3way_mean": "triples of columns",
    "parent_distance_mean": "with a row above",
    "place_distance_mean": "with the place",
    "transition_distance_mean": "with the next row",
    "gap_distance_mean": "gaps",
    "aggregate_1way_mean": "summing up",
    "aggregate_2way_mean": "summing up, pairs",
    "tstr_auroc": "",
    "utility_auc": "",
    "membership_auc": "",
    "membership_auc_vulnerable": "",
    "membership_shadow_auc": "shadow models",
    "membership_tpr": "",
    "membership_tpr_by_group": "",
}


def overviews_of(family: str, findings: Sequence[Finding], report: ReportData, title: Titles) -> list[Markup]:
    pictures = []
    for heading, names in _TOGETHER.get(family, ()):
        pictures += _together(heading, [f for name in names for f in findings if f.name == name], title)
    return pictures + _histories(findings, title) + _roc(findings, report, title) + _generations(findings, title)


def _together(heading: str, findings: Sequence[Finding], title: Titles) -> list[Markup]:
    """Return findings of several names on one scale; one name has a picture of its own already."""
    if len({(finding.name, finding.visibility) for finding in findings}) < 2:
        return []
    mixed = len({finding.visibility for finding in findings}) > 1
    rows = []
    for finding in findings:
        kind = (", exact" if finding.visibility == "officer" else ", noisy") if mixed else ""
        short = _SHORT.get(finding.name, title(finding.name))
        label = f"{short} ({finding.group})" if short and finding.group else short or finding.group
        rows.append(row_of(finding, (label or title(finding.name)) + kind))
    label = next((f.baseline_label for f in findings if f.baseline_label), "")
    return [_named(heading, plots.forest(heading, rows, better=findings[0].better, baseline_label=label))]


def _roc(findings: Sequence[Finding], report: ReportData, title: Titles) -> list[Markup]:
    drawn = [curve for finding in findings if (curve := _curve(finding, title)) is not None]
    if not drawn:
        return []
    bound, g = None, report.guarantee
    if g is not None:
        bound = bound_curve(epsilon=g.epsilon, delta=g.delta, mu=g.mu, mu_delta=g.mu_delta, lowest=roc.LOWEST)
    heading = "Membership attacks, and the most that the guarantee allows"
    return [_named(heading, roc.roc(heading, drawn, bound=bound))]


def _generations(findings: Sequence[Finding], title: Titles) -> list[Markup]:
    """Return what generations keep, a line a regime, beside plain resampling: from lists in the detail of a finding."""
    kept = [f for f in findings if f.name == "decay_tail_mass" and len(f.detail.get("generation", ())) > 1]
    pictures = []
    for curve, heading in (
        ("tail", "Share of the mass of rare combinations that is kept"),
        ("distance", "Distance of pairs from the release"),
    ):
        own = [f for f in kept if curve in f.detail]
        drawn = [Line(f.group or title(f.name), f.detail[curve]) for f in own]
        plain = [Line("resampling without a model", f.detail[f"{curve}_resampled"], soft=True) for f in own[:1]]
        if drawn:
            pictures.append(_named(heading, steps(heading, [*drawn, *plain], across="generation")))
    return pictures


def _histories(findings: Sequence[Finding], title: Titles) -> list[Markup]:
    """Return the numbers of rows and the gaps of each table, and what follows what in its worst column."""
    pictures = []
    for finding in findings:
        told, heading = finding.detail, f"{title(finding.name)}: {finding.group}"
        if finding.name == "children_distance" and told.get("labels"):
            shares = {"synthetic": told["synthetic"], "real": told["real"]}
            count = len(told["labels"])
            labels = [*told["labels"], str(count)]
            pictures.append(
                _named(heading, overlay(Overlay(title=heading, labels=labels, edges=range(count + 1), **shares)))
            )
        if finding.name == "gap_distance_mean" and told.get("overlay"):
            unit = f", in {told['measured_in']}" if told.get("measured_in") else ""
            heading = f"Gap to the next row: {finding.group}{unit}"
            pictures.append(_named(heading, overlay(Overlay(title=heading, **told["overlay"]))))
        if finding.name == "transition_distance_worst" and told.get("labels"):
            shares = {"rows": told["labels"], "columns": told["labels"], "meaning": FOLLOWS}
            pair = matrices.Pair(title=heading, real=told["real"], synthetic=told["synthetic"], **shares)
            pictures.append(_named(heading, matrices.tiles(pair)))
    return pictures


def _named(heading: str, picture: Markup) -> Markup:
    """Return a picture below its caption, for the inside of a figure."""
    return Markup("<figcaption><bdi>{}</bdi></figcaption>").format(svg.clean(heading)) + picture


def _curve(finding: Finding, title: Titles) -> Curve | None:
    """Return the ROC curve of an attack from the points "roc" of its detail."""
    points = finding.detail.get("roc", ())
    if len(points) < 2:
        return None
    return Curve(finding.group or title(finding.name), [f for f, _ in points], [t for _, t in points])
