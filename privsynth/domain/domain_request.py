"""`DomainRequest`: what the domain stage is asked to release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import ColumnCodec
from privsynth.domain.layout import Layout
from privsynth.schema.definition import Schema


@dataclass(frozen=True, kw_only=True)
class DomainRequest:
    """What the domain stage is asked to release. Everything in it is public or was released.

    Attributes:
      schema, layout, facts: what was declared, what each column becomes, and its facts.
      types: column -> Arrow type, as the container states it.
      n_rows, rows_sigma: the released number of training rows, and its standard deviation.
      mu_squared: of part "domain".
      delta: of all thresholds together.
      bins: about how many bins a numeric dimension gets.
      plain: columns of numbers that have bins of their own and nothing else: no endings, no ties.
      known: column -> codec of those that need no release, since a public table tells them.
    """

    schema: Schema
    layout: Layout
    facts: Mapping[str, ColumnFacts]
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    n_rows: float
    rows_sigma: float = 0.0
    mu_squared: float
    delta: float
    bins: int
    plain: frozenset[str] = frozenset()
    known: Mapping[str, ColumnCodec] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns that are modelled and not known."""
        return tuple(name for name in self.layout.modelled if name not in self.known)

    @property
    def open_texts(self) -> list[str]:
        """Text columns whose categories nobody declared."""
        return [
            name
            for name in self.unknown
            if self.facts[name].kind == "categorical" and self.schema.column(name).categories is None
        ]

    @property
    def rows_per_bin(self) -> float:
        """About how many rows a bin holds."""
        return max(self.n_rows / self.bins, 1.0)
