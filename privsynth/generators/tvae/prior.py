"""The prior from which latent points are drawn: their mean and covariance over the real rows, paid for once.

After a private training the encoder's points do not lie as a standard normal. Sums of points and of their products,
each point brought into a ball first, are released once, and shrunk to the standard normal by as much as their noise
asks for.

Source: analytic Gaussian release of first and second moments; shrinkage: James & Stein 1961, positive part.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from privsynth.codecs.encoded_table import Encoded
from privsynth.privacy.budget import SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms, grid_sensitivity, on_grid

_MARGIN = 1e-6  # covers the rounding of double precision, as in DP-SGD
_GRID = 2.0**-10  # of the bound: a step of the grid, whose rounding adds little to the sensitivity
_ROWS = 8_192  # encoded at once; bounds memory
_LEAST_VARIANCE = 1e-3  # a covariance with noise can have none, and its root must be real


def buy_prior(
    data: Encoded,
    points: Callable[[torch.Tensor], torch.Tensor],
    mechanisms: Mechanisms,
    plan: SpendingPlan,
    *,
    latent: int,
    radius: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (latent,) and a root (latent, latent) of the covariance, of the latent points.

    Guarantee: spends "selection" on the sum of points and "measurement" on that of their products; a unit's k rows move
      them by at most k·radius and k·radius² in L2 (each product off the diagonal stands for two, times √2).
    Args:
      points: from (rows, attributes) codes to (rows, latent) points, each a function of its own row.
      radius: of the ball that points are brought into.
    """
    k, n_rows = data.max_rows_per_unit, max(data.n_rows, 1.0)
    upper = np.triu_indices(latent)
    scale = np.where(upper[0] == upper[1], 1.0, math.sqrt(2.0))
    first, second = np.zeros(latent), np.zeros(len(scale))
    codes = data.gathered().codes.T.astype(np.int64)
    for start in range(0, len(codes), _ROWS):
        with torch.no_grad():
            z = points(torch.from_numpy(codes[start : start + _ROWS])).numpy()
        z = np.where(np.isfinite(z).all(axis=1, keepdims=True), z, 0.0)
        norm = np.linalg.norm(z, axis=1, keepdims=True)
        z = z * np.minimum(1.0, radius * (1 - _MARGIN) / np.maximum(norm, 1e-300))
        first += z.sum(axis=0)
        second += (z.T @ z)[upper] * scale

    def release(sums: np.ndarray, bound: float, part: str, label: str) -> tuple[np.ndarray, float]:
        step = bound * k * _GRID
        noisy = mechanisms.gaussian(
            on_grid(sums, step),
            l2_sensitivity=grid_sensitivity(bound * k, len(sums), step),
            part=part,
            mu_squared=plan.parts[part],
            label=label,
        )
        return noisy.values * step / n_rows, noisy.sigma * step / n_rows

    mean, mean_error = release(first, radius, "selection", "sum of latent points")
    products, product_error = release(second, radius**2, "measurement", "sum of products of latent points")
    mean = mean * _shrinkage(mean, mean_error)
    norm = float(np.linalg.norm(mean))
    mean = mean * min(1.0, radius / max(norm, 1e-12))
    matrix = np.zeros((latent, latent))
    matrix[upper] = products / scale
    matrix = matrix + np.triu(matrix, 1).T - np.outer(mean, mean)
    away = matrix - np.eye(latent)
    flat = away[upper] * scale
    power, direction = np.linalg.eigh(np.eye(latent) + away * _shrinkage(flat, product_error))
    power = np.clip(power, _LEAST_VARIANCE, radius**2)
    return mean, direction * np.sqrt(power)


def _shrinkage(values: np.ndarray, error: float) -> float:
    """Return the factor in [0, 1] for noisy values that are to be drawn towards zero."""
    return max(0.0, 1.0 - len(values) * error**2 / max(float(values @ values), 1e-300))
