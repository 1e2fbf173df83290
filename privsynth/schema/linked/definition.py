"""`LinkedSchema`: the public shape of several tables that belong together, with one person as the privacy unit.

One table, the root, has a row for each person. Every other table has a parent and belongs to the person to whom its
parent's row belongs; or it is a reference table, which is public and passes through unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privsynth.errors import meant
from privsynth.schema.catalogue import Catalogue, CoveredPeriod, covered_period
from privsynth.schema.definition import (
    MAX_RULE_TEXT,
    MAX_RULES,
    NUMERIC_KINDS,
    TIME_KINDS,
    Column,
    DeclaredColumns,
    Noun,
    Schema,
)
from privsynth.schema.linked.keys import MAX_REFERENCES, KeyColumns, Parent, PartKind, Reference, part_kinds

MAX_TABLES = 100  # of a schema (own): a hospital's warehouse has some dozens that a person would declare
DEFAULT_MAX_CHILDREN = 50  # rows of a person that are used (own): noise does not grow with it, only work does
MAX_DEPTH = 6  # tables from the root to the last child (own)
# Names become names of files and of parts of the bill.
_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class LinkedTable(BaseModel):
    """What is publicly known of one of several linked tables.

    Attributes:
      key: the columns whose values together tell its rows apart; needed where it has children. None: it has no key.
      parent: the table that its rows belong to; none for the root and for reference tables.
      refers_to: rows beside the row above that its rows may refer to.
      order: the column of times or numbers that orders the rows of one parent; none where order means nothing. Times
        are told apart by the minute and numbers by hundredths, unless the column declares another precision.
      max_children: at most so many rows of one person are used, drawn at random.
      reference: a public table, which passes through unchanged.
      proposed: its links come from names of columns, or were chosen among several; a run waits until a person has
        confirmed them and removed this.
      columns: as in `Schema`.
      rules: sentences that hold in every row; `parent.column` names a column of the parent's row, `previous.column` one
        of the row before, under the same parent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: KeyColumns = ()
    parent: Parent | None = None
    refers_to: Annotated[tuple[Reference, ...], Field(max_length=MAX_REFERENCES)] = ()
    order: str | None = None
    max_children: Annotated[int, Field(ge=1, le=100_000)] = DEFAULT_MAX_CHILDREN
    reference: bool = False
    proposed: bool = False
    columns: DeclaredColumns = Field(default_factory=dict)
    rules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference and (self.parent or self.order or self.rules or self.refers_to):
            raise ValueError("a reference table is public: it has no parent, no order, no rules, and refers to nothing")
        if self.order is not None:
            if self.parent is None:
                raise ValueError("order needs a parent, whose rows it orders")
            kind = self.columns.get(self.order, Column()).kind
            if kind not in (*NUMERIC_KINDS, *TIME_KINDS):
                near = "" if self.order in self.columns else meant(self.order, self.columns)
                raise ValueError(
                    f"order needs the column '{self.order}' with a declared kind of numbers or times{near}"
                )
        if self.parent is not None and "row" in self.parent.columns:
            raise ValueError(
                "'row' stands for rows that are persons of their own; rename the column of the parent's key"
            )
        if self.order is not None and self.order in (*self.key, *(self.parent.columns if self.parent else ())):
            raise ValueError(
                f"'{self.order}' is part of a key and cannot be the order; rows whose key numbers them stand in order "
                "without one"
            )
        if not self.reference:
            part_kinds(self.key, self.parent, self.columns)
        taken = {*self.key, self.order}
        for reference in self.refers_to:
            own = self.own_columns(reference)
            if not own or (both := next((column for column in own if column in taken), None)):
                raise ValueError(
                    f"the reference to '{reference.table}' needs columns of its own"
                    + ("" if not own else f"; '{both}' is part of the key, the order, or another reference")
                )
            taken |= set(own)
        return self

    def own_columns(self, reference: Reference) -> tuple[str, ...]:
        """Return the columns of a reference that hold no part of the parent's key."""
        above = () if self.parent is None else self.parent.columns
        return tuple(column for column in reference.columns if column not in above)


