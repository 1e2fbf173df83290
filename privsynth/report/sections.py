"""From findings to the sections of a page: grouping, order and charts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from markupsafe import Markup

from privsynth.findings.families import FAMILIES, families
from privsynth.findings.finding import Finding, Verdict
from privsynth.report.charts import histories, plots, roc
from privsynth.report.charts.plots import Row
from privsynth.report.charts.roc import Curve
from privsynth.report.charts.steps import Line, steps
from privsynth.report.explain_epsilon import bound_curve
from privsynth.report.report_data import Guarantee, ReportData
from privsynth.report.titles import Titles

URGENCY: tuple[Verdict, ...] = ("fail", "review", "insufficient", "pass", "info")
OF_ROWS = {"fidelity", "bias"}  # families whose figures are shares of rows
NAMED = 6  # groups that a row of the summary names; further ones are counted (own)
SHOWN = 12  # rows of a table shown without a click (own)
FULL = 0.5  # share of all pairs from which a matrix is drawn instead of a list (own)

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
_BARS = {"representation", "base_rate", "selection_rate", "true_positive_rate", "false_positive_rate"}
_FOLDED: dict[Verdict, str] = {"fail": "failed", "review": "need review", "insufficient": "lack evidence"}
_PAIR = " × "
_APART = " · "
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one name and visibility, with their picture.

    Attributes:
      title: heading. exact: whether the figures are the officer's.
      findings: worst verdict first.
      picture: None for a single figure without a curve or a matrix.
      meaning, threshold, source: what those with a figure share; "" where they differ. The table says what departs.
      own: for each finding, what its meaning adds to the shared one; "" where that is nothing.
      absent: why there is no figure, where several findings lack theirs for the same reason; else "".
      absent_source: the source of that.
      ending: what all groups end with, " · " included; "" where they do not. The head of the table says it once.
      compare: what all baselines are; "" where they differ or there is none.
    """

    title: str
    exact: bool
    findings: tuple[Finding, ...]
    picture: Markup | None
    meaning: str
    threshold: str
    source: str
    own: tuple[str, ...]
    absent: str
    absent_source: str
    ending: str
    compare: str

    @property
    def single(self) -> bool:
        """Whether there is one figure, to be shown large."""
        return len(self.findings) == 1

    @property
    def rows(self) -> list[tuple[Finding, str]]:
        """The findings with what is their own, those shown without a click."""
        return list(zip(self.findings, self.own, strict=True))[:SHOWN]

    @property
    def folded(self) -> list[tuple[Finding, str]]:
        """The rest of `rows`."""
        return list(zip(self.findings, self.own, strict=True))[SHOWN:]

    @property
    def folded_words(self) -> str:
        """What the fold holds, its failures and reviews named, so that none hides."""
        rest = Counter(finding.verdict for finding, _ in self.folded)
        named = [f"{rest[verdict]} {words}" for verdict, words in _FOLDED.items() if rest[verdict]]
        return f"{len(self.folded)} more" + (f", of which {' and '.join(named)}" if named else "")


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


def sections(report: ReportData, title: Titles) -> list[Section]:
    """Return the sections that have findings, in the order of the families."""
    found = []
    note = "" if report.guarantee is None else left_out_words(report.guarantee)
    for family, about in FAMILIES.items():
        own = [finding for finding in report.findings if finding.family == family]
        if own:
            overviews = tuple(_overviews(family, own, report, title))
            said = note if family in OF_ROWS else ""
            found.append(Section(family, about.title, about.lead, said, overviews, tuple(_blocks(own, title))))
    return found


def left_out_words(g: Guarantee) -> str:
    """Return what rows beyond `max_rows_per_unit` mean for shares of rows; "" if nothing."""
    return "" if g.left_out is None else g.left_out.sentences(g.unit, g.max_rows_per_unit or 1)


