"""Numbers of rows by both releases: shares are met, nothing else moves, and errors get smaller."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import NumberCodec
from privsynth.codecs.contingency import full_marginal
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.table import TableCodec
from privsynth.domain.unit_sizes import row_classes, unit_shares
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal, restore
from privsynth.generators.marginal.measure import Measurement
from privsynth.pipeline.linked.one_table.numbers_of_rows import RowNumbers, with_both

MOST, PERSONS, SIGMA = 5, 1_000.0, 40.0
TRUE = np.array([0.2, 0.3, 0.2, 0.15, 0.1, 0.05])  # persons with 0 to 5 rows
COLUMN = "number of stays"
CODEC = TableCodec(
    (
        NumberCodec(
            COLUMN,
            Bins(np.arange(6), np.arange(6), np.arange(6), np.ones(6)),
            1.0,
            nullable=False,
            integer=True,
        ),
    )
)


def model(share: np.ndarray, sigma: float, other: np.ndarray | None = None) -> FittedMarginal:
    """Return a mixture of 64 components with such shares of 0 to 5 rows, NULL, and of a yes or no."""
    rng = np.random.default_rng(0)
    p = np.full((64, 9), 0.0)
    p[:, :6] = rng.dirichlet(np.ones(6), 64)
    yes = rng.random(64) if other is None else other
    p[:, 7], p[:, 8] = yes, 1.0 - yes
    table = Measurement(full_marginal([7, 2], (0,)), np.append(share, 0.0) * PERSONS, sigma)
    made = FittedMarginal(p.astype(np.float32), (7, 2), FitSettings(components=64), measured=(table,))
    return made.with_shares(0, np.append(share, 0.0))


def numbers(share: np.ndarray, sigma: float) -> RowNumbers:
    """Return what the table below tells, if it counted such shares of the persons."""
    classes = row_classes(MOST)
    counts = np.zeros(len(classes))
    counts[:MOST] = share[1:] * PERSONS
    found = unit_shares(counts, [(at, at + 1) for at in range(len(classes))], np.ones(len(classes)))
    per_unit = RowsPerUnit(classes, tuple(found.tolist()), MOST)
    some = float(share[1:].sum()) * PERSONS
    return RowNumbers(
        per_unit=per_unit, persons=PERSONS, with_rows=some, counted=some, sigma=sigma, sigma_any=sigma / PERSONS
    )


def noisy(rng: np.random.Generator) -> np.ndarray:
    found = np.maximum(TRUE + rng.normal(0, SIGMA / PERSONS, 6), 0.001)
    return found / found.sum()


def error(share: np.ndarray) -> float:
    return 0.5 * float(np.abs(share[:6] - TRUE).sum())


def test_shares_are_met_and_those_of_others_stay():
    before = model(TRUE, SIGMA)
    wanted = np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.0])
    after = before.with_shares(0, wanted)
    assert after.shares(0) == pytest.approx(wanted, abs=2e-3)
    assert after.shares(1) == pytest.approx(before.shares(1), abs=1e-6)
    assert after.never_drawn()[0].tolist() == [False] * 6 + [True]
    assert np.array_equal(restore(after.tensors(), after.settings()).p, after.p)


def test_a_component_with_nothing_but_what_is_gone_is_not_empty():
    made = replace(model(TRUE, SIGMA), p=np.tile(np.array([[1, 0, 0, 0, 0, 0, 0, 1, 0]], dtype=np.float32), (4, 1)))
    assert made.with_shares(0, np.array([0, 0.5, 0.5, 0, 0, 0, 0])).shares(0)[:3] == pytest.approx([0, 0.5, 0.5])


@pytest.mark.parametrize(("of_persons", "of_rows", "nearer"), [(1e-3, 1e3, 0), (1e3, 1e-3, 1), (20.0, 20.0, None)])
def test_the_less_noisy_release_is_believed(of_persons, of_rows, nearer):
    shares = (np.array([0.3, 0.3, 0.2, 0.1, 0.06, 0.04]), np.array([0.2, 0.2, 0.25, 0.2, 0.1, 0.05]))
    told = numbers(shares[1], of_rows)
    found = with_both(model(shares[0], of_persons), CODEC, COLUMN, told, np.random.default_rng(0)).shares(0)[:6]
    wanted = 0.5 * (shares[0] + shares[1]) if nearer is None else shares[nearer]
    assert found == pytest.approx(wanted, abs=0.02)  # the mean is scaled to sum to one


def test_both_together_are_nearer_than_each():
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(60):
        one, other = noisy(rng), noisy(rng)
        both = with_both(model(one, SIGMA), CODEC, COLUMN, numbers(other, SIGMA), rng).shares(0)
        errors.append((error(one), error(other), error(both)))
    one, other, both = np.mean(errors, axis=0)
    assert both < 0.85 * min(one, other)  # noise of a mean of two alike is 0.71 of theirs
