"""dcat.jsonld: what it says, of whom, and that pySHACL finds in it all that DCAT-AP and HealthDCAT-AP ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from exports.conftest import column, flat, hostile, linked
from pyshacl import validate
from rdflib import Graph

from privsynth.exports.documents import DCAT, documents, names_of_documents
from privsynth.exports.facts import ReleaseFacts, Steward
from privsynth.schema.catalogue import Catalogue, CoveredPeriod

EHDS = "http://data.europa.eu/eli/reg/2025/327/oj"
PLAIN: dict[str, Any] = {
    "publisher": {"name": "St Mary", "email": "data@stmary.example", "type": "outpatient-institution"},
    "access_rights": "non_public",
    "access_url": "https://stmary.example/data/admissions",
}
HEALTH: dict[str, Any] = {
    **PLAIN,
    "contact": {"page": "https://stmary.example/ask"},
    "themes": ["HEAL", "SOCI"],
    "keywords": "admissions",
    "languages": "ENG",
    "places": "BEL",
    "licence": "https://stmary.example/licence",
    "applicable_legislation": EHDS,
    "retention": {"first": "2026-01-01", "last": "2030-12-31"},
    "health": {
        "categories": "EHRS",
        "access_body": {"name": "Health Data Agency", "page": "https://agency.example"},
        "custodian": {"name": "St Mary", "email": "data@stmary.example"},
        "themes": "HEALTH_SYSTEMS",
        "coding_systems": "SNOMED-CT",
        "purposes": "To plan studies.",
        "legal_bases": "The consent of the ethics board.",
        "population": "Adults who were admitted.",
    },
}
PERIOD = CoveredPeriod(first=date(2023, 1, 1), last=date(2024, 12, 31))
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")  # its own reader of JSON-LD
SHAPES = Path(__file__).with_name("dcat.ttl")


def text(facts: ReleaseFacts, told: dict[str, Any], period: CoveredPeriod | None = None) -> str:
    steward = Steward(catalogue=Catalogue.model_validate(told), period=period)
    return documents(replace(facts, steward=steward))[DCAT]


def record(facts: ReleaseFacts, told: dict[str, Any], period: CoveredPeriod | None = None) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text(facts, told, period))
    return made


def faults(said: dict[str, Any]) -> str:
    conforms, _, report = validate(Graph().parse(data=json.dumps(said), format="json-ld"), shacl_graph=str(SHAPES))
    return "" if conforms else report


@pytest.mark.parametrize("told", [PLAIN, HEALTH], ids=["DCAT-AP", "HealthDCAT-AP"])
def test_the_record_has_what_its_profile_asks_for_and_nothing_else(facts, told):
    said = record(facts, told, PERIOD)
    assert faults(said) == ""
    assert text(facts, told, PERIOD) == json.dumps(said, indent=2, sort_keys=True) + "\n"
    assert text(facts, told, PERIOD).isascii()


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("healthdcatap:hdab", "hdab"),
        ("dcatap:applicableLegislation", "applicableLegislation"),
        ("dcat:distribution", "distribution"),
        ("dct:accessRights", "accessRights"),
        ("healthdcatap:hasVariables", "hasVariables"),
    ],
)
def test_a_record_without_a_mandatory_property_is_refused(lost, named):
    said = record(flat(), HEALTH)
    del said[lost]
    assert named in faults(said)


def test_a_misspelt_property_is_refused():
    assert "healthCategories" in faults({**record(flat(), HEALTH), "healthdcatap:healthCategories": "EHRS"})


def test_without_a_declared_catalogue_there_is_no_record_and_the_readme_says_how_to_get_one():
    assert DCAT not in documents(flat())
    assert DCAT not in names_of_documents(catalogued=False)
    assert "declaring 'catalogue' in the schema" in " ".join(documents(flat())["README.txt"].split())
    with_one = documents(replace(flat(), steward=Steward(catalogue=Catalogue.model_validate(PLAIN))))
    assert tuple(with_one) == names_of_documents(catalogued=True)
    assert "dcat.jsonld\n    a record for data catalogues" in with_one["README.txt"]
    assert "There is no record" not in with_one["README.txt"]


def test_what_the_release_knows_is_filled_in():
    said = record(flat(), HEALTH, PERIOD)
    (file,) = said["dcat:distribution"]
    assert file["dct:title"]["@value"] == "data.csv"
    assert file["dcat:byteSize"]["@value"] == "12345"
    assert file["spdx:checksum"]["spdx:checksumValue"]["@value"] == "ab" * 32
    assert file["dcat:mediaType"]["@id"] == "https://www.iana.org/assignments/media-types/text/csv"
    assert said["healthdcatap:numberOfRecords"]["@value"] == "1000"
    assert said["dct:temporal"]["dcat:endDate"]["@value"] == "2024-12-31"
    assert said["dct:issued"]["@value"] == "2026-11-22"
    assert "(1.5, 1e-06)-differentially private" in said["dct:provenance"]["rdfs:label"]["@value"]
    names = [c["csvw:title"] for t in said["healthdcatap:hasVariables"]["csvw:table"] for c in t["csvw:column"]]
    assert names == list(flat().data[0].columns)
    assert "healthdcatap:analytics" not in said  # this release has no file of a report
    both = flat(files=("report.html", "tables/noisy-tables.parquet"))
    assert len(record(both, HEALTH)["healthdcatap:analytics"]) == 2


def test_persons_are_counted_only_where_their_number_is_public():
    name = "healthdcatap:numberOfUniqueIndividuals"
    assert name not in record(flat(), HEALTH)  # rows of a patient may be several, and share no surrogate
    assert record(linked(), HEALTH)[name]["@value"] == "400"
    assert record(linked(), HEALTH)["healthdcatap:numberOfRecords"]["@value"] == "1000"  # not the reference table
    rows = flat(guarantee=replace(flat().guarantee, unit="row", max_rows_per_unit=1))
    assert record(rows, HEALTH)[name]["@value"] == "1000"


def test_coding_systems_of_declared_hierarchies_are_named():
    coded = (column("age"), column("diagnosis", hierarchy="icd10: chapter > block"))
    facts = replace(flat(columns=coded), data=(replace(flat().data[0], columns=("age", "diagnosis")),))
    systems = [one["@id"].rpartition("/")[2] for one in record(facts, HEALTH)["healthdcatap:hasCodingSystem"]]
    assert systems == ["ICD-10", "SNOMED-CT"]


def test_a_record_without_the_health_profile_has_none_of_its_terms():
    said = text(linked(), PLAIN)
    terms = json.loads(said)
    del terms["@context"]
    assert "healthdcatap:" not in json.dumps(terms)
    assert "publisher-type" not in said


def test_a_declared_text_has_no_language_and_ours_are_english():
    said = record(flat(), {**PLAIN, "title": "Opnames", "description": "Opnames, synthetisch."})
    assert said["dct:title"] == "Opnames"
    assert [type(one) for one in said["dct:description"]] == [str, dict]


def test_hostile_names_stay_texts():
    graph = Graph().parse(data=text(hostile(), HEALTH), format="json-ld")
    assert len(graph) > 50
    assert faults(record(hostile(), HEALTH)) == ""
