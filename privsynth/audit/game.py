"""The membership game: who is attacked, what the attacker holds besides the synthetic rows, and the truth.

One row of each unit, drawn at random. Pool units (all holdout units, and as many training units, chosen by coins) are
split once more: one side's holdout units are the reference, the other side's units are attacked. So the reference, the
members and the non-members never overlap, and given all else each target's membership is a fair coin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.tables import AuditTables

MIN_TARGETS = 20
NO_ROWS = (
    f"needs a holdout (real rows kept out of training) with at least {4 * MIN_TARGETS} units, and as many training "
    "rows."
)


@dataclass(frozen=True, repr=False, eq=False)
class Game:
    """One deal.

    Attributes:
      reference: real rows that were not in training, of the attacker.
      targets: the attacked rows.
      member: (n_targets,) booleans: was in the training rows.
      coins: whether known fair coins had decided that.
    """

    reference: pd.DataFrame
    targets: pd.DataFrame
    member: np.ndarray
    coins: bool


def _one_row_each(units: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random row of each unit among `rows`."""
    mixed = rng.permutation(rows)
    return mixed[np.unique(units[mixed], return_index=True)[1]]


def deal(tables: AuditTables, *, rng: np.random.Generator, max_targets: int) -> Game | None:
    """Return the reference, the targets and the truth; None if there are too few rows to play."""
    if tables.holdout is None or len(tables.synthetic) == 0:
        return None
    coins = tables.pool_in_train is not None and bool(np.any(tables.pool_in_train))
    pool = np.flatnonzero(tables.pool_in_train) if coins else np.arange(len(tables.train))  # type: ignore[arg-type]
    inside = _one_row_each(tables.units("train"), pool, rng)
    outside = _one_row_each(tables.units("holdout"), np.arange(len(tables.holdout)), rng)
    if not coins:
        inside = inside[rng.random(len(inside)) < len(outside) / max(1, len(inside))]
        outside = outside[rng.random(len(outside)) < max(len(inside), 1) / max(1, len(outside))]
    attacked_in = rng.random(len(inside)) < 0.5
    attacked_out = rng.random(len(outside)) < 0.5
    reference = tables.holdout.iloc[outside[~attacked_out]]
    inside, outside = inside[attacked_in], outside[attacked_out]
    member = np.concatenate([np.ones(len(inside), bool), np.zeros(len(outside), bool)])
    targets = pd.concat([tables.train.iloc[inside], tables.holdout.iloc[outside]], ignore_index=True)
    keep = rng.permutation(len(member))[: 2 * max_targets]
    member, targets = member[keep], targets.iloc[keep].reset_index(drop=True)
    if min(member.sum(), (~member).sum(), len(reference)) < MIN_TARGETS:
        return None
    return Game(reference, targets, member, coins)
