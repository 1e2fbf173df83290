"""Who is attacked: people in the data, as many people outside, and real rows to attack without the release."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables

MIN_SIDE = 50  # people on a side, as `MIN_ROWS` of a group (own)
NO_ROWS = f"needs a holdout (real rows kept out of training) with at least {2 * MIN_SIDE} units."


@dataclass(frozen=True, repr=False, eq=False)
class AttackTargets:
    """Equally many rows of members and of others, one row per unit.

    Attributes:
      members: rows of the training table; where the coins of a pool are known, of its units.
      others: rows of the holdout.
      reference: further rows of the holdout, of other units; empty if none were asked for.
    """

    members: pd.DataFrame
    others: pd.DataFrame
    reference: pd.DataFrame


def choose_targets(
    tables: AuditTables, *, rng: np.random.Generator, at_most: int, reference: bool = True
) -> AttackTargets | None:
    """Return members and others, at most `at_most` rows each; None with fewer than 50 of either.

    Args:
      reference: give half of the holdout's units to the reference.
    """
    if tables.holdout is None or len(tables.synthetic) == 0 or not tables.columns:
        return None
    coins = tables.pool_in_train is not None and bool(np.any(tables.pool_in_train))
    pool = np.flatnonzero(tables.pool_in_train) if coins else np.arange(len(tables.train))  # type: ignore[arg-type]
    inside = _one_row_each(tables.units("train"), pool, rng)
    outside = _one_row_each(tables.units("holdout"), np.arange(len(tables.holdout)), rng)
    kept, rest = np.split(outside, [(len(outside) + 1) // 2]) if reference else (outside, outside[:0])
    size = min(len(inside), len(kept), at_most)
    if size < MIN_SIDE:
        return None
    return AttackTargets(
        members=tables.train.iloc[inside[:size]].reset_index(drop=True),
        others=tables.holdout.iloc[kept[:size]].reset_index(drop=True),
        reference=tables.holdout.iloc[rest].reset_index(drop=True),
    )


def _one_row_each(units: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random row of each unit among `rows`, in random order."""
    mixed = rng.permutation(rows)
    return rng.permutation(mixed[np.unique(units[mixed], return_index=True)[1]])
