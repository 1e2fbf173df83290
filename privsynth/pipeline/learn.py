"""The private core: from a table to a model and the public findings. No I/O; every look at a row is paid for.

`learn` is the one function that the leak tests run with stub, recording and replaying mechanisms: with mechanisms that
return constants, all that it returns as public must be the same for every table with the same header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from privsynth.audit.disclosure.pii_screen import screen
from privsynth.audit.rules import rule_findings
from privsynth.codecs.column_facts import Facts
from privsynth.codecs.encoded_table import Encoded
from privsynth.codecs.parsed_table import ParsedTable, parse_table
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.domain.bounding import Partition, divide
from privsynth.domain.column_kinds import learn_facts
from privsynth.domain.layout import Layout, lay_out
from privsynth.domain.learn_codecs import learn_codecs
from privsynth.errors import SchemaError
from privsynth.findings.finding import Finding
from privsynth.generators.registry import Generator
from privsynth.pipeline.spending_plan import modelled_columns, respread
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import STEPS, Weights, row_weights
from privsynth.progress import Progress, no_progress
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import PaidInputs
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import Schema
from privsynth.schema.rules import Rule
from privsynth.table import Table

# How finely a numeric line is cut: about one cell for each of so many cell's-worth of noise, within these limits.
MIN_BINS, MAX_BINS = 8, 32
FITTING_PART = 2**32 - 1  # of the seed, apart from the parts of a sampled table
ROWS_PER_BIN_SIGMA = 12.0
UNITS_OF_ROWS = 0.4  # of the part "rows", for the number of units where they have several rows


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the core is asked for; all public.

    Attributes:
      n_synthetic: rows of the synthetic table, None for the paid number of rows.
      seed: of sampling and of every other public draw.
      figures: whether the public figures are bought; without them the budget's share for the report is not spent.
    """

    schema: Schema
    budget: Budget
    plan: SpendingPlan
    generator: Generator
    dataset: str
    holdout_fraction: float
    n_synthetic: int | None
    seed: int
    figures: bool = True


@dataclass(frozen=True, kw_only=True)
class Public:
    """What may leave: functions of public facts, paid releases and published randomness.

    Attributes:
      model: to sample from.
      rows: the synthetic table.
      facts, layout: what each column is and became.
      findings: the public findings.
      n_rows: paid number of rows that were used (training and holdout).
    """

    model: SyntheticModel
    rows: SyntheticRows
    facts: Mapping[str, Facts]
    layout: Layout
    findings: tuple[Finding, ...]
    n_rows: int


@dataclass(frozen=True, kw_only=True, repr=False)
class Private:
    """What the officer's audit needs; it never leaves.

    Attributes:
      table: all rows, as read.
      partition: who was in.
    """

    table: Table
    partition: Partition

    def __repr__(self) -> str:
        return "Private()"


def learn(
    table: Table,
    request: Request,
    mechanisms: Mechanisms,
    keyed: KeyedFunction,
    *,
    progress: Progress = no_progress,
) -> tuple[Public, Private]:
    """Return what may leave and what may not.

    Guarantee: the first result is (ε, δ)-DP at the unit level with the plan's budget: each step says which part it
      pays with; the rest is post-processing.
    """
    schema, budget, plan = request.schema, request.budget, request.plan
    progress("dividing", 0.0)
    partition = divide(
        table,
        unit=budget.unit,
        k=budget.max_rows_per_unit,
        holdout_fraction=request.holdout_fraction,
        keyed=keyed,
    )
    rows_train, rows_used = _row_counts(partition, budget, request, mechanisms)
    units = _units(partition, budget, rows_train, request, mechanisms)
    of_unit = budget.max_rows_per_unit if units is None else rows_train / units
    columns = modelled_columns(table.names, schema, budget.unit)
    plan = respread(plan, n_rows=rows_train, columns=len(columns), of_unit=of_unit)
    mechanisms.share_out(plan.parts)
    progress("learning the columns", 0.0)
    used = np.concatenate([partition.train, partition.holdout])
    used_rows = np.sort(used)
    weights = None
    if units is not None:
        weights = Weights(row_weights(partition.unit[used_rows]), rows_train / (units * STEPS))
    facts = _facts(table, used_rows, schema, budget, plan, mechanisms, weights)
    layout = lay_out(table.names, schema, facts, budget.unit)
    if not layout.names:
        raise SchemaError("every column is free text; declare at least one as something else")
    parsed = parse_table(table, schema, facts, [*layout.modelled, *layout.derived])
    codec = TableCodec(
        tuple(
            learn_codecs(
                parsed.take(partition.train),
                schema,
                layout,
                facts,
                mechanisms,
                k=budget.max_rows_per_unit,
                n_rows=rows_train,
                rows_sigma=budget.max_rows_per_unit * _rows_price(plan) ** -0.5 if "rows" in plan.parts else 0.0,
                mu_squared=plan.parts.get("domain", 0.0),
                delta=plan.discovery_delta,
                bins=number_of_bins(rows_train, plan, of_unit=of_unit),
                weights=None
                if weights is None
                else replace(weights, rows=row_weights(partition.unit[partition.train])),
            )
        )
    )
    progress("encoding", 0.0)
    everyone = _encode(codec, parsed.take(used), partition.unit[used], budget, rows_used, schema)
    del parsed, used, used_rows, weights  # of a long table these are gigabytes
    t = len(partition.train)
    training = replace(everyone, codes=everyone.codes[:, :t], unit=everyone.unit[:t], n_rows=rows_train)
    rng = sampling_rng(request.seed, FITTING_PART)
    fitted = request.generator.fit(training, mechanisms, plan, rng=rng, progress=progress)
    model = SyntheticModel(
        codec=codec,
        fitted=fitted,
        rules=schema.rules,
        default_rows=max(round(rows_used), 1),
        dataset=request.dataset,
    )
    order = model.order(request.n_synthetic or model.default_rows)
    rows, codes = model.draw_all(order, seed=request.seed, progress=progress)
    progress("measuring the public figures", 0.0)
    inputs = PaidInputs(
        data=everyone,
        synthetic=codes,
        codec=codec,
        target=next((n for n in schema.with_role("target") if n in layout.modelled), None),
        protected=tuple(n for n in schema.with_role("protected") if n in layout.modelled),
        in_training=np.arange(everyone.codes.shape[1]) < t if request.holdout_fraction > 0 else None,
    )
    findings = paid_findings(inputs, mechanisms, mu_squared=plan.parts["report"], rng=rng) if request.figures else []
    findings += screen(rows.columns(), {n: f.kind for n, f in facts.items()}, visibility="public")
    findings += rule_findings([(rule.text, _held(rule, rows)) for rule in model.parsed_rules()])
    public = Public(
        model=model, rows=rows, facts=facts, layout=layout, findings=tuple(findings), n_rows=model.default_rows
    )
    return public, Private(table=table, partition=partition)


