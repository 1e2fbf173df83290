"""Origins and options that make no sense are refused with what to do, and nothing secret is repeated."""

from __future__ import annotations

import pytest

from privsynth.errors import ConfigError, SourceError
from privsynth.sources import SourceOptions, open_source


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("table.json", "one object a line"),
        ("table.sas7bdat", "pandas.read_sas"),
        ("table.dta", "pandas.read_stata"),
        ("table.zip", "unpack it"),
        ("table.gz", ".csv.gz"),
        ("table.xls", "save it as .xlsx"),
        ("-", "write it into a file"),
        ("part-*.csv", "join them into one"),
        (".", "is a folder without .csv"),
        ("https://x/a.csv", "opens no https:// URL"),
        ("s3://SECRET@bucket/a.parquet", "opens no s3:// URL"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(origin, advice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        open_source(origin)
    assert advice in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_an_object_of_another_type_is_refused():
    with pytest.raises(SourceError, match="a list cannot be read"):
        open_source([1, 2])


def test_an_option_that_means_nothing_to_the_source_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"sheet means nothing to a delimited text file \(\.csv\)"):
        open_source(tmp_path / "t.csv", SourceOptions(sheet="x"))
    with pytest.raises(ConfigError, match=r"delimiter means nothing to a database \(sqlite://\)"):
        open_source("sqlite:///t.db", SourceOptions(delimiter=";", table="t"))


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"table": "t", "query": "SELECT 1"},
        {"columns": ()},
        {"columns": ("a", "a")},
        {"batch_rows": 0},
        {"max_cell_chars": -1},
    ],
)
def test_absurd_options_are_refused(options):
    with pytest.raises(ConfigError):
        SourceOptions(**options)
