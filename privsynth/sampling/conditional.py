"""Conditional sampling for every generator: rows that agree with known codes and evidence.

A condition on codes has two parts: codes that are known, row by row, and evidence, a likelihood for the codes of an
attribute that holds for all rows. Only the released model is used; nothing private is touched and nothing is
spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from privsynth.errors import ConfigError

Evidence = Mapping[int, np.ndarray]

# The sizes below are our own: seconds of work and some MB of memory.
BATCH = 16_384  # rows drawn at once for rejection
MOST_DRAWN = 1_000_000  # rows that rejection draws before it gives up, if fewer than LEAST_FOUND of them agree
LEAST_FOUND = 1e-3  # rarer rows are too rare to wait for
POOL_ROWS = 20_000  # rows that serve as donors of missing codes
NEAREST = 8  # donors among which one is drawn: several, so that repeated draws differ; few, so that all are alike
_PAIRS_AT_ONCE = 4_000_000  # distances between rows and donors held at once: 16 MB


class DrawsCodes(Protocol):
    """A model that rows are drawn from."""

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes."""
        ...


@runtime_checkable
class Completes(Protocol):
    """A fitted model that answers conditions itself, without rejection."""

    def complete(self, known: np.ndarray, evidence: Evidence, rng: np.random.Generator) -> np.ndarray:
        """Return codes as `complete` does; the arguments are checked already."""
        ...


def complete(fitted: DrawsCodes, known: np.ndarray, evidence: Evidence, rng: np.random.Generator) -> np.ndarray:
    """Return (attributes, n) uint16 codes of rows that agree with what is known.

    Args:
      fitted: any model. If it has no `complete` of its own, its rows are rejected where the same codes are known in
        all rows, and similar rows fill the gaps where they differ (an approximation).
      known: (attributes, n) int32 codes, −1 where the code is to be drawn. Known codes come back as they are.
      evidence: attribute -> (size,) likelihood in [0, 1] of each code, for the rows in which the attribute is not
        known: the chance that a row of this code meets the condition. 0 forbids a code.
    Raises:
      ConfigError: the model has (nearly) no mass where the rows should lie.
    """
    for weight in evidence.values():
        if not (np.isfinite(weight).all() and (weight >= 0).all() and (weight > 0).any()):
            raise ConfigError("no row of the model can meet the condition; loosen it")
    codes = np.asarray(known, dtype=np.int32)
    if codes.shape[1] == 0 or (codes >= 0).all():
        return codes.astype(np.uint16)
    if isinstance(fitted, Completes):
        return fitted.complete(codes, evidence, rng)
    if (codes == codes[:, :1]).all():
        return complete_by_rejection(fitted, codes, evidence, rng)
    return complete_from_pool(fitted, codes, evidence, rng)


def complete_by_rejection(
    fitted: DrawsCodes, known: np.ndarray, evidence: Evidence, rng: np.random.Generator
) -> np.ndarray:
    """Return rows of the model that agree by chance; the same codes are known in all rows (see `complete`). Exact."""
    n_rows, wanted = known.shape[1], np.flatnonzero(known[:, 0] >= 0)
    parts, found, drawn = [], 0, 0
    while found < n_rows:
        if drawn >= MOST_DRAWN and found < LEAST_FOUND * drawn:
            raise ConfigError(
                f"only {found:,} of {drawn:,} rows that the model drew meet the condition; loosen it, or ask for fewer"
            )
        batch = fitted.sample_codes(BATCH, rng)
        drawn += BATCH
        chance = (batch[wanted] == known[wanted, :1]).all(axis=0).astype(np.float64)
        for attribute, weight in evidence.items():
            if known[attribute, 0] < 0:
                chance *= (weight / weight.max())[batch[attribute]]
        parts.append(batch[:, rng.random(BATCH) < chance][:, : n_rows - found])
        found += parts[-1].shape[1]
    return np.concatenate(parts, axis=1)


def complete_from_pool(
    fitted: DrawsCodes, known: np.ndarray, evidence: Evidence, rng: np.random.Generator
) -> np.ndarray:
    """Return known codes with the gaps filled from the most similar rows of the model (see `complete`).

    Hot-deck imputation with rows of the model as donors: one of the `NEAREST` with the fewest differing known codes.
    This is an approximation, and a coarse one where many attributes are known.

    Source: Andridge & Little (2010), section 3.
    """
    pool = fitted.sample_codes(POOL_ROWS, rng)
    out = known.astype(np.uint16)
    rows_at_once = max(1, _PAIRS_AT_ONCE // POOL_ROWS)
    for start in range(0, known.shape[1], rows_at_once):
        block = known[:, start : start + rows_at_once]
        # A random fraction breaks ties between equally near rows.
        apart = rng.random((block.shape[1], POOL_ROWS), dtype=np.float32)
        for attribute, codes in enumerate(block):
            there = codes >= 0
            apart[there] += pool[attribute] != codes[there, None]
            if attribute in evidence:
                weight = np.asarray(evidence[attribute], dtype=np.float32)
                apart[~there] += np.where(weight > 0, 0, 1e6).astype(np.float32)[pool[attribute]]
        near = np.argpartition(apart, NEAREST, axis=1)[:, :NEAREST]
        if (np.take_along_axis(apart, near, axis=1).min(axis=1) >= 1e6).any():
            raise ConfigError("the model drew no row that may fill the gaps; loosen the condition")
        near = np.take_along_axis(near, np.argsort(np.take_along_axis(apart, near, axis=1), axis=1), axis=1)
        allowed = (np.take_along_axis(apart, near, axis=1) < 1e6).sum(axis=1)
        chosen = near[np.arange(len(near)), np.floor(rng.random(len(near)) * allowed).astype(np.int64)]
        for attribute, codes in enumerate(block):
            gaps = np.flatnonzero(codes < 0)
            out[attribute, start + gaps] = pool[attribute, chosen[gaps]]
    return out
