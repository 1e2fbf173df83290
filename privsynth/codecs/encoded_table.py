"""`Encoded`: the private rows as codes, with the public facts that a generator needs to learn from them.

Rows may lie in several partitions, in memory, in files or on other machines. Whoever counts passes a function of one
partition to `Encoded.add_up`, and gets the sum of its results: exact integers, so that neither how rows are divided
nor the order of partitions can show. Such a function is one of a module, or a `functools.partial` of one, so that it
can be sent elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np

from privsynth.codecs.columns import Attribute
from privsynth.codecs.loaded import items, number, require, whole
from privsynth.partitions.sums import added

REACH = 3  # times the rows that are used of a unit: so far are numbers of rows told apart
S = TypeVar("S")
MAX_CLASSES, MAX_ROWS = 1_000, 10**6  # of a model file (own): far more than any table has that can be modelled


@dataclass(frozen=True)
class RowsPerUnit:
    """How many rows units have: released figures, and classes that are public.

    Attributes:
      classes: the fewest and the most rows of a unit in each class, without gaps from one row up.
      units: for each class its share of the units.
      most_used: at most so many rows of a unit are used.
      joined: for each class its code in the model, ascending without gaps: classes of one code are not told apart
        there. Empty if all are.
    """

    classes: tuple[tuple[int, int], ...]
    units: tuple[float, ...]
    most_used: int
    joined: tuple[int, ...] = ()

    @cached_property
    def rows(self) -> np.ndarray:
        """(classes,) rows of a unit, on average: within a class, units are taken to get rarer as 1/rows."""
        return np.array(
            [(most - fewest + 1) / math.fsum(1 / n for n in range(fewest, most + 1)) for fewest, most in self.classes]
        )

    @property
    def mean(self) -> float:
        """Rows of a unit, on average."""
        return float(self.rows @ np.array(self.units))

    @property
    def mean_used(self) -> float:
        """Rows of a unit that are used, on average."""
        return float(np.minimum(self.rows, self.most_used) @ np.array(self.units))

    def rows_beside(self, *, used: bool) -> float:
        """Return how many rows the unit of a row has, on average over rows: of all rows, or of those that are used."""
        rows, units = np.minimum(self.rows, self.most_used) if used else self.rows, np.array(self.units)
        return float((units @ rows**2) / max(float(units @ rows), 1e-300))

    @property
    def left_out(self) -> float:
        """The share of the rows that are not used."""
        return 1.0 - self.mean_used / max(self.mean, 1e-300)

    @cached_property
    def codes(self) -> np.ndarray:
        """(classes,) the code of each class in the model."""
        return np.array(self.joined or range(len(self.classes)), dtype=np.int64)

    @property
    def n_codes(self) -> int:
        """How many kinds of units the model tells apart by their number of rows; where that is one, none."""
        return int(self.codes[-1]) + 1

    @property
    def row_shares(self) -> np.ndarray:
        """(codes,) shares of the rows that belong to units of each code."""
        return self._by_code(self.rows)

    @property
    def used_shares(self) -> np.ndarray:
        """(codes,) shares of the rows that are used that belong to units of each code."""
        return self._by_code(np.minimum(self.rows, self.most_used))

    def _by_code(self, rows: np.ndarray) -> np.ndarray:
        found = np.bincount(self.codes, weights=rows * np.array(self.units))
        return found / max(float(found.sum()), 1e-300)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        joined = {"joined": list(self.joined)} if self.joined else {}
        classes = [list(ends) for ends in self.classes]
        return {"classes": classes, "shares": list(self.units), "most_used": self.most_used, **joined}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RowsPerUnit:
        """Return what `to_json` wrote, from data that may hold more.

        Raises:
          Malformed: a field is wrong.
        """
        classes, last = [], 0
        for pair in items(data["classes"], "the numbers of rows", at_most=MAX_CLASSES):
            ends = [whole(n, last + 1, MAX_ROWS, "a number of rows") for n in items(pair, "a class", at_most=2)]
            require(len(ends) == 2 and ends[0] == last + 1 <= ends[1], "the numbers of rows of a unit have gaps")
            classes.append((ends[0], ends[1]))
            last = ends[1]
        given = items(data["shares"], "the shares", at_most=MAX_CLASSES)
        shares = tuple(number(n, 0.0, 1e6, "a share of units") for n in given)
        joined = tuple(whole(n, 0, len(classes) - 1, "a code") for n in items(data.get("joined", []), "the codes"))
        require(len(shares) == len(classes) == len(joined or classes) > 0, "the numbers of rows do not fit")
        codes = joined or tuple(range(len(classes)))
        require(codes[0] == 0 and all(0 <= b - a <= 1 for a, b in pairwise(codes)), "codes of units have gaps")
        return cls(tuple(classes), shares, whole(data["most_used"], 1, MAX_ROWS, "a number of rows"), joined)

    def class_of(self, rows: np.ndarray) -> np.ndarray:
        """Return (n,) the class of units with so many rows; more than the last class has count in it. Private."""
        fewest = [first for first, _ in self.classes]
        return np.searchsorted(fewest, rows, side="right") - 1

    def code_of(self, rows: np.ndarray) -> np.ndarray:
        """Return (n,) the code of units with so many rows. Private."""
        of_class: np.ndarray = self.codes[self.class_of(rows)]
        return of_class


@dataclass(frozen=True)
class PriorRows:
    """Rows of a public table, coded like the private ones: where a model may start from. Public.

    Attributes:
      codes: (attributes, m) uint16.
      known: for each attribute whether the public table has it; the codes of the others mean nothing.
    """

    codes: np.ndarray
    known: tuple[bool, ...]

    @property
    def attributes(self) -> tuple[int, ...]:
        """Indices of the attributes that the public table has."""
        return tuple(a for a, there in enumerate(self.known) if there)


@dataclass(frozen=True, repr=False, eq=False)
class CodedRows:
    """The rows of one partition as codes. Private.

    Attributes:
      codes: (attributes, n) unsigned integers.
      unit: (n,) int64 unit of each row. All rows of a unit lie in one partition, and its number means nothing outside.
      trained: (n,) booleans: the row is one of training, else of the holdout; None where nobody is held out.
      of_unit: (n,) int64 how many rows the row's unit has in the table, used or not; None where that is not asked.
    """

    codes: np.ndarray
    unit: np.ndarray
    trained: np.ndarray | None = None
    of_unit: np.ndarray | None = None

    def add_up(self, count: Callable[[CodedRows], S]) -> S:
        """Return what is counted in this partition (see `PartitionedRows`)."""
        return count(self)

    def derive(self, make: Callable[[CodedRows], CodedRows]) -> CodedRows:
        """Return the rows that a function makes of these (see `PartitionedRows`)."""
        return make(self)

    def gathered(self) -> CodedRows:
        """Return itself."""
        return self

    def chosen(self, rows: np.ndarray | slice) -> CodedRows:
        """Return some rows, by their indices or by (n,) booleans."""
        trained, of_unit = (None if known is None else known[rows] for known in (self.trained, self.of_unit))
        return CodedRows(self.codes[:, rows], self.unit[rows], trained, of_unit)

    def units(self) -> tuple[np.ndarray, int]:
        """Return (n,) indices of units without gaps, in the order of their numbers, and how many there are."""
        most = int(self.unit.max(initial=-1)) + 1
        if most <= 4 * len(self.unit) and self.unit.min(initial=0) >= 0:  # so few gaps that nothing need be sorted
            there = np.zeros(most, dtype=bool)
            there[self.unit] = True
            return (np.cumsum(there) - 1)[self.unit], int(there.sum())
        found, unit = np.unique(self.unit, return_inverse=True)
        return unit, len(found)

    def __repr__(self) -> str:
        return f"CodedRows({len(self.codes)} attributes)"


class PartitionedRows(Protocol):
    """Coded rows in one partition or several. Private."""

    def add_up(self, count: Callable[[CodedRows], S]) -> S:
        """Return the sum over partitions of what is counted in each.

        Args:
          count: a pure function of one partition, of a module or a `functools.partial` of one, that can be pickled. It
            returns what `partitions.sums.added` adds up.
        """
        ...

    def derive(self, make: Callable[[CodedRows], CodedRows]) -> PartitionedRows:
        """Return the rows that a function makes of each partition.

        Args:
          make: a pure function of one partition, that can be pickled like those that count.
        """
        ...

    def gathered(self) -> CodedRows:
        """Return all rows in one partition: memory grows with their number."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class InMemory:
    """Several partitions in memory, at least one. Private."""

    parts: tuple[CodedRows, ...]

    def add_up(self, count: Callable[[CodedRows], S]) -> S:
        """See `PartitionedRows`."""
        return reduce(added, (count(part) for part in self.parts))

    def derive(self, make: Callable[[CodedRows], CodedRows]) -> InMemory:
        """See `PartitionedRows`."""
        return InMemory(tuple(make(part) for part in self.parts))

    def gathered(self) -> CodedRows:
        """See `PartitionedRows`."""
        return together(self.parts)

    def __repr__(self) -> str:
        return f"InMemory({len(self.parts)} partitions)"


