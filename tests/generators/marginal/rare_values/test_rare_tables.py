"""Rare values of a target, counted by units: against naive twins, and within the declared sensitivity."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, StubMechanisms
from generators import rare_log
from generators.rare_log import SHARES, SIZES

from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.marginal.rare_values.rare_rows import ROWS_CLIP
from privsynth.generators.marginal.rare_values.rare_tables import measure_uncommon, uncommon_targets
from privsynth.privacy.budget import Budget, plan_spending

K = 6

log_of, encoded = partial(rare_log.log_of, k=K), partial(rare_log.encoded, k=K)


def test_targets_with_a_rare_value_are_found_where_units_have_rows():
    assert uncommon_targets(log_of(), SHARES) == [(1, 0)]
    assert uncommon_targets(log_of(k=1), SHARES) == []
    assert uncommon_targets(log_of(target=0), SHARES) == []


def test_numbers_and_looks_are_those_of_a_naive_twin():
    data = log_of()
    level, *profile = measure_uncommon(data, [(1, 0)], SHARES, ExactMechanisms(), mu_squared=1e12)
    rare = data.rows.codes[1] != 0
    expected = np.zeros(3)
    for unit in set(data.rows.unit[rare].tolist()):
        mine = np.bincount(data.rows.codes[1, rare & (data.rows.unit == unit)], minlength=3).astype(float)
        expected += mine * min(1.0, ROWS_CLIP / math.sqrt((mine**2).sum()))
    assert np.allclose(level.counts, expected, atol=1e-3)
    assert np.isinf(level.sigma[0])
    assert [m.attributes for m in profile] == [(0, 1), (1, 2)]
    shape = np.zeros((4, 3))
    for unit in set(data.rows.unit[rare].tolist()):
        rows = np.flatnonzero(rare & (data.rows.unit == unit))
        for row in rows:
            shape[data.rows.codes[0, row], data.rows.codes[1, row]] += 1 / len(rows)
    assert np.allclose(profile[0].counts / profile[0].counts.sum(), shape / shape.sum(), atol=1e-3)
    assert profile[0].counts.sum() == pytest.approx(expected.sum(), rel=1e-3)
    assert np.isinf(profile[0].sigma[:, 0]).all()
    assert np.isinf(profile[1].sigma[0]).all()
    assert np.isfinite(profile[1].sigma[1:]).all()


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
    first = measure_uncommon(data, [(1, 0)], SHARES, record, mu_squared=0.5)
    replay = ReplayMechanisms(record)
    second = measure_uncommon(more, [(1, 0)], SHARES, replay, mu_squared=0.5)
    assert replay.violations() == []
    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(first, second, strict=True))
    assert math.fsum(call.public[3] for call in record.calls) <= 0.5


def test_where_no_unit_has_a_rare_row_there_is_no_look():
    data = log_of()
    data.rows.codes[1] = 0
    found = measure_uncommon(data, [(1, 0)], SHARES, ExactMechanisms(), mu_squared=1.0)
    assert len(found) == 1
    assert not found[0].counts.any()


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
    found = [measure_uncommon(data, [(1, 0)], SHARES, StubMechanisms(), mu_squared=0.5) for data in tables]
    assert [m.counts.tolist() for m in found[0]] == [m.counts.tolist() for m in found[1]]
