"""Sampling rows from the network, one attribute after another, from the published generator alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from privsynth.generators.arn.interactions import Interactions
from privsynth.generators.inference import gelu

BATCH = 4_096  # rows that are drawn together, with points in each of so many equal intervals


def sample_network(
    weights: Mapping[str, np.ndarray],
    sizes: Sequence[int],
    no_null: Sequence[bool],
    order: Sequence[int],
    interactions: Interactions,
    n_rows: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (attributes, n_rows) uint16 codes.

    Args:
      weights: of the network, as `to_numpy` returns them.
      no_null: attributes whose last code, NULL, must not be drawn.
      order: in which the attributes are drawn.
      interactions: added to the network's logits.
      rng: the only source of randomness.
    """
    columns = np.ascontiguousarray(weights["first.weight"].T)  # a one-hot input picks a row of this
    out = np.empty((len(sizes), n_rows), dtype=np.uint16)
    for start in range(0, n_rows, BATCH):
        stop = min(start + BATCH, n_rows)
        _sample_batch(weights, columns, sizes, no_null, order, interactions, out[:, start:stop], rng)
    return out


def hidden_layers(weights: Mapping[str, np.ndarray], before: np.ndarray) -> np.ndarray:
    """Return (rows, hidden) float32, the network's last hidden layer, for what its first linear layer gives."""
    hidden = gelu(before)
    hidden += gelu(hidden @ weights["middle.weight"].T + weights["middle.bias"])
    return hidden


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return (rows, size) float64 softmax of float32 logits."""
    share = logits.astype(np.float64)
    share -= share.max(axis=1, keepdims=True)
    np.exp(share, out=share)
    share /= share.sum(axis=1, keepdims=True)
    return share


def _sample_batch(
    weights: Mapping[str, np.ndarray],
    columns: np.ndarray,
    sizes: Sequence[int],
    no_null: Sequence[bool],
    order: Sequence[int],
    interactions: Interactions,
    out: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Fill `out`, (attributes, rows), with codes."""
    rows, width = out.shape[1], sum(sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    before = np.repeat(weights["first.bias"][None, :], rows, axis=0)
    scores = interactions.nothing_known(rows)
    for attribute in order:
        hidden = hidden_layers(weights, before)
        block = slice(starts[attribute], starts[attribute + 1])
        logits = hidden @ weights["last.weight"][block].T
        logits += weights["last.bias"][block]
        logits += interactions.logits(scores, attribute, block)
        if no_null[attribute] and sizes[attribute] > 1:
            logits[:, -1] = -np.inf
        cdf = np.cumsum(probabilities(logits), axis=1)
        # Stratified: one point in each of `rows` equal intervals, in random order.
        point = (rng.permutation(rows) + rng.random(rows)) / max(rows, 1)
        most = sizes[attribute] - (2 if no_null[attribute] and sizes[attribute] > 1 else 1)
        code = np.minimum((cdf <= point[:, None] * cdf[:, -1:]).sum(axis=1), most)
        out[attribute] = code
        before += (columns[block] + columns[width + attribute])[code]
        interactions.tell(scores, slice(None), attribute, code + starts[attribute])
