"""Several rows a unit: nothing moves further than declared, and what is counted is what naive twins count."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, distance

from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import Marginal, full_marginal
from privsynth.codecs.encoded_table import CodedRows, Encoded, RowsPerUnit
from privsynth.generators.marginal.clip_units import (
    LEAST_SHARE,
    STEPS,
    by_length,
    choose_bound,
    entry_scales,
    mean_weight,
    most_weight,
    release_tables,
    steps_of_rows,
    weigh_rows,
)
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.measure import effective_sensitivity, measure_marginals, measure_one_way
from privsynth.generators.marginal.rounds import MeasureRequest, select_and_measure
from privsynth.generators.marginal.select import score_marginals
from privsynth.privacy.budget import Budget, plan_spending
from privsynth.privacy.unit_weights import SAMENESS, weight_of_row

SIZES = [4, 3, 6]
PAIRS = [(full_marginal(SIZES, (0, 1)), 0.1), (Marginal((1, 2), (np.array([0, 0, 1]), np.arange(6))), 0.3)]
PARTS = {"one_way": 0.2, "selection": 0.2, "measurement": 0.6}


def encoded(codes: np.ndarray, unit: np.ndarray, *, k: int, n_rows: float = 300.0) -> Encoded:
    return Encoded(
        rows=CodedRows(codes.astype(np.uint16), unit),
        attributes=tuple(Attribute(f"a{i}", size, True, i == 2) for i, size in enumerate(SIZES)),
        max_rows_per_unit=k,
        n_rows=n_rows,
        columns=(0, 1, 2),
    )


def log_of(rows: np.ndarray, *, k: int, seed: int = 0, **more) -> Encoded:
    """Return units with so many rows each, of any codes."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, rows.sum()) for size in SIZES])
    return encoded(codes, np.repeat(np.arange(len(rows)), rows), k=k, **more)


@pytest.mark.parametrize("k", [2, 5, 20])
@pytest.mark.parametrize("kind", ["alike", "apart", "one row"])
def test_a_unit_more_moves_no_release_by_more_than_was_declared(k, kind):
    rng = np.random.default_rng(k)
    data = log_of(rng.integers(1, k + 1, 40), k=k)
    extra = np.stack([rng.integers(0, size, k) for size in SIZES])
    extra = {"alike": np.repeat(extra[:, :1], k, axis=1), "apart": extra, "one row": extra[:, :1]}[kind]
    unit = np.concatenate([np.full(extra.shape[1], -7), data.rows.unit])  # first in order, with a gap behind it
    more = encoded(np.concatenate([extra, data.rows.codes], axis=1), unit, k=k)
    plan = plan_spending(Budget(epsilon=2.0, unit="u", max_rows_per_unit=k), PARTS, open_domain=False)
    fit = FitSettings(components=8, max_steps=5)
    record = RecordingMechanisms(1)
    first = select_and_measure(
        MeasureRequest(data=data, mechanisms=record, plan=plan, settings=fit, rng=np.random.default_rng(0))
    )
    replay = ReplayMechanisms(record)
    second = select_and_measure(
        MeasureRequest(data=more, mechanisms=replay, plan=plan, settings=fit, rng=np.random.default_rng(0))
    )
    assert replay.violations() == []
    moved = [distance(a.given, b.given) / a.l2_sensitivity for a, b in zip(record.calls, replay.calls, strict=True)]
    assert max(moved) <= 1.0
    assert max(moved) > 0.99  # the numbers of units are moved by a whole unit
    tables = [m for r in (first, second) for m in (*r.one_way, *r.tables)]
    half = len(tables) // 2
    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(tables[:half], tables[half:], strict=True))


def test_a_unit_of_rows_alike_reaches_the_bound():
    data = log_of(np.ones(50, dtype=int), k=5)
    more = encoded(
        np.concatenate([data.rows.codes, np.zeros((3, 5), int)], axis=1), np.append(data.rows.unit, [99] * 5), k=5
    )
    record = RecordingMechanisms(1)
    release_tables(data, PAIRS, record, part="measurement", label="table")
    replay = ReplayMechanisms(record)
    release_tables(more, PAIRS, replay, part="measurement", label="table")
    moved = distance(record.calls[1].given, replay.calls[1].given)
    assert moved == pytest.approx(record.calls[1].l2_sensitivity, rel=1e-5)
    assert moved <= record.calls[1].l2_sensitivity


