"""The figures of the public report: each from one paid release, or from the synthetic rows alone.

The neighbouring relation adds or removes a unit, and the number of rows is a paid constant N̂. So what is released are
*sums*, whose sensitivity is plain, and everything printed is computed from them afterwards:

* ½·Σ|c − N̂·s| over the cells of a table, c real counts and s synthetic shares: a row moves one cell by one, so a unit
  of k rows moves the sum by at most k/2; a mean of such sums over a fixed list moves by at most k/2 too.
* a table score × label × group of counts, the score given by a model that saw synthetic rows only: a unit moves it by
  at most k in L2. Accuracy, AUROC, base rates, group shares and gaps follow from the table.

Intervals contain the noise, and for rates the sampling error too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from privsynth.audit.finding import Finding
from privsynth.audit.paid_groups import SOURCE, auroc_of_table, bias_findings, noisy_interval
from privsynth.encoding.codec import TableCodec
from privsynth.generators.encoded import Encoded
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

FIDELITY_SHARE = 0.45
MAX_TABLES = 300
SCORE_BINS = 8
STEP = 2.0**-8
DRAWS = 400


@dataclass(frozen=True, kw_only=True)
class PaidInputs:
    """What the public figures are made of.

    Attributes:
      data: private codes of all rows that were used, training and holdout.
      synthetic: (attributes, m) codes of the released rows.
      codec: columns and attributes.
      target: column that somebody will want to predict, or None.
      protected: columns whose groups have to be treated alike.
    """

    data: Encoded
    synthetic: np.ndarray
    codec: TableCodec
    target: str | None
    protected: tuple[str, ...]


def paid_findings(
    inputs: PaidInputs, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return the public findings.

    Guarantee: spends at most `mu_squared` of the part "report"; every other input is public.
    Args:
      rng: published randomness, for the choice of triples, the utility model and the intervals.
    """
    groups = _single_attribute(inputs, inputs.protected)
    target = _single_attribute(inputs, (inputs.target,) if inputs.target else ())
    tables = bool(groups or target)
    fidelity = mu_squared * (FIDELITY_SHARE if tables else 1.0) * (1 - 1e-9)
    found = _fidelity(inputs, mechanisms, fidelity, rng)
    if tables:
        found += _group_tables(inputs, mechanisms, (mu_squared - fidelity) * (1 - 1e-9), groups, target, rng)
    return found


def _single_attribute(inputs: PaidInputs, columns: Sequence[str]) -> dict[str, int]:
    """Return column -> attribute for the columns that are one attribute."""
    found = {name: inputs.codec.attributes_of(name) for name in columns}
    return {name: indices[0] for name, indices in found.items() if len(indices) == 1}