def unmeasured(report: ReportData) -> list[str]:
    """Return the titles of the families without a finding."""
    there = {finding.family for finding in report.findings}
    asked = families(linked=bool(report.tables))
    return [about.title for family, about in asked.items() if family not in there]


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


def zero_note(finding: Finding) -> str:
    """Return what a reader must not conclude from a zero that has no upper end."""
    if finding.value != 0 or finding.high is not None:
        return ""
    return "A zero without an upper bound: nothing was seen, which does not show that there is nothing."


def _threshold(findings: Sequence[Finding]) -> str:
    different = {finding.threshold for finding in findings}
    return "differs; see the section" if len(different) > 1 else different.pop() or "none"


def _names(groups: Sequence[str]) -> str:
    ending = _ending(groups) if len(groups) > 1 else ""
    more = f" and {len(groups) - NAMED} more" if len(groups) > NAMED else ""
    where = f" (all on {ending.removeprefix(_APART)})" if ending else ""
    return "; ".join(group.removesuffix(ending) for group in groups[:NAMED]) + more + where


def _shared(texts: Iterable[str]) -> str:
    different = set(texts)
    return different.pop() if len(different) == 1 else ""


def _blocks(findings: Sequence[Finding], title: Titles) -> list[FindingGroup]:
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.name, finding.visibility), []).append(finding)
    blocks = [_block(title(name), own) for (name, visibility), own in together.items()]
    return sorted(blocks, key=lambda block: block.exact)


def _block(heading: str, findings: Sequence[Finding]) -> FindingGroup:
    without = [finding for finding in findings if finding.value is None]
    measured = [finding for finding in findings if finding.value is not None] or findings
    absent = _shared(f.meaning for f in without) if 1 < len(without) < len(findings) else ""
    ordered = tuple(sorted(findings, key=lambda finding: URGENCY.index(finding.verdict)))
    common = _common(measured)
    return FindingGroup(
        title=heading,
        exact=findings[0].visibility == "officer",
        findings=ordered,
        picture=_picture(heading, findings),
        meaning=" ".join(common),
        threshold=_shared(f.threshold for f in measured),
        source=_shared(f.source for f in measured),
        own=tuple("" if absent and f.value is None else _rest(f.meaning, common) for f in ordered),
        absent=_rest(absent, common),
        absent_source=_shared(f.source for f in without) if absent else "",
        ending=_ending([f.group for f in findings]) if len(findings) > 1 else "",
        compare=_shared(f.baseline_label for f in findings if f.baseline is not None),
    )


def _common(findings: Sequence[Finding]) -> list[str]:
    """Return the sentences that every meaning holds, in the order of the first."""
    others = [set(_SENTENCE.split(finding.meaning)) for finding in findings[1:]]
    first = dict.fromkeys(_SENTENCE.split(findings[0].meaning))
    return [sentence for sentence in first if all(sentence in other for other in others)]


def _rest(meaning: str, common: Sequence[str]) -> str:
    return " ".join(sentence for sentence in _SENTENCE.split(meaning) if sentence not in common)


def _picture(heading: str, findings: Sequence[Finding]) -> Markup | None:
    if all(finding.value is None for finding in findings):
        return None
    if len(findings) == 1:
        cells = _matrix(findings[0])
        return plots.heatmap("Distance of every pair of columns", cells, better=findings[0].better) if cells else None
    if findings[0].name == "tvd_2way" and (pairs := _pairs(findings)) and _fills(pairs):
        return plots.heatmap(heading, pairs, better=findings[0].better)
    label = next((f.baseline_label for f in findings if f.baseline_label), "")
    rest = _ending([finding.group for finding in findings])
    rows = [_row(finding, finding.group.removesuffix(rest) or heading) for finding in findings]
    if findings[0].name in _BARS:
        return plots.group_bars(heading, rows, better=findings[0].better, baseline_label=label or "real rows")
    return plots.forest(heading, rows, better=findings[0].better, baseline_label=label)


