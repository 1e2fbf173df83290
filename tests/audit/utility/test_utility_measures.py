"""Measures of predictions against scikit-learn, their influences against derivatives, and what draws add.

The simulation fails by chance with probability below 1e-4.
"""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, r2_score, root_mean_squared_error

from privsynth.audit.common.predictors import (
    MODELS,
    TREES,
    NumberTask,
    Predictor,
    draw_units,
    fit,
    holdout_predictions,
    make_number_task,
)
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.utility import feature_importance
from privsynth.audit.utility.feature_importance import loss_growth, rank_agreement
from privsynth.audit.utility.train_synthetic_test_real import utility as audit
from privsynth.stats.intervals import cluster_variance
from privsynth.stats.prediction_metrics import (
    average_precision,
    macro_auc,
    r2,
    rare_classes,
    rare_precision,
    rmse,
    with_draws,
)


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.1).astype(int)
    scores = np.round(rng.normal(size=400) + y, 1)  # with ties
    return scores, y


def utility(tables, level="standard"):
    return audit(tables, rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level=level, max_rows=600)))


def test_measures_equal_sklearn(scored):
    scores, y = scored
    assert average_precision(scores, y == 1)[0] == pytest.approx(average_precision_score(y, scores))
    rng = np.random.default_rng(1)
    truth, guess = rng.normal(size=(2, 300))
    assert r2(guess[:, None], truth)[0] == pytest.approx(r2_score(truth, guess))
    assert rmse(guess[:, None], truth)[0] == pytest.approx(root_mean_squared_error(truth, guess))


def test_average_precision_of_rare_classes_is_their_mean():
    rng = np.random.default_rng(2)
    y = rng.choice(4, 1_000, p=[0.7, 0.15, 0.145, 0.005])
    guess = rng.dirichlet(np.ones(4), 1_000)
    assert rare_classes(y, 4) == [1, 2], "0 is not rare, 3 has too few rows"
    expected = np.mean([average_precision_score(y == c, guess[:, c]) for c in (1, 2)])
    assert rare_precision(guess, y)[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["average precision", "auc", "r2", "rmse"])
def test_influences_are_derivatives(scored, name):
    """Adding a row once more moves the measure by influence / (n + 1), to first order."""
    scores, y = scored
    guess, truth = {
        "average precision": (scores, y == 1),
        "auc": (np.column_stack([-scores, scores]), y),
        "r2": (scores[:, None], y + scores),
        "rmse": (scores[:, None], y + scores),
    }[name]
    measure = {"average precision": average_precision, "auc": macro_auc, "r2": r2, "rmse": rmse}[name]
    value, pull = measure(guess, truth)
    assert abs(pull.mean()) < 1e-9
    for row in (0, 7, int(np.argmax(y)), 300):
        again = np.append(np.arange(400), row)
        moved = measure(guess[again], truth[again])[0] - value
        assert moved == pytest.approx(pull[row] / 401, rel=0.05, abs=2e-5)


def test_the_interval_of_average_precision_covers():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        y = rng.random(1_500) < 0.1
        found.append(average_precision(rng.normal(size=1_500) + 1.5 * y, y))
    truth = np.mean([value for value, _ in found])
    intervals = [with_draws(value, cluster_variance(pull), [], bounded=True) for value, pull in found]
    misses = sum(not i.low <= truth <= i.high for i in intervals)
    assert misses <= stats.binom.isf(1e-4, 300, 0.07)


def test_draws_widen_and_few_draws_widen_more():
    rows = 1e-4
    alone = with_draws(0.8, rows, [])
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * 0.01, rel=1e-3)
    spread = np.array([0.79, 0.81])
    few = with_draws(0.8, rows, [(spread, 1.0)])
    many = with_draws(0.8, rows, [(np.tile(spread, 50), 1.0)])
    assert few.high - few.low > many.high - many.low > alone.high - alone.low
    shrunk = with_draws(0.8, rows, [(spread, 0.1)])
    assert shrunk.high < few.high
    assert with_draws(0.8, rows, [(np.array([0.5]), 1.0)]) == alone, "one draw says nothing"
    assert with_draws(0.99, 1e-3, [], bounded=True).high < 1


def test_units_are_drawn_whole_and_with_replacement():
    units = np.repeat(np.arange(50), 4)
    rows = draw_units(units, 100, np.random.default_rng(0))
    assert len(rows) == 100
    counts = np.bincount(rows, minlength=200).reshape(50, 4)
    assert (counts == counts[:, :1]).all()
    assert counts.max() > 1


def test_draws_are_made_at_standard_and_not_at_quick(people, tables_of):
    tables = tables_of(*(part.head(600) for part in people))
    found = {
        level: holdout_predictions(
            tables, "ill", rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level=level))
        )
        for level in ("quick", "standard")
    }
    assert found["quick"].n_draws == 0
    assert found["standard"].n_draws == 2
    for model in MODELS:
        drawn = found["standard"].draws["synthetic"].predictions[model]
        assert drawn.shape == (2, 600, 2)
        assert not np.allclose(drawn[0], drawn[1])


