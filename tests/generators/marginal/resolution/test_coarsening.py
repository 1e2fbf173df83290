"""Cuts of a declared tree: they cover every code, keep to the number of groups, and never split what hangs together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import levels_of
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.resolution.coarsening import Coarsening, branches, neighbours


def table(sizes: list[int], books: dict[int, tuple[np.ndarray, ...]], ordered: tuple[int, ...] = ()) -> Encoded:
    attributes = tuple(Attribute(f"a{i}", size, True, i in ordered) for i, size in enumerate(sizes))
    nothing = np.zeros((len(sizes), 0), dtype=np.uint16)
    return Encoded(
        CodedRows(nothing, np.zeros(0, dtype=np.int64)), attributes, 1, 1_000.0, tuple(range(len(sizes))), books=books
    )


CHAPTERS = np.append(np.repeat([0, 1, 2, 3], 12), 4)
BLOCKS = np.append(np.arange(48) // 3, 16)


@st.composite
def trees(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray]]:
    known = draw(st.integers(4, 40))
    share = np.array(draw(st.lists(st.floats(0, 1), min_size=known + 1, max_size=known + 1)))
    top = np.append(np.sort(draw(st.lists(st.integers(0, 4), min_size=known, max_size=known))), 5)
    below = np.append(np.sort(draw(st.lists(st.integers(0, 9), min_size=known, max_size=known))), 10)
    books = {0: (np.unique(below, return_inverse=True)[1], np.unique(top, return_inverse=True)[1])}
    return share, levels_of(table([known + 1], books), 0)


@settings(deadline=None, max_examples=60)
@given(trees(), st.integers(3, 30))
def test_a_cut_covers_every_code_once_and_keeps_null_apart(tree, at_most):
    share, levels = tree
    group = branches(share, levels, at_most=at_most)
    assert len(group) == len(share)
    assert sorted(set(group.tolist())) == list(range(group.max() + 1))
    assert group.max() + 1 <= at_most
    assert (group == group[-1]).sum() == 1
    # At most one group of a branch reaches beyond it, the rest of the branch: what is left of it goes up as a whole.
    for level in levels:
        for branch in np.unique(level[:-1]):
            inside = set(np.flatnonzero(level == branch).tolist())
            reaching = [g for g in {group[code] for code in inside} if set(np.flatnonzero(group == g)) - inside]
            assert len(reaching) <= 1


def test_codes_that_hold_many_rows_stand_alone_and_a_light_branch_stays_whole():
    share = np.full(49, 0.001)
    share[0], share[13] = 0.5, 0.3  # one code of the first chapter, one of the second
    group = branches(share, [CHAPTERS, BLOCKS], at_most=8)
    assert (group == group[0]).sum() == (group == group[13]).sum() == 1
    for chapter in (2, 3):
        assert len(set(group[chapter == CHAPTERS])) == 1
    assert len({group[24], group[36], group[1], group[14]}) == 4  # and the chapters are told apart


def test_with_room_for_all_every_code_stands_alone():
    share = np.full(49, 1 / 49)
    assert branches(share, [CHAPTERS, BLOCKS], at_most=49).tolist() == list(range(49))


def test_levels_are_nested_from_coarse_to_fine_whatever_their_order():
    data = table([49], {0: (BLOCKS, CHAPTERS, BLOCKS)})
    levels = levels_of(data, 0)
    assert [int(level.max()) + 1 for level in levels] == [5, 17]
    crossing = np.append(np.arange(48) % 2, 2)
    levels = levels_of(table([49], {0: (crossing, CHAPTERS)}), 0)
    for above, below in pairwise(levels):
        assert all(len(set(above[below == g])) == 1 for g in range(below.max() + 1))


def test_between_coarse_and_full_categories_get_finer_and_numbers_do_not():
    data = table([49, 20, 30], {0: (CHAPTERS, BLOCKS)}, ordered=(2,))
    coarsening = Coarsening(data, [np.full(n, 1 / n) for n in data.sizes])
    found = [marginal.shape for marginal in coarsening.between((0, 2), 6)]
    assert found == sorted(found)
    assert all(columns == 6 and 6 < rows <= 49 for rows, columns in found)
    assert all(rows * columns * 1.5 <= 49 * 20 for rows, columns in (m.shape for m in coarsening.between((0, 1), 6)))
    assert not Coarsening(table([49, 20], {}), [np.full(n, 1 / n) for n in (49, 20)]).between((0, 1), 6)


@pytest.mark.parametrize("at_most", [3, 5, 9, 17, 33])
def test_the_number_of_groups_that_is_allowed_is_nearly_used(at_most):
    share = np.random.default_rng(2).dirichlet(np.ones(49))
    group = branches(share, [CHAPTERS, BLOCKS], at_most=at_most)
    assert at_most / 2 <= group.max() + 1 <= at_most


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30), st.integers(2, 9))
def test_neighbours_stay_together_and_atoms_are_no_more_than_fit(shares, at_most):
    group = neighbours(np.array(shares), at_most=at_most)
    assert group[0] == 0
    assert set(np.diff(group).tolist()) <= {0, 1}
    assert group[-1] < at_most


def test_a_value_that_holds_more_than_any_bin_stands_alone():
    share = np.full(20, 0.045)
    share[0], share[9] = 0.09, 0.1
    group = neighbours(share / share.sum(), at_most=6)
    assert (group == group[0]).sum() == (group == group[9]).sum() == 1
    assert (neighbours(np.full(20, 0.05), at_most=6) == 0).sum() > 1
    coarsening = Coarsening(
        table([49, 21], {0: (CHAPTERS,)}, ordered=(1,)), [np.full(49, 1 / 49), np.append(share, 0.0)]
    )
    groups = coarsening.groups(1, 7)
    assert (groups == groups[-1]).sum() == (groups == groups[0]).sum() == 1
