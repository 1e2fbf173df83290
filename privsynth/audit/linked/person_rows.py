"""A person with all rows as one row: the person's own columns, and what sums up the rows of each other table.

Of each table: how many rows there are; of a number its mean, and the first and last value where rows have an order; of
a category the number of different values, and the first and last one. So one-table audits can judge whole persons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.linked.linked_tables import LinkedPersons, LinkedTables, Rows
from privsynth.findings.finding import Finding
from privsynth.schema.definition import TIME_KINDS

MAX_FEATURES = 80  # of a person; bounds memory and time of nearest neighbours (own)


def person_rows(tables: LinkedTables, context: AuditContext) -> AuditTables:
    """Return the tables as those of one-table audits, one row a person; shared by the audits of a run."""
    found: AuditTables = context.once("person_rows", lambda: _person_rows(tables))
    return found


def _person_rows(tables: LinkedTables) -> AuditTables:
    wanted = features(tables)
    frames = {name: _frame(tables, part, wanted) for name, part in tables.parts.items()}
    own = tables.columns(tables.root)
    roles = tables.roles.get(tables.root, {})
    return AuditTables(
        train=frames["train"],
        holdout=frames.get("holdout"),
        synthetic=frames["synthetic"],
        kinds={one.name: one.kind for one in wanted},
        roles={name: roles.get(name, ()) for name in own if name in frames["train"]},
        protected=tuple(name for name in own if "protected" in roles.get(name, ()) and name in frames["train"]),
        pool_in_train=tables.pool_in_train,
    )


@dataclass(frozen=True)
class Feature:
    """One column of a person's row.

    Attributes:
      table, column: what it sums up; no column for the number of rows.
      how: "own", "number", "mean", "first", "last" or "distinct".
      kind: of its values.
    """

    table: str
    column: str
    how: str
    kind: str

    @property
    def name(self) -> str:
        """Its name; own columns of a person keep theirs."""
        if self.how == "own":
            return self.column
        return f"{self.table}: {self.column}, {self.how}" if self.column else f"{self.table}: number"


def of_persons(finding: Finding, root: str, who: str) -> Finding:
    """Return the finding of a one-table audit on persons: its group begins with their table, its meaning with `who`."""
    meaning = finding.meaning if finding.value is None else f"{who}{finding.meaning}"
    return replace(finding, group=f"{root}: {finding.group}" if finding.group else root, meaning=meaning)


def features(tables: LinkedTables) -> list[Feature]:
    """Return what a person's row holds: a function of the columns alone.

    Own columns and numbers of rows come first; if there is too little room for the rest, each table gives as much.
    """
    root = tables.root
    found = [Feature(root, name, "own", tables.kinds[root].get(name, "categorical")) for name in tables.columns(root)]
    found += [Feature(name, "", "number", "integer") for name in tables.children]
    rest = [_of_table(tables, name) for name in tables.children]
    longest = max((len(one) for one in rest), default=0)
    found += [one[i] for i in range(longest) for one in rest if i < len(one)]
    return found[:MAX_FEATURES]


def _of_table(tables: LinkedTables, table: str) -> list[Feature]:
    found = []
    for column in tables.columns(table):
        kind = tables.kinds[table].get(column, "categorical")
        if tables.is_number(table, column) and kind not in TIME_KINDS:
            found.append(Feature(table, column, "mean", "numeric"))
        elif not tables.is_number(table, column):
            found.append(Feature(table, column, "distinct", "integer"))
        if table in tables.orders:
            found += [Feature(table, column, "first", kind), Feature(table, column, "last", kind)]
    return found


def _frame(tables: LinkedTables, part: LinkedPersons, wanted: list[Feature]) -> pd.DataFrame:
    order = {name: np.argsort(rows.person, kind="stable") for name, rows in part.rows.items()}
    columns = {one.name: _values(part, part.rows[one.table], one, order[one.table]) for one in wanted}
    return pd.DataFrame(columns, index=pd.RangeIndex(part.n))


def _values(part: LinkedPersons, rows: Rows, one: Feature, order: np.ndarray) -> pd.Series:
    """Return (persons,) values of a feature; missing for a person without rows."""
    if one.how == "own":
        return rows.frame[one.column].reset_index(drop=True)
    count = np.bincount(rows.person, minlength=part.n)
    if one.how == "number":
        return pd.Series(count.astype(np.float64))
    if one.how in ("first", "last"):
        end = np.cumsum(count)
        at = end - count if one.how == "first" else end - 1
        ends = rows.frame[one.column].iloc[order[at[count > 0]]]
        return ends.set_axis(np.flatnonzero(count > 0)).reindex(pd.RangeIndex(part.n))
    if one.how == "mean":
        cells = numbers(rows.frame[one.column])
        known = np.isfinite(cells)
        n = np.bincount(rows.person[known], minlength=part.n)
        total = np.bincount(rows.person[known], weights=cells[known], minlength=part.n)
        return pd.Series(np.where(n > 0, total / np.maximum(n, 1), np.nan))
    codes = pd.factorize(rows.frame[one.column])[0]
    seen = np.unique(np.stack([rows.person[codes >= 0], codes[codes >= 0]]), axis=1)[0]
    return pd.Series(np.where(count > 0, np.bincount(seen, minlength=part.n), np.nan))
