"""A small public and a small officer report, with one of everything, at a fixed clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from privsynth.findings.finding import Finding
from privsynth.findings.left_out import RowsLeftOut
from privsynth.findings.usability import Usability
from privsynth.policy.files import parse_policy
from privsynth.policy.judge import Judgement, judge
from privsynth.report.hazards import hazards
from privsynth.report.records.inside import AuditRun, LedgerState, OfficerPart
from privsynth.report.records.promise import GeneratorRecord, Guarantee, SpendRecord
from privsynth.report.records.tables import ColumnProfile, ColumnRecord, SampleRows
from privsynth.report.report_data import ReportData


def finding(name: str, value: float | None, **more: Any) -> Finding:
    """Return a public finding with a stock meaning."""
    stock: dict[str, Any] = {"family": "fidelity", "visibility": "public", "meaning": f"What {name} says.", "n": 1000}
    return Finding(name=name, value=value, **{**stock, **more})


SHARES: dict[str, Any] = {"family": "bias", "threshold": "within 5 points (policy 1)"}
PUBLIC_FINDINGS = (
    finding("tvd_1way_mean", 0.012, low=0.01, high=0.014, baseline=0.008, baseline_label="holdout", better="lower"),
    finding("tvd_2way_mean", 0.031, low=0.028, high=0.034, baseline=0.024, baseline_label="holdout", better="lower"),
    *(
        finding("tvd_1way", value, group=group, low=value / 2, high=value * 2, better="lower")
        for group, value in (("age", 0.02), ("sex", 0.001))
    ),
    *(
        finding("tvd_2way", value, group=group, better="lower")
        for group, value in (("age × sex", 0.04), ("age × ward", 0.09), ("sex × ward", 0.03))
    ),
    finding("tstr_auroc", 0.81, family="utility", low=0.78, high=0.84, baseline=0.5, baseline_label="chance"),
    finding("representation", 0.52, group="sex=F", baseline=0.5, verdict="pass", **SHARES),
    finding("representation", 0.02, group="sex=X", baseline=0.1, verdict="fail", **SHARES),
    finding("base_rate", None, family="bias", group="sex=X", verdict="insufficient", n=7),
    finding("rule_violations", 0.0, family="rules", group="a >= b", low=0.0, high=0.003, verdict="pass"),
)

NO_COPY: dict[str, Any] = {"copies": 0}
EXACT: dict[str, Any] = {"family": "membership", "visibility": "officer", "baseline": 0.5, "baseline_label": "chance"}
OFFICER_FINDINGS = (
    finding(
        "tvd_1way",
        0.02,
        group="sex",
        visibility="officer",
        detail={"overlay": {"labels": ["F", "M"], "real": [0.52, 0.48], "synthetic": [0.5, 0.5]}},
    ),
    finding(
        "tvd_2way",
        0.09,
        group="sex × ward",
        visibility="officer",
        detail={
            "pair": {
                "rows": ["F", "M"],
                "columns": ["ent", "obstetrics"],
                "real": [[0.3, 0.22], [0.48, 0.0]],
                "synthetic": [[0.31, 0.19], [0.48, 0.02]],
            }
        },
    ),
    finding(
        "utility_auc",
        0.82,
        family="utility",
        visibility="officer",
        low=0.8,
        high=0.84,
        baseline=0.86,
        baseline_label="trained on real rows",
    ),
    finding(
        "membership_auc",
        0.51,
        family="membership",
        visibility="officer",
        group="distance",
        baseline=0.5,
        detail={"roc": [[0, 0], [0.01, 0.012], [0.1, 0.11], [1, 1]]},
    ),
    finding("membership_auc", 0.5, group="density", detail={"roc": [[0, 0], [0.1, 0.2], [1, 1]]}, **EXACT),
    finding("membership_auc_vulnerable", 0.53, group="density, most vulnerable 10 %", low=0.45, high=0.61, **EXACT),
    finding("membership_tpr", 0.012, group="density, FPR 1.0 %", low=0.005, high=0.02, **EXACT),
    finding("membership_tpr_by_group", 0.11, group="sex=F", low=0.05, high=0.17, **EXACT),
    *(
        finding(
            "decay_tail_mass",
            kept[-1],
            family="decay",
            visibility="officer",
            group=regime,
            baseline=0.7,
            detail={"generation": [0, 1, 2], "tail": kept, "tail_resampled": [1.0, 0.9, 0.7]},
        )
        for regime, kept in (("replace", [1.0, 0.6, 0.2]), ("mix", [1.0, 0.95, 0.9]))
    ),
    finding("singling_out", 0.02, family="disclosure", visibility="officer", low=0.0, high=0.05, verdict="pass"),
    finding("linkability", 0.01, family="disclosure", visibility="officer", low=0.0, high=0.03, verdict="pass"),
    finding("exact_copies", 0.0, family="alarms", visibility="officer", verdict="review", unit="rows", detail=NO_COPY),
)

GUARANTEE = Guarantee(
    epsilon=1.0,
    delta=1e-6,
    unit="patient_id",
    neighbours="add or remove all rows of one patient_id",
    accountant="exact composition of Gaussian mechanisms",
    second_accountant="privacy loss distributions",
    max_rows_per_unit=3,
    mu=0.24,
    mu_delta=1e-7,
    report_share=0.05,
    holdout_fraction=0.1,
    n_rows_noisy=997,
    left_out=RowsLeftOut(units=0.12, rows=0.081, most_moved=0.084, counted=9),
    spends=(
        SpendRecord(
            label="rows", mechanism="Gaussian", share=0.05, what="The rows.", noise_multiplier=20.0, sensitivity=3.0
        ),
        SpendRecord(label="measurement", mechanism="Gaussian", share=0.85, what="The pairs.", delta=1e-7),
        SpendRecord(label="report", mechanism="Gaussian", share=0.05, what="These figures."),
    ),
)

COLUMNS = (
    ColumnRecord(
        name="patient_id",
        kind="id",
        domain="none",
        provenance="fixed",
        treatment="fresh surrogate",
        nullable=False,
    ),
    ColumnRecord(
        name="age", kind="integer", domain="0 to 120", provenance="declared", treatment="modelled", unit="years"
    ),
    ColumnRecord(
        name="sex",
        kind="categorical",
        domain="3 categories",
        provenance="bought",
        treatment="modelled",
        roles=("protected", "quasi_identifier"),
        values=("F", "M", "X"),
    ),
    ColumnRecord(
        name="diagnosis",
        kind="categorical",
        domain="90 categories",
        provenance="declared",
        treatment="modelled",
        note="Main diagnosis",
        hierarchy="ICD-10: chapter > block",
        digits=True,
    ),
)

OFFICER_PART = OfficerPart(
    skipped={"short_rows": 2, "nul_cells": 0},
    durations={"learn": 1.5},
    pool={"training": 101, "holdout": 99},
    source_commitment="ab" * 16,
    release="cd" * 32,
    ledger=LedgerState(
        cap_epsilon=10.0, spent_before_epsilon=2.0, spent_after_epsilon=3.0, cap_delta=1e-5, releases_before=2
    ),
    audit=AuditRun(
        level="quick",
        left_out={"utility": "One draw of synthetic rows instead of three."},
        thinned="At most 50,000 rows of each table were audited.",
        unfinished=("bias",),
    ),
)

PUBLIC_POLICY = b"""
policy: ward statistics
version: "2"
purpose: Tables for the ward's own planning.
checks:
  - {metric: promised_epsilon, at_most: 2, source: "minutes of the board, 2026-03-01"}
  - {metric: promised_delta, at_most: 1e-7, source: own}
  - {metric: tvd_2way_mean, at_most: 0.033, visibility: public, source: own, why: Pairs are what we tabulate.}
  - {metric: representation, groups: "sex=*", at_most: 0.05, compare: distance, visibility: public, source: own}
