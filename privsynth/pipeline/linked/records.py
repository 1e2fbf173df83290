"""From what a run on linked tables knows to the records of its report, and to its public schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from privsynth import __version__
from privsynth.codecs.decoded_rows import DecodedRows
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.pipeline.config import REPORT_SHARE
from privsynth.pipeline.linked.learn import PublicTables
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.outlook import neighbours
from privsynth.pipeline.linked.views import table_schema
from privsynth.pipeline.usability.headline import Judged, usability_of
from privsynth.pipeline.writing.column_records import records_of_columns
from privsynth.pipeline.writing.public_schema import HEAD, catalogue_of, public_columns
from privsynth.pipeline.writing.report_records import (
    Signing,
    approvals_of,
    profiles,
    promise_of,
    sample_of,
    spend_records,
    terms_of,
)
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import judge
from privsynth.policy.one_verdict import public_policy, with_policy
from privsynth.privacy.budget import Bill
from privsynth.report.hazards import hazards
from privsynth.report.records.promise import GeneratorRecord, Guarantee
from privsynth.report.records.tables import ColumnRecord, TableRecord
from privsynth.report.report_data import ReportData
from privsynth.sampling.linked.model import hidden_columns
from privsynth.schema.definition import IDENTIFIER_KINDS, Column
from privsynth.schema.linked import LinkedSchema, dump_linked_schema

_KEY = "a fresh surrogate for each row"
_PARENT = "the key of the row above"
_REFERENCE = "the key of the row that it refers to"
_OF_PART = {"surrogate": _KEY, "number": "the number of the row under its parent"}
_HIDDEN = "modelled, and not written"


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the report says of the run itself.

    Attributes:
      report_id, created: name and time of the run.
      signing: who will sign.
      files: names of the files of the release.
      reference_rows: reference table -> its number of rows, which are public.
      policy: judged in the public report only if all its checks are of public figures.
    """

    report_id: str
    created: str
    signing: Signing
    files: Sequence[str]
    reference_rows: dict[str, int]
    policy: LoadedPolicy | None = None


def linked_report(public: PublicTables, request: LinkedRequest, bill: Bill, run: RunFacts) -> ReportData:
    """Return the public report: a function of what may leave."""
    schema, model, budget = request.schema, public.model, request.plan.whole.budget
    return ReportData(
        kind="public",
        report_id=run.report_id,
        dataset=request.dataset,
        created=run.created,
        tool_version=__version__,
        generator=GeneratorRecord(name=request.generator.name, version=__version__),
        guarantee=_guarantee(public, request, bill),
        recipients=terms_of(run.policy),
        approvals=approvals_of(run.policy),
        policy_inside=run.policy is not None and not run.policy.policy.public_only,
        unsigned=run.signing.unsigned,
        demo=run.signing.demo,
        signer=run.signing.signer,
        n_rows_synthetic=sum(table.n_rows for table in public.drawn.values()),
        usability=linked_usability(public, request, bill),
        tables=(*_tables(public, schema), *(_reference(name, n) for name, n in run.reference_rows.items())),
        columns=tuple(record for name in model.models for record in _columns(public, schema, name)),
        rules=tuple(f"{name}: {rule}" for name in model.models for rule in schema.tables[name].rules),
        findings=tuple(with_policy(public_policy(run.policy), public.findings)),
        synthetic_profile=tuple(
            replace(profile, column=f"{name}: {profile.column}")
            for name in model.models
            for profile in profiles(_rows(public, name))
        ),
        samples=tuple(sample_of(_rows(public, name), table_schema(schema, name), name) for name in model.models),
        hazards=hazards(request.generator.name, holdout=request.holdout_fraction > 0, package=""),
        sampling_seed=request.seed,
        files=tuple(run.files),
        policy=judge(run.policy, public.findings, promise=promise_of(budget.epsilon, budget.delta))
        if run.policy is not None and run.policy.policy.public_only
        else None,
    )


def linked_usability(public: PublicTables, request: LinkedRequest, bill: Bill) -> Usability:
    """Return which columns and ties of all tables are worth something; a function of what may leave."""
    return Usability.joined(
        [_usability(public, request, bill, name).of_table(name) for name in request.schema.modelled]
    )


def _usability(public: PublicTables, request: LinkedRequest, bill: Bill, name: str) -> Usability:
    plan, codec = request.plan.of_table(name, bill.plan.parts), public.model.codecs[name]
    rows = public.drawn[name].rows
    return usability_of(
        Judged(
            codec=codec,
            schema=table_schema(request.schema, name),
            budget=plan.budget,
            plan=plan,
            generator=request.generator,
            scale=public.scales[name],
            findings=of_this_table(public.findings, name),
            cells=lambda column: codec.frame(rows, names={column})[column],
            added=hidden_columns(request.schema, name),
            noisy=None if public.noisy is None else (public.noisy, name),
        )
    )


