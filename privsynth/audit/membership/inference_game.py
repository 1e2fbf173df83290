"""The membership game: who is attacked, the attacker's reference rows, and the truth.

One random row represents each unit. With a known audit pool, its units (the holdout, and those that a fair coin sent to
training) are split again by fair coins: the holdout units of one part are the reference, all units of the other part
are attacked. Without a pool, half of the holdout is the reference, and for each target a fair coin decides whether it
is a training unit or one of the other half. So reference, members and non-members never overlap, and given all else
each target's membership is a fair coin, whatever the sizes of the two tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables

MIN_TARGETS = 20  # members, non-members and reference rows at least (own)
SHORT = 3.4  # standard deviations of a count of fair coins: beyond either end with probability below 1 in 1,000
NO_ROWS = (
    f"needs a holdout (real rows kept out of training) with at least {4 * MIN_TARGETS} units, and as many training "
    "rows."
)


@dataclass(frozen=True, repr=False, eq=False)
class MembershipGame:
    """One draw of the game.

    Attributes:
      reference: real rows outside training that the attacker has.
      targets: the attacked rows.
      member: (n_targets,) booleans: was in the training rows.
      coins: whether known fair coins decided that.
      places: (n_targets,) the target's row in the training table, or in the holdout.
      reference_places: (n_reference,) rows of the holdout.
    """

    reference: pd.DataFrame
    targets: pd.DataFrame
    member: np.ndarray
    coins: bool
    places: np.ndarray
    reference_places: np.ndarray


def _one_row_each(units: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random row of each unit among `rows`."""
    mixed = rng.permutation(rows)
    return mixed[np.unique(units[mixed], return_index=True)[1]]


def _by_coins(inside: np.ndarray, outside: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the first members and non-members of two shuffled lists, with numbers decided by fair coins.

    The number of throws is such that a list is too short in at most 1 of 1,000 draws. Then all coins are thrown again,
    so an event of probability p under fair coins has at most p / 0.999 here.
    """
    least = min(len(inside), len(outside))
    root = math.sqrt(SHORT**2 / 4 + 2 * least) - SHORT / 2  # of t / 2 + SHORT * sqrt(t) / 2 = least
    throws = int(root**2)
    while True:
        members = int(rng.binomial(throws, 0.5))
        if max(members, throws - members) <= least:
            return inside[:members], outside[: throws - members]


def draw_game(tables: AuditTables, *, rng: np.random.Generator, max_targets: int) -> MembershipGame | None:
    """Return the reference, the targets and the truth; None with too few rows."""
    if tables.holdout is None or len(tables.synthetic) == 0:
        return None
    coins = tables.pool_in_train is not None and bool(np.any(tables.pool_in_train))
    pool = np.flatnonzero(tables.pool_in_train) if coins else np.arange(len(tables.train))  # type: ignore[arg-type]
    inside = _one_row_each(tables.units("train"), pool, rng)
    outside = _one_row_each(tables.units("holdout"), np.arange(len(tables.holdout)), rng)
    if coins:
        attacked_in, attacked_out = rng.random(len(inside)) < 0.5, rng.random(len(outside)) < 0.5
        known = outside[~attacked_out]
        inside, outside = inside[attacked_in], outside[attacked_out]
    else:
        inside, outside = rng.permutation(inside), rng.permutation(outside)
        known, outside = outside[::2], outside[1::2]
        inside, outside = _by_coins(inside, outside, rng)
    member = np.concatenate([np.ones(len(inside), bool), np.zeros(len(outside), bool)])
    targets = pd.concat([tables.train.iloc[inside], tables.holdout.iloc[outside]], ignore_index=True)
    keep = rng.permutation(len(member))[: 2 * max_targets]
    member, targets = member[keep], targets.iloc[keep].reset_index(drop=True)
    if min(member.sum(), (~member).sum(), len(known)) < MIN_TARGETS:
        return None
    places = np.concatenate([inside, outside])[keep]
    return MembershipGame(tables.holdout.iloc[known], targets, member, coins, places, known)
