"""What a public table tells before anything is bought: kinds, categories and bins, and rows coded by them.

Nothing here reads a private row. The public rows go through the very functions that learn from private ones, with
mechanisms that add nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import CategoryCodec, ColumnCodec
from privsynth.codecs.columns.category import OTHER
from privsynth.codecs.encoded_table import PriorRows, RowsPerUnit
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.codecs.table import TableCodec
from privsynth.domain.bounding import everyone
from privsynth.domain.domain_request import DomainRequest
from privsynth.domain.layout import lay_out
from privsynth.domain.learn_codecs import learn_codecs
from privsynth.domain.public.known_columns import KnownColumn
from privsynth.pipeline.usability.outlook import MAX_BINS, MIN_BINS, ROWS_PER_BIN_SIGMA
from privsynth.privacy.public_rows import PublicRows
from privsynth.privacy.unit_weights import Weighting
from privsynth.sampling.origin import PriorOrigin
from privsynth.schema.definition import INVENTED_KINDS, UNMODELLED_KINDS, Column, Schema
from privsynth.table import Table

NO_NOISE = 1e9  # μ² of whatever is asked of public rows
KEYS_DELTA = 1e-6  # likewise: any number, so that frequent values are looked for
LINES = ("numeric", "integer", "datetime", "date")


@dataclass(frozen=True, kw_only=True, repr=False)
class Prior:
    """A public table. Everything in it is public.

    Attributes:
      rows: its values, column by column.
      facts: what its columns are.
      origin: where it is from, for the report and the model.
      rows_of_unit: (m,) how many rows the row's unit has; None if that is not known, or each row is a unit.
    """

    rows: ParsedTable
    facts: Mapping[str, ColumnFacts]
    origin: PriorOrigin
    rows_of_unit: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Prior({self.origin.kind}, {len(self.rows.columns)} columns)"


@dataclass(frozen=True, kw_only=True)
class KnownTable:
    """A public table as the schema of a run reads it.

    Attributes:
      prior: the table.
      columns: column -> its categories or bins, of those that nobody declared.
      facts: column -> what it is in the private table: as in the public one, but for how it is declared to be written.
    """

    prior: Prior
    columns: Mapping[str, KnownColumn] = field(default_factory=dict)
    facts: Mapping[str, ColumnFacts] = field(default_factory=dict)

    @classmethod
    def of(cls, prior: Prior, schema: Schema, names: Sequence[str], unit: str) -> KnownTable:
        """Return what a public table tells of the columns of a header.

        Args:
          names: the header of the private table.
          unit: its unit column, or "row".
        """
        fitting = {
            name: prior.facts[name]
            for name in names
            if name in prior.facts and name != unit and _agrees(schema.column(name), prior.facts[name])
        }
        codecs = _codecs(prior, schema, list(fitting), fitting, unit)
        by_name = {codec.name: codec for codec in codecs}
        columns = {
            codec.name: KnownColumn.of(codec, prior.rows.columns, by_name)
            for codec in codecs
            if is_open(schema.column(codec.name), fitting[codec.name])
        }
        facts = {name: _as_written(schema.column(name), fact) for name, fact in fitting.items() if name in columns}
        return cls(prior=prior, columns=columns, facts=facts)

    def encoded(self, codec: TableCodec, facts: Mapping[str, ColumnFacts]) -> PriorRows | None:
        """Return the public rows by the codecs of a run; None if they have no column of it.

        Args:
          facts: of the private table's columns, as they were learned.
        """
        rows, known, of_public = [], [], self.prior.rows
        readable = {
            name for name, fact in self.prior.facts.items() if name in facts and _same(facts[name], fact)
        } & of_public.columns.keys()
        for column in codec.codecs:
            size = len(column.attributes())
            needed = {column.name, *([column.base] if column.base else [])}
            there = needed <= readable
            if size and there:
                base = codec.by_name[column.base].known(of_public.columns[column.base]) if column.base else None
                rows += column.encode(_spelled(column, of_public.columns[column.name]), base)
            else:
                rows += [np.zeros(of_public.n_rows, dtype=np.int32)] * size
            known += [there] * size
        if not any(known):
            return None
        return PriorRows(np.stack(rows).astype(np.uint16), tuple(known))

    def by_units(self, rows: PriorRows, per_unit: RowsPerUnit) -> PriorRows:
        """Return coded public rows with an attribute more, the last: how many rows the unit has, if that is known."""
        if per_unit.n_codes == 1:
            return rows
        of_unit = self.prior.rows_of_unit
        codes = np.zeros(rows.codes.shape[1]) if of_unit is None else per_unit.code_of(of_unit)
        more = np.concatenate([rows.codes, codes[None].astype(np.uint16)])
        return PriorRows(more, (*rows.known, of_unit is not None))


def _agrees(column: Column, fact: ColumnFacts) -> bool:
    """Return whether a column that is declared, as far as it is, can be that of the public table."""
    if fact.kind in UNMODELLED_KINDS or column.kind in UNMODELLED_KINDS or fact.kind in INVENTED_KINDS:
        return False
    if column.follows is not None:
        return False
    return column.kind in (None, fact.kind) and column.precision in (None, fact.precision)


def is_open(column: Column, fact: ColumnFacts) -> bool:
    """Return whether something of a column has to be learned that a public table tells."""
    if fact.kind in LINES:
        return True
    return column.categories is None and (column.kind is None or fact.kind == "categorical")


def _codecs(
    prior: Prior, schema: Schema, names: list[str], facts: Mapping[str, ColumnFacts], unit: str
) -> list[ColumnCodec]:
    """Return the codecs of the public rows' columns; computed ones left out."""
    layout = lay_out(names, schema, facts, unit)
    modelled = [name for name in layout.modelled if name not in layout.follows]
    layout = replace(layout, names=tuple(name for name in layout.names if name in modelled))
    n_rows = prior.rows.n_rows
    request = DomainRequest(
        schema=schema,
        layout=layout,
        facts=facts,
        n_rows=float(n_rows),
        mu_squared=NO_NOISE,
        delta=KEYS_DELTA,
        bins=int(np.clip((n_rows / ROWS_PER_BIN_SIGMA) ** 0.5, MIN_BINS, MAX_BINS)),
    )
    return learn_codecs(everyone(Table(prior.rows.to_arrow())), request, Weighting(1), PublicRows(no_keys=(OTHER,)))


def _as_written(column: Column, fact: ColumnFacts) -> ColumnFacts:
    """Return the facts of a column of the public table, as the private one is declared to write it."""
    return replace(
        fact,
        decimal=column.decimal or fact.decimal,
        format=column.format or fact.format,
        provenance="declared" if column.kind is not None else "prior",
        null_share=None,
    )


def _same(one: ColumnFacts, other: ColumnFacts) -> bool:
    return one.kind == other.kind and one.precision == other.precision


def _spelled(codec: ColumnCodec, column: Categories | Grid) -> Categories | Grid:
    """Return booleans as the run spells them, and anything else as it is."""
    if (
        isinstance(codec, CategoryCodec)
        and codec.boolean
        and isinstance(column, Categories)
        and len(column.values) == 2
    ):
        return Categories(column.codes, codec.values)
    return column
