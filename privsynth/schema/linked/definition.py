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

from privsynth.schema.definition import (
    MAX_RULE_TEXT,
    MAX_RULES,
    NUMERIC_KINDS,
    TIME_KINDS,
    Column,
    DeclaredColumns,
    Schema,
)

MAX_TABLES = 100  # of a schema (own): a hospital's warehouse has some dozens that a person would declare
DEFAULT_MAX_CHILDREN = 50  # rows of a person that are used (own): noise does not grow with it, only work does
MAX_DEPTH = 6  # tables from the root to the last child (own)
# Names become names of files and of parts of the bill.
_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Parent(BaseModel):
    """Which table a table's rows belong to.

    Attributes:
      table: the parent.
      column: the column of this table that holds the parent's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    column: str


class LinkedTable(BaseModel):
    """What is publicly known of one of several linked tables.

    Attributes:
      key: the column whose value tells its rows apart; needed where it has children.
      parent: the table that its rows belong to; none for the root and for reference tables.
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

    key: str | None = None
    parent: Parent | None = None
    order: str | None = None
    max_children: Annotated[int, Field(ge=1, le=100_000)] = DEFAULT_MAX_CHILDREN
    reference: bool = False
    proposed: bool = False
    columns: DeclaredColumns = Field(default_factory=dict)
    rules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.reference and (self.parent or self.order or self.rules):
            raise ValueError("a reference table is public: it has no parent, no order and no rules")
        if self.order is not None:
            if self.parent is None:
                raise ValueError("order needs a parent, whose rows it orders")
            kind = self.columns.get(self.order, Column()).kind
            if kind not in (*NUMERIC_KINDS, *TIME_KINDS):
                raise ValueError(f"order needs the column '{self.order}' with a declared kind of numbers or times")
        if self.parent is not None and self.parent.column == "row":
            raise ValueError(
                "'row' stands for rows that are persons of their own; rename the column of the parent's key"
            )
        if self.parent is not None and self.parent.column in (self.key, self.order):
            raise ValueError(f"'{self.parent.column}' holds the parent's key, and can be neither key nor order")
        return self


class LinkedSchema(BaseModel):
    """The public shape of linked tables.

    Attributes:
      dataset: the name under which the ledger keeps the budget.
      tables: name -> table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(default=None, min_length=1, max_length=200)
    tables: dict[str, LinkedTable]

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
            own = self._checked(name)
            if len(table.rules) > MAX_RULES or any(len(text) > MAX_RULE_TEXT for text in table.rules):
                raise ValueError(f"at most {MAX_RULES} rules a table, of at most {MAX_RULE_TEXT:,} characters each")
            if own.columns and table.key is not None and table.key not in own.columns:
                raise ValueError(f"the key '{table.key}' of '{name}' is not among its columns")
        return self

    def _checked(self, name: str) -> Schema:
        """Return one table's schema, once its code books and its rules are checked."""
        try:
            self.rules_schema(name)
            return self.of_table(name)
        except ValidationError as error:
            reason = str(error.errors(include_url=False, include_input=False)[0]["msg"]).removeprefix("Value error, ")
            raise ValueError(f"in the table '{name}', {reason}") from None

    def _check_parent(self, name: str, table: LinkedTable) -> None:
        seen, at = [name], table
        while at.parent is not None:
            above = self.tables.get(at.parent.table)
            if above is None or above.reference:
                raise ValueError(f"the parent '{at.parent.table}' of '{seen[-1]}' is no table that holds persons' rows")
            if above.key is None:
                raise ValueError(f"'{at.parent.table}' has children and needs a key")
            if at.parent.table in seen or len(seen) > MAX_DEPTH:
                raise ValueError(f"the parents of '{name}' do not lead to the table of persons in {MAX_DEPTH} steps")
            seen.append(at.parent.table)
            at = above

    @cached_property
    def root(self) -> str:
        """The table of persons."""
        return next(name for name, table in self.tables.items() if table.parent is None and not table.reference)

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

    def links(self, name: str) -> Iterator[str]:
        """Yield the columns of a table that hold keys: its own and its parent's."""
        table = self.tables[name]
        if table.key is not None:
            yield table.key
        if table.parent is not None:
            yield table.parent.column

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
        columns = {n: c for n, c in table.columns.items() if n not in set(self.links(name))}
        if table.key is not None:
            columns = {table.key: table.columns.get(table.key, Column(kind="id")), **columns}
        return Schema(columns=columns, rules=tuple(r for r in table.rules if not names_other_rows(r)))


def _prefixed(columns: Mapping[str, Column], prefix: str) -> dict[str, Column]:
    """Return columns as rules of rows below or after name them; what they follow from is no part of a rule."""
    return {f"{prefix}.{name}": column.model_copy(update={"follows": None}) for name, column in columns.items()}


def names_other_rows(rule: str) -> bool:
    """Return whether a rule names a column of the parent's row or of the row before."""
    return re.search(r"(?<![\w.`'\"])`?(?:parent|previous)\.\w", rule) is not None
