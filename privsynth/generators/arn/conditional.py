"""Rows of the any-order network under a condition, tilted. Post-processing of a paid model.

What is known goes into the network first, so that it is conditioned on and not waited for. Attributes with evidence
come next, each drawn from its distribution times the likelihood; the sum of that product, which such a draw leaves out,
is the row's importance weight, times the weight of the tilt. Several candidates are drawn for each row and resampled.

Source: any-order factorisation (Uria, Murray & Larochelle 2014); sequential importance resampling (Rubin 1987), weights
truncated as in Ionides (2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from privsynth.errors import ConfigError
from privsynth.generators.arn.calibration import log_weights
from privsynth.generators.arn.sampling import hidden_layers, probabilities

if TYPE_CHECKING:
    from privsynth.generators.arn.fitted import FittedArn

CANDIDATES = 8  # for each row
TRUNCATE = 20.0  # a candidate weighs at most so many average ones
_ROWS_AT_ONCE = 4_096  # each with its candidates; bounds memory


def complete_network(
    model: FittedArn, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Return (attributes, n) uint16 codes given what is known (see `generators.conditional.complete`).

    Raises:
      ConfigError: the model has (nearly) no mass where the rows should lie.
    """
    alike = known.shape[1] > 0 and bool((known == known[:, :1]).all())
    out = np.empty(known.shape, dtype=np.uint16)
    for start in range(0, known.shape[1], _ROWS_AT_ONCE):
        rows = known[:, start : start + _ROWS_AT_ONCE]
        candidates = np.repeat(rows, CANDIDATES, axis=1)
        codes, log_weight = _draw(model, candidates, evidence, rng)
        log_weight += np.minimum(log_weights(codes, model.sizes, model.potentials), model.ceiling)
        top = log_weight.max()
        if not np.isfinite(top):
            raise ConfigError("the model has no row, or nearly none, that meets the condition; loosen it")
        if alike:
            chosen = _resample(log_weight - top, rows.shape[1], rng)
        else:
            chosen = choose_each(log_weight.reshape(-1, CANDIDATES), rng)
        out[:, start : start + rows.shape[1]] = codes[:, chosen]
    return out


def _resample(log_weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count,) indices by systematic resampling, in random order."""
    weight = np.exp(log_weight)
    total = np.cumsum(np.minimum(weight, TRUNCATE * weight.mean()))
    points = (np.arange(count) + rng.random()) / count * total[-1]
    found: np.ndarray = np.minimum(np.searchsorted(total, points, side="right"), len(weight) - 1)
    return found[rng.permutation(count)]


def choose_each(log_weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (rows,) indices into the flat candidates: for each row of (rows, candidates), one by weight."""
    top = log_weight.max(axis=1, keepdims=True)
    total = np.cumsum(np.exp(log_weight - np.where(np.isfinite(top), top, 0.0)), axis=1)
    point = rng.random((len(total), 1)) * total[:, -1:]
    pick = np.minimum((total <= point).sum(axis=1), log_weight.shape[1] - 1)
    found: np.ndarray = np.arange(len(total)) * log_weight.shape[1] + pick
    return found


def _draw(
    model: FittedArn, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return (attributes, rows) codes and (rows,) log importance weights; known codes stay as they are."""
    sizes, rows = model.sizes, known.shape[1]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    columns = np.ascontiguousarray(model.weights["first.weight"].T)  # a one-hot input picks a row of this
    before = np.repeat(model.weights["first.bias"][None, :], rows, axis=0)
    scores = model.interactions.nothing_known(rows)
    out, log_weight = known.astype(np.uint16), np.zeros(rows)

    def tell(attribute: int, at: np.ndarray, codes: np.ndarray) -> None:
        index = codes.astype(np.int64) + starts[attribute]
        before[at] += columns[index] + columns[starts[-1] + attribute]
        model.interactions.tell(scores, at, attribute, index)

    for attribute, codes in enumerate(known):
        there = np.flatnonzero(codes >= 0)
        tell(attribute, there, codes[there])
    order = sorted(model.order, key=lambda attribute: attribute not in evidence)
    for attribute in order:
        gaps = np.flatnonzero(known[attribute] < 0)
        if not len(gaps):
            continue
        block = slice(starts[attribute], starts[attribute + 1])
        logits = hidden_layers(model.weights, before[gaps]) @ model.weights["last.weight"][block].T
        logits += model.weights["last.bias"][block]
        logits += model.interactions.logits(scores[:, gaps], attribute, block)
        if model.no_null[attribute] and sizes[attribute] > 1:
            logits[:, -1] = -np.inf
        share = probabilities(logits)
        if attribute in evidence:
            share = share * np.asarray(evidence[attribute], dtype=np.float64)
            with np.errstate(divide="ignore"):
                log_weight[gaps] += np.log(share.sum(axis=1))
        codes = invert(share, rng)
        out[attribute, gaps] = codes
        tell(attribute, gaps, codes)
    return out, log_weight


def invert(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (rows,) codes drawn from (rows, size) weights, points stratified over the rows."""
    rows = len(share)
    cdf = np.cumsum(share, axis=1)
    point = (rng.permutation(rows) + rng.random(rows)) / rows * cdf[:, -1]
    last = share.shape[1] - 1 - np.argmax(share[:, ::-1] > 0, axis=1)  # rounding must not reach what has no weight
    found: np.ndarray = np.minimum((cdf <= point[:, None]).sum(axis=1), last)
    return found
