"""Fidelity: how far the synthetic table is from the training rows, one, two and three columns at a time.

The baseline is the distance of the holdout, for fresh real rows are not at distance zero either; without a holdout,
that of sampling alone. The excess compares equal numbers of rows, so that a large synthetic table has no advantage.
Bins are deciles of the training rows, so all findings are the officer's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.discretise import Coded, Distances, distances
from privsynth.audit.common.fresh_rows import FreshRows, strict, telling_entry, without_room
from privsynth.audit.common.marginals import WAYS, chance_distances, choose_marginals, coded, distance_interval
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.fidelity.association import associations
from privsynth.audit.fidelity.pictures import DrawnColumns, with_pictures
from privsynth.audit.fidelity.subsample_equivalence import subsample_equivalence
from privsynth.audit.fidelity.tails_and_calendar import shapes
from privsynth.audit.fidelity.univariate import column_differences
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.findings.sentences import CELL
from privsynth.findings.severity import MISPLACED, judged
from privsynth.stats.intervals import Interval

MAX_TRIPLES: dict[Level, int] = {"quick": 50, "standard": 200, "deep": 1_000}  # of columns; bounds the time (own)
MAX_MARGINALS = {1: 2_000, 2: 1_500}  # single columns and pairs; bounds the time (own)
# Redraws for the distance by chance: so many for one marginal, fewer for many, 300 marginals in all (own).
MAX_DRAWS, DRAWN_MARGINALS = 10, 300
WORST_PAIRS = 20  # with a figure of their own (own)


def fidelity(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return distances of marginals, associations, missing shares and shapes of columns; all for the officer."""
    if not tables.columns or min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("fidelity", "tvd_1way_mean", "a table has no rows or no columns.")]
    codes = coded(tables, context)
    parts = _Parts(codes, tables, FreshRows.of(codes, tables, rng))
    findings: list[Finding] = []
    for ways in (1, 2, 3):
        if ways <= len(parts.codes.columns):
            marginals = choose_marginals(
                len(parts.codes.columns), ways, rng, MAX_MARGINALS.get(ways, MAX_TRIPLES[context.settings.level])
            )
            findings += _marginals(parts, ways, marginals, rng)
            if context.settings.level != "quick":
                findings += subsample_equivalence(parts.codes, tables, marginals, rng=rng)
    findings += associations(tables, parts.codes, rng=rng)
    findings += column_differences(tables)
    findings += shapes(tables, rng=rng)
    return with_pictures(findings, DrawnColumns(tables.train, tables.synthetic, tables.kinds))


@dataclass(frozen=True, repr=False, eq=False)
class _Parts:
    """Codes, the tables that they encode, and fresh rows to compare with; None without a holdout."""

    codes: Coded
    tables: AuditTables
    fresh: FreshRows | None


