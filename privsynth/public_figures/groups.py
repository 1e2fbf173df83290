"""Public findings on groups of people, from one noisy table score × label × group per protected column."""

from __future__ import annotations

from typing import Any

import numpy as np

from privsynth.findings.finding import Finding
from privsynth.findings.group_share import beside_real
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.public_figures.inputs import PaidInputs
from privsynth.public_figures.noisy_table import (
    SOURCE,
    USELESS,
    NoisyTable,
    Rate,
    area_figure,
    no_figure,
    paid_figure,
    rate,
)
from privsynth.public_figures.utility import Scores
from privsynth.stats.intervals import Interval, wilson

RATES = {
    "selection_rate": "Share of the real rows of this group that the model would select",
    "true_positive_rate": "Share of the real rows with the outcome that the model would select, in this group",
    "false_positive_rate": "Share of the real rows without the outcome that the model would select, in this group",
}
_GAPS = {
    "selection_rate_gap": "Difference between the groups with the highest and the lowest selection rate",
    "true_positive_rate_gap": "Difference between the groups with the highest and the lowest true positive rate",
    "false_positive_rate_gap": "Difference between the groups with the highest and the lowest false positive rate",
}


def group_findings(
    inputs: PaidInputs, scores: Scores, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return representation, base rate, utility and the model's rates of each group of each protected column.

    Guarantee: one Gaussian release per column, together `mu_squared` of the part "report".
    """
    data = inputs.data
    sides = inputs.single_attribute(inputs.protected)
    found: list[Finding] = []
    for column, real, own in zip(sides, scores.real[1:], scores.synthetic[1:], strict=True):
        shape = real.shape
        release = mechanisms.gaussian(
            real.ravel(),
            l2_sensitivity=float(data.max_rows_per_unit),
            part="report",
            mu_squared=mu_squared / len(sides),
            label=f"counts of score × {scores.label or 'nothing'} × {column}",
        )
        table = NoisyTable.around(release.values.reshape(shape), release.sigma, rng)
        names = [f"{column}={text}" for text in inputs.texts_of(column)[: shape[2]]]
        shown = names if inputs.may_be_missing(column) else names[:-1]
        found += _of_groups(table, own, shown, scores)
        if scores.ranks:
            found += _gaps(table, column, scores, len(shown))
    return found


def _of_groups(table: NoisyTable, fake: np.ndarray, names: list[str], scores: Scores) -> list[Finding]:
    found = []
    for g, name in enumerate(names):
        group = table[:, :, g]
        found.append(_representation(name, group, table, int(fake[:, :, g].sum()), int(fake.sum())))
        if scores.label:
            found.append(_base_rate(name, group, fake[:, :, g], scores))
        if scores.ranks:
            found.append(_group_auroc(group, name, scores))
            found += [_rate_finding(kind, group, name, scores) for kind in RATES]
    return found


def _representation(name: str, group: NoisyTable, table: NoisyTable, rows: int, total: int) -> Finding:
    meaning = "Share of the synthetic rows in this group."
    common = {"name": "representation", "group": name, "source": SOURCE}
    real = rate(group, table)
    if real is None:
        return no_figure(meaning, family="bias", n=max(round(group.total), 0), **common)
    own = wilson(rows, max(total, 1))
    apart = own.value < real.low / 1.25 or own.value > real.high * 1.25
    return _beside(
        own,
        real,
        "share",
        apart=apart,
        threshold="review if the synthetic share is outside the interval of the real one by over a factor of 1.25",
        meaning=meaning,
        n=max(round(group.total), 0),
        **common,
    )


def _base_rate(name: str, group: NoisyTable, fake: np.ndarray, scores: Scores) -> Finding:
    meaning = f"How often {scores.label} is '{scores.positive}' in this group of the synthetic rows."
    common = {"name": "base_rate", "group": name, "source": SOURCE, "n": max(round(group.total), 0)}
    real = rate(group[:, 1], group)
    if real is None or real.useless or fake.sum() == 0:
        return no_figure(meaning, family="bias", **common)
    own = wilson(int(fake[:, 1].sum()), int(fake.sum()))
    return _beside(
        own,
        real,
        "rate",
        apart=own.value < real.low - 0.05 or own.value > real.high + 0.05,
        threshold="review if the synthetic rate is more than 5 percentage points outside the interval of the real one",
        meaning=meaning,
        **common,
    )


def _beside(own: Interval, real: Rate, word: str, *, apart: bool, meaning: str, **more: Any) -> Finding:
    """Return a figure of the synthetic rows beside the noisy real one."""
    return beside_real(
        own,
        real.value,
        baseline_label=f"real {word} (noisy)",
        visibility="public",
        verdict="review" if apart else "pass",
        meaning=f"{meaning} The real {word} lies between {real.low:.3f} and {real.high:.3f} (95 %, noise included).",
        detail={"real_low": real.low, "real_high": real.high},
        **more,
    )


def _group_auroc(group: NoisyTable, name: str, scores: Scores) -> Finding:
    meaning = f"How well a model trained on synthetic rows ranks {scores.label} among the real rows of this group."
    return area_figure(
        group, meaning=meaning, family="bias", name="downstream_auroc", group=name, source=SOURCE, better="higher"
    )


def _selected(kind: str, group: NoisyTable, scores: Scores, *, confidence: float = 0.95) -> Rate | None:
    """Return one of `RATES` of a group."""
    labels = {"selection_rate": slice(0, 2), "true_positive_rate": slice(1, 2), "false_positive_rate": slice(0, 1)}
    whole = group[:, labels[kind]]
    return rate(whole[scores.selected_from :], whole, confidence=confidence)


def _rate_finding(kind: str, group: NoisyTable, name: str, scores: Scores) -> Finding:
    meaning = (
        f"{RATES[kind]}. A model trained on synthetic rows selects as many of them as have "
        f"{scores.label} = '{scores.positive}'."
    )
    common = {"family": "bias", "name": kind, "group": name, "source": SOURCE, "n": max(round(group.total), 0)}
    seen = _selected(kind, group, scores)
    if seen is None:
        return no_figure(meaning, **common)
    return paid_figure(**common, value=seen.value, low=seen.low, high=seen.high, useless=seen.useless, meaning=meaning)


def _gaps(table: NoisyTable, column: str, scores: Scores, groups: int) -> list[Finding]:
    """Return the largest difference of each rate between groups; the interval holds for all groups at once."""
    found = []
    for gap, meaning in _GAPS.items():
        kind = gap.removesuffix("_gap")
        confidence = 1 - 0.05 / max(groups, 1)
        rates = [_selected(kind, table[:, :, g], scores, confidence=confidence) for g in range(groups)]
        told = [seen for seen in rates if seen is not None and not seen.useless]
        common = {"family": "bias", "name": gap, "group": column, "source": f"Hardt et al. (2016); {SOURCE}"}
        sentence = f"{meaning}. Groups with too few rows for the noise are left out; they are listed above."
        if len(told) < 2:
            found.append(no_figure(sentence, **common))
            continue
        values = [seen.value for seen in told]
        low = max(0.0, max(seen.low for seen in told) - min(seen.high for seen in told))
        high = max(seen.high for seen in told) - min(seen.low for seen in told)
        found.append(
            paid_figure(
                **common,
                value=max(values) - min(values),
                low=low,
                high=high,
                useless=high - low > 2 * USELESS,
                n=len(told),
                baseline=0.0,
                baseline_label="no difference",
                better="lower",
                unit="",
                meaning=f"{sentence} n counts groups.",
            )
        )
    return found