class LinkedSchema(BaseModel):
    """The public shape of linked tables.

    Attributes:
      dataset: the name under which the ledger keeps the budget.
      unit_noun: what a person is called in a report, for example "patient".
      tables: name -> table.
      catalogue: for a record of the release in a data catalogue; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(default=None, min_length=1, max_length=200)
    unit_noun: Noun | None = None
    tables: dict[str, LinkedTable]
    catalogue: Catalogue | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 1 <= len(self.tables) <= MAX_TABLES:
            raise ValueError(f"tables must hold between 1 and {MAX_TABLES} tables")
        for name in self.tables:
            if not _TABLE_NAME.fullmatch(name):
                raise ValueError(f"'{name}' is no name of a table: use at most 64 letters, digits, '_' and '-'")
        roots = [name for name, table in self.tables.items() if table.parent is None and not table.reference]
        if len(roots) != 1:
            found = "no table has" if not roots else "'" + "' and '".join(sorted(roots)) + "' have"
            raise ValueError(
                f"exactly one table holds the persons and has no parent; here {found} none. Declare the parent of "
                "each other table, or that it is a reference table"
            )
        for name, table in self.tables.items():
            self._check_parent(name, table)
            for reference in table.refers_to:
                self._check_reference(name, reference)
            self._checked(name)
            if len(table.rules) > MAX_RULES or any(len(text) > MAX_RULE_TEXT for text in table.rules):
                raise ValueError(f"at most {MAX_RULES} rules a table, of at most {MAX_RULE_TEXT:,} characters each")
        self.period()
        return self

    def period(self) -> CoveredPeriod | None:
        """Return the period that the rows cover, by their catalogue's record; None if it names none."""
        columns = {f"{name}: {c}": column for name, table in self.tables.items() for c, column in table.columns.items()}
        return covered_period(self.catalogue, columns)

    def _checked(self, name: str) -> None:
        """Check one table's code books and rules."""
        try:
            self.rules_schema(name)
            self.of_table(name)
        except ValidationError as error:
            reason = str(error.errors(include_url=False, include_input=False)[0]["msg"]).removeprefix("Value error, ")
            raise ValueError(f"in the table '{name}', {reason}") from None

    def _check_parent(self, name: str, table: LinkedTable) -> None:
        seen, at = [name], table
        while at.parent is not None:
            above = self.tables.get(at.parent.table)
            if above is None or above.reference:
                near = meant(at.parent.table, [one for one, t in self.tables.items() if not t.reference])
                raise ValueError(
                    f"the parent '{at.parent.table}' of '{seen[-1]}' is no table that holds persons' rows{near}"
                )
            if not above.key:
                raise ValueError(f"'{at.parent.table}' has children and needs a key")
            if len(at.parent.columns) != len(above.key):
                raise ValueError(
                    f"the key of '{at.parent.table}' has {len(above.key)} columns, and '{seen[-1]}' has to name as many"
                )
            if at.parent.table in seen or len(seen) > MAX_DEPTH:
                raise ValueError(f"the parents of '{name}' do not lead to the table of persons in {MAX_DEPTH} steps")
            seen.append(at.parent.table)
            at = above

    def _check_reference(self, name: str, reference: Reference) -> None:
        """Raise a `ValueError` if a reference cannot be followed."""
        where, target = f"'{name}' refers to '{reference.table}'", self.tables.get(reference.table)
        if target is None:
            raise ValueError(f"{where}, which is no table of the schema{meant(reference.table, self.tables)}")
        if target.reference:
            raise ValueError(f"{where}, which is public: such a column is like others, so declare its categories")
        if len(target.key) != len(reference.columns):
            raise ValueError(f"{where}, whose key has {len(target.key)} columns; name as many, in the same order")
        if reference.whose == "own" and target.parent is None:
            raise ValueError(
                f"{where}, which holds the persons: that would be a row of another person. Write 'whose: another', by "
                "which is learned only whether there is one, or leave the reference out"
            )
        shared = set(reference.columns) - set(self.tables[name].own_columns(reference))
        if shared and reference.whose == "another":
            raise ValueError(f"{where} of another person, and needs columns of its own for all of that key")
        self.shared(name, reference)

    def shared(self, name: str, reference: Reference) -> str:
        """Return the table of which a row of another table and the row that it refers to have the same row above them.

        It is the table of persons, unless columns of the parent's key are part of the reference, too.

        Raises:
          ValueError: such a column means something else in the key that is referred to.
        """
        parent, found = self.tables[name].parent, self.root
        for column, part in zip(reference.columns, self.tables[reference.table].key, strict=True):
            if parent is None or column not in parent.columns:
                continue
            here = self.origin(parent.table, self.tables[parent.table].key[parent.columns.index(column)])
            if here != self.origin(reference.table, part) or here[0] == reference.table:
                raise ValueError(
                    f"'{column}' of '{name}' holds a part of the parent's key, and '{part}' in the key of "
                    f"'{reference.table}' is another; refer by columns of their own"
                )
            found = max(found, here[0], key=self.depth)
        return found

    def origin(self, table: str, part: str) -> tuple[str, str]:
        """Return the table and the column in which a part of a key is first written."""
        parent = self.tables[table].parent
        if parent is None or self.parts(table)[part] != "above":
            return table, part
        return self.origin(parent.table, self.tables[parent.table].key[parent.columns.index(part)])

    @cached_property
    def root(self) -> str:
        """The table of persons."""
        return next(name for name, table in self.tables.items() if table.parent is None and not table.reference)

    @property
    def person(self) -> str:
        """What names a person: the columns of the root's key, or "row"."""
        return ", ".join(self.tables[self.root].key) or "row"

    @cached_property
    def modelled(self) -> tuple[str, ...]:
        """The tables that are learned, parents before children, else in the order of the schema."""
        return tuple(sorted((n for n, t in self.tables.items() if not t.reference), key=self.depth))

    @property
    def references(self) -> tuple[str, ...]:
        """The public tables."""
        return tuple(name for name, table in self.tables.items() if table.reference)

    def depth(self, name: str) -> int:
        """Return how many parents a table has above it."""
        return len(self.ancestors(name))

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the tables above one, the root first."""
        parent = self.tables[name].parent
        return () if parent is None else (*self.ancestors(parent.table), parent.table)

    def children(self, name: str) -> tuple[str, ...]:
        """Return the tables whose parent is this one."""
        return tuple(n for n, t in self.tables.items() if t.parent is not None and t.parent.table == name)

    def parts(self, name: str) -> dict[str, PartKind]:
        """Return column -> what it is written as, for each part of a table's key."""
        table = self.tables[name]
        return part_kinds(table.key, table.parent, table.columns)

    def number_part(self, name: str) -> str | None:
        """Return the part of a table's key that numbers the rows of one parent; None if there is none."""
        return next((part for part, kind in self.parts(name).items() if kind == "number"), None)

    def surrogates(self, name: str) -> dict[str, Column]:
        """Return the parts of a table's key that become surrogates, with what is declared of them."""
        columns = self.tables[name].columns
        return {
            part: columns.get(part, Column(kind="id")) for part, kind in self.parts(name).items() if kind == "surrogate"
        }

    def links(self, name: str) -> Iterator[str]:
        """Yield the columns of a table that hold keys and are not modelled: its own, its parent's, of references."""
        table = self.tables[name]
        found = [part for part, kind in self.parts(name).items() if kind != "column"]
        found += [] if table.parent is None else table.parent.columns
        found += [column for reference in table.refers_to for column in reference.columns]
        yield from dict.fromkeys(found)

    def rules_schema(self, name: str) -> Schema:
        """Return what the rules of a table may speak of: its columns, those of the row above and of the row before.

        Raises:
          ValueError: a rule cannot be read, or names a column that is not declared.
        """
        table = self.tables[name]
        columns = dict(table.columns)
        if table.parent is not None:
            columns |= _prefixed(self.tables[table.parent.table].columns, "parent")
            columns |= _prefixed(table.columns, "previous")
        return Schema(columns=columns if table.columns else {}, rules=table.rules)

    def of_table(self, name: str) -> Schema:
        """Return what is declared of one table by itself: without rules that name other rows."""
        table = self.tables[name]
        hidden = set(self.links(name))
        # Rows without a whole key are not used, so that no part of one is missing.
        own = {n: c.model_copy(update={"nullable": False}) if n in table.key else c for n, c in table.columns.items()}
        columns = {**self.surrogates(name), **{n: c for n, c in own.items() if n not in hidden}}
        return Schema(columns=columns, rules=tuple(r for r in table.rules if not names_other_rows(r)))


def _prefixed(columns: Mapping[str, Column], prefix: str) -> dict[str, Column]:
    """Return columns as rules of rows below or after name them; what they follow from is no part of a rule."""
    return {f"{prefix}.{name}": column.model_copy(update={"follows": None}) for name, column in columns.items()}


def names_other_rows(rule: str) -> bool:
    """Return whether a rule names a column of the parent's row or of the row before."""
    return re.search(r"(?<![\w.`'\"])`?(?:parent|previous)\.\w", rule) is not None
