"""What every codec of a column can do.

An `Attribute` is one discrete variable of the model. The last code of an attribute is NULL, whether or not the column
may be null: a cell that cannot be read has to go somewhere. `decode` never emits a null in a column declared without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.parse import Categories, Grid

if TYPE_CHECKING:
    from privsynth.schema.identifier_format import IdentifierFormat

Family = Literal["text", "number", "time", "invented"]


@dataclass(frozen=True)
class Attribute:
    """One discrete variable.

    Attributes:
      name: the column's name, with "·part" where a column has several.
      size: number of codes, NULL (the last) included.
      can_be_null: whether NULL may be sampled.
      ordered: whether neighbouring codes are alike (numbers).
      cyclic: whether the first known code follows the last again, as hours of a day do.
      detail: whether it is a detail of a value on which little depends, such as how a number ends.
      other: whether the last code but one, OTHER, may be sampled; None if there is no OTHER.
    """

    name: str
    size: int
    can_be_null: bool
    ordered: bool
    other: bool | None = None
    cyclic: bool = False
    detail: bool = False


class ColumnCodec(Protocol):
    """One column to attributes and back; it says itself how its values are encoded, decoded and written."""

    type: ClassVar[str]
    family: ClassVar[Family]
    """What its values are compared with: conditions and users' tables go by it."""

    @property
    def name(self) -> str:
        """Name of the column."""
        ...

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the column in an Arrow table."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that this one is computed from, which are decoded first."""
        ...

    @property
    def base(self) -> str | None:
        """The column that this one is coded by: as the amount above it, or as how far it lies from it."""
        ...

    def attributes(self) -> list[Attribute]:
        """Return the attributes, in order."""
        ...

    def fits(self, source: ColumnCodec) -> bool:
        """Return whether this column can be computed from that one, which it `needs`."""
        ...

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return (n,) int32 codes for each attribute. A row-by-row function.

        Args:
          column: parsed values.
          base: values of the base column inside its bounds, if there is one.
        """
        ...

    def known(self, column: Categories | Grid) -> Decoded:
        """Return parsed values as decoded ones: inside the declared bounds, in the unit that `decode` uses."""
        ...

    def parsed(self, column: Decoded) -> Categories | Grid:
        """Return decoded values as parsed ones: what `encode` takes."""
        ...

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Return (n,) values from (attributes, n) codes, each drawn inside the bin of its code.

        Args:
          drawn: the columns that this one `needs`.
        """
        ...

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) float64: what decoded values amount to, times in days."""
        ...

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Return decoded values as pandas has them.

        Args:
          categorical: texts become categoricals, if none of them is called OTHER.
        """
        ...

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Return decoded values in `arrow_type`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        ...


@dataclass(frozen=True, repr=False)
class Drawn:
    """The columns of some rows that are decoded already.

    Attributes:
      columns: name -> values.
      codecs: name -> its codec.
    """

    columns: Mapping[str, Decoded]
    codecs: Mapping[str, ColumnCodec]

    def amounts(self, name: str) -> np.ndarray:
        """Return (n,) what the values of a column amount to, times in days."""
        return self.codecs[name].amounts(self.columns[name].values)


def without_null(codes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) codes below `size`, 0 for null, and (n,) booleans for null. The codes are not copied without need."""
    null = codes >= size
    return (np.where(null, 0, codes) if null.any() else codes), null


def mask(column: Decoded) -> np.ndarray | None:
    """Return the nulls as Arrow takes them: None if there are none."""
    return column.null if column.null.any() else None


class InventedCodec:
    """What such columns have in common: no attribute, and nothing to encode or decode."""

    type: ClassVar[str]
    family: ClassVar[Family] = "invented"
    base: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    name: str

    @property
    def arrow_type(self) -> pa.DataType:
        """Strings."""
        return pa.string()

    @property
    def pattern(self) -> IdentifierFormat | None:
        """What its values look like, if no two rows may have the same one."""
        return None

    def invent(self, numbers: np.ndarray, key: int) -> pa.Array:
        """Return (n,) values for the numbers of rows (or of units), in `arrow_type`; a function of number and key.

        Args:
          numbers: (n,) int64 from 0.
          key: of the draw, see `privsynth.sampling.draw.draw_key`.
        """
        raise NotImplementedError

    def attributes(self) -> list[Attribute]:
        """Return none."""
        return []

    def fits(self, source: ColumnCodec) -> bool:
        """Return False: it needs no other column."""
        return False

    def encode(self, column: Categories | Grid, base: Decoded | None) -> list[np.ndarray]:
        """Return no codes."""
        return []

    def known(self, column: Categories | Grid) -> Decoded:
        """Raise `TypeError`: nothing of the real values is kept."""
        return self._refuse()

    def parsed(self, column: Decoded) -> Categories | Grid:
        """Raise `TypeError`: they are never encoded."""
        return self._refuse()

    def decode(self, codes: np.ndarray, drawn: Drawn, rng: np.random.Generator) -> Decoded:
        """Raise `TypeError`: they are invented when rows are written."""
        return self._refuse()

    def amounts(self, values: np.ndarray) -> np.ndarray:
        """Raise `TypeError`: they have no amount."""
        return self._refuse()

    def to_series(self, column: Decoded, *, categorical: bool = False) -> pd.Series:
        """Raise `TypeError`: see `invent`."""
        return self._refuse()

    def to_arrow(self, column: Decoded) -> pa.Array:
        """Raise `TypeError`: see `invent`."""
        return self._refuse()

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        raise NotImplementedError

    def _refuse(self) -> NoReturn:
        raise TypeError("invented values are not read, coded or compared; they are made when rows are written")
