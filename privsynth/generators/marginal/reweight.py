"""Rows that look as was paid for and hang together as all rows do: a mixture tilted to given one-way shares.

Of the mixtures with these shares it is the nearest to the given one (in relative entropy), among those that weigh each
code of each attribute by a factor. Each component stays a product, and its weight becomes what the factors leave of it.
So what belongs together in all rows (a currency and its countries) does so here, although nobody paid for it again.
Post-processing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

# Noisy looks of attributes that hang together may contradict each other, and endless fitting would drive the factors to
# extremes: steps are damped, and few.
ROUNDS, DAMPING = 40, 0.7
_TINY = 1e-300


def tilted(
    p: np.ndarray, starts: np.ndarray, looks: Sequence[np.ndarray], fixed: Collection[int], count: int
) -> np.ndarray:
    """Return (count, D) components of equal weight of a mixture tilted to one-way shares.

    Args:
      p: (components, D) of a mixture of components of equal weight.
      starts: (attributes + 1,) where each attribute's codes begin.
      looks: for each attribute (size,) the shares wanted.
      fixed: attributes that take their shares in every component, and are not looked at.

    Source: iterative proportional fitting (Deming & Stephan 1940).
    """
    blocks = [slice(a, b) for a, b in pairwise(starts.tolist())]
    moved = [a for a in range(len(blocks)) if a not in fixed]
    p = p.astype(np.float64)
    factor = np.ones(p.shape[1])
    left = np.ones((len(p), len(blocks)))  # of each component, attribute by attribute
    for _ in range(ROUNDS):
        for a in moved:
            block = blocks[a]
            share = _weights(left)
            now = factor[block] * ((share / left[:, a]) @ p[:, block])
            factor[block] *= np.where(now > _TINY, looks[a] / np.maximum(now, _TINY), 0.0) ** DAMPING
            factor[block] /= max(float(factor[block].max()), _TINY)
            left[:, a] = np.maximum(p[:, block] @ factor[block], _TINY)
    ends = np.cumsum(_weights(left))
    chosen = np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1])
    found = p[np.minimum(chosen, len(p) - 1)] * factor
    for block in blocks:
        found[:, block] /= np.maximum(found[:, block].sum(axis=1, keepdims=True), _TINY)
    for a in fixed:
        found[:, blocks[a]] = looks[a]
    return found.astype(np.float32)


def _weights(left: np.ndarray) -> np.ndarray:
    """Return (components,) shares by the products of what is left of them."""
    logs = np.log(left).sum(axis=1)
    weights = np.exp(logs - logs.max())
    share: np.ndarray = weights / weights.sum()
    return share
