"""`TableCodec`: a parsed table to an (attributes, rows) array of codes, and codes back to a synthetic frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.bounds import clip_steps
from privsynth.codecs.columns import (
    DAY,
    OTHER,
    Attribute,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    NumberCodec,
    SurrogateCodec,
    TimeCodec,
    codec_from_json,
    codec_to_json,
)
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.loaded import Malformed, items, require
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable, grid_values

MAX_COLUMNS = 20_000  # far more than a model can be fitted to


@dataclass(frozen=True)
class TableCodec:
    """The codecs of a table, in column order. Holds only declared facts and paid releases."""

    codecs: tuple[ColumnCodec, ...]

    @property
    def attributes(self) -> list[Attribute]:
        """Every attribute, in order."""
        return [attribute for codec in self.codecs for attribute in codec.attributes()]

    @property
    def names(self) -> list[str]:
        """Column names of the synthetic table."""
        return [codec.name for codec in self.codecs]

    def attributes_of(self, column: str) -> list[int]:
        """Return the indices of a column's attributes."""
        found, at = [], 0
        for codec in self.codecs:
            count = len(codec.attributes())
            if codec.name == column:
                found = list(range(at, at + count))
            at += count
        return found

    def books(self) -> dict[int, tuple[np.ndarray, ...]]:
        """Return attribute -> (size,) groups of its codes by each column that follows from it, NULL apart; declared."""
        found: dict[int, tuple[np.ndarray, ...]] = {}
        for codec in self.codecs:
            if isinstance(codec, CategoryCodec) and codec.source is not None:
                (at,) = self.attributes_of(codec.source)
                _, groups = np.unique([*codec.places, len(codec.values)], return_inverse=True)
                found[at] = (*found.get(at, ()), groups)
        return found

    def encode(self, parsed: ParsedTable) -> np.ndarray:
        """Return (attributes, n) uint16 codes of private rows. A row-by-row function."""
        out = np.empty((len(self.attributes), parsed.n_rows), dtype=np.uint16)
        at = 0
        by_name = {codec.name: codec for codec in self.codecs}
        for codec in self.codecs:
            for codes in _encode_column(codec, parsed, by_name):
                out[at] = codes
                at += 1
        return out

    def draw(
        self, codes: np.ndarray, rng: np.random.Generator, known: Mapping[str, Decoded] | None = None
    ) -> DecodedRows:
        """Return values of n rows from (attributes, n) codes: each is drawn inside its code's cell.

        Args:
          known: column -> values and a mask of the cells whose value is not to be drawn (null where it is); what is
            computed from them (a column above another, a difference) then stands on the known values.
        """
        slices, at = {}, 0
        for codec in self.codecs:
            count = len(codec.attributes())
            slices[codec.name] = codes[at : at + count]
            at += count
        lines: dict[str, Decoded] = {}
        by_name = {codec.name: codec for codec in self.codecs}
        for codec in _bases_first(self.codecs):
            if isinstance(codec, SurrogateCodec):
                continue
            if isinstance(codec, DerivedCodec):
                line = _derive(codec, lines, by_name)
            elif isinstance(codec, CategoryCodec) and codec.source is not None:
                line = Decoded(*codec.look_up(lines[codec.source].values, lines[codec.source].null))
            else:
                line = _decode_column(codec, slices[codec.name], lines, rng)
            if known is not None and codec.name in known:
                given = known[codec.name]
                line = Decoded(np.where(given.null, line.values, given.values), line.null & given.null)
            lines[codec.name] = line
        return DecodedRows(lines, codes.shape[1])

    def decode(self, codes: np.ndarray, rng: np.random.Generator, *, first_row: int = 1) -> pd.DataFrame:
        """Return a synthetic frame of n rows from (attributes, n) codes; surrogates count from `first_row`."""
        return self.frame(self.draw(codes, rng), first_row=first_row)

    def frame(
        self,
        rows: DecodedRows,
        *,
        first_row: int = 1,
        names: Collection[str] | None = None,
        categorical: Collection[str] = (),
    ) -> pd.DataFrame:
        """Return rows as a frame, or only some of its columns; surrogates count from `first_row`.

        Integers are Int64, numbers float64, times datetime64[s], everything else text; null as pandas has it.

        Args:
          categorical: columns of text that become categoricals, which are quicker to compare with one value.
        """
        columns = {}
        for codec in self.codecs:
            if names is not None and codec.name not in names:
                continue
            if isinstance(codec, SurrogateCodec):
                columns[codec.name] = codec.fresh(first_row, rows.n_rows)
            elif isinstance(codec, CategoryCodec) and codec.name in categorical and OTHER not in codec.values:
                line = rows.lines[codec.name]
                places = np.where(line.null, -1, line.values)
                columns[codec.name] = pd.Series(pd.Categorical.from_codes(places, pd.Index(codec.texts)))
            else:
                columns[codec.name] = _to_series(codec, rows.lines[codec.name])
        return pd.DataFrame(columns, index=pd.RangeIndex(rows.n_rows))

    def arrow(self, rows: DecodedRows, *, first_row: int = 1) -> pa.Table:
        """Return rows as an Arrow table: dates as date32, times as timestamp[s], texts as dictionaries of strings."""
        return pa.table(
            {
                codec.name: codec.fresh_arrow(first_row, rows.n_rows)
                if isinstance(codec, SurrogateCodec)
                else _to_arrow(codec, rows.lines[codec.name])
                for codec in self.codecs
            }
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Return JSON-able data."""
        return [codec_to_json(codec) for codec in self.codecs]

    @classmethod
    def from_json(cls, data: Sequence[dict[str, Any]]) -> TableCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a column is not what `to_json` writes, two have one name, or one is computed from a column that is
            not there, is of another kind, or is computed from it.
        """
        codecs = tuple(codec_from_json(item) for item in items(data, "the columns", at_most=MAX_COLUMNS))
        by_name = {codec.name: codec for codec in codecs}
        require(len(by_name) == len(codecs), "two columns have one name")
        for codec in codecs:
            for name in _needs(codec):
                require(name in by_name, "a column is computed from one that is not there")
                require(_fit(codec, by_name[name]), "a column is computed from one of another kind")
        _bases_first(codecs)
        return cls(codecs)


def _bases_first(codecs: Sequence[ColumnCodec]) -> list[ColumnCodec]:
    """Return the codecs so that each stands after the columns it is computed from.

    Raises:
      Malformed: columns are computed from each other, or from one that is not there.
    """
    needs = {codec.name: _needs(codec) for codec in codecs}
    level: dict[str, int] = {}
    try:
        for name in TopologicalSorter(needs).static_order():
            require(name in needs, "a column is computed from one that is not there")
            level[name] = 1 + max((level[need] for need in needs[name]), default=0)
    except CycleError:
        raise Malformed("columns are computed from each other") from None
    return sorted(codecs, key=lambda codec: level[codec.name])


def _needs(codec: ColumnCodec) -> list[str]:
    if isinstance(codec, DerivedCodec):
        return [codec.minuend, codec.subtrahend]
    if isinstance(codec, NumberCodec | TimeCodec) and codec.base:
        return [codec.base]
    if isinstance(codec, CategoryCodec) and codec.source is not None:
        return [codec.source]
    return []


def _fit(codec: ColumnCodec, source: ColumnCodec) -> bool:
    """Say whether a column can be computed from another, as its codec is about to do."""
    if isinstance(codec, NumberCodec | TimeCodec):
        return isinstance(source, type(codec))
    if isinstance(codec, DerivedCodec):
        return isinstance(source, NumberCodec | TimeCodec)
    if isinstance(source, CategoryCodec) and isinstance(codec, CategoryCodec):
        return source.source is None and len(codec.places) == len(source.texts)
    return False


def _bounded(codec: NumberCodec | TimeCodec, column: Grid) -> np.ndarray:
    """Return grid steps (numbers) or seconds (times) inside the declared bounds."""
    scale = codec.precision if isinstance(codec, TimeCodec) else 1
    return clip_steps(column.steps * scale, codec.low, codec.high)


def _encode_column(codec: ColumnCodec, parsed: ParsedTable, by_name: dict[str, ColumnCodec]) -> list[np.ndarray]:
    if isinstance(codec, CategoryCodec):
        if codec.source is not None:
            return []
        column = parsed.columns[codec.name]
        assert isinstance(column, Categories)
        return [codec.encode(column.codes, column.values)]
    if not isinstance(codec, NumberCodec | TimeCodec):
        return []
    column = parsed.columns[codec.name]
    assert isinstance(column, Grid)
    steps, null, base = _bounded(codec, column), column.null, None
    if codec.base:
        base_codec, base_column = by_name[codec.base], parsed.columns[codec.base]
        assert isinstance(base_codec, NumberCodec | TimeCodec)
        assert isinstance(base_column, Grid)
        base = _bounded(base_codec, base_column)
        null = null | base_column.null
    if isinstance(codec, TimeCodec):
        return codec.encode(steps, null, base)
    return [codec.encode(steps if base is None else np.maximum(steps - base, 0), null)]


def _decode_column(
    codec: ColumnCodec, codes: np.ndarray, lines: dict[str, Decoded], rng: np.random.Generator
) -> Decoded:
    if isinstance(codec, CategoryCodec):
        return Decoded(*codec.draw(codes[0]))
    if isinstance(codec, NumberCodec):
        steps, null = codec.decode(codes[0], rng)
        if codec.base:
            base = lines[codec.base]
            steps, null = steps + base.values, null | (base.null & codec.nullable)
        if codec.low is not None or codec.high is not None:
            steps = np.clip(steps, codec.low, codec.high)
        if codec.base:
            steps = np.maximum(steps, lines[codec.base].values)
        return Decoded(steps, null)
    assert isinstance(codec, TimeCodec)
    seconds, null = codec.decode(list(codes), rng, lines[codec.base].values if codec.base else None)
    if codec.base and codec.nullable:
        null = null | lines[codec.base].null
    return Decoded(seconds, null)


def _derive(codec: DerivedCodec, lines: dict[str, Decoded], by_name: dict[str, ColumnCodec]) -> Decoded:
    """Return minuend − subtrahend of two decoded lines, times in days."""

    def amount(name: str) -> np.ndarray:
        source, steps = by_name[name], lines[name].values
        return steps * source.precision if isinstance(source, NumberCodec) else steps / DAY

    null = lines[codec.minuend].null | lines[codec.subtrahend].null
    difference = amount(codec.minuend) - amount(codec.subtrahend)
    return Decoded(np.rint(difference / codec.precision).astype(np.int64), null)


def _to_series(codec: ColumnCodec, line: Decoded) -> pd.Series:
    values, null = line.values, line.null
    if isinstance(codec, CategoryCodec):
        return pd.Series(np.array([*codec.texts, None], dtype=object)[np.where(null, -1, values)], dtype="object")
    if isinstance(codec, TimeCodec):
        return pd.Series(np.where(null, np.datetime64("NaT", "s"), values.astype(np.int64).astype("datetime64[s]")))
    assert isinstance(codec, NumberCodec | DerivedCodec)
    values = values.astype(np.int64, copy=False)  # packed rows are narrower
    if codec.integer:
        return pd.Series(pd.arrays.IntegerArray(whole_values(np.where(null, 0, values), codec.precision), null.copy()))
    return pd.Series(np.where(null, np.nan, grid_values(values, codec.precision)))


def _to_arrow(codec: ColumnCodec, line: Decoded) -> pa.Array:
    values, mask = line.values, line.null if line.null.any() else None
    if isinstance(codec, CategoryCodec):
        places = values.astype(np.int32, copy=False)  # of one type, however narrow a part is packed
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=mask), pa.array(codec.texts, pa.string()))
    values = values.astype(np.int64, copy=False)  # packed rows are narrower
    if isinstance(codec, TimeCodec):
        if codec.precision == DAY:
            return pa.array((values // DAY).astype(np.int32), pa.int32(), mask=mask).cast(pa.date32())
        return pa.array(values.astype("datetime64[s]"), pa.timestamp("s"), mask=mask)
    assert isinstance(codec, NumberCodec | DerivedCodec)
    if codec.integer:
        return pa.array(whole_values(values, codec.precision), pa.int64(), mask=mask)
    return pa.array(grid_values(values, codec.precision), pa.float64(), mask=mask)


def whole_values(steps: np.ndarray, precision: float) -> np.ndarray:
    """Return (n,) int64 values of the grid steps of whole numbers."""
    return steps.astype(np.int64) if precision == 1 else np.rint(grid_values(steps, precision)).astype(np.int64)