def test_weighed_tables_are_those_of_a_naive_twin():
    rng = np.random.default_rng(3)
    data = log_of(rng.integers(1, 9, 30), k=8, n_rows=1e9)
    mechanisms = RecordingMechanisms(0)
    release_tables(data, PAIRS, mechanisms, part="measurement", label="table")
    bound = mechanisms.calls[1].l2_sensitivity / STEPS
    expected = [np.zeros((4, 3)), np.zeros((2, 6))]
    scales = [math.sqrt(0.25), math.sqrt(0.75)]
    for u in range(30):
        own = [np.zeros((4, 3)), np.zeros((2, 6))]
        for a, b, c in data.rows.codes[:, data.rows.unit == u].T.tolist():
            own[0][a, b] += scales[0]
            own[1][[0, 0, 1][b], c] += scales[1]
        rows = int((data.rows.unit == u).sum())
        row = 1 / math.sqrt(SAMENESS * rows**2 + (1 - SAMENESS) * rows)
        length = row * math.sqrt(sum((table**2).sum() for table in own))
        for table, mine in zip(expected, own, strict=True):
            table += mine * row * min(1.0, bound / length)
    given = mechanisms.calls[1].given / STEPS
    assert np.allclose(given, np.concatenate([table.ravel() for table in expected]), atol=1e-3)


def test_without_noise_and_long_units_tables_are_counts():
    data = log_of(np.ones(200, dtype=int), k=8, n_rows=200.0)
    tables, *_ = release_tables(data, PAIRS, ExactMechanisms(), part="measurement", label="table")
    exact = np.zeros((4, 3))
    np.add.at(exact, (data.rows.codes[0], data.rows.codes[1]), 1)
    assert np.allclose(tables[0], exact, atol=0.01)
    assert tables[1].sum() == pytest.approx(200, rel=1e-3)


def test_the_bound_follows_the_units():
    def bound(lengths: np.ndarray, k: int, noise: float = 0.015) -> float:
        count = partial(by_length, lengths)
        return choose_bound(count, k, ExactMechanisms(), part="measurement", mu_squared=100.0, noise_of_one=noise)

    assert bound(np.ones(5_000), 20) == 1.0
    assert bound(np.full(5_000, 20.0), 20) == pytest.approx(20.0)
    assert 1.0 < bound(np.repeat([1.0, 4.0, 20.0], [2_000, 3_000, 5]), 20) < 8.0
    assert bound(np.zeros(0), 9) == 3.0
    # Where there is little noise nothing is cut off.
    assert bound(np.repeat([1.0, 4.0, 20.0], [2_000, 3_000, 500]), 20, noise=1e-4) == 20.0


