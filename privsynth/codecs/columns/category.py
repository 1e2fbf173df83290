"""Columns of texts: categories, booleans, and columns that follow from another by a code book."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.bins import MAX_CODES
from privsynth.codecs.columns.protocol import Attribute, ColumnCodec, Drawn, Family, mask, without_null
from privsynth.codecs.columns.saved_fields import column_name, other_column
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.loaded import Malformed, flag, items, only, require, text, whole
from privsynth.codecs.parse import Categories, Grid
from privsynth.hierarchies import Hierarchy, hierarchy_data, hierarchy_from
from privsynth.schema.booleans import usual_booleans

OTHER = "OTHER"


@dataclass(frozen=True)
class CategoryCodec:
    """Texts of a closed list, or of an open one with OTHER; with `source`, determined by another column of categories.

    Attributes:
      source: the column that determines the value, by a declared code book.
      places: for each value of that column, the place in `values`; −1 where the code book has no entry.
      hierarchy: how the values group. A text that is no value falls to the finest of its groups that is one.
      closed: whether OTHER is never drawn, since no row was found to hold anything but the values.
      boolean: whether the two values are the spellings of false and true, in this order.
    """

    type: ClassVar[str] = "category"
    family: ClassVar[Family] = "text"
    base: ClassVar[None] = None
    name: str
    values: tuple[str, ...]
    other: bool
    nullable: bool
    source: str | None = None
    places: tuple[int, ...] = ()
    hierarchy: Hierarchy | None = None
    boolean: bool = False
    closed: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        """Booleans, or dictionaries of strings."""
        return pa.bool_() if self.boolean else pa.dictionary(pa.int32(), pa.string())

    @property
    def needs(self) -> tuple[str, ...]:
        """The column that determines the value, if there is one."""
        return () if self.source is None else (self.source,)

    @property
    def texts(self) -> tuple[str, ...]:
        """What a code can stand for, in the order of the codes: the values, then OTHER if the list is open."""
        return (*self.values, OTHER) if self.other else self.values

    @property
    def booleans(self) -> tuple[str, str] | None:
        """The values that stand for false and true, if it is a boolean, or has two values that are written like one."""
        return (self.values[0], self.values[1]) if self.boolean else usual_booleans(self.values)

    @property
    def drawn_texts(self) -> tuple[str, ...]:
        """What may stand in a drawn cell."""
        return self.values if self.closed and self.values else self.texts

    def attributes(self) -> list[Attribute]:
        """Return the one attribute: values, OTHER if open, NULL; none where another column determines the value."""
        if self.source is not None:
            return []
        other = not self.closed if self.other else None
        return [Attribute(self.name, len(self.texts) + 1, self.nullable, False, other)]

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether the other column is one of as many categories as the code book has places."""
        return isinstance(source, CategoryCodec) and source.source is None and len(self.places) == len(source.texts)

    def encode(self, column: Categories | Grid, base: Decoded | None = None) -> list[np.ndarray]:
        """Return (n,) int32 codes of a parsed column; none where another column determines the value."""
        if self.source is not None:
            return []
        assert isinstance(column, Categories)
        index = {value: i for i, value in enumerate(self.values)}
        null = len(self.values) + self.other
        outside = len(self.values) if self.other else null
        found = [index.get(value, -1) for value in column.values]
        if self.hierarchy is not None:
            found = [self._parent(v, index) if at < 0 else at for v, at in zip(column.values, found, strict=True)]
        table = np.array([outside if at < 0 else at for at in found] + [null], dtype=np.int32)
        return [table[column.codes]]

    def _parent(self, text: str, index: Mapping[str, int]) -> int:
        """Return the place of the finest group of a code that is a value; −1 if there is none."""
        path = None if self.hierarchy is None else self.hierarchy.path(text)
        return next((index[group] for group in reversed(path or ()) if group in index), -1)

    def groups(self) -> dict[str, np.ndarray]:
        """Return level -> (size,) the group of each code, for each level of the hierarchy that groups, coarse to fine.

        NULL is a group of its own, and so is what the hierarchy does not know, with OTHER. A level that leaves every
        value apart, or puts all into one group, is left out.
        """
        if self.hierarchy is None:
            return {}
        unknown = ("",) * len(self.hierarchy.levels)
        paths = [self.hierarchy.path(value) or unknown for value in self.values] + [unknown] * self.other
        found: dict[str, np.ndarray] = {}
        for depth, level in enumerate(self.hierarchy.levels, start=1):
            places: dict[tuple[str, ...], int] = {}
            group = np.array([places.setdefault(path[:depth], len(places)) for path in paths] + [len(places)])
            told = any(np.array_equal(group, other) for other in found.values())
            if 1 < len(places) < len(self.values) and not told:
                found[level] = group
        return found

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as places in `texts`."""
        (codes,) = CategoryCodec(self.name, self.values, self.other, True, hierarchy=self.hierarchy).encode(column)
        places, null = without_null(codes, len(self.texts))
        return Decoded(places, null)

    def parsed(self, column: Decoded) -> Categories:
        """Return places in `texts` as texts."""
        return Categories(np.where(column.null, -1, column.values).astype(np.int32), self.texts)

    def decode(self, codes: np.ndarray, drawn: Drawn | None = None, rng: np.random.Generator | None = None) -> Decoded:
        """Return (n,) places in `drawn_texts`. A code that cannot be drawn, NULL or OTHER, is the first value."""
        if self.source is not None:
            assert drawn is not None
            return self._looked_up(drawn.columns[self.source])
        null = codes[0] >= len(self.texts)
        places, _ = without_null(codes[0], len(self.drawn_texts))
        return Decoded(places.astype(np.int32), null & self.nullable)

    def _looked_up(self, source: Decoded) -> Decoded:
        """Return the values that the other column determines; null where the code book has no entry."""
        found = np.asarray(self.places, dtype=np.int32)[source.values]
        unsaid = source.null | (found < 0)
        return Decoded(np.where(unsaid, 0, found), unsaid)

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Raise `TypeError`: texts have no amount."""
        raise TypeError("texts have no amount")

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return texts, None for null."""
        places = np.where(column.null, -1, column.values)
        if categorical and OTHER not in self.values:
            return pd.Series(pd.Categorical.from_codes(places, pd.Index(self.texts)))
        return pd.Series(np.array([*self.texts, None], dtype=object)[places], dtype="object")

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return booleans, or a dictionary of strings."""
        if self.boolean:
            return pa.array(column.values == 1, mask=mask(column))
        places = column.values.astype(np.int32, copy=False)  # one type for all parts, however narrowly each is packed
        texts = pa.array(self.drawn_texts, pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=mask(column)), texts)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        book = {} if self.source is None else {"source": self.source, "places": list(self.places)}
        groups = {} if self.hierarchy is None else {"hierarchy": hierarchy_data(self.hierarchy)}
        kind = {name: True for name in ("boolean", "closed") if getattr(self, name)}
        return {"values": list(self.values), "other": self.other, "nullable": self.nullable, **book, **groups, **kind}

    @classmethod
    def from_json(cls, data: Any) -> CategoryCodec:
        """Return the codec that `to_json` wrote.

        Raises:
          Malformed: a field is missing or wrong, a value is listed twice, or there are more than there are codes.
        """
        more = frozenset({"source", "places", "hierarchy", "boolean", "closed"})
        found = only(data, {"name", "values", "other", "nullable", *more}, "a column of categories", optional=more)
        values = items(found["values"], "the values of a column", at_most=MAX_CODES - 2)
        values = [text(value, "a value of a column") for value in values]
        require(len(values) == len(set(values)), "a value of a column is listed twice")
        places = items(found.get("places", []), "the places of a code book", at_most=MAX_CODES)
        source = other_column(found.get("source"))
        require(source is not None or not places, "a code book has no source")
        boolean = flag(found.get("boolean", False), "a field of a column")
        require(not boolean or (len(values) == 2 and not found["other"]), "a column of booleans has no two values")
        return cls(
            column_name(found["name"]),
            tuple(values),
            flag(found["other"], "a field of a column"),
            flag(found["nullable"], "a field of a column"),
            source,
            tuple(whole(place, -1, len(values) - 1, "a place of a code book") for place in places),
            _saved_hierarchy(found.get("hierarchy")),
            boolean,
            flag(found.get("closed", False), "a field of a column"),
        )


def _saved_hierarchy(data: Any) -> Hierarchy | None:
    """Return the hierarchy of a column from its JSON."""
    try:
        return None if data is None else hierarchy_from(data)
    except ValueError:
        raise Malformed("the hierarchy of a column is none") from None


def following_codec(
    name: str,
    values: tuple[str, ...],
    nullable: bool,
    source: str,
    said_by: Sequence[str],
    book: Mapping[str, Sequence[str]],
) -> CategoryCodec:
    """Return the codec of a column whose value another column determines.

    Args:
      said_by: the values of the other column.
      book: value -> the values of the other column that determine it; see `privsynth.schema.definition.Follows`.
    """
    place = {said: values.index(value) for value, all_ in book.items() for said in all_}
    return CategoryCodec(name, values, False, nullable, source, tuple(place.get(value, -1) for value in said_by))
