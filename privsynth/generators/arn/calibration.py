"""Tilting: weights for the network's rows under which the marginal model's tables come true again.

A row x gets the weight exp(Σ_r λ_r[x_r]), one potential λ_r[cell] for each cell of each table that was paid for: the
distribution nearest to the network's, in relative entropy, among those with given tables. The tables are those of the
fitted mixture, which are the paid ones without what its χ² stop left as noise: no cell is negative, and they agree with
each other, so that plain iterative scaling over a large sample of the network finds the potentials. Potentials and
tables are saved with the model, so that any later sample can be weighted. Free.

Source: entropic projection as in Aydore et al. 2021 and PMW^Pub (Liu et al. 2021); Deming & Stephan 1940.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.progress import Progress, no_progress

MAX_POTENTIAL = 3.0  # log weight of a cell: a row weighs at most e³ ≈ 20 times as much for one table
_WORK = 6_000  # tables times sweeps: of many tables fewer sweeps, so that it takes seconds
_RIDGE_ROWS = 4.0  # added to both sides of a cell: a cell of fewer rows moves little


@dataclass(frozen=True, kw_only=True)
class TiltSettings:
    """How rows are tilted; public.

    Attributes:
      rows: rows of the network on which the potentials are found.
      max_sweeps: passes over all tables at most.
      close: mean total-variation distance of the tables at which that ends.
      oversample: candidates for each row that is asked for.
      most: a row weighs at most this many average rows.
      blocks, gain: rows are chosen in so many blocks; strength of the correction between them.
    """

    rows: int = 98_304
    max_sweeps: int = 8
    close: float = 0.002
    oversample: int = 4
    most: float = 9.0
    blocks: int = 64
    gain: float = 1.0


@dataclass(frozen=True)
class CalibrationTable:
    """Shares of the cells of some attributes.

    Attributes:
      attributes: indices, ascending.
      shares: sum to one, shaped by the attributes' sizes.
    """

    attributes: tuple[int, ...]
    shares: np.ndarray


@dataclass(frozen=True)
class Potential:
    """One table and the log weights of its cells.

    Attributes:
      attributes: indices, ascending.
      values: float32 log weights, shaped by the attributes' sizes.
      shares: float32, what the table should be.
    """

    attributes: tuple[int, ...]
    values: np.ndarray
    shares: np.ndarray


def mixture_tables(p: np.ndarray, sizes: Sequence[int], wanted: Sequence[tuple[int, ...]]) -> list[CalibrationTable]:
    """Return tables of a mixture of products.

    Args:
      p: (components, D) probabilities, one block an attribute.
      wanted: sets of ascending attributes.
    """
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    tables = []
    for attributes in wanted:
        joint = p[:, start[attributes[0]] : start[attributes[0] + 1]].astype(np.float64)
        for at in attributes[1:-1]:
            joint = (joint[:, :, None] * p[:, None, start[at] : start[at + 1]]).reshape(len(p), -1)
        if len(attributes) > 1:
            last = attributes[-1]
            shares = joint.T @ p[:, start[last] : start[last + 1]].astype(np.float64) / len(p)
        else:
            shares = joint.mean(axis=0)
        tables.append(CalibrationTable(attributes, shares.reshape([sizes[at] for at in attributes])))
    return tables


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
    tables: Sequence[CalibrationTable],
    *,
    settings: TiltSettings,
    progress: Progress = no_progress,
) -> list[Potential]:
    """Return the potentials under which rows of the network have the given tables.

    Args:
      codes: (attributes, rows) sampled from the network.
      tables: what to agree with.
    """
    weight = np.full(codes.shape[1], 1.0 / codes.shape[1])
    values = [np.zeros(table.shares.size) for table in tables]
    ridge = _RIDGE_ROWS / codes.shape[1]
    sweeps = max(2, min(settings.max_sweeps, _WORK // max(len(tables), 1)))
    for sweep in range(sweeps):
        distance = 0.0
        for at, table in enumerate(tables):
            place = cells(codes, sizes, table.attributes)
            share = table.shares.ravel()
            model = np.bincount(place, weights=weight, minlength=share.size)
            distance += 0.5 * float(np.abs(share - model).sum()) / len(tables)
            # Cells of few rows move little, those that the network never takes not at all: a later sample would find
            # them blown up.
            move = np.clip(np.log((share + ridge) / (model + ridge)), -0.7, 0.7) * model / (model + ridge)
            new = np.clip(values[at] + move, -MAX_POTENTIAL, MAX_POTENTIAL)
            weight *= np.exp(new - values[at])[place]
            values[at] = new
        weight /= weight.sum()
        progress("tilting", sweep / sweeps)
        if distance <= settings.close:
            break
    progress("tilting", 1.0)
    return [
        Potential(
            table.attributes,
            found.reshape(table.shares.shape).astype(np.float32),
            table.shares.astype(np.float32),
        )
        for table, found in zip(tables, values, strict=True)
    ]


def log_weights(codes: np.ndarray, sizes: Sequence[int], potentials: Sequence[Potential]) -> np.ndarray:
    """Return (rows,) float64 log weights, up to a constant."""
    total = np.zeros(codes.shape[1])
    for potential in potentials:
        total += potential.values.ravel()[cells(codes, sizes, potential.attributes)]
    return total


def ceiling_of(log_weight: np.ndarray, most: float) -> float:
    """Return the log weight of `most` average rows.

    A later sample may hold a row that lies in many raised cells at once, as no row did on which the potentials were
    found; without a ceiling it would outweigh all others.
    """
    top = float(log_weight.max())
    return top + math.log(most * float(np.exp(log_weight - top).mean()))


def draw_tilted(
    n_rows: int,
    sizes: Sequence[int],
    potentials: Sequence[Potential],
    ceiling: float,
    settings: TiltSettings,
    draw: Callable[[int], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (attributes, n_rows) codes, chosen among candidates by their weights.

    Rows are chosen in blocks. Before each block the weights are corrected by how far the tables of the rows chosen so
    far are from where they should be, so that errors of earlier blocks are made good: the tables of the result come
    nearer to the model's than those of independent draws.

    Args:
      ceiling: the largest log weight.
      draw: number -> (attributes, number) candidates from the network.
    """
    candidates = draw(max(settings.oversample * n_rows, 64))
    log_weight = np.minimum(log_weights(candidates, sizes, potentials), ceiling)
    log_weight -= log_weight.max() if len(log_weight) else 0.0
    weight = np.exp(log_weight)
    weight /= weight.sum()
    wanted = [potential.shares.ravel().astype(np.float64) for potential in potentials]
    blocks = max(1, min(settings.blocks, n_rows // 32))
    got = [np.zeros_like(share) for share in wanted]
    gain = settings.gain / max(1.0, len(potentials) / max(len(sizes), 1))
    chosen = []
    ends = np.linspace(0, n_rows, blocks + 1).astype(np.int64)
    for part, start, stop in zip(
        np.array_split(rng.permutation(candidates.shape[1]), blocks), ends[:-1], ends[1:], strict=True
    ):
        places = [cells(candidates[:, part], sizes, p.attributes) for p in potentials]
        push = np.zeros(len(part))
        for share, have, place in zip(wanted, got, places, strict=True):
            push += ((share * start - have) / (share * (stop - start) + 1.0))[place]
        corrected = weight[part] * np.exp(np.clip(gain * push, -2.0, 2.0))
        picked = _systematic(corrected, int(stop - start), rng)
        for have, place in zip(got, places, strict=True):
            have += np.bincount(place[picked], minlength=len(have))
        chosen.append(part[picked])
    rows: np.ndarray = candidates[:, np.concatenate(chosen)[rng.permutation(n_rows)]]
    return rows


def _systematic(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return (count,) indices, each taken as often as its weight says, up to less than one."""
    total = np.cumsum(weight)
    points = (np.arange(count) + rng.random()) / max(count, 1) * total[-1]
    found: np.ndarray = np.minimum(np.searchsorted(total, points, side="right"), len(weight) - 1)
    return found
