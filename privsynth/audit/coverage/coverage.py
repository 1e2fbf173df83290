"""Coverage: which kinds of real rows have no synthetic counterpart, and the reverse.

Four measures, each compared with fresh real rows (the holdout), which leave gaps too: neighbourhoods (precision,
improved recall, density, coverage), combinations of values, slices that are significantly rare on one side, and gaps in
numbers.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, numbers, thin
from privsynth.audit.common.discretise import Coder, encode, fit_coders
from privsynth.audit.common.row_points import fit_encoder
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.coverage.precision_recall import MEASURES, NEIGHBOURS, measures, radii
from privsynth.audit.coverage.slices import LACKING, LEAST_EXPECTED, Search, Slice, label, lacking_slices, unseen
from privsynth.audit.coverage.value_gaps import Gap, fullest_gap, worst_design_effect
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient, percent
from privsynth.stats.intervals import Interval, clopper_pearson, cluster_variance, normal

# Rows of a block at most (all pairs of them are compared) and at least; blocks at least, for a variance (own).
BLOCK, MIN_BLOCK, MIN_BLOCKS = 1_000, 100, 4
MAX_BLOCKS: dict[Level, int] = {"quick": 4, "standard": 8, "deep": 20}  # of rows; bounds the time (own)
BINS = 5  # quantile bins of a number: coarse, so that triples of columns still hold rows (own)
MAX_TRIPLES: dict[Level, int] = {"quick": 0, "standard": 200, "deep": 2_000}  # of columns; bounds the time (own)
MAX_PAIRS = 1_000  # of columns; bounds the time (own)
WORST = 10  # slices or sets of columns that are listed by name (own)
SHORT_BY = 0.1  # a neighbourhood measure further below that of fresh real rows needs review (own)
BEYOND_CHANCE = 0.02  # a larger share of rows in combinations that the other table lacks needs review (own)
GAP_ALPHA = 1e-3  # of a false alarm over all columns of a table, for each kind of gap: one table in 1,000 (own)
FRESH = "fresh real rows (holdout)"
WAYS = {2: "pairs", 3: "triples"}


def coverage(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the findings on neighbourhoods, combinations, slices and value gaps; all for the officer."""
    if not tables.columns or min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("coverage", "coverage", "a table has no rows or no columns.")]
    codes = _Codes(tables, 5 * context.settings.max_rows, rng)
    return [
        *neighbourhoods(tables, context, rng),
        *_combinations(codes, MAX_TRIPLES[context.settings.level], rng),
        *_slices(codes, MAX_TRIPLES[context.settings.level], rng),
        *_ranges(tables),
    ]


# --- neighbourhoods


