"""The private core: from a table to a model and the public findings. No I/O; rows are read through mechanisms alone.

`learn` is the one function that the leak tests run with stub, recording and replaying mechanisms: with mechanisms that
return constants, all that it returns as public must be the same for every table with the same header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from privsynth.audit.disclosure.pii_screen import screen
from privsynth.audit.rules import rule_findings
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.columns import Attribute, CategoryCodec, ColumnCodec
from privsynth.codecs.encoded_table import Encoded, RowsPerUnit
from privsynth.codecs.parsed_table import ParsedTable, parse_table
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.codecs.written.types import container_types
from privsynth.domain.bounding import Partition, divide
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.layout import Layout, lay_out
from privsynth.domain.learn_codecs import DomainRequest, learn_codecs
from privsynth.domain.unit_sizes import release_unit_sizes
from privsynth.errors import SchemaError
from privsynth.findings.finding import Finding
from privsynth.generators.registry import FittedGenerator, Generator, codes_never_drawn
from privsynth.pipeline.row_counts import CountNoise
from privsynth.pipeline.spending_plan import make_plan, modelled_columns, respread
from privsynth.pipeline.usability.outlook import TableSize, number_of_bins
from privsynth.privacy.budget import ROUNDING, Budget, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import STEPS, RowWeights, Weighting, row_weights
from privsynth.progress import Progress, no_progress
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import PaidInputs
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.sampling.draw_units import constant_columns
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.sampling.unit_rows import ModelOfUnits
from privsynth.schema.definition import Schema
from privsynth.schema.rules import Rule
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family
from privsynth.table import Table

FITTING_STREAM = 2**32 - 1  # of the published seed, reserved for fitting: parts of a sampled table count from 0
UNITS_SHARE = (
    0.4  # of part "rows", for the number of units, if they may have several rows; the rest, for how many (own)
)


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
    figures: bool = True
    keep_units: bool = False
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
class Public:
    """What may leave: functions of public facts, released figures and published randomness.

    Attributes:
      model: to sample from.
      rows: the synthetic table.
      facts, layout: what each column is and became.
      findings: the public findings.
      n_rows: released number of rows that were used (training and holdout).
      scale: released size of the training rows.
    """

    model: SyntheticModel
    rows: SyntheticRows
    facts: Mapping[str, ColumnFacts]
    layout: Layout
    findings: tuple[Finding, ...]
    n_rows: int
    scale: TableSize


@dataclass(frozen=True, kw_only=True, repr=False)
class Private:
    """What the officer's audit needs; it never leaves.

    Attributes:
      table: all rows, as read.
      partition: which rows were used.
    """

    table: Table
    partition: Partition

    def __repr__(self) -> str:
        return "Private()"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large the table is, as released or declared.

    Attributes:
      train: rows in training.
      used: rows in training and holdout.
      units: units in training, and units in training and holdout; None where each row is a unit.
      rows_per_unit: how many rows units have; likewise.
    """

    train: float
    used: float
    units: tuple[float, float] | None = None
    rows_per_unit: RowsPerUnit | None = None

    @property
    def usual_rows(self) -> float:
        """Rows of a unit in training, on average."""
        return 1.0 if self.units is None else self.train / self.units[0]

    @property
    def scale(self) -> TableSize:
        """The size of the training rows."""
        return TableSize(rows=self.train, rows_per_unit=self.usual_rows)


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """What was learned of the columns, and the coded rows of training and holdout (in this order)."""

    facts: dict[str, ColumnFacts]
    layout: Layout
    codec: TableCodec
    everyone: Encoded


def learn(
    table: Table,
    request: Request,
    mechanisms: Mechanisms,
    keyed: KeyedFunction,
    *,
    progress: Progress = no_progress,
) -> tuple[Public, Private]:
    """Return what may leave and what may not.

    Guarantee: the first result is (ε, δ)-DP at the unit level with the plan's budget. Each stage says which part it
      spends; the rest is post-processing.
    """
    progress("dividing", 0.0)
    partition = divide(
        table,
        unit=request.budget.unit,
        max_rows_per_unit=request.budget.max_rows_per_unit,
        holdout_fraction=request.holdout_fraction,
        keyed=keyed,
    )
    sizes = _release_sizes(partition, request, mechanisms)
    request.judge(sizes.scale)
    plan = _share_out(table, sizes, request, mechanisms)
    progress("learning the columns", 0.0)
    columns = _learn_columns(table, partition, sizes, replace(request, plan=plan), mechanisms, progress)
    model, rng = _fit(columns, partition, sizes, replace(request, plan=plan), mechanisms, progress)
    order = model.order(request.n_synthetic or model.default_rows)
    rows, codes = model.draw_all(order, seed=request.seed, progress=progress)
    progress("measuring the public figures", 0.0)
    findings: list[Finding] = []
    if request.figures:
        inputs = _figure_inputs(columns, partition, codes, request)
        findings = paid_findings(inputs, mechanisms, mu_squared=plan.parts["report"], rng=rng)
    findings += screen(rows.columns(), {n: f.kind for n, f in columns.facts.items()}, visibility="public")
    findings += rule_findings([(rule.text, _held(rule, rows)) for rule in model.parsed_rules()])
    public = Public(
        model=model,
        rows=rows,
        facts=columns.facts,
        layout=columns.layout,
        findings=tuple(findings),
        n_rows=model.default_rows,
        scale=sizes.scale,
    )
    return public, Private(table=table, partition=partition)


