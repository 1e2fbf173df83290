"""Precision, recall, density and coverage of one set of points in the neighbourhoods of another.

Absolute values depend on the number of rows and on the distance, and are no grades (Räisä et al. 2025): compare them
with the same measures of as many fresh real rows.

Source: Kynkäänniemi et al. (2019) for precision and the improved recall; Naeem et al. (2020) for density and coverage.
"""

from __future__ import annotations

import numpy as np

NEIGHBOURS = 5  # k = 5, as in Naeem et al. (2020)
SAME = 1e-6  # squared distances that differ by less are equal
MEASURES = ("precision", "recall", "density", "coverage")


def squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (n_a, n_b) squared Euclidean distances."""
    found = np.einsum("ij,ij->i", a, a)[:, None] - 2 * a @ b.T + np.einsum("ij,ij->i", b, b)[None, :]
    return np.maximum(found, 0.0)


def radii(points: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Return (n,) squared distances of each point to its k-th nearest other point."""
    far = squared(points, points)
    np.fill_diagonal(far, np.inf)
    k = min(k, len(points) - 1)
    return np.asarray(np.partition(far, k - 1, axis=1)[:, k - 1])


def measures(
    real: np.ndarray, other: np.ndarray, *, real_radii: np.ndarray, other_radii: np.ndarray, k: int = NEIGHBOURS
) -> np.ndarray:
    """Return (4,): precision, recall, density, coverage, in the order of `MEASURES`.

    Args:
      real, other: (n, width) and (m, width) points.
      real_radii, other_radii: see `radii`.
    """
    far = squared(other, real)
    in_real = far <= real_radii[None, :] + SAME
    in_other = far <= other_radii[:, None] + SAME
    return np.array(
        [
            in_real.any(axis=1).mean(),
            in_other.any(axis=0).mean(),
            in_real.sum() / (k * len(other)),
            in_real.any(axis=0).mean(),
        ]
    )
