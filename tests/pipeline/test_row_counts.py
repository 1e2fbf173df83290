"""The released number of rows is right on average, also where noise drowns the holdout; `plan` says the noise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pipeline.admissions import run, write

from privsynth.pipeline.learning.row_counts import CountNoise

RUNS = 20_000


def simulated(n_rows: int, noise: CountNoise, k: int = 1) -> np.ndarray:
    """Return estimates of the number of rows, over divisions and noise: units of `k` rows each."""
    rng = np.random.default_rng(11)
    held = k * rng.binomial(n_rows // k, noise.holdout_fraction, RUNS)
    counts = np.stack([n_rows - held, held]) + rng.normal(0, noise.sigma, (2, RUNS))
    return np.array([noise.total(train, holdout) for train, holdout in counts.T])


@pytest.mark.parametrize(
    ("n_rows", "sigma", "k"), [(300, 60.0, 1), (1_000, 60.0, 1), (4_000, 600.0, 10), (500, 0.5, 1)]
)
def test_the_number_of_rows_is_right_on_average(n_rows, sigma, k):
    """The mean of 20,000 runs is within 4.5 standard errors: a right estimate fails once in 150,000."""
    noise = CountNoise(sigma=sigma, holdout_fraction=0.1, rows_per_unit=k)
    found = simulated(n_rows, noise, k)
    assert abs(found.mean() - n_rows) < 4.5 * noise.total_sigma(n_rows) / np.sqrt(RUNS)
    assert found.std() == pytest.approx(noise.total_sigma(n_rows), rel=0.05)
    assert found.std() < 1.01 * np.hypot(sigma, sigma)  # of the plain sum


def test_a_holdout_cut_at_nothing_would_add_rows():
    """What was done before: a tenth of 300 rows under noise of 60 rows."""
    rng = np.random.default_rng(11)
    cut = np.maximum(rng.normal(270, 60, RUNS), 0) + np.maximum(rng.normal(30, 60, RUNS), 0)
    assert cut.mean() > 310


@pytest.mark.parametrize(("fraction", "counts", "total"), [(0.0, (100.0, 7.0), 100.0), (0.5, (40.0, 60.0), 100.0)])
def test_without_a_holdout_and_with_two_halves(fraction, counts, total):
    noise = CountNoise(sigma=5.0, holdout_fraction=fraction, rows_per_unit=1)
    assert noise.total(*counts) == pytest.approx(total)


def test_there_is_always_a_row():
    assert CountNoise(sigma=50.0, holdout_fraction=0.1, rows_per_unit=1).total(-80.0, -90.0) == 1.0
    assert CountNoise(sigma=0.0, holdout_fraction=0.1, rows_per_unit=1).total(9.0, 1.0) == 10.0


def test_a_plan_says_the_noise_of_the_number_of_rows(tmp_path):
    source = write(tmp_path, "t.csv", "a,b\n1,x\n")
    args = ("plan", source, "--unit", "row", "--epsilon", 1, "--expect-rows", 1_000)
    noise = json.loads(run(*args, "--json").stdout)["rows_noise"]
    assert 50 < noise < 120
    assert f"The number of rows itself is released with noise of about {noise:.0f} rows" in run(*args).stdout


def test_a_plan_of_a_declared_number_of_rows_has_none(tmp_path):
    source = write(tmp_path, "t.csv", "a,b\n1,x\n")
    schema = write(tmp_path, "s.yaml", {"rows": 1_000})
    args = ("plan", source, "--unit", "row", "--epsilon", 1, "--schema", schema)
    assert json.loads(run(*args, "--json").stdout)["rows_noise"] == 0
    assert "number of rows itself" not in run(*args).stdout
