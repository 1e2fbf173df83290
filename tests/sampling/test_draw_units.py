"""Rows of a synthetic unit are drawn together: as many as units have, and what is constant does not contradict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from privsynth.codecs.columns import CategoryCodec, SurrogateCodec
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.sampling import draw, synthetic_model
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.sampling.unit_rows import ModelOfUnits

CLASSES = ((1, 1), (2, 2), (3, 5))
SHARES = (0.5, 0.3, 0.2)
SIZES = (3, 4, 4)  # sex and ward with NULL, and the class of the unit


def model_of(*, constant: tuple[str, ...] = ("sex",), rules: tuple[str, ...] = ()) -> SyntheticModel:
    rng = np.random.default_rng(4)
    blocks = [rng.dirichlet(np.ones(size), 8) for size in SIZES]
    for block in blocks:  # nothing is missing
        block[:, -1] = 0.0
        block /= block.sum(axis=1, keepdims=True)
    fitted = FittedMarginal(np.concatenate(blocks, axis=1).astype(np.float32), SIZES, FitSettings())
    codec = TableCodec(
        (
            SurrogateCodec("who"),
            CategoryCodec("sex", ("F", "M"), False, True),
            CategoryCodec("ward", ("a", "b", "c"), False, True),
        )
    )
    units = ModelOfUnits.of(fitted, RowsPerUnit(CLASSES, SHARES, 3), rng)
    units = ModelOfUnits(units.rows_per_unit, units.weights, "who", constant)
    return SyntheticModel(codec, fitted, rules, 100, "stays", units=units)


def test_units_have_as_many_rows_as_was_released_and_one_value_of_what_is_constant():
    table = model_of().sample(30_000, seed=1)
    assert len(table) == 30_000
    sizes = table.groupby("who").size()
    share = np.bincount(np.minimum(sizes, 3), minlength=4)[1:] / len(sizes)
    assert share == pytest.approx(SHARES, abs=0.02)  # 13,000 units or more: 5 standard errors
    assert sizes.max() <= 5
    assert (table.groupby("who")["sex"].nunique() == 1).all()
    assert (table.groupby("who")["ward"].nunique() > 1).any()


def test_rows_are_those_that_are_drawn_one_by_one():
    together = model_of(constant=()).sample(60_000, seed=1)
    apart = SyntheticModel(**{**vars(model_of()), "units": ModelOfUnits(*vars_of(model_of().units))}).sample(
        60_000, seed=2
    )
    for table in (together, apart):
        assert not table.isna().any().any()
    one, other = (pd.crosstab(t["sex"], t["ward"], normalize=True).to_numpy() for t in (together, apart))
    assert np.abs(one - other).max() < 0.015  # 5 standard errors of rows that come in units
    assert apart["who"].is_unique


def vars_of(units: ModelOfUnits | None) -> tuple:
    assert units is not None
    return units.rows_per_unit, units.weights


def test_surrogates_of_units_are_distinct_over_parts_and_the_same_when_drawn_again(monkeypatch):
    monkeypatch.setattr(draw, "PART_ROWS", 500)
    model = model_of()
    table = model.sample(2_000, seed=3)
    pd.testing.assert_frame_equal(table, model.sample(2_000, seed=3))
    runs = (table["who"] != table["who"].shift()).sum()
    assert runs == table["who"].nunique()  # rows of a unit are side by side, and no unit comes twice


def test_rules_hold_and_constants_stay():
    table = model_of(rules=("sex = F => ward != c",)).sample(5_000, seed=5)
    assert not ((table["sex"] == "F") & (table["ward"] == "c")).any()
    assert (table.groupby("who")["sex"].nunique() == 1).all()
    assert len(table) == 5_000


def test_what_a_rule_forbids_beside_a_constant_is_mended_and_keeps_its_share():
    """Ward c is forbidden to women, who stay women; its share of rows stays, too, and so does that of the sexes."""
    free = model_of().sample(40_000, seed=5)
    ruled = model_of(rules=("ward = c => sex = M",)).sample(40_000, seed=5)
    assert not ((ruled["sex"] == "F") & (ruled["ward"] == "c")).any()
    assert (ruled.groupby("who")["sex"].nunique() == 1).all()
    assert ((free["sex"] == "F") & (free["ward"] == "c")).mean() > 0.05
    for column in ("sex", "ward"):
        shares = [table[column].value_counts(normalize=True).sort_index() for table in (free, ruled)]
        # 5 standard errors of a difference of shares of rows that come in units of at most five
        assert np.abs(shares[0] - shares[1]).max() < 0.03
        assert list(shares[0].index) == list(shares[1].index)


def test_rules_of_constants_alone_hold_in_all_units():
    table = model_of(constant=("sex", "ward"), rules=("ward = c => sex = M",)).sample(20_000, seed=5)
    assert not ((table["sex"] == "F") & (table["ward"] == "c")).any()
    assert (table.groupby("who")[["sex", "ward"]].nunique() == 1).all().all()
    assert ((table["sex"] == "M") & (table["ward"] == "c")).any()


def test_a_rule_that_nobody_keeps_is_refused():
    with pytest.raises(ConfigError, match="contradict"):
        model_of(rules=("sex = F", "sex = M")).sample(50, seed=5)


def test_under_a_condition_each_row_is_a_unit_of_its_own():
    table = model_of().sample(300, seed=1, given=["ward = a"])
    assert (table["ward"] == "a").all()
    assert table["who"].is_unique


def test_a_saved_model_draws_the_same_units(tmp_path):
    model = model_of()
    model.save(tmp_path)
    again = SyntheticModel.load(tmp_path)
    assert again.units == model.units
    pd.testing.assert_frame_equal(again.sample(500, seed=1), model.sample(500, seed=1))
    assert synthetic_model.FORMAT >= 1
