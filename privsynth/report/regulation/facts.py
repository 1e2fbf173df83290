"""What a report can tell the annex: which conditions hold, and the values of its sentences.

Both are functions of the report itself, so an annex in a public report says nothing that the report does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privsynth.report.explain_epsilon import highest_accuracy, percent
from privsynth.report.format_numbers import number, power
from privsynth.report.records.promise import Guarantee
from privsynth.report.records.tables import ColumnRecord
from privsynth.report.report_data import ReportData

FAMILIES = frozenset({"membership", "disclosure", "utility", "bias"})  # each asked about as a condition
CONDITIONS = FAMILIES | {"promise", "no_promise", "grouped", "rows_alone", "identifiers", "columns", "policy"}
VALUES = frozenset({"unit", "rows_per_unit", "epsilon", "delta", "odds", "identifiers", "columns", "policy", "purpose"})
_NOT_THEIRS = ("free text", "a fresh surrogate", "invented")  # how the treatment of a column of identifiers begins


@dataclass(frozen=True)
class Facts:
    """What holds of a report.

    Attributes:
      conditions: those of `CONDITIONS` that hold.
      values: name of `VALUES` -> its text, for those that there are.
    """

    conditions: frozenset[str]
    values: Mapping[str, str]


def facts_of(report: ReportData) -> Facts:
    """Return what the annex may say of a report."""
    identifiers = [column.name for column in report.columns if _identifies(column)]
    measured = {finding.family for finding in report.findings if finding.value is not None}
    held = {
        "promise": report.guarantee is not None,
        "no_promise": report.guarantee is None,
        "identifiers": bool(identifiers),
        "columns": bool(report.columns),
        "policy": report.policy is not None,
        **{family: family in measured for family in FAMILIES},
    }
    values = {"identifiers": ", ".join(identifiers), "columns": str(len(report.columns))}
    if report.policy is not None:
        values |= {"policy": report.policy.policy, "purpose": report.policy.purpose}
    if report.guarantee is not None:
        held |= {"grouped": report.guarantee.unit != "row", "rows_alone": report.guarantee.unit == "row"}
        values |= _promise(report.guarantee)
    return Facts(frozenset(name for name, holds in held.items() if holds), values)


def _identifies(column: ColumnRecord) -> bool:
    return column.treatment.startswith(_NOT_THEIRS)


def _promise(g: Guarantee) -> dict[str, str]:
    accuracy = highest_accuracy(epsilon=g.epsilon, delta=g.delta, mu=g.mu, mu_delta=g.mu_delta)
    most = "all" if g.max_rows_per_unit is None else str(g.max_rows_per_unit)
    return {
        "unit": g.unit,
        "rows_per_unit": most,
        "epsilon": number(g.epsilon),
        "delta": power(g.delta),
        "odds": percent(accuracy, up=True),
    }
