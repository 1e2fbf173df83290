"""`PrivateRows`: the private rows of a table in parts, counted part by part.

Whatever is learned is learned from sums: a pure function counts the rows of one part in whole numbers, and those of all
parts are added. So neither the number of parts, nor their order, nor who counts them changes a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.executors.protocol import Executor
from privsynth.partitions.part import (
    ExchangedPart,
    HeldPart,
    RowsPart,
    SpilledPart,
    ZippedPart,
    write_batches,
    write_part,
)
from privsynth.partitions.sums import added

S = TypeVar("S")


@dataclass(frozen=True)
class ScratchFolder:
    """A private folder for parts that are made on the way; where tasks run elsewhere, they must reach it too."""

    folder: Path

    def new_folder(self) -> Path:
        """Make a folder (0700) for parts of one kind, and return it."""
        numbers = (self.folder / f"parts-{n:04d}" for n in count())
        made = next(folder for folder in numbers if not folder.exists())
        made.mkdir(mode=0o700)
        return made

    def files(self, parts: int) -> list[Path]:
        """Return names of so many files in a new folder."""
        folder = self.new_folder()
        return [folder / f"{at:06d}.arrow" for at in range(parts)]


@dataclass(frozen=True, repr=False)
class PrivateRows:
    """Private rows in parts.

    Attributes:
      parts: at least one, so that an empty table has columns too.
      schema: of every part.
      executor: what runs tasks.
      scratch: where parts are written that are made of these; None if they stay in memory.
    """

    parts: tuple[RowsPart, ...]
    schema: pa.Schema
    executor: Executor
    scratch: ScratchFolder | None = None

    @classmethod
    def held(cls, rows: pa.Table) -> PrivateRows:
        """Return rows in memory, as one part."""
        return cls((HeldPart(rows),), rows.schema, InlineExecutor())

    def add_up(self, count: Callable[[pa.Table], S], columns: Sequence[str] | None = None) -> S:
        """Return the sum over parts of what a function counts in each.

        Args:
          count: rows -> whole numbers, as `sums.added` takes them; picklable, and a pure function of the rows.
          columns: those that it needs; all if None.
        """
        return reduce(added, self.executor.map(partial(_worked, count, columns), self.parts))

    def derive(
        self, make: Callable[[pa.Table], pa.Table], schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> PrivateRows:
        """Return the rows that a function makes of each part, in the order of the parts.

        Args:
          make: rows -> rows; picklable, and a pure function of the rows.
          schema: of what it returns.
          columns: those that it needs; all if None.
        """
        if self.scratch is None:
            held = self.executor.map(partial(_worked, make, columns), self.parts)
            return replace(self, parts=tuple(HeldPart(rows) for rows in held), schema=schema)
        tasks = list(zip(self.parts, self.scratch.files(len(self.parts)), strict=True))
        written = tuple(self.executor.map(partial(_written, make, columns), tasks))
        return replace(self, parts=written, schema=schema)

    def beside(self, more: Iterable[pa.Table], schema: pa.Schema) -> PrivateRows:
        """Return the rows with more columns, one table of as many rows for each part, made in this process."""
        if self.scratch is None:
            others: list[RowsPart] = [HeldPart(rows) for rows in more]
        else:
            files = self.scratch.files(len(self.parts))
            others = [write_part(rows, path) for rows, path in zip(more, files, strict=True)]
        parts = tuple(ZippedPart(part, other) for part, other in zip(self.parts, others, strict=True))
        return replace(self, parts=parts, schema=pa.schema([*self.schema, *schema]))

    def exchange(self, words: Callable[[pa.Table], np.ndarray], columns: Sequence[str]) -> PrivateRows:
        """Return the same rows so that those with equal words lie in one part, in the order that they have.

        Each part is written in as many batches as there are parts, by the words of its rows, and each new part is the
        same batch of all files.

        Args:
          words: rows -> (n,) uint64; picklable.
          columns: those that it needs.
        """
        if len(self.parts) == 1:
            return self
        if self.scratch is None:
            raise ValueError("rows in several parts are exchanged through files")
        buckets = len(self.parts)
        tasks = list(zip(self.parts, self.scratch.files(buckets), strict=True))
        files = tuple(self.executor.map(partial(_in_buckets, words, columns, buckets), tasks))
        return replace(self, parts=tuple(ExchangedPart(files, at) for at in range(buckets)))

    def n_rows(self) -> int:
        """Return how many rows there are. Private."""
        first = self.schema.names[:1]
        return sum(part.num_rows for part in self.load(first))

    def load(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of each part, in this process. Private."""
        return (part.load(columns) for part in self.parts)

    def __repr__(self) -> str:
        return f"PrivateRows({len(self.parts)} parts)"


def _worked(work: Callable[[pa.Table], S], columns: Sequence[str] | None, part: RowsPart) -> S:
    return work(part.load(columns))


def _written(
    make: Callable[[pa.Table], pa.Table], columns: Sequence[str] | None, task: tuple[RowsPart, Path]
) -> SpilledPart:
    part, path = task
    return write_part(make(part.load(columns)), path)


def _in_buckets(
    words: Callable[[pa.Table], np.ndarray], columns: Sequence[str], buckets: int, task: tuple[RowsPart, Path]
) -> Path:
    part, path = task
    rows = part.load()
    bucket = bucket_of(words(rows.select(list(columns))), buckets)
    order = np.argsort(bucket, kind="stable")
    ends = np.searchsorted(bucket[order], np.arange(buckets), side="right")
    starts = [0, *ends[:-1].tolist()]
    taken = (rows.take(pa.array(order[a:b])) for a, b in zip(starts, ends.tolist(), strict=True))
    write_batches(taken, rows.schema, path)
    return path


def bucket_of(words: np.ndarray, buckets: int) -> np.ndarray:
    """Return (n,) in which of some buckets each row belongs, by (n,) uint64 words that are equal where keys are."""
    with np.errstate(over="ignore"):
        mixed = (words ^ (words >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)  # of MurmurHash3's finaliser
    found: np.ndarray = ((mixed >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64)
    return found
