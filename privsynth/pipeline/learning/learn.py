"""The private core: from a table to a model and the public findings. No I/O; rows are read through mechanisms alone.

`learn` is the one function that the leak tests run with stub, recording and replaying mechanisms: with mechanisms that
return constants, all that it returns as public must be the same for every table with the same header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from privsynth.audit.disclosure.pii_screen import screen
from privsynth.audit.rules import rule_findings
from privsynth.codecs.columns import Attribute, CategoryCodec, ColumnCodec
from privsynth.codecs.encoded_table import CodedRows, Encoded, RowsPerUnit
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.domain.bounding import divide
from privsynth.findings.finding import Finding
from privsynth.generators.registry import FittedGenerator, codes_never_drawn
from privsynth.partitions.marks import cell_fields
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.coded_parts import training
from privsynth.pipeline.learning.columns import LearnedColumns, learn_columns
from privsynth.pipeline.learning.noisy_tables import Counted, counted_rows, noisy_tables, unit_axes
from privsynth.pipeline.learning.paid_pictures import with_paid_tables
from privsynth.pipeline.learning.request import PriorUse, Private, Public, Request
from privsynth.pipeline.learning.sizes import Sizes, release_sizes
from privsynth.pipeline.spending_plan import modelled_columns, respread
from privsynth.privacy.budget import Budget, SpendingPlan
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress
from privsynth.public_figures.figures import paid_findings
from privsynth.public_figures.inputs import Alike, PaidInputs
from privsynth.randomness import KeyedFunction, sampling_rng
from privsynth.release.noisy.axes import axes_of
from privsynth.release.noisy.tables import PublishedTables
from privsynth.sampling.draw_units import constant_columns
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.sampling.unit_rows import ModelOfUnits
from privsynth.schema.definition import Schema
from privsynth.schema.rules import Rule
from privsynth.schema.source_format import SourceFormat

FITTING_STREAM = 2**32 - 1  # of the published seed, reserved for fitting: parts of a sampled table count from 0


def learn(
    rows: PrivateRows,
    request: Request,
    mechanisms: Mechanisms,
    keyed: KeyedFunction,
    *,
    progress: Progress = no_progress,
) -> tuple[Public, Private]:
    """Return what may leave, and what may not.

    Guarantee: the first result is (ε, δ)-DP at the unit level with the plan's budget. Each stage says which part it
      spends; the rest is post-processing.
    """
    progress("dividing", 0.0)
    rows = divide(
        rows,
        unit=request.budget.unit,
        max_rows_per_unit=request.budget.max_rows_per_unit,
        holdout_fraction=request.holdout_fraction,
        keyed=keyed,
    )
    sizes = release_sizes(rows, request, mechanisms)
    request.judge(sizes.scale)
    plan = share_out(cell_fields(rows.schema).names, sizes, request, mechanisms)
    progress("learning the columns", 0.0)
    columns = learn_columns(rows, sizes, replace(request, plan=plan), mechanisms, progress)
    model, rng = _fit(columns, sizes, replace(request, plan=columns.plan), mechanisms, progress)
    order = model.order(request.n_synthetic or model.default_rows)
    drawn, codes = model.draw_all(order, seed=request.seed, progress=progress)
    progress("measuring the public figures", 0.0)
    findings: list[Finding] = []
    if request.figures:
        inputs = figure_inputs(columns, codes, request.schema, holdout_fraction=request.holdout_fraction)
        inputs = replace(inputs, alike=_alike(columns, model, request))
        findings = paid_findings(inputs, mechanisms, mu_squared=plan.parts["report"], rng=rng)
        findings = with_paid_tables(findings, getattr(model.fitted, "measured", ()), codes, columns.codec)
    findings += screen(drawn.columns(), {n: f.kind for n, f in columns.facts.items()}, visibility="public")
    findings += rule_findings([(rule.text, _held(rule, drawn)) for rule in model.parsed_rules()])
    public = Public(
        model=model,
        rows=drawn,
        facts=columns.facts,
        layout=columns.layout,
        findings=tuple(findings),
        n_rows=model.default_rows,
        scale=sizes.scale,
        prior=_prior_use(columns, model, request),
        noisy=_noisy(columns, model, sizes, request),
    )
    return public, Private(rows=rows)


def share_out(names: Sequence[str], sizes: Sizes, request: Request, mechanisms: Mechanisms) -> SpendingPlan:
    """Return the plan with shares that suit the released sizes, and pass it to the mechanisms."""
    columns = modelled_columns(names, request.schema, request.budget.unit)
    plan = respread(request.plan, n_rows=sizes.train, columns=len(columns), rows_per_unit=sizes.usual_rows)
    mechanisms.share_out(plan.parts)
    return plan


def _fit(
    columns: LearnedColumns,
    sizes: Sizes,
    request: Request,
    mechanisms: Mechanisms,
    progress: Progress,
) -> tuple[SyntheticModel, np.random.Generator]:
    """Return the model, and the published random stream, from which the public figures continue.

    Guarantee: the generator's parts of the plan (see `Generator.fit`); it sees the training rows alone.
    """
    everyone = columns.everyone
    rows = replace(everyone, rows=everyone.rows.derive(training), n_rows=sizes.train)
    if request.known is not None:
        rows = replace(rows, prior=request.known.encoded(columns.codec, columns.facts))
    if sizes.rows_per_unit is not None:
        rows = with_rows_per_unit(rows, sizes.rows_per_unit)
        if request.known is not None and rows.prior is not None:
            rows = replace(rows, prior=request.known.by_units(rows.prior, sizes.rows_per_unit))
    rng = sampling_rng(request.seed, FITTING_STREAM)
    fitted = request.generator.fit(rows, mechanisms, request.plan, rng=rng, progress=progress)
    model = SyntheticModel(
        codec=as_drawn(columns.codec, codes_never_drawn(fitted, rows.sizes)),
        fitted=fitted,
        rules=request.schema.rules,
        default_rows=min(_number_of_rows(sizes, request.budget), columns.codec.room),
        dataset=request.dataset,
        source_format=written_format(columns, request.source_format),
        prior=None if request.known is None else request.known.prior.origin,
        units=None if sizes.rows_per_unit is None else _units(columns, fitted, sizes.rows_per_unit, request, rng),
    )
    return model, rng


def _units(
    columns: LearnedColumns, fitted: FittedGenerator, per_unit: RowsPerUnit, request: Request, rng: np.random.Generator
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


def with_rows_per_unit(data: Encoded, per_unit: RowsPerUnit) -> Encoded:
    """Return the rows with an attribute more, the last: how many rows the row's unit has, where units differ in it."""
    if per_unit.n_codes == 1:
        return replace(data, rows_per_unit=per_unit)
    attribute = Attribute("rows of the unit", per_unit.n_codes + 1, can_be_null=False, ordered=True)
    return replace(
        data,
        rows=data.rows.derive(partial(_with_codes_of_units, per_unit)),
        attributes=(*data.attributes, attribute),
        columns=(*data.columns, max(data.columns, default=-1) + 1),
        rows_per_unit=per_unit,
    )