def neighbourhoods(tables: AuditTables, context: AuditContext, rng: np.random.Generator) -> list[Finding]:
    """Return precision, recall, density and coverage: means over disjoint blocks of rows with t intervals."""
    frames = [tables.train, tables.synthetic]
    has_holdout = tables.holdout is not None and len(tables.holdout) >= MIN_BLOCKS * MIN_BLOCK
    if has_holdout and tables.holdout is not None:
        frames.append(tables.holdout)
    least = min(len(frame) for frame in frames)
    size = min(BLOCK, least // MIN_BLOCKS)
    if size < MIN_BLOCK:
        why = f"needs {MIN_BLOCKS * MIN_BLOCK} rows of each table."
        return [insufficient("coverage", name, why) for name in MEASURES]
    blocks = min(MAX_BLOCKS[context.settings.level], least // size)
    encoder = fit_encoder(tables)
    parts = [encoder.points(f.iloc[rng.permutation(len(f))[: blocks * size]]).reshape(blocks, size, -1) for f in frames]
    far = [[radii(block) for block in part] for part in parts]
    found = [
        np.stack(
            [measures(parts[0][b], part[b], real_radii=far[0][b], other_radii=own[b]) for b in range(blocks)], axis=1
        )
        for part, own in zip(parts[1:], far[1:], strict=True)
    ]
    return [_measure(i, found[0][i], found[1][i] if has_holdout else None, size) for i in range(len(MEASURES))]


_MEANINGS = {
    "precision": "Share of synthetic rows that lie among real rows. Low: rows of kinds that do not exist.",
    "recall": "Share of real rows that lie among synthetic rows (improved recall). Low: kinds of rows are missing.",
    "density": "How many real neighbourhoods a synthetic row lies in, over what is usual; above 1 in crowded places.",
    "coverage": "Share of real rows with a synthetic row in their neighbourhood. Low: kinds of rows are missing.",
}


def _t_interval(values: np.ndarray) -> Interval:
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def _measure(which: int, ours: np.ndarray, real: np.ndarray | None, size: int) -> Finding:
    name = MEASURES[which]
    n = size * len(ours)
    interval = _t_interval(ours)
    if name != "density":
        exact = clopper_pearson(round(interval.value * n), n)  # equal blocks have no spread, yet an error
        interval = Interval(
            interval.value, max(0.0, min(interval.low, exact.low)), min(1.0, max(interval.high, exact.high))
        )
    gap = None if real is None else _t_interval(ours - real)
    short = gap is not None and gap.high < -SHORT_BY
    versus = "" if gap is None else f" Against fresh real rows: {gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})."
    return Finding.of(
        interval,
        family="coverage",
        name=name,
        n=n,
        visibility="officer",
        baseline=None if real is None else float(real.mean()),
        baseline_label="" if real is None else FRESH,
        better="target" if real is not None else "higher",
        verdict="review" if short else "info",
        threshold=f"not surely more than {SHORT_BY:g} below fresh real rows (own)" if real is not None else "",
        meaning=f"{_MEANINGS[name]} {len(ours)} blocks of {size} rows, {NEIGHBOURS} neighbours; to be compared, not to "
        f"be read by itself.{versus}",
        source="Kynkäänniemi et al. (2019)" if which < 2 else "Naeem et al. (2020)",
        detail={} if gap is None else {"difference": gap.value, "difference_low": gap.low, "difference_high": gap.high},
    )


# --- combinations and slices


class _Codes:
    """The tables as codes, numbers in five bins; at most `at_most` rows each."""

    def __init__(self, tables: AuditTables, at_most: int, rng: np.random.Generator) -> None:
        self.names = tables.columns
        self.coders: list[Coder] = fit_coders(tables, bins=BINS)
        self.sizes = [coder.size for coder in self.coders]
        rows = thin(len(tables.train), at_most, rng)
        self.train, self.units = encode(tables.train.iloc[rows], self.coders), tables.units("train")[rows]
        self.synthetic = encode(tables.synthetic.iloc[thin(len(tables.synthetic), at_most, rng)], self.coders)
        self.holdout, self.held = np.zeros((len(self.coders), 0), dtype=np.int32), np.zeros(0)
        if tables.holdout is not None:
            rows = thin(len(tables.holdout), at_most, rng)
            self.holdout, self.held = encode(tables.holdout.iloc[rows], self.coders), tables.units("holdout")[rows]


def _marginals(d: int, ways: int, at_most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Return at most `at_most` combinations of columns, drawn at random if there are more."""
    if math.comb(d, ways) <= 100_000:
        every = list(combinations(range(d), ways))
        return [every[i] for i in thin(len(every), at_most, rng)]
    return sorted({tuple(sorted(map(int, rng.choice(d, ways, replace=False)))) for _ in range(at_most)})


def _combinations(codes: _Codes, triples: int, rng: np.random.Generator) -> list[Finding]:
    """Return the shares of rows in combinations that the other table lacks, for pairs and triples."""
    size = min(codes.train.shape[1], codes.synthetic.shape[1])
    few_train = codes.train[:, thin(codes.train.shape[1], size, rng)]
    few_ours = codes.synthetic[:, thin(codes.synthetic.shape[1], size, rng)]
    findings = []
    for ways, at_most in ((2, MAX_PAIRS), (3, triples)):
        marginals = _marginals(len(codes.names), ways, at_most, rng)
        if not marginals:
            continue
        fresh, held = codes.holdout, codes.held
        if fresh.shape[1] == 0:
            why = "needs a holdout: only fresh real rows show what chance leaves out."
            for name in ("missing_combinations", "unseen_combinations"):
                findings.append(insufficient("coverage", name, why, group=WAYS[ways]))
            continue
        chance = unseen(fresh, few_train, codes.sizes, marginals)
        missing = unseen(fresh, few_ours, codes.sizes, marginals)
        made_up = unseen(codes.synthetic, few_train, codes.sizes, marginals)
        paired = normal(missing.share - chance.share, cluster_variance(missing.influence - chance.influence, held))
        apart = normal(made_up.share - chance.share, made_up.variance() + chance.variance(held))
        least = f"Mean over {len(marginals)} {WAYS[ways]} of columns, numbers in {BINS} bins, among {size} rows."
        findings += [
            _combination(
                "missing_combinations", WAYS[ways], missing.share,
                normal(missing.share, missing.variance(held)), paired, chance.share, fresh.shape[1],
                f"Share of fresh real rows whose combination of values no synthetic row has. {least}",
                codes, marginals, missing.each - chance.each,
            ),
            _combination(
                "unseen_combinations", WAYS[ways], made_up.share,
                normal(made_up.share, made_up.variance()), apart, chance.share, codes.synthetic.shape[1],
                f"Share of synthetic rows whose combination of values no training row has: impossible or rare. {least}",
                codes, marginals, made_up.each - chance.each,
            ),
        ]  # fmt: skip
    return findings


def _combination(
    name: str,
    group: str,
    share: float,
    interval: Interval,
    excess: Interval,
    chance: float,
    n: int,
    meaning: str,
    codes: _Codes,
    marginals: list[tuple[int, ...]],
    each: np.ndarray,
) -> Finding:
    worst = [int(i) for i in np.argsort(-each, kind="stable")[:WORST] if each[i] > 0]
    return Finding(
        family="coverage",
        name=name,
        group=group,
        value=share,
        low=max(0.0, interval.low),
        high=min(1.0, interval.high),
        n=n,
        visibility="officer",
        baseline=chance,
        baseline_label="chance: fresh real rows against as many training rows",
        better="target",
        verdict="review" if excess.low > BEYOND_CHANCE else "info",
        threshold=f"not surely more than {percent(BEYOND_CHANCE, 0)} of rows beyond chance (own)",
        meaning=f"{meaning} Beyond chance: {percent(excess.value, 2)} ({percent(excess.low, 2)} to "
        f"{percent(excess.high, 2)}).",
        detail={
            "excess": excess.value,
            "excess_low": excess.low,
            "excess_high": excess.high,
            "worst": [[" × ".join(codes.names[c] for c in marginals[i]), float(each[i])] for i in worst],
        },
    )


def _slices(codes: _Codes, triples: int, rng: np.random.Generator) -> list[Finding]:
    """Return the slices that either table lacks, and as a baseline how many the holdout lacks."""
    d = len(codes.names)
    marginals = [m for ways, most in ((1, d), (2, MAX_PAIRS), (3, triples)) for m in _marginals(d, ways, most, rng)]
    real, held = worst_design_effect(codes.units), worst_design_effect(codes.held)
    missing = lacking_slices(codes.train, codes.synthetic, codes.sizes, marginals, design_effects=(real, 1.0))
    made_up = lacking_slices(codes.synthetic, codes.train, codes.sizes, marginals, design_effects=(1.0, real))
    usual = None
    if codes.holdout.shape[1]:
        usual = lacking_slices(codes.train, codes.holdout, codes.sizes, marginals, design_effects=(real, held))
    return [
        *_searched("missing_slice", missing, usual, codes, "real", "synthetic"),
        *_searched("unseen_slice", made_up, usual, codes, "synthetic", "real"),
    ]


def _searched(name: str, found: Search, usual: Search | None, codes: _Codes, there: str, here: str) -> list[Finding]:
    what = (
        f"slices (combinations of values of 1 to 3 columns) that are common among the {there} rows but missing or rare "
    )
    summary = Finding(
        family="coverage",
        name=f"{name}s",
        value=float(len(found.lacking)),
        n=found.tested,
        visibility="officer",
        baseline=None if usual is None else float(len(usual.lacking)),
        baseline_label="" if usual is None else "slices that fresh real rows lack",
        better="lower",
        verdict="review" if found.lacking else "info",
        threshold=f"no slice with less than {percent(LACKING, 0)} of its rows; alpha = 0.05 over all slices (own)",
        meaning=f"Number of {what}among the {here} ones, of {found.tested} slices where {LEAST_EXPECTED} rows or more "
        "were expected. Slices within such a slice are not counted again.",
        unit="slices",
        detail={"tested": found.tested, "fresh_tested": None if usual is None else usual.tested},
    )
    return [summary, *(_slice(name, one, codes, there, here) for one in found.lacking[:WORST])]


def _slice(name: str, one: Slice, codes: _Codes, there: str, here: str) -> Finding:
    return Finding.of(
        one.ratio,
        family="coverage",
        name=name,
        group=label(one, codes.names, codes.coders),
        n=one.there,
        visibility="officer",
        baseline=1.0,
        baseline_label="as common on both sides",
        better="target",
        meaning=f"Share of this slice among the {here} rows, divided by its share among the {there} rows; the surest "
        "first. The interval allows for the search.",
        source="own; exact conditional binomial test, Przyborowski & Wilenski (1940)",
        detail={there: one.there, here: one.here},
    )


# --- ranges


def _ranges(tables: AuditTables) -> list[Finding]:
    """Return the columns with significant gaps: one table has rows there, the other has none."""
    names = [name for name in tables.columns if tables.is_number(name)]
    design_effect = worst_design_effect(tables.units("train"))
    found: dict[str, list[tuple[str, Gap]]] = {"range_lacking": [], "range_without_evidence": []}
    for name in names:
        real, ours = (numbers(frame[name]) for frame in (tables.train, tables.synthetic))
        real, ours = real[np.isfinite(real)], ours[np.isfinite(ours)]
        if min(len(real), len(ours)) == 0:
            continue
        alpha = GAP_ALPHA / len(names)
        for kind, rows, base, effect in (
            ("range_lacking", real, ours, design_effect),
            ("range_without_evidence", ours, real, 1.0),
        ):
            gap = fullest_gap(rows, base, alpha=alpha, design_effect=effect)
            if gap is not None and gap.gaps:
                found[kind].append((name, gap))
    return [finding for kind, gaps in found.items() for finding in _range_findings(kind, gaps, len(names))]


def _range_findings(kind: str, gaps: list[tuple[str, Gap]], n_columns: int) -> list[Finding]:
    rows, base = ("real", "synthetic") if kind == "range_lacking" else ("synthetic", "real")
    text = f"value ranges that hold more {rows} rows than chance explains, and no {base} row"
    summary: dict[str, Any] = {"family": "coverage", "visibility": "officer", "better": "lower"}
    findings = [
        Finding(
            **summary,
            name=kind.replace("range_", "ranges_"),
            value=float(len(gaps)),
            n=n_columns,
            baseline=0.0,
            baseline_label="none",
            verdict="review" if gaps else "info",
            threshold=f"none, with a false alarm in one of {1 / GAP_ALPHA:,.0f} tables (own)",
            meaning=f"Number of columns of numbers or times with {text}.",
            unit="columns",
        )
    ]
    for name, gap in gaps:
        interval = clopper_pearson(gap.inside, gap.n)
        findings.append(
            Finding.of(
                interval,
                **summary,
                name=kind,
                group=name,
                n=gap.n,
                meaning=f"Share of {rows} rows in {text}. {_fullest(gap)}",
                source="own; runs in the pooled order",
                detail={"stretches": gap.gaps, "fullest": gap.count, "log_p": gap.log_p}
                | ({"from": gap.low, "to": gap.high} if rows == "synthetic" else {}),
            )
        )
    return findings


def _fullest(gap: Gap) -> str:
    rows = f"holds {gap.count} {'row' if gap.count == 1 else 'rows'}."
    return f"There is one such range; it {rows}" if gap.gaps == 1 else f"Of {gap.gaps} such ranges the fullest {rows}"


AUDIT = Audit(
    name="coverage",
    family="coverage",
    run=coverage,
    titles={
        "precision": "Synthetic rows that lie among real ones (precision)",
        "recall": "Real rows that lie among synthetic ones (improved recall)",
        "density": "Density of real rows around synthetic ones",
        "coverage": "Real rows with a synthetic row nearby (coverage)",
        "missing_combinations": "Fresh real rows in combinations that the synthetic table lacks",
        "unseen_combinations": "Synthetic rows in combinations that no real row has",
        "missing_slices": "Slices of the real table that are missing",
        "missing_slice": "Worst missing slices",
        "unseen_slices": "Combinations that the synthetic table makes up",
        "unseen_slice": "Worst made-up combinations",
        "ranges_lacking": "Columns with value ranges that the synthetic rows leave out",
        "ranges_without_evidence": "Columns with value ranges in which there is no real row",
        "range_lacking": "Value ranges that the synthetic rows leave out",
        "range_without_evidence": "Value ranges in which there is no real row",
    },
    left_out={"quick": "No triples of columns."},
)
