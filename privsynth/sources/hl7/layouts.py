"""Which fields of HL7 v2 become which columns. Source: HL7 version 2.5.1, chapters 2 to 4 and 6.

Fields keep their numbers in all versions from 2.1 to 2.8. Names, addresses below the state, telephone numbers, notes,
staff and free text are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from privsynth.schema.definition import Column
from privsynth.schema.stated_types import FIRST_DATE, LAST_DATE

Meaning = Literal["key", "code", "date", "time", "flag", "number", "count"]

_KINDS: dict[Meaning, dict[str, Any]] = {
    "key": {"kind": "id", "roles": ("identifier",)},
    "code": {"kind": "categorical"},
    "date": {"kind": "date", "minimum": FIRST_DATE, "maximum": LAST_DATE},
    "time": {"kind": "datetime", "minimum": FIRST_DATE, "maximum": LAST_DATE, "precision": 60},
    "flag": {"kind": "boolean", "true_values": ("Y",), "false_values": ("N",)},  # table 0136
    "number": {"kind": "numeric"},
    "count": {"kind": "integer"},
}
# Codes of tables that the standard lists. A site may have more of 0001, 0004, 0007 and 0112: declare them then.
_TABLES: Mapping[str, str] = {
    "0001": "A F M N O U",
    "0002": "A B C D E G I M N O P R S T U W",
    "0004": "B C E I N O P R U",
    "0007": "A C E L N R U",
    "0052": "A F W",
    "0078": "< > A AA B D H HH I L LL MS N R S U VS W",
    "0085": "C D F I N O P R S U W X",
    "0125": "AD CE CF CK CN CP CWE CX DR DT DTM ED FT ID IS MO NM PN RP SN ST TM TN TS TX XAD XCN XON XPN XTN",
    "0127": "AA DA EA FA LA MA MC PA",
    "0128": "MI MO SV U",
    "0189": "H N U",
}


@dataclass(frozen=True, kw_only=True)
class Hl7Column:
    """A column of a table.

    Attributes:
      meaning: what its cells are.
      paths: fields and components, `PID-11.4`, of which the first that is valued counts.
      table: the number of the HL7 table that lists its codes; "" where it is open.
      types: of `OBX-5`, the value types (OBX-2) of which the column takes a value; empty for any.
    """

    meaning: Meaning
    paths: tuple[str, ...]
    table: str = ""
    types: tuple[str, ...] = ()

    def stated(self) -> Column:
        """Return what the standard says of its cells."""
        codes = {"categories": tuple(_TABLES[self.table].split())} if self.table else {}
        return Column.model_validate({**_KINDS[self.meaning], **codes})


@dataclass(frozen=True, kw_only=True)
class Hl7Layout:
    """A table of messages.

    Attributes:
      segment: the segment that is a row; segments before it in its message hold the other columns.
      columns: name -> column.
      same: columns that tell rows apart. Of several rows that agree in them, which messages repeat and update, one
        remains, and each of its cells is the last that was valued. Empty: every segment is a row.
    """

    segment: str
    columns: Mapping[str, Hl7Column]
    same: tuple[str, ...] = ()


def _key(*paths: str) -> Hl7Column:
    return Hl7Column(meaning="key", paths=paths)


def _code(*paths: str, table: str = "") -> Hl7Column:
    return Hl7Column(meaning="code", paths=paths, table=table)


def _time(*paths: str) -> Hl7Column:
    return Hl7Column(meaning="time", paths=paths)


_PATIENT = _key("PID-3.1", "PID-2.1")
_VISIT = _key("PV1-19.1", "PID-18.1")  # sites that number no visits number the account of each
_CODED = ("CE", "CF", "CNE", "CWE", "ID", "IS")

LAYOUTS: Mapping[str, Hl7Layout] = {
    "patient": Hl7Layout(
        segment="PID",
        same=("patient",),
        columns={
            "patient": _PATIENT,
            "sex": _code("PID-8", table="0001"),
            "birth_date": Hl7Column(meaning="date", paths=("PID-7.1",)),
            "race": _code("PID-10.1"),
            "ethnic_group": _code("PID-22.1", table="0189"),
            "language": _code("PID-15.1"),
            "marital_status": _code("PID-16.1", table="0002"),
            "state": _code("PID-11.4"),
            "country": _code("PID-11.6"),
            "died": Hl7Column(meaning="flag", paths=("PID-30",)),
            "death_time": _time("PID-29.1"),
        },
    ),
    "visit": Hl7Layout(
        segment="PV1",
        same=("patient", "visit"),
        columns={
            "visit": _VISIT,
            "patient": _PATIENT,
            "patient_class": _code("PV1-2", table="0004"),
            "admission_type": _code("PV1-4", table="0007"),
            "ward": _code("PV1-3.1"),
            "facility": _code("PV1-3.4"),
            "service": _code("PV1-10"),
            "admit_source": _code("PV1-14"),
            "patient_type": _code("PV1-18"),
            "discharge_disposition": _code("PV1-36"),
            "admitted": _time("PV1-44.1"),
            "discharged": _time("PV1-45.1"),
        },
    ),
    "diagnosis": Hl7Layout(
        segment="DG1",
        same=("patient", "visit", "code", "type"),
        columns={
            "patient": _PATIENT,
            "visit": _VISIT,
            "code": _code("DG1-3.1"),
            "code_system": _code("DG1-3.3", "DG1-2"),
            "type": _code("DG1-6", table="0052"),
            "priority": Hl7Column(meaning="count", paths=("DG1-15",)),
            "diagnosed": _time("DG1-5.1"),
        },
    ),
    "allergy": Hl7Layout(
        segment="AL1",
        same=("patient", "code"),
        columns={
            "patient": _PATIENT,
            "type": _code("AL1-2.1", table="0127"),
            "code": _code("AL1-3.1"),
            "severity": _code("AL1-4.1", table="0128"),
            "since": Hl7Column(meaning="date", paths=("AL1-6.1",)),
        },
    ),
    "observation": Hl7Layout(
        segment="OBX",
        columns={
            "patient": _PATIENT,
            "visit": _VISIT,
            "panel": _code("OBR-4.1"),
            "code": _code("OBX-3.1"),
            "code_system": _code("OBX-3.3"),
            "value_type": _code("OBX-2", table="0125"),
            "value": Hl7Column(meaning="number", paths=("OBX-5",), types=("NM", "SN", "ST")),
            "value_code": Hl7Column(meaning="code", paths=("OBX-5.1",), types=_CODED),
            "unit": _code("OBX-6.1"),
            "flag": _code("OBX-8", table="0078"),
            "status": _code("OBX-11", table="0085"),
            "observed": _time("OBX-14.1", "OBR-7.1"),
        },
    ),
}
