"""Rows drawn from a model of units come as often as in the table, whatever the model counted them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.loaded import Malformed
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.sampling.unit_rows import ModelOfUnits, RowsOfUnits

SIZES = (3, 2, 4)  # two columns, and one, two or three rows of the unit, or NULL
CLASSES = ((1, 1), (2, 2), (3, 3))


def model(components: np.ndarray) -> FittedMarginal:
    return FittedMarginal(components.astype(np.float32), SIZES, FitSettings())


def components_of(seed: int) -> np.ndarray:
    """Return a mixture of four products; no unit has no rows."""
    rng = np.random.default_rng(seed)
    blocks = [rng.dirichlet(np.ones(size), 4) for size in SIZES]
    blocks[2][:, 3] = 0.0
    blocks[2] /= blocks[2].sum(axis=1, keepdims=True)
    return np.concatenate(blocks, axis=1)


@given(st.integers(0, 10_000), st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None)
def test_rows_come_as_often_as_units_have_them_without_bias(seed, units):
    """The law of the drawn rows is computed exactly from the mixture; 60,000 rows differ from it by chance alone."""
    p = components_of(seed)
    shares = np.array(units) / sum(units)
    per_unit = RowsPerUnit(CLASSES, tuple(shares.tolist()), 3)
    made = ModelOfUnits.of(model(p), per_unit, np.random.default_rng(1))
    rows = RowsOfUnits(model(p), made, 2).sample_codes(60_000, np.random.default_rng(2))
    assert rows.shape == (2, 60_000)
    joint = np.einsum("ca,cb,cr->abr", p[:, :3], p[:, 3:5], p[:, 5:8]) / len(p)
    wanted = (joint / joint.sum(axis=(0, 1))) @ (shares * [1, 2, 3] / (shares @ [1, 2, 3]))
    found = np.zeros((3, 2))
    np.add.at(found, (rows[0], rows[1]), 1 / 60_000)
    # 5 standard errors of a share of one half are 0.01; weights are found from 50,000 rows
    assert np.abs(found - wanted).max() < 0.015


def test_conditions_keep_the_weights():
    p = components_of(5)
    per_unit = RowsPerUnit(CLASSES, (0.2, 0.3, 0.5), 3)
    rows = RowsOfUnits(model(p), ModelOfUnits.of(model(p), per_unit, np.random.default_rng(1)), 2)
    known = np.full((2, 40_000), -1, dtype=np.int32)
    known[1] = 1
    drawn = rows.complete(known, {0: np.array([1.0, 1.0, 0.0])}, np.random.default_rng(2))
    assert (drawn[1] == 1).all()
    assert set(np.unique(drawn[0])) == {0, 1}
    every = rows.sample_codes(200_000, np.random.default_rng(3))
    alike = every[0, (every[1] == 1) & (every[0] < 2)]
    assert (drawn[0] == 1).mean() == pytest.approx((alike == 1).mean(), abs=0.02)


def test_a_class_that_the_model_lacks_gets_no_endless_weight():
    p = components_of(5)
    p[:, 5:8] = [1.0, 0.0, 0.0]
    per_unit = RowsPerUnit(CLASSES, (0.2, 0.3, 0.5), 3)
    made = ModelOfUnits.of(model(p), per_unit, np.random.default_rng(1))
    assert np.isfinite(made.weights).all()
    assert RowsOfUnits(model(p), made, 2).sample_codes(100, np.random.default_rng(2)).shape == (2, 100)


def test_it_is_read_as_it_was_written_and_nothing_else_is():
    made = ModelOfUnits(RowsPerUnit(CLASSES, (0.2, 0.3, 0.5), 3), (0.5, 1.0, 1.5))
    data = json.loads(json.dumps(made.to_json()))
    assert ModelOfUnits.from_json(data) == made
    for change in (
        {"classes": [[1, 1], [3, 3], [4, 4]]}, {"classes": [[1, 1], [2]]}, {"shares": [1.0]}, {"weights": [0, 0, 0]},
        {"weights": [float("nan"), 1, 1]}, {"most_used": 0}, {"classes": []}, {"more": 1},
    ):  # fmt: skip
        with pytest.raises(Malformed):
            ModelOfUnits.from_json({**data, **change})


class Coins:
    """A model that answers no conditions itself; few of its units have three rows."""

    name = "coins"

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        return np.stack(
            [rng.integers(0, 3, n_rows), rng.integers(0, 2, n_rows), rng.choice(3, n_rows, p=[0.98, 0.01, 0.01])]
        ).astype(np.uint16)

    def tensors(self) -> dict[str, np.ndarray]:
        return {}

    def settings(self) -> dict[str, object]:
        return {}


def test_rows_are_drawn_by_rejection_where_a_model_answers_no_conditions():
    """One draw in thirty is kept, so that more than a million are needed."""
    per_unit = RowsPerUnit(CLASSES, (0.2, 0.3, 0.5), 3)
    rows = RowsOfUnits(Coins(), ModelOfUnits.of(Coins(), per_unit, np.random.default_rng(1)), 2)
    drawn = rows.sample_codes(60_000, np.random.default_rng(2))
    assert drawn.shape == (2, 60_000)
    assert drawn[0].mean() == pytest.approx(1.0, abs=0.02)  # 6 standard errors
