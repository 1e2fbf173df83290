"""What is compared of linked tables: sets of columns, of one row, of a row and those above it, or of two in a row.

A view is a table of codes with the person of each of its rows. Coders are fitted on the training persons, so that all
of it is the officer's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import numbers, thin
from privsynth.audit.common.discretise import Coder, encode, fit_coder, fit_coders
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.linked_tables import LinkedPersons, LinkedTables
from privsynth.audit.linked.person_rows import person_rows
from privsynth.schema.definition import TIME_KINDS

MAX_MARGINALS = 400  # of a view; bounds the time (own)
MOST_CHILDREN = 60  # of a parent that are told apart; more count as one case (own)
PLACES = np.array([1, 2, 4, 8])  # first places after the first, second, third and fifth: 1, 2, 3-4, 5-8, 9 and more


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CodedView:
    """Sets of columns of one kind, of one table.

    Attributes:
      table: that they are of.
      name: of the findings, for example `transition_distance`.
      words: what a set is, in the plural.
      columns: names of the coded columns. sizes: their numbers of codes.
      marginals: the compared sets, by number of the column.
      codes: part -> (columns, n) codes.
      persons: part -> (n,) the person of each row.
      n_persons: part -> number of persons.
      of_all: how many sets there are; `marginals` may be some of them.
      values: column number -> texts of its codes, for a picture.
    """

    table: str
    name: str
    words: str
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    marginals: list[tuple[int, ...]]
    codes: Mapping[str, np.ndarray]
    persons: Mapping[str, np.ndarray]
    n_persons: Mapping[str, int]
    of_all: int
    values: Mapping[int, list[str]]

    def group(self, marginal: tuple[int, ...]) -> str:
        """Return the name of a set: its table, then its columns."""
        return f"{self.table}: {' × '.join(self.columns[c] for c in marginal)}"

    @property
    def family(self) -> str:
        """Section of the report."""
        return "fidelity" if self.name.startswith("tvd_") else "histories"

    @property
    def is_single(self) -> bool:
        """Whether it is of one set alone, whatever the columns."""
        return self.name == "children_distance"

    @property
    def speaks(self) -> bool:
        """Whether there is a set, and a row in training and in the release."""
        return bool(self.marginals) and min(len(self.persons["train"]), len(self.persons["synthetic"])) > 0


@dataclass(frozen=True, repr=False, eq=False)
class _Sets:
    """The sets of a view before some are chosen: fields as in `CodedView`."""

    name: str
    words: str
    columns: Sequence[str]
    sizes: Sequence[int]
    marginals: Sequence[tuple[int, ...]]
    codes: Mapping[str, np.ndarray]


@dataclass(frozen=True, repr=False, eq=False)
class TableCodes:
    """The codes of one table: its coders, and part -> (columns, n) codes."""

    columns: tuple[str, ...]
    coders: tuple[Coder, ...]
    codes: Mapping[str, np.ndarray]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each column."""
        return tuple(coder.size for coder in self.coders)


def table_codes(tables: LinkedTables, table: str, context: AuditContext) -> TableCodes:
    """Return the codes of a table, shared by the views of a run."""

    def compute() -> TableCodes:
        columns = tables.columns(table)
        frame = tables.train.rows[table].frame
        coders = tuple(fit_coder(frame[name], is_number=tables.is_number(table, name)) for name in columns)
        codes = {name: encode(part.rows[table].frame, coders) for name, part in tables.parts.items()}
        return TableCodes(tuple(columns), coders, codes)

    found: TableCodes = context.once(("table_codes", table), compute)
    return found