"""
OFFICER_POLICY = (
    PUBLIC_POLICY
    + b"""
  - {metric: membership_auc, at_most: 0.6, source: own}
  - {metric: exact_copies, judge: verdict, source: own}
  - {metric: linkability, at_most: 0.09, source: own}
"""
)
PROMISE = {"promised_epsilon": 1.0, "promised_delta": 1e-6}


def judged(raw: bytes, findings: tuple[Finding, ...]) -> Judgement:
    """Return the verdicts of a policy on some findings."""
    return judge(parse_policy(raw, "policy"), findings, promise=PROMISE)


def public() -> ReportData:
    """Return the small public report."""
    return ReportData(
        kind="public",
        report_id="run-0001",
        dataset="admissions",
        created="2026-11-22T10:00:00+00:00",
        tool_version="0.1.0",
        generator=GeneratorRecord(name="marginal", version="0.1.0", settings={"fit": {"steps": 10}, "tables": 3}),
        guarantee=GUARANTEE,
        unsigned=False,
        demo=True,
        signer="DEMO 1234-5678",
        n_rows_synthetic=1000,
        usability=Usability(resolved=("sex",), coarse=("age",), lost=("<ward>",), kept=("age × sex",)),
        columns=COLUMNS,
        rules=("discharged >= admitted",),
        findings=PUBLIC_FINDINGS,
        samples=(SampleRows(columns=("age", "sex"), units=("years", ""), rows=(("41", "F"), ("7", None))),),
        synthetic_profile=(
            ColumnProfile(column="age", labels=("0", "40", "80"), counts=(200.0, 500.0, 300.0), ordered=True),
            ColumnProfile(column="sex", labels=("F", "M", "X"), counts=(520.0, 460.0, 20.0)),
        ),
        hazards=hazards("marginal", holdout=True),
        sampling_seed=2**63 + 1,
        files=("data.parquet", "report.html"),
        policy=judged(PUBLIC_POLICY, PUBLIC_FINDINGS),
    )


def officer() -> ReportData:
    """Return the officer's report of the same release."""
    findings = (*PUBLIC_FINDINGS, *OFFICER_FINDINGS)
    policy = judged(OFFICER_POLICY, findings)
    return replace(public(), kind="officer", findings=findings, officer=OFFICER_PART, policy=policy)


@pytest.fixture
def public_report() -> ReportData:
    return public()


@pytest.fixture
def officer_report() -> ReportData:
    return officer()


@pytest.fixture(params=[public, officer], ids=["public", "officer"])
def report(request) -> ReportData:
    """Return each of the two."""
    return request.param()


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    return finding
