"""What rare rows look like, from noisy sums: found where it stands out, like all rows where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generators import rare_log

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.generators.marginal.rare_values.profile import (
    DETAIL_WEIGHT,
    MOST_CATEGORIES,
    MOST_NEIGHBOURS,
    MOST_OF_CYCLE,
    TAIL_GROUPS,
    Look,
    by_rareness,
    estimate_profile,
    look_of,
    neighbours,
)

UNITS, SIGMA = 60.0, 7.0  # as for sixty accounts with fraud at ε = 3


def look(share: np.ndarray, *, ordered: bool, cyclic: bool = False) -> Look:
    return Look(np.arange(len(share)), share / share.sum(), ordered, cyclic, 1.0)


def estimated(one: Look, truth: np.ndarray, rng: np.random.Generator, sigma: float = SIGMA) -> np.ndarray:
    """Return the profile of an attribute beside nine others that are like all rows."""
    looks = [one, *[look(np.full(5, 0.2), ordered=False)] * 9]
    sums = [UNITS * truth, *[UNITS * other.share for other in looks[1:]]]
    noisy = [table + sigma * rng.standard_normal(len(table)) for table in sums]
    return estimate_profile(looks, noisy, [sigma] * 10)[0]


@pytest.mark.parametrize("first", [0, 5, 11])
def test_a_night_is_found_wherever_the_scale_begins(first):
    bins = look(np.append(np.full(12, 1 / 12), 1e-9), ordered=True, cyclic=True)
    night = np.append((np.arange(12) - first) % 12 < 2, False)
    truth = 0.3 * bins.share + 0.7 * night / 2
    found = [estimated(bins, truth, np.random.default_rng(seed)) @ night for seed in range(40)]
    # The truth is 0.75; two groups have a standard error of 0.17, a mean of 40 one of 0.03; some is lost to the prior.
    assert 0.5 < np.mean(found) < 0.87


def test_what_is_like_all_rows_stays_so_and_little_is_made_of_noise():
    bins = look(np.append(np.full(8, 0.125), 1e-9), ordered=True)
    apart = [
        np.abs(estimated(bins, bins.share, np.random.default_rng(seed)) - bins.share).sum() / 2 for seed in range(40)
    ]
    raw = SIGMA / UNITS * 0.4 * 9  # total variation distance of the noisy table itself
    assert np.mean(apart) < raw / 2


@pytest.mark.parametrize(("ordered", "cyclic"), [(True, False), (True, True), (False, False)])
def test_without_noise_any_profile_is_found(ordered, cyclic):
    rng = np.random.default_rng(0)
    shares = look(np.append(rng.dirichlet(np.ones(7)), 0.01), ordered=ordered, cyclic=cyclic)
    truth = rng.dirichlet(np.ones(8))
    assert estimated(shares, truth, rng, sigma=0.01) == pytest.approx(truth, abs=0.01)


def test_missing_values_can_be_what_is_rare():
    shares = look(np.array([0.5, 0.48, 0.02]), ordered=False)
    found = [estimated(shares, np.array([0.1, 0.1, 0.8]), np.random.default_rng(seed))[2] for seed in range(20)]
    assert 0.6 < np.mean(found) < 0.95


def test_within_a_group_codes_keep_their_shares():
    group = np.array([0, 0, 1, 1, 2])
    one = Look(group, np.array([0.1, 0.3, 0.2, 0.39, 0.01]), True, False, 1.0)
    found = estimate_profile([one], [np.array([80.0, 20.0, 0.0])], [0.01])[0]
    assert found[1] / found[0] == pytest.approx(3)
    assert found[:2].sum() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e3])
def test_every_table_has_a_profile(sigma):
    rng = np.random.default_rng(1)
    for size in (1, 2, 3, 12):
        one = look(np.append(np.full(size - 1, 1.0), 1e-9), ordered=size % 2 > 0)
        found = estimate_profile([one], [sigma * rng.standard_normal(size) - 5], [sigma])[0]
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("known", [1, 4, 9, 40, 300])
def test_groups_of_neighbours_are_runs_and_light_codes_have_more_of_them(known):
    share = np.append(np.random.default_rng(known).dirichlet(np.full(known, 0.3)), 0.0)
    group = neighbours(share, at_most=8)
    assert set(np.diff(group).tolist()) <= {0, 1}
    assert (group == group[-1]).sum() == 1
    assert group.max() <= max(8, 1)
    heavy = np.append(np.repeat([0.02, 0.001], 20), 0.0)
    assert len(set(neighbours(heavy, at_most=8)[20:40].tolist())) > 8 * 0.001 / 0.021


@pytest.mark.parametrize("known", [1, 64, 300])
def test_groups_by_rareness_ascend(known):
    share = np.append(np.random.default_rng(known).dirichlet(np.full(known, 0.3)), 0.0)
    group = by_rareness(share, ordered=False, at_most=MOST_CATEGORIES)
    assert set(group.tolist()) == set(range(group.max() + 1))
    assert (group == group[-1]).sum() == 1
    if known > MOST_CATEGORIES:
        assert group.max() <= TAIL_GROUPS
        assert (np.diff(group[np.argsort(share[:-1])]) >= 0).all()


def test_attributes_are_counted_by_what_they_are():
    data = rare_log.log_of(k=20)
    kinds = (
        Attribute("amount", 41, False, True),
        Attribute("clock", 41, False, True, cyclic=True),
        Attribute("ending", 9, False, False, detail=True),
        Attribute("rows", 5, False, True),
    )
    data = replace(data, attributes=kinds, rows_per_unit=RowsPerUnit(((1, 1), (2, 20)), (0.5, 0.5), 20))
    looks = [look_of(data, a, np.append(np.full(kind.size - 1, 1.0), 0) / kind.size) for a, kind in enumerate(kinds)]
    assert [one.size for one in looks] == [MOST_NEIGHBOURS + 1, MOST_OF_CYCLE + 1, 9, 5]
    assert [one.weight for one in looks] == [1.0, 1.0, DETAIL_WEIGHT, DETAIL_WEIGHT]
    assert [one.cyclic for one in looks] == [False, True, False, False]