def of_this_table(findings: Sequence[Finding], name: str) -> list[Finding]:
    """Return the findings of one table; of columns, under the names that they have in it."""
    own = [finding for finding in findings if finding.group.startswith(f"{name}: ")]
    # A tie keeps its table: what is said of it is read beside those of other tables.
    return [f if f.name == "tie_distance" else replace(f, group=f.group.removeprefix(f"{name}: ")) for f in own]


def _guarantee(public: PublicTables, request: LinkedRequest, bill: Bill) -> Guarantee:
    plan = request.plan.whole
    budget = plan.budget
    trains = plan.training is not None
    mu, mu_delta = plan.promised_mu or (None, 0.0)
    return Guarantee(
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        unit_noun=request.schema.unit_noun or "",
        neighbours=neighbours(request.schema),
        accountant="privacy loss distributions (dp-accounting)"
        if trains
        else "exact composition of Gaussian mechanisms",
        max_rows_per_unit=None,
        mu=mu,
        mu_delta=mu_delta,
        report_share=REPORT_SHARE,
        holdout_fraction=request.holdout_fraction,
        n_rows_noisy=public.model.n_persons,
        spends=spend_records(bill, plan, request.plan.training),
    )


def _tables(public: PublicTables, schema: LinkedSchema) -> list[TableRecord]:
    found = []
    for name, drawn in public.drawn.items():
        declared = schema.tables[name]
        found.append(
            TableRecord(
                name=name,
                parent="" if declared.parent is None else declared.parent.table,
                order=declared.order or "",
                max_children=None if declared.parent is None else declared.max_children,
                n_rows=drawn.n_rows,
            )
        )
    return found


def _reference(name: str, rows: int) -> TableRecord:
    return TableRecord(name=name, n_rows=rows, reference=True)


def _columns(public: PublicTables, schema: LinkedSchema, name: str) -> list[ColumnRecord]:
    """Return the columns of one table as written, then those that are modelled beside it."""
    model, declared = public.model.models[name], schema.tables[name]
    keys = []
    open_ = {column for reference in declared.refers_to for column in declared.own_columns(reference)}
    for column in schema.links(name):
        treatment = _REFERENCE if column in open_ else _OF_PART.get(schema.parts(name).get(column, "above"), _PARENT)
        known = declared.columns.get(column, Column(kind="id"))
        keys.append(
            ColumnRecord(
                name=column,
                kind="id",
                domain="identifiers",
                provenance="declared",
                treatment=treatment,
                roles=known.roles,
                nullable=column in open_,
                note=known.description or "",
                unit=known.unit or "",
            )
        )
    treated = {**public.layouts[name].dropped, **dict.fromkeys(hidden_columns(schema, name), _HIDDEN)}
    own = records_of_columns(model.codec, public.facts[name], table_schema(schema, name), treated)
    by_name = {record.name: record for record in (*keys, *own)}
    order = [*(c for c in model.columns if c in by_name), *(c for c in by_name if c not in model.columns)]
    return [replace(by_name[column], name=f"{name}: {column}") for column in order]


def _rows(public: PublicTables, name: str) -> SyntheticRows:
    visible, rows = public.model.models[name].visible, public.drawn[name].rows
    shown = {column: values for column, values in rows.columns.items() if column in visible.by_name}
    return SyntheticRows(visible, [DecodedRows(shown, rows.n_rows)])


def linked_public_schema(public: PublicTables, request: LinkedRequest) -> str:
    """Return the YAML of the released tables' schema."""
    tables = {}
    for name, declared in request.schema.tables.items():
        if declared.reference:
            tables[name] = declared
            continue
        model = public.model.models[name]
        found = public_columns(
            model.codec, public.facts[name], public.layouts[name], table_schema(request.schema, name)
        )
        for column in request.schema.links(name):
            found[column] = declared.columns.get(column, Column(kind="id"))
            if column in model.keys and found[column].kind in IDENTIFIER_KINDS:
                found[column] = found[column].model_copy(update={"format": model.keys[column].format.text})
        columns = {column: found[column] for column in model.columns}
        tables[name] = declared.model_copy(update={"columns": columns})
    names = {f"{name}: {column}" for name, table in tables.items() for column in table.columns}
    catalogue = catalogue_of(request.schema.catalogue, names)
    told = {"dataset": request.dataset, "tables": tables, "catalogue": catalogue}
    schema = request.schema.model_copy(update=told)
    return dump_linked_schema(schema, comment=HEAD)
