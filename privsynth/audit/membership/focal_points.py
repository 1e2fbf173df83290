"""Focal points of MAMA-MIA: the marginals that a generator measured, and so may give away.

Known if the model lists them. Otherwise learnt from shadow runs: a pair of columns is a focal point if the synthetic
rows of a shadow run are closer to its training rows than to unseen rows of the same population.

Source: Golob et al. (2024), MAMA-MIA. Their weights count how often shadow runs select a marginal, which needs the
generator's code; comparing needs only its rows.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from privsynth.audit.common.audit_tables import AuditTables, thin
from privsynth.audit.common.discretise import distances, encode, fit_coders
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.membership.data_only_scores import MAX_PAIRS
from privsynth.audit.membership.inference_game import MembershipGame
from privsynth.audit.membership.shadow_models import ShadowRuns, shadow_runs

Weights = dict[tuple[str, ...], float]


def has_focal_points(settings: AuditSettings) -> bool:
    """Return whether the generator's marginals are known, or can be learnt at this level."""
    return _listed(settings) is not None or (settings.level == "deep" and settings.refit is not None)


def focal_points(
    tables: AuditTables,
    game: MembershipGame,
    vulnerability: np.ndarray,
    context: AuditContext,
    rng: np.random.Generator,
) -> Weights:
    """Return columns -> weight, summing to 1; equal weights of single columns if no pair stands out."""
    if _listed(context.settings) is not None:
        weights = _known(tables, context.settings)
    else:
        weights = _learnt(tables, shadow_runs(game, vulnerability, context, rng), rng)
    total = sum(weights.values())
    if total <= 0:
        return {(name,): 1 / len(tables.columns) for name in tables.columns}
    return {names: weight / total for names, weight in weights.items()}


def _listed(settings: AuditSettings) -> list[list[int]] | None:
    """Return the attributes of each marginal that the model lists; None if it lists none."""
    if settings.model is None:
        return None
    listed = settings.model.fitted.settings().get("tables")
    return listed if isinstance(listed, list) and listed else None


def _known(tables: AuditTables, settings: AuditSettings) -> Weights:
    assert settings.model is not None
    codec = settings.model.codec
    owner = {i: name for name in codec.names for i in codec.attributes_of(name)}
    counts: Counter[tuple[str, ...]] = Counter()
    for attributes in _listed(settings) or ():
        names = tuple(sorted({owner[i] for i in attributes if i in owner}))
        if names and set(names) <= set(tables.columns):
            counts[names] += 1
    return {names: float(count) for names, count in counts.items()}


def _learnt(tables: AuditTables, runs: ShadowRuns | None, rng: np.random.Generator) -> Weights:
    every = list(combinations(range(len(tables.columns)), 2))
    if runs is None or not every:
        return {}
    pairs = [every[i] for i in thin(len(every), MAX_PAIRS, rng)]
    coders = fit_coders(tables, fit="synthetic", bins=20)
    sizes = [coder.size for coder in coders]
    seen, unseen = encode(runs.base, coders), encode(runs.spare, coders)
    gain = np.zeros(len(pairs))
    for frame in runs.synthetic:
        ours = encode(frame, coders)
        far, close = distances(ours, unseen, sizes, pairs), distances(ours, seen, sizes, pairs)
        gain += (far.values - close.values) / np.maximum(far.floors, 1e-9)
    names = tables.columns
    return {
        (names[a], names[b]): float(g) for (a, b), g in zip(pairs, gain / len(runs.synthetic), strict=True) if g > 0
    }
