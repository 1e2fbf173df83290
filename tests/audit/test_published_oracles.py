"""Our figures beside those of published code, on the same rows: equal where the definition is, else apart as stated."""

import numpy as np
import pandas as pd
import pytest
from dp_accounting.pld import privacy_loss_distribution
from fairlearn.metrics import MetricFrame, equalized_odds_difference, selection_rate
from scipy import stats
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.single_column import KSComplement, MissingValueSimilarity, TVComplement
from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr
from sklearn import metrics

from privsynth.audit.common.discretise import discretise, distances
from privsynth.audit.common.row_points import fit_encoder, nearest
from privsynth.audit.fairness.downstream_gaps import rate_parts
from privsynth.audit.fidelity.association import cramers_v, pearson
from privsynth.audit.fidelity.univariate import wasserstein
from privsynth.stats.epsilon_bounds import epsilon_of_mu
from privsynth.stats.intervals import auc_influence, clopper_pearson, wilson
from privsynth.stats.prediction_metrics import average_precision, r2, rmse

WORDS = ["sex", "region", "ill"]
NUMBERS = ["age", "income"]


@pytest.fixture(scope="module")
def pair(people):
    """Training rows, and synthetic rows that differ: another mix of regions and sexes, shifted ages."""
    train, _, fresh = people
    own = np.random.default_rng(3)
    ours = fresh.assign(age=np.clip(fresh["age"] + own.integers(0, 8, len(fresh)), 18, 90))
    keep = (ours["sex"] != "F") | (own.random(len(ours)) < 0.6)
    return train, ours[keep].reset_index(drop=True)


def test_distances_of_categories_are_those_of_sdmetrics(pair, tables_of):
    """1 - TVComplement and 1 - ContingencySimilarity: exact, once missing is a value on both sides."""
    train, ours = (frame[WORDS].fillna("(missing)") for frame in pair)
    kinds = dict.fromkeys(WORDS, "categorical")
    codes = discretise(tables_of(train, None, ours, kinds=kinds, targets=(), protected=()))
    for i, name in enumerate(WORDS):
        found = distances(codes.train, codes.synthetic, codes.sizes, [(i,)]).mean
        assert found == pytest.approx(1 - TVComplement.compute(train[name], ours[name]), abs=1e-12)
        assert found > 0.005
    for a, b in ((0, 1), (0, 2), (1, 2)):
        names = [WORDS[a], WORDS[b]]
        theirs = ContingencySimilarity.compute(train[names], ours[names])
        assert distances(codes.train, codes.synthetic, codes.sizes, [(a, b)]).mean == pytest.approx(
            1 - theirs, abs=1e-12
        )


