"""Columns coded by how far their rank lies from that of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import NumberCodec, SurrogateCodec, TiedCodec
from privsynth.codecs.columns.saved import codec_from_json, codec_to_json
from privsynth.codecs.columns.tied import RANKS, ranks, steps_at
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import Malformed
from privsynth.codecs.parse import Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.codecs.table import TableCodec
from privsynth.domain.numbers.ties import bins_apart

RNG = np.random.default_rng(5)


def line(*widths_and_weights):
    """Return bins of one segment each, from zero upwards."""
    widths, weights = (np.array(v) for v in zip(*widths_and_weights, strict=True))
    lows = np.cumsum(widths) - widths
    return Bins(lows, lows, lows + widths - 1, weights.astype(float))


MANY = st.lists(st.tuples(st.integers(1, 50), st.floats(0.0, 1e6)), min_size=1, max_size=12)


@given(MANY)
def test_a_rank_leads_back_to_its_value_and_ranks_ascend(shape):
    bins = line(*shape)
    steps = np.arange(int(bins.seg_high[-1]) + 1)
    rank = ranks(bins, steps)
    assert ((rank >= 0) & (rank <= 1)).all()
    assert (np.diff(rank) >= 0).all()
    told = np.repeat(bins.seg_weight > 1.0, bins.seg_high - bins.seg_low + 1)  # less is below what a float tells apart
    np.testing.assert_array_equal(steps_at(bins, rank)[told], steps[told])


@given(MANY, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_every_rank_has_a_value(shape, points):
    bins = line(*shape)
    found = steps_at(bins, np.array(points))
    assert ((found >= 0) & (found <= bins.seg_high[-1])).all()


def pair(*, falls=False, nullable=True, scale=0.02):
    """Return two columns of unlike units and shapes; the second is tied to the first."""
    one = NumberCodec("bill", line((100, 50.0), (400, 30.0), (500, 20.0)), 1.0, True, True)
    other = NumberCodec("paid", line((1000, 10.0), (1000, 40.0), (500, 50.0)), 0.5, nullable, False)
    return TableCodec((TiedCodec.of(other, one, falls=falls, apart=bins_apart(scale, 9)), one))


@pytest.mark.parametrize("falls", [False, True])
def test_values_come_back_to_within_a_bin_of_ranks(falls):
    codec = pair(falls=falls)
    tied, bill = codec.codecs
    steps = RNG.integers(0, 1000, 4000)
    rank = ranks(bill.bins, steps)
    near = steps_at(tied.bins, 1 - rank if falls else rank)
    parsed = ParsedTable({"bill": Grid(steps, np.zeros(4000, bool)), "paid": Grid(near, np.zeros(4000, bool))}, 4000)
    codes = codec.encode(parsed)
    assert len(np.unique(codes[0])) <= 3  # the middle bin, and its neighbours where the grid is coarse
    again = codec.draw(codes, RNG, {"bill": Decoded(steps, np.zeros(4000, bool))}).columns["paid"]
    assert np.abs(ranks(tied.bins, again.values) - ranks(tied.bins, near)).max() < 0.08
    assert not again.null.any()


def test_a_missing_value_is_a_code_of_its_own_and_a_missing_neighbour_is_not():
    codec = pair()
    nothing, there = np.array([True, False]), np.array([False, False])
    steps = np.array([0, 240])
    parsed = ParsedTable({"bill": Grid(steps, nothing), "paid": Grid(steps, nothing)}, 2)
    assert codec.encode(parsed)[0, 0] == codec.codecs[0].apart.size
    parsed = ParsedTable({"bill": Grid(steps, nothing), "paid": Grid(steps, there)}, 2)
    codes = codec.encode(parsed)
    assert (codes[0] < codec.codecs[0].apart.size).all()
    assert not codec.draw(codes, RNG).columns["paid"].null.any()


def test_a_column_without_nulls_gets_none_and_bounds_hold():
    codec = pair(nullable=False)
    tied = replace(codec.codecs[0], low=300, high=700)
    codec = TableCodec((tied, codec.codecs[1]))
    codes = np.stack([RNG.integers(0, tied.apart.size + 1, 500), RNG.integers(0, 4, 500)]).astype(np.uint16)
    found = codec.draw(codes, RNG).columns["paid"]
    assert not found.null.any()
    assert found.values.min() >= 300
    assert found.values.max() <= 700


@given(st.floats(1e-6, 1.0), st.integers(2, 40))
def test_bins_apart_are_a_partition_of_what_ranks_can_differ(scale, bins):
    found = bins_apart(scale, bins)
    assert Bins.from_json(found.to_json()).lows.tolist() == found.lows.tolist()  # which checks that they are one
    assert (found.seg_low[0], found.seg_high[-1]) == (-RANKS, RANKS)
    np.testing.assert_array_equal(found.seg_low, -found.seg_high[::-1])


def test_it_is_saved_and_read_again():
    tied = pair(falls=True).codecs[0]
    again = codec_from_json(codec_to_json(tied))
    assert codec_to_json(again) == codec_to_json(tied)
    assert (again.near, again.falls, again.apart.size) == ("bill", True, tied.apart.size)


@pytest.mark.parametrize("spoil", ["beyond", "near", "falls", "circle", "kind"])
def test_a_model_from_anybody_is_checked(spoil):
    tied, bill = pair().codecs
    data = [codec_to_json(tied), codec_to_json(bill)]
    if spoil == "beyond":
        data[0]["apart"]["seg_high"][-1] = RANKS + 1
    elif spoil == "near":
        data[0]["near"] = "elsewhere"
    elif spoil == "falls":
        data[0]["falls"] = 1
    elif spoil == "circle":
        data[0]["near"] = "paid"
    else:
        data[1] = codec_to_json(SurrogateCodec("bill"))
    with pytest.raises(Malformed):
        TableCodec.from_json(data)
