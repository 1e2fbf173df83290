"""Reading a table into the private folder: as one part, or as many as keep memory small."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.executors.protocol import Executor
from privsynth.partitions.part import HeldPart, SpilledPart, write_batches
from privsynth.partitions.rows import PrivateRows, ScratchFolder
from privsynth.sources.protocol import SkippedCells
from privsynth.sources.registry import Source, guarded_batches
from privsynth.workspace import Workspace, folder_error

if TYPE_CHECKING:
    from pathlib import Path

PART_CELLS = 1 << 23  # of a part (own): a worker holds some 100 MB of it at a time, as numbers and as codes
LEAST_ROWS, MOST_ROWS = 1 << 14, 1 << 19  # of a part, whatever its columns: below, what each task costs would show


def rows_of_part(columns: int) -> int:
    """Return how many rows a part of a table with so many columns has."""
    return min(max(PART_CELLS // max(columns, 1), LEAST_ROWS), MOST_ROWS)


def read_rows(source: Source, workspace: Workspace, executor: Executor) -> tuple[PrivateRows, SkippedCells]:
    """Read all rows into the private folder; there may be none.

    A table that fits into one part is counted in this process, whatever executor there is.

    Guarantee: none; the rows are the private input. The counts are for the officer only.
    Raises:
      SourceError: the container is damaged on the way.
      OutputError: the disk is full.
    """
    skipped, most = SkippedCells(), rows_of_part(len(source.names))
    batches = guarded_batches(source, skipped)
    first = _until(batches, most + 1)
    if sum(batch.num_rows for batch in first) <= most:
        data = workspace.spill(iter(first), source.arrow_schema)
        return PrivateRows((HeldPart(data),), data.schema, InlineExecutor()), skipped
    scratch = ScratchFolder(workspace.folder)
    folder = scratch.new_folder()
    parts = tuple(_written(chain(first, batches), source.arrow_schema, most, folder))
    return PrivateRows(parts, source.arrow_schema, executor, scratch), skipped


def _until(batches: Iterator[pa.RecordBatch], rows: int) -> list[pa.RecordBatch]:
    """Return batches that have so many rows together, or all there are."""
    taken, n = [], 0
    for batch in batches:
        taken.append(batch)
        n += batch.num_rows
        if n >= rows:
            break
    return taken


def _written(batches: Iterator[pa.RecordBatch], schema: pa.Schema, most: int, folder: Path) -> Iterator[SpilledPart]:
    """Write rows to files of so many each, and yield these."""
    held: list[pa.RecordBatch] = []
    rows = number = 0

    def write() -> SpilledPart:
        path = folder / f"{number:06d}.arrow"
        try:
            write_batches([pa.Table.from_batches(held, schema)], schema, path)
        except OSError as error:
            raise folder_error(folder, error) from None
        return SpilledPart(path)

    for batch in batches:
        while rows + batch.num_rows > most:
            taken = most - rows
            held.append(batch.slice(0, taken))
            yield write()
            held, rows, number = [], 0, number + 1
            batch = batch.slice(taken)
        held.append(batch)
        rows += batch.num_rows
    if rows:
        yield write()