def _matrix(finding: Finding) -> list[tuple[str, str, float]]:
    """Return the pairs of a matrix in the detail: "columns", and "matrix" with None where nothing was measured."""
    columns, grid = finding.detail.get("columns", ()), finding.detail.get("matrix", ())
    if not columns or len(grid) != len(columns) or len(set(columns)) < len(columns):
        return []
    pairs = combinations(range(len(columns)), 2)
    return [(columns[a], columns[b], grid[a][b]) for a, b in pairs if grid[a][b] is not None]


def _fills(pairs: Sequence[tuple[str, str, float]]) -> bool:
    """Return whether a matrix of these pairs would be full enough to be read."""
    columns = len({name for one, two, _ in pairs for name in (one, two)})
    return len(pairs) >= FULL * columns * (columns - 1) / 2


def _ending(groups: Sequence[str]) -> str:
    """Return what all groups end with, from the last " · " on: labels are short, and the table has the whole name."""
    _, sign, last = groups[0].rpartition(_APART)
    ending = sign + last
    return ending if sign and all(group.endswith(ending) and group != ending for group in groups) else ""


def _row(finding: Finding, label: str) -> Row:
    return Row(label=label, value=finding.value, low=finding.low, high=finding.high, baseline=finding.baseline)


def _pairs(findings: Sequence[Finding]) -> list[tuple[str, str, float]]:
    """Return the pairs as a matrix, or nothing where a column's own name holds the sign between names."""
    names = [finding.group.split(_PAIR) for finding in findings]
    if any(len(pair) != 2 or pair[0] == pair[1] for pair in names) or len({frozenset(p) for p in names}) < len(names):
        return []
    return [(a, b, f.value) for (a, b), f in zip(names, findings, strict=True) if f.value is not None]


def _overviews(family: str, findings: Sequence[Finding], report: ReportData, title: Titles) -> list[Markup]:
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
        rows.append(_row(finding, (label or title(finding.name)) + kind))
    label = next((f.baseline_label for f in findings if f.baseline_label), "")
    return [plots.forest(heading, rows, better=findings[0].better, baseline_label=label)]


def _roc(findings: Sequence[Finding], report: ReportData, title: Titles) -> list[Markup]:
    drawn = [curve for finding in findings if (curve := _curve(finding, title)) is not None]
    if not drawn:
        return []
    bound, g = None, report.guarantee
    if g is not None:
        bound = bound_curve(epsilon=g.epsilon, delta=g.delta, mu=g.mu, mu_delta=g.mu_delta)
    return [roc.roc("Membership attacks, and the most that the guarantee allows", drawn, bound=bound)]


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
            pictures.append(steps(heading, [*drawn, *plain], across="generation"))
    return pictures


def _histories(findings: Sequence[Finding], title: Titles) -> list[Markup]:
    """Return the numbers of rows of each table, and what follows what in the worst column: from the details."""
    pictures = []
    for finding in findings:
        if finding.name == "children_distance" and finding.detail.get("labels"):
            told = finding.detail
            heading = f"{title(finding.name)}: {finding.group}"
            pictures.append(histories.paired_bars(heading, told["labels"], told["real"], told["synthetic"]))
    worst = [f for f in findings if f.name == "transition_distance_worst" and f.detail.get("labels")]
    if worst:
        furthest = max(worst, key=lambda f: (f.value or 0.0) - (f.baseline or 0.0))
        heading, told = f"{title(furthest.name)}: {furthest.group}", furthest.detail
        pictures.append(histories.two_matrices(heading, told["labels"], told["real"], told["synthetic"]))
    return pictures


def _curve(finding: Finding, title: Titles) -> Curve | None:
    """Return the ROC curve of an attack from the points "roc" of its detail."""
    points = finding.detail.get("roc", ())
    if len(points) < 2:
        return None
    return Curve(finding.group or title(finding.name), [f for f, _ in points], [t for _, t in points])
