"""Utility: synthetic rows without the signal lose it, rows of the same population do not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from privsynth.audit.common.predictors import OTHER, make_task
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.utility.train_synthetic_test_real import utility as audit
from privsynth.stats.prediction_metrics import macro_auc

MODELS = ("boosted trees", "linear model")


def utility(tables, level="quick"):
    return audit(tables, rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level=level)))


def test_a_fresh_draw_serves_as_well_as_real_rows(people, tables_of, pick):
    findings = utility(tables_of(*people))
    for model in MODELS:
        auc = pick(findings, "utility_auc", f"ill ({model})")
        gap = pick(findings, "utility_gap", f"ill ({model})")
        assert auc.low < auc.value < auc.high
        assert gap.value == pytest.approx(auc.baseline - auc.value)
        assert abs(gap.value) < 0.02


def test_shuffled_labels_lose_the_signal(people, tables_of, pick):
    train, holdout, fresh = people
    shuffled = fresh.assign(ill=np.random.default_rng(0).permutation(fresh["ill"].to_numpy(dtype=object)))
    findings = utility(tables_of(train, holdout, shuffled))
    for model in MODELS:
        assert pick(findings, "utility_gap", f"ill ({model})").low > 0.1


def test_numeric_and_many_valued_targets(people, tables_of, pick):
    findings = utility(tables_of(*(part.head(1_500) for part in people), targets=("income", "region")))
    assert pick(findings, "utility_r2", "income (linear model)").low > 0
    assert 0.8 < pick(findings, "utility_rmse", "income (linear model)").value < 1.1
    assert pick(findings, "utility_auc", "region (boosted trees)").value == pytest.approx(0.5, abs=0.06)
    # Nothing tells the region: what a list of the rare ones finds is their share.
    rare = pick(findings, "utility_average_precision", "region (linear model)")
    assert rare.low < rare.detail["guessing"] + 0.02


def test_a_constant_synthetic_target_is_guessing(people, tables_of, pick):
    train, holdout, fresh = people
    findings = utility(tables_of(train, holdout, fresh.assign(ill="false")))
    assert pick(findings, "utility_auc", "ill (boosted trees)").value == 0.5


@pytest.mark.parametrize("case", ["no holdout", "constant target", "no target"])
def test_what_cannot_be_judged_is_insufficient(people, tables_of, case):
    train, holdout, fresh = people
    tables = {
        "no holdout": lambda: tables_of(train, None, fresh),
        "constant target": lambda: tables_of(*(f.assign(ill="true") for f in people)),
        "no target": lambda: tables_of(train, holdout, fresh, targets=()),
    }[case]()
    assert {f.verdict for f in utility(tables)} == {"insufficient"}


def test_macro_auc_equals_sklearn():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 300), rng.dirichlet([1, 1, 1], 300)
    assert macro_auc(p, y)[0] == pytest.approx(roc_auc_score(y, p, multi_class="ovr", average="macro"))
    two = np.column_stack([1 - p[:, 0], p[:, 0]])
    assert macro_auc(two, y % 2)[0] == pytest.approx(roc_auc_score(y % 2, two[:, 1]))


def test_classes_are_those_of_the_real_rows(people, tables_of):
    train, holdout, fresh = people
    task = make_task(tables_of(train, holdout, fresh), "region")
    strange = fresh.head(3).assign(region=["A", "ZZ", None])
    assert task.labels(strange).tolist() == [0, -1, -1]
    many = train.assign(region=(train["age"] % 17).astype(int).astype(str))
    task = make_task(tables_of(many, None, many), "region")
    assert len(task.classes) == 10
    assert task.classes[-1] == OTHER
    assert set(task.labels(many)) == set(range(10))
