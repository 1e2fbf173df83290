"""Contingency tables are counted together; each is what counting it alone gives."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.codecs import contingency
from privsynth.codecs.contingency import Marginal, contingency_tables, full_marginal, joint_tables


def counted_alone(codes, marginal, weight):
    """The naive twin: row by row, table by table."""
    table = np.zeros(marginal.shape, dtype=np.int64)
    rows = tuple(group[codes[a]] for a, group in zip(marginal.attributes, marginal.groups, strict=True))
    np.add.at(table, rows, 1 if weight is None else weight.astype(np.int64))
    return table


@st.composite
def counting_tasks(draw):
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 60))
    codes = np.stack([rng.integers(0, size, n).astype(np.uint16) for size in sizes])
    chosen = draw(st.lists(st.sets(st.integers(0, len(sizes) - 1), min_size=1, max_size=4), max_size=12))
    marginals = []
    for attributes in chosen:
        groups = []
        for a in sorted(attributes):
            joined = draw(st.sampled_from([1, 2, 3]))
            groups.append(np.arange(sizes[a]) // joined)
        marginals.append(Marginal(tuple(sorted(attributes)), tuple(groups)))
    heavy = draw(st.sampled_from([None, np.int64, np.float64]))
    weight = None if heavy is None else rng.integers(0, 2**53 // 100, n).astype(heavy)
    return codes, marginals, weight, draw(st.sampled_from([0, 1, 8, 60, 10_000]))


@given(counting_tasks())
def test_tables_counted_together_are_those_counted_alone(task):
    codes, marginals, weight, at_most = task
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contingency, "JOINT_ROWS", 0)
        patch.setattr(contingency, "MOST_JOINT", at_most)
        patch.setattr(contingency, "LEAST_ROWS", 7)
        patch.setattr(contingency, "MOST_ROWS", 16)
        patch.setattr(contingency, "MOST_ENTRIES", 100)
        tables = contingency_tables(codes, marginals, weight)
    for marginal, table in zip(marginals, tables, strict=True):
        assert table.dtype == np.int64
        assert table.flags.c_contiguous
        assert np.array_equal(table, counted_alone(codes, marginal, weight))


@pytest.mark.parametrize("sizes", [[300, 300], [65_535, 2], [65_536, 1], [2, 65_536]])
def test_the_last_entry_of_a_large_table_is_counted_in_place(sizes):
    codes = np.array([[0, size - 1, size - 1] for size in sizes]).astype(np.uint16)
    (table,) = contingency_tables(codes, [full_marginal(sizes, (0, 1))])
    assert table.sum() == 3
    assert table[0, 0] == 1
    assert table[-1, -1] == 2


def test_many_rows_are_counted_in_joint_tables_and_come_out_the_same():
    sizes, rng = [2, 3, 40, 7, 2, 11], np.random.default_rng(0)
    n = contingency.JOINT_ROWS + 5
    codes = np.stack([rng.integers(0, size, n).astype(np.uint16) for size in sizes])
    marginals = [full_marginal(sizes, pair) for pair in combinations(range(6), 2)]
    for marginal, table in zip(marginals, contingency_tables(codes, marginals), strict=True):
        assert np.array_equal(table, counted_alone(codes, marginal, None))


@given(
    st.lists(st.integers(1, 40), min_size=6, max_size=6),
    st.sets(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), max_size=20),
    st.integers(0, 2_000),
)
def test_every_wanted_table_is_summed_out_of_one_joint_table(sizes, wanted, at_most):
    joints = joint_tables(wanted, sizes, at_most=at_most)
    summed = [table for covered in joints.values() for table in covered]
    assert sorted(map(sorted, summed)) == sorted(map(sorted, wanted))
    for joint, covered in joints.items():
        assert all(table <= set(joint) for table in covered)
        assert np.prod([sizes[column] for column in joint]) <= at_most or set(joint) in covered
    assert joints == joint_tables(sorted(wanted, key=sorted), sizes, at_most=at_most)


def test_all_pairs_of_few_codes_need_far_fewer_tables():
    pairs = [frozenset(pair) for pair in combinations(range(12), 2)]
    assert len(joint_tables(pairs, [10] * 12, at_most=contingency.MOST_JOINT)) < len(pairs) / 4
    assert len(joint_tables(pairs, [10] * 12, at_most=0)) == len(pairs)
