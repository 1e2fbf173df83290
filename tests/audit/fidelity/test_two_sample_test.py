"""The two-sample classifier: a coin for rows of the same people, and the columns that give others away.

The simulation fails by chance with probability below 1e-4.
"""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.fidelity import two_sample_test as room
from privsynth.audit.fidelity.two_sample_test import MIN_ROWS, tell_apart, two_sample
from privsynth.stats.intervals import cluster_variance


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(room, "TREES", 20)


def audit(tables, rows=1_200, seed=0):
    return two_sample(
        tables, rng=np.random.default_rng(seed), context=AuditContext(AuditSettings(level="quick", max_rows=rows))
    )


def worst(findings):
    return max((f for f in findings if f.name == "c2st_column"), key=lambda f: f.value)


def test_a_fresh_draw_and_a_copy_of_the_training_rows_are_a_coin(people, tables_of, pick):
    train, holdout, fresh = people
    for made in (fresh, train.copy()):
        findings = audit(tables_of(train, holdout, made))
        found = pick(findings, "c2st_auroc")
        assert found.low < 0.5 < found.high or abs(found.value - 0.5) < 0.03
        assert found.baseline == pytest.approx(0.5, abs=0.05)
        assert found.n == 2_400
        assert worst(findings).low < 0 or worst(findings).value < 0.03


def test_a_copy_of_the_holdout_itself_cannot_be_told(people, tables_of, pick):
    """No model tells equal rows apart; cross-fitted, it is even drawn to the wrong side."""
    train, holdout, _ = people
    assert pick(audit(tables_of(train, holdout, holdout.copy())), "c2st_auroc").value < 0.5


def test_a_shifted_column_gives_the_rows_away(people, tables_of, pick):
    train, holdout, fresh = people
    findings = audit(tables_of(train, holdout, fresh.assign(age=fresh["age"] + 12)))
    shift = pick(findings, "c2st_auroc")
    # Normal columns 12 / 14 standard deviations apart: a ranking by age alone does Φ(12 / 14 / √2) = 0.728; the
    # columns that go with age add a little.
    assert 0.728 - 0.04 < shift.value < 0.728 + 0.08
    assert shift.low > shift.baseline
    assert worst(findings).group == "age"
    assert worst(findings).low > 0.1
    others = [f for f in findings if f.name == "c2st_column" and f.group not in ("age", "income")]
    assert max(f.value for f in others) < 0.05


def test_a_dropped_mode_names_its_column(people, tables_of, pick):
    train, holdout, fresh = people
    findings = audit(tables_of(train, holdout, fresh[fresh["region"] != "A"]))
    assert worst(findings).group == "region"
    assert pick(findings, "c2st_auroc").value == pytest.approx(0.5 + 0.39 / 2, abs=0.05)


def test_broken_dependence_is_found_though_every_column_is_right(people, tables_of, pick):
    train, holdout, fresh = people
    broken = fresh.assign(ill=np.random.default_rng(0).permutation(fresh["ill"].to_numpy(dtype=object)))
    findings = audit(tables_of(train, holdout, broken))
    assert pick(findings, "c2st_auroc").low > 0.55
    assert {f.group for f in findings if f.name == "c2st_column" and f.low > 0} == {"age", "ill"}


def test_rows_of_a_unit_share_a_fold(draw, tables_of):
    """Three equal rows a person, across folds, would be recognised: the holdout would look different for nothing."""
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(200), 3)
    holdout, fresh = draw(200, rng).iloc[units].reset_index(drop=True), draw(600, rng)
    tables = tables_of(draw(600, rng), holdout, fresh, unit_holdout=units)
    assert np.unique(room._folds(np.append(units, 200 + np.arange(600)), np.repeat([0, 1], 600), rng)).size == 3
    told = tell_apart(tables, holdout, fresh, units, rng=np.random.default_rng(2))
    naive = tell_apart(tables, holdout, fresh, np.arange(600), rng=np.random.default_rng(2))
    assert told.auc < 0.57
    assert naive.auc > told.auc + 0.08


def test_the_mean_over_folds_equals_a_plain_loop(people, tables_of):
    train, holdout, fresh = (part.head(200) for part in people)
    tables = tables_of(train, holdout, fresh)
    told = tell_apart(tables, holdout, fresh, np.arange(200), rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rows, y = room.pd.concat([holdout, fresh], ignore_index=True), np.repeat([0, 1], 200)
    folds = room._folds(np.arange(400), y, rng)
    assert np.bincount(folds * 2 + y).tolist() == [67, 67, 67, 67, 66, 66]
    areas = []
    for fold in range(3):
        model, x = room._model(tables, rows, y, folds != fold, int(rng.integers(2**31)))
        areas.append(roc_auc_score(y[folds == fold], model.predict_proba(x[folds == fold])[:, 1]))
    assert told.auc == pytest.approx(np.mean(areas))


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_interval_says(draw, tables_of, monkeypatch):
    monkeypatch.setattr(room, "TREES", 5)
    rng = np.random.default_rng(4)
    misses = 0
    for seed in range(25):
        holdout, fresh = draw(120, rng), draw(120, rng)
        told = tell_apart(
            tables_of(holdout, holdout, fresh), holdout, fresh, np.arange(120), rng=np.random.default_rng(seed)
        )
        misses += told.auc - 1.96 * np.sqrt(cluster_variance(told.influence)) > 0.5
    assert misses <= stats.binom.isf(1e-4, 25, 0.035)


@pytest.mark.parametrize("missing", ["holdout", "rows"])
def test_too_little_evidence_is_said(people, tables_of, missing):
    train, holdout, fresh = people
    tables = tables_of(train, None if missing == "holdout" else holdout.head(MIN_ROWS - 1), fresh)
    (found,) = audit(tables)
    assert (found.name, found.verdict) == ("c2st_auroc", "insufficient")
