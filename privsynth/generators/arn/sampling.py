"""Sampling rows from the network, one attribute after another, from the published generator alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from privsynth.generators.arn.interactions import Interactions

BATCH = 4_096


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
      rng: the only source of randomness; torch draws nothing.
    """
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in weights.items()}
    out = np.empty((len(sizes), n_rows), dtype=np.uint16)
    with torch.no_grad():
        for start in range(0, n_rows, BATCH):
            stop = min(start + BATCH, n_rows)
            _sample_batch(tensors, sizes, no_null, order, interactions, out[:, start:stop], rng)
    return out


def _sample_batch(
    tensors: Mapping[str, torch.Tensor],
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
    columns = tensors["first.weight"].T.contiguous()  # a one-hot input picks a row of this
    before = tensors["first.bias"].repeat(rows, 1)
    scores = interactions.nothing_known(rows)
    for attribute in order:
        hidden = functional.gelu(before)
        hidden += functional.gelu(functional.linear(hidden, tensors["middle.weight"], tensors["middle.bias"]))
        block = slice(starts[attribute], starts[attribute + 1])
        logits = functional.linear(hidden, tensors["last.weight"][block], tensors["last.bias"][block])
        logits += interactions.logits(scores, attribute, block)
        if no_null[attribute] and sizes[attribute] > 1:
            logits[:, -1] = -torch.inf
        cdf = torch.softmax(logits.double(), dim=1).cumsum(dim=1)
        # Stratified: one point in each of `rows` equal intervals, in random order.
        point = (rng.permutation(rows) + rng.random(rows)) / max(rows, 1)
        target = torch.from_numpy(point)[:, None] * cdf[:, -1:]
        code = torch.searchsorted(cdf, target, right=True).clamp(max=sizes[attribute] - 1)[:, 0]
        if no_null[attribute] and sizes[attribute] > 1:
            code = code.clamp(max=sizes[attribute] - 2)
        out[attribute] = code.numpy()
        before += (columns[block] + columns[width + attribute])[code]
        interactions.tell(scores, slice(None), attribute, code + int(starts[attribute]))
