"""The highest true-positive rate and AUC that (ε, δ)-differential privacy allows an attacker."""

from __future__ import annotations

import math

import numpy as np


def allowed_tpr(false_positive_rate: float, epsilon: float, delta: float) -> float:
    """Return the highest true-positive rate that (epsilon, delta) allows any attack at a false-positive rate.

    Source: Kairouz, Oh & Viswanath (2015).
    """
    grow = math.exp(min(epsilon, 700.0))
    one = grow * false_positive_rate + delta
    two = 1 - (1 - delta - false_positive_rate) / grow
    return min(1.0, one, two)


def allowed_auc(epsilon: float, delta: float) -> float:
    """Return the highest AUC that (epsilon, delta) allows; exact, for the bound is piecewise linear."""
    corner = (1 - delta) / (1 + math.exp(min(epsilon, 700.0)))
    xs = [0.0, corner, 1 - delta, 1.0]
    ys = [allowed_tpr(x, epsilon, delta) for x in xs]
    return float(np.trapezoid(ys, xs))
