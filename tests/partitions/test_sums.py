"""Sums of counts are exact, and the same in any order."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.partitions.sums import added

COUNTS = st.integers(-(2**53), 2**53)
RESULTS = st.lists(
    st.tuples(
        COUNTS,
        st.dictionaries(st.text(max_size=1), COUNTS, max_size=3),
        st.lists(COUNTS, min_size=2, max_size=2).map(lambda counts: [np.array(counts)]),
    ),
    min_size=1,
    max_size=5,
)


def plain(result):
    number, keys, (counts,) = result
    return number, keys, counts.tolist()


@given(RESULTS, st.randoms(use_true_random=False))
def test_results_add_up_to_the_same_in_any_order(results, random):
    shuffled = list(results)
    random.shuffle(shuffled)
    number, keys, counts = plain(reduce(added, shuffled))
    assert number == sum(result[0] for result in results)
    there = {key for result in results for key in result[1]}
    assert keys == {key: sum(result[1].get(key, 0) for result in results) for key in there}
    assert counts == [sum(int(result[2][0][at]) for result in results) for at in (0, 1)]


def test_arrays_are_summed_in_64_bits_and_neither_is_changed():
    one, other = np.array([200], dtype=np.uint8), np.array([100], dtype=np.uint8)
    assert added(one, other).tolist() == [300]
    assert (one.tolist(), other.tolist()) == ([200], [100])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 2),
        (1, 2.0),
        (True, 1),
        (np.zeros(2), np.zeros(2, dtype=np.int64)),
        (np.zeros(1, dtype=bool), np.zeros(1, dtype=bool)),
        ([1], (1,)),
        ({"a": 1.5}, {"a": 1}),
        (np.zeros(1, dtype=np.int64), 0),
        ("a", "b"),
    ],
)
def test_what_does_not_add_up_exactly_is_refused(one, other):
    with pytest.raises(TypeError):
        added(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [([1], [1, 2]), (np.zeros(2, dtype=int), np.zeros(1, dtype=int)), (np.zeros(0, int), np.ones(1, int))],
)
def test_results_of_two_shapes_are_refused(one, other):
    with pytest.raises(ValueError, match="do not add up"):
        added(one, other)
