"""Fidelity: equal tables, shifted columns, lost categories; distances against a naive twin."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.discretise import discretise, distances
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.fidelity.association import cramers_v
from privsynth.audit.fidelity.marginal_distance import fidelity as audit
from privsynth.audit.fidelity.univariate import wasserstein
from privsynth.stats.intervals import cluster_variance


def fidelity(tables, seed=0):
    return audit(tables, rng=np.random.default_rng(seed), context=AuditContext(AuditSettings()))


def test_distances_equal_the_naive_twin():
    rng = np.random.default_rng(0)
    a, b, sizes = rng.integers(0, 4, (3, 50)), rng.integers(0, 4, (3, 70)), (4, 4, 4)
    marginals = [(0,), (1, 2), (0, 1, 2)]
    found = distances(a, b, sizes, marginals)
    for value, columns in zip(found.values, marginals, strict=True):
        p, q = (Counter(zip(*part[list(columns)], strict=True)) for part in (a, b))
        expected = 0.5 * sum(abs(p[cell] / 50 - q[cell] / 70) for cell in p | q)
        assert value == pytest.approx(expected)


def test_many_cells_give_the_same_distance_as_few():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 5, (2, 300)), rng.integers(0, 5, (2, 300))
    few = distances(a, b, (5, 5), [(0, 1)]).values
    assert distances(a, b, (3_000, 3_000), [(0, 1)]).values == pytest.approx(few)


def test_the_jackknife_agrees_with_redrawn_tables():
    """Where no cell is equal on both sides; where some are, it errs on the wide side."""
    rng = np.random.default_rng(2)
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.4, 0.2, 0.05, 0.35])

    def one():
        a, b = rng.choice(4, (1, 400), p=p), rng.choice(4, (1, 300), p=q)
        return distances(a, b, (4,), [(0,)])

    found = [one() for _ in range(800)]
    spread = np.std([f.mean for f in found])
    claimed = np.sqrt(cluster_variance(found[0].influence_a) + cluster_variance(found[0].influence_b))
    assert claimed == pytest.approx(spread, rel=0.15)


def test_the_floor_is_what_sampling_alone_shows():
    rng = np.random.default_rng(3)
    found = [distances(rng.integers(0, 9, (1, 200)), rng.integers(0, 9, (1, 300)), (9,), [(0,)]) for _ in range(200)]
    assert np.mean([f.floors[0] for f in found]) == pytest.approx(np.mean([f.mean for f in found]), rel=0.05)


def test_a_fresh_draw_is_as_near_as_the_holdout(people, tables_of, pick):
    findings = fidelity(tables_of(*people))
    for ways in (1, 2, 3):
        excess = pick(findings, f"tvd_{ways}way_excess")
        assert excess.low < 0 < excess.high
        mean = pick(findings, f"tvd_{ways}way_mean")
        assert mean.low <= mean.value <= mean.high
        assert mean.baseline == pytest.approx(mean.value, rel=0.3)
    assert all(f.visibility == "officer" for f in findings)


def test_identical_tables_are_at_distance_zero_and_nearer_than_fresh_rows(people, tables_of, pick):
    train, holdout, _ = people
    findings = fidelity(tables_of(train, holdout, train.copy()))
    assert pick(findings, "tvd_3way_mean").value == 0.0
    assert pick(findings, "tvd_2way_excess").high < 0


def test_a_shifted_column_is_named_the_worst(people, tables_of, pick):
    train, holdout, fresh = people
    shifted = fresh.assign(age=fresh["age"] + 10)
    findings = fidelity(tables_of(train, holdout, shifted))
    assert pick(findings, "tvd_1way_worst").group == "age"
    assert "age" in pick(findings, "tvd_2way_worst").group
    assert pick(findings, "tvd_1way_excess").low > 0
    moved = pick(findings, "wasserstein", "age")
    assert moved.value == pytest.approx(10 / train["age"].std(), rel=0.1)
    assert moved.low > moved.baseline


def test_a_dropped_category_costs_its_share(people, tables_of, pick):
    train, holdout, fresh = people
    findings = fidelity(tables_of(train, holdout, fresh[fresh["region"] != "A"]))
    share = (train["region"] == "A").mean()
    assert pick(findings, "tvd_1way", "region").value == pytest.approx(share, abs=0.03)
    assert pick(findings, "tvd_1way_worst").group == "region"


def test_lost_dependence_is_named(people, tables_of):
    train, holdout, fresh = people
    rng = np.random.default_rng(0)
    shuffled = fresh.assign(ill=rng.permutation(fresh["ill"].to_numpy(dtype=object)))
    found = [f for f in fidelity(tables_of(train, holdout, shuffled)) if f.name == "association_difference"]
    assert found[0].group == "age × ill"
    assert found[0].high < 0


def test_more_missing_values_are_counted(people, tables_of, pick):
    train, holdout, fresh = people
    holes = fresh.copy()
    holes.loc[holes.index[:1_500], "income"] = np.nan
    found = pick(fidelity(tables_of(train, holdout, holes)), "missing_share_difference", "income")
    assert found.low > 0.4 < found.high
    assert found.value == pytest.approx(0.475, abs=0.03)


def test_the_matrix_is_symmetric_and_names_its_columns(people, tables_of, pick):
    detail = pick(fidelity(tables_of(*people)), "tvd_2way_mean").detail
    grid = np.array([[np.nan if x is None else x for x in row] for row in detail["matrix"]])
    assert detail["columns"] == list(people[0].columns)
    assert np.array_equal(grid, grid.T, equal_nan=True)
    assert np.isnan(np.diag(grid)).all()
    assert np.isfinite(grid).sum() == 30


def test_without_a_holdout_the_baseline_is_sampling_alone(people, tables_of, pick):
    train, _, fresh = people
    findings = fidelity(tables_of(train, None, fresh))
    for ways in (1, 2, 3):
        mean = pick(findings, f"tvd_{ways}way_mean")
        assert mean.baseline_label == "sampling alone"
        assert mean.baseline == pytest.approx(mean.value, rel=0.2)
    assert not [f for f in findings if "excess" in f.name]


def test_bins_see_numbers_times_nulls_and_unknown_categories(people, tables_of):
    train, holdout, fresh = people
    strange = fresh.head(3).assign(region=["A", None, "ZZ"], income=[np.nan, -1e9, 1e9])
    codes = discretise(tables_of(train, holdout, strange))
    region, income = (codes.columns.index(c) for c in ("region", "income"))
    assert codes.synthetic[region].tolist() == [0, codes.sizes[region] - 1, codes.sizes[region] - 2]
    assert codes.synthetic[income].tolist() == [codes.sizes[income] - 1, 0, codes.sizes[income] - 3]
    assert len(np.unique(codes.train[codes.columns.index("seen")])) == 10


def test_wasserstein_equals_scipy():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(4)
    a, b = rng.normal(size=200), rng.normal(0.4, 2, size=150).round(1)
    assert wasserstein(a, b).value == pytest.approx(wasserstein_distance(a, b))


def test_cramers_v_of_equal_and_of_independent_columns():
    assert cramers_v(np.diag([30, 40, 50])[None]) == pytest.approx([1.0], abs=0.01)
    assert cramers_v(np.outer([30, 40], [10, 20, 30])[None]) == pytest.approx([0.0])
    assert cramers_v(np.zeros((2, 3, 3))).tolist() == [0.0, 0.0]


def test_a_repr_shows_no_value():
    from privsynth.audit.common.audit_tables import AuditTables

    frame = pd.DataFrame({"secret": ["needle"]})
    tables = AuditTables(train=frame, holdout=None, synthetic=frame, kinds={"secret": "categorical"})
    assert "needle" not in repr(tables)
    with pytest.raises(TypeError, match="never pickled"):
        tables.__reduce__()