def together(parts: Sequence[CodedRows]) -> CodedRows:
    """Return the rows of partitions as one; their units are numbered without gaps, in the order of the partitions."""
    units, before = [], 0
    for part in parts:
        unit, count = part.units()
        units.append(unit + before)
        before += count
    return CodedRows(
        np.concatenate([part.codes for part in parts], axis=1),
        np.concatenate(units),
        _of_all([part.trained for part in parts]),
        _of_all([part.of_unit for part in parts]),
    )


def _of_all(known: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [of_part for of_part in known if of_part is not None]
    if len(there) not in (0, len(known)):
        raise ValueError("some partitions say which rows are of training, or how many their units have; others do not")
    return np.concatenate(there) if there else None


@dataclass(frozen=True)
class Histories:
    """How a table's rows follow each other, for a generator that learns histories. Public.

    Attributes:
      first: attributes that are drawn first, in this order: when a row is, before what it is.
      draw: a fitted model of the table and a number of rows -> (attributes, n) codes of about so many rows of histories
        drawn from it, with all that is given, and (n,) the person of each; post-processing.
    """

    first: tuple[int, ...]
    draw: Callable[[Any, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, repr=False)
class Encoded:
    """Private codes and public facts.

    Attributes:
      rows: the private rows, as codes.
      attributes: public description of each attribute.
      max_rows_per_unit: no unit has more rows than this.
      n_rows: the released (or declared) number of rows.
      columns: for each attribute, the index of its column.
      targets: attributes whose dependence on the others is what predictors need.
      protected: attributes of protected columns.
      books: attribute -> (size,) groups of its codes, by each declared code book over it; NULL is a group of its own.
      rows_per_unit: how many rows units have; None where each row is a unit.
      given: attributes that are known whenever rows are drawn, and need no model among themselves.
      prior: public rows that a model may start from; None if there are none.
      histories: how rows follow each other, in a table below that of the persons; else None.
    """

    rows: PartitionedRows
    attributes: tuple[Attribute, ...]
    max_rows_per_unit: int
    n_rows: float
    columns: tuple[int, ...]
    targets: tuple[int, ...] = ()
    protected: tuple[int, ...] = ()
    books: Mapping[int, tuple[np.ndarray, ...]] = field(default_factory=dict)
    rows_per_unit: RowsPerUnit | None = None
    given: frozenset[int] = frozenset()
    prior: PriorRows | None = None
    histories: Histories | None = None

    def add_up(self, count: Callable[[CodedRows], S]) -> S:
        """Return the sum over partitions of what is counted in each (see `PartitionedRows`). Private."""
        return self.rows.add_up(count)

    def gathered(self) -> CodedRows:
        """Return all rows in memory, for a generator that cannot do with counts. Private."""
        return self.rows.gathered()

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each attribute."""
        return [attribute.size for attribute in self.attributes]

    @property
    def unit_attribute(self) -> int | None:
        """The last attribute where it holds how many rows each row's unit has; None where there is no such one."""
        told = self.rows_per_unit is not None and self.rows_per_unit.n_codes > 1
        return len(self.attributes) - 1 if told else None

    def __repr__(self) -> str:
        return f"Encoded({len(self.attributes)} attributes)"
