"""Decay: what remains of the release when generators are trained on their own output, generation after generation.

Generation 0 is the release. Three regimes: `replace` trains on the last generation alone, `accumulate` on all so far,
`mix` on real rows and the last generation in equal parts. Each generation is compared with generation 0. Resampling
with replacement, without a model, loses something too: it is the baseline, and decay is what goes beyond it.

Trains the same generator outside the ledger, in memory: for the officer, at level `deep` alone.
Source: Shumailov et al. (2024) on replacing; Gerstgrasser et al. (2024) on accumulating; Alemohammad et al. (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, texts, thin
from privsynth.audit.common.discretise import cell_keys, encode, fit_coders
from privsynth.audit.common.settings import AuditContext
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient, percent
from privsynth.stats.intervals import Interval

REGIMES = {
    "replace": "each generation is trained on the one before alone",
    "accumulate": "each generation is trained on all generations before it, the release included",
    "mix": "each generation is trained on real rows and the generation before, half and half",
}
# Generations, chains of a regime, and rows of a generation: 30 fits for the three regimes; bounds the time (own).
GENERATIONS, CHAINS, ROWS = 5, 2, 4_000
RESAMPLINGS = 5  # chains of plain resampling, the baseline; they fit nothing, so more of them are cheap (own)
RARE = 0.01  # share of the release's rows below which a bin is rare, as the title of the figure says (own)
BINS, MAX_PAIRS = 10, 60  # deciles of numbers; pairs of columns that are followed, which bounds the time (own)
CURVES = ("tail", "support", "entropy", "minority", "distance")
KEPT = 0.5  # what is left at the half-life
NO_REFIT = "the generator is not at hand to be trained again on its own output."
NAMES = {
    "tail": ("decay_tail_mass", "Mass of the release's rare cells (pairs of columns, under 1 % of rows) that is kept."),
    "support": ("decay_support", "Share of the release's occupied cells (pairs of columns) that are still occupied."),
    "entropy": ("decay_entropy", "Entropy of single columns, over that of the release."),
    "minority": ("decay_minority_share", "Share of the smallest group, over its share in the release."),
    "distance": ("decay_distance", "Mean distance (total variation) of pairs of columns from the release."),
}


def decay(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return what the last generation keeps under each regime, the curves, and the half-life of rare combinations."""
    if context.settings.refit is None:
        return [insufficient("decay", "decay_tail_mass", NO_REFIT)]
    size = min(ROWS, context.settings.max_rows, len(tables.synthetic), len(tables.train))
    if size < 100 or not tables.columns:
        return [insufficient("decay", "decay_tail_mass", "needs 100 rows of each table.")]
    start = tables.synthetic.iloc[thin(len(tables.synthetic), size, rng)].reset_index(drop=True)
    meter = Meter(tables, start)
    findings: list[Finding] = []
    for regime in REGIMES:
        chains = [chain(regime, start, tables.train, context.settings.refit, rng, meter) for _ in range(CHAINS)]
        resampled = [chain(regime, start, tables.train, _resample, rng, meter) for _ in range(RESAMPLINGS)]
        findings += _findings(regime, np.stack(chains), np.stack(resampled), meter, size)
    return findings


