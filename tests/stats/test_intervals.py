"""Intervals: naive twins, known values, and coverage by simulation.

Coverage tests draw 600 tables with a fixed seed. A true coverage of 95 % shows at most 60 misses of 600 with
probability above 0.9999, so each test that allows 60 raises a false alarm with probability below 1e-4.
"""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from privsynth.stats.intervals import (
    auc_influence,
    auc_interval,
    clopper_pearson,
    cluster_variance,
    lower_bound,
    share_difference,
    upper_bound,
    wilson,
)

DRAWS, ALLOWED = 600, 60


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_intervals_of_shares_cover(interval, p):
    rng = np.random.default_rng(1)
    found = [interval(int(k), 200) for k in rng.binomial(200, p, DRAWS)]
    assert sum(not i.low <= p <= i.high for i in found) <= ALLOWED


def test_clopper_pearson_equals_the_definition():
    interval = clopper_pearson(7, 50)
    assert stats.binom.sf(6, 50, interval.low) == pytest.approx(0.025)
    assert stats.binom.cdf(7, 50, interval.high) == pytest.approx(0.025)
    assert upper_bound(0, 300, 0.05) == pytest.approx(0.0099, abs=1e-4)
    assert (upper_bound(5, 5, 0.05), lower_bound(0, 5, 0.05)) == (1.0, 0.0)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_no_rows_say_nothing(interval):
    assert (interval(0, 0).low, interval(0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize("k", [0, 1, 49, 50])
def test_ends_enclose_the_value(k):
    for found in (wilson(k, 50), clopper_pearson(k, 50), share_difference(k, 50, 3, 60)):
        assert found.low <= found.value <= found.high


def test_differences_of_shares_cover():
    rng = np.random.default_rng(2)
    pairs = zip(rng.binomial(150, 0.3, DRAWS), rng.binomial(90, 0.2, DRAWS), strict=True)
    found = [share_difference(int(a), 150, int(b), 90) for a, b in pairs]
    assert sum(not i.low <= 0.1 <= i.high for i in found) <= ALLOWED


def test_auc_equals_the_naive_twin():
    rng = np.random.default_rng(3)
    scores, positive = rng.integers(0, 8, 90).astype(float), rng.random(90) < 0.4
    ours, others = scores[positive], scores[~positive]
    wins = (ours[:, None] > others[None, :]).mean() + 0.5 * (ours[:, None] == others[None, :]).mean()
    auc, influence = auc_influence(scores, positive)
    assert auc == pytest.approx(wins)
    assert auc == pytest.approx(roc_auc_score(positive, scores))
    v10 = (ours[:, None] > others).mean(axis=1) + 0.5 * (ours[:, None] == others).mean(axis=1)
    assert influence[positive] / 90 * len(ours) == pytest.approx(v10 - auc)


def test_auc_intervals_cover():
    rng = np.random.default_rng(4)
    truth, misses = stats.norm.cdf(1 / np.sqrt(2)), 0
    positive = np.arange(160) < 60
    for _ in range(DRAWS):
        found = auc_interval(rng.normal(size=160) + positive, positive)
        misses += not found.low <= truth <= found.high
    assert misses <= ALLOWED


def test_auc_intervals_cover_when_rows_come_in_units_and_only_then():
    rng = np.random.default_rng(5)
    misses = {"units": 0, "rows": 0}
    units = np.repeat(np.arange(60), 8)
    positive = units < 30
    for _ in range(DRAWS):
        scores = np.repeat(rng.normal(size=60), 8) + 0.3 * rng.normal(size=480)
        misses["units"] += not (i := auc_interval(scores, positive, units=units)).low <= 0.5 <= i.high
        misses["rows"] += not (i := auc_interval(scores, positive)).low <= 0.5 <= i.high
    assert misses["units"] <= ALLOWED
    assert misses["rows"] > 3 * ALLOWED


def test_a_perfect_attack_still_has_an_interval():
    found = auc_interval(np.r_[np.zeros(20), np.ones(20)], np.arange(40) >= 20)
    assert found.value == 1.0
    assert 0.8 < found.low < 0.9


def test_jackknife_and_bootstrap_agree_on_units():
    rng = np.random.default_rng(6)
    units = rng.integers(0, 80, 400)
    values = rng.normal(size=80)[units] + rng.normal(size=400)
    rows_of = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    drawn = rng.integers(0, len(rows_of), (2_000, len(rows_of)))
    means = [values[np.concatenate([rows_of[unit] for unit in units_drawn])].mean() for units_drawn in drawn]
    sd = np.sqrt(cluster_variance(values, units))
    assert np.std(means) == pytest.approx(sd, rel=0.1)
    naive = np.sqrt(cluster_variance(values))
    assert sd > 1.5 * naive
