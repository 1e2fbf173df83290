"""How many rows units have: classes without gaps, a unit counts once, and the mean of rows is that of the units."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.domain.unit_sizes import (
    JOINED,
    groups_that_stand_out,
    joined_classes,
    most_moved,
    release_unit_sizes,
    row_classes,
    unit_shares,
    units_by_rows,
)
from privsynth.privacy.mechanisms import Noisy
from privsynth.privacy.unit_weights import weight_of_row


def release(rows, mechanisms, k: int):
    return release_unit_sizes(
        units_by_rows(np.array(rows), k), mechanisms, max_rows_per_unit=k, part="rows", mu_squared=0.1
    )


@pytest.mark.parametrize("k", [2, 3, 12, 13, 40, 1_000, 100_000])
def test_classes_have_no_gaps_and_one_ends_where_rows_are_left_out(k):
    classes = row_classes(k)
    assert classes[0] == (1, 1)
    assert all(fewest == last + 1 for (_, last), (fewest, _) in pairwise(classes))
    assert all(fewest <= most for fewest, most in classes)
    assert k in [most for _, most in classes]
    assert classes[-1][1] >= k
    assert len(classes) < 90


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 40, 10**6])
def test_a_unit_more_is_one_count_however_many_rows_it_has(rows):
    record = RecordingMechanisms(1)
    first = release([1, 1, 2, 3, 5, 8], record, 5)
    replay = ReplayMechanisms(record)
    assert release([1, 1, 2, 3, 5, 8, rows], replay, 5) == first
    assert replay.violations() == []
    (one,), (other,) = record.calls, replay.calls
    assert np.abs(one.given - other.given).sum() == one.l2_sensitivity == 1.0


def test_without_noise_the_mean_is_that_of_the_units():
    rows = np.random.default_rng(0).geometric(0.2, 20_000)
    found = release(rows, ExactMechanisms(), 10)
    assert found.mean == pytest.approx(rows.mean(), rel=0.02)
    assert found.mean_used == pytest.approx(np.minimum(rows, 10).mean(), rel=0.01)
    own = np.bincount(found.code_of(rows), weights=rows, minlength=found.n_codes) / rows.sum()
    assert np.abs(found.row_shares - own).sum() < 0.03


def test_noise_in_classes_that_nobody_is_in_adds_few_rows():
    """40 tables of units of 1 to 6 rows, where 120 would be told: noise alone must not make units of many rows."""
    rng = np.random.default_rng(1)
    classes = row_classes(40)
    middle = np.array([(a + b) / 2 for a, b in classes])
    exact = np.where(middle <= 6, 500.0, 0.0)
    means = [shares_of(exact + rng.normal(0, 10, len(classes)), 10.0, middle) @ middle for _ in range(40)]
    assert np.mean(means) == pytest.approx(3.5, rel=0.1)  # 3 standard errors of the mean are 0.05
    assert shares_of(np.full(len(classes), -5.0), 10.0, middle)[0] == 1.0


def shares_of(counts: np.ndarray, sigma: float, rows: np.ndarray) -> np.ndarray:
    return unit_shares(counts, groups_that_stand_out(counts, sigma), rows)


def test_units_that_all_have_as_many_rows_are_not_told_apart():
    """30 tables: noise of 14 units in 23 classes makes another code in fewer than one table in thirty."""
    told = [release([8] * 545, NoisyUnits(seed), 8).n_codes for seed in range(30)]
    assert sum(codes > 1 for codes in told) <= 4  # 1 expected: more than 4 have a probability below 0.004


class NoisyUnits(ExactMechanisms):
    """Gaussian noise of 14 from a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)

    def gaussian(self, values, **told):
        return Noisy(values + np.rint(self._rng.normal(0, 14, values.shape)).astype(np.int64), 14.0)


@pytest.mark.parametrize("k", [5, 20])
def test_classes_of_one_code_move_no_share_of_rows_by_more_than_allowed(k):
    """The worst column follows the number of rows exactly; its share is moved by what is said and no more."""
    rows = np.random.default_rng(2).geometric(0.15, 50_000)
    found = release(rows, ExactMechanisms(), k)
    assert 1 < found.n_codes < len(found.classes)
    per_class = replace(found, joined=())
    used = np.minimum(found.rows, k)
    weighed = per_class.units * used * weight_of_row(used)
    drawn = weighed * (found.row_shares / np.bincount(found.codes, weights=weighed))[found.codes]
    assert drawn.sum() == pytest.approx(1.0)
    assert 0.5 * np.abs(drawn - per_class.row_shares).sum() <= JOINED + 1e-12
    told_all = joined_classes(replace(found, units=(1.0, *[0.0] * (len(found.classes) - 1))), singly(found))
    assert set(told_all) == {0}  # units of one row alone are all alike


def test_the_bound_of_a_share_counts_all_rows_left_out_and_classes_that_are_joined():
    """The worst column has a value in the rows that are left out, and in no other."""
    rows = np.minimum(np.random.default_rng(2).geometric(0.15, 50_000), 15)  # as many as are counted
    found = release(rows, ExactMechanisms(), 5)
    left_out = np.maximum(rows - 5, 0).sum() / rows.sum()
    assert found.left_out == pytest.approx(left_out, abs=0.02)  # of classes, not of each number of rows
    assert found.left_out < most_moved(found) <= found.left_out + JOINED + 1e-12
    assert most_moved(replace(found, joined=())) == pytest.approx(found.left_out)
    none = release(np.tile([1, 2, 3], 5_000), ExactMechanisms(), 3)
    assert none.left_out == pytest.approx(0.0, abs=1e-9)


def singly(found: RowsPerUnit) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(len(found.classes))]
