"""A mixture of products fitted to noisy tables, and low-variance sampling from it. Everything here is post-processing.

The model is B components of equal weight; in each, the attributes are independent: P ∈ [0,1]^{B×D}, one softmax block
an attribute. A pair's table is P_iᵀ P_j / B, so there is no junction tree and no limit on which pairs are measured
(RAP-softmax, Aydore et al. 2021; MixtureOfProducts of private-pgm). The fit stops when Σ((model − measured)/σ)² of each
group of tables reaches its number of cells, beyond which it would follow the noise, or when it no longer gets nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.generators.encoded import Progress, no_progress
from privsynth.generators.marginal.measure import Measured, to_simplex

PLATEAU_STEPS, PLATEAU_GAIN = 60, 2e-3  # stop when so many steps did not bring the excess down by this part


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How the mixture is fitted; public.

    Attributes:
      components: B.
      max_steps: steps of Adam at most.
      learning_rate: of Adam; falls as 1/√step after `hold` steps.
      hold: steps at the full rate.
    """

    components: int = 768
    max_steps: int = 1500
    learning_rate: float = 0.06
    hold: int = 200


class _Blocks:
    """Where each attribute's codes stand in the concatenated width D."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        self.slices = [slice(a, b) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]
        self.owner = np.repeat(np.arange(len(sizes)), sizes)

    def softmax(self, theta: np.ndarray) -> np.ndarray:
        top = np.maximum.reduceat(theta, self.starts[:-1], axis=1)
        e = np.exp(theta - top[:, self.owner])
        return e / np.add.reduceat(e, self.starts[:-1], axis=1)[:, self.owner]

    def backward(self, p: np.ndarray, grad: np.ndarray) -> np.ndarray:
        inner = np.add.reduceat(p * grad, self.starts[:-1], axis=1)
        return p * (grad - inner[:, self.owner])


def fit_mixture(
    sizes: Sequence[int],
    one_way: Sequence[Measured],
    tables: Sequence[Measured],
    *,
    n_rows: float,
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    theta: np.ndarray | None = None,
) -> np.ndarray:
    """Return P, (B, D) float32, fitted to the noisy tables.

    Args:
      one_way: one table an attribute, in order.
      tables: pairs (and wider tables) over ascending attributes.
      n_rows: the paid number of rows, which turns counts into shares.
      rng: published randomness; breaks the symmetry of the components.
      theta: (B, D) logits to start from, else the noisy one-way shares and a spread of one.
    """
    blocks = _Blocks(sizes)
    if not one_way:
        return np.zeros((settings.components, 0), dtype=np.float32)
    shares = [to_simplex(m.counts / n_rows) for m in one_way]
    if theta is None:
        start = np.log(np.concatenate(shares) + 1e-7)
        theta = (start + rng.standard_normal((settings.components, len(start)))).astype(np.float32)
    groups = _groups(one_way, tables, n_rows)
    first = np.zeros_like(theta)
    second = np.zeros_like(theta)
    best: tuple[float, np.ndarray] | None = None
    mark = (np.inf, 0)
    for step in range(1, settings.max_steps + 1):
        p = blocks.softmax(theta)
        grad, excess = _gradient(p, blocks, groups)
        if best is None or excess < best[0]:
            best = (excess, p)
        if excess < mark[0] * (1 - PLATEAU_GAIN):
            mark = (excess, step)
        # Where noise drowns the tables no model comes nearer than chance lets it, which may be just above one.
        if excess <= 1.0 or step - mark[1] > PLATEAU_STEPS:
            break
        grad_theta = blocks.backward(p, grad)
        first += 0.1 * (grad_theta - first)
        second += 0.01 * (grad_theta**2 - second)
        rate = settings.learning_rate * min(1.0, (settings.hold / step) ** 0.5)
        corrected = first / (1 - 0.9**step)
        theta -= rate * corrected / (np.sqrt(second / (1 - 0.99**step)) + 1e-10)
        if step % 25 == 0:
            progress("fitting", step / settings.max_steps)
    progress("fitting", 1.0)
    assert best is not None
    return best[1].astype(np.float32)


@dataclass(frozen=True)
class _Term:
    """One table as shares, with the weight of its squared residual."""

    attributes: tuple[int, ...]
    share: np.ndarray
    weight: float


def _groups(one_way: Sequence[Measured], tables: Sequence[Measured], n_rows: float) -> list[list[_Term]]:
    """Return the terms by number of attributes: the χ² stop holds for each group, so that no one hides another."""
    by_width: dict[int, list[_Term]] = {}
    for table in (*one_way, *tables):
        term = _Term(table.attributes, (table.counts / n_rows).astype(np.float32), float((n_rows / table.sigma) ** 2))
        by_width.setdefault(len(table.attributes), []).append(term)
    return [by_width[width] for width in sorted(by_width)]


def _gradient(p: np.ndarray, blocks: _Blocks, groups: list[list[_Term]]) -> tuple[np.ndarray, float]:
    """Return dχ²/dP (up to a factor) and the largest χ² / cells of the groups."""
    b = np.float32(1.0 / len(p))
    grad = np.zeros_like(p)
    worst = 0.0
    for terms in groups:
        chi, cells = 0.0, 0
        for term in terms:
            factors = [p[:, blocks.slices[a]] for a in term.attributes]
            model, pull = _table_and_pull(factors, b)
            residual = model - term.share
            chi += float(np.vdot(residual, residual)) * term.weight
            cells += residual.size
            weighted = residual * np.float32(term.weight)
            for attribute, part in zip(term.attributes, pull(weighted), strict=True):
                grad[:, blocks.slices[attribute]] += part
        worst = max(worst, chi / max(cells, 1))
    return grad, worst


def _table_and_pull(factors: list[np.ndarray], b: np.float32):
    """Return the model's table of some blocks, and a function from its gradient to the blocks' gradients."""
    if len(factors) == 1:
        (x,) = factors
        return x.sum(axis=0) * b, lambda g: [np.broadcast_to(g * b, x.shape)]
    if len(factors) == 2:
        x, y = factors
        return (x.T @ y) * b, lambda g: [(y @ g.T) * b, (x @ g) * b]
    x, y, z = factors
    xy = (x[:, :, None] * y[:, None, :]).reshape(len(x), -1)
    shape = (x.shape[1], y.shape[1], z.shape[1])

    def pull(g: np.ndarray) -> list[np.ndarray]:
        flat = g.reshape(-1, shape[2])
        of_xy = ((z @ flat.T) * b).reshape(len(x), shape[0], shape[1])
        return [(of_xy * y[:, None, :]).sum(axis=2), (of_xy * x[:, :, None]).sum(axis=1), (xy @ flat) * b]

    return ((xy.T @ z) * b).reshape(shape), pull


def sample_mixture(
    p: np.ndarray, sizes: Sequence[int], n_rows: int, rng: np.random.Generator, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return (attributes, n_rows) uint16 codes with the smallest sampling noise that products allow.

    Each component gets its share of the rows, rounded systematically; within a component each attribute's codes are
    drawn by systematic inversion in an order of its own, so that counts differ from n·p by less than one.

    Args:
      p: (B, D) probabilities.
      weights: (B,) shares of the components, equal if None.
    """
    blocks = _Blocks(sizes)
    share = np.full(len(p), 1.0 / len(p)) if weights is None else weights / weights.sum()
    edges = np.floor(np.concatenate([[0.0], np.cumsum(share)]) * n_rows + rng.random()).astype(np.int64)
    edges = np.clip(edges - edges[0], 0, n_rows)
    edges[-1] = n_rows
    per = np.diff(edges)
    component = np.repeat(np.arange(len(p)), per)
    component = component[rng.permutation(n_rows)] if weights is not None else component
    order = np.argsort(component, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(component, minlength=len(p)))])[:-1]
    count = np.bincount(component, minlength=len(p)).astype(np.float64)
    out = np.empty((len(sizes), n_rows), dtype=np.uint16)
    owner = component[order]
    for attribute, block in enumerate(blocks.slices):
        shuffled = np.lexsort((rng.random(n_rows), owner))  # a random order within each component
        rank = np.empty(n_rows)
        rank[shuffled] = np.arange(n_rows) - start[owner]
        # One offset a component: then every code's count is its expectation, rounded up or down.
        point = (rank + rng.random(len(p))[owner]) / count[owner]
        cdf = np.cumsum(p[:, block].astype(np.float64), axis=1)
        cdf /= cdf[:, -1:]
        codes = _invert(cdf, owner, point)
        out[attribute, order] = codes
    return out[:, rng.permutation(n_rows)]


def _invert(cdf: np.ndarray, owner: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the code at each point of its component's distribution function."""
    # One sorted search over all components: shift each by its index.
    flat = (cdf + np.arange(len(cdf))[:, None]).ravel()
    found = np.searchsorted(flat, point + owner, side="right") - owner * cdf.shape[1]
    # A point next to one may round up to it: it belongs to the last code that has any probability.
    last = np.argmax(cdf >= cdf[:, -1:], axis=1)
    return np.clip(found, 0, last[owner])