def _release_sizes(partition: Partition, request: Request, mechanisms: Mechanisms) -> Sizes:
    """Return how large the table is.

    Guarantee: part "rows".
    """
    budget = request.budget
    if budget.max_rows_per_unit > 1:
        return _unit_sizes(partition, request, mechanisms)
    if budget.rows is not None:
        return Sizes(train=budget.rows * (1.0 - request.holdout_fraction), used=float(budget.rows))
    counts = np.array([len(partition.train), len(partition.holdout)], dtype=np.int64)
    train, used = _count_sides(counts, request, mechanisms, mu_squared=request.plan.parts["rows"], what="rows")
    return Sizes(train=train, used=used)


def _unit_sizes(partition: Partition, request: Request, mechanisms: Mechanisms) -> Sizes:
    """Return how many units there are, how many rows they have, and so how many rows there are.

    Guarantee: two Gaussian releases of part "rows". A unit is one count in each, so that noise does not grow with
      `max_rows_per_unit`.
    """
    budget, price = request.budget, request.plan.parts["rows"]
    sides = [np.unique(partition.unit[rows], return_index=True) for rows in (partition.train, partition.holdout)]
    counts = np.array([len(found) for found, _ in sides], dtype=np.int64)
    units = _count_sides(counts, request, mechanisms, mu_squared=price * UNITS_SHARE, what="units")
    once = np.concatenate(
        [rows[first] for rows, (_, first) in zip((partition.train, partition.holdout), sides, strict=True)]
    )
    per_unit = release_unit_sizes(
        partition.rows_of_unit(once),
        mechanisms,
        max_rows_per_unit=budget.max_rows_per_unit,
        part="rows",
        mu_squared=price * (1.0 - UNITS_SHARE) * ROUNDING,
    )
    train, used = (max(n * per_unit.mean_used, 1.0) for n in units)
    return Sizes(train=train, used=used, units=units, rows_per_unit=per_unit)


def _count_sides(
    counts: np.ndarray, request: Request, mechanisms: Mechanisms, *, mu_squared: float, what: str
) -> tuple[float, float]:
    """Return the released number of rows or units in training, and in training and holdout.

    Guarantee: one Gaussian release of part "rows"; a unit is in one of the two counts, once.
    """
    release = mechanisms.gaussian(
        counts,
        l2_sensitivity=1.0,
        part="rows",
        mu_squared=mu_squared,
        label=f"number of {what} in training and holdout",
    )
    train, holdout = (float(n) for n in release.values)
    return max(train, 1.0), count_noise(request.plan, request.holdout_fraction).total(train, holdout)


def count_noise(plan: SpendingPlan, holdout_fraction: float) -> CountNoise:
    """Return the noise of the released numbers of units (or rows, where each is one); none where that is declared."""
    share = UNITS_SHARE if plan.budget.max_rows_per_unit > 1 else 1.0
    sigma = (plan.parts["rows"] * share) ** -0.5 if "rows" in plan.parts else 0.0
    return CountNoise(sigma=sigma, holdout_fraction=holdout_fraction, rows_per_unit=1)


def _share_out(table: Table, sizes: Sizes, request: Request, mechanisms: Mechanisms) -> SpendingPlan:
    """Return the plan with shares that suit the released sizes, and pass it to the mechanisms."""
    columns = modelled_columns(table.names, request.schema, request.budget.unit)
    plan = respread(request.plan, n_rows=sizes.train, columns=len(columns), rows_per_unit=sizes.usual_rows)
    mechanisms.share_out(plan.parts)
    return plan


