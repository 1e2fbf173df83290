"""Train on synthetic rows, test on real ones, from one noisy table score × label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privsynth.findings.finding import Finding
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.public_figures.inputs import PaidInputs
from privsynth.public_figures.noisy_table import (
    SOURCE,
    USELESS,
    NoisyTable,
    Rate,
    auroc,
    counts_of,
    no_figure,
    paid_figure,
    rate,
)
from privsynth.stats.leaf_penalty import leaf_penalty

SCORE_BINS = 8  # few, so that each holds more rows than noise (own)
MAX_ROWS = 50_000  # synthetic rows that train the model or set the bins; bounds the time (own)
MIN_ROWS = 50  # synthetic rows, for a model at all (own)
AT_ONCE = 1 << 17  # rows that are scored at once; bounds memory (own)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Scored:
    """Score bins and labels of rows; those of real rows are private.

    Attributes:
      label: name of the target; "" if there is none: then all labels are 0 and there is one bin.
      positive: what label 1 means.
      real_bin, real_label: (n,) uint16 of the real rows.
      fake_bin, fake_label: (m,) uint16 of the synthetic rows.
      bins: number of bins, in ascending order of the score.
      predicted: (bins,) mean predicted probability of the synthetic rows of each bin that did not train the model.
      selected_from: first bin of the rows that the model would select: as many synthetic rows as are positive.
    """

    label: str
    positive: str
    real_bin: np.ndarray
    real_label: np.ndarray
    fake_bin: np.ndarray
    fake_label: np.ndarray
    bins: int
    predicted: np.ndarray
    selected_from: int

    @property
    def ranks(self) -> bool:
        """Whether there is a model at all."""
        return self.bins > 1


def score_rows(inputs: PaidInputs, rng: np.random.Generator) -> Scored:
    """Return the label of each row, and its score bin by a model trained on half of the synthetic rows."""
    n_real, n_fake = inputs.data.gathered().codes.shape[1], inputs.synthetic.shape[1]
    target = inputs.single_attribute((inputs.target,)) if inputs.target else {}
    if not target:
        return _unranked("", "", np.zeros(n_real, np.uint16), np.zeros(n_fake, np.uint16))
    ((name, attribute),) = target.items()
    real_label, fake_label, positive = _labels(inputs, name, attribute)
    own = set(inputs.codec.attributes_of(name))
    used = [i for i in range(len(inputs.data.sizes)) if i not in own]
    known = rng.permutation(n_fake)[:MAX_ROWS]
    half, rest = known[: len(known) // 2], known[len(known) // 2 :]
    if not used or len(known) < MIN_ROWS or len(np.unique(fake_label[half])) < 2:
        return _unranked(name, positive, real_label, fake_label)
    from sklearn.ensemble import HistGradientBoostingClassifier

    known_label = fake_label[half]
    model = HistGradientBoostingClassifier(
        max_iter=80, early_stopping=False, random_state=0, l2_regularization=leaf_penalty(known_label)
    )
    model.fit(_features(inputs.synthetic[:, half], used), known_label)
    score = model.decision_function(_features(inputs.synthetic[:, rest], used))
    cut = float(np.quantile(score, 1 - fake_label[rest].mean()))
    quantiles = np.quantile(score, np.linspace(0, 1, SCORE_BINS)[1:-1])
    edges = np.unique(np.append(quantiles, cut))
    bins = len(edges) + 1
    chance = 1 / (1 + np.exp(-score))  # of rows that did not train the model, as the real ones did not
    of_rest = np.digitize(score, edges)
    members = np.bincount(of_rest, minlength=bins)

    def bins_of(codes: np.ndarray) -> np.ndarray:
        # A score is a sum of leaves: unlike a matrix product, it is the same to the last bit whatever other rows there
        # are. Rows are taken in parts, for scikit-learn makes eight bytes of each code.
        found = np.empty(codes.shape[1], dtype=np.uint16)
        for start in range(0, codes.shape[1], AT_ONCE):
            some = slice(start, start + AT_ONCE)
            found[some] = np.digitize(model.decision_function(_features(codes[:, some], used)), edges)
        return found

    return Scored(
        label=name,
        positive=positive,
        real_bin=bins_of(inputs.data.gathered().codes),
        real_label=real_label,
        fake_bin=bins_of(inputs.synthetic),
        fake_label=fake_label,
        bins=bins,
        predicted=np.bincount(of_rest, weights=chance, minlength=bins) / np.maximum(members, 1),
        selected_from=int(np.searchsorted(edges, cut)) + 1,
    )


def _features(codes: np.ndarray, used: list[int]) -> np.ndarray:
    """Return (n, len(used)) float32 features of (attributes, n) codes."""
    return codes[used].T.astype(np.float32)


def _unranked(label: str, positive: str, real: np.ndarray, fake: np.ndarray) -> Scored:
    return Scored(
        label=label,
        positive=positive,
        real_bin=np.zeros_like(real),
        real_label=real,
        fake_bin=np.zeros_like(fake),
        fake_label=fake,
        bins=1,
        predicted=np.zeros(1),
        selected_from=1,
    )


def _labels(inputs: PaidInputs, name: str, attribute: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return real and synthetic labels (0/1), and what 1 means; chosen on synthetic rows."""
    facts = inputs.data.attributes[attribute]
    fake, real = inputs.synthetic[attribute], inputs.data.gathered().codes[attribute]
    if facts.ordered:
        middle = int(np.median(fake)) if len(fake) else 0
        return (real > middle).astype(np.uint16), (fake > middle).astype(np.uint16), "above the synthetic median"
    counts = np.bincount(fake, minlength=facts.size)
    order = np.argsort(-counts, kind="stable")
    chosen = int(order[1]) if len(order) > 1 and counts[order[1]] > 0 else int(order[0])
    texts = inputs.texts_of(name)
    words = texts[min(chosen, len(texts) - 1)]
    return (real == chosen).astype(np.uint16), (fake == chosen).astype(np.uint16), words


