"""Of a long table the officer's audit gets a sample of units, and says so."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import privsynth
from privsynth.domain.bounding import divide
from privsynth.partitions.marks import POOL, ROW, SIDE, TRAINING, UNIT, values
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.audits import officer_audit
from privsynth.pipeline.audits.officer_audit import pool_sizes, sampled
from privsynth.pipeline.learning.request import Private
from privsynth.randomness import KeyedFunction


def divided(units: int, each: int) -> PrivateRows:
    names = np.repeat(np.arange(units), each)
    data = pa.table({"person": names.astype(str), "value": np.arange(len(names))})
    return divide(
        PrivateRows.held(data), unit="person", max_rows_per_unit=each, holdout_fraction=0.25, keyed=KeyedFunction()
    )


def test_units_are_drawn_whole_and_about_as_many_as_are_wanted():
    """400 of 2,000 units, each with probability 1/5: six standard deviations are 107."""
    part = sampled(divided(2_000, 3), 1_200)
    assert set(Counter(part.column("person").to_pylist()).values()) == {3}
    assert abs(part.num_rows - 1_200) < 3 * 107
    assert values(part, ROW).tolist() == sorted(values(part, ROW).tolist())


def test_membership_of_the_drawn_pool_stays_a_fair_coin():
    """Of about 1,000 units of the pool; six standard deviations are 95."""
    part = sampled(divided(20_000, 1), 2_000)
    side = values(part, SIDE)[values(part, POOL)]
    assert abs((side == TRAINING).sum() - len(side) / 2) < 95


def test_a_table_that_is_not_long_is_taken_whole():
    rows = divided(50, 2)
    part = sampled(rows, 100)
    assert part.num_rows == 100
    sizes = pool_sizes(Private(rows=rows))
    assert sum(sizes.values()) == len(np.unique(values(part, UNIT))) == 50


@pytest.mark.parametrize("most", [60, 10**6])
def test_the_officer_is_told(most, tmp_path, monkeypatch):
    monkeypatch.setattr(officer_audit, "AUDITED_ROWS", most)
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(0, 90, 300), "ward": rng.choice(["a", "b"], 300)})
    privsynth.synthesize(
        frame, epsilon=5, unit="row", dataset="d", out=tmp_path / "out", audit="quick", rows=100, anyway=True
    )
    told = json.loads((tmp_path / "out" / "officer" / "report.json").read_text(encoding="utf-8"))
    assert ("whole units drawn at random, stands for all" in json.dumps(told)) == (most == 60)