def _resample(frame: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    rows = np.random.default_rng(seed).integers(0, len(frame), len(frame))
    return frame.iloc[rows].reset_index(drop=True)


def chain(
    regime: str,
    start: pd.DataFrame,
    real: pd.DataFrame,
    refit: Callable[..., pd.DataFrame],
    rng: np.random.Generator,
    meter: Meter,
    generations: int = GENERATIONS,
) -> np.ndarray:
    """Return (n_curves, generations + 1) measurements of one chain; generation 0 is the release.

    Args:
      regime: of `REGIMES`. start: rows of the release. real: real rows, for `mix`.
      refit: see `AuditSettings.refit`.
    """
    size = len(start)
    last, pool = start, start
    curves = [meter.read(start)]
    for _ in range(generations):
        if regime == "replace":
            training_rows = last
        elif regime == "accumulate":
            training_rows = pool
        else:
            fresh = real.iloc[thin(len(real), size // 2, rng)]
            training_rows = pd.concat([fresh, last.iloc[thin(size, size - len(fresh), rng)]], ignore_index=True)
        made = refit(training_rows, seed=int(rng.integers(2**31)))
        last = made.iloc[thin(len(made), size, rng)].reset_index(drop=True)
        pool = pd.concat([pool, last], ignore_index=True)
        curves.append(meter.read(last))
    return np.stack(curves, axis=1)


@dataclass(repr=False)
class Meter:
    """Measures a generation against the release.

    Attributes:
      tables: for kinds and protected columns. start: rows of generation 0.
      group: the smallest group, whose share is followed, "sex=X".
    """

    tables: AuditTables
    start: pd.DataFrame
    group: str = ""
    _pairs: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        source = AuditTables(
            train=self.start, holdout=None, synthetic=self.start, kinds=self.tables.kinds, roles=self.tables.roles
        )
        self._coders = fit_coders(source, bins=BINS)
        self._sizes = [coder.size for coder in self._coders]
        every = list(combinations(range(len(self._coders)), 2)) or [(0, 0)]
        step = max(1, math.ceil(len(every) / MAX_PAIRS))
        self._pairs = every[::step]
        codes = encode(self.start, self._coders)
        self._before = [self._shares(codes, pair) for pair in self._pairs]
        self._entropy = [_entropy(self._shares(codes, (i,))) for i in range(len(codes))]
        self._minority = self._smallest()

    def _smallest(self) -> tuple[str, str, float]:
        """Return (column, value, share) of the smallest group of at least ten rows, of protected columns if any."""
        every = [name for name in self.tables.columns if not self.tables.is_number(name)]
        columns = [name for name in self.tables.protected if name in every] or every
        found: list[tuple[float, str, str]] = []
        for name in columns:
            counts = pd.Series(texts(self.start[name])[0][~texts(self.start[name])[1]]).value_counts()
            found += [(count / len(self.start), name, str(value)) for value, count in counts.items() if count >= 10]
        if not found:
            return "", "", math.nan
        share, column, value = min(found)
        self.group = f"{column}={value}"
        return column, value, share

    def _shares(self, codes: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
        key, cells = cell_keys(codes, self._sizes, columns)
        return np.bincount(key, minlength=cells) / codes.shape[1]

    def read(self, frame: pd.DataFrame) -> np.ndarray:
        """Return one number for each of `CURVES`; NaN for the minority if no group is large enough."""
        codes = encode(frame, self._coders)
        kept = lost = held = there = far = 0.0
        for pair, before in zip(self._pairs, self._before, strict=True):
            now = self._shares(codes, pair)
            rare = (before > 0) & (before < RARE)
            kept += float(np.minimum(now, before)[rare].sum())
            lost += float(before[rare].sum())
            held += float(((before > 0) & (now > 0)).sum())
            there += float((before > 0).sum())
            far += 0.5 * float(np.abs(now - before).sum())
        spread = sum(_entropy(self._shares(codes, (i,))) for i in range(len(codes)))
        whole = sum(self._entropy)
        column, value, share = self._minority
        minority = math.nan
        if column:
            words, missing = texts(frame[column])
            minority = float(((words == value) & ~missing).mean()) / share
        return np.array(
            [
                kept / lost if lost else 1.0,
                held / there,
                spread / whole if whole else 1.0,
                minority,
                far / len(self._pairs),
            ]
        )


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def half_life(tail: np.ndarray) -> float:
    """Return after how many generations half is lost, from a (generations + 1,) curve that starts at 1.

    By the slope of the logarithm through the start; infinite if nothing is lost. The curve is relative to resampling
    under the same regime, see `beside`.
    """
    steps = np.arange(1, len(tail))
    slope = float(np.dot(steps, np.log(np.maximum(tail[1:], 1e-6))) / np.dot(steps, steps))
    return math.log(KEPT) / slope if slope < 0 else math.inf


def beside(tail: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """Return the (generations + 1,) curve of what is kept, divided by what resampling without a model keeps.

    On its own a chain falls even without decay, because rows are drawn, and because mixed-in real rows differ from the
    release. The resampled curve of the same regime has both effects. 1 where that curve is zero.
    """
    return np.where(resampled > 0, tail / np.where(resampled > 0, resampled, 1.0), 1.0)


def _over_chains(values: np.ndarray) -> Interval:
    """Return the mean over chains with a t interval."""
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def _findings(regime: str, chains: np.ndarray, resampled: np.ndarray, meter: Meter, size: int) -> list[Finding]:
    """Return the findings of a regime from (chains, curves, generations + 1) measurements and those of resampling."""
    steps = chains.shape[2] - 1
    curves = {
        "generation": list(range(steps + 1)),
        **{name: _listed(chains[:, i].mean(axis=0)) for i, name in enumerate(CURVES)},
        **{f"{name}_resampled": _listed(resampled[:, i].mean(axis=0)) for i, name in enumerate(CURVES)},
    }
    findings = []
    for i, curve in enumerate(CURVES):
        name, what = NAMES[curve]
        if not np.isfinite(chains[:, i]).all():
            why = "there is no category of at least ten rows to watch."
            findings.append(insufficient("decay", name, why, group=regime))
            continue
        interval = _over_chains(chains[:, i, -1])
        low, high = max(0.0, interval.low), interval.high
        watched = f" The group is {meter.group}." if curve == "minority" else ""
        findings.append(
            Finding(
                family="decay",
                name=name,
                group=regime,
                value=interval.value,
                low=min(low, interval.value),
                high=high if curve in ("minority", "entropy") else min(1.0, high),
                n=size,
                visibility="officer",
                baseline=float(resampled[:, i, -1].mean()),
                baseline_label="resampling without a model",
                better="target" if curve == "minority" else "lower" if curve == "distance" else "higher",
                meaning=f"{what}{watched} After {steps} generations of {size} rows: {REGIMES[regime]}. "
                f"{len(chains)} chains; the interval is that of their mean.",
                source="own; after Shumailov et al. (2024)",
                detail=curves if curve == "tail" else {},
            )
        )
    findings.append(_half_life(regime, chains[:, 0], resampled[:, 0], steps, size))
    return findings


def _listed(values: np.ndarray) -> list[float | None]:
    return [round(float(v), 5) if math.isfinite(v) else None for v in values]


def _half_life(regime: str, tails: np.ndarray, resampled: np.ndarray, steps: int, size: int) -> Finding:
    """Return the half-life of the rare cells, capped at ten times the generations that were run."""
    cap = 10.0 * steps
    usual = resampled.mean(axis=0)
    interval = _over_chains(np.array([min(cap, half_life(beside(tail, usual))) for tail in tails]))
    kept, drawn = (percent(float(curve[-1]), 0) for curve in (tails.mean(axis=0), usual))
    return Finding.of(
        interval.within(0.0, cap),
        family="decay",
        name="decay_half_life",
        group=regime,
        n=size,
        visibility="officer",
        better="higher",
        meaning="Generations until the generator has lost half of the mass of rare cells that resampling without a "
        f"model keeps under the same regime, by the slope over {steps} generations; {cap:g} stands for that or longer. "
        f"After {steps} the generator keeps {kept} of the release's, resampling {drawn}: {REGIMES[regime]}.",
        source="own; after Shumailov et al. (2024)",
        unit="generations",
    )


AUDIT = Audit(
    name="decay",
    family="decay",
    run=decay,
    titles={
        "decay_tail_mass": "Rare combinations kept after the last generation",
        "decay_support": "Combinations still occupied after the last generation",
        "decay_entropy": "Entropy kept after the last generation",
        "decay_distance": "Distance of pairs from the release",
        "decay_minority_share": "Share of the smallest group kept",
        "decay_half_life": "Generations until half of the rare combinations are gone, compared with resampling",
    },
    levels=("deep",),
    left_out=dict.fromkeys(("quick", "standard"), "Everything: no generator is trained on its own output."),
)