def _weighting(partition: Partition, rows: np.ndarray, sizes: Sizes, budget: Budget) -> Weighting:
    """Return how some rows are counted: those of a unit weigh one together."""
    if sizes.units is None:
        return Weighting(1)
    steps = row_weights(partition.unit[rows])
    return Weighting(budget.max_rows_per_unit, RowWeights(steps, sizes.usual_rows / STEPS))


def _learn_columns(
    table: Table, partition: Partition, sizes: Sizes, request: Request, mechanisms: Mechanisms, progress: Progress
) -> _Columns:
    """Return the columns' facts and codecs, and the coded rows.

    Guarantee: parts "votes" (`learn_facts`) and "domain" (`learn_codecs`).
    """
    schema, budget, plan = request.schema, request.budget, request.plan
    used = np.concatenate([partition.train, partition.holdout])
    voting = np.sort(used)
    facts = _facts(table, voting, _weighting(partition, voting, sizes, budget), request, mechanisms)
    layout = lay_out(table.names, schema, facts, budget.unit)
    if not layout.names:
        raise SchemaError("every column is free text; declare at least one as something else")
    parsed = parse_table(table, schema, facts, [*layout.modelled, *layout.derived])
    domain = DomainRequest(
        schema=schema,
        layout=layout,
        facts=facts,
        types=container_types({column.name: column.type for column in table.data.schema}, request.source_format),
        n_rows=sizes.train,
        rows_sigma=sizes.usual_rows * count_noise(plan, request.holdout_fraction).sigma,
        mu_squared=plan.parts.get("domain", 0.0),
        delta=plan.discovery_delta,
        bins=number_of_bins(sizes.train, plan, rows_per_unit=sizes.usual_rows),
    )
    training = _weighting(partition, partition.train, sizes, budget)
    codec = TableCodec(tuple(learn_codecs(parsed.take(partition.train), domain, training, mechanisms)))
    progress("encoding", 0.0)
    everyone = _encode(codec, parsed.take(used), partition.unit[used], sizes.used, request)
    return _Columns(facts=facts, layout=layout, codec=codec, everyone=everyone)


def _facts(
    table: Table, rows: np.ndarray, weighting: Weighting, request: Request, mechanisms: Mechanisms
) -> dict[str, ColumnFacts]:
    """Return the facts of every column; the unit column is always an identifier."""
    asked = FactsRequest(
        schema=request.schema,
        names=[n for n in table.names if n != request.budget.unit],
        mu_squared=request.plan.parts.get("votes", 0.0),
        typed=request.typed,
        families=request.families,
    )
    facts = learn_facts(table, asked, weighting, mechanisms, rows=rows)
    return {n: facts[n] if n in facts else ColumnFacts(kind="id", provenance="fixed") for n in table.names}


def _encode(codec: TableCodec, parsed: ParsedTable, unit: np.ndarray, n_rows: float, request: Request) -> Encoded:
    """Return coded rows, with the public facts that a generator needs."""
    schema = request.schema
    columns = [i for i, column in enumerate(codec.codecs) for _ in column.attributes()]
    position = {name: i for i, name in enumerate(codec.names)}
    source = {name: (book.column if (book := schema.column(name).follows) else name) for name in position}

    def attributes_of(role: str) -> tuple[int, ...]:
        wanted = {position[source[n]] for n in schema.with_role(role) if n in position}  # type: ignore[arg-type]
        return tuple(a for a, c in enumerate(columns) if c in wanted)

    there = np.zeros(int(unit.max(initial=-1)) + 1, dtype=bool)
    there[unit] = True
    return Encoded(
        codes=codec.encode(parsed),
        unit=(np.cumsum(there) - 1)[unit],  # numbered without gaps, in the same order
        attributes=tuple(codec.attributes),
        max_rows_per_unit=request.budget.max_rows_per_unit,
        n_rows=n_rows,
        columns=tuple(columns),
        targets=attributes_of("target"),
        protected=attributes_of("protected"),
        books=codec.books(),
    )


def _fit(
    columns: _Columns, partition: Partition, sizes: Sizes, request: Request, mechanisms: Mechanisms, progress: Progress
) -> tuple[SyntheticModel, np.random.Generator]:
    """Return the model, and the published random stream, from which the public figures continue.

    Guarantee: the generator's parts of the plan (see `Generator.fit`); it sees the training rows alone.
    """
    train, everyone = len(partition.train), columns.everyone
    rows = replace(everyone, codes=everyone.codes[:, :train], unit=everyone.unit[:train], n_rows=sizes.train)
    if sizes.rows_per_unit is not None:
        rows = _with_rows_per_unit(rows, sizes.rows_per_unit, partition.rows_of_unit(partition.train))
    rng = sampling_rng(request.seed, FITTING_STREAM)
    fitted = request.generator.fit(rows, mechanisms, request.plan, rng=rng, progress=progress)
    model = SyntheticModel(
        codec=_as_drawn(columns.codec, codes_never_drawn(fitted, rows.sizes)),
        fitted=fitted,
        rules=request.schema.rules,
        default_rows=min(_number_of_rows(sizes, request.budget), columns.codec.room),
        dataset=request.dataset,
        source_format=_written(columns, request.source_format),
        units=None if sizes.rows_per_unit is None else _units(columns, fitted, sizes.rows_per_unit, request, rng),
    )
    return model, rng


