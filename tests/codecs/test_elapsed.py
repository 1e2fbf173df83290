"""Times above other times: how far, and what becomes of the clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import DAY, Drawn, ElapsedScale, TimeCodec
from privsynth.codecs.decoded_rows import Decoded

PRECISIONS = st.sampled_from([1, 60, 900, 3600, DAY])
SECONDS = st.integers(-(10**9), 10**9)


def single(places: int) -> Bins:
    """Return bins of one integer each."""
    ends = np.arange(places)
    return Bins(ends, ends, ends, np.ones(places))


def decoded(seconds: np.ndarray) -> Decoded:
    return Decoded(seconds, np.zeros(len(seconds), dtype=bool))


@given(PRECISIONS, SECONDS, st.lists(st.integers(0, 40 * DAY), min_size=2, max_size=30))
def test_a_later_time_has_no_lower_place(precision, base, above):
    scale = ElapsedScale(precision)
    places = scale.place(base + np.sort(above), np.full(len(above), base))
    assert (np.diff(places) >= 0).all()
    assert (places >= 0).all()


@given(PRECISIONS, SECONDS, st.integers(0, 40 * DAY))
def test_a_place_tells_between_which_seconds_it_lies(precision, base, above):
    scale = ElapsedScale(precision)
    place = scale.place(np.array([base + above]), np.array([base]))
    least, most = scale.ends(place, place)
    assert least[0] <= above <= most[0]


@given(st.sampled_from([1, 60, 900]), st.integers(0, 20_000), st.integers(0, 2**32))
def test_a_place_within_a_day_is_decoded_to_itself_unless_midnight_comes_first(precision, days, seed):
    scale = ElapsedScale(precision)
    rng = np.random.default_rng(seed)
    codec = TimeCodec("out", single(scale.span(3)), single(DAY // precision), precision, False, base="in")
    base = decoded(days * DAY + rng.integers(0, DAY // precision, 50) * precision)
    codes = np.stack([rng.integers(0, scale.span(3), 50), rng.integers(0, DAY // precision, 50)])
    out = codec.decode(codes, Drawn({"in": base}, {}), rng)
    assert (out.values >= base.values).all()
    again = codec.encode(codec.parsed(out), base)
    same_date = out.values // DAY == base.values // DAY
    later = codes[0] >= scale.within_day
    assert (again[0][same_date | later] == codes[0][same_date | later]).all()
    assert (again[1][later] == codes[1][later]).all()
    # Only place 0, the time itself, is no later at all.
    assert (codes[0][out.values == base.values] == 0).all()


def test_the_last_week_of_a_range_holds_only_the_days_that_it_has():
    """2024-12-31 is a Tuesday: what falls on the five days after it goes to the week before, not to the last minute."""
    week = int(np.datetime64("2024-12-30").astype(int) - 4) // 7
    weeks = Bins(np.array([week]), np.array([week]), np.array([week]), np.ones(1))
    last = int(np.datetime64("2024-12-31T23:59", "s").astype(int))
    codec = TimeCodec("seen", weeks, single(1440), 60, False, low=0, high=last)
    weekday = np.arange(700) % 7
    codes = np.stack([np.zeros(700, dtype=int), weekday, np.full(700, 600)])
    seconds = codec.decode(codes, Drawn({}, {}), np.random.default_rng(0)).values
    assert ((seconds // DAY - 4) % 7 == weekday).all()
    assert (seconds % DAY == 600 * 60).all()
    assert (seconds <= last).all()


@pytest.mark.parametrize("days", [0.0, 0.01, 0.4, 1.0, 3.7])
def test_an_amount_in_days_has_the_place_of_a_time_so_much_later(days):
    scale = ElapsedScale(60)
    base = np.zeros(1, dtype=np.int64)
    exact = scale.place(base + round(days * 1440) * 60, base)
    assert abs(int(scale.place_of_days(np.array([days]))[0] - exact[0])) <= 1
