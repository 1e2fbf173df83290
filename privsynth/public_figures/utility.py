"""Train on synthetic rows, test on real ones, from one noisy table score × label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from privsynth.codecs.encoded_table import CodedRows
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


@dataclass(frozen=True, eq=False)
class PositiveLabel:
    """What makes a row a positive one; a function of the synthetic rows.

    Attributes:
      attribute: of the target.
      code: that it has.
      above: whether codes above it count instead.
    """

    attribute: int
    code: int
    above: bool

    def of(self, codes: np.ndarray) -> np.ndarray:
        """Return (n,) uint16 labels, 0 or 1, of (attributes, n) codes."""
        own = codes[self.attribute]
        return (own > self.code if self.above else own == self.code).astype(np.uint16)


@dataclass(frozen=True, eq=False)
class Ranking:
    """A model that saw synthetic rows only.

    Attributes:
      model: fitted, with `decision_function`.
      used: attributes that it sees.
      edges: of the bins of its score, ascending.
    """

    model: Any
    used: list[int]
    edges: np.ndarray

    def bin_of(self, codes: np.ndarray) -> np.ndarray:
        """Return (n,) uint16 bins of the score of (attributes, n) codes."""
        # A score is a sum of leaves: unlike a matrix product, it is the same to the last bit whatever other rows there
        # are. Rows are taken in parts, for scikit-learn makes eight bytes of each code.
        found = np.empty(codes.shape[1], dtype=np.uint16)
        for start in range(0, codes.shape[1], AT_ONCE):
            some = slice(start, start + AT_ONCE)
            found[some] = np.digitize(self.model.decision_function(_features(codes[:, some], self.used)), self.edges)
        return found


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Scores:
    """How rows are scored and labelled, a function of the synthetic rows; and tables of them, real and synthetic.

    Attributes:
      label: name of the target; "" if there is none: then all labels are 0 and there is one bin.
      positive: what label 1 means.
      labels, ranking: of rows; None where there is no target, or no model.
      bins: number of bins, in ascending order of the score.
      predicted: (bins,) mean predicted probability of the synthetic rows of each bin that did not train the model.
      selected_from: first bin of the rows that the model would select: as many synthetic rows as are positive.
      real, synthetic: tables score × label, and score × label × group of each protected column that is one attribute.
        Those of real rows are private.
    """

    label: str = ""
    positive: str = ""
    labels: PositiveLabel | None = None
    ranking: Ranking | None = None
    bins: int = 1
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(1))
    selected_from: int = 1
    real: Sequence[np.ndarray] = ()
    synthetic: Sequence[np.ndarray] = ()

    @property
    def ranks(self) -> bool:
        """Whether there is a model at all."""
        return self.bins > 1

    def tables(self, codes: np.ndarray, groups: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Return the tables score × label, and score × label × group of some attributes; private if the rows are.

        Args:
          codes: (attributes, n).
          groups: attributes and their sizes.
        """
        none = np.zeros(codes.shape[1], dtype=np.uint16)
        score = none if self.ranking is None else self.ranking.bin_of(codes)
        label = none if self.labels is None else self.labels.of(codes)
        shape = (self.bins, 2)
        by_group = [counts_of((score, label, codes[a]), (*shape, size)) for a, size in groups]
        return [counts_of((score, label), shape), *by_group]


def count_scores(rows: CodedRows, scores: Scores, groups: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Return the tables of the rows of one partition (see `Scores.tables`). Private."""
    return scores.tables(rows.codes, groups)


def score_rows(inputs: PaidInputs, rng: np.random.Generator) -> Scores:
    """Return how rows are labelled, and scored by a model trained on half of the synthetic rows; and tables of them."""
    scores = _learned(inputs, rng)
    groups = [(a, inputs.data.sizes[a]) for a in inputs.single_attribute(inputs.protected).values()]
    real = inputs.data.add_up(partial(count_scores, scores=scores, groups=groups))
    return replace(scores, real=real, synthetic=scores.tables(inputs.synthetic, groups))


def _learned(inputs: PaidInputs, rng: np.random.Generator) -> Scores:
    n_fake = inputs.synthetic.shape[1]
    target = inputs.single_attribute((inputs.target,)) if inputs.target else {}
    if not target:
        return Scores()
    ((name, attribute),) = target.items()
    labels, positive = _labels(inputs, name, attribute)
    fake_label = labels.of(inputs.synthetic)
    own = set(inputs.codec.attributes_of(name))
    used = [i for i in range(len(inputs.data.sizes)) if i not in own]
    known = rng.permutation(n_fake)[:MAX_ROWS]
    half, rest = known[: len(known) // 2], known[len(known) // 2 :]
    if not used or len(known) < MIN_ROWS or len(np.unique(fake_label[half])) < 2:
        return Scores(label=name, positive=positive, labels=labels)
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
    return Scores(
        label=name,
        positive=positive,
        labels=labels,
        ranking=Ranking(model, used, edges),
        bins=bins,
        predicted=np.bincount(of_rest, weights=chance, minlength=bins) / np.maximum(members, 1),
        selected_from=int(np.searchsorted(edges, cut)) + 1,
    )


def _features(codes: np.ndarray, used: list[int]) -> np.ndarray:
    """Return (n, len(used)) float32 features of (attributes, n) codes."""
    return codes[used].T.astype(np.float32)


def _labels(inputs: PaidInputs, name: str, attribute: int) -> tuple[PositiveLabel, str]:
    """Return what makes a row a positive one, and what it means; chosen on synthetic rows."""
    facts, fake = inputs.data.attributes[attribute], inputs.synthetic[attribute]
    if facts.ordered:
        middle = int(np.median(fake)) if len(fake) else 0
        return PositiveLabel(attribute, middle, above=True), "above the synthetic median"
    counts = np.bincount(fake, minlength=facts.size)
    order = np.argsort(-counts, kind="stable")
    chosen = int(order[1]) if len(order) > 1 and counts[order[1]] > 0 else int(order[0])
    texts = inputs.texts_of(name)
    return PositiveLabel(attribute, chosen, above=False), texts[min(chosen, len(texts) - 1)]


def utility_findings(
    inputs: PaidInputs, scores: Scores, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return AUROC and calibration of a model that saw synthetic rows only, on the real rows.

    Guarantee: one Gaussian release of `mu_squared` of the part "report".
    """
    release = mechanisms.gaussian(
        scores.real[0].ravel(),
        l2_sensitivity=float(inputs.data.max_rows_per_unit),
        part="report",
        mu_squared=mu_squared,
        label=f"counts of score × {scores.label}",
    )
    table = NoisyTable.around(release.values.reshape(scores.bins, 2), release.sigma, rng)
    n = round(inputs.data.n_rows)
    return [_auroc_finding(table, scores, n), *_calibration(table, scores)]


def _auroc_finding(table: NoisyTable, scores: Scores, n: int) -> Finding:
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


def _calibration(table: NoisyTable, scores: Scores) -> list[Finding]:
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


def _bin_finding(b: int, seen: Rate | None, scores: Scores, rows: float) -> Finding:
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


def _calibration_error(gaps: list[tuple[float, Rate, float]], scores: Scores) -> Finding:
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
