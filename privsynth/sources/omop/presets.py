"""Schemas of linked tables that ship for OMOP: persons, what happens to them, and the rules of the model."""

from __future__ import annotations

from collections.abc import Mapping

from privsynth.schema.linked import LinkedSchema, LinkedTable, Parent
from privsynth.sources.omop.cdm import CDM

# Table -> the date that orders the rows of a person, and the date at which a row ends.
_DATES: Mapping[str, tuple[str, str | None]] = {
    "visit_occurrence": ("visit_start_date", "visit_end_date"),
    "condition_occurrence": ("condition_start_date", "condition_end_date"),
    "drug_exposure": ("drug_exposure_start_date", "drug_exposure_end_date"),
    "procedure_occurrence": ("procedure_date", None),
    "measurement": ("measurement_date", None),
    "death": ("death_date", None),
}
_TABLES: Mapping[str, tuple[str, ...]] = {
    "person-visits": ("person", "visit_occurrence"),
    "person-conditions": ("person", "condition_occurrence"),
    "person-events": tuple(["person", *(name for name in _DATES if name != "death")]),
    "person-life": ("person", *_DATES),
}


def _linked(table: str) -> LinkedTable:
    required = {column.name: column.stated() for column in CDM[table] if column.required}
    if table == "person":
        return LinkedTable(key=("person_id",), columns=required)
    start, end = _DATES[table]
    return LinkedTable(
        key=() if table == "death" else (f"{table}_id",),
        parent=Parent(table="person", columns=("person_id",)),
        order=start,
        max_children=1 if table == "death" else 50,
        columns=required,
        rules=(f"{end} >= {start}",) if end in required else (),
    )


PRESETS: Mapping[str, LinkedSchema] = {
    name: LinkedSchema(dataset=name, tables={table: _linked(table) for table in tables})
    for name, tables in _TABLES.items()
}
