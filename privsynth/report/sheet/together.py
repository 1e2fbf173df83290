"""What all releases of a dataset promise together, by the same conversions as the single one."""

from __future__ import annotations

import math
from typing import TypedDict

from privsynth.report.explain_epsilon import highest_accuracy, highest_belief, highest_success, percent
from privsynth.report.records.promise import EarlierReleases, Guarantee


class Bounds(TypedDict):
    """What is promised, as the functions of `explain_epsilon` take it."""

    epsilon: float
    delta: float
    mu: float | None
    mu_delta: float


def all_together(g: Guarantee, earlier: EarlierReleases) -> Bounds:
    """Return what this release and those before it promise together: the sum, and how they compose if that is known.

    Composing by mu holds if no release was planned by what another one showed; the sum of epsilons does in any case.
    """
    composed = None if g.mu is None or earlier.mu is None else math.hypot(g.mu, earlier.mu)
    return Bounds(
        epsilon=g.epsilon + earlier.epsilon,
        delta=min(g.delta + earlier.delta, 1.0),
        mu=composed,
        mu_delta=0.0 if composed is None else min(g.mu_delta + earlier.mu_delta, 1.0),
    )


def together_sentence(g: Guarantee, earlier: EarlierReleases) -> str:
    """Return the three conversions for all releases together; "" where there is no other, or of another unit."""
    if not earlier.epsilon or any(unit != g.unit for unit in earlier.units):
        return ""
    bounds = all_together(g, earlier)
    accuracy = percent(highest_accuracy(**bounds), up=True)
    success = percent(highest_success(0.5, **bounds), up=True)
    belief = percent(highest_belief(0.5, epsilon=bounds["epsilon"], delta=bounds["delta"]), up=True)
    how = (
        "They compose by μ, which supposes that no release was planned by what another one showed; the last number "
        "follows from the plain sum of ε and needs no such thing."
        if bounds["mu"] is not None
        else "They follow from the plain sum of ε and δ, since how tightly the releases compose is not known of all."
    )
    return (
        f"Of this release and those before it together, the same three numbers are {accuracy}, {success} and {belief}. "
        f"{how}"
    )
