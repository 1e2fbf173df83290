"""Fitting over resolved groups: what is not told apart follows the group, and where all is, nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

from privsynth.codecs.contingency import Marginal, full_marginal, told_apart
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.loss import LogitBlocks, model_table
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.mixture import Mixture, fit_mixture
from privsynth.generators.marginal.resolution.resolved import resolve

SIZES = [4, 9, 3]
THIRDS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3])
HALVES = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])


def measured(n: float = 1_000.0) -> tuple[list[Measurement], list[Measurement]]:
    """Return one-way tables, and coarse pairs of the first two attributes; the third is in no pair."""
    rng = np.random.default_rng(1)
    one_way = [Measurement(full_marginal(SIZES, (a,)), n * rng.dirichlet(np.ones(s)), 2.0) for a, s in enumerate(SIZES)]
    pairs = [
        Measurement(
            Marginal((0, 1), (np.arange(4), group)), n * rng.dirichlet(np.ones((4, k)).ravel()).reshape(4, k), 5.0
        )
        for group, k in ((THIRDS, 4), (HALVES, 3))
    ]
    return one_way, pairs


def test_groups_are_the_coarsest_that_tell_apart_what_any_table_does():
    one_way, pairs = measured()
    resolved = resolve(one_way, pairs, n_rows=1_000.0)
    assert resolved.groups[1].tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 4]
    assert resolved.groups[0].tolist() == list(range(4))
    assert resolved.groups[2].tolist() == [0, 0, 0]
    for group, inside in zip(resolved.groups, resolved.inside, strict=True):
        assert np.bincount(group, weights=inside) == pytest.approx(np.ones(group.max() + 1))
        assert (inside > 0).all()
    assert told_apart([np.array([2, 0, 2, 1])]).tolist() == [0, 1, 0, 2]


def test_tables_of_groups_are_those_of_their_codes():
    """The naive twin: the model's table over codes, whatever it says of groups, is the same table."""
    one_way, pairs = measured()
    resolved = resolve(one_way, pairs, n_rows=1_000.0)
    rng = np.random.default_rng(2)
    blocks = LogitBlocks(tuple(resolved.sizes))
    theta = rng.normal(0, 1, (sum(resolved.sizes), 6)).astype(np.float32)
    over_groups = Mixture(theta, blocks.softmax(theta))
    over_codes = resolved.apart(over_groups)
    codes = LogitBlocks(tuple(SIZES))
    assert np.add.reduceat(over_codes.p, codes.starts[:-1], axis=0) == pytest.approx(np.ones((3, 6)), rel=1e-5)
    assert codes.softmax(over_codes.theta) == pytest.approx(over_codes.p, rel=1e-4)
    for table in pairs:
        said = model_table(over_groups.p, blocks, resolved.over_groups(table).marginal)
        assert said == pytest.approx(model_table(over_codes.p, codes, table.marginal), rel=1e-5)
    back = resolved.joined(over_codes)
    assert back.p == pytest.approx(over_groups.p, rel=1e-5)
    assert blocks.softmax(back.theta) == pytest.approx(over_groups.p, rel=1e-4)
    for table, joined in zip(one_way, resolved.one_way(one_way), strict=True):
        (a,) = table.attributes
        assert joined.counts == pytest.approx(np.bincount(resolved.groups[a], weights=table.counts))
        if len(joined.counts) < len(table.counts):
            assert joined.sigma == pytest.approx(2.0 * np.sqrt(np.bincount(resolved.groups[a])))


def test_codes_below_the_resolved_level_keep_their_share_of_the_group_in_every_component():
    one_way, pairs = measured()
    resolved = resolve(one_way, pairs, n_rows=1_000.0)
    groups = [[resolved.over_groups(table) for table in pairs]]
    fitted = fit_mixture(
        resolved.sizes, [resolved.one_way(one_way), *groups], n_rows=1_000.0,
        settings=FitSettings(components=32, max_steps=80), rng=np.random.default_rng(3),
    )  # fmt: skip
    p = resolved.apart(fitted).p[4:13]
    counts = one_way[1].counts
    for group in range(5):
        own = np.flatnonzero(resolved.groups[1] == group)
        inside = p[own] / p[own].sum(axis=0)
        assert inside == pytest.approx(np.repeat(counts[own, None] / counts[own].sum(), 32, axis=1), rel=0.02)


def test_where_every_code_is_told_apart_nothing_changes():
    one_way, pairs = measured()
    rng = np.random.default_rng(4)
    full = [
        Measurement(full_marginal(SIZES, pair), rng.uniform(0, 100, tuple(SIZES[a] for a in pair)), 5.0)
        for pair in ((0, 1), (1, 2))
    ]
    resolved = resolve(one_way, [*pairs, *full], n_rows=1_000.0)
    assert resolved.sizes == SIZES
    plain = [one_way, full]
    over = [resolved.one_way(one_way), [resolved.over_groups(table) for table in full]]
    fits = [
        fit_mixture(
            SIZES, groups, n_rows=1_000.0, settings=FitSettings(components=16, max_steps=40),
            rng=np.random.default_rng(5),
        )
        for groups in (plain, over)
    ]  # fmt: skip
    assert np.array_equal(fits[0].p, resolved.apart(fits[1]).p)
    assert resolved.joined(fits[0]) is fits[0]