def _units(
    columns: _Columns, fitted: FittedGenerator, per_unit: RowsPerUnit, request: Request, rng: np.random.Generator
) -> ModelOfUnits:
    """Return how rows are drawn by the number of rows of their units, and whether those of a unit are kept together."""
    units = ModelOfUnits.of(fitted, per_unit, rng)
    if not request.keep_units:
        return units
    declared = [name for name in columns.codec.names if request.schema.column(name).constant_within_unit]
    return replace(units, column=request.budget.unit, constant=constant_columns(columns.codec, declared))


def _number_of_rows(sizes: Sizes, budget: Budget) -> int:
    """Return how many rows the table has: as declared, or as released, those beyond `max_rows_per_unit` included."""
    if budget.rows is not None:
        return budget.rows
    beyond = 1.0 if sizes.rows_per_unit is None else sizes.rows_per_unit.mean / sizes.rows_per_unit.mean_used
    return max(round(sizes.used * beyond), 1)


def _with_rows_per_unit(data: Encoded, per_unit: RowsPerUnit, rows_of_unit: np.ndarray) -> Encoded:
    """Return the rows with an attribute more, the last: the class of the row's unit by its number of rows."""
    codes = per_unit.class_of(rows_of_unit).astype(data.codes.dtype)
    attribute = Attribute("rows of the unit", len(per_unit.classes) + 1, can_be_null=False, ordered=True)
    return replace(
        data,
        codes=np.concatenate([data.codes, codes[None]]),
        attributes=(*data.attributes, attribute),
        columns=(*data.columns, max(data.columns, default=-1) + 1),
        rows_per_unit=per_unit,
    )


def _as_drawn(codec: TableCodec, never: Sequence[np.ndarray]) -> TableCodec:
    """Return the codecs, which say that a column has no nulls, or no OTHER, where the model never draws the code."""
    codecs: list[ColumnCodec] = []
    for column in codec.codecs:
        at = codec.attributes_of(column.name)
        if at and all(never[a][-1] for a in at) and hasattr(column, "nullable"):
            column = replace(column, nullable=False)  # type: ignore[type-var]
        if isinstance(column, CategoryCodec) and column.other and at and never[at[0]][-2:-1].all():
            column = replace(column, closed=True)
        codecs.append(column)
    # As it is saved: weights are rounded there, and whoever loads the model should draw the very same rows.
    return TableCodec.from_json(TableCodec(tuple(codecs)).to_json())


def _written(columns: _Columns, stated: SourceFormat) -> SourceFormat:
    """Return how the columns of the synthetic table are written: as the source states, and as was learned."""
    kept = columns.layout.names
    return SourceFormat(
        delimiter=stated.delimiter,
        quote_all=stated.quote_all,
        whole_numbers=tuple(name for name in kept if name in stated.whole_numbers),
        decimal_commas=tuple(name for name in kept if columns.facts[name].decimal == ","),
        time_zones={name: zone for name, zone in stated.time_zones.items() if name in kept},
        types={name: kind for name, kind in stated.types.items() if name in kept},
    )


def _figure_inputs(columns: _Columns, partition: Partition, codes: np.ndarray, request: Request) -> PaidInputs:
    """Return the inputs of the public figures."""
    schema, modelled, everyone = request.schema, columns.layout.modelled, columns.everyone
    trained = np.arange(everyone.codes.shape[1]) < len(partition.train)
    return PaidInputs(
        data=everyone,
        synthetic=codes,
        codec=columns.codec,
        target=next((n for n in schema.with_role("target") if n in modelled), None),
        protected=tuple(n for n in schema.with_role("protected") if n in modelled),
        in_training=trained if request.holdout_fraction > 0 else None,
    )


def _held(rule: Rule, rows: SyntheticRows) -> np.ndarray:
    """Return (n,) booleans: the rule holds in the synthetic row."""
    return np.concatenate([rule.holds(frame) for frame in rows.frames(rule.columns)])
