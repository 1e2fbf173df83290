"""Membership attacks that see the synthetic rows and a reference sample, never the generator.

The game: one row of each unit, drawn at random. Pool units (all holdout units, and as many training units,
  chosen
by coins) are split once more: one side's holdout units are the reference, the other side's units are
attacked. So the reference, the members and the non-members never overlap, and given all else each target's
membership is a fair coin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.codes import encode, fit_coders
from privsynth.audit.features import Encoder, fit_encoder, nearest
from privsynth.audit.learners import one_thread
from privsynth.audit.tables import AuditSettings, AuditTables, thin

MIN_TARGETS = 20
NEIGHBOURS = 10
MAX_BASE = 40_000
MAX_PAIRS = 200

ATTACKS = {
    "distance": "nearer to a synthetic row than to a reference row (calibrated DCR)",
    "ratio": "many times nearer to a synthetic row than to a reference row; finds copies",
    "density": "denser in the synthetic rows than in the reference, by 10 neighbours (DOMIAS)",
    "pairs": "values of column pairs more frequent in the synthetic rows than in the reference (MAMA-MIA style)",
    "classifier": "taken for synthetic by a classifier of synthetic against reference rows (LOGAN style)",
}


@dataclass(frozen=True, repr=False, eq=False)
class AttackScores:
    """What the attacks said about each target, and the truth.

    Attributes:
      member: (n,) booleans: the target was in the training rows.
      scores: attack -> (n,) scores; higher means 'was a member'.
      rows: (n, ...) the attacked rows, in the order of `member`.
      n_reference: rows of the reference sample.
      coins: whether membership was decided by known fair coins; otherwise a random split is assumed.
      blind: (scores, member) of a classifier that never saw a synthetic row, on targets it was not trained
        on.
    """

    member: np.ndarray
    scores: dict[str, np.ndarray]
    rows: pd.DataFrame
    n_reference: int
    coins: bool
    blind: tuple[np.ndarray, np.ndarray] | None

    @property
    def n_members(self) -> int:
        """Number of targets that were in the training rows."""
        return int(self.member.sum())

    @property
    def n_non_members(self) -> int:
        """Number of targets that were not."""
        return int(len(self.member) - self.member.sum())


@dataclass(frozen=True, repr=False, eq=False)
class _Game:
    reference: pd.DataFrame
    targets: pd.DataFrame
    member: np.ndarray
    coins: bool


def _one_row_each(units: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one random row of each unit among `rows`."""
    mixed = rng.permutation(rows)
    return mixed[np.unique(units[mixed], return_index=True)[1]]


def deal(tables: AuditTables, *, rng: np.random.Generator, max_targets: int) -> _Game | None:
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
    return _Game(reference, targets, member, coins)


def attack_scores(tables: AuditTables, *, rng: np.random.Generator, settings: AuditSettings) -> AttackScores | None:
    """Return the scores of all attacks on one deal, shared by the audits of a run; None without enough rows."""
    found: AttackScores | None = settings.once("attack_scores", lambda: _attack(tables, rng, settings))
    return found


def _attack(tables: AuditTables, rng: np.random.Generator, settings: AuditSettings) -> AttackScores | None:
    game = deal(tables, rng=rng, max_targets=settings.max_targets)
    if game is None or not tables.columns:
        return None
    at_most = min(MAX_BASE, settings.max_rows)
    synthetic = tables.synthetic.iloc[thin(len(tables.synthetic), at_most, rng)]
    reference = game.reference.iloc[thin(len(game.reference), at_most, rng)]
    encoder = fit_encoder(tables)
    s, r, x = encoder.points(synthetic), encoder.points(reference), encoder.points(game.targets)
    near_s, near_r = nearest(s, x, NEIGHBOURS)[0], nearest(r, x, NEIGHBOURS)[0]
    scores = {
        "distance": near_r[:, 0] - near_s[:, 0],
        "ratio": np.log(near_r[:, 0] + 1e-3) - np.log(near_s[:, 0] + 1e-3),
        "density": np.log(near_r[:, -1] + 1e-6) - np.log(near_s[:, -1] + 1e-6),
        "pairs": _pair_ratio(tables, reference, game.targets, rng),
        "classifier": _classifier(s, r, x, rng),
    }
    return AttackScores(
        member=game.member,
        scores=scores,
        rows=game.targets,
        n_reference=len(reference),
        coins=game.coins,
        blind=_blind(encoder, game, rng),
    )


def _pair_ratio(
    tables: AuditTables, reference: pd.DataFrame, targets: pd.DataFrame, rng: np.random.Generator
) -> np.ndarray:
    """Mean over column pairs of log P_synthetic(cell) - log P_reference(cell), add-one-half smoothed."""
    coders = fit_coders(tables, fit="synthetic", bins=20)
    s, r, x = (encode(frame, coders).astype(np.int64) for frame in (tables.synthetic, reference, targets))
    d = len(coders)
    pairs = [(a, b) for a in range(d) for b in range(a + 1, d)] or [(0, 0)]
    total = np.zeros(x.shape[1])
    for i in thin(len(pairs), MAX_PAIRS, rng):
        a, b = pairs[i]
        size = coders[b].size
        keys = [part[a] * size + part[b] for part in (s, r, x)]
        seen, codes = np.unique(np.concatenate(keys), return_inverse=True)
        n_s, n_r = len(keys[0]), len(keys[1])
        cells = codes[n_s + n_r :]
        for part, n, sign in ((codes[:n_s], n_s, 1), (codes[n_s : n_s + n_r], n_r, -1)):
            counts = np.bincount(part, minlength=len(seen))
            total += sign * np.log((counts[cells] + 0.5) / (n + 0.5 * len(seen)))
    return total / len(pairs)


def _boosted_scores(
    x: np.ndarray, y: np.ndarray, judge: np.ndarray, *, iterations: int, rng: np.random.Generator
) -> np.ndarray:
    """Return (n_judge,) log-odds of y = 1 by boosted trees, both classes of equal weight."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    weights = np.where(y == 1, 0.5 / max(1, (y == 1).sum()), 0.5 / max(1, (y == 0).sum())) * len(y)
    model = HistGradientBoostingClassifier(
        max_iter=iterations, early_stopping=False, random_state=int(rng.integers(2**31))
    )
    with one_thread():
        return np.asarray(model.fit(x, y, sample_weight=weights).decision_function(judge))


def _classifier(s: np.ndarray, r: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    s = s[thin(len(s), max(4 * len(r), 1_000), rng)]
    y = np.concatenate([np.ones(len(s)), np.zeros(len(r))])
    return _boosted_scores(np.concatenate([s, r]), y, x, iterations=80, rng=rng)


def _blind(encoder: Encoder, game: _Game, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Try to tell members from non-members without a synthetic row: half of the targets train, the rest
    judge.
    """
    half = rng.random(len(game.member)) < 0.5
    if min(game.member[half].sum(), (~game.member[half]).sum()) < 5 or len(np.unique(game.member[~half])) < 2:
        return None
    x = encoder.points(game.targets)
    guess = _boosted_scores(x[half], game.member[half].astype(float), x[~half], iterations=40, rng=rng)
    return guess, game.member[~half]
