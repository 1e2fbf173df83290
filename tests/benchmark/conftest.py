"""A small table with a target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


def admissions(n: int = 300, *, seed: int = 20261123) -> pd.DataFrame:
    """Return rows whose target depends on a laboratory value and the ward; some cells are empty."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(["ICU", "ER", "surgery"], n, p=[0.2, 0.5, 0.3])
    lab = np.round(rng.lognormal(0, 0.5, n), 2)
    chance = 1 / (1 + np.exp(-3 * (lab - 1 + 0.5 * (ward == "ICU"))))
    frame = pd.DataFrame({"age": rng.integers(18, 90, n), "ward": ward, "lab": lab})
    frame["back"] = np.where(rng.random(n) < chance, "yes", "no")
    frame.loc[rng.random(n) < 0.05, "lab"] = np.nan
    frame.loc[rng.random(n) < 0.03, "ward"] = None
    return frame


@pytest.fixture
def table(tmp_path):
    """Return the path of `admissions` as CSV."""
    path = tmp_path / "admissions.csv"
    admissions().to_csv(path, index=False)
    return path
