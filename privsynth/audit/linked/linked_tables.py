"""The input of the audits of linked tables: three groups of persons with all their rows, and the kinds of columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers
from privsynth.errors import ConfigError
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS


@dataclass(frozen=True, repr=False, eq=False)
class Rows:
    """The rows of one table that belong to persons; those of one parent stand one after the other, in their order.

    Attributes:
      frame: (n, columns) values, in the types of `AuditTables`.
      person: (n,) the row's person, from 0.
      parent: (n,) its row in the parent table; −1 in the root.
    """

    frame: pd.DataFrame
    person: np.ndarray
    parent: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    @property
    def is_first(self) -> np.ndarray:
        """(n,) booleans: no row of the same parent comes before it."""
        first = np.ones(len(self), dtype=bool)
        first[1:] = self.parent[1:] != self.parent[:-1]
        return first

    @property
    def place(self) -> np.ndarray:
        """(n,) how many rows of the same parent come before it."""
        at = np.arange(len(self))
        starts = np.where(self.is_first, at, 0)
        return at - np.maximum.accumulate(starts) if len(self) else at

    @property
    def followed(self) -> np.ndarray:
        """Rows that another one of the same parent follows; that is the next row."""
        return np.flatnonzero(~self.is_first) - 1


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What is wrong with a table as it is written; None where there is nothing to be wrong.

    Attributes:
      n_rows: of the table.
      orphans: rows that lead to no row of the parent table.
      repeated: rows whose key an earlier row has.
      disordered: rows that stand directly after a later one of the same parent.
      dangling: columns of a reference -> rows whose reference leads to no row that it may lead to.
    """

    n_rows: int
    orphans: int | None = None
    repeated: int | None = None
    disordered: int | None = None
    dangling: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, repr=False, eq=False)
