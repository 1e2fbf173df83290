"""Tables of a release of FHIR's as resources of FHIR R4 again: NDJSON, a file a type, as bulk export writes it.

The inverse of the views that ship (`privsynth/sources/fhir/views`). A code's system is not among the columns of a view:
it is written where the standard binds the element to one, or where a check digit tells it (LOINC, SNOMED CT).
Source: https://hl7.org/fhir/R4/.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from privsynth.codecs.columns.category import OTHER
from privsynth.errors import ConfigError
from privsynth.release.tables import WrittenTable

Resource = dict[str, Any]
_HL7 = "http://terminology.hl7.org/CodeSystem/"
# "Test health data": what marks resources that are about nobody (https://hl7.org/fhir/R4/security-labels.html).
_TEST = {"system": f"{_HL7}v3-ActReason", "code": "HTEST", "display": "test health data"}
META = {"security": [_TEST], "tag": [_TEST]}
_UNKNOWN = {"system": f"{_HL7}v3-NullFlavor", "code": "UNK"}
_ABSENT = {"coding": [{"system": f"{_HL7}data-absent-reason", "code": "unknown"}]}
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_OMB = "urn:oid:2.16.840.1.113883.6.238"
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LOINC = re.compile(r"\d{1,7}-\d")
_SNOMED = re.compile(r"[1-9]\d{2,14}[01]0\d")  # of a concept, by its partition
ENDED = ("inactive", "resolved", "remission")  # clinical statuses that a condition which abated may have


class Element(NamedTuple):
    """Where a column goes: the path of its element, what makes the value, and the system of a code, if it has one."""

    path: str
    make: Callable[[Any, str], Any]
    system: str = ""


def _plain(value: Any, _: str) -> Any:
    return value


def _day(value: Any, _: str) -> str:
    return value.isoformat()[:10]


def _time(value: Any, _: str) -> str:
    """Return a dateTime: of a time in UTC with its zone, of a date without one."""
    text = value.isoformat()
    return text if "T" not in text else text.removesuffix("+00:00") + "Z"


def _coding(code: Any, system: str) -> Resource:
    if code == OTHER:
        return {"display": OTHER}
    system = {"check": _recognised(str(code))}.get(system, system)
    return {**({"system": system} if system else {}), "code": str(code)}


def _concept(code: Any, system: str) -> Resource:
    return {"text": OTHER} if code == OTHER else {"coding": [_coding(code, system)]}


def _concepts(code: Any, system: str) -> list[Resource]:
    return [_concept(code, system)]


def _language(code: Any, system: str) -> list[Resource]:
    return [{"language": _concept(code, system)}]


def _omb(code: Any, url: str) -> list[Resource]:
    parts = [{"url": "ombCategory", "valueCoding": _coding(code, _OMB)}, {"url": "text", "valueString": str(code)}]
    return [{"url": url, "extension": parts if code != OTHER else parts[1:]}]


def _recognised(code: str) -> str:
    """Return the system that a code's check digit tells; "" for any other.

    Source: LOINC Users' Guide, appendix on check digits (Luhn); SNOMED CT Release File Specifications (Verhoeff).
    """
    if _LOINC.fullmatch(code) and _luhn(code.replace("-", "")):
        return "http://loinc.org"
    return "http://snomed.info/sct" if _SNOMED.fullmatch(code) and _verhoeff(code) else ""


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    return sum(sum(divmod(number, 10)) for number in doubled) % 10 == 0


def _verhoeff(digits: str) -> bool:
    order, found = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0
    for digit in reversed(digits):
        found = _times(found, order[int(digit)])
        order = [order[at] for at in (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)]
    return found == 0


def _times(a: int, b: int) -> int:
    """Return the product of two elements of the dihedral group of ten, numbered 0 to 4 (turns) and 5 to 9."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5


