"""Alarms: exact and near copies of real rows among the synthetic ones.

An alarm shows that something is wrong; no alarm shows nothing. Tables that pass such checks have been attacked
successfully (Ganev & De Cristofaro 2023; Yao et al., "The DCR delusion", 2025).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, numbers, texts, thin
from privsynth.audit.common.row_points import fit_encoder, nearest
from privsynth.audit.common.settings import AuditContext
from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.insufficient import insufficient
from privsynth.stats.intervals import clopper_pearson, lower_bound, normal, upper_bound

MAX_PROBES = 3_000  # synthetic rows whose nearest real rows are sought; bounds the time (own)
MAX_BASE = 5_000  # training rows, and as many holdout rows, among which they are sought; bounds the time (own)
ALONE = 0.01  # false alarms of the test that has no holdout, two bounds together (own)
NOTE = "This is an alarm, never evidence of safety."  # every finding here says so


def alarms(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the shares of exact and of near copies, each with as many holdout rows as control."""
    if not tables.columns or min(len(tables.train), len(tables.synthetic)) == 0:
        return [insufficient("alarms", "exact_copies", "a table has no rows or no columns.")]
    return [_exact(tables, rng), _near(tables, rng)]


def row_codes(tables: AuditTables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a number for each row of train, holdout and synthetic; equal numbers are equal rows.

    Numbers are rounded to 6 decimals, times to seconds; missing equals missing.
    """
    frames = [tables.train, tables.synthetic] + ([] if tables.holdout is None else [tables.holdout])
    key = np.zeros(sum(len(frame) for frame in frames), dtype=np.int64)
    for name in tables.columns:
        if tables.is_number(name):
            cells = np.round(np.concatenate([numbers(frame[name]) for frame in frames]), 6) + 0.0
            codes = pd.factorize(cells, use_na_sentinel=True)[0]
        else:
            words = [texts(frame[name]) for frame in frames]
            codes = pd.factorize(np.concatenate([w for w, _ in words]))[0]
            codes = np.where(np.concatenate([m for _, m in words]), -1, codes)
        codes = codes.astype(np.int64) + 1
        key = pd.factorize(key * (int(codes.max(initial=0)) + 1) + codes)[0].astype(np.int64)
    ends = np.cumsum([len(frame) for frame in frames])
    holdout = key[ends[1] :] if tables.holdout is not None else key[:0]
    return key[: ends[0]], holdout, key[ends[0] : ends[1]]


def _control(tables: AuditTables, rng: np.random.Generator, at_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of equally many training and holdout rows."""
    n_holdout = 0 if tables.holdout is None else len(tables.holdout)
    size = min(len(tables.train), n_holdout, at_most)
    return thin(len(tables.train), size, rng), thin(n_holdout, size, rng)


def _exact(tables: AuditTables, rng: np.random.Generator) -> Finding:
    train, holdout, ours = row_codes(tables)
    n = len(ours)
    copies = int(np.isin(ours, train).sum())
    interval = clopper_pearson(copies, n)
    common: dict[str, Any] = {
        "family": "alarms",
        "name": "exact_copies",
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n": n,
        "visibility": "officer",
        "better": "lower",
        "source": "own; sign test over different rows",
    }
    if len(holdout) == 0:
        all_copied = copies == n and _beyond_chance(ours, train)
        return Finding(
            **common,
            verdict="fail" if all_copied else "review" if copies else "info",
            threshold="no holdout to compare with: any copy asks for a look, and copies of everything fail where more "
            f"rows equal a row that occurs once than new people would ({1 - ALONE:.0%}, Good 1953)",
            meaning=f"Share of synthetic rows that equal a training row in every column. {NOTE} Without a "
            "holdout, chance cannot be told from copying"
            + (", but so many rows of single people are no chance." if all_copied else "."),
            detail={"copies": copies},
        )
    rows_t, rows_h = _control(tables, rng, len(train))
    patterns, weight = np.unique(ours, return_counts=True)
    sign = np.isin(patterns, train[rows_t]).astype(int) - np.isin(patterns, holdout[rows_h]).astype(int)
    excess, low = _excess(sign, weight, n)
    baseline = float(weight[np.isin(patterns, holdout[rows_h])].sum() / n)
    return Finding(
        **common,
        baseline=baseline,
        baseline_label=f"equal to one of {len(rows_h)} holdout rows",
        verdict="fail" if low > 0 else "info",
        threshold="copies of training rows must not exceed copies of equally many holdout rows beyond chance (95 %)",
        meaning="Share of synthetic rows that equal a training row in every column. Rows of few, common "
        f"values coincide by chance; against equally many holdout rows the excess is {100 * excess:.2f} % "
        f"of the rows. {NOTE}",
        detail={"copies": copies, "excess_at_equal_size": excess, "excess_low": low, "compared": len(rows_h)},
    )


def _beyond_chance(ours: np.ndarray, train: np.ndarray) -> bool:
    """Return whether more synthetic rows equal a unique training row than rows of new people would.

    A new row equals a unique training row with probability 2 * (distinct rows that occur twice) / n, estimated from the
    training rows. Rows of few, common values coincide by chance, but with rows that occur often.

    Source: Good (1953), the population frequency of what occurred once; intervals of Clopper & Pearson (1934).
    """
    patterns, times = np.unique(train, return_counts=True)
    hits = int(np.isin(ours, patterns[times == 1]).sum())
    expected = 2 * upper_bound(int((times == 2).sum()), len(train), ALONE / 2)
    return lower_bound(hits, len(ours), ALONE / 2) > expected


def _excess(sign: np.ndarray, weight: np.ndarray, n: int) -> tuple[float, float]:
    """Return the excess share of copies and its lower end; at or below 0 unless the sign test agrees."""
    excess = float(np.dot(sign, weight) / n)
    low = excess - 1.96 * math.sqrt(float(np.dot(sign**2, weight.astype(float) ** 2))) / n
    wins, discordant = int((sign > 0).sum()), int((sign != 0).sum())
    if clopper_pearson(wins, discordant).low <= 0.5:
        low = min(low, 0.0)
    return excess, low


def _near(tables: AuditTables, rng: np.random.Generator) -> Finding:
    rows_t, rows_h = _control(tables, rng, MAX_BASE)
    if len(rows_t) < 20:
        return insufficient("alarms", "near_copies", "needs at least 20 holdout rows to compare with.")
    assert tables.holdout is not None
    encoder = fit_encoder(tables)
    probes = encoder.points(tables.synthetic.iloc[thin(len(tables.synthetic), MAX_PROBES, rng)])
    to_train, at_train = nearest(encoder.points(tables.train.iloc[rows_t]), probes, 1)
    to_hold, at_hold = nearest(encoder.points(tables.holdout.iloc[rows_h]), probes, 1)
    gap = to_hold[:, 0] - to_train[:, 0]
    win = np.where(np.abs(gap) < 1e-6, 0.5, (gap > 0).astype(float))
    variance = _two_way_variance(win - 0.5, at_train[:, 0], at_hold[:, 0])
    interval = normal(float(win.mean()), variance, floor=0.0)
    strict = normal(float(win.mean()), variance, confidence=0.99)
    verdict: Verdict = "review" if strict.low > 0.5 else "info"
    return Finding.of(
        interval.within(high=1.0),
        family="alarms",
        name="near_copies",
        n=len(win),
        visibility="officer",
        baseline=0.5,
        baseline_label="no preference",
        better="target",
        verdict=verdict,
        threshold="the 99 % interval must reach down to 0.5",
        meaning="Share of synthetic rows that are nearer to a training row than to a holdout row, of "
        f"equally many of each. Above 0.5 the synthetic rows lean on the training rows. {NOTE}",
        source="distance to closest record (DCR); Platzer & Reutterer (2021)",
        detail={"compared": len(rows_t)},
    )


def _two_way_variance(pull: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the variance of a mean whose terms depend on each other if they share a neighbour on either side.

    Source: Cameron, Gelbach & Miller (2011).
    """
    squares = [float((np.bincount(codes, weights=pull) ** 2).sum()) for codes in (first, second)]
    single = max(float(np.dot(pull, pull)), 0.25)
    return max(sum(squares) - single, single) / len(pull) ** 2


AUDIT = Audit(
    name="alarms",
    family="alarms",
    run=alarms,
    titles={
        "exact_copies": "Exact copies of real rows",
        "near_copies": "Synthetic rows closer to a training row than to a holdout row",
    },
    whole=True,
)
