"""A long table is read into parts, whatever its batches, and no row is lost."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest

from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.part import write_part
from privsynth.pipeline.reading import parts as reading
from privsynth.workspace import Workspace

SCHEMA = pa.schema([("text", pa.string())])


@dataclass
class Batches:
    """A source of texts in batches of some sizes."""

    sizes: tuple[int, ...]
    label = "a table"
    names = ("text",)
    arrow_schema = SCHEMA

    def batches(self, _skipped):
        for size in self.sizes:
            yield pa.record_batch([pa.array([f"{at:08d}" for at in range(size)])], schema=SCHEMA)


@pytest.mark.parametrize("sizes", [(), (0,), (3, 0, 4), (25,), (1,) * 30, (0, 10, 0, 10, 0), (7, 19, 2, 30)])
@pytest.mark.parametrize(("rows", "size"), [(10, 1 << 30), (1_000, 120), (10, 60)])
def test_rows_are_all_there_in_their_order(sizes, rows, size, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "rows_of_part", lambda _: rows)
    monkeypatch.setattr(reading, "MOST_BYTES", size)
    source = Batches(sizes)
    with Workspace(tmp_path) as workspace:
        found, _ = reading.read_rows(source, workspace, InlineExecutor())
        texts = [part.column("text").to_pylist() for part in found.load()]
    assert [text for part in texts for text in part] == [f"{at:08d}" for n in sizes for at in range(n)]
    assert all(len(part) <= rows for part in texts)


def test_long_texts_make_parts_of_fewer_rows(tmp_path, monkeypatch):
    """A column of one Arrow batch holds 2 GB of texts: what is beyond would be another batch."""
    monkeypatch.setattr(reading, "MOST_BYTES", 120)  # 10 rows of 12 bytes
    with Workspace(tmp_path) as workspace:
        found, _ = reading.read_rows(Batches((4, 4, 4, 4)), workspace, InlineExecutor())
        assert [part.num_rows for part in found.load()] == [8, 8]


def test_rows_in_several_batches_are_refused_and_not_lost(tmp_path, monkeypatch):
    table = pa.table({"text": ["a", "b"]})
    monkeypatch.setattr(
        "privsynth.partitions.part._batches_of", lambda rows: [rows.to_batches()[0].slice(at, 1) for at in (0, 1)]
    )
    with pytest.raises(ValueError, match="one batch"):
        write_part(table, tmp_path / "part.arrow")
    assert not list(tmp_path.iterdir())