def _with_codes_of_units(per_unit: RowsPerUnit, rows: CodedRows) -> CodedRows:
    assert rows.of_unit is not None
    codes = per_unit.code_of(rows.of_unit).astype(rows.codes.dtype)
    return replace(rows, codes=np.concatenate([rows.codes, codes[None]]))


def as_drawn(codec: TableCodec, never: Sequence[np.ndarray]) -> TableCodec:
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


def written_format(columns: LearnedColumns, stated: SourceFormat) -> SourceFormat:
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


def figure_inputs(columns: LearnedColumns, codes: np.ndarray, schema: Schema, *, holdout_fraction: float) -> PaidInputs:
    """Return the inputs of the public figures.

    Args:
      codes: of the synthetic rows.
      schema: which column is the target, and which are protected.
    """
    modelled, everyone = columns.layout.modelled, columns.everyone
    return PaidInputs(
        data=everyone,
        synthetic=codes,
        codec=columns.codec,
        target=next((n for n in schema.with_role("target") if n in modelled), None),
        protected=tuple(n for n in schema.with_role("protected") if n in modelled),
        has_holdout=holdout_fraction > 0,
    )


def _prior_use(columns: LearnedColumns, model: SyntheticModel, request: Request) -> PriorUse | None:
    """Return what the release has of its prior, by released figures alone."""
    if request.known is None:
        return None
    settings = model.fitted.settings()
    agreed = settings.get("agreement")
    return PriorUse(
        origin=request.known.prior.origin,
        columns=columns.from_prior,
        bought=tuple(name for name in request.known.columns if name not in columns.from_prior),
        agreement=agreed if isinstance(agreed, float) else None,
    )


def _noisy(columns: LearnedColumns, model: SyntheticModel, sizes: Sizes, request: Request) -> PublishedTables | None:
    """Return the noisy tables as they are published; post-processing."""
    axes = (*axes_of(columns.codec), *unit_axes(sizes.rows_per_unit))
    counted = Counted(fitted=model.fitted, axes=axes, rows=counted_rows(sizes, request, model.fitted))
    return noisy_tables(request.dataset, request.budget.unit, {"": counted})


def _alike(columns: LearnedColumns, model: SyntheticModel, request: Request) -> Alike:
    """Return how far rows come in units, from the released numbers of rows of units and what the schema declares."""
    if model.units is None:
        return Alike()
    per_unit, codec = model.units.rows_per_unit, columns.codec
    constant = [name for name in codec.names if request.schema.column(name).constant_within_unit]
    return Alike(
        real=per_unit.rows_beside(used=True),
        synthetic=1.0 if model.units.column is None else per_unit.rows_beside(used=False),
        constant=frozenset(at for name in constant for at in codec.attributes_of(name)),
    )


def _held(rule: Rule, rows: SyntheticRows) -> np.ndarray:
    """Return (n,) booleans: the rule holds in the synthetic row."""
    return np.concatenate([rule.holds(frame) for frame in rows.frames(rule.columns)])