def test_more_noise_in_the_synthetic_rows_loses_more(people, tables_of, pick):
    train, holdout, fresh = (part.head(1_000) for part in people)
    ill, rng = fresh["ill"].to_numpy(dtype=object), np.random.default_rng(4)
    losses = []
    for share in (0.0, 0.5, 1.0):
        noisy = np.where(rng.random(1_000) < share, rng.permutation(ill), ill)
        findings = utility(tables_of(train, holdout, fresh.assign(ill=noisy)), "quick")
        losses.append(pick(findings, "utility_gap", "ill (linear model)").value)
    assert abs(losses[0]) < 0.03
    assert losses[2] > losses[1] + 0.05 > losses[0]
    assert losses[2] > 0.15


@pytest.mark.slow
def test_the_same_columns_matter_or_others_do(people, tables_of, pick):
    train, holdout, fresh = people
    alike = pick(utility(tables_of(train, holdout, fresh)), "importance_agreement", "ill")
    assert alike.value > 0.6
    assert alike.detail["top_real"][0] == alike.detail["top_synthetic"][0] == "age"
    assert alike.baseline_label == "two models trained on real rows"
    assert alike.low <= alike.value <= alike.high
    # In these rows region decides, which tells nothing about real people, and nothing else does.
    other = np.where(fresh["region"].isin(["A", "C"]), "true", "false")
    moved = pick(utility(tables_of(train, holdout, fresh.assign(ill=other))), "importance_agreement", "ill")
    assert "age" not in moved.detail["top_synthetic"]
    assert moved.value < alike.value - 0.3
    assert (moved.low, "no order that could agree" in moved.meaning) == (None, True)


def test_loss_growth_equals_its_naive_twin(people, tables_of):
    train, holdout, fresh = (part.head(300) for part in people)
    tables = tables_of(train, holdout, fresh)
    task = make_number_task(tables, "income")
    model = fit(tables, task, TREES, train, seed=0)
    y = task.labels(holdout)
    frame, y = holdout[np.isfinite(y)], y[np.isfinite(y)]
    order = np.random.default_rng(0).permutation(len(y))
    growth = loss_growth(model, model.points(frame), y, [order] * len(model.features))
    for i, name in enumerate(model.features):
        mixed = frame.assign(**{name: frame[name].to_numpy()[order]})
        before, after = ((model.predict(f)[:, 0] - y) ** 2 for f in (frame, mixed))
        assert growth[i] == pytest.approx(after - before)


def test_only_columns_beyond_chance_matter():
    rng = np.random.default_rng(6)
    growth = np.stack([rng.normal(0.5, 1, 400), rng.normal(0, 1, 400), rng.normal(-0.5, 1, 400)])
    assert feature_importance.matters(growth, np.arange(400)).tolist() == [True, False, False]
    repeated = np.repeat([[1.5, -1.0] * 4], 50, axis=1)
    assert feature_importance.matters(repeated, np.arange(400))[0], "as 400 rows of their own"
    assert not feature_importance.matters(repeated, np.arange(400) // 50)[0], "as 8 people"


def test_rank_agreement_equals_spearman_and_survives_no_order():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 9))
    assert rank_agreement(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_agreement(a, np.zeros(9)) == 0.0


def test_a_constant_model_has_no_importance(people, tables_of, pick):
    train, holdout, fresh = (part.head(300) for part in people)
    findings = utility(tables_of(train, holdout, fresh.assign(ill="true")))
    assert pick(findings, "importance_agreement", "ill").verdict == "insufficient"


def test_a_column_that_is_missing_throughout_stops_no_model(people, tables_of):
    train, holdout, fresh = (part.head(300) for part in people)
    empty = fresh.assign(income=np.nan, region=None)
    tables = tables_of(train, holdout, empty)
    found = holdout_predictions(
        tables, "ill", rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level="quick"))
    )
    assert all(np.isfinite(p).all() for p in found.synthetic.values())


def test_numbers_are_judged_in_real_standard_deviations(people, tables_of):
    train, holdout, fresh = people
    task = make_number_task(tables_of(train, holdout, fresh), "income")
    assert isinstance(task, NumberTask)
    assert np.nanstd(task.labels(train)) == pytest.approx(1.0)
    assert make_number_task(tables_of(train, holdout, fresh), "region") is None
    few = train.assign(age=train["age"] % 5)
    assert make_number_task(tables_of(few, holdout, fresh), "age") is None
    constant = Predictor(task, (), lambda frame: np.zeros((len(frame), 1)), None, np.array([0.4]))
    assert constant.predict(train).tolist() == [[0.4]] * len(train)
