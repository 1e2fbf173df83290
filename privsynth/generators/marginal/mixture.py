"""A mixture of products fitted to noisy tables. Everything here is post-processing.

The model is B components of equal weight; in each, the attributes are independent: P ∈ [0,1]^{D×B}, one softmax block
an attribute. A pair's table is P_i P_jᵀ / B, so there is no junction tree and no limit on which pairs are measured
(RAP-softmax, Aydore et al. 2021; MixtureOfProducts of private-pgm). The fit stops when Σ((model − measured)/σ)² of each
group of tables reaches its number of cells, beyond which it would follow the noise, or when it no longer gets nearer.

Many mixtures explain the same tables, and most of them hold dependence that nobody measured: between two attributes
whose pair was not bought, and of a third on two together. The fit therefore minimises

    ½ χ²  +  pull · N / σ · Σ_attributes I(component; code)

where I is mutual information: of the mixtures that explain the tables the one that depends least, as the distribution
of maximum entropy does (Jaynes 1957). A dependence of strength one then bends a cell by about pull · σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from privsynth.generators.encoded import Progress, no_progress
from privsynth.generators.marginal.measure import Measured, to_simplex
from privsynth.generators.marginal.terms import Terms

MODEST_HEIGHT, LEAST_COMPONENTS = 750, 256
# Of the logits at the start. Components that start far apart explain noise by being unlike each other: with a spread of
# one the pairs are a little worse, and three columns together, and what follows from many of them, much more so.
SPREAD = 0.5
PULL_STEPS = 100  # after so many steps the pull fades as 1/step: a wide table must not wait for it
PLATEAU_STEPS, PLATEAU_GAIN = 60, 2e-3  # stop when so many steps did not bring the excess down by this part


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the mixture is fitted; public.

    Attributes:
      components: B, fewer where D is large so that a step's cost grows no faster than the tables.
      max_steps: steps of Adam at most.
      learning_rate: of Adam; falls as 1/√step after `hold` steps.
      hold: steps at the full rate.
      pull: towards components that are all alike, as a part of the noise in a cell of a typical table.
    """

    components: int = 1536
    max_steps: int = 1500
    learning_rate: float = 0.06
    hold: int = 200
    pull: float = 0.4

    def components_for(self, height: int) -> int:
        """Return B for attributes with so many codes together."""
        return min(self.components, max(LEAST_COMPONENTS, self.components * MODEST_HEIGHT // max(height, 1)))


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Attributes:
      theta: (D, B) float32 logits, to go on from.
      p: (D, B) float32 probabilities, a block of rows an attribute.
    """

    theta: np.ndarray
    p: np.ndarray


def fit_mixture(
    sizes: Sequence[int],
    groups: Sequence[Sequence[Measured]],
    *,
    n_rows: float,
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    start: Mixture | None = None,
) -> Mixture:
    """Return the mixture that explains noisy tables to within their noise.

    Args:
      groups: tables by group, the first of them one table for each attribute, in order; the fit goes on until each
        group is explained, so that no one hides another.
      n_rows: the paid number of rows, which turns counts into shares.
      rng: published randomness; breaks the symmetry of the components.
      start: a mixture to go on from, else the noisy one-way shares, with logits spread by `SPREAD`.
    """
    components = settings.components_for(sum(sizes))
    if not sizes:
        return Mixture(np.zeros((0, components), np.float32), np.zeros((0, components), np.float32))
    terms = Terms(sizes, groups, n_rows=n_rows)
    if start is None:
        shares = np.concatenate([to_simplex(table.counts / n_rows) for table in groups[0]])
        apart = SPREAD * rng.standard_normal((len(shares), components))
        theta = (np.log(shares + 1e-7)[:, None] + apart).astype(np.float32)
    else:
        theta = start.theta.copy()
    # Its matrices are small: threads would wait for each other more than they work, the more so on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        return _descend(terms, theta, settings, settings.pull * n_rows / _typical_sigma(groups), progress)


def _typical_sigma(groups: Sequence[Sequence[Measured]]) -> float:
    """Return the median over tables of the noise in a cell, in rows; those of one attribute alone count for nothing."""
    sigmas = [float(np.min(table.sigma)) for group in groups[1:] for table in group]
    return max(float(np.median(sigmas)), 1.0) if sigmas else np.inf


def _descend(terms: Terms, theta: np.ndarray, settings: FitSettings, pull: float, progress: Progress) -> Mixture:
    """Return the mixture where the fit stops; `theta` is used up.

    Args:
      pull: how much the mutual information of component and codes, in nats, counts beside half of χ².
    """
    adam = _Adam(theta, settings)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    mark = (np.inf, 0)
    for step in range(1, settings.max_steps + 1):
        p = terms.blocks.softmax(theta)
        grad, chi = terms.gradient(p)
        excess = float(chi.max())
        if best is None or excess < best[0]:
            best = (excess, theta.copy(), p)
        if excess < mark[0] * (1 - PLATEAU_GAIN):
            mark = (excess, step)
        # Where noise drowns the tables no model comes nearer than chance lets it, which may be just above one.
        stuck = step - mark[1] > PLATEAU_STEPS
        if excess <= 1.0 or (stuck and not pull):
            break
        if stuck:  # it may be the pull that holds it back
            pull, mark = 0.0, (mark[0], step)
        if pull:
            grad += _apart(theta, p, pull * min(1.0, PULL_STEPS / step))
        adam.step(theta, terms.blocks.backward(p, grad), step)
        if step % 25 == 0:
            progress("fitting", step / settings.max_steps)
    progress("fitting", 1.0)
    assert best is not None
    return Mixture(best[1], best[2])


def _apart(theta: np.ndarray, p: np.ndarray, pull: float) -> np.ndarray:
    """Return (D, B) the gradient of pull · Σ_attributes I(component; code) in p, up to a constant in each block.

    It is log p − log mean(p) a component; `Blocks.backward` drops the constant by which θ differs from log p.
    """
    apart = theta - np.log(p.mean(axis=1, keepdims=True) + np.float32(1e-9))
    apart *= np.float32(pull / p.shape[1])
    return apart


class _Adam:
    """Adam (Kingma & Ba 2015) in place, with a rate that falls as 1/√step after a while."""

    def __init__(self, theta: np.ndarray, settings: FitSettings) -> None:
        self._settings = settings
        self._first = np.zeros_like(theta)
        self._second = np.zeros_like(theta)

    def step(self, theta: np.ndarray, grad: np.ndarray, step: int) -> None:
        """Move `theta`; `grad` is used up."""
        self._first += np.float32(0.1) * (grad - self._first)
        np.square(grad, out=grad)
        self._second += np.float32(0.01) * (grad - self._second)
        rate = self._settings.learning_rate * min(1.0, (self._settings.hold / step) ** 0.5)
        np.sqrt(self._second, out=grad)
        grad *= np.float32((1 - 0.99**step) ** -0.5)
        grad += np.float32(1e-10)
        np.divide(self._first, grad, out=grad)
        grad *= np.float32(rate / (1 - 0.9**step))
        theta -= grad
