"""`TableCodec`: a parsed table to an (attributes, rows) array of codes, and codes back to a synthetic frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import accumulate, combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.columns import (
    Attribute,
    CategoryCodec,
    ColumnCodec,
    DerivedCodec,
    Drawn,
    InventedCodec,
    NumberCodec,
    TiedCodec,
    TimeCodec,
    codec_from_json,
    codec_to_json,
)
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.loaded import Malformed, items, require
from privsynth.codecs.parsed_table import ParsedTable

MAX_COLUMNS = 20_000  # of a model file (own): far more than a model can be fitted to
MAX_ROWS = 10**12  # of a sampled table (own): more than a disk holds


@dataclass(frozen=True)
class TableCodec:
    """The codecs of a table, in column order. Holds only declared facts and released figures."""

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
        return list(self._indices.get(column, ()))

    @cached_property
    def _indices(self) -> dict[str, range]:
        ends = list(accumulate((len(codec.attributes()) for codec in self.codecs), initial=0))
        return {codec.name: range(*span) for codec, span in zip(self.codecs, pairwise(ends), strict=True)}

    @cached_property
    def places(self) -> list[tuple[ColumnCodec, int]]:
        """For each attribute its column, and its place among that column's attributes, from 0."""
        return [(codec, place) for codec in self.codecs for place in range(len(codec.attributes()))]

    @cached_property
    def by_name(self) -> dict[str, ColumnCodec]:
        """Column -> its codec."""
        return {codec.name: codec for codec in self.codecs}

    @property
    def following(self) -> list[CategoryCodec]:
        """The columns whose value another column determines, by a code book."""
        return [codec for codec in self.codecs if isinstance(codec, CategoryCodec) and codec.source is not None]

    @property
    def differences(self) -> list[DerivedCodec]:
        """The columns that a rule computes."""
        return [codec for codec in self.codecs if isinstance(codec, DerivedCodec)]

    @property
    def above(self) -> list[NumberCodec | TimeCodec]:
        """The columns that are coded as the amount above their base."""
        return [codec for codec in self.codecs if isinstance(codec, NumberCodec | TimeCodec) and codec.base]

    @property
    def tied(self) -> list[TiedCodec]:
        """The columns that are coded by how far they lie from another."""
        return [codec for codec in self.codecs if isinstance(codec, TiedCodec)]

    def measured(self, name: str) -> NumberCodec | TimeCodec:
        """Return the codec of a column of numbers or times that is not computed."""
        codec = self.by_name[name]
        assert isinstance(codec, NumberCodec | TimeCodec)
        return codec

    def books(self) -> dict[int, tuple[np.ndarray, ...]]:
        """Return attribute -> (size,) groups of its codes, NULL apart, as `named_books` has them. Declared."""
        return {at: tuple(groups for _, groups in books) for at, books in self.named_books().items()}

    def named_books(self) -> dict[int, tuple[tuple[str, np.ndarray], ...]]:
        """Return attribute -> names and (size,) groups of its codes: by each level of its hierarchy, from coarse to
        fine, then by each column that follows from it and the levels of that one's hierarchy. Declared."""
        found: dict[int, tuple[tuple[str, np.ndarray], ...]] = {}
        for codec in self.codecs:
            if isinstance(codec, CategoryCodec) and codec.source is None and (levels := codec.groups()):
                (at,) = self.attributes_of(codec.name)
                found[at] = tuple(levels.items())
        for codec in self.following:
            (at,) = self.attributes_of(codec.source or "")
            places = np.array([*codec.places, len(codec.values)])
            above = [(level, np.where(places < 0, -1, of[places])) for level, of in codec.groups().items()]
            books = [(name, np.unique(of, return_inverse=True)[1]) for name, of in (*above, (codec.name, places))]
            found[at] = (*found.get(at, ()), *books)
        return found

    def encode(self, parsed: ParsedTable) -> np.ndarray:
        """Return (attributes, n) uint16 codes of private rows. A row-by-row function."""
        out = np.empty((len(self.attributes), parsed.n_rows), dtype=np.uint16)
        at = 0
        for codec in self.codecs:
            if not codec.attributes():
                continue
            base = None if not codec.base else self.by_name[codec.base].known(parsed.columns[codec.base])
            for codes in codec.encode(parsed.columns[codec.name], base):
                out[at] = codes
                at += 1
        return out

    def draw(
        self, codes: np.ndarray, rng: np.random.Generator, known: Mapping[str, Decoded] | None = None
    ) -> DecodedRows:
        """Return values of n rows from (attributes, n) codes: each is drawn inside its code's bin.

        Args:
          known: column -> values and a mask of the cells whose value is not to be drawn (null where it is); what is
            computed from them (a column above another, a difference) then stands on the known values.
        """
        slices, at = {}, 0
        for codec in self.codecs:
            count = len(codec.attributes())
            slices[codec.name] = codes[at : at + count]
            at += count
        columns: dict[str, Decoded] = {}
        drawn = Drawn(columns, self.by_name)
        for codec in _needed_first(self.codecs):
            if codec.family == "invented":
                continue  # made when rows are written
            column = codec.decode(slices[codec.name], drawn, rng)
            if known is not None and codec.name in known:
                given = known[codec.name]
                column = Decoded(np.where(given.null, column.values, given.values), column.null & given.null)
            columns[codec.name] = column
        return DecodedRows(columns, codes.shape[1])

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """Return a synthetic frame of n rows from (attributes, n) codes, as `frame` does."""
        return self.frame(self.draw(codes, rng))

    def frame(
        self,
        rows: DecodedRows,
        *,
        names: Collection[str] | None = None,
        categorical: Collection[str] = (),
    ) -> pd.DataFrame:
        """Return rows as a frame that can be compared and counted, or some of its columns; without invented ones.

        Integers are Int64, numbers float64, times datetime64[s], everything else text; null as pandas has it. How rows
        are written for a user is said in `privsynth.codecs.written`.

        Args:
          categorical: columns of text that become categoricals, which are faster to compare with one value.
        """
        columns = {
            codec.name: codec.to_series(rows.columns[codec.name], categorical=codec.name in categorical)
            for codec in self.codecs
            if codec.family != "invented" and (names is None or codec.name in names)
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(rows.n_rows))

    def array(self, codec: ColumnCodec, rows: DecodedRows, *, first_row: int = 0, key: int = 0) -> pa.Array:
        """Return one column of rows in its codec's `arrow_type`.

        Args:
          first_row: number of the first row among those of the draw.
          key: of the draw; from it and the rows' numbers follow the invented values.
        """
        if not isinstance(codec, InventedCodec):
            return codec.to_arrow(rows.columns[codec.name])
        sharing, place = self._sharing[codec.name]
        return codec.invent(rows.numbers(codec.name, first_row) * sharing + place, key)

    @property
    def room(self) -> int:
        """The most rows that can be drawn at once, so that no two identifiers are equal."""
        rooms = [codec.pattern.room // self._sharing[codec.name][0] for codec in self.invented if codec.pattern]
        return min(rooms, default=MAX_ROWS)

    @property
    def invented(self) -> list[InventedCodec]:
        """The columns whose values are invented when rows are written."""
        return [codec for codec in self.codecs if isinstance(codec, InventedCodec)]

    @cached_property
    def _sharing(self) -> dict[str, tuple[int, int]]:
        """Column of invented values -> how many columns share its identifiers, and which of them it is."""
        patterns = {codec.name: codec.pattern.alphabets if codec.pattern else codec.name for codec in self.invented}
        alike = {name: [n for n, other in patterns.items() if other == mine] for name, mine in patterns.items()}
        return {name: (len(names), names.index(name)) for name, names in alike.items()}

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
            for name in codec.needs:
                require(name in by_name, "a column is computed from one that is not there")
                require(codec.fits(by_name[name]), "a column is computed from one of another kind")
        _needed_first(codecs)
        found = cls(codecs)
        for one, other in combinations([codec.pattern for codec in found.invented if codec.pattern], 2):
            disjoint = one.alphabets == other.alphabets or not one.overlaps(other)
            require(disjoint, "two columns of identifiers could hold the same one")
        return found


def _needed_first(codecs: Sequence[ColumnCodec]) -> list[ColumnCodec]:
    """Return the codecs so that each stands after the columns it is computed from.

    Raises:
      Malformed: columns are computed from each other, or from one that is not there.
    """
    needs = {codec.name: codec.needs for codec in codecs}
    level: dict[str, int] = {}
    try:
        for name in TopologicalSorter(needs).static_order():
            require(name in needs, "a column is computed from one that is not there")
            level[name] = 1 + max((level[need] for need in needs[name]), default=0)
    except CycleError:
        raise Malformed("columns are computed from each other") from None
    return sorted(codecs, key=lambda codec: level[codec.name])
