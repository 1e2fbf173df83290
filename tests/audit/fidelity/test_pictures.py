"""What pictures of columns and pairs show: counts of the rows, by hand and against a naive count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.fidelity.pictures import BINS, MOST_PAIRS, OTHERS, DrawnColumns, with_pictures
from privsynth.findings.finding import Finding

NOBODY = pd.Timestamp("NaT")


def drawn(real: dict[str, list], synthetic: dict[str, list], **kinds: str) -> DrawnColumns:
    return DrawnColumns(pd.DataFrame(real), pd.DataFrame(synthetic), kinds)


def finding(name: str, group: str, visibility: str = "officer") -> Finding:
    return Finding(
        family="fidelity", name=name, group=group, value=0.1, visibility=visibility, meaning="M.", detail={"kept": 1}
    )


def test_categories_come_by_how_much_they_differ_with_missing_cells_as_one():
    told = drawn({"ward": ["a", "a", "b", None]}, {"ward": ["a", "b", "b", "b"]}, ward="categorical").overlay("ward")
    assert told == {"labels": ["b", "a", "missing"], "real": [0.25, 0.5, 0.25], "synthetic": [0.75, 0.25, 0.0]}


def test_many_categories_end_with_the_rest_and_sum_to_one():
    rng = np.random.default_rng(1)
    real, own = ([f"c{i}" for i in rng.integers(0, 40, 500)] for _ in range(2))
    told = drawn({"x": real}, {"x": own}, x="categorical").overlay("x")
    assert told["labels"][-1] == OTHERS
    for part, cells in (("real", real), ("synthetic", own)):
        assert sum(told[part]) == pytest.approx(1, abs=1e-4)
        naive = [sum(cell == label for cell in cells) / 500 for label in told["labels"][:-1]]
        assert told[part][:-1] == pytest.approx(naive, abs=1e-6)


@pytest.mark.parametrize("kind", ["integer", "numeric", "datetime"])
def test_bins_hold_every_known_cell_and_rise(kind):
    rng = np.random.default_rng(2)
    values = rng.lognormal(3, 1, 400)
    cells = {"integer": np.rint(values), "numeric": values, "datetime": pd.to_datetime(values * 1e6, unit="s")}[kind]
    real = pd.Series(cells).copy()
    real.iloc[:40] = None if kind != "datetime" else NOBODY
    told = DrawnColumns(pd.DataFrame({"x": real}), pd.DataFrame({"x": cells}), {"x": kind}).overlay("x")
    assert np.all(np.diff(told["edges"]) > 0)
    assert len(told["labels"]) == len(told["edges"]) <= 2 * BINS + 2
    assert sum(told["real"]) == pytest.approx(0.9, abs=1e-4)
    assert sum(told["synthetic"]) == pytest.approx(1, abs=1e-4)
    assert "real 10.0 %, synthetic 0.0 %" in told["note"]


def test_a_number_of_one_value_is_told_as_a_category():
    told = drawn({"x": [1.0, 1.0]}, {"x": [1.0, np.nan]}, x="numeric").overlay("x")
    assert told["labels"] == ["1", "missing"]


def test_a_pair_counts_rows_of_both_tables():
    real = {"sex": ["F", "F", "M", "M"], "ward": ["o", "o", "s", "o"]}
    own = {"sex": ["F", "M", "M", "M"], "ward": ["o", "o", "o", "s"]}
    told = drawn(real, own, sex="categorical", ward="categorical").pair("sex", "ward")
    assert told["rows"] == ["F", "M"]
    assert told["columns"] == ["o", "s"]
    assert told["real"] == [[0.5, 0.0], [0.25, 0.25]]
    assert told["synthetic"] == [[0.25, 0.0], [0.5, 0.25]]


def test_numbers_of_a_pair_are_grouped_and_sum_to_one():
    rng = np.random.default_rng(3)
    age, ward = rng.integers(0, 90, 600).astype(float), rng.choice(list("abcdefghijkl"), 600)
    frame = pd.DataFrame({"age": age, "ward": ward})
    frame.loc[:9, "age"] = np.nan
    told = DrawnColumns(frame, frame, {"age": "integer", "ward": "categorical"}).pair("age", "ward")
    assert told["rows"][-1] == "missing"
    assert told["columns"][-1] == OTHERS
    assert np.sum(told["real"]) == pytest.approx(1, abs=1e-4)
    assert told["real"] == told["synthetic"]
    assert np.sum(told["real"][-1]) == pytest.approx(10 / 600, abs=1e-4)


def test_the_worst_columns_and_pairs_have_pictures_and_public_findings_never():
    names = [f"c{i}" for i in range(6)]
    frame = pd.DataFrame([["a"] * 6, ["b"] * 6], columns=names)
    pairs = [f"t: {a} × {b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    findings = [finding("tvd_2way", pair) for pair in pairs]
    findings += [finding("tvd_1way", "t: c0"), finding("tvd_1way", "t: c1", "public"), finding("other", "t: c0")]
    found = with_pictures(findings, DrawnColumns(frame, frame, {}), table="t")
    assert [("pair" in f.detail) for f in found[: len(pairs)]] == [i < MOST_PAIRS for i in range(len(pairs))]
    assert [sorted(f.detail) for f in found[len(pairs) :]] == [["kept", "overlay"], ["kept"], ["kept"]]
