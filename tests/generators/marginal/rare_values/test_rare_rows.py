"""Rare values of a target, counted by units: against naive twins, and within the declared sensitivity."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, StubMechanisms, distance
from generators import rare_log
from generators.rare_log import SHARES, SIZES

from privsynth.codecs.contingency import full_marginal
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.rare_values.rare_rows import (
    MOST_SHARE,
    ROWS_CLIP,
    RareRows,
    common_tables,
    measure_rare,
    rare_targets,
    with_rare_rows,
)
from privsynth.privacy.budget import Budget, plan_spending

K = 20

log_of, encoded = partial(rare_log.log_of, k=K), partial(rare_log.encoded, k=K)


def one_way_of(data: Encoded, sigma: float = 1.0) -> list[Measurement]:
    shares = [data.n_rows * share for share in SHARES]
    return [Measurement(full_marginal(SIZES, (a,)), counts, sigma) for a, counts in enumerate(shares)]


def test_targets_with_a_rare_value_are_found_where_units_have_rows():
    data = log_of(units=2_000)
    shares = [SHARES[0], np.array([0.985, 0.01, 0.005]), SHARES[2]]
    tables = [replace(t, counts=data.n_rows * s) for t, s in zip(one_way_of(data), shares, strict=True)]
    assert rare_targets(data, tables) == [(1, 0)]
    assert rare_targets(log_of(units=2_000, k=1), tables) == []
    assert rare_targets(log_of(units=2_000, target=0), tables) == []
    common = log_of(units=2_000)
    assert rare_targets(common, one_way_of(common)) == []  # 3 % are seen by counting rows
    assert rare_targets(common, one_way_of(common, sigma=0.01 * common.n_rows)) == [(1, 0)]  # noise may hide it


def test_numbers_and_looks_are_those_of_a_naive_twin():
    data = log_of()
    found = measure_rare(data, [(1, 0)], SHARES, ExactMechanisms(), mu_squared=1e12)
    rare = data.rows.codes[1] != 0
    level = np.zeros(3)
    units = sorted(set(data.rows.unit[rare].tolist()))
    for unit in units:
        mine = np.bincount(data.rows.codes[1, rare & (data.rows.unit == unit)], minlength=3).astype(float)
        level += mine * min(1.0, ROWS_CLIP / math.sqrt((mine**2).sum()))
    assert [(r.target, r.code) for r in found] == [(1, 1), (1, 2)]
    assert np.allclose([r.share * data.n_rows for r in found], level[1:], atol=1e-3)
    profile = {(a, c): np.zeros(SIZES[a]) for a in (0, 2) for c in (1, 2)}
    for unit in units:
        rows = np.flatnonzero(rare & (data.rows.unit == unit))
        own = {key: np.zeros(len(look)) for key, look in profile.items()}
        for row in rows:
            for a in (0, 2):
                own[a, data.rows.codes[1, row]][data.rows.codes[a, row]] += 1
        norm = sum((table**2).sum() / 2 for table in own.values())
        for key, table in own.items():
            profile[key] += table * min(1.0, norm**-0.5)
    for r in found:
        for a in (0, 2):
            assert np.allclose(r.profile[a], profile[a, r.code] / profile[a, r.code].sum(), atol=1e-3)
        assert r.profile[1].tolist() == [0.0, float(r.code == 1), float(r.code == 2)]


@pytest.mark.parametrize("kind", ["all rare and alike", "all rare and different", "one rare", "none rare"])
def test_a_unit_of_k_rows_moves_no_release_by_more_than_was_declared(kind):
    data = log_of(seed=3)
    rng = np.random.default_rng(4)
    rows = np.stack([rng.integers(0, size, K) for size in SIZES])
    rows[1] = {"all rare and alike": 1, "none rare": 0}.get(kind, rng.integers(1, 3, K))
    if kind == "all rare and alike":
        rows[:] = rows[:, :1]
    if kind == "one rare":
        rows[1, 1:] = 0
    more = encoded(np.concatenate([data.rows.codes, rows], axis=1), np.append(data.rows.unit, np.full(K, 10**6)))
    object.__setattr__(more, "n_rows", data.n_rows)
    record = RecordingMechanisms(0)
    first = measure_rare(data, [(1, 0)], SHARES, record, mu_squared=0.5)
    replay = ReplayMechanisms(record)
    second = measure_rare(more, [(1, 0)], SHARES, replay, mu_squared=0.5)
    assert replay.violations() == []
    for one, other in zip(first, second, strict=True):
        assert one.share == other.share
        assert all(np.array_equal(a, b) for a, b in zip(one.profile, other.profile, strict=True))
    assert math.fsum(call.public[3] for call in record.calls) <= 0.5
    moved = [distance(a.given, b.given) / a.l2_sensitivity for a, b in zip(record.calls, replay.calls, strict=True)]
    if kind == "all rare and alike":
        assert min(moved) > 0.999  # what was declared is not more than is needed
    if kind == "none rare":
        assert max(moved) == 0.0


def test_where_no_unit_has_a_rare_row_they_look_like_all_rows():
    data = log_of()
    data.rows.codes[1] = 0
    found = measure_rare(data, [(1, 0)], SHARES, ExactMechanisms(), mu_squared=1.0)
    assert [r.share for r in found] == [0.0, 0.0]
    assert all(np.isfinite(look).all() and look.sum() == pytest.approx(1.0) for r in found for look in r.profile)


def test_what_noise_explains_is_left_out_of_a_look():
    data = log_of()
    data.rows.codes[0, data.rows.codes[1] != 0] = np.arange((data.rows.codes[1] != 0).sum()) % 4  # looks like all rows
    for r in measure_rare(data, [(1, 0)], SHARES, ExactMechanisms(), mu_squared=0.05):
        assert np.allclose(r.profile[0], SHARES[0], atol=0.03)


def test_components_of_rare_rows_have_their_share_and_no_other_has_the_value():
    p = np.tile(np.array([0.5, 0.5, 0.9, 0.06, 0.04], np.float32), (100, 1))
    profile = (np.array([1.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    for share in (0.0004, 0.004, 0.05):
        found = with_rare_rows(p, np.array([0, 2, 5]), [RareRows(1, 1, share, profile)])
        assert np.allclose(found[:, :2].sum(axis=1), 1)
        assert np.allclose(found[:, 2:].sum(axis=1), 1)
        assert found[:, 3].mean() == pytest.approx(share, rel=0.2, abs=0.001)
        assert set(found[:, 3].tolist()) == {0.0, 1.0}
        assert (found[found[:, 3] == 1, 0] == 1).all()
    assert with_rare_rows(p, np.array([0, 2, 5]), []) is p


def test_rare_rows_of_many_targets_leave_room_for_the_others():
    data = replace(log_of(), targets=(0, 1, 2), n_rows=1.0)  # as noise may have it: fewer rows than rare ones
    found = measure_rare(data, [(0, 0), (1, 0), (2, 0)], SHARES, ExactMechanisms(), mu_squared=1e12)
    assert {r.target for r in found} == {0, 1, 2}
    assert 0 < sum(r.share for r in found) <= MOST_SHARE * (1 + 1e-12)


def test_common_rows_are_what_the_rare_ones_leave():
    data = log_of()
    r = RareRows(1, 1, 0.01, (np.array([0, 0, 0, 1.0]), np.array([0, 1.0, 0]), np.full(6, 1 / 6)))
    found = common_tables(one_way_of(data), [r], n_rows=data.n_rows)
    assert found[0].counts.sum() == pytest.approx(0.99 * data.n_rows)
    assert found[0].counts[3] == pytest.approx(0.24 * data.n_rows)
    assert found[1].counts[1] == 0


def test_the_model_keeps_a_rare_value_that_counting_rows_would_lose():
    data = log_of(units=1_500, seed=5)
    plan = plan_spending(
        Budget(epsilon=3.0, unit="u", max_rows_per_unit=K),
        {"one_way": 0.1, "selection": 0.1, "measurement": 0.8},
        open_domain=False,
    )
    mechanisms = RecordingMechanisms(7)
    fitted = MarginalGenerator(FitSettings(components=128, max_steps=300)).fit(
        data, mechanisms, plan, rng=np.random.default_rng(0)
    )
    assert math.fsum(c.public[3] for c in mechanisms.calls if c.public[2] == "measurement") <= plan.parts["measurement"]
    rows = fitted.sample_codes(50_000, np.random.default_rng(1))
    rare = rows[1] > 0
    assert rare.mean() == pytest.approx((data.rows.codes[1] > 0).mean(), rel=0.5)
    assert (rows[0, rare] == 3).mean() > 0.8  # in the other rows: a quarter


def test_with_constant_answers_nothing_depends_on_the_rows():
    tables = [log_of(seed=1), log_of(units=7, seed=2)]
    for data in tables:
        object.__setattr__(data, "n_rows", 500.0)
    found = [measure_rare(data, [(1, 0)], SHARES, StubMechanisms(), mu_squared=0.5) for data in tables]
    for one, other in zip(*found, strict=True):
        assert one.share == other.share
        assert [look.tolist() for look in one.profile] == [look.tolist() for look in other.profile]


def test_a_table_of_nothing_but_a_rare_target_and_one_column_has_a_model():
    data = log_of(units=2_000, seed=6)
    data = replace(
        data, rows=replace(data.rows, codes=data.rows.codes[:2]), attributes=data.attributes[:2], columns=(0, 1)
    )
    plan = plan_spending(
        Budget(epsilon=3.0, unit="u", max_rows_per_unit=K),
        {"one_way": 0.3, "selection": 0.1, "measurement": 0.6},
        open_domain=False,
    )
    fitted = MarginalGenerator(FitSettings(components=64, max_steps=50)).fit(
        data, RecordingMechanisms(8), plan, rng=np.random.default_rng(0)
    )
    rows = fitted.sample_codes(5_000, np.random.default_rng(1))
    assert 0 < (rows[1] > 0).mean() < 0.3