def _marginals(parts: _Parts, ways: int, marginals: list[tuple[int, ...]], rng: np.random.Generator) -> list[Finding]:
    codes = parts.codes
    found = distances(codes.train, codes.synthetic, codes.sizes, marginals)
    draws = min(MAX_DRAWS, max(1, DRAWN_MARGINALS // len(marginals)))  # many marginals average out in one draw
    chance = chance_distances(codes.train, codes.synthetic, codes.sizes, marginals, rng=rng, draws=draws)
    ceiling = None
    if codes.holdout is not None:
        ceiling = distances(codes.train, codes.holdout, codes.sizes, marginals).values
    shown = _Shown(parts, marginals, found.values, chance, ceiling)
    order = np.argsort(chance - found.values, kind="stable")
    findings = [_mean(shown, ways, distance_interval(found, parts.tables.units("train")))]
    worst = shown.one(int(order[0]), shared=len(marginals))
    findings.append(
        replace(
            worst,
            name=f"tvd_{ways}way_worst",
            meaning=f"The worst of {len(marginals)} {WAYS[ways]}, counted beyond what sampling alone shows. Picked for "
            "being the worst, so partly by chance; the interval allows for that.",
        )
    )
    if parts.fresh is not None:
        findings.append(_excess(parts.fresh, ways, marginals))
    if ways < 3:
        findings += [shown.one(int(i)) for i in order[: len(order) if ways == 1 else WORST_PAIRS]]
    return findings


@dataclass(frozen=True, repr=False, eq=False)
class _Shown:
    """Marginals with their (m,) distances, those by chance, and those of the holdout if there is one."""

    parts: _Parts
    marginals: list[tuple[int, ...]]
    values: np.ndarray
    chance: np.ndarray
    ceiling: np.ndarray | None

    def shared(self, at: slice | int) -> dict[str, Any]:
        """Return the fields shared by findings on some of the marginals."""
        bound = self.chance if self.ceiling is None else self.ceiling
        return {
            "family": "fidelity",
            "visibility": "officer",
            "n": self.parts.codes.synthetic.shape[1],
            "baseline": float(np.mean(bound[at])),
            "baseline_label": "sampling alone" if self.ceiling is None else "holdout",
            "better": "lower",
            "source": "own; research on k-way marginals, for example McKenna et al. (2021)",
        }

    def one(self, i: int, shared: int = 1) -> Finding:
        """Return the finding of one marginal, with an interval corrected for `shared` marginals."""
        codes, marginal = self.parts.codes, self.marginals[i]
        found = distances(codes.train, codes.synthetic, codes.sizes, [marginal])
        units = self.parts.tables.units("train")
        interval = distance_interval(found, units, confidence=1 - 0.05 / shared)
        telling = telling_entry(codes, units, (marginal[0], marginal[1])) if len(marginal) == 2 else {}
        finding = Finding.of(
            interval,
            name=f"tvd_{len(marginal)}way",
            group=" × ".join(codes.columns[c] for c in marginal),
            meaning="Share of rows that would have to change for the synthetic counts to equal the real ones.",
            detail={"sampling_alone": float(self.chance[i])} | ({CELL: telling} if telling else {}),
            **self.shared(i),
        )
        return judged(finding, self._beyond(i, found), MISPLACED)

    def _beyond(self, i: int, found: Distances) -> Interval:
        """Return the distance of a marginal beyond fresh rows, or beyond chance; it may be the worst of all."""
        confidence = strict(len(self.marginals))
        if self.parts.fresh is not None:
            return self.parts.fresh.beyond([self.marginals[i]], confidence=confidence)[0]
        spread = distance_interval(found, self.parts.tables.units("train"), confidence=confidence)
        chance = float(self.chance[i])
        return without_room(Interval(spread.value - chance, spread.low - chance, spread.high - chance), chance)


def _mean(shown: _Shown, ways: int, interval: Interval) -> Finding:
    codes = shown.parts.codes
    detail: dict[str, Any] = {"marginals": len(shown.marginals), "sampling_alone": float(shown.chance.mean())}
    if ways == 2:
        detail |= _matrix(codes, shown.marginals, shown.values)
        beside = shown.chance if shown.ceiling is None else shown.ceiling
        detail["beside"] = _matrix(codes, shown.marginals, beside)["matrix"]
    return Finding.of(
        interval,
        name=f"tvd_{ways}way_mean",
        meaning=f"Share of rows that would have to change, on average over {len(shown.marginals)} {WAYS[ways]}, for "
        "the synthetic counts to equal the real ones. Fresh real rows would reach the baseline; sampling alone, at "
        f"these numbers of rows, shows {shown.chance.mean():.4f}.",
        detail=detail,
        **shown.shared(slice(None)),
    )


def _excess(fresh: FreshRows, ways: int, marginals: list[tuple[int, ...]]) -> Finding:
    """Return the distance beyond that of the holdout, at equal numbers of rows, with its verdict."""
    interval, ours, real = fresh.beyond(marginals)
    finding = Finding.of(
        interval,
        family="fidelity",
        name=f"tvd_{ways}way_excess",
        n=fresh.size,
        visibility="officer",
        baseline=0.0,
        baseline_label="as near as fresh real rows",
        better="lower",
        meaning="How much further the synthetic rows are from the training rows than the holdout is, over "
        f"{WAYS[ways]}, both cut to the same number of rows. Below zero is nearer than fresh real rows: a "
        "sign of copying.",
        detail={"synthetic": ours, "holdout": real},
    )
    return judged(finding, fresh.beyond(marginals, confidence=strict())[0], MISPLACED)


def _matrix(codes: Coded, marginals: list[tuple[int, ...]], values: np.ndarray) -> dict[str, Any]:
    grid: list[list[float | None]] = [[None] * len(codes.columns) for _ in codes.columns]
    for (a, b), value in zip(marginals, values, strict=True):
        grid[a][b] = grid[b][a] = round(float(value), 5)
    return {"columns": list(codes.columns), "matrix": grid}


AUDIT = Audit(
    name="fidelity",
    family="fidelity",
    run=fidelity,
    titles={
        "tvd_1way_mean": "Mean distance, single columns",
        "tvd_2way_mean": "Mean distance, pairs of columns",
        "tvd_3way_mean": "Mean distance, triples of columns",
        "tvd_1way": "Distance of each column",
        "tvd_2way": "Distance of each pair of columns",
        "tvd_1way_worst": "Worst column",
        "tvd_2way_worst": "Worst pair of columns",
        "tvd_3way_worst": "Worst triple of columns",
        "tvd_1way_excess": "Distance beyond chance, single columns",
        "tvd_2way_excess": "Distance beyond chance, pairs",
        "tvd_3way_excess": "Distance beyond chance, triples",
        "wasserstein": "Shape of a number (Wasserstein distance)",
        "correlation_difference": "Difference in correlation",
        "association_difference": "Difference in association",
        "association_difference_mean": "Mean difference in association",
        "association_difference_excess": "Difference in association beyond chance",
        "correlation_difference_mean": "Mean difference in correlation",
        "subsample_equivalence_1way": "As good as a sample of this share of the real rows, single columns",
        "subsample_equivalence_2way": "As good as a sample of this share of the real rows, pairs",
        "subsample_equivalence_3way": "As good as a sample of this share of the real rows, triples",
        "quantile_error": "Error at the 1 % and 99 % quantiles",
        "tail_share": "Share of values in the tails",
        "tail_weight": "Weight of the tails, as a multiple of the real tails",
        "calendar_distance": "Distance of months, weekdays and hours",
        "missing_share_difference": "Difference in the share of missing values",
    },
    left_out={"quick": "Fewer triples of columns; no subsample equivalence."},
)
