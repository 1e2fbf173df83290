"""Membership attacks by name. Which of them run is fixed before any row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.row_points import Encoder, fit_encoder, nearest
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.membership import data_only_scores
from privsynth.audit.membership.blind_baseline import blind_scores
from privsynth.audit.membership.focal_points import focal_points, has_focal_points
from privsynth.audit.membership.inference_game import MembershipGame, draw_game
from privsynth.audit.membership.vulnerable_rows import achilles

NEIGHBOURS = 10  # k of the density and of the plagiarism attack, as `ATTACKS` says (own)
LRA_ROWS = 5  # synthetic rows near a target that Gen-LRA scores (own)
MAX_BASE = 40_000  # synthetic rows, and reference rows, that targets are compared with; bounds the time (own)
MAX_PROBES = 1_000  # reference rows that the bandwidth of Gen-LRA is taken from (own)
SCORES = "attack_scores"  # under which a run keeps them
QUICK_TARGETS = 1_000  # a side at the level "quick"; bounds the time (own)

ATTACKS = {
    "distance": "nearer to a synthetic row than to a reference row (calibrated DCR)",
    "ratio": "many times nearer to a synthetic row than to a reference row; finds copies, also shaken ones",
    "density": "denser in the synthetic rows than in the reference, by 10 neighbours (DOMIAS)",
    "plagiarism": "more of the nearest rows are synthetic than reference rows (data plagiarism index, DPI)",
    "pairs": "values of column pairs more frequent in the synthetic rows than in the reference",
    "gen_lra": "the synthetic rows nearby become more likely if the target joins the reference (Gen-LRA)",
    "classifier": "taken for synthetic by a classifier of synthetic against reference rows (LOGAN style)",
    "histories": "the whole history is nearer to that of a synthetic person than to that of a reference person",
    "mama_mia": "values of the tables that the generator looked at more frequent than in the reference (MAMA-MIA)",
}
QUICK = ("distance", "ratio", "density", "plagiarism", "pairs")
STANDARD = (*QUICK, "gen_lra", "classifier")


@dataclass(frozen=True, repr=False, eq=False)
class AttackScores:
    """Scores of the attacks for each target, and the truth.

    Attributes:
      member: (n,) booleans: the target was in the training rows.
      scores: attack -> (n,) scores; higher means 'was a member'.
      rows: (n, ...) the attacked rows, in the order of `member`.
      n_reference: rows of the reference sample.
      coins: whether membership was decided by known fair coins; otherwise a random split is assumed.
      blind: (scores, member) of a classifier that saw no synthetic row, on targets it was not trained on.
      vulnerability: (n,) mean distance of each target to its nearest reference rows.
      game: for further attacks; None where scores come from elsewhere.
    """

    member: np.ndarray
    scores: Mapping[str, np.ndarray]
    rows: pd.DataFrame
    n_reference: int
    coins: bool
    blind: tuple[np.ndarray, np.ndarray] | None
    vulnerability: np.ndarray = field(default_factory=lambda: np.zeros(0))
    game: MembershipGame | None = None

    @property
    def n_members(self) -> int:
        """Number of targets that were in the training rows."""
        return int(self.member.sum())

    @property
    def n_non_members(self) -> int:
        """Number of targets that were not."""
        return int(len(self.member) - self.member.sum())


def pre_registered(settings: AuditSettings) -> tuple[str, ...]:
    """Return the attacks of a run: a function of its settings and the model, never of a row."""
    names = QUICK if settings.level == "quick" else STANDARD
    return (*names, "mama_mia") if has_focal_points(settings) else names


def attack_scores(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> AttackScores | None:
    """Return the scores of all attacks, shared by the audits of a run; None without enough rows."""
    found: AttackScores | None = context.once(SCORES, lambda: attack(tables, rng, context))
    return found


def attack(tables: AuditTables, rng: np.random.Generator, context: AuditContext) -> AttackScores | None:
    """Return the scores of all attacks; None without enough rows."""
    at_most = context.settings.max_targets
    if context.settings.level == "quick":
        at_most = min(at_most, QUICK_TARGETS)
    game = draw_game(tables, rng=rng, max_targets=at_most)
    if game is None or not tables.columns:
        return None
    encoder = fit_encoder(tables)
    near_r, scores = _scores(tables, game, encoder, rng, context)
    return AttackScores(
        member=game.member,
        scores=scores,
        rows=game.targets,
        n_reference=len(game.reference),
        coins=game.coins,
        blind=blind_scores(encoder.compact(game.targets), game.member, rng),
        vulnerability=achilles(near_r),
        game=game,
    )


def _scores(
    tables: AuditTables, game: MembershipGame, encoder: Encoder, rng: np.random.Generator, context: AuditContext
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the distances of the targets to the nearest reference rows, and attack -> scores."""
    names = pre_registered(context.settings)
    base = min(MAX_BASE, context.settings.max_rows)
    synthetic = tables.synthetic.iloc[thin(len(tables.synthetic), base, rng)]
    reference = game.reference.iloc[thin(len(game.reference), base, rng)]
    s, r, x = encoder.points(synthetic), encoder.points(reference), encoder.points(game.targets)
    (near_s, at), near_r = nearest(s, x, NEIGHBOURS), nearest(r, x, NEIGHBOURS)[0]
    scores = {
        "distance": data_only_scores.distance(near_s, near_r),
        "ratio": _ratio(tables, synthetic, reference, game),
        "density": data_only_scores.density(near_s, near_r),
        "plagiarism": data_only_scores.plagiarism(near_s, near_r, n_synthetic=len(s), n_reference=len(r)),
        "pairs": data_only_scores.marginals(tables, reference, game.targets, rng),
    }
    if "gen_lra" in names:
        # The nearest reference row of a reference row is itself, so take the second.
        gaps = nearest(r, r[thin(len(r), MAX_PROBES, rng)], 2)[0][:, -1]
        scores["gen_lra"] = data_only_scores.gen_lra(
            s, r, x, at[:, :LRA_ROWS], bandwidth=data_only_scores.kernel_bandwidth(gaps)
        )
    if "classifier" in names:
        ours, theirs, judge = (encoder.compact(frame) for frame in (synthetic, reference, game.targets))
        scores["classifier"] = data_only_scores.classifier(ours, theirs, judge, rng)
    if "mama_mia" in names:
        weights = focal_points(tables, game, achilles(near_r), context, rng)
        scores["mama_mia"] = data_only_scores.marginals(tables, reference, game.targets, rng, weights=weights)
    return near_r, {name: scores[name] for name in names}


def _ratio(tables: AuditTables, synthetic: pd.DataFrame, reference: pd.DataFrame, game: MembershipGame) -> np.ndarray:
    """Return the scores of `ratio` on linear scales, where a copy with slightly changed numbers stays near."""
    encoder = fit_encoder(tables, linear=True)
    x = encoder.points(game.targets)
    near_s, near_r = (nearest(encoder.points(frame), x, 1)[0] for frame in (synthetic, reference))
    return data_only_scores.ratio(near_s, near_r)