_OBSERVATION = {
    "status": Element("status", _plain), "code": Element("code", _concept, "check"),
    "effective": Element("effectiveDateTime", _time), "value": Element("valueQuantity.value", _plain),
    "unit": Element("valueQuantity.unit", _plain),
    "value_code": Element("valueCodeableConcept", _concept, "check"), "value_text": Element("valueString", _plain),
    "interpretation": Element("interpretation", _concepts, f"{_HL7}v3-ObservationInterpretation"),
}  # fmt: skip
# Table -> type of resource, and column -> element.
LAYOUT: Mapping[str, tuple[str, Mapping[str, Element]]] = {
    "patient": ("Patient", {
        "gender": Element("gender", _plain), "birth_date": Element("birthDate", _day),
        "deceased": Element("deceasedBoolean", _plain), "death": Element("deceasedDateTime", _time),
        "marital_status": Element("maritalStatus", _concept, f"{_HL7}v3-MaritalStatus"),
        "language": Element("communication", _language, "urn:ietf:bcp:47"),
        "race": Element("extension", _omb, f"{_US_CORE}race"),
        "ethnicity": Element("extension", _omb, f"{_US_CORE}ethnicity"),
        "state": Element("address.state", _plain), "country": Element("address.country", _plain),
    }),
    "encounter": ("Encounter", {
        "status": Element("status", _plain), "class": Element("class", _coding, f"{_HL7}v3-ActCode"),
        "type": Element("type", _concepts, "check"), "service_type": Element("serviceType", _concept, "check"),
        "priority": Element("priority", _concept), "start": Element("period.start", _time),
        "end": Element("period.end", _time), "reason": Element("reasonCode", _concepts, "check"),
        "admit_source": Element("hospitalization.admitSource", _concept),
        "discharge_disposition": Element("hospitalization.dischargeDisposition", _concept),
    }),
    "condition": ("Condition", {
        "clinical_status": Element("clinicalStatus", _concept, f"{_HL7}condition-clinical"),
        "verification_status": Element("verificationStatus", _concept, f"{_HL7}condition-ver-status"),
        "category": Element("category", _concepts, f"{_HL7}condition-category"),
        "severity": Element("severity", _concept, "check"), "code": Element("code", _concept, "check"),
        "onset": Element("onsetDateTime", _time), "abatement": Element("abatementDateTime", _time),
        "recorded": Element("recordedDate", _time),
    }),
    "laboratory": ("Observation", _OBSERVATION),
    "vital_sign": ("Observation", _OBSERVATION),
    "medication_request": ("MedicationRequest", {
        "status": Element("status", _plain), "intent": Element("intent", _plain),
        "category": Element("category", _concepts), "medication": Element("medicationCodeableConcept", _concept),
        "reason": Element("reasonCode", _concepts, "check"), "authored": Element("authoredOn", _time),
    }),
    "procedure": ("Procedure", {
        "status": Element("status", _plain), "category": Element("category", _concept, "check"),
        "code": Element("code", _concept, "check"), "performed": Element("performedDateTime", _time),
        "start": Element("performedPeriod.start", _time), "end": Element("performedPeriod.end", _time),
        "reason": Element("reasonCode", _concepts, "check"), "outcome": Element("outcome", _concept, "check"),
    }),
}  # fmt: skip
# What the standard requires of each type, where the row lacks it.
_REQUIRED: Mapping[str, Resource] = {
    "Encounter": {"status": "unknown", "class": _UNKNOWN},
    "Observation": {"status": "unknown", "code": {"coding": [_UNKNOWN]}},
    "MedicationRequest": {
        "status": "unknown", "intent": "order", "medicationCodeableConcept": {"coding": [_UNKNOWN]},
    },
    "Procedure": {"status": "unknown"},
}  # fmt: skip
_LISTED = ("address",)  # elements of several parts that a view reads the first of
_CATEGORIES = {"laboratory": "laboratory", "vital_sign": "vital-signs"}


def write_fhir(tables: Sequence[WrittenTable], folder: Path, suffix: str) -> dict[str, int]:
    """Write resources into a folder, a file a type, and return how many there are of each type.

    Args:
      tables: parents before children.
      suffix: "ndjson" or "ndjson.gz".
    Raises:
      ConfigError: a table or its keys are none of those that can be written.
      OSError: the disk is full or failing.
    """
    if unknown := [table.name for table in tables if table.name not in LAYOUT]:
        raise ConfigError(
            f"'{unknown[0]}' is no table that is written as FHIR; those of the views that ship are {', '.join(LAYOUT)}"
        )
    counts: dict[str, int] = {}
    patients: dict[str, dict[str, str]] = {}  # table -> key of a row -> key of its patient
    for kind in dict.fromkeys(LAYOUT[table.name][0] for table in tables):
        counts[kind] = 0
        with _opened(folder / f"{kind}.{suffix}") as file:
            for table in (table for table in tables if LAYOUT[table.name][0] == kind):
                for resource in _resources(table, patients):
                    file.write(json.dumps(resource, ensure_ascii=False, separators=(",", ":"), default=float) + "\n")
                    counts[kind] += 1
    return counts


def _opened(path: Path) -> io.TextIOWrapper:
    if path.suffix != ".gz":
        return path.open("w", encoding="utf-8", newline="\n")
    # Neither name nor time in it: the same rows give the same bytes.
    return io.TextIOWrapper(_Compressed(path), encoding="utf-8", newline="\n")


class _Compressed(gzip.GzipFile):
    def __init__(self, path: Path) -> None:
        self._below = path.open("wb")
        super().__init__(filename="", mode="wb", fileobj=self._below, mtime=0)

    def close(self) -> None:
        super().close()
        self._below.close()