def _fidelity(inputs: PaidInputs, mechanisms: Mechanisms, mu_squared: float, rng: np.random.Generator) -> list[Finding]:
    data, sizes = inputs.data, inputs.data.sizes
    if not sizes:
        return []
    singles = [(i,) for i in range(len(sizes))]
    pairs = _some(list(combinations(range(len(sizes)), 2)), MAX_TABLES, rng)
    triples = _some_triples(len(sizes), MAX_TABLES // 2, rng)
    k = data.max_rows_per_unit
    of_singles = np.array([_distance(data, inputs.synthetic, table) for table in singles])
    means = [of_singles.mean()]
    names = ["tvd_1way_mean"]
    for name, tables in (("tvd_2way_mean", pairs), ("tvd_3way_mean", triples)):
        if tables:
            means.append(float(np.mean([_distance(data, inputs.synthetic, table) for table in tables])))
            names.append(name)
    found = []
    release = mechanisms.gaussian(
        on_grid(np.array(means), STEP),
        l2_sensitivity=grid_sensitivity(k / 2 * math.sqrt(len(means)), len(means), STEP),
        part="report",
        mu_squared=mu_squared / 2,
        label="mean distances of 1-, 2- and 3-way tables",
    )
    words = {"tvd_1way_mean": "single columns", "tvd_2way_mean": "pairs of columns", "tvd_3way_mean": "triples"}
    for name, value in zip(names, release.values * STEP, strict=True):
        found.append(_distance_finding(name, "", float(value), release.sigma * STEP, data.n_rows, words[name]))
    release = mechanisms.gaussian(
        on_grid(of_singles, STEP),
        l2_sensitivity=grid_sensitivity(k / 2 * math.sqrt(len(singles)), len(singles), STEP),
        part="report",
        mu_squared=mu_squared / 2,
        label="distance of each column",
    )
    for attribute, value in zip(data.attributes, release.values * STEP, strict=True):
        found.append(
            _distance_finding(
                "tvd_1way", attribute.name, float(value), release.sigma * STEP, data.n_rows, "this column"
            )
        )
    return found


def _some(tables: list[tuple[int, ...]], most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if len(tables) <= most:
        return tables
    return [tables[i] for i in sorted(rng.choice(len(tables), size=most, replace=False).tolist())]


def _some_triples(count: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    if math.comb(count, 3) <= most:
        return list(combinations(range(count), 3))
    drawn = {tuple(sorted(rng.choice(count, size=3, replace=False).tolist())) for _ in range(most)}
    return sorted(drawn)


def _distance(data: Encoded, synthetic: np.ndarray, table: tuple[int, ...]) -> float:
    """Return ½·Σ|c − N̂·s| in rows. Private until it is released. Sparse: cells that nobody has cost nothing."""
    real, fake = (_index(codes, data.sizes, table) for codes in (data.codes, synthetic))
    cells, inverse = np.unique(np.concatenate([real, fake]), return_inverse=True)
    counts = np.bincount(inverse[: len(real)], minlength=len(cells))
    shares = np.bincount(inverse[len(real) :], minlength=len(cells)) / max(len(fake), 1)
    return float(0.5 * np.abs(counts - data.n_rows * shares).sum())


def _index(codes: np.ndarray, sizes: list[int], table: tuple[int, ...]) -> np.ndarray:
    index = codes[table[0]].astype(np.int64)
    for attribute in table[1:]:
        index = index * sizes[attribute] + codes[attribute]
    return index


def _distance_finding(name: str, group: str, rows: float, sigma: float, n_rows: float, what: str) -> Finding:
    value, half = rows / n_rows, 1.96 * sigma / n_rows
    return Finding(
        family="fidelity",
        name=name,
        group=group,
        value=min(max(value, 0.0), 1.0),
        low=min(max(value - half, 0.0), 1.0),
        high=min(max(value + half, 0.0), 1.0),
        n=round(n_rows),
        visibility="public",
        better="lower",
        meaning=f"Share of rows that would have to change for {what} to be distributed as in the real table; "
        "0 is a perfect match. The interval is the noise of the release.",
        source=SOURCE,
    )


def _group_tables(
    inputs: PaidInputs,
    mechanisms: Mechanisms,
    mu_squared: float,
    groups: Mapping[str, int],
    target: Mapping[str, int],
    rng: np.random.Generator,
) -> list[Finding]:
    """Release one table score × label × group for each protected column (or one without groups)."""
    data = inputs.data
    label_name, label_real, label_fake, positive = _labels(inputs, target)
    real_bin, fake_bin, bins = _scores(inputs, target, label_fake, rng)
    found: list[Finding] = []
    sides: list[tuple[str, int | None]] = list(groups.items()) or [("", None)]
    for at, (column, attribute) in enumerate(sides):
        size = data.sizes[attribute] if attribute is not None else 1
        real_group = data.codes[attribute] if attribute is not None else np.zeros(data.codes.shape[1], np.int64)
        fake_group = inputs.synthetic[attribute] if attribute is not None else np.zeros(inputs.synthetic.shape[1], int)
        shape = (bins, 2, size)
        exact = np.bincount(np.ravel_multi_index((real_bin, label_real, real_group), shape), minlength=math.prod(shape))
        fake = np.bincount(np.ravel_multi_index((fake_bin, label_fake, fake_group), shape), minlength=math.prod(shape))
        release = mechanisms.gaussian(
            exact,
            l2_sensitivity=float(data.max_rows_per_unit),
            part="report",
            mu_squared=mu_squared / len(sides),
            label=f"counts of score × {label_name or 'nothing'} × {column or 'all rows'}",
        )
        noisy = release.values.astype(np.float64).reshape(shape)
        names = _group_names(inputs, column, size)
        draws = _draws(noisy, release.sigma, rng)
        if target and at == 0:
            found.append(_auroc_finding(noisy, draws, label_name, positive, data.n_rows))
        if attribute is not None:
            found += bias_findings(noisy, draws, fake.reshape(shape), names, label_name, positive, bool(target))
    return found


def _labels(inputs: PaidInputs, target: Mapping[str, int]) -> tuple[str, np.ndarray, np.ndarray, str]:
    """Return the target's name, real and synthetic labels (0/1), and what 1 means; chosen on synthetic rows."""
    n_real, n_fake = inputs.data.codes.shape[1], inputs.synthetic.shape[1]
    if not target:
        return "", np.zeros(n_real, np.int64), np.zeros(n_fake, np.int64), ""
    ((name, attribute),) = target.items()
    facts = inputs.data.attributes[attribute]
    fake, real = inputs.synthetic[attribute].astype(np.int64), inputs.data.codes[attribute].astype(np.int64)
    if facts.ordered:
        middle = int(np.median(fake)) if len(fake) else 0
        return name, (real > middle).astype(np.int64), (fake > middle).astype(np.int64), "above the synthetic median"
    counts = np.bincount(fake, minlength=facts.size)
    order = np.argsort(-counts, kind="stable")
    chosen = int(order[1]) if len(order) > 1 and counts[order[1]] > 0 else int(order[0])
    values = inputs.codec.codecs[inputs.data.columns[attribute]]
    texts = [*getattr(values, "values", ()), "OTHER", "missing"]
    return (
        name,
        (real == chosen).astype(np.int64),
        (fake == chosen).astype(np.int64),
        texts[min(chosen, len(texts) - 1)],
    )


def _scores(
    inputs: PaidInputs, target: Mapping[str, int], label: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the score bin of each real and synthetic row by a model trained on half of the synthetic rows."""
    n_real, n_fake = inputs.data.codes.shape[1], inputs.synthetic.shape[1]
    nothing = np.zeros(n_real, np.int64), np.zeros(n_fake, np.int64), 1
    if not target or n_fake < 50 or label.min() == label.max():
        return nothing
    from sklearn.ensemble import HistGradientBoostingClassifier

    ((name, _),) = target.items()
    own = set(inputs.codec.attributes_of(name))
    used = [i for i in range(len(inputs.data.sizes)) if i not in own]
    if not used:
        return nothing
    features = pd.DataFrame({str(i): inputs.synthetic[i].astype(np.float32) for i in used})
    half = rng.random(n_fake) < 0.5
    if label[half].min() == label[half].max():
        return nothing
    model = HistGradientBoostingClassifier(max_iter=80, early_stopping=False, random_state=0)
    model.fit(features[half].to_numpy(), label[half])
    fake_score = model.predict_proba(features.to_numpy())[:, 1]
    # Cut where labels change most: edges at the quantiles of both labels' scores on synthetic rows.
    edges = np.unique(np.quantile(fake_score[~half], np.linspace(0, 1, SCORE_BINS + 1)[1:-1]))
    # scikit-learn refuses an empty table; a run must not end because nobody was there.
    real = inputs.data.codes[used].T.astype(np.float32)
    real_score = model.predict_proba(real)[:, 1] if n_real else np.zeros(0)
    return np.digitize(real_score, edges), np.digitize(fake_score, edges), len(edges) + 1


def _draws(noisy: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return (draws, bins, 2, groups) tables that could have been: noise and sampling error, around what came out."""
    around = np.maximum(noisy, 0.0)
    spread = np.sqrt(sigma**2 + around)
    return np.maximum(noisy + rng.standard_normal((DRAWS, *noisy.shape)) * spread, 0.0)


def _auroc_finding(noisy: np.ndarray, draws: np.ndarray, label: str, positive: str, n_rows: float) -> Finding:
    value = float(auroc_of_table(noisy.sum(axis=2)))
    meaning = (
        f"A model that was trained on synthetic rows alone predicts whether {label} is '{positive}' for the real rows; "
        "0.5 is chance, 1 is perfect. From a noisy table of scores and labels."
    )
    if not math.isfinite(value) or noisy.shape[0] == 1:
        return Finding(
            family="utility",
            name="tstr_auroc",
            group=label,
            value=None,
            visibility="public",
            verdict="insufficient",
            meaning=meaning,
            source=SOURCE,
        )
    low, high = noisy_interval(auroc_of_table(draws.sum(axis=3)), value)
    return Finding(
        family="utility",
        name="tstr_auroc",
        group=label,
        value=value,
        low=low,
        high=high,
        n=round(n_rows),
        baseline=0.5,
        baseline_label="chance",
        better="higher",
        visibility="public",
        meaning=meaning,
        source=SOURCE,
    )


def _group_names(inputs: PaidInputs, column: str, size: int) -> list[str]:
    if not column:
        return [""]
    codec = next(c for c in inputs.codec.codecs if c.name == column)
    texts = [*getattr(codec, "values", ())]
    if getattr(codec, "other", False):
        texts.append("OTHER")
    if not texts:
        cells = getattr(codec, "cells", None)
        texts = [f"cell {i + 1}" for i in range(cells.size)] if cells is not None else []
    return [f"{column}={text}" for text in [*texts, "missing"][:size]]
