"""Draws that stay the same for a seed, whatever the version of numpy.

`RandomState` is used instead of `Generator` because numpy promises that its stream never changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import RandomState


def pick(rng: RandomState, weights: np.ndarray | Sequence[float], n: int) -> np.ndarray:
    """Return n indices drawn with these weights."""
    edges = np.cumsum(np.asarray(weights, dtype=float))
    return np.searchsorted(edges, rng.random_sample(n) * edges[-1], side="right")


def pick_rows(rng: RandomState, weights: np.ndarray) -> np.ndarray:
    """Return one column index for each row of (n, d) weights, drawn with the weights of that row."""
    edges = np.cumsum(weights, axis=1)
    level = rng.random_sample(len(weights)) * edges[:, -1]
    return (edges <= level[:, None]).sum(axis=1).clip(0, weights.shape[1] - 1)


def happens(rng: RandomState, probability: np.ndarray) -> np.ndarray:
    """Return a boolean for each probability."""
    return rng.random_sample(len(probability)) < probability


def logistic(value: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-value))."""
    return 1.0 / (1.0 + np.exp(-value))


def zipf_weights(n: int, exponent: float) -> np.ndarray:
    """Return 1 / rank ** exponent for the ranks 1 to n."""
    return 1.0 / np.arange(1, n + 1) ** exponent


def shuffled_ids(rng: RandomState, prefix: str, n: int, digits: int) -> np.ndarray:
    """Return n different ids such as P0481516 whose order says nothing."""
    numbers = rng.permutation(10 ** min(digits, 6))[:n] * 10 ** max(digits - 6, 0)
    if digits > 6:
        numbers = numbers + rng.randint(0, 10 ** (digits - 6), n)
    return np.array([f"{prefix}{number:0{digits}d}" for number in numbers])
