"""`Writing`: how a table is cut into files, each of which is a pure function of model, seed and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.codecs.columns import CategoryCodec
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.errors import ConfigError, Option, meant
from privsynth.progress import Progress
from privsynth.release.delimited import write_texts
from privsynth.release.label import Label
from privsynth.release.parquet import write_parquet
from privsynth.sampling import draw
from privsynth.sampling.draw import Order
from privsynth.sampling.synthetic_model import SyntheticModel

MAX_WORKERS = 64  # threads (own): the disk is the limit long before
MOST_VALUES = 10_000  # of a column by whose values rows are put into folders (own): each has a file a task
_NULL = "__HIVE_DEFAULT_PARTITION__"  # as Hive and Spark name the folder of rows without a value


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How the rows of one table are written.

    Attributes:
      suffix: "parquet" or "csv".
      rows_per_file: a multiple of the rows that are drawn at once; None takes these.
      partition_by: a column of categories, each of which gets a folder `column=value`; of Parquet only.
      resume: go on with what a stopped run has left, and leave what is finished if this one is stopped.
      workers: how many files are made at once; None takes the number of cores. The bytes do not depend on it.
    """

    suffix: str = "parquet"
    rows_per_file: int | None = None
    partition_by: str | None = None
    resume: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        _validate.whole_numbers(workers=self.workers, rows_per_file=self.rows_per_file)
        _validate.texts(partition_by=self.partition_by)
        _validate.flags(resume=self.resume)
        in_range(1, MAX_WORKERS, workers=1 if self.workers is None else self.workers)
        if self.rows_per_file is not None and (self.rows_per_file < 1 or self.rows_per_file % draw.PART_ROWS):
            raise ConfigError(
                Option("rows_per_file"),
                f" must be a multiple of {draw.PART_ROWS:,}, the rows that are drawn at once, not "
                f"{self.rows_per_file:,}",
            )
        if self.partition_by is not None and self.suffix != "parquet":
            raise ConfigError(
                "folders by ", Option("partition_by"), " hold files of Parquet; leave out ", Option("format")
            )

    def refuse_files(self, what: str) -> None:
        """Raise `ConfigError` where something is asked of files that only one table has.

        Args:
          what: is written instead, for the message.
        """
        asked = {name: getattr(self, name) for name in ("rows_per_file", "partition_by", "resume")}
        if name := next((name for name, value in asked.items() if value), None):
            raise ConfigError(Option(name), f" is for the files of one table, and means nothing to {what}")

    def check(self, model: SyntheticModel) -> None:
        """Raise `ConfigError` unless the model has the column by which rows are put into folders."""
        if self.partition_by is None:
            return
        codecs = model.codec.by_name
        fitting = [name for name, codec in codecs.items() if isinstance(codec, CategoryCodec)]
        if self.partition_by not in codecs:
            wrong = f"there is no column '{self.partition_by}'{meant(self.partition_by, fitting)}"
        elif self.partition_by not in fitting:
            wrong = f"the column '{self.partition_by}' has no list of values"
        elif len(codecs) == 1:
            wrong = "the table would be left without a column"
        elif (count := len(codecs[self.partition_by].drawn_texts)) > MOST_VALUES:  # type: ignore[attr-defined]
            wrong = f"the column '{self.partition_by}' has {count:,} values, more than {MOST_VALUES:,}"
        else:
            return
        raise ConfigError(Option("partition_by"), f": {wrong}; name a column of categories")

    @property
    def rows_each(self) -> int:
        """How many rows the files of a task hold."""
        return self.rows_per_file or draw.PART_ROWS


@dataclass(frozen=True)
class FileTasks:
    """A table to be written: all that its bytes depend on. What a task of it writes is a pure function of its number.

    Attributes:
      label: what the rows say of themselves.
    """

    model: SyntheticModel
    order: Order
    writing: Writing
    seed: int
    label: Label

    @property
    def parts(self) -> list[range]:
        """The parts of the order that each task draws; its files hold their rows and no others."""
        parts, each = len(self.order.split), self.writing.rows_each // draw.PART_ROWS
        return [range(start, min(start + each, parts)) for start in range(0, parts, each)]

    def write(self, task: int, folder: Path, progress: Progress) -> dict[str, int]:
        """Write the files of a task into a folder and return name -> number of rows; folders of values are made.

        Args:
          progress: is called while rows are drawn, and may raise.
        Raises:
          OSError: the disk is full or failing.
        """
        name, rows = f"part-{task:05d}.{self.writing.suffix}", self._rows(self.parts[task], progress)
        first = next(rows)
        rows = chain([first], rows)
        if self.writing.suffix == "csv":
            counts: list[int] = []
            write_texts(_counted(rows, counts), folder / name, first.source_format)
            return {name: sum(counts)}
        label, tables = self.label.parquet(), (table for some in rows for table in some.tables())
        if self.writing.partition_by is None:
            return {name: write_parquet(tables, first.arrow_schema, folder / name, label)}
        found = by_value(tables, self.writing.partition_by)
        return {f"{place}/{name}": _write_at(found[place], folder / place / name, label) for place in sorted(found)}

    def _rows(self, parts: range, progress: Progress) -> Iterator[SyntheticRows]:
        for part in parts:
            progress("sampling", 0.0)
            rows, _ = self.model.draw(self.order, seed=self.seed, part=part, progress=progress)
            progress("sampling", 0.0)
            yield self.model.written(self.order, (rows,), seed=self.seed, part=part)


def _counted(rows: Iterator[SyntheticRows], counts: list[int]) -> Iterator[pd.DataFrame]:
    for some in rows:
        counts.append(some.n_rows)
        yield from some.texts()


def _write_at(tables: list[pa.Table], path: Path, label: Mapping[str, str]) -> int:
    path.parent.mkdir(exist_ok=True)
    return write_parquet(tables, tables[0].schema, path, label)


def by_value(tables: Iterator[pa.Table], column: str) -> dict[str, list[pa.Table]]:
    """Return folder -> the rows of tables with one value of a column, in their order and without it.

    Folders are named as Hive and Spark name them: `column=value`, with the signs of a URL quoted.
    """
    found: dict[str, list[pa.Table]] = {}
    for table in tables:
        cells = table.column(column).chunk(0)
        if not pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_encode()
        places = cells.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        texts = cells.dictionary.cast(pa.string()).to_pylist()
        order = np.argsort(places, kind="stable")
        rest = table.drop_columns([column]).take(order)
        starts = np.flatnonzero(np.diff(places[order], prepend=-2))
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            place = int(places[order[start]])
            value = _NULL if place < 0 else quote(texts[place], safe=" ")
            found.setdefault(f"{quote(column, safe=' ')}={value}", []).append(rest.slice(start, end - start))
    return found