class Views:
    """Makes the views of linked tables."""

    def __init__(self, tables: LinkedTables, context: AuditContext, rng: np.random.Generator) -> None:
        self._tables, self._context, self._rng = tables, context, rng

    def of_rows(self, table: str) -> Iterator[CodedView]:
        """Yield single columns of a table's rows and pairs of them, as far as there are."""
        for ways in (1, 2):
            if len(self._tables.columns(table)) >= ways:
                yield self.within(table, ways)

    def of_histories(self, *, pairs: bool) -> Iterator[CodedView]:
        """Yield what belongs together across rows and tables, as far as the tables have it.

        Args:
          pairs: also those of the figures that sum up a person.
        """
        tables = self._tables
        for table in tables.children:
            yield self.children(table)
            if not tables.columns(table):
                continue
            yield self.parents(table)
            if table in tables.orders:
                yield self.places(table)
                yield self.transitions(table)
                if tables.orders[table] in tables.columns(table):
                    yield self.gaps(table)
        if tables.children:
            yield from (self.aggregates(ways) for ways in ((1, 2) if pairs else (1,)))

    def within(self, table: str, ways: int) -> CodedView:
        """Return single columns, or pairs, of one row."""
        own = self._codes(table)
        sets = list(combinations(range(len(own.columns)), ways))
        words = "single columns" if ways == 1 else "pairs of columns of one row"
        return self._view(table, _Sets(f"tvd_{ways}way", words, own.columns, own.sizes, sets, own.codes))

    def children(self, table: str) -> CodedView:
        """Return the number of rows of a table that each row of its parent has."""
        above = self._tables.above[table]
        values = [*map(str, range(MOST_CHILDREN)), f"{MOST_CHILDREN} or more"]
        codes = {}
        for name, part in self._tables.parts.items():
            counts = np.bincount(part.rows[table].parent, minlength=len(part.rows[above]))
            codes[name] = np.minimum(counts, MOST_CHILDREN)[None].astype(np.int32)
        return CodedView(
            table=table,
            name="children_distance",
            words=f"the number of rows for each row of {above}",
            columns=("number of rows",),
            sizes=(MOST_CHILDREN + 1,),
            marginals=[(0,)],
            codes=codes,
            persons={name: part.rows[above].person for name, part in self._tables.parts.items()},
            n_persons=self._n_persons(),
            of_all=1,
            values={0: values},
        )

    def parents(self, table: str) -> CodedView:
        """Return pairs of a column of a row and a column of a row above it."""
        own, above = self._codes(table), self._tables.ancestors(table)
        sides = [(name, self._codes(name)) for name in above]
        columns = [*own.columns, *(f"{name}.{column}" for name, one in sides for column in one.columns)]
        sizes = [*own.sizes, *(size for _, one in sides for size in one.sizes)]
        codes = {}
        for name, part in self._tables.parts.items():
            rows = [one.codes[name][:, self._tables.of_above(part, table, ancestor)] for ancestor, one in sides]
            codes[name] = np.concatenate([own.codes[name], *rows])
        sets = [(up, down) for up in range(len(own.columns), len(columns)) for down in range(len(own.columns))]
        words = "pairs of a column and one of a row above"
        return self._view(table, _Sets("parent_distance", words, columns, sizes, sets, codes))

    def places(self, table: str) -> CodedView:
        """Return pairs of a column and the place of the row among those of its parent."""
        own = self._codes(table)
        codes = {}
        for name, part in self._tables.parts.items():
            place = np.searchsorted(PLACES, part.rows[table].place, side="right").astype(np.int32)
            codes[name] = np.concatenate([own.codes[name], place[None]])
        sets = [(c, len(own.columns)) for c in range(len(own.columns))]
        columns, sizes = (*own.columns, "place"), (*own.sizes, len(PLACES) + 1)
        words = "pairs of a column and the place"
        return self._view(table, _Sets("place_distance", words, columns, sizes, sets, codes))

    def transitions(self, table: str) -> CodedView:
        """Return pairs of a column in one row and in the next."""
        own, count = self._codes(table), len(self._codes(table).columns)
        codes = {}
        for name, part in self._tables.parts.items():
            at = part.rows[table].followed
            codes[name] = np.concatenate([own.codes[name][:, at], own.codes[name][:, at + 1]])
        columns = (*own.columns, *(f"next {column}" for column in own.columns))
        sets = [(c, count + c) for c in range(count)]
        words = "pairs of a column and the same one in the next row"
        found = _Sets("transition_distance", words, columns, own.sizes * 2, sets, codes)
        return self._view(table, found, followed=True)

    def gaps(self, table: str) -> CodedView:
        """Return the gap from a row to the next, and pairs of the gap and a column."""
        own, order = self._codes(table), self._tables.orders[table]
        gaps = {name: gaps_of(part, table, order) for name, part in self._tables.parts.items()}
        coder = fit_coder(pd.Series(gaps["train"]), is_number=True)
        codes = {}
        for name, part in self._tables.parts.items():
            at = part.rows[table].followed
            gap = coder.apply(pd.Series(gaps[name]))
            codes[name] = np.concatenate([own.codes[name][:, at], gap[None]])
        columns, sizes = (*own.columns, "gap"), (*own.sizes, coder.size)
        last = len(own.columns)
        sets = [(last,), *((c, last) for c in range(last))]
        words = "the gap to the next row, alone and with each column"
        return self._view(table, _Sets("gap_distance", words, columns, sizes, sets, codes), followed=True)

    def aggregates(self, ways: int) -> CodedView:
        """Return single columns, or pairs, of what sums up a person with all rows."""
        persons = person_rows(self._tables, self._context)
        coders: list[Coder] = self._context.once("person_coders", lambda: fit_coders(persons))
        frames = {"train": persons.train, "holdout": persons.holdout, "synthetic": persons.synthetic}
        codes = {name: encode(frame, coders) for name, frame in frames.items() if frame is not None}
        sets = list(combinations(range(len(coders)), ways))
        chosen = [sets[i] for i in thin(len(sets), MAX_MARGINALS, self._rng)]
        kinds = "single figures" if ways == 1 else "pairs of figures"
        return CodedView(
            table=self._tables.root,
            name=f"aggregate_{ways}way",
            words=f"{kinds} that sum up a person",
            columns=tuple(persons.columns),
            sizes=tuple(coder.size for coder in coders),
            marginals=chosen,
            codes=codes,
            persons={name: np.arange(frame.shape[1]) for name, frame in codes.items()},
            n_persons=self._n_persons(),
            of_all=len(sets),
            values={},
        )

    def _codes(self, table: str) -> TableCodes:
        return table_codes(self._tables, table, self._context)

    def _n_persons(self) -> dict[str, int]:
        return {name: part.n for name, part in self._tables.parts.items()}

    def _view(self, table: str, sets: _Sets, *, followed: bool = False) -> CodedView:
        persons = {}
        for part, people in self._tables.parts.items():
            rows = people.rows[table]
            persons[part] = rows.person[rows.followed] if followed else rows.person
        own, kinds = self._codes(table), self._tables.kinds[table]
        return CodedView(
            table=table,
            name=sets.name,
            words=sets.words,
            columns=tuple(sets.columns),
            sizes=tuple(sets.sizes),
            marginals=[sets.marginals[i] for i in thin(len(sets.marginals), MAX_MARGINALS, self._rng)],
            codes=sets.codes,
            persons=persons,
            n_persons=self._n_persons(),
            of_all=len(sets.marginals),
            values={
                i: code_names(coder, is_time=kinds.get(name, "") in TIME_KINDS)
                for i, (name, coder) in enumerate(zip(own.columns, own.coders, strict=True))
            },
        )


def gaps_of(part: LinkedPersons, table: str, order: str) -> np.ndarray:
    """Return how much later the next row is (seconds or units of the order), for the rows that have one."""
    at, values = part.rows[table].followed, numbers(part.rows[table].frame[order])
    return values[at + 1] - values[at]


def code_names(coder: Coder, *, is_time: bool) -> list[str]:
    """Return the texts of a column's codes: values, or the bins of a number or a time."""

    def text(value: object) -> str:
        if not coder.is_number:
            return str(value)
        number = float(value)  # type: ignore[arg-type]
        return str(np.datetime64(int(number), "s"))[:10] if is_time else f"{number:.4g}"

    if coder.values is not None:
        return [*map(text, coder.values), "other", "missing"]
    assert coder.edges is not None
    edges = [text(edge) for edge in coder.edges]
    return [*(f"≤ {edge}" for edge in edges), f"> {edges[-1]}" if edges else "any", "other", "missing"]
