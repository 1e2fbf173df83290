"""Shadow runs and MAMA-MIA: a generator that copies is found out, one that redraws is not."""

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.discretise import encode, fit_coders
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.membership import shadow_models
from privsynth.audit.membership.attacks import attack_scores
from privsynth.audit.membership.focal_points import focal_points, has_focal_points
from privsynth.audit.registry import run_audits
from privsynth.stats.intervals import auc_influence

COLUMNS = list("abcdef")
KINDS = dict.fromkeys(COLUMNS, "categorical")


def rows(n, rng):
    """Return rows of six columns, the first two alike."""
    frame = pd.DataFrame(rng.integers(0, 6, (n, 6)).astype(str), columns=COLUMNS)
    frame.loc[: n // 2, "b"] = frame.loc[: n // 2, "a"]
    return frame


def bootstrap(frame, *, seed):
    """Return rows of the table, drawn with replacement: a generator without any privacy."""
    return frame.sample(len(frame), replace=True, random_state=seed, ignore_index=True)


def redraw(frame, *, seed):
    """Return rows that owe nothing to the table."""
    return rows(len(frame), np.random.default_rng(seed))


def pair_only(frame, *, seed):
    """Return rows whose first two columns are drawn from the table together, the rest from nowhere."""
    fresh = redraw(frame, seed=seed)
    drawn = bootstrap(frame, seed=seed)
    return fresh.assign(a=drawn["a"], b=drawn["b"])


def deep(refit, n=500):
    rng = np.random.default_rng(0)
    train, holdout = rows(n, rng), rows(n, rng)
    synthetic = refit(train, seed=1)
    context = AuditContext(AuditSettings(level="deep", refit=refit, max_targets=100))
    return train, holdout, synthetic, context


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(shadow_models, "RUNS", 20)
    monkeypatch.setattr(shadow_models, "TARGETS", 40)
    monkeypatch.setattr(shadow_models, "QUERIES", 32)


@pytest.mark.parametrize(("refit", "found"), [(bootstrap, True), (redraw, False)], ids=["bootstrap", "redraw"])
def test_shadow_runs_tell_a_generator_that_copies(tables_of, pick, refit, found):
    """The interval of a generator that reveals nothing misses a half in 5 % of seeds."""
    train, holdout, synthetic, _ = deep(refit)
    tables = tables_of(train, holdout, synthetic, kinds=KINDS, targets=(), protected=())
    findings = run_audits(
        tables, AuditSettings(seed=3, names=("membership",), claimed=(1.0, 1e-6), level="deep", refit=refit)
    )
    shown = pick(findings, "membership_shadow_auc")
    assert shown.verdict == ("fail" if found else "pass")
    assert (shown.value > 0.75) == found
    assert shown.detail["runs"] == 20
    assert pick(findings, "membership_auc", "mama_mia").value is not None


def test_runs_hold_the_base_and_half_of_the_targets_and_never_the_spare_rows(tables_of):
    seen = []

    def refit(frame, *, seed):
        seen.append(frame)
        return bootstrap(frame, seed=seed)

    train, holdout, synthetic, context = deep(refit)
    tables = tables_of(train, holdout, synthetic, kinds=KINDS, targets=(), protected=())
    scores = attack_scores(tables, rng=np.random.default_rng(4), context=context)
    runs = shadow_models.shadow_runs(scores.game, scores.vulnerability, context, np.random.default_rng(5))
    again = shadow_models.shadow_runs(scores.game, scores.vulnerability, context, np.random.default_rng(6))
    assert again is runs, "one set of runs for all attacks of an audit"
    shadows = [frame for frame in seen if len(frame) != len(train)]
    assert len(shadows) == len(runs.synthetic) == 20
    for frame, inside in zip(shadows, runs.inside, strict=True):
        expected = pd.concat([runs.base, runs.targets[inside]], ignore_index=True)
        pd.testing.assert_frame_equal(frame, expected)
    assert 0.4 < runs.inside.mean() < 0.6
    assert len(runs.base) == len(runs.spare)
    assert np.isin(scores.vulnerability[np.argsort(-scores.vulnerability)[:40]].min(), scores.vulnerability)


def test_focal_points_are_the_tables_that_the_generator_follows(tables_of):
    train, holdout, synthetic, context = deep(pair_only, n=2_000)
    tables = tables_of(train, holdout, synthetic, kinds=KINDS, targets=(), protected=())
    scores = attack_scores(tables, rng=np.random.default_rng(7), context=context)
    weights = focal_points(tables, scores.game, scores.vulnerability, context, np.random.default_rng(8))
    assert max(weights, key=weights.get) == ("a", "b")
    assert sum(weights.values()) == pytest.approx(1.0)
    assert set(encode(train, fit_coders(tables)).shape) == {6, 2_000}


def test_mama_mia_finds_members_of_rare_cells_that_a_generator_copies(tables_of):
    """30 levels a column: most pairs of values are rare. 150 targets a side: 0.6 is 3 sd from a coin."""
    rng = np.random.default_rng(9)
    train, holdout = (pd.DataFrame(rng.integers(0, 30, (600, 6)).astype(str), columns=COLUMNS) for _ in range(2))
    tables = tables_of(train, holdout, bootstrap(train, seed=1), kinds=KINDS, targets=(), protected=())
    scores = attack_scores(tables, rng=rng, context=AuditContext(AuditSettings(level="deep", refit=bootstrap)))
    assert auc_influence(scores.scores["mama_mia"], scores.member)[0] > 0.6


def test_tables_that_a_model_lists_are_used_without_shadow_runs(tables_of):
    class Fitted:
        def settings(self):
            return {"tables": [[0, 1], [2, 1], [0, 1]]}

    class Codec:
        names = ("a", "b", "c")

        def attributes_of(self, name):
            return [self.names.index(name)]

    class Model:
        fitted, codec = Fitted(), Codec()

    train, holdout, synthetic, _ = deep(redraw)
    tables = tables_of(train, holdout, synthetic, kinds=KINDS, targets=(), protected=())
    context = AuditContext(AuditSettings(model=Model(), max_targets=100))
    assert has_focal_points(context.settings)
    scores = attack_scores(tables, rng=np.random.default_rng(0), context=context)
    weights = focal_points(tables, scores.game, scores.vulnerability, context, np.random.default_rng(0))
    assert weights == pytest.approx({("a", "b"): 2 / 3, ("b", "c"): 1 / 3})
    assert "mama_mia" in scores.scores


def test_without_the_generator_deep_says_so(tables_of, pick):
    train, holdout, synthetic, _ = deep(redraw)
    tables = tables_of(train, holdout, synthetic, kinds=KINDS, targets=(), protected=())
    findings = run_audits(tables, AuditSettings(seed=3, names=("membership",), level="deep"))
    assert pick(findings, "membership_shadow_auc").verdict == "insufficient"
    assert not has_focal_points(AuditSettings(level="deep"))
