"""A part of a table: some rows, in memory or in private files that every worker can read."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa


class RowsPart(Protocol):
    """Where some rows of a table are. Private; small enough to be sent to a worker, unless the rows are in memory."""

    def load(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, or some columns of them."""
        ...


@dataclass(frozen=True, repr=False)
class HeldPart:
    """Rows in the memory of this process."""

    rows: pa.Table

    def load(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, or some columns of them."""
        return self.rows if columns is None else self.rows.select(list(columns))


@dataclass(frozen=True, repr=False)
class SpilledPart:
    """Rows in a private Arrow file (IPC), of which a worker maps the pages that it needs."""

    path: Path

    def load(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, or some columns of them; their buffers are pages of the file."""
        with pa.memory_map(str(self.path)) as file:
            table = pa.ipc.open_file(file).read_all()
        return table if columns is None else table.select(list(columns))


@dataclass(frozen=True, repr=False)
class ExchangedPart:
    """The same batch of several private files, one after the other (see `PrivateRows.exchange`)."""

    paths: tuple[Path, ...]
    batch: int

    def load(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, or some columns of them."""
        batches = []
        for path in self.paths:
            with pa.memory_map(str(path)) as file:
                batches.append(pa.ipc.open_file(file).get_batch(self.batch))
        table = pa.Table.from_batches(batches)
        return table if columns is None else table.select(list(columns))


@dataclass(frozen=True, repr=False)
class ZippedPart:
    """Rows of one part with the columns of another beside them."""

    part: RowsPart
    other: RowsPart

    def load(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows, or some columns of them."""
        table = self.part.load()
        for name, column in zip((other := self.other.load()).column_names, other.columns, strict=True):
            table = table.append_column(name, column)
        return table if columns is None else table.select(list(columns))


def write_part(rows: pa.Table, path: Path) -> SpilledPart:
    """Write rows to a private file (0600) and return where they are (see `write_batches`)."""
    write_batches([rows], rows.schema, path)
    return SpilledPart(path)


def write_batches(tables: Iterable[pa.Table], schema: pa.Schema, path: Path) -> None:
    """Write tables to a private file (0600), each as one batch.

    The file appears whole or not at all, so that a task may be killed, run again, or run twice at the same time: what
    it writes is the same.

    Raises:
      OSError: it cannot be written.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for rows in tables:
                writer.write_batch(_one_batch(rows))
        beside.replace(path)
    except pa.ArrowException:  # so Arrow tells of a full disk, at times
        beside.unlink(missing_ok=True)
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    batches = _batches_of(rows.combine_chunks())
    if len(batches) > 1:  # texts of 2 GB and more; whoever reads a table ends a part before
        raise ValueError("the rows of a part do not fit into one batch")
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=rows.schema)


def _batches_of(rows: pa.Table) -> list[pa.RecordBatch]:
    found: list[pa.RecordBatch] = rows.to_batches()
    return found