def test_noise_is_that_of_the_rows_which_units_have():
    """Each of 600 rows: twenty of a unit need more noise than one, but not twenty times as much."""
    few, many = (log_of(np.full(600 // rows, rows), k=20, n_rows=600.0) for rows in (1, 20))
    sigma = {}
    for name, data in (("few", few), ("many", many)):
        tables = measure_one_way(data, RecordingMechanisms(0), mu_squared=5.0)
        sigma[name] = effective_sensitivity(tables, 5.0)
    assert 0.9 < sigma["few"] < 2.5
    assert 4.0 < sigma["many"] < 20.0
    single = log_of(np.ones(600, dtype=int), k=1, n_rows=600.0)
    assert effective_sensitivity(measure_one_way(single, RecordingMechanisms(0), mu_squared=5.0), 5.0) == pytest.approx(
        1.0
    )


@pytest.mark.parametrize("k", [2, 7, 500])
def test_no_unit_weighs_more_than_one_of_the_most_rows(k):
    rows = np.arange(1, k + 1)
    weight = rows * weight_of_row(rows)
    assert weight.max() == pytest.approx(most_weight(k))
    assert (np.diff(weight) > 0).all()
    assert weight[0] == 1.0
    assert most_weight(k) < SAMENESS**-0.5


def test_rows_weigh_together_no_more_than_the_bound():
    rng = np.random.default_rng(4)
    data = log_of(rng.integers(1, 13, 500), k=12, n_rows=3_250.0)
    most, held = weigh_rows(data, ExactMechanisms(), part="selection", mu_squared=0.5)
    weight = steps_of_rows(data.rows)
    assert np.bincount(data.rows.unit, weights=weight).max() <= most
    assert held == pytest.approx(weight.sum())
    assert weight[np.bincount(data.rows.unit)[data.rows.unit] == 1] == pytest.approx(STEPS, rel=1e-6)


def test_what_a_row_weighs_on_average_follows_from_how_many_rows_units_have():
    data = log_of(np.array([1] * 30 + [4] * 10), k=4)
    known = replace(data, rows_per_unit=RowsPerUnit(((1, 1), (2, 3), (4, 4), (5, 9)), (0.75, 0.0, 0.25, 0.0), 4))
    exact = weight_of_row(np.bincount(data.rows.unit))[data.rows.unit].mean()
    assert mean_weight(known) == pytest.approx(exact)
    assert mean_weight(data) == 1.0


def test_weighed_scores_are_distances_from_the_model():
    rng = np.random.default_rng(1)
    rows = rng.integers(1, 9, 2_000)
    a = rng.integers(0, 4, rows.sum())
    data = encoded(np.stack([a, a % 3, rng.integers(0, 6, len(a))]), np.repeat(np.arange(2_000), rows), k=8,
                   n_rows=float(len(a)))  # fmt: skip
    marginals = [full_marginal(SIZES, pair) for pair in [(0, 1), (0, 2)]]
    shares = [np.bincount(codes, minlength=size) / len(a) for codes, size in zip(data.rows.codes, SIZES, strict=True)]

    def independent(marginal: Marginal) -> np.ndarray:
        return np.outer(shares[marginal.attributes[0]], shares[marginal.attributes[1]])

    (same, other), _ = score_marginals(data, marginals, independent, ExactMechanisms(), mu_squared=1.0, label="scores")
    exact = np.zeros((4, 3))
    np.add.at(exact, (data.rows.codes[0], data.rows.codes[1]), 1)
    assert same == pytest.approx(np.abs(exact - len(a) * independent(marginals[0])).sum(), rel=0.05)
    assert other < 0.1 * same


def test_tables_of_several_prices_share_the_noise_by_price():
    data = log_of(np.full(100, 3), k=3)
    cheap, dear = measure_marginals(data, PAIRS, RecordingMechanisms(0), label="table")
    assert np.ravel(cheap.sigma) / np.ravel(dear.sigma) == pytest.approx(math.sqrt(3.0))


def test_cells_that_hardly_anybody_is_in_weigh_more():
    expected = np.array([0.6, 0.3, 0.09, 0.01])
    scale = entry_scales(expected, 20)
    assert (np.diff(scale) > 0).all()
    assert np.allclose(scale, entry_scales(1e4 * expected, 20))
    assert np.isfinite(entry_scales(np.zeros((2, 3)), 5)).all()
    share = (expected + LEAST_SHARE / 4) / (1 + LEAST_SHARE)
    assert (share * scale**2).sum() == pytest.approx(1.0)


def test_expected_tables_make_rare_cells_quieter_and_no_unit_moves_further():
    rng = np.random.default_rng(2)
    rows = rng.integers(1, 21, 3_000)
    a = rng.choice(4, rows.sum(), p=[0.9, 0.08, 0.015, 0.005])
    codes = np.stack([a, rng.integers(0, 3, len(a)), rng.integers(0, 6, len(a))])
    data = encoded(codes, np.repeat(np.arange(3_000), rows), k=20, n_rows=float(len(a)))
    bought, counts = [(full_marginal(SIZES, (0,)), 0.1)], np.bincount(a, minlength=4)
    _, (plain,), _ = release_tables(data, bought, RecordingMechanisms(0), part="measurement", label="table")
    record = RecordingMechanisms(0)
    _, (noise,), _ = release_tables(data, bought, record, part="measurement", label="table", expected=lambda _: counts)
    assert noise[3] < 0.6 * plain[3]
    assert (np.diff(noise) < 0).all()
    (exact,), *_ = release_tables(
        data, bought, ExactMechanisms(), part="measurement", label="table", expected=lambda _: counts
    )
    assert exact == pytest.approx(counts, rel=0.25)
    alike = np.full((3, 20), 3) // [[1], [2], [1]]
    more = encoded(
        np.concatenate([codes, alike], axis=1), np.append(data.rows.unit, [9_999] * 20), k=20, n_rows=data.n_rows
    )
    replay = ReplayMechanisms(record)
    release_tables(more, bought, replay, part="measurement", label="table", expected=lambda _: counts)
    assert replay.violations() == []
    moved = distance(record.calls[1].given, replay.calls[1].given) / record.calls[1].l2_sensitivity
    assert 0.999 < moved <= 1.0


def test_no_rows_and_no_attributes():
    empty = log_of(np.zeros(0, dtype=int), k=4, n_rows=1.0)
    assert all(np.isfinite(m.counts).all() for m in measure_one_way(empty, RecordingMechanisms(0), mu_squared=1.0))
    nothing = Encoded(CodedRows(np.zeros((0, 5), np.uint16), np.arange(5)), (), 4, 5.0, ())
    assert measure_one_way(nothing, RecordingMechanisms(0), mu_squared=1.0) == []