def utility_findings(
    inputs: PaidInputs, scores: Scored, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return AUROC and calibration of a model that saw synthetic rows only, on the real rows.

    Guarantee: one Gaussian release of `mu_squared` of the part "report".
    """
    release = mechanisms.gaussian(
        counts_of((scores.real_bin, scores.real_label), (scores.bins, 2)).ravel(),
        l2_sensitivity=float(inputs.data.max_rows_per_unit),
        part="report",
        mu_squared=mu_squared,
        label=f"counts of score × {scores.label}",
    )
    table = NoisyTable.around(release.values.reshape(scores.bins, 2), release.sigma, rng)
    n = round(inputs.data.n_rows)
    return [_auroc_finding(table, scores, n), *_calibration(table, scores)]


def _auroc_finding(table: NoisyTable, scores: Scored, n: int) -> Finding:
    area = auroc(table) if scores.ranks else None
    common = {"family": "utility", "name": "tstr_auroc", "group": scores.label, "n": n, "source": SOURCE}
    meaning = (
        f"A model trained only on synthetic rows predicts whether {scores.label} is '{scores.positive}' for "
        "the real rows; 0.5 is chance, 1 is perfect. From a noisy table of scores and labels."
    )
    if area is None:
        return no_figure(meaning, **common)
    return paid_figure(
        **common,
        value=area.value,
        low=area.low,
        high=area.high,
        useless=area.useless,
        baseline=0.5,
        baseline_label="chance",
        better="higher",
        meaning=meaning,
    )


def _calibration(table: NoisyTable, scores: Scored) -> list[Finding]:
    """Return the rate of the outcome in each score bin beside the predicted one, and their mean distance."""
    if not scores.ranks:
        return []
    found, gaps = [], []
    for b in range(scores.bins):
        seen = rate(table[b, 1:2], table[b])
        found.append(_bin_finding(b, seen, scores, table[b].total))
        if seen is not None:
            gaps.append((table[b].total, seen, float(scores.predicted[b])))
    return [_calibration_error(gaps, scores), *found]


def _bin_finding(b: int, seen: Rate | None, scores: Scored, rows: float) -> Finding:
    common = {
        "family": "utility",
        "name": "calibration",
        "group": f"score bin {b + 1} of {scores.bins} · {scores.label}",
        "n": max(round(rows), 0),
        "source": SOURCE,
    }
    meaning = (
        f"How often {scores.label} is '{scores.positive}' among the real rows of this bin of the score, beside what "
        "a model trained on synthetic rows predicts."
    )
    if seen is None:
        return no_figure(meaning, **common)
    return paid_figure(
        **common,
        value=seen.value,
        low=seen.low,
        high=seen.high,
        useless=seen.useless,
        baseline=float(scores.predicted[b]),
        baseline_label="predicted",
        better="target",
        meaning=meaning,
    )


def _calibration_error(gaps: list[tuple[float, Rate, float]], scores: Scored) -> Finding:
    common = {"family": "utility", "name": "calibration_error", "group": scores.label, "source": SOURCE}
    meaning = (
        "Mean difference between the predicted and the observed rate over the bins of the score; 0 is perfect. Noise "
        "makes it larger on average: the lower end of the interval is what noise cannot explain."
    )
    total = sum(rows for rows, _, _ in gaps)
    if not gaps:
        return no_figure(meaning, **common)

    def mean(of: list[float]) -> float:
        return sum(rows * gap for (rows, _, _), gap in zip(gaps, of, strict=True)) / total

    value = mean([abs(seen.value - said) for _, seen, said in gaps])
    low = mean([max(seen.low - said, said - seen.high, 0.0) for _, seen, said in gaps])
    high = mean([max(abs(seen.low - said), abs(seen.high - said)) for _, seen, said in gaps])
    return paid_figure(
        **common,
        value=value,
        low=low,
        high=high,
        useless=high - low > USELESS,
        n=round(total),
        baseline=0.0,
        baseline_label="perfect",
        better="lower",
        meaning=meaning,
    )
