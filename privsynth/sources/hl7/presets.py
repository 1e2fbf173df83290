"""Schemas of linked tables that ship for HL7 v2: patients, their visits, and what was found."""

from __future__ import annotations

from collections.abc import Mapping

from privsynth.schema.definition import Column
from privsynth.schema.linked import LinkedSchema, LinkedTable, Parent
from privsynth.sources.hl7.layouts import LAYOUTS

# The patients are the same in every preset, and so is the name under which the ledger keeps their budget.
DATASET = "hl7"
# Table -> the time that orders the rows below one, and what the times of a row imply.
_ORDER: Mapping[str, str | None] = {
    "visit": "admitted", "diagnosis": "diagnosed", "allergy": None, "observation": "observed",
}  # fmt: skip
_RULES: Mapping[str, tuple[str, ...]] = {"visit": ("discharged >= admitted",)}
# Preset -> table -> the table above it.
_PARENTS: Mapping[str, Mapping[str, str]] = {
    "hl7-visits": {"visit": "patient"},
    "hl7-diagnoses": {"visit": "patient", "diagnosis": "visit", "allergy": "patient"},
    "hl7-results": {"visit": "patient", "observation": "visit"},
    "hl7-patient-results": {"observation": "patient"},  # where results come without a visit
}


def _schema(name: str) -> LinkedSchema:
    parents = _PARENTS[name]
    tables = {"patient": LinkedTable(key=("patient",), columns={"patient": _key("patient", "patient")})}
    for table, parent in parents.items():
        # The key of a table that is not right above says nothing that the one above does not: it is dropped.
        keys = {key: _key(table, key) if key in (parent, table) else Column(kind="text") for key in _keys(table)}
        order = _ORDER[table]
        tables[table] = LinkedTable(
            key=(table,) if table in parents.values() else (),
            parent=Parent(table=parent, columns=(parent,)),
            order=order,
            columns=keys | {column: LAYOUTS[table].columns[column].stated() for column in _said(table)},
            rules=_RULES.get(table, ()),
        )
    return LinkedSchema(dataset=DATASET, tables=tables)


def _keys(table: str) -> list[str]:
    return [name for name, column in LAYOUTS[table].columns.items() if column.meaning == "key"]


def _said(table: str) -> list[str]:
    """Return the columns of times, which orders and rules need to be declared."""
    return [name for name, column in LAYOUTS[table].columns.items() if column.meaning == "time"]


def _key(table: str, name: str) -> Column:
    return LAYOUTS[table].columns[name].stated().model_copy(update={"nullable": False})


PRESETS: Mapping[str, LinkedSchema] = {name: _schema(name) for name in _PARENTS}