def test_missing_values_of_a_category_are_counted_here_and_left_out_there(pair, tables_of):
    """sdmetrics drops missing cells before it compares; here a missing cell is a value like others."""
    train, ours = (frame[["region"]].copy() for frame in pair)
    ours.loc[: len(ours) // 2, "region"] = None
    codes = discretise(tables_of(train, None, ours, kinds={"region": "categorical"}, targets=(), protected=()))
    found = distances(codes.train, codes.synthetic, codes.sizes, [(0,)]).mean
    assert 1 - TVComplement.compute(train["region"], ours["region"]) < 0.1
    assert found == pytest.approx(1 - MissingValueSimilarity.compute(train["region"], ours["region"]), abs=0.05)
    assert found > 0.4


def test_deciles_see_at_least_the_largest_gap_at_a_decile(pair, tables_of):
    """Numbers differ by definition: sdmetrics takes the largest gap of the distribution functions at any cut, here it
    is total variation over deciles, which is at least the gap at any decile. The Wasserstein distance is that of scipy.
    """
    train, ours = (frame[NUMBERS].dropna().reset_index(drop=True) for frame in pair)
    codes = discretise(tables_of(train, None, ours, kinds=dict.fromkeys(NUMBERS, "numeric"), targets=(), protected=()))
    for i, name in enumerate(NUMBERS):
        gap = 1 - KSComplement.compute(train[name], ours[name])
        assert gap == pytest.approx(stats.ks_2samp(train[name], ours[name]).statistic, abs=1e-12)
        cuts = np.quantile(train[name], np.linspace(0.1, 0.9, 9))
        at_cuts = max(abs(float((train[name] <= cut).mean() - (ours[name] <= cut).mean())) for cut in cuts)
        assert distances(codes.train, codes.synthetic, codes.sizes, [(i,)]).mean >= at_cuts - 1e-12
        assert at_cuts <= gap + 1e-12
        assert wasserstein(train[name].to_numpy(), ours[name].to_numpy()).value == pytest.approx(
            stats.wasserstein_distance(train[name], ours[name]), rel=1e-9
        )


def test_correlations_are_those_of_sdmetrics(pair):
    """CorrelationSimilarity is 1 - |difference| / 2 over the rows that have both."""
    real, ours = (frame[NUMBERS].dropna() for frame in pair)
    mine = [pearson(*(frame[name].to_numpy() for name in NUMBERS))[0] for frame in (real, ours)]
    theirs = CorrelationSimilarity.compute(real, ours)
    assert 1 - abs(mine[0] - mine[1]) / 2 == pytest.approx(theirs, abs=1e-9)


def test_cramers_v_is_that_of_scipy_less_the_bias(pair):
    """scipy's V has no correction: ours is below it by what Bergsma takes off, and near it at 3,000 rows."""
    train = pair[0]
    table = pd.crosstab(train["sex"], train["ill"]).to_numpy()
    plain = stats.contingency.association(table, method="cramer")
    phi2 = max(0.0, plain**2 * (min(table.shape) - 1) - np.prod(np.array(table.shape) - 1) / (table.sum() - 1))
    rows, columns = (k - (k - 1) ** 2 / (table.sum() - 1) for k in table.shape)
    expected = np.sqrt(phi2 / (min(rows, columns) - 1))
    assert cramers_v(table[None])[0] == pytest.approx(expected, rel=1e-9)
    assert plain - 0.02 < cramers_v(table[None])[0] < plain


def test_nearest_rows_order_pairs_as_sdmetrics_does(pair, tables_of):
    """Distance to the closest record. Over categories alone both count the columns that differ: squared, ours is that
    number, theirs the mean.
    """
    train, ours = (frame[WORDS].fillna("(missing)").head(300) for frame in pair)
    tables = tables_of(train, None, ours, kinds=dict.fromkeys(WORDS, "categorical"), targets=(), protected=())
    encoder = fit_encoder(tables)
    mine = nearest(encoder.points(train), encoder.points(ours), 1)[0][:, 0] ** 2 / len(WORDS)
    theirs = calculate_dcr(ours, train, {"columns": {name: {"sdtype": "categorical"} for name in WORDS}})
    assert np.allclose(mine, theirs.to_numpy(), atol=1e-6)


def test_measures_are_those_of_scikit_learn():
    rng = np.random.default_rng(5)
    y = rng.random(500) < 0.2
    scores = np.round(rng.normal(size=500) + y, 1)  # with ties
    assert auc_influence(scores, y)[0] == pytest.approx(metrics.roc_auc_score(y, scores), abs=1e-12)
    assert average_precision(scores, y)[0] == pytest.approx(metrics.average_precision_score(y, scores), abs=1e-12)
    truth = rng.normal(size=500)
    guess = truth + rng.normal(size=500)
    assert r2(guess[:, None], truth)[0] == pytest.approx(metrics.r2_score(truth, guess), abs=1e-9)
    assert rmse(guess[:, None], truth)[0] == pytest.approx(metrics.root_mean_squared_error(truth, guess), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 40), (200, 200), (55, 1000)])
def test_intervals_of_shares_are_those_of_scipy(k, n):
    for mine, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        theirs = stats.binomtest(k, n).proportion_ci(0.95, method=method)
        assert (mine(k, n).low, mine(k, n).high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_rates_by_group_are_those_of_fairlearn():
    rng = np.random.default_rng(6)
    y, said, group = rng.integers(0, 2, 900), rng.integers(0, 2, 900), rng.integers(0, 3, 900)
    counts = np.bincount((group * 2 + y) * 2 + said, minlength=12).reshape(-1, 2, 2)

    def rate(metric):
        hits, rows = rate_parts(metric, counts)
        return hits / rows

    frame = MetricFrame(
        metrics={"selection_rate": selection_rate, "accuracy": metrics.accuracy_score},
        y_true=y,
        y_pred=said,
        sensitive_features=group,
    ).by_group
    for metric in ("selection_rate", "accuracy"):
        assert np.allclose(rate(metric), frame[metric], atol=1e-12)
    odds = max(np.ptp(rate("true_positive_rate")), np.ptp(rate("false_positive_rate")))
    assert odds == pytest.approx(equalized_odds_difference(y, said, sensitive_features=group), abs=1e-12)


@pytest.mark.parametrize("mu", [0.3, 1.0])
def test_epsilon_of_mu_is_that_of_dp_accounting(mu):
    """Its privacy loss distribution is rounded to a grid of 1e-4."""
    theirs = privacy_loss_distribution.from_gaussian_mechanism(1 / mu).get_epsilon_for_delta(1e-6)
    assert epsilon_of_mu(mu, 1e-6) == pytest.approx(theirs, abs=1e-3)
