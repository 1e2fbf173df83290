"""Reading a table into the private folder: as one part, or as many as keep memory small."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import TYPE_CHECKING

import pyarrow as pa

from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.executors.protocol import Executor
from privsynth.partitions.part import HeldPart, SpilledPart, write_part
from privsynth.partitions.rows import PrivateRows, ScratchFolder
from privsynth.sources.protocol import SkippedCells
from privsynth.sources.registry import Source, guarded_batches
from privsynth.workspace import Workspace, folder_error

if TYPE_CHECKING:
    from pathlib import Path

PART_CELLS = 1 << 23  # of a part (own): a worker holds some 100 MB of it at a time, as numbers and as codes
LEAST_ROWS, MOST_ROWS = 1 << 14, 1 << 19  # of a part, whatever its columns: below, what each task costs would show
MOST_BYTES = 1 << 30  # of a part: half of the texts that a column of one Arrow batch can hold (2 GB)


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
    first, all_there = _first(batches, most)
    if all_there:
        data = workspace.spill(iter(first), source.arrow_schema)
        return PrivateRows((HeldPart(data),), data.schema, InlineExecutor()), skipped
    scratch = ScratchFolder(workspace.folder)
    folder = scratch.new_folder()
    parts = tuple(_written(chain(first, batches), source.arrow_schema, most, folder))
    return PrivateRows(parts, source.arrow_schema, executor, scratch), skipped


def _first(batches: Iterator[pa.RecordBatch], most: int) -> tuple[list[pa.RecordBatch], bool]:
    """Return batches until they do not fit into one part of so many rows, or all; and whether they fit."""
    taken: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        taken.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows > most or size > MOST_BYTES:
            return taken, False
    return taken, True


def _written(batches: Iterator[pa.RecordBatch], schema: pa.Schema, most: int, folder: Path) -> Iterator[SpilledPart]:
    """Write rows to files of so many each, or fewer where texts are long, and yield these."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    paths = (folder / f"{number:06d}.arrow" for number in count())
    for batch in batches:
        left = batch
        while left.num_rows:
            piece = left.slice(0, most - rows)
            if rows and (not piece.num_rows or size + piece.nbytes > MOST_BYTES):
                yield _written_part(held, schema, next(paths))
                held, rows, size = [], 0, 0
                continue
            held.append(piece)
            rows, size = rows + piece.num_rows, size + piece.nbytes
            left = left.slice(piece.num_rows)
    if rows:
        yield _written_part(held, schema, next(paths))


def _written_part(held: list[pa.RecordBatch], schema: pa.Schema, path: Path) -> SpilledPart:
    try:
        return write_part(pa.Table.from_batches(held, schema), path)
    except OSError as error:
        raise folder_error(path.parent, error) from None
