"""Reweight a mixture so that it matches measured one-way marginals and keeps its dependence.

Of the mixtures with these marginals it is the nearest to the given one in relative entropy, among those that weigh each
code of each attribute by a factor. Each component stays a product, and its weight becomes what the factors leave of it.
So what belongs together in all rows (a currency and its countries) still does, without being measured again.
Post-processing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

# Noisy marginals of dependent attributes may contradict each other, and endless fitting would drive the factors to
# extremes: steps are damped, and few.
ROUNDS, DAMPING = 40, 0.7
_TINY = 1e-300  # keeps divisors above zero; near the least normal double


def reweighted(
    p: np.ndarray, starts: np.ndarray, profile: Sequence[np.ndarray], fixed: Collection[int], count: int
) -> np.ndarray:
    """Return (count, D) components of equal weight of a mixture reweighted to one-way shares.

    Args:
      p: (components, D) of a mixture of components of equal weight.
      starts: (attributes + 1,) where each attribute's codes begin.
      profile: for each attribute (size,) the shares wanted.
      fixed: attributes that take these shares in every component and have no part in the fit.

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
            factor[block] *= np.where(now > _TINY, profile[a] / np.maximum(now, _TINY), 0.0) ** DAMPING
            factor[block] /= max(float(factor[block].max()), _TINY)
            left[:, a] = np.maximum(p[:, block] @ factor[block], _TINY)
    ends = np.cumsum(_weights(left))
    chosen = np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1])
    found = p[np.minimum(chosen, len(p) - 1)] * factor
    for a, block in enumerate(blocks):
        found[:, block] = profile[a] if a in fixed else _matched(found[:, block], profile[a])
    return found.astype(np.float32)


def _matched(p: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return (components, size) shares of an attribute, with the mean that is wanted, which few components miss."""
    factor = np.ones(p.shape[1])
    for _ in range(ROUNDS):
        found = p * factor
        found /= np.maximum(found.sum(axis=1, keepdims=True), _TINY)
        now = found.mean(axis=0)
        factor *= np.where(now > _TINY, wanted / np.maximum(now, _TINY), 0.0) ** DAMPING
        factor /= max(float(factor.max()), _TINY)
    return found


def _weights(left: np.ndarray) -> np.ndarray:
    """Return (components,) shares by the products of what is left of them."""
    logs = np.log(left).sum(axis=1)
    weights = np.exp(logs - logs.max())
    share: np.ndarray = weights / weights.sum()
    return share
