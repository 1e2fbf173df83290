"""Shadow models: run the generator on other rows, and learn what a target leaves in the synthetic table.

The data is fixed: every run trains on the same base rows and on a random half of the targets, chosen by fair coins, so
that one run serves all targets. Queries count the synthetic rows that agree with a target on random sets of columns. A
linear model learns from half of the runs which queries tell 'in' from 'out', and is tested on the other half. This
measures the generator on these people, not this one release.

Source: query-based attack of TAPAS, Houssiau et al. (2022); targets by Meeus et al. (2023); model-seeded game, Guépin
et al. (2024).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.discretise import encode, fit_coders
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.membership.data_only_scores import log_ratio
from privsynth.audit.membership.inference_game import MembershipGame

RUNS = 32  # fits of the generator: half teach the attack, half judge it; bounds the time (own)
TARGETS = 100  # the most vulnerable; one run serves all of them (own)
BASE_ROWS = 2_000  # rows that every run trains on; bounds the time (own)
QUERIES = 64  # random sets of columns (own)
MAX_QUERY_COLUMNS = 4  # of a query: with more, hardly a synthetic row agrees (own)
MIN_BASE = 50  # with fewer rows in common, a run is mostly targets (own)


@dataclass(frozen=True, repr=False, eq=False)
class ShadowRuns:
    """Synthetic tables of runs whose training rows are known.

    Attributes:
      synthetic: one frame per run.
      inside: (runs, targets) booleans: the run trained on the target.
      targets: the targets' rows, the most vulnerable of the game.
      base: rows that every run trained on.
      spare: as many rows of the same population that no run trained on.
    """

    synthetic: Sequence[pd.DataFrame]
    inside: np.ndarray
    targets: pd.DataFrame
    base: pd.DataFrame
    spare: pd.DataFrame


def shadow_runs(
    game: MembershipGame, vulnerability: np.ndarray, context: AuditContext, rng: np.random.Generator
) -> ShadowRuns | None:
    """Return the shadow runs of an audit, made once; None without the generator or with too few rows."""
    found: ShadowRuns | None = context.once("shadow_runs", lambda: _run(game, vulnerability, context, rng))
    return found


def _run(
    game: MembershipGame, vulnerability: np.ndarray, context: AuditContext, rng: np.random.Generator
) -> ShadowRuns | None:
    half = min(BASE_ROWS, len(game.reference) // 2)
    if context.settings.refit is None or context.settings.level != "deep" or half < MIN_BASE:
        return None
    mixed = game.reference.iloc[rng.permutation(len(game.reference))]
    base, spare = mixed.iloc[:half].reset_index(drop=True), mixed.iloc[half : 2 * half].reset_index(drop=True)
    chosen = np.sort(np.argsort(-vulnerability, kind="stable")[:TARGETS])
    targets = game.targets.iloc[chosen].reset_index(drop=True)
    inside = rng.random((RUNS, len(targets))) < 0.5
    frames = []
    for row in inside:
        rows = pd.concat([base, targets[row]], ignore_index=True)
        frames.append(context.settings.refit(rows, seed=int(rng.integers(2**31)))[list(targets.columns)])
    return ShadowRuns(frames, inside, targets, base, spare)


def query_scores(
    tables: AuditTables, runs: ShadowRuns, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flat arrays of scores, truth and run for every (run, target) of the half of the runs that tests."""
    from sklearn.linear_model import LogisticRegression

    answers = _answers(tables, runs, rng)
    learn = np.arange(len(runs.synthetic)) < len(runs.synthetic) // 2
    # A target's mean answers describe the population, not the run: subtract them.
    answers = answers - answers[learn].mean(axis=0)
    answers /= answers[learn].std(axis=(0, 1)) + 1e-9
    flat = answers.reshape(len(answers), -1, answers.shape[2])
    model = LogisticRegression(C=0.01, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the solver's limit of steps is of no consequence
        model.fit(flat[learn].reshape(-1, flat.shape[2]), runs.inside[learn].reshape(-1))
    scores = model.decision_function(flat[~learn].reshape(-1, flat.shape[2]))
    judged = np.repeat(np.arange((~learn).sum()), runs.inside.shape[1])
    return np.asarray(scores), runs.inside[~learn].reshape(-1), judged


def _answers(tables: AuditTables, runs: ShadowRuns, rng: np.random.Generator) -> np.ndarray:
    """Return (runs, targets, queries) log ratios of the target's values: in the run's table over unseen rows."""
    coders = fit_coders(tables, fit="synthetic", bins=20)
    sizes = [coder.size for coder in coders]
    d = len(coders)
    queries = [
        tuple(rng.choice(d, size=rng.integers(1, min(MAX_QUERY_COLUMNS, d) + 1), replace=False).tolist())
        for _ in range(QUERIES)
    ]
    spare = encode(runs.spare, coders).astype(np.int64)
    targets = encode(runs.targets, coders).astype(np.int64)
    out = np.empty((len(runs.synthetic), targets.shape[1], QUERIES))
    for i, frame in enumerate(runs.synthetic):
        ours = encode(frame, coders).astype(np.int64)
        for q, columns in enumerate(queries):
            out[i, :, q] = log_ratio(ours, spare, targets, sizes, columns)
    return out
