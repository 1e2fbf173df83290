"""Tilting: weights for the network's rows under which the paid tables come true again.

A row x gets the weight exp(Σ_r λ_r[x_r]), one potential λ_r[cell] for each cell of each paid table: the distribution
nearest to the network's, in relative entropy, among those with given tables. The potentials are found by iterative
scaling over a large sample of the network, damped by each table's noise, until Σ((table − paid)/σ)² of each group of
tables reaches its number of cells. They are saved with the model, so that any later sample can be weighted. Free.

Source: entropic projection as in Aydore et al. 2021 and PMW^Pub (Liu et al. 2021); Deming & Stephan 1940.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.generators.encoded import Progress, no_progress
from privsynth.generators.marginal.measure import Measured

MAX_POTENTIAL = 8.0
_WORK = 6_000


@dataclass(frozen=True, kw_only=True)
class TiltSettings:
    """How rows are tilted; public.

    Attributes:
      rows: rows of the network on which the potentials are found.
      max_sweeps: passes over all tables at most.
      oversample: candidates for each row that is asked for.
    """

    rows: int = 98_304
    max_sweeps: int = 40
    oversample: int = 3


@dataclass(frozen=True)
class Potential:
    """Log weights of the cells of one table.

    Attributes:
      attributes: indices, ascending.
      values: float32, shaped by the attributes' sizes.
    """

    attributes: tuple[int, ...]
    values: np.ndarray


def cells(codes: np.ndarray, sizes: Sequence[int], attributes: tuple[int, ...]) -> np.ndarray:
    """Return (rows,) int64, the place of each row's cell in the flat table of some attributes."""
    index = codes[attributes[0]].astype(np.int64)
    for attribute in attributes[1:]:
        index = index * sizes[attribute] + codes[attribute]
    flat: np.ndarray = index
    return flat


def fit_tilt(
    codes: np.ndarray,
    sizes: Sequence[int],
    tables: Sequence[Measured],
    *,
    n_rows: float,
    settings: TiltSettings,
    progress: Progress = no_progress,
) -> list[Potential]:
    """Return the potentials under which rows of the network agree with the paid tables.

    Args:
      codes: (attributes, rows) sampled from the network.
      tables: paid tables, one-way and wider.
      n_rows: the paid number of rows.
    """
    weight = np.full(codes.shape[1], 1.0 / codes.shape[1])
    log_cell = [np.zeros(table.counts.size) for table in tables]
    sweeps = max(3, min(settings.max_sweeps, _WORK // max(len(tables), 1)))
    for sweep in range(sweeps):
        chi: dict[int, list[float]] = {}
        for at, table in enumerate(tables):
            place = cells(codes, sizes, table.attributes)
            share, sigma = table.counts.ravel() / n_rows, table.sigma / n_rows
            model = np.bincount(place, weights=weight, minlength=share.size)
            residual = share - model
            chi.setdefault(len(table.attributes), []).append(float((residual / sigma) @ (residual / sigma)))
            # A cell moves all the way where it is large beside the noise, and hardly where it is not.
            move = np.clip(residual / (np.maximum(model, share) + sigma), -0.7, 0.7)
            new = np.clip(log_cell[at] + move, -MAX_POTENTIAL, MAX_POTENTIAL)
            weight *= np.exp(new - log_cell[at])[place]
            log_cell[at] = new
        weight /= weight.sum()
        progress("tilting", sweep / sweeps)
        if _fitted(chi, tables):
            break
    progress("tilting", 1.0)
    return [
        Potential(table.attributes, values.reshape(table.counts.shape).astype(np.float32))
        for table, values in zip(tables, log_cell, strict=True)
    ]


def _fitted(chi: dict[int, list[float]], tables: Sequence[Measured]) -> bool:
    sizes: dict[int, int] = {}
    for table in tables:
        sizes[len(table.attributes)] = sizes.get(len(table.attributes), 0) + table.counts.size
    return all(sum(values) <= sizes[width] for width, values in chi.items())


def log_weights(codes: np.ndarray, sizes: Sequence[int], potentials: Sequence[Potential]) -> np.ndarray:
    """Return (rows,) float64 log weights, up to a constant."""
    total = np.zeros(codes.shape[1])
    for potential in potentials:
        total += potential.values.ravel()[cells(codes, sizes, potential.attributes)]
    return total


def draw_tilted(
    n_rows: int,
    sizes: Sequence[int],
    potentials: Sequence[Potential],
    settings: TiltSettings,
    draw: Callable[[int], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (attributes, n_rows) codes, chosen among candidates by their weights.

    Args:
      draw: number -> (attributes, number) candidates from the network.
    """
    candidates = draw(max(settings.oversample * n_rows, 64))
    weight = log_weights(candidates, sizes, potentials)
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    weight = np.minimum(weight, 3.0 / max(n_rows, 1))  # few copies of one candidate
    order = rng.permutation(candidates.shape[1])
    total = np.cumsum(weight[order])
    points = (np.arange(n_rows) + rng.random()) / max(n_rows, 1) * total[-1]
    chosen = order[np.minimum(np.searchsorted(total, points, side="right"), len(order) - 1)]
    return candidates[:, chosen[rng.permutation(n_rows)]]
