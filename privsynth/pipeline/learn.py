"""The private core: from a table to a model and the public findings. No I/O; rows are read through mechanisms alone.

`learn` is the one function that the leak tests run with stub, recording and replaying mechanisms: with mechanisms that
return constants, all that it returns as public must be the same for every table with the same header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from privsynth.audit.disclosure.pii_screen import screen
from privsynth.audit.rules import rule_findings
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.encoded_table import Encoded
from privsynth.codecs.parsed_table import ParsedTable, parse_table
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.domain.bounding import Partition, divide
from privsynth.domain.column_kinds import FactsRequest, learn_facts
from privsynth.domain.layout import Layout, lay_out
from privsynth.domain.learn_codecs import DomainRequest, learn_codecs
from privsynth.errors import SchemaError
from privsynth.findings.finding import Finding
from privsynth.generators.registry import Generator
from privsynth.pipeline.row_counts import CountNoise
from privsynth.pipeline.spending_plan import make_plan, modelled_columns, respread
from privsynth.privacy.budget import ROUNDING, Budget, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import STEPS, RowWeights, Weighting, row_weights
from privsynth.progress import Progress, no_progress
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import PaidInputs
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import Schema
from privsynth.schema.rules import Rule
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family
from privsynth.table import Table

MIN_BINS, MAX_BINS = 8, 32  # of a numeric dimension (own): fewer lose its shape, more have noisy pairs
ROWS_PER_BIN_SIGMA = 12.0  # rows of a bin, in standard deviations of a count's noise (own)
FITTING_STREAM = 2**32 - 1  # of the published seed, reserved for fitting: parts of a sampled table count from 0
UNITS_SHARE = 0.4  # of part "rows", for the number of units, if a unit may have several rows (own)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the core is to do; all public.

    Attributes:
      n_synthetic: rows of the synthetic table, None for the released number of rows.
      seed: of sampling and of every other public draw.
      typed: columns whose kind no person declared, but the source's types.
      families: column -> the kinds that its type leaves open.
      source_format: how the source's table is written, by its header and types.
      figures: whether the public figures are released; without them the budget's share for the report is not spent.
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
    """

    model: SyntheticModel
    rows: SyntheticRows
    facts: Mapping[str, ColumnFacts]
    layout: Layout
    findings: tuple[Finding, ...]
    n_rows: int


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
      units: units in training; None where a unit has one row at most, or the number of rows was declared.
    """

    train: float
    used: float
    units: float | None

    def rows_per_unit(self, budget: Budget) -> float:
        """Return the rows of a unit: the mean where the number of units is known, else the most."""
        return budget.max_rows_per_unit if self.units is None else self.train / self.units


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
    )
    return public, Private(table=table, partition=partition)


def _release_sizes(partition: Partition, request: Request, mechanisms: Mechanisms) -> Sizes:
    """Return how large the table is.

    Guarantee: part "rows", which the two numbers share.
    """
    train, used = _row_counts(partition, request, mechanisms)
    return Sizes(train=train, used=used, units=_units(partition, train, request, mechanisms))


def _row_counts(partition: Partition, request: Request, mechanisms: Mechanisms) -> tuple[float, float]:
    """Return the released number of training rows, and of all rows that were used.

    Guarantee: one Gaussian release of part "rows"; all rows of a unit are in one of the two counts.
    """
    budget = request.budget
    if budget.rows is not None:
        return budget.rows * (1.0 - request.holdout_fraction), float(budget.rows)
    release = mechanisms.gaussian(
        np.array([len(partition.train), len(partition.holdout)], dtype=np.int64),
        l2_sensitivity=float(budget.max_rows_per_unit),
        part="rows",
        mu_squared=_rows_price(request.plan),
        label="number of rows in training and holdout",
    )
    train, holdout = (float(n) for n in release.values)
    return max(train, 1.0), count_noise(request.plan, request.holdout_fraction).total(train, holdout)


def count_noise(plan: SpendingPlan, holdout_fraction: float) -> CountNoise:
    """Return the noise of the released numbers of rows that a plan pays for; none where the number is declared."""
    most = plan.budget.max_rows_per_unit
    sigma = most * _rows_price(plan) ** -0.5 if "rows" in plan.parts else 0.0
    return CountNoise(sigma=sigma, holdout_fraction=holdout_fraction, rows_per_unit=most)


def _rows_price(plan: SpendingPlan) -> float:
    """Return the μ² of the number of rows; the number of units gets the rest of the part."""
    return plan.parts["rows"] * (1.0 - UNITS_SHARE if plan.budget.max_rows_per_unit > 1 else 1.0)


def _units(partition: Partition, n_rows: float, request: Request, mechanisms: Mechanisms) -> float | None:
    """Return the released number of units in training; None where it is not needed (see `Sizes`).

    Guarantee: one Gaussian release of part "rows"; a unit moves it by one.
    """
    budget = request.budget
    if budget.max_rows_per_unit == 1 or budget.rows is not None:
        return None
    release = mechanisms.gaussian(
        np.array([len(np.unique(partition.unit[partition.train]))], dtype=np.int64),
        l2_sensitivity=1.0,
        part="rows",
        mu_squared=request.plan.parts["rows"] * UNITS_SHARE * ROUNDING,
        label="number of units in training",
    )
    return float(np.clip(release.values[0], n_rows / budget.max_rows_per_unit, n_rows))


def _share_out(table: Table, sizes: Sizes, request: Request, mechanisms: Mechanisms) -> SpendingPlan:
    """Return the plan with shares that suit the released sizes, and pass it to the mechanisms."""
    columns = modelled_columns(table.names, request.schema, request.budget.unit)
    plan = respread(
        request.plan, n_rows=sizes.train, columns=len(columns), rows_per_unit=sizes.rows_per_unit(request.budget)
    )
    mechanisms.share_out(plan.parts)
    return plan


def _weighting(partition: Partition, rows: np.ndarray, sizes: Sizes, budget: Budget) -> Weighting:
    """Return how some rows are counted: by weight where the number of units is known, else one each."""
    if sizes.units is None:
        return Weighting(budget.max_rows_per_unit)
    steps = row_weights(partition.unit[rows])
    return Weighting(budget.max_rows_per_unit, RowWeights(steps, sizes.train / (sizes.units * STEPS)))


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
        n_rows=sizes.train,
        rows_sigma=count_noise(plan, request.holdout_fraction).sigma,
        mu_squared=plan.parts.get("domain", 0.0),
        delta=plan.discovery_delta,
        bins=number_of_bins(sizes.train, plan, rows_per_unit=sizes.rows_per_unit(budget)),
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


def number_of_bins(n_rows: float, plan: SpendingPlan, *, rows_per_unit: float) -> int:
    """Return about how many bins a numeric dimension gets; from released and public numbers.

    Args:
      rows_per_unit: the mean where it is known, else the most.
    """
    noise = rows_per_unit / max(plan.parts["measurement"], 1e-12) ** 0.5
    return int(np.clip((n_rows / noise / ROWS_PER_BIN_SIGMA) ** 0.5, MIN_BINS, MAX_BINS))


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
    rng = sampling_rng(request.seed, FITTING_STREAM)
    fitted = request.generator.fit(rows, mechanisms, request.plan, rng=rng, progress=progress)
    model = SyntheticModel(
        codec=columns.codec,
        fitted=fitted,
        rules=request.schema.rules,
        default_rows=max(round(sizes.used), 1),
        dataset=request.dataset,
        source_format=_written(columns, request.source_format),
    )
    return model, rng


def _written(columns: _Columns, stated: SourceFormat) -> SourceFormat:
    """Return how the columns of the synthetic table are written: as the source states, and as was learned."""
    kept = columns.layout.names
    return SourceFormat(
        delimiter=stated.delimiter,
        quote_all=stated.quote_all,
        whole_numbers=tuple(name for name in kept if name in stated.whole_numbers),
        decimal_commas=tuple(name for name in kept if columns.facts[name].decimal == ","),
        time_zones={name: zone for name, zone in stated.time_zones.items() if name in kept},
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
