"""Pictures of columns and of pairs of columns, from the details of findings.

A public report has its own from public findings alone, whose details are paid noisy figures and synthetic rows; exact
ones are details of the officer's findings, which `ReportData` keeps out of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from markupsafe import Markup

from privsynth.findings.finding import Finding
from privsynth.report.charts import matrices
from privsynth.report.charts.matrices import Pair
from privsynth.report.charts.overlays import OTHERS, Overlay, overlay
from privsynth.report.records.tables import ColumnProfile
from privsynth.report.report_data import ReportData

SHOWN = 6  # columns with a picture in the body, the worst; the annex has all (own)
MOST_COLUMNS = 60  # with a picture; report.json has the figures of all (own)
MOST_PAIRS = 10  # with tiles (own)
SOME = 1e-4  # distance below which that of fresh rows is not divided by: a ratio to nothing says nothing (own)
_REST = re.compile(r"\d+ others")


@dataclass(frozen=True)
class DrawnPicture:
    """One picture.

    Attributes:
      name: of the column or the pair.
      picture: one or two SVG elements.
      shows: "exact", "noisy" or "synthetic", for whose figures stand beside the synthetic ones.
    """

    name: str
    picture: Markup
    shows: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of a report.

    Attributes:
      columns: the worst first; those whose real figures may not be told last.
      pairs: of columns, as tiles; the worst first.
      matrices: of the distances of all pairs.
      total: how many columns there are; more than `columns` where they are very many.
    """

    columns: tuple[DrawnPicture, ...]
    pairs: tuple[DrawnPicture, ...]
    matrices: tuple[Markup, ...]
    total: int

    @property
    def worst(self) -> tuple[DrawnPicture, ...]:
        """The columns that the body shows."""
        return self.columns[:SHOWN]

    @property
    def rest(self) -> tuple[DrawnPicture, ...]:
        """The columns that the annex alone shows."""
        return self.columns[SHOWN:]


def pictures_of(report: ReportData) -> Pictures:
    """Return the pictures of a report: exact ones where it has them, else noisy ones, else the synthetic rows alone."""
    drawn = _columns(report.findings)
    told = {name.partition("·")[0] for name in drawn}
    alone = [_profile(profile) for profile in report.synthetic_profile if profile.column not in told]
    columns = (*drawn.values(), *alone)
    pairs = _pairs(report.findings)[:MOST_PAIRS]
    return Pictures(columns[:MOST_COLUMNS], tuple(pairs), tuple(_matrices(report.findings)), len(columns))


def _columns(findings: Sequence[Finding]) -> dict[str, DrawnPicture]:
    """Return name of a column -> its overlay."""
    told = [f for f in findings if f.name == "tvd_1way" and f.detail.get("overlay")]
    exact = {f.group for f in told if f.visibility == "officer"}
    found: dict[str, DrawnPicture] = {}
    for finding in sorted(told, key=_badness):
        public = finding.visibility == "public"
        if public and finding.group.partition("·")[0] in exact:
            continue
        picture = overlay(Overlay(title=finding.group, **finding.detail["overlay"]))
        found[finding.group] = DrawnPicture(finding.group, picture, "noisy" if public else "exact")
    return found


def _badness(finding: Finding) -> tuple[float, str]:
    return (-(finding.value or 0.0) + (finding.baseline or 0.0), finding.group)


def _profile(profile: ColumnProfile) -> DrawnPicture:
    """Return the synthetic rows of a column by themselves."""
    total = math.fsum(profile.counts)
    shares = [count / total for count in profile.counts] if total else [0.0] * len(profile.counts)
    labels = list(profile.labels)
    if profile.ordered:
        edges = range(len(shares) + 1)
        data = Overlay(title=profile.column, labels=[*labels, "and above"], synthetic=shares, edges=edges)
    else:
        if labels and _REST.fullmatch(labels[-1]):
            labels[-1] = OTHERS
        data = Overlay(title=profile.column, labels=labels, synthetic=shares)
    return DrawnPicture(profile.column, overlay(data), "synthetic")


def _pairs(findings: Sequence[Finding]) -> list[DrawnPicture]:
    """Return the tiles of pairs: the exact ones, or, where there is none, those that were paid for."""
    exact = [f for f in findings if f.name == "tvd_2way" and f.detail.get("pair") and f.visibility == "officer"]
    if exact:
        return [_tiles(f.group, f.detail["pair"], "exact") for f in sorted(exact, key=_badness)]
    # Of one of several tables the finding's group is the table.
    paid = [
        {**told, "name": f"{f.group}: {told['name']}" if f.group else told["name"]}
        for f in findings
        if f.visibility == "public"
        for told in f.detail.get("paid_pairs", ())
    ]
    ranked = sorted(paid, key=lambda told: (-told["beyond"], told["name"]))
    return [_tiles(told["name"], told["pair"], "noisy") for told in ranked]


def _tiles(name: str, told: Mapping[str, Any], shows: str) -> DrawnPicture:
    pair = Pair(title=name, real_name="real" if shows == "exact" else "real, noisy", **told)
    return DrawnPicture(name, matrices.tiles(pair), shows)


def _matrices(findings: Sequence[Finding]) -> list[Markup]:
    """Return how much further each pair of columns lies than fresh rows, from the details of the means."""
    found = []
    for finding in findings:
        columns, grid, beside = (finding.detail.get(key, ()) for key in ("columns", "matrix", "beside"))
        if finding.name != "tvd_2way_mean" or not columns or len(grid) != len(columns):
            continue
        pairs = [(a, b) for a, b in combinations(range(len(columns)), 2) if grid[a][b] is not None]
        if len(beside) != len(columns):
            values = [(columns[a], columns[b], grid[a][b]) for a, b in pairs]
            found.append(matrices.heatmap("Distance of every pair of columns", values))
            continue
        values = [(columns[a], columns[b], grid[a][b] / max(beside[a][b], SOME)) for a, b in pairs]
        by = finding.baseline_label or "holdout"
        found.append(
            matrices.ratios(f"Distance of every pair of columns, beside that of the {by}", values, f"the {by}")
        )
    return found
