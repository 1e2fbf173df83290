"""Public pictures: released tables beside synthetic rows, and nothing else."""

from __future__ import annotations

import inspect
from itertools import pairwise

import numpy as np
import pytest

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import CategoryCodec, NumberCodec
from privsynth.codecs.contingency import full_marginal
from privsynth.codecs.table import TableCodec
from privsynth.findings.finding import Finding
from privsynth.generators.marginal.measure import Measurement
from privsynth.pipeline.learning.paid_pictures import BINS, MOST_CATEGORIES, with_paid_tables
from privsynth.report.charts.matrices import Pair, tiles
from privsynth.report.charts.overlays import OTHERS, Overlay, overlay

LOWS = np.array([0, 10, 11, 40, 90])
AGES = Bins(LOWS, LOWS, np.array([9, 10, 39, 89, 120]), np.ones(5))
CODEC = TableCodec(
    (
        CategoryCodec("ward", tuple(f"w{i:02}" for i in range(20)), other=False, nullable=True),
        NumberCodec("age", AGES, 1.0, nullable=True, integer=True),
    )
)
SIZES = [attribute.size for attribute in CODEC.attributes]


def finding(name: str, group: str = "", visibility: str = "public") -> Finding:
    return Finding(family="fidelity", name=name, group=group, value=0.1, visibility=visibility, meaning="M.")


FINDINGS = [finding("tvd_1way", "ward"), finding("tvd_1way", "age"), finding("tvd_2way_mean")]


def synthetic(n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(4)
    return np.stack([rng.integers(0, size, n) for size in SIZES])


def released(attributes: tuple[int, ...], sigma: float = 3.0) -> Measurement:
    rng = np.random.default_rng(5)
    marginal = full_marginal(SIZES, attributes)
    counts = rng.integers(0, 60, [SIZES[a] for a in attributes]) + np.rint(rng.normal(0, sigma))
    return Measurement(marginal, counts.astype(np.float64), sigma)


ALL = [released((0,)), released((1,)), released((0, 1))]


def test_pictures_have_no_private_argument_and_no_randomness():
    """Two neighbouring tables with the same released counts give one picture: there is nothing else to tell them by."""
    assert list(inspect.signature(with_paid_tables).parameters) == ["findings", "measured", "synthetic", "codec"]
    one, other = (with_paid_tables(FINDINGS, ALL, synthetic(), CODEC) for _ in range(2))
    assert [f.to_json() for f in one] == [f.to_json() for f in other]


def test_shares_are_released_counts_over_their_sum_with_their_noise():
    ward, *_ = with_paid_tables(FINDINGS, ALL, synthetic(), CODEC)
    told = ward.detail["overlay"]
    counts, own = ALL[0].counts, np.bincount(synthetic()[0], minlength=21) / 500
    assert told["labels"][-1] == OTHERS
    assert len(told["labels"]) == MOST_CATEGORIES + 1
    names = [*(f"w{i:02}" for i in range(20)), "missing"]
    for label, real, sd, fake in zip(*(told[k][:-1] for k in ("labels", "real", "sd", "synthetic")), strict=True):
        at = names.index(label)
        assert real == pytest.approx(counts[at] / counts.sum(), abs=1e-6)
        assert sd == pytest.approx(3 / counts.sum(), abs=1e-6)
        assert fake == pytest.approx(own[at], abs=1e-6)
    assert sum(told["real"]) == pytest.approx(1, abs=1e-4)
    rest = len(names) - MOST_CATEGORIES
    assert told["sd"][-1] == pytest.approx(3 * rest**0.5 / counts.sum(), abs=1e-6)


def test_bins_of_a_number_are_joined_where_they_are_narrow():
    _, age, _ = with_paid_tables(FINDINGS, ALL, synthetic(), CODEC)
    told = age.detail["overlay"]
    assert told["edges"] == sorted(set(told["edges"]))
    widths = np.diff(told["edges"])
    assert (widths[:-1] >= (told["edges"][-1] - told["edges"][0]) / BINS).all()
    known = 1 - ALL[1].counts[-1] / ALL[1].counts.sum()
    assert sum(told["real"]) == pytest.approx(known, abs=1e-4)
    assert "(noisy)" in told["note"]


def test_a_pair_that_was_bought_is_shown_and_all_of_it():
    *_, mean = with_paid_tables(FINDINGS, ALL, synthetic(), CODEC)
    (told,) = mean.detail["paid_pairs"]
    assert told["name"] == "ward × age"
    for part in ("real", "synthetic"):
        assert np.sum(told["pair"][part]) == pytest.approx(1, abs=1e-3)
    assert told["pair"]["rows"][-1] == OTHERS
    assert told["pair"]["columns"][-1] == "missing"


def test_what_is_noise_alone_and_what_the_officer_alone_sees_has_no_picture():
    drowned = [released((0,), sigma=1e6), released((1,), sigma=np.inf)]
    exact = [finding("tvd_1way", "ward", "officer")]
    for findings, measured in ((FINDINGS, drowned), (exact, ALL), (FINDINGS, [])):
        assert all(not f.detail for f in with_paid_tables(findings, measured, synthetic(), CODEC))


def test_details_can_be_drawn():
    ward, age, mean = with_paid_tables(FINDINGS, ALL, synthetic(), CODEC)
    for told in (ward, age):
        assert "real, noisy" in overlay(Overlay(title="t", **told.detail["overlay"]))
    assert "<rect" in tiles(Pair(title="t", **mean.detail["paid_pairs"][0]["pair"]))


def test_a_number_without_a_synthetic_value_has_a_picture_all_the_same():
    rows = synthetic()
    rows[1] = SIZES[1] - 1
    told = with_paid_tables(FINDINGS, ALL, rows, CODEC)[1].detail["overlay"]
    assert all(b > a for a, b in pairwise(told["edges"]))
    assert sum(told["synthetic"]) == 0