class LinkedPersons:
    """Persons with all their rows. Row i of the root table is person i.

    Attributes:
      rows: table -> rows, parents before children.
      faults: table -> what is wrong with it as it is written; of a release alone, and of all its rows.
    """

    rows: Mapping[str, Rows]
    faults: Mapping[str, Faults] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of persons."""
        return len(next(iter(self.rows.values())))

    def number_of_rows(self, table: str) -> np.ndarray:
        """Return (n,) how many rows of a table each person has."""
        return np.bincount(self.rows[table].person, minlength=self.n)

    def take(self, persons: np.ndarray, above: Mapping[str, str]) -> LinkedPersons:
        """Return some of the persons, with all their rows.

        Args:
          persons: sorted, each once.
          above: table -> its parent.
        """
        chosen = np.zeros(self.n, dtype=bool)
        chosen[persons] = True
        new_person = np.cumsum(chosen) - 1
        found: dict[str, Rows] = {}
        places: dict[str, np.ndarray] = {}
        for table, rows in self.rows.items():
            kept = np.flatnonzero(chosen[rows.person])
            number = np.full(len(rows), -1, dtype=np.int64)
            number[kept] = np.arange(len(kept))
            places[table] = number
            parent = rows.parent[kept] if table not in above else places[above[table]][rows.parent[kept]]
            frame = rows.frame.iloc[kept].reset_index(drop=True)
            found[table] = Rows(frame, new_person[rows.person[kept]], parent)
        return replace(self, rows=found)


@dataclass(frozen=True, repr=False, eq=False)
class KeyedReference:
    """References of one table's rows, as they are written.

    Attributes:
      table: to whose rows.
      columns: that hold them, for a message.
      key: (n,) the keys of the rows that are referred to; missing where there is no reference.
      of_person: only rows of the same person may be referred to, and no row refers to itself.
    """

    table: str
    columns: str
    key: pd.Series
    of_person: bool


@dataclass(frozen=True, repr=False, eq=False)
class KeyedRows:
    """One table as it is written, and as a recipient finds it.

    Attributes:
      frame: (n, columns) values.
      key: (n,) its own keys; None if it has none.
      parent: (n,) the keys of the rows above; None in the root.
      order: the column that orders the rows of one parent; "" for none.
      references: beside the parent.
    """

    frame: pd.DataFrame
    key: pd.Series | None = None
    parent: pd.Series | None = None
    order: str = ""
    references: Sequence[KeyedReference] = ()


def one_key(parts: Sequence[pd.Series]) -> pd.Series:
    """Return (n,) keys as one value each: of one part itself, of several a text; missing where a part is."""
    if len(parts) == 1:
        return parts[0]
    texts = [part.astype(object).map(str) for part in parts]
    whole = pd.Series([json.dumps(key) for key in zip(*texts, strict=True)], dtype=object)  # no two are spelled alike
    return whole.where(np.logical_and.reduce([part.notna().to_numpy() for part in parts]))


def people_by_keys(tables: Mapping[str, KeyedRows], above: Mapping[str, str]) -> LinkedPersons:
    """Return the persons, and what is wrong with keys and order; orphans and rows below them are left out.

    Args:
      tables: parents before children.
      above: table -> its parent.
    """
    found: dict[str, Rows] = {}
    kept: dict[str, np.ndarray] = {}  # table -> (n,) the number of each written row among those of persons, or −1
    faults: dict[str, Faults] = {}
    for name, table in tables.items():
        repeated = None if table.key is None else int(table.key.duplicated().sum())
        faults[name] = Faults(n_rows=len(table.frame), repeated=repeated)
        if name not in above:
            everyone = np.arange(len(table.frame))
            kept[name] = everyone
            found[name] = Rows(table.frame, everyone, np.full(len(everyone), -1))
            continue
        assert table.parent is not None
        parent = _resolve(tables[above[name]], table.parent)
        faults[name] = replace(faults[name], orphans=int((parent < 0).sum()))
        parent = np.where(parent < 0, -1, kept[above[name]][parent])
        rows = np.flatnonzero(parent >= 0)
        order = np.argsort(parent[rows], kind="stable")
        if table.order:
            values = numbers(table.frame[table.order])
            late = _disordered(parent[rows[order]], values[rows[order]])
            faults[name] = replace(faults[name], disordered=late)
            order = np.lexsort((values[rows], parent[rows]))  # missing ones last
        at = rows[order]
        kept[name] = np.full(len(parent), -1)
        kept[name][at] = np.arange(len(at))
        person = found[above[name]].person[parent[at]]
        found[name] = Rows(table.frame.iloc[at].reset_index(drop=True), person, parent[at])
    persons = {name: np.append(rows.person, -1)[kept[name]] for name, rows in found.items()}
    for name, table in tables.items():
        dangling = {one.columns: _dangling(one, name, tables, persons) for one in table.references}
        faults[name] = replace(faults[name], dangling=dangling)
    return LinkedPersons(found, faults)


def _dangling(
    reference: KeyedReference, name: str, tables: Mapping[str, KeyedRows], persons: Mapping[str, np.ndarray]
) -> int:
    """Return how many references lead to no row, or to one that they may not lead to.

    Args:
      persons: table -> (n,) the person of each written row, −1 for nobody.
    """
    target = _resolve(tables[reference.table], reference.key)
    good = target >= 0
    if reference.of_person and len(persons[reference.table]):
        good &= persons[reference.table][target] == persons[name]
        if reference.table == name:
            good &= target != np.arange(len(target))
    return int((reference.key.notna().to_numpy() & ~good).sum())


def _resolve(above: KeyedRows, asked: pd.Series) -> np.ndarray:
    """Return (n,) the written row of a table that each key leads to; −1 for none."""
    assert above.key is not None
    first = ~above.key.duplicated() & above.key.notna()
    places = pd.Series(np.flatnonzero(first), index=above.key[first].to_numpy())
    return np.asarray(asked.map(places).fillna(-1).to_numpy(), dtype=np.int64)


def _disordered(parent: np.ndarray, values: np.ndarray) -> int:
    """Return how many rows come, as written, after a row of the same parent that is later."""
    same = parent[1:] == parent[:-1]
    with np.errstate(invalid="ignore"):  # missing values say nothing
        return int((same & (values[1:] < values[:-1])).sum())


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class LinkedTables:
    """Real and synthetic persons, side by side. Everything here but `synthetic` is private.

    Attributes:
      train: the persons that the generator saw, with all their rows.
      holdout: persons of the same population that it did not see; None if there are none.
      synthetic: the persons of the release.
      root: the table of persons.
      above: table -> its parent, of all tables but the root.
      orders: table -> the column that orders the rows of one parent, of tables that have one.
      kinds: table -> column -> kind, as in `AuditTables`.
      roles: table -> column -> roles.
      pool_in_train: (training persons,) booleans, as in `AuditTables`; None: there was no such pool.
      thinned: a sentence that says how persons were thinned; "" if they were not.
    Raises:
      ConfigError: the three have different tables or columns.
    """

    train: LinkedPersons
    holdout: LinkedPersons | None
    synthetic: LinkedPersons
    root: str
    above: Mapping[str, str]
    orders: Mapping[str, str]
    kinds: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    pool_in_train: np.ndarray | None = None
    thinned: str = ""

    def __post_init__(self) -> None:
        for part in self.parts.values():
            if list(part.rows) != list(self.train.rows):
                raise ConfigError("the tables of training, holdout and synthetic persons differ; align them first")
            for name, rows in part.rows.items():
                if list(rows.frame.columns) != self.columns(name):
                    raise ConfigError(f"the columns of '{name}' differ between training, holdout and synthetic persons")
        if self.pool_in_train is not None and len(self.pool_in_train) != self.train.n:
            raise ConfigError("pool_in_train must have one entry for each training person")

    def __repr__(self) -> str:
        """Show the number of tables, never a value or a number of rows."""
        return f"LinkedTables({len(self.train.rows)} tables)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("LinkedTables holds private rows and is never pickled")

    @property
    def parts(self) -> dict[str, LinkedPersons]:
        """The three, by name; without a holdout that is empty."""
        held = {} if self.holdout is None or self.holdout.n == 0 else {"holdout": self.holdout}
        return {"train": self.train, **held, "synthetic": self.synthetic}

    @property
    def children(self) -> list[str]:
        """All tables but the root, parents first."""
        return [name for name in self.train.rows if name != self.root]

    def columns(self, table: str) -> list[str]:
        """Return the compared columns of a table, in its order."""
        return [str(name) for name in self.train.rows[table].frame.columns]

    def is_number(self, table: str, column: str) -> bool:
        """Return whether a column holds numbers or times."""
        return self.kinds[table].get(column, "categorical") in (*NUMERIC_KINDS, *TIME_KINDS)

    def ancestors(self, table: str) -> list[str]:
        """Return the tables above one, its parent first."""
        found = []
        while table in self.above:
            table = self.above[table]
            found.append(table)
        return found

    def of_above(self, part: LinkedPersons, table: str, ancestor: str) -> np.ndarray:
        """Return (n,) for each row of a table its row in a table above it."""
        at = np.arange(len(part.rows[table]))
        while table != ancestor:
            at, table = part.rows[table].parent[at], self.above[table]
        return at

    def person_frame(self) -> AuditTables:
        """Return the root table as the tables of an audit, one row a person."""
        frames = {name: part.rows[self.root].frame for name, part in self.parts.items()}
        return AuditTables(
            train=frames["train"],
            holdout=frames.get("holdout"),
            synthetic=frames["synthetic"],
            kinds=self.kinds[self.root],
            pool_in_train=self.pool_in_train,
        )

    def fewer(self, *, persons: int, rows: int, rng: np.random.Generator) -> LinkedTables:
        """Return the tables cut to at most so many persons on a side, and about so many rows of a table.

        Persons are drawn whole and at random. Those of the audit pool are drawn in training and holdout in the same
        way, see `AuditTables.drawn`.
        """
        longest = max(len(table) for part in self.parts.values() for table in part.rows.values())
        most = max(part.n for part in self.parts.values())
        per_person = max(
            (len(table) / part.n for part in self.parts.values() if part.n for table in part.rows.values()), default=1.0
        )
        at_most = min(persons, most if longest <= rows else max(1, int(rows / per_person)))
        if most <= at_most:
            return self
        train, held, ours = self.person_frame().drawn(at_most, rng)
        return replace(
            self,
            train=self.train.take(train, self.above),
            holdout=None if self.holdout is None else self.holdout.take(held, self.above),
            synthetic=self.synthetic.take(ours, self.above),
            pool_in_train=None if self.pool_in_train is None else self.pool_in_train[train],
            thinned=f"At most {at_most:,} persons on a side, drawn at random with all their rows, were audited.",
        )
