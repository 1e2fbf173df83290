"""Facts of a small release of one table, of linked tables, and of one with hostile names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from privsynth.exports.facts import DataFile, ReleaseFacts
from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.report.hazards import hazards
from privsynth.report.records.promise import GeneratorRecord, Guarantee, SpendRecord
from privsynth.report.records.tables import ColumnRecord, TableRecord
from privsynth.report.report_data import ReportData

HOSTILE = "x|<script>alert(1)</script>*_`\x1b[31m\n# y"


def column(name: str, kind: str = "categorical", **more: Any) -> ColumnRecord:
    stock: dict[str, Any] = {"domain": "3 categories", "provenance": "declared", "treatment": "modelled"}
    return ColumnRecord(name=name, kind=kind, **{**stock, **more})


COLUMNS = (
    column("patient_id", "id", domain="none", nullable=False, roles=("identifier",)),
    column("admitted", "datetime", domain="2023-01-01 to 2024-12-31; 9 bins, found with noise"),
    column("age", "integer", domain="0 to 120", unit="years", note="Completed years, at admission"),
    column("sex", values=("F", "M"), roles=("protected", "quasi_identifier"), provenance="bought"),
    column("postcode", digits=True, note="Three digits"),
    column("ward", values=("surgery", "ent"), hierarchy="wards: floor > wing"),
    column("died", "boolean", domain="no or yes", values=("no", "yes"), provenance="fixed"),
    column("weight", "numeric", domain="computed", unit="kg"),
    column("letter", "text", domain="none", treatment="dropped: free text"),
)
WRITTEN = tuple(record.name for record in COLUMNS if record.name != "letter")
GUARANTEE = Guarantee(
    epsilon=1.5,
    delta=1e-6,
    unit="patient_id",
    neighbours="add or remove all rows of one patient_id",
    accountant="exact composition of Gaussian mechanisms",
    max_rows_per_unit=2,
    mu=0.3,
    mu_delta=1e-7,
    report_share=0.05,
    holdout_fraction=0.1,
    n_rows_noisy=1003,
    spends=(SpendRecord(label="rows", mechanism="Gaussian", share=0.05, what="How many rows there are."),),
)


def public(**changes: Any) -> ReportData:
    """Return the public report of a release of one table."""
    report = ReportData(
        kind="public",
        report_id="run-0001",
        dataset="admissions",
        created="2026-11-22T10:00:00+00:00",
        tool_version="0.1.0",
        generator=GeneratorRecord(name="marginal", version="0.1.0"),
        guarantee=GUARANTEE,
        unsigned=False,
        signer="Data office, St Mary, key 7804fd5f",
        n_rows_synthetic=1000,
        usability=Usability(resolved=("sex",), lost=("ward",), kept=("age × sex",)),
        columns=COLUMNS,
        rules=("died = yes => age > 0",),
        findings=(
            Finding(
                name="tvd_1way_mean",
                family="fidelity",
                visibility="public",
                meaning="How far.",
                value=0.02,
                low=0.01,
                high=0.03,
            ),
        ),
        hazards=hazards("marginal", holdout=True),
        sampling_seed=7,
        files=("data.csv",),
    )
    return replace(report, **changes)


def data_file(path: str, columns: tuple[str, ...], **more: Any) -> DataFile:
    stock: dict[str, Any] = {"table": "", "rows": 1000, "sha256": "ab" * 32, "size": 12_345}
    delimiter = ";" if path.endswith(".csv") else ""
    return DataFile(path=path, columns=columns, **{**stock, "delimiter": delimiter, **more})


def flat(path: str = "data.csv", **changes: Any) -> ReleaseFacts:
    return ReleaseFacts(report=public(**changes), data=(data_file(path, WRITTEN),))


def linked() -> ReleaseFacts:
    """Return a release of patients, their stays, and a reference table of wards."""
    columns = tuple(replace(record, name=f"patients: {record.name}") for record in COLUMNS[:4])
    columns += tuple(replace(record, name=f"stays: {record.name}") for record in COLUMNS[4:])
    tables = (
        TableRecord(name="patients", n_rows=400),
        TableRecord(name="stays", parent="patients", order="admitted", max_children=5, n_rows=600),
        TableRecord(name="wards", n_rows=2, reference=True),
    )
    return ReleaseFacts(
        report=public(columns=columns, tables=tables),
        data=(
            data_file("data/patients.parquet", tuple(r.name for r in COLUMNS[:4]), table="patients", rows=400),
            data_file("data/stays.parquet", tuple(r.name for r in COLUMNS[4:-1]), table="stays", rows=600),
            data_file("data/wards.parquet", ("ward", "floor"), table="wards", rows=2, reference=True),
        ),
    )


def hostile() -> ReleaseFacts:
    """Return a release whose every name is markup."""
    columns = (column(HOSTILE, note=HOSTILE, values=(HOSTILE,), unit=HOSTILE, digits=True),)
    report = public(dataset=HOSTILE, columns=columns, rules=(HOSTILE,), signer=HOSTILE)
    return ReleaseFacts(report=report, data=(data_file("data.csv", (HOSTILE,)),))


@pytest.fixture(params=[flat, linked, hostile], ids=["flat", "linked", "hostile"])
def facts(request) -> ReleaseFacts:
    made: ReleaseFacts = request.param()
    return made
