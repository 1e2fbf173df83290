"""Public findings about groups of people, from one noisy table score × label × group (see `privsynth.audit.paid`)."""

from __future__ import annotations

import math

import numpy as np

from privsynth.audit.finding import Finding
from privsynth.audit.intervals import wilson

SOURCE = "sums released with Gaussian noise, divided by the paid number of rows"
MIN_ROWS = 50.0


def noisy_interval(values: np.ndarray, value: float) -> tuple[float, float]:
    """Return the 95 % interval of draws (along axis 0), widened to contain the estimate."""
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(min(low, value)), float(max(high, value))


def auroc_of_table(table: np.ndarray) -> np.ndarray:
    """Return AUROC from (..., bins, 2) counts of label 0 and 1 in ascending score bins; ties count one half."""
    negative, positive = np.maximum(table[..., 0], 0.0), np.maximum(table[..., 1], 0.0)
    below = np.cumsum(negative, axis=-1) - negative
    wins = (positive * (below + 0.5 * negative)).sum(axis=-1)
    total = positive.sum(axis=-1) * negative.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, wins / np.maximum(total, 1e-12), np.nan)


def bias_findings(
    noisy: np.ndarray,
    draws: np.ndarray,
    fake: np.ndarray,
    names: list[str],
    label: str,
    positive: str,
    with_label: bool,
) -> list[Finding]:
    """Return representation, base rate and utility of each group.

    Args:
      noisy: (bins, 2, groups) paid counts of the real rows.
      draws: (draws, bins, 2, groups) tables that could have been, for intervals.
      fake: (bins, 2, groups) counts of the synthetic rows.
      names: of the groups to speak of; at most as many as there are.
      label, positive: the target and what label 1 means; used where `with_label`.
    """
    found = []
    total = max(float(noisy.sum()), 1.0)
    total_draws = np.maximum(draws.sum(axis=(1, 2, 3)), 1.0)
    for g, name in enumerate(names):
        group, group_draws = noisy[:, :, g], draws[:, :, :, g]
        rows = max(float(group.sum()), 0.0)
        share = min(rows / total, 1.0)
        real = noisy_interval(group_draws.sum(axis=(1, 2)) / total_draws, share)
        found.append(_representation(name, fake[:, :, g].sum(), fake.sum(), share, real, rows))
        if with_label:
            found.append(_base_rate(name, group, group_draws, fake[:, :, g], label, positive))
            if noisy.shape[0] > 1:
                found += _group_auroc(group, group_draws, name, label, rows)
    return found


def _representation(
    name: str, fake_rows: float, fake_total: float, share: float, real: tuple[float, float], rows: float
) -> Finding:
    own = wilson(int(fake_rows), max(int(fake_total), 1))
    apart = own.value < real[0] / 1.25 or own.value > real[1] * 1.25
    return Finding(
        family="bias",
        name="representation",
        group=name,
        value=own.value,
        low=own.low,
        high=own.high,
        n=round(rows),
        baseline=share,
        baseline_label="real share (noisy)",
        better="target",
        visibility="public",
        verdict="review" if apart else "pass",
        threshold="review if the synthetic share is beyond the interval of the real one by a factor of 1.25",
        meaning=f"Share of the synthetic rows in this group. The real share lies between {real[0]:.3f} and "
        f"{real[1]:.3f} (95 %, noise included).",
        source=SOURCE,
        detail={"real_low": real[0], "real_high": real[1]},
    )


def _base_rate(name: str, group: np.ndarray, draws: np.ndarray, fake: np.ndarray, label: str, positive: str) -> Finding:
    rows, spread = float(group.sum()), float(np.std(draws.sum(axis=(1, 2))))
    meaning = f"How often {label} is '{positive}' in this group of the synthetic rows."
    if rows <= max(MIN_ROWS, 4 * spread) or fake.sum() == 0:
        return Finding(
            family="bias",
            name="base_rate",
            group=name,
            value=None,
            visibility="public",
            verdict="insufficient",
            n=round(max(rows, 0.0)),
            source=SOURCE,
            meaning=meaning + " Too few rows for the noise of this release.",
        )
    rate = float(np.clip(group[:, 1].sum() / rows, 0.0, 1.0))
    real = noisy_interval(draws[:, :, 1].sum(axis=1) / np.maximum(draws.sum(axis=(1, 2)), 1.0), rate)
    own = wilson(int(fake[:, 1].sum()), int(fake.sum()))
    apart = own.value < real[0] - 0.05 or own.value > real[1] + 0.05
    return Finding(
        family="bias",
        name="base_rate",
        group=name,
        value=own.value,
        low=own.low,
        high=own.high,
        n=round(rows),
        baseline=rate,
        baseline_label="real rate (noisy)",
        better="target",
        visibility="public",
        verdict="review" if apart else "pass",
        threshold="review if the synthetic rate is beyond the interval of the real one by 5 points",
        meaning=f"{meaning} The real rate lies between {real[0]:.3f} and {real[1]:.3f} (95 %, noise included).",
        source=SOURCE,
        detail={"real_low": real[0], "real_high": real[1]},
    )


def _group_auroc(table: np.ndarray, draws: np.ndarray, name: str, label: str, rows: float) -> list[Finding]:
    value = float(auroc_of_table(table))
    if not math.isfinite(value):
        return []
    low, high = noisy_interval(auroc_of_table(draws), value)
    wide = high - low > 0.3
    return [
        Finding(
            family="bias",
            name="downstream_auroc",
            group=name,
            value=None if wide else value,
            low=None if wide else low,
            high=None if wide else high,
            n=round(rows),
            baseline=0.5,
            baseline_label="chance",
            better="higher",
            visibility="public",
            source=SOURCE,
            verdict="insufficient" if wide else "info",
            meaning=f"How well a model trained on synthetic rows ranks {label} among the real rows of this group.",
        )
    ]