def _resources(table: WrittenTable, patients: dict[str, dict[str, str]]) -> Iterator[Resource]:
    """Yield the resources of a table's rows, and keep to which patient each belongs."""
    kind, elements = LAYOUT[table.name]
    above = {link.parent: link.columns[0] for link in table.links}
    if kind != "Patient" and not set(above) & {"patient", "encounter"}:
        raise ConfigError(f"rows of '{table.name}' belong to no patient and no encounter; declare that in the schema")
    mine = patients.setdefault(table.name, {})
    number = 0
    for block in table.blocks:
        for row in _utc(block).to_pylist():
            key = _key(row.get("id", number), table.name)
            number += 1
            resource = {"resourceType": kind, "id": key, "meta": META}
            patient = key
            if kind != "Patient":
                patient = _refer(resource, row, above, patients)
            mine[key] = patient
            for column, element in elements.items():
                if (value := row.get(column)) is not None:
                    _put(resource, element.path, element.make(value, element.system))
            yield _finished(resource, table.name)


def _utc(block: pa.Table) -> pa.Table:
    """Return a block with its times in UTC."""
    fields = [f.with_type(pa.timestamp("us", tz=f.type.tz and "UTC")) if pa.types.is_timestamp(f.type) else f
              for f in block.schema]  # fmt: skip
    return block.cast(pa.schema(fields))


def _key(value: Any, table: str) -> str:
    # Two tables are observations, and what is not referred to may lack a key.
    key = f"{table.replace('_', '-')}-{value}" if table in _CATEGORIES or isinstance(value, int) else str(value)
    if not _ID.fullmatch(key):
        raise ConfigError(
            f"the identifiers of '{table}' are none of FHIR's, which have at most 64 letters, digits, hyphens and "
            "dots; leave out their format in the schema"
        )
    return key


def _refer(
    resource: Resource, row: Mapping[str, Any], above: Mapping[str, str], patients: Mapping[str, Mapping[str, str]]
) -> str:
    """Put the references to patient and encounter into a resource, and return the patient."""
    patient = ""
    if (column := above.get("encounter")) is not None and row[column] is not None:
        encounter = _key(row[column], "encounter")
        resource["encounter"] = {"reference": f"Encounter/{encounter}"}
        patient = patients["encounter"][encounter]
    if (column := above.get("patient")) is not None and row[column] is not None:
        patient = _key(row[column], "patient")
    if patient:
        resource["subject"] = {"reference": f"Patient/{patient}"}
    return patient


def _put(resource: Resource, path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    if not rest:
        if first == "extension":
            value = [*resource.get(first, []), *value]
        resource[first] = value
        return
    inner = resource.setdefault(first, [{}] if first in _LISTED else {})
    _put(inner[0] if isinstance(inner, list) else inner, rest, value)


def _finished(resource: Resource, table: str) -> Resource:
    """Return a resource with what its type requires, and without what the standard does not allow side by side."""
    kind = resource["resourceType"]
    resource = {**resource, **{n: v for n, v in _REQUIRED.get(kind, {}).items() if n not in resource}}
    if "deceasedDateTime" in resource:
        resource.pop("deceasedBoolean", None)
    if "performedDateTime" in resource:
        resource.pop("performedPeriod", None)
    for period in (resource.get("period"), resource.get("performedPeriod")):
        if period and period.get("end", "~") < period.get("start", ""):  # texts of the same form
            del period["end"]
    if kind == "Condition":
        _agree(resource)
    if table in _CATEGORIES:
        coding = {"system": f"{_HL7}observation-category", "code": _CATEGORIES[table]}
        resource["category"] = [{"coding": [coding]}]
        _one_value(resource)
    return resource


def _code_of(concept: Resource | None) -> str:
    coding = (concept or {}).get("coding") or [{}]
    return str(coding[0].get("code", ""))


def _agree(condition: Resource) -> None:
    """Keep what the standard asks of the statuses of a condition (con-4, con-5), in place."""
    if _code_of(condition.get("verificationStatus")) == "entered-in-error":
        condition.pop("clinicalStatus", None)
    elif "abatementDateTime" in condition and _code_of(condition.get("clinicalStatus")) not in ENDED:
        del condition["abatementDateTime"]


def _one_value(observation: Resource) -> None:
    """Leave one value of an observation: a quantity before a code before a text; or say that there is none."""
    quantity = observation.get("valueQuantity")
    if quantity is not None and "value" not in quantity:
        del observation["valueQuantity"]
    elif quantity is not None and quantity.get("unit", OTHER) != OTHER:
        quantity |= {"system": "http://unitsofmeasure.org", "code": quantity["unit"]}
    values = [name for name in ("valueQuantity", "valueCodeableConcept", "valueString") if name in observation]
    for name in values[1:]:
        del observation[name]
    if not values:
        observation["dataAbsentReason"] = _ABSENT