def _held(rule: Rule, rows: SyntheticRows) -> np.ndarray:
    """Return (n,) booleans: the rule holds in the synthetic row."""
    return np.concatenate([rule.holds(frame) for frame in rows.frames(rule.columns)])


def _row_counts(partition: Partition, budget: Budget, request: Request, mechanisms: Mechanisms) -> tuple[float, float]:
    """Return the paid number of training rows, and of all rows that were used.

    Guarantee: one Gaussian release of part "rows"; a unit's k rows are all in one of the two counts.
    """
    if budget.rows is not None:
        return budget.rows * (1.0 - request.holdout_fraction), float(budget.rows)
    release = mechanisms.gaussian(
        np.array([len(partition.train), len(partition.holdout)], dtype=np.int64),
        l2_sensitivity=float(budget.max_rows_per_unit),
        part="rows",
        mu_squared=_rows_price(request.plan),
        label="number of rows in training and holdout",
    )
    train, holdout = (max(float(n), 0.0) for n in release.values)
    return max(train, 1.0), max(train + (holdout if request.holdout_fraction > 0 else 0.0), 1.0)


def _rows_price(plan: SpendingPlan) -> float:
    """Return what the number of rows costs; the number of units has the rest of the part."""
    return plan.parts["rows"] * (1.0 - UNITS_OF_ROWS if plan.budget.max_rows_per_unit > 1 else 1.0)


def _units(
    partition: Partition, budget: Budget, n_rows: float, request: Request, mechanisms: Mechanisms
) -> float | None:
    """Return the paid number of units in training, None where a unit has one row or the number of rows is declared.

    Guarantee: one Gaussian release of part "rows"; a unit moves it by one.
    """
    if budget.max_rows_per_unit == 1 or budget.rows is not None:
        return None
    release = mechanisms.gaussian(
        np.array([len(np.unique(partition.unit[partition.train]))], dtype=np.int64),
        l2_sensitivity=1.0,
        part="rows",
        mu_squared=request.plan.parts["rows"] * UNITS_OF_ROWS * (1 - 1e-9),
        label="number of units in training",
    )
    return float(np.clip(release.values[0], n_rows / budget.max_rows_per_unit, n_rows))


def _facts(
    table: Table,
    rows: np.ndarray,
    schema: Schema,
    budget: Budget,
    plan: SpendingPlan,
    mechanisms: Mechanisms,
    weights: Weights | None,
) -> dict[str, Facts]:
    """Return the facts of every column; the unit column is an identifier whatever it looks like."""
    others = [n for n in table.names if n != budget.unit]
    facts = learn_facts(
        table,
        schema,
        others,
        mechanisms,
        k=budget.max_rows_per_unit,
        mu_squared=plan.parts.get("votes", 0.0),
        weights=weights,
        rows=rows,
    )
    return {n: facts[n] if n in facts else Facts(kind="id", provenance="fixed") for n in table.names}


def number_of_bins(n_rows: float, plan: SpendingPlan, *, of_unit: float) -> int:
    """Return about how many cells a numeric line is cut into; from paid and public numbers.

    Args:
      of_unit: rows that a unit has, on average where that is known, else at most.
    """
    noise = of_unit / max(plan.parts["measurement"], 1e-12) ** 0.5
    return int(np.clip((n_rows / noise / ROWS_PER_BIN_SIGMA) ** 0.5, MIN_BINS, MAX_BINS))


def _encode(
    codec: TableCodec, parsed: ParsedTable, unit: np.ndarray, budget: Budget, n_rows: float, schema: Schema
) -> Encoded:
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
        max_rows_per_unit=budget.max_rows_per_unit,
        n_rows=n_rows,
        columns=tuple(columns),
        targets=attributes_of("target"),
        protected=attributes_of("protected"),
        books=codec.books(),
    )
