"""The tables of the OMOP Common Data Model that are read, and what the model says of their columns.

Source: https://ohdsi.github.io/CommonDataModel/cdm54.html and cdm53.html. Left out are columns that may identify a
person or repeat free text (`*_source_value`, `sig`, `lot_number`, `stop_reason`), times of the day beside their dates,
keys of tables that are not read (provider, care site, visit detail), and concepts of the source's own vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from privsynth.schema.definition import Column
from privsynth.schema.stated_types import FIRST_DATE, LAST_DATE, THIS_YEAR

Meaning = Literal["key", "person", "concept", "date", "year", "month", "day", "count", "number"]

FIRST_BIRTH, LAST_BIRTH = 1880, THIS_YEAR  # (own)
# Standard concepts of domains that have few (https://athena.ohdsi.org); 0 is "no matching concept".
_FEW: Mapping[str, tuple[str, ...]] = {
    "gender_concept_id": ("0", "8507", "8532"),
    "race_concept_id": ("0", "8515", "8516", "8527", "8557", "8657"),
    "ethnicity_concept_id": ("0", "38003563", "38003564"),
}
# Bounds of years (own) hold for everybody whose records a computer keeps; those of months and days are the calendar's.
_KINDS: dict[Meaning, dict[str, Any]] = {
    "key": {"kind": "id", "roles": ("identifier",)},
    "person": {"kind": "id", "roles": ("identifier",)},
    "concept": {"kind": "categorical", "hierarchy": "omop"},
    "date": {"kind": "date", "minimum": FIRST_DATE, "maximum": LAST_DATE},
    "year": {"kind": "integer", "minimum": FIRST_BIRTH, "maximum": LAST_BIRTH},
    "month": {"kind": "integer", "minimum": 1, "maximum": 12},
    "day": {"kind": "integer", "minimum": 1, "maximum": 31},
    "count": {"kind": "integer", "minimum": 0},
    "number": {"kind": "numeric"},
}


@dataclass(frozen=True)
class CdmColumn:
    """A column: its name, what it means, and whether the model requires it."""

    name: str
    meaning: Meaning
    required: bool

    def stated(self) -> Column:
        """Return what the model says of its cells."""
        said = dict(_KINDS[self.meaning])
        if self.name in _FEW:
            said = {"kind": "categorical", "categories": _FEW[self.name]}
        if self.required:
            said["nullable"] = False
        return Column.model_validate(said)


def _table(text: str) -> tuple[CdmColumn, ...]:
    """Return the columns of a table from `name meaning` pairs, a `!` after what is required."""
    pairs = [item.split() for item in text.split(",")]
    return tuple(CdmColumn(name, meaning.removesuffix("!"), meaning.endswith("!")) for name, meaning in pairs)  # type: ignore[arg-type]


# Columns that one of the two versions lacks are not required here.
CDM: Mapping[str, tuple[CdmColumn, ...]] = {
    "person": _table(
        "person_id key!, gender_concept_id concept!, year_of_birth year!, month_of_birth month, day_of_birth day,"
        "race_concept_id concept!, ethnicity_concept_id concept!"
    ),
    "observation_period": _table(
        "observation_period_id key!, person_id person!, observation_period_start_date date!,"
        "observation_period_end_date date!, period_type_concept_id concept!"
    ),
    "visit_occurrence": _table(
        "visit_occurrence_id key!, person_id person!, visit_concept_id concept!, visit_start_date date!,"
        "visit_end_date date!, visit_type_concept_id concept!, admitting_source_concept_id concept,"
        "admitted_from_concept_id concept, discharge_to_concept_id concept, discharged_to_concept_id concept"
    ),
    "condition_occurrence": _table(
        "condition_occurrence_id key!, person_id person!, condition_concept_id concept!, condition_start_date date!,"
        "condition_end_date date, condition_type_concept_id concept!, condition_status_concept_id concept"
    ),
    "drug_exposure": _table(
        "drug_exposure_id key!, person_id person!, drug_concept_id concept!, drug_exposure_start_date date!,"
        "drug_exposure_end_date date!, drug_type_concept_id concept!, refills count, quantity number,"
        "days_supply count, route_concept_id concept"
    ),
    "procedure_occurrence": _table(
        "procedure_occurrence_id key!, person_id person!, procedure_concept_id concept!, procedure_date date!,"
        "procedure_end_date date, procedure_type_concept_id concept!, modifier_concept_id concept, quantity count"
    ),
    "measurement": _table(
        "measurement_id key!, person_id person!, measurement_concept_id concept!, measurement_date date!,"
        "measurement_type_concept_id concept!, operator_concept_id concept, value_as_number number,"
        "value_as_concept_id concept, unit_concept_id concept, range_low number, range_high number"
    ),
    "observation": _table(
        "observation_id key!, person_id person!, observation_concept_id concept!, observation_date date!,"
        "observation_type_concept_id concept!, value_as_number number, value_as_concept_id concept,"
        "qualifier_concept_id concept, unit_concept_id concept"
    ),
    "death": _table("person_id person!, death_date date!, death_type_concept_id concept, cause_concept_id concept"),
}
