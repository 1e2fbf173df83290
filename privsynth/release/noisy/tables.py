"""`PublishedTables`: the noisy tables of a release, each cell with the deviation of its noise; written and read.

tables/noisy-tables.parquet   a row for each cell
tables/noisy-tables.json      what the cells count, and the rule that made each table
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from privsynth.codecs.loaded import Malformed, items, number, only, require, text, whole
from privsynth.errors import SourceError
from privsynth.release.noisy.axes import TableAxis
from privsynth.release.parquet import write_parquet

FOLDER = "tables"
CELLS, FACTS = f"{FOLDER}/noisy-tables.parquet", f"{FOLDER}/noisy-tables.json"
VERSION = "2"  # of the JSON file
MECHANISM = "discrete Gaussian, by rounding"
MOST_AXES = 3  # of a table: the generators measure pairs and triples
MAX_BYTES = 1 << 28  # of the JSON file (own)
ROW_GROUP = 65_536  # cells, at least (own): most tables have some dozens, and a row group of each cost more than they
SHOWN = 6  # members of a group in a label (own)


@dataclass(frozen=True)
class CodeWeights:
    """What rows weigh whose units have one code of the axis of how many rows they have.

    Attributes:
      rows: their share of all rows, as paid for.
      mean, least, most: what one weighs, before units are scaled down.
    """

    rows: float
    mean: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class CountedRows:
    """How the rows of a data table were counted; paid numbers and public facts.

    Attributes:
      max_rows_per_unit: at most so many rows of a unit are used.
      holdout: share of the units that were held out, and not counted.
      beside: how many used rows the unit of a row has, on average over rows.
      size_error: relative standard deviation of the number of rows that counts add up to; 0 where each row counts one.
      shift: by how much the weights of rows can move a share of rows at most; 0 where each row counts one.
      mean_weight, least_weight: what a row weighs on average, before units are scaled down, and what one of a unit with
        the most rows does; 1 where each row counts one. Where first rows were counted apart, of the later ones.
      codes: the same for each code of how many rows the unit has; empty if there is no such axis.
      sizes_told: whether the number of rows that counts add up to was paid for, and not guessed from a model.
    """

    max_rows_per_unit: int
    holdout: float
    beside: float = 1.0
    size_error: float = 0.0
    shift: float = 0.0
    mean_weight: float = 1.0
    least_weight: float = 1.0
    codes: tuple[CodeWeights, ...] = ()
    sizes_told: bool = True

    @property
    def weighted(self) -> bool:
        """Whether rows of units with many rows weigh less."""
        return self.max_rows_per_unit > 1

    @property
    def rule(self) -> str:
        """How much a row counts, in words."""
        if not self.weighted:
            return "each row counts one"
        return (
            "a row of a unit with m rows counts (0.25 m² + 0.75 m)^-1/2, less where the unit's rows are so alike that "
            "its vector is longer than a bound; then all are scaled to add up to the paid number of rows"
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PublishedTable:
    """One released table.

    Attributes:
      data_table: "" where there is one table.
      stratum: which rows of it were counted, such as "first rows"; "" for all. Strata do not overlap.
      axes: indices of the axes of the data table.
      groups: for each, (size,) the group of each code.
      counts: noisy numbers of rows. sigma: the standard deviation of the noise of each, in rows.
      part, label: of the bill.
      noise_multiplier: of the release (see `sensitivity`).
      scale_error: relative standard deviation of how counts were scaled to rows; 0 where they were not.
      mean_weight: what a row weighed on average, as the counts tell it.
    """

    data_table: str
    stratum: str
    axes: tuple[int, ...]
    groups: tuple[np.ndarray, ...]
    counts: np.ndarray
    sigma: np.ndarray
    part: str
    label: str
    noise_multiplier: float
    scale_error: float = 0.0
    mean_weight: float = 1.0

    @property
    def sensitivity(self) -> np.ndarray:
        """Return the most that one unit moves each cell, in rows, if it moves no other."""
        return self.sigma / self.noise_multiplier


@dataclass(frozen=True, kw_only=True)
class PublishedTables:
    """All of a release.

    Attributes:
      dataset, unit: of the release.
      axes, rows: data table -> its axes, and how its rows were counted.
      tables: in the order in which they were bought.
    """

    dataset: str
    unit: str
    axes: Mapping[str, tuple[TableAxis, ...]]
    rows: Mapping[str, CountedRows]
    tables: tuple[PublishedTable, ...]

    def write(self, folder: Path, label: Mapping[str, str]) -> None:
        """Write both files below the public folder.

        Args:
          label: metadata of the Parquet file.
        Raises:
          OSError: the disk is full or failing.
        """
        (folder / FOLDER).mkdir(exist_ok=True)
        (folder / FACTS).write_text(json.dumps(self._facts(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        write_parquet(_joined(self._cells()), _SCHEMA, folder / CELLS, label)

    def _facts(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "dataset": self.dataset,
            "unit": self.unit,
            "data_tables": {
                name: {
                    "max_rows_per_unit": rows.max_rows_per_unit,
                    "holdout": rows.holdout,
                    "rows_beside": rows.beside,
                    "size_error": rows.size_error,
                    "shift": rows.shift,
                    "mean_weight": rows.mean_weight,
                    "least_weight": rows.least_weight,
                    "codes": [[one.rows, one.mean, one.least, one.most] for one in rows.codes],
                    "sizes_told": rows.sizes_told,
                    "a_row_counts": rows.rule,
                    "axes": [axis.to_json() for axis in self.axes[name]],
                }
                for name, rows in self.rows.items()
            },
            "tables": [
                {
                    "data_table": table.data_table,
                    "stratum": table.stratum,
                    "axes": list(table.axes),
                    "groups": [group.tolist() for group in table.groups],
                    "part": table.part,
                    "label": table.label,
                    "mechanism": MECHANISM,
                    "noise_multiplier": table.noise_multiplier,
                    "mu_squared": table.noise_multiplier**-2,
                    "scale_error": table.scale_error,
                    "mean_weight": table.mean_weight,
                }
                for table in self.tables
            ],
        }

    def _cells(self) -> Iterator[pa.Table]:
        for number_, table in enumerate(self.tables):
            axes = [self.axes[table.data_table][at] for at in table.axes]
            size = table.counts.size
            place = np.indices(table.counts.shape).reshape(len(axes), size)
            columns: dict[str, Any] = {
                "table": np.full(size, number_),
                "data_table": [table.data_table] * size,
                "stratum": [table.stratum] * size,
                "counted": [" × ".join(axis.name for axis in axes)] * size,
            }
            for at in range(MOST_AXES):
                there = at < len(axes)
                names = np.array(_group_labels(axes[at], table.groups[at])) if there else None
                columns[f"cell_{at + 1}"] = None if names is None else names[place[at]]
            columns |= {
                "count": table.counts.ravel(),
                "standard_deviation": np.broadcast_to(table.sigma, table.counts.shape).ravel(),
                "sensitivity": np.broadcast_to(table.sensitivity, table.counts.shape).ravel(),
                "noise_multiplier": np.full(size, table.noise_multiplier),
                "mechanism": [MECHANISM] * size,
                "a_row_counts": [self.rows[table.data_table].rule] * size,
                "part": [table.part] * size,
            }
            arrays = [
                pa.nulls(size, f.type) if columns[f.name] is None else pa.array(columns[f.name], f.type)
                for f in _SCHEMA
            ]
            yield pa.Table.from_arrays(arrays, schema=_SCHEMA)

    @classmethod
    def read(cls, folder: Path) -> PublishedTables:
        """Return the tables of a public folder.

        Raises:
          SourceError: it has none, or they were changed.
        """
        try:
            if (folder / FACTS).stat().st_size > MAX_BYTES:
                raise Malformed("the file is too large")
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            cells = pq.read_table(folder / CELLS, columns=["table", "count", "standard_deviation"])
        except FileNotFoundError:
            raise SourceError(
                f"{folder} holds no noisy tables: its generator buys none, or the release is older than they are"
            ) from None
        except (OSError, ValueError, RecursionError, pa.ArrowException):
            raise SourceError(f"{folder / FOLDER} cannot be read; ask for a whole copy, and verify it") from None
        try:
            return _from_files(facts, cells)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            raise SourceError(f"{folder / FOLDER} is not what a release writes; verify it") from None


_SCHEMA = pa.schema(
    [
        pa.field("table", pa.int32(), nullable=False),
        pa.field("data_table", pa.string(), nullable=False),
        pa.field("stratum", pa.string(), nullable=False),
        pa.field("counted", pa.string(), nullable=False),
        *(pa.field(f"cell_{at + 1}", pa.string()) for at in range(MOST_AXES)),
        pa.field("count", pa.float64(), nullable=False),
        pa.field("standard_deviation", pa.float64(), nullable=False),
        pa.field("sensitivity", pa.float64(), nullable=False),
        pa.field("noise_multiplier", pa.float64(), nullable=False),
        pa.field("mechanism", pa.string(), nullable=False),
        pa.field("a_row_counts", pa.string(), nullable=False),
        pa.field("part", pa.string(), nullable=False),
    ]
)


def _joined(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Return the same cells in larger tables."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= ROW_GROUP:
            yield pa.concat_tables(held).combine_chunks()
            held = []
    if held:
        yield pa.concat_tables(held).combine_chunks()


def _group_labels(axis: TableAxis, group: np.ndarray) -> list[str]:
    """Return what each group of an axis stands for."""
    return [group_label(axis, np.flatnonzero(group == at)) for at in range(int(group.max()) + 1)]


def group_label(axis: TableAxis, codes: np.ndarray) -> str:
    """Return what some codes of an axis stand for together."""
    if len(codes) == 1:
        return axis.labels[codes[0]]
    named = [axis.labels[code] for code in codes]
    in_order = axis.kind in ("number", "time") and np.array_equal(codes, np.arange(codes[0], codes[-1] + 1))
    if in_order and axis.low and codes[-1] < len(axis.low):
        low, high = axis.low[codes[0]], axis.high[codes[-1]]
        ends = ("up to " if math.isinf(low) else f"{low:.6g} ", "and more" if math.isinf(high) else f"to {high:.6g}")
        return f"up to {high:.6g}" if math.isinf(low) else f"{ends[0]}{ends[1]}"
    more = f"; and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return "; ".join(named[:SHOWN]) + more


def _counted_rows(told: Mapping[str, Any]) -> CountedRows:
    return CountedRows(
        max_rows_per_unit=whole(told["max_rows_per_unit"], 1, 10**9, "the rows of a unit"),
        holdout=number(told["holdout"], 0.0, 0.5, "the holdout"),
        beside=number(told["rows_beside"], 0.0, 1e9, "the rows of a unit"),
        size_error=number(told["size_error"], 0.0, math.inf, "the error of a size"),
        shift=number(told["shift"], 0.0, 1.0, "the shift"),
        mean_weight=number(told["mean_weight"], 0.0, 1.0, "a weight"),
        least_weight=number(told["least_weight"], 0.0, 1.0, "a weight"),
        codes=tuple(
            CodeWeights(*(number(one, 0.0, 1.0, "a weight") for one in items(code, "the weights of a code")))
            for code in items(told["codes"], "the codes")
        ),
        sizes_told=told["sizes_told"] is True,
    )


def _from_files(facts: Any, cells: pa.Table) -> PublishedTables:
    found = only(facts, {"version", "dataset", "unit", "data_tables", "tables"}, "the noisy tables")
    require(found["version"] == VERSION, "the noisy tables have another version")
    axes, rows = {}, {}
    for name, told in dict(found["data_tables"]).items():
        axes[name] = tuple(TableAxis.from_json(axis) for axis in items(told["axes"], "the axes"))
        rows[name] = _counted_rows(told)
    order = cells.column("table").to_numpy()
    starts = np.searchsorted(order, np.arange(len(found["tables"]) + 1))
    require(bool((np.diff(order) >= 0).all()) and starts[-1] == len(order), "the cells are out of order")
    counts, sigma = (cells.column(key).to_numpy() for key in ("count", "standard_deviation"))
    require(bool(np.isfinite(counts).all() and (sigma > 0).all()), "a cell is no number")
    tables = []
    for told, start, end in zip(items(found["tables"], "the tables"), starts[:-1], starts[1:], strict=True):
        of = axes[told["data_table"]]
        at = tuple(whole(a, 0, len(of) - 1, "an axis") for a in items(told["axes"], "the axes", at_most=MOST_AXES))
        groups = tuple(np.asarray(group, dtype=np.int64) for group in told["groups"])
        require([len(group) for group in groups] == [of[a].size for a in at], "a table has odd groups")
        shape = tuple(int(group.max()) + 1 for group in groups)
        tables.append(
            PublishedTable(
                data_table=told["data_table"],
                stratum=text(told["stratum"], "a stratum"),
                axes=at,
                groups=groups,
                counts=counts[start:end].reshape(shape),
                sigma=sigma[start:end].reshape(shape),
                part=text(told["part"], "a part"),
                label=text(told["label"], "a label"),
                noise_multiplier=number(told["noise_multiplier"], 0.0, math.inf, "a noise multiplier"),
                scale_error=number(told["scale_error"], 0.0, math.inf, "an error of a scale"),
                mean_weight=number(told["mean_weight"], 0.0, 1.0, "a weight"),
            )
        )
    return PublishedTables(
        dataset=text(found["dataset"], "the dataset"),
        unit=text(found["unit"], "the unit"),
        axes=axes,
        rows=rows,
        tables=tuple(tables),
    )
