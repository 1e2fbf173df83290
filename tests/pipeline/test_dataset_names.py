"""The name under which the ledger keeps a budget, where nobody gives one: that of the file, however it is read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from privsynth.pipeline.config import stem


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("data/stays.csv.gz", "stays"), (Path("stays.parquet"), "stays"), ("hospital/", "hospital"),
        ("delta:lake/stays", "stays"), ("delta:lake/stays?version=3", "stays"), ("delta:stays", "delta:stays"),
        ("iso8583:c/auth.dat?format=bcd&spec=a/b.json", "auth"), ("parquet:lake/2024-*.parquet", ""),
        ("parquet:lake/year=202[34]/*.parquet", ""), ("kafka://b:1/t", ""), ("postgresql://db/x", ""),
        (pd.DataFrame(), ""),
    ],
)  # fmt: skip
def test_names_of_datasets(source, name):
    assert stem(source) == name
