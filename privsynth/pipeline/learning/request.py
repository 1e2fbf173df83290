"""What the core is asked to do, and what it returns: the part that may leave and the part that may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.domain.layout import Layout
from privsynth.findings.finding import Finding
from privsynth.generators.registry import Generator
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.prior.known import KnownTable
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.usability.outlook import TableSize
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.release.noisy.tables import PublishedTables
from privsynth.sampling.origin import PriorOrigin
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import Schema
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the core is to do; all public.

    Attributes:
      n_synthetic: rows of the synthetic table, None for the released number of rows.
      seed: of sampling and of every other public draw.
      typed: columns whose kind no person declared, but the source's types.
      families: column -> the kinds that its type leaves open.
      source_format: how the source's table is written, by its header and types.
      keep_units: whether rows of a synthetic unit are drawn together and share a surrogate.
      plain: columns of numbers that have bins of their own and nothing else (see `DomainRequest`).
      known: what a public table tells, from which the release starts; None if there is none.
      figures: whether the public figures are released; without them the budget's share for the report is not spent.
      judge: called with the size of the table as soon as that is released or declared, before anything else is; may end
        the run by raising an error, from public facts alone.
    """

    schema: Schema
    budget: Budget
    plan: SpendingPlan
    generator: Generator
    dataset: str
    holdout_fraction: float
    n_synthetic: int | None
    seed: int
    typed: frozenset[str] = frozenset()
    families: Mapping[str, Family] = field(default_factory=dict)
    source_format: SourceFormat = field(default_factory=SourceFormat)
    plain: frozenset[str] = frozenset()
    figures: bool = True
    keep_units: bool = False
    known: KnownTable | None = None
    judge: Callable[[TableSize], None] = lambda scale: None

    @classmethod
    def on_all_rows(
        cls, schema: Schema, types: Mapping[str, pa.DataType], budget: Budget, generator: Generator, *, seed: int
    ) -> Request:
        """Return the request to learn from all rows, none held out: for benchmarks and refits, outside the ledger.

        Args:
          types: column -> Arrow type, in table order.
        """
        plan = make_plan(schema, types, budget, generator.training_spec())
        return cls(
            schema=schema,
            budget=budget,
            plan=plan,
            generator=generator,
            dataset="benchmark",
            holdout_fraction=0.0,
            n_synthetic=None,
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class PriorUse:
    """What a release has of its prior, by released figures.

    Attributes:
      origin: where the prior is from.
      columns: those whose categories or bins are the prior's.
      bought: those that the prior has too, and that were bought, since it did not suit them.
      agreement: how far the ties of its columns were found as the prior has them, from 0 to 1; None if the generator
        learned without the prior's rows.
    """

    origin: PriorOrigin
    columns: tuple[str, ...]
    bought: tuple[str, ...]
    agreement: float | None


@dataclass(frozen=True, kw_only=True)
class Public:
    """What may leave: functions of public facts, released figures and published randomness.

    Attributes:
      model: to sample from.
      rows: the synthetic table.
      facts, layout: what each column is and became.
      findings: the public findings.
      n_rows: released number of rows that were used (training and holdout).
      scale: released size of the training rows.
      prior: what it has of a prior; None if there was none.
      noisy: the noisy tables that were paid for; None if the generator tells none.
    """

    model: SyntheticModel
    rows: SyntheticRows
    facts: Mapping[str, ColumnFacts]
    layout: Layout
    findings: tuple[Finding, ...]
    n_rows: int
    scale: TableSize
    prior: PriorUse | None = None
    noisy: PublishedTables | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Private:
    """What the officer's audit needs; it never leaves.

    Attributes:
      rows: all rows, as read, with marks (see `divide`).
    """

    rows: PrivateRows

    def __repr__(self) -> str:
        return "Private()"
