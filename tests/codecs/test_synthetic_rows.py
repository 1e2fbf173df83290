"""A long synthetic table in parts: the same table as in one piece, in few bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import DAY, CategoryCodec, NumberCodec, SurrogateCodec, TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.release.folder import write_rows

LINE = Bins.from_json({"lows": [0], "seg_low": [0], "seg_high": [9], "seg_weight": [1.0]})
CODEC = TableCodec(
    (
        SurrogateCodec("id"),
        CategoryCodec("many", tuple(f"text {i}" for i in range(300)), True, True),
        CategoryCodec("two", ("no", "yes"), False, False),
        NumberCodec("whole", LINE, 1.0, True, True),
        NumberCodec("cents", LINE, 0.01, True, False),
        TimeCodec("day", LINE, None, DAY, True, format="%d/%m/%Y"),
        TimeCodec("seen", LINE, LINE, 60, True),
    )
)


def part(n: int, rng: np.random.Generator, *, nulls: bool) -> DecodedRows:
    """Return n rows as wide as a decoder makes them."""
    size = {"many": 301, "two": 2}
    lines = {}
    for codec in CODEC.codecs[1:]:
        top = size.get(codec.name, 2**33)
        values = rng.integers(0 if codec.name in size else -top, top, n)
        if codec.name == "day":
            values = values // DAY * DAY
        null = (rng.random(n) < 0.2) & nulls & (codec.name != "two")
        lines[codec.name] = Decoded(values, null)
    return DecodedRows(lines, n)


@pytest.fixture
def parts() -> list[DecodedRows]:
    rng = np.random.default_rng(3)
    small = part(40, rng, nulls=False)
    for line in small.columns.values():  # this part needs fewer bytes than the others
        line.values[:] = np.where(line.values % 2 == 0, 0, 1) * (1 if line.values.max() < 301 else DAY)
    return [part(50, rng, nulls=True), small, part(7, rng, nulls=True)]


def joined(parts: list[DecodedRows]) -> pd.DataFrame:
    """Return the frame of the parts, not packed, with everything in one piece."""
    lines = {
        name: Decoded(
            np.concatenate([p.columns[name].values for p in parts]),
            np.concatenate([p.columns[name].null for p in parts]),
        )
        for name in parts[0].columns
    }
    return CODEC.frame(DecodedRows(lines, sum(p.n_rows for p in parts)))


def test_parts_and_columns_say_the_same_as_the_whole(parts):
    whole, rows = joined(parts), SyntheticRows(CODEC, [p.packed() for p in parts], 5)
    assert rows.n_rows == len(whole) == 97
    pd.testing.assert_frame_equal(rows.frame(), whole)
    pd.testing.assert_frame_equal(pd.concat(rows.frames(), ignore_index=True), whole)
    pd.testing.assert_frame_equal(rows.frame({"two", "day"}), whole[["two", "day"]])
    columns = dict(rows.columns())
    assert list(columns) == rows.names == ["many", "two", "whole", "cents", "day", "seen"]
    for name, column in columns.items():
        assert column.isna().equals(whole[name].isna())
        assert column.dropna().tolist() == whole[name].dropna().tolist()


def test_packed_cells_are_few_bytes_and_the_same_cells():
    wide = Decoded(np.array([0, 127, 5]), np.zeros(3, dtype=bool))
    assert wide.packed().values.dtype == np.int8
    for values in ([0, 128], [-129, 0], [2**31, -1], [-(2**62), 2**62], []):
        line = Decoded(np.array(values, dtype=np.int64), np.array([True] * len(values), dtype=bool))
        packed = line.packed()
        assert packed.values.tolist() == values
        assert packed.null.tolist() == line.null.tolist()
        assert np.issubdtype(packed.values.dtype, np.signedinteger)  # −1 stands for null on the way to a text
    assert Decoded(np.array([200]), np.array([False])).packed().null.strides == (0,)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_holds_the_rows_of_all_parts(parts, tmp_path, suffix):
    write_rows(SyntheticRows(CODEC, [p.packed() for p in parts], 5), tmp_path / f"parts.{suffix}")
    lines = {n: np.concatenate([p.columns[n].values for p in parts]) for n in parts[0].columns}
    nulls = {n: np.concatenate([p.columns[n].null for p in parts]) for n in parts[0].columns}
    one = DecodedRows({n: Decoded(lines[n], nulls[n]) for n in lines}, 97)
    write_rows(SyntheticRows(CODEC, [one], 5), tmp_path / f"one.{suffix}")
    if suffix == "csv":
        assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
        return
    several, single = (pq.ParquetFile(tmp_path / name) for name in ("parts.parquet", "one.parquet"))
    assert several.metadata.num_row_groups == 3
    assert several.read().equals(single.read())
    assert several.schema_arrow.field("many").type == pa.string()
    assert several.schema_arrow.field("day").type == pa.date32()
