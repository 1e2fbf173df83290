"""The membership game: who is attacked, what the attacker holds besides the synthetic rows, and the truth.

One row of each unit, drawn at random. Where the coins of a pool are known, its units (all holdout units, and those that
their coin sent to training) are split once more by coins: one side's holdout units are the reference, the other side's
units are attacked. Where no coins are known, half of the holdout is the reference; for each target a coin says whether
it is a training unit or one of the other half. So the reference, the members and the non-members never overlap, and
given all else each target's membership is a fair coin, however many rows the two tables have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables

MIN_TARGETS = 20  # members, non-members and reference rows at least (own)
SHORT = 3.4  # standard deviations of a count of fair coins: beyond them, on either side, in fewer than 1 of 1,000
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


def _by_coins(inside: np.ndarray, outside: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the first members and non-members of two mixed lists, as many of each as fair coins ask for.

    There are so many throws that in at most one deal in 1,000 a list is too short for its side. Then all coins are
    thrown again, so whatever has probability p under fair coins has at most p / 0.999 here.
    """
    least = min(len(inside), len(outside))
    root = math.sqrt(SHORT**2 / 4 + 2 * least) - SHORT / 2  # of t / 2 + SHORT * sqrt(t) / 2 = least
    throws = int(root**2)
    while True:
        members = int(rng.binomial(throws, 0.5))
        if max(members, throws - members) <= least:
            return inside[:members], outside[: throws - members]


def deal(tables: AuditTables, *, rng: np.random.Generator, max_targets: int) -> Game | None:
    """Return the reference, the targets and the truth; None if there are too few rows to play."""
    if tables.holdout is None or len(tables.synthetic) == 0:
        return None
    coins = tables.pool_in_train is not None and bool(np.any(tables.pool_in_train))
    pool = np.flatnonzero(tables.pool_in_train) if coins else np.arange(len(tables.train))  # type: ignore[arg-type]
    inside = _one_row_each(tables.units("train"), pool, rng)
    outside = _one_row_each(tables.units("holdout"), np.arange(len(tables.holdout)), rng)
    if coins:
        attacked_in, attacked_out = rng.random(len(inside)) < 0.5, rng.random(len(outside)) < 0.5
        reference = tables.holdout.iloc[outside[~attacked_out]]
        inside, outside = inside[attacked_in], outside[attacked_out]
    else:
        inside, outside = rng.permutation(inside), rng.permutation(outside)
        reference, outside = tables.holdout.iloc[outside[::2]], outside[1::2]
        inside, outside = _by_coins(inside, outside, rng)
    member = np.concatenate([np.ones(len(inside), bool), np.zeros(len(outside), bool)])
    targets = pd.concat([tables.train.iloc[inside], tables.holdout.iloc[outside]], ignore_index=True)
    keep = rng.permutation(len(member))[: 2 * max_targets]
    member, targets = member[keep], targets.iloc[keep].reset_index(drop=True)
    if min(member.sum(), (~member).sum(), len(reference)) < MIN_TARGETS:
        return None
    return Game(reference, targets, member, coins)
