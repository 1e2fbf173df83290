"""The columns and tables of a release, as its public report shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from privsynth.report.records.checked import one_of, within

Provenance = Literal["declared", "bought", "fixed", "prior"]


@dataclass(frozen=True, kw_only=True)
class ColumnRecord:
    """One column as the public report shows it.

    Attributes:
      domain: a sentence with the bounds or categories that the run used.
      provenance: where the domain is from: "declared" by a person, "bought" with noise, "fixed" by the types of the
        source, or a public "prior".
      treatment: "modelled", "dropped: free text", "fresh surrogate", "derived by rule", ...
      note: what the schema says of it, for readers.
      unit: in which it is measured; "" for none.
      hierarchy: the levels of its codes, from coarse to fine; "" for none.
      values: all that it can hold, where they are few.
      digits: whether some of its values are texts of digits that begin with 0, which spreadsheets take for numbers.
    """

    name: str
    kind: str
    domain: str
    provenance: Provenance
    treatment: str
    roles: tuple[str, ...] = ()
    nullable: bool = True
    note: str = ""
    unit: str = field(default="", metadata={"omit_empty": True})
    hierarchy: str = field(default="", metadata={"omit_empty": True})
    values: tuple[str, ...] = field(default=(), metadata={"omit_empty": True})
    digits: bool = field(default=False, metadata={"omit_empty": True})

    def __post_init__(self) -> None:
        one_of(f"provenance of {self.name}", self.provenance, Provenance)


@dataclass(frozen=True, kw_only=True)
class TableRecord:
    """One of several linked tables as the public report shows it.

    Attributes:
      name: of the table.
      parent: the table that its rows belong to; "" for the persons and for a reference table.
      order: the column that orders the rows of one parent; "" for none.
      max_children: at most so many rows of one person were used; None for the persons and for a reference table.
      n_rows: synthetic rows, or the public rows of a reference table.
      reference: whether it is public and was passed through unchanged.
    """

    name: str
    parent: str = ""
    order: str = ""
    max_children: int | None = None
    n_rows: int = 0
    reference: bool = False


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """A small histogram of the SYNTHETIC rows of one column; `ordered` where the labels are bins of a scale."""

    column: str
    labels: tuple[str, ...]
    counts: tuple[float, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.counts):
            raise ValueError(f"the profile of {self.column} has {len(self.labels)} labels, {len(self.counts)} counts")
        for count in self.counts:
            within(f"a count in the profile of {self.column}", count, 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class SampleRows:
    """Some SYNTHETIC rows as they are written, for readers.

    Attributes:
      table: of several linked ones; "" for the only one.
      columns, units: names, and in which each is measured; "" for none.
      rows: a text for each column, None where the cell is missing.
    """

    columns: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    table: str = ""

    def __post_init__(self) -> None:
        for row in (self.units, *self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"a sample row has {len(row)} cells, and there are {len(self.columns)} columns")
