"""Tables of a release as the OMOP Common Data Model 5.4 has them: all of its columns, in its order.

What is not modelled is missing, but for concepts of the source's own vocabulary, which are 0 where there are none, and
concepts that the model requires, which are 0 where none matches.
Source: https://ohdsi.github.io/CommonDataModel/cdm54.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from privsynth.errors import ConfigError
from privsynth.release.tables import WrittenTable
from privsynth.sources.linked import Link

_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.int64(), "int": pa.int32(), "num": pa.float64(), "date": pa.date32(), "time": pa.timestamp("us"),
    "text": pa.string(),
}  # fmt: skip
# Of version 5.3 -> of version 5.4.
_RENAMED = {
    "admitting_source_concept_id": "admitted_from_concept_id",
    "discharge_to_concept_id": "discharged_to_concept_id",
}
_WHERE = "provider_id id, visit_occurrence_id id, visit_detail_id id,"


def _table(text: str) -> Mapping[str, tuple[str, bool]]:
    """Return column -> its type and whether it is required, from `name type` pairs, a `!` after what is required."""
    pairs = [item.split() for item in text.split(",")]
    return {name: (kind.removesuffix("!"), kind.endswith("!")) for name, kind in pairs}


CDM54: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "person": _table(
        "person_id id!, gender_concept_id id!, year_of_birth int!, month_of_birth int, day_of_birth int,"
        "birth_datetime time, race_concept_id id!, ethnicity_concept_id id!, location_id id, provider_id id,"
        "care_site_id id, person_source_value text, gender_source_value text, gender_source_concept_id id,"
        "race_source_value text, race_source_concept_id id, ethnicity_source_value text,"
        "ethnicity_source_concept_id id"
    ),
    "observation_period": _table(
        "observation_period_id id!, person_id id!, observation_period_start_date date!,"
        "observation_period_end_date date!, period_type_concept_id id!"
    ),
    "visit_occurrence": _table(
        "visit_occurrence_id id!, person_id id!, visit_concept_id id!, visit_start_date date!,"
        "visit_start_datetime time, visit_end_date date!, visit_end_datetime time, visit_type_concept_id id!,"
        "provider_id id, care_site_id id, visit_source_value text, visit_source_concept_id id,"
        "admitted_from_concept_id id, admitted_from_source_value text, discharged_to_concept_id id,"
        "discharged_to_source_value text, preceding_visit_occurrence_id id"
    ),
    "condition_occurrence": _table(
        "condition_occurrence_id id!, person_id id!, condition_concept_id id!, condition_start_date date!,"
        "condition_start_datetime time, condition_end_date date, condition_end_datetime time,"
        f"condition_type_concept_id id!, condition_status_concept_id id, stop_reason text, {_WHERE}"
        "condition_source_value text, condition_source_concept_id id, condition_status_source_value text"
    ),
    "drug_exposure": _table(
        "drug_exposure_id id!, person_id id!, drug_concept_id id!, drug_exposure_start_date date!,"
        "drug_exposure_start_datetime time, drug_exposure_end_date date!, drug_exposure_end_datetime time,"
        "verbatim_end_date date, drug_type_concept_id id!, stop_reason text, refills int, quantity num,"
        f"days_supply int, sig text, route_concept_id id, lot_number text, {_WHERE}"
        "drug_source_value text, drug_source_concept_id id, route_source_value text, dose_unit_source_value text"
    ),
    "procedure_occurrence": _table(
        "procedure_occurrence_id id!, person_id id!, procedure_concept_id id!, procedure_date date!,"
        "procedure_datetime time, procedure_end_date date, procedure_end_datetime time,"
        f"procedure_type_concept_id id!, modifier_concept_id id, quantity int, {_WHERE}"
        "procedure_source_value text, procedure_source_concept_id id, modifier_source_value text"
    ),
    "measurement": _table(
        "measurement_id id!, person_id id!, measurement_concept_id id!, measurement_date date!,"
        "measurement_datetime time, measurement_time text, measurement_type_concept_id id!, operator_concept_id id,"
        f"value_as_number num, value_as_concept_id id, unit_concept_id id, range_low num, range_high num, {_WHERE}"
        "measurement_source_value text, measurement_source_concept_id id, unit_source_value text,"
        "unit_source_concept_id id, value_source_value text, measurement_event_id id, meas_event_field_concept_id id"
    ),
    "observation": _table(
        "observation_id id!, person_id id!, observation_concept_id id!, observation_date date!,"
        "observation_datetime time, observation_type_concept_id id!, value_as_number num, value_as_string text,"
        f"value_as_concept_id id, qualifier_concept_id id, unit_concept_id id, {_WHERE}"
        "observation_source_value text, observation_source_concept_id id, unit_source_value text,"
        "qualifier_source_value text, value_source_value text, observation_event_id id,"
        "obs_event_field_concept_id id"
    ),
    "death": _table(
        "person_id id!, death_date date!, death_datetime time, death_type_concept_id id, cause_concept_id id,"
        "cause_source_value text, cause_source_concept_id id"
    ),
}


def as_omop(tables: Sequence[WrittenTable]) -> tuple[WrittenTable, ...]:
    """Return tables with all columns of the CDM.

    Raises:
      ConfigError: they are not those of the CDM, or lack a column that it requires and that cannot be 0.
    """
    if unknown := [table.name for table in tables if table.name.lower() not in CDM54]:
        raise ConfigError(
            f"'{unknown[0]}' is no table of OMOP's CDM that is written; a release with a preset of omop has such ones"
        )
    return tuple(_whole(table) for table in tables)


def _whole(table: WrittenTable) -> WrittenTable:
    name = table.name.lower()
    there = {_RENAMED.get(column, column): column for column in table.schema.names}
    fields = []
    for column, (kind, required) in CDM54[name].items():
        if column in there:
            known = table.schema.field(there[column])
            fields.append(pa.field(column, _kept(known.type, kind), known.nullable))
            continue
        concept = column.endswith("_concept_id")
        if required and not concept:
            raise ConfigError(f"the release has no column '{column}', which OMOP's CDM requires of {name}")
        fields.append(pa.field(column, _TYPES[kind], not required))
    schema = pa.schema(fields)
    links = tuple(Link(name, link.columns, link.parent.lower(), link.parent_columns) for link in table.links)
    return replace(table, name=name, schema=schema, blocks=_filled(table, schema, there), links=links)


def _kept(kind: pa.DataType, meant: str) -> pa.DataType:
    """Return the type of a column that is there: a whole number as wide as it is, all else as the CDM has it."""
    return kind if pa.types.is_integer(kind) else pa.string() if pa.types.is_string(kind) else _TYPES[meant]


def _filled(table: WrittenTable, schema: pa.Schema, there: Mapping[str, str]) -> Iterator[pa.Table]:
    for block in table.blocks:
        columns = []
        for field in schema:
            if field.name in there:
                columns.append(block.column(there[field.name]).cast(field.type))
            elif not field.nullable or field.name.endswith("_source_concept_id"):
                columns.append(pa.chunked_array([pa.repeat(pa.scalar(0, field.type), block.num_rows)]))
            else:
                columns.append(pa.chunked_array([pa.nulls(block.num_rows, field.type)]))
        yield pa.Table.from_arrays(columns, schema=schema)
