"""Schemas of linked tables that ship for OMOP: persons, what happens to them, and the rules of the model."""

from __future__ import annotations

from collections.abc import Mapping

from privsynth.schema.linked import LinkedSchema, LinkedTable, Parent
from privsynth.sources.omop.cdm import CDM

# The persons are the same in every preset, and so is the name under which the ledger keeps their budget.
DATASET = "omop"
# Table -> the date that orders the rows of a person, and the date at which a row ends; both versions have it.
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


# No month is longer than that; a year that is no leap year has one day less in February.
_CALENDAR = (
    "month_of_birth = 2 => day_of_birth <= 29",
    "month_of_birth = 4 => day_of_birth <= 30",
    "month_of_birth = 6 => day_of_birth <= 30",
    "month_of_birth = 9 => day_of_birth <= 30",
    "month_of_birth = 11 => day_of_birth <= 30",
)


def _linked(table: str) -> LinkedTable:
    columns = {column.name: column for column in CDM[table]}
    required = {name: column.stated() for name, column in columns.items() if column.required}
    if table == "person":
        born = {name: columns[name].stated() for name in ("month_of_birth", "day_of_birth")}
        return LinkedTable(key=("person_id",), columns=required | born, rules=_CALENDAR)
    start, end = _DATES[table]
    rules = [f"year({start}) >= `parent.year_of_birth`"]
    if end is not None:
        required[end] = columns[end].stated()
        rules.append(f"{end} >= {start}")
    return LinkedTable(
        key=() if table == "death" else (f"{table}_id",),
        parent=Parent(table="person", columns=("person_id",)),
        order=start,
        max_children=1 if table == "death" else 50,
        columns=required,
        rules=tuple(rules),
    )


PRESETS: Mapping[str, LinkedSchema] = {
    name: LinkedSchema(dataset=DATASET, tables={table: _linked(table) for table in tables})
    for name, tables in _TABLES.items()
}
