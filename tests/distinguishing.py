"""What many runs with a unit and without it show of a mechanism: the harness of seeded faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privsynth.stats.epsilon_bounds import ALPHA, best_cut, clopper_pearson_epsilon, epsilon_of_mu, gdp_mu_bound


@dataclass(frozen=True)
class Distinguished:
    """What trials with and without a unit show of a mechanism.

    Attributes:
      epsilon: lower bound at delta, for any mechanism (Clopper-Pearson).
      mu: lower bound if the mechanism is Gaussian.
      mu_epsilon: epsilon of `mu` at delta.
      ceiling, mu_ceiling: what `epsilon` and `mu` would be if every trial had been told apart.
      hits, members, false_alarms, non_members: the counts behind them.
    """

    epsilon: float
    mu: float
    mu_epsilon: float
    ceiling: float
    mu_ceiling: float
    hits: int
    members: int
    false_alarms: int
    non_members: int


def distinguish(
    inside: np.ndarray, outside: np.ndarray, *, delta: float, alpha: float = ALPHA, cut: float | None = None
) -> Distinguished:
    """Return lower bounds from scores of independent runs with and without a unit; each is wrong with probability at
    most alpha.

    Without a threshold that was fixed beforehand, one is chosen on the first half of each array and counted on the
    second.

    Args:
      inside, outside: (n,) scores of runs with and without the unit, in random order; higher means 'with'.
      delta: of the claim.
      cut: scores at or above it say 'with'; must not come from these scores.
    """
    cuts = (cut, cut)
    if cut is None:
        n_in, n_out = len(inside) // 2, len(outside) // 2
        scores, member = np.concatenate([inside[:n_in], outside[:n_out]]), np.arange(n_in + n_out) < n_in
        cuts = (
            best_cut(scores, member, lambda *c: clopper_pearson_epsilon(*c, delta=delta, alpha=alpha)),
            best_cut(scores, member, lambda *c: gdp_mu_bound(*c, alpha=alpha)),
        )
        inside, outside = inside[n_in:], outside[n_out:]
    at_any, at_mu = ((int((inside >= at).sum()), len(inside), int((outside >= at).sum()), len(outside)) for at in cuts)
    perfect = (len(inside), len(inside), 0, len(outside))
    mu = gdp_mu_bound(*at_mu, alpha=alpha)
    return Distinguished(
        clopper_pearson_epsilon(*at_any, delta=delta, alpha=alpha),
        mu,
        epsilon_of_mu(mu, delta),
        clopper_pearson_epsilon(*perfect, delta=delta, alpha=alpha),
        gdp_mu_bound(*perfect, alpha=alpha),
        *at_any,
    )
