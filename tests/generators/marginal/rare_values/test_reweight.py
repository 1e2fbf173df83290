"""A mixture tilted to one-way shares: it has them, and keeps what belongs together."""

from __future__ import annotations

import numpy as np
import pytest

from privsynth.generators.marginal.rare_values.reweight import reweighted

STARTS = np.array([0, 3, 6, 8])


def mixture(components: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blocks = [rng.dirichlet(np.full(size, 0.5), components) + 1e-7 for size in (3, 3, 2)]
    return np.concatenate([b / b.sum(axis=1, keepdims=True) for b in blocks], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_the_shares_are_those_that_were_asked_for(seed):
    profile = (np.array([0.7, 0.2, 0.1]), np.array([0.05, 0.15, 0.8]), np.array([0.0, 1.0]))
    found = reweighted(mixture(400, seed), STARTS, profile, [2], 2_000)
    assert found.dtype == np.float32
    assert np.allclose(found[:, :3].sum(axis=1), 1, atol=1e-5)
    assert found[:, :3].mean(axis=0) == pytest.approx(profile[0], abs=0.02)
    assert found[:, 3:6].mean(axis=0) == pytest.approx(profile[1], abs=0.02)
    assert (found[:, 6:] == [0.0, 1.0]).all()


def test_codes_that_go_together_still_do():
    eye = np.eye(3, dtype=np.float32) * 0.98 + 0.01
    eye /= eye.sum(axis=1, keepdims=True)
    p = np.concatenate([eye, eye, np.full((3, 2), 0.5, np.float32)], axis=1)
    wanted = np.array([0.1, 0.3, 0.6])
    found = reweighted(np.tile(p, (50, 1)), STARTS, (wanted, wanted, np.array([1.0, 0.0])), [2], 600).astype(float)
    pairs = found[:, :3].T @ found[:, 3:6] / len(found)
    assert np.trace(pairs) > 0.9  # independent: 0.46
    assert pairs.sum(axis=1) == pytest.approx(wanted, abs=0.04)


def test_what_is_like_all_rows_stays_as_it_is():
    p = mixture(300, 9)
    found = reweighted(p, STARTS, (p[:, :3].mean(axis=0), p[:, 3:6].mean(axis=0), np.array([0.5, 0.5])), [2], 300)
    assert np.allclose(found[:, :6], p[:, :6], atol=1e-3)


@pytest.mark.parametrize("count", [3, 12])
def test_few_components_have_the_shares_too(count):
    profile = (np.array([0.7, 0.2, 0.1]), np.array([0.05, 0.15, 0.8]), np.array([0.0, 1.0]))
    found = reweighted(mixture(400, 7), STARTS, profile, [2], count)
    assert found[:, :3].mean(axis=0) == pytest.approx(profile[0], abs=0.005)
    assert found[:, 3:6].mean(axis=0) == pytest.approx(profile[1], abs=0.005)


def test_what_the_mixture_never_has_cannot_be_had():
    p = np.tile(np.array([1, 0, 0, 0.5, 0.5, 0, 0.5, 0.5], np.float32), (5, 1))
    found = reweighted(p, STARTS, (np.array([0.5, 0.5, 0.0]), np.array([0.2, 0.8, 0.0]), np.array([1.0, 0.0])), [2], 4)
    assert np.isfinite(found).all()
    assert found[:, 3:5].mean(axis=0) == pytest.approx([0.2, 0.8], abs=1e-3)
