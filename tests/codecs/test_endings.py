"""Numbers with endings: what is drawn has its ending, and lies in its bin where the bin holds such a value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import Drawn, Endings, NumberCodec, codec_from_json, codec_to_json, declared_endings
from privsynth.codecs.columns.endings import NOWHERE
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.table import TableCodec
from privsynth.sampling.conditions import parse_given
from privsynth.sampling.likelihood import condition

PRICES = Endings(((1_000, 0), (500, 0), (100, 0), (100, 95), (100, 99)))


def number(*lows: int, high: int, endings: Endings = PRICES) -> NumberCodec:
    """Return a column of cents with one segment a bin, inside declared bounds."""
    low = np.array(lows)
    bins = Bins(low, low, np.append(low[1:], high + 1) - 1, np.ones(len(low)))
    return NumberCodec("amount", bins, 0.01, False, False, int(low[0]), high, endings=endings)


def decode(codec: NumberCodec, codes: np.ndarray, seed: int = 0) -> np.ndarray:
    return codec.decode(codes, Drawn({}, {}), np.random.default_rng(seed)).values


@st.composite
def columns(draw):
    lows = sorted(draw(st.sets(st.integers(-3_000, 20_000), min_size=1, max_size=8)))
    return number(*lows, high=lows[-1] + draw(st.integers(0, 5_000)))


@given(columns(), st.integers(0, 2**32))
def test_what_is_drawn_has_its_ending_and_lies_in_its_bin_where_the_bin_holds_one(codec, seed):
    everything = np.arange(codec.bins.seg_low[0], codec.bins.seg_high[-1] + 1)
    own = codec.encode(codec.parsed(Decoded(everything, np.zeros(len(everything), dtype=bool))), None)
    there = {tuple(pair) for pair in np.stack(own, axis=1).tolist()}
    anywhere = {ending for _, ending in there}
    size, endings = codec.bins.size, len(PRICES.patterns) + 1
    codes = np.array([(b, e) for b in range(size) for e in range(endings) for _ in range(4)]).T
    values = decode(codec, codes, seed)
    again = codec.encode(codec.parsed(Decoded(values, np.zeros(len(values), dtype=bool))), None)
    single = codec.bins.seg_low == codec.bins.seg_high
    for i, (b, e) in enumerate(codes.T.tolist()):
        if (b, e) in there:
            assert (again[0][i], again[1][i]) == (b, e)
        elif single[b] or e not in anywhere:
            assert again[0][i] == b
    assert (codec.bounded(values) == values).all()
    assert (values >= everything[0]).all()
    assert (values <= everything[-1]).all()


def test_a_value_moves_to_the_nearest_of_its_ending_beside_its_bin():
    codec = number(2_014, 2_746, high=9_999)
    tens = np.array([[0] * 100, [0] * 100])
    assert set(decode(codec, tens).tolist()) == {3_000}  # 20.00 lies below the range, 30.00 in the next bin
    cents = np.array([[0] * 100, [4] * 100])
    assert set(decode(codec, cents).tolist()) <= {2_099, 2_199, 2_299, 2_399, 2_499, 2_599, 2_699}


def test_zero_has_no_ending_and_a_negative_number_that_of_its_amount():
    assert PRICES.of(np.array([0, 99, -99, 1_000, -500, 100, 1, 195])).tolist() == [5, 4, 4, 0, 1, 2, 5, 3]
    steps = np.array([-150, -150])
    assert PRICES.nearest(steps, np.array([4, 0]), np.full(2, -200), np.full(2, -1)).tolist() == [-199, NOWHERE]


def test_endings_are_declared_as_they_are_written():
    assert declared_endings((".99", "0.00", "00", "5")).patterns == ((1_000, 0), (100, 99), (100, 0), (10, 5))


def test_endings_survive_json():
    codec = number(0, 50, high=99)
    assert codec_from_json(codec_to_json(codec)).endings == PRICES


def test_a_null_has_no_ending():
    codec = NumberCodec("x", number(0, high=9).bins, 1.0, True, True, endings=Endings(((10, 5),)))
    decoded = codec.decode(np.array([[1, 0, 0], [0, 2, 0]]), Drawn({}, {}), np.random.default_rng(0))
    assert decoded.null.tolist() == [True, False, False]
    assert decoded.values[2] == 5


@pytest.mark.parametrize("given", ["amount = 19.99", "amount in (5.00, 7.5)", "amount > 10 and amount < 10.5"])
def test_what_a_condition_leaves_is_drawn_whatever_the_ending(given):
    codec = number(0, 1_500, 2_000, high=5_000)
    table = TableCodec((codec,))
    conditioned = condition(parse_given(given.split(" and "), table), table)
    (narrow,) = conditioned.codec.codecs
    likely = [np.flatnonzero(conditioned.evidence[a] > 0) for a in (0, 1)]
    codes = np.array([(b, e) for b in likely[0] for e in likely[1] if b < codec.bins.size])
    drawn = decode(narrow, np.repeat(codes, 20, axis=0).T)
    values = codec.to_series(Decoded(drawn, np.zeros(len(drawn), dtype=bool)))
    for clause in conditioned.clauses:
        assert clause.met(values.to_frame("amount")).all()
