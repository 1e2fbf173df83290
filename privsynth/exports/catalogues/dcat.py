"""A record for data catalogues: DCAT-AP 3.0, or HealthDCAT-AP (release 8) of the European Health Data Space; JSON-LD.

What no release knows comes from the schema's `catalogue`, all else from the public report and the files of rows.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from privsynth.exports.catalogues.common import CSV, conditions, description, media_type, release_id, what_it_is
from privsynth.exports.catalogues.croissant import data_type
from privsynth.exports.facts import DataFile, Entry, ReleaseFacts, Steward
from privsynth.exports.sentences import promise
from privsynth.schema.catalogue import ContactPoint, CoveredPeriod, HealthCatalogue, Organisation
from privsynth.schema.catalogue.vocabularies import CODING_SYSTEM_OF, EU, HEALTH

CONTEXT = {
    "adms": "http://www.w3.org/ns/adms#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "cv": "http://data.europa.eu/m8g/",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eli": "http://data.europa.eu/eli/ontology#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "geodcatap": "http://data.europa.eu/930/",
    "healthdcatap": "http://healthdataportal.eu/ns/health#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_MEDIA = "https://www.iana.org/assignments/media-types/"
_PARQUET = "application/vnd.apache.parquet"  # as IANA has it since 2024
# Types of schema.org, as Croissant has them -> those of CSV on the Web.
_CSVW = {
    "sc:Boolean": "boolean",
    "sc:Date": "date",
    "sc:DateTime": "dateTime",
    "sc:Float": "double",
    "sc:Integer": "integer",
}
# Files that say something of the rows, or of the real ones: path -> what it is.
_ANALYTICS = {
    "report.html": "The public report: the promise, how accurate the rows are, and what was not tested.",
    "tables/noisy-tables.parquet": "The noisy tables that the budget bought, with the standard deviation of each cell.",
}


def dcat(facts: ReleaseFacts, steward: Steward) -> dict[str, Any]:
    """Return the record of a release."""
    told, report = steward.catalogue, facts.report
    record = {
        "@context": CONTEXT,
        "@id": release_id(facts).urn,
        "@type": "dcat:Dataset",
        "dct:title": told.title or _text(f"{report.dataset}, a synthetic copy"),
        "dct:description": [*([told.description] if told.description else []), _text(description(facts))],
        "dct:identifier": release_id(facts).urn,
        "dct:accessRights": _concept(f"{EU}/access-right/{told.access_rights.upper()}", "dct:RightsStatement"),
        "dct:publisher": _agent(told.publisher, typed=told.health is not None),
        "dct:type": _concept(f"{EU}/dataset-type/SYNTHETIC_DATA"),
        "dct:issued": _day(datetime.fromisoformat(report.created).date()),
        "dct:provenance": {"@type": "dct:ProvenanceStatement", "rdfs:label": _text(_provenance(facts))},
        "dcat:contactPoint": _contact(told.contact or told.publisher),
        "dcat:keyword": [_text("synthetic data"), _text("differential privacy"), *told.keywords],
        "dcat:theme": [_concept(f"{EU}/data-theme/{code}") for code in _themes(steward)],
        "dcat:landingPage": {"@id": told.access_url, "@type": "foaf:Document"},
        "dcat:distribution": [_distribution(file, facts, steward) for file in facts.data],
        "dct:language": [_concept(f"{EU}/language/{code}", "dct:LinguisticSystem") for code in told.languages],
        "dct:spatial": [_concept(f"{EU}/country/{code}", "dct:Location") for code in told.places],
        "dct:temporal": _period(steward.period),
        "dcatap:applicableLegislation": _laws(steward),
        "prov:wasGeneratedBy": _activity(facts),
    }
    if told.health is not None:
        record |= _health(facts, steward, told.health)
    return {name: value for name, value in record.items() if value not in (None, [])}


def _health(facts: ReleaseFacts, steward: Steward, health: HealthCatalogue) -> dict[str, Any]:
    """Return what HealthDCAT-AP has beside DCAT-AP."""
    systems = sorted({*health.coding_systems, *_systems_in_use(facts)})
    count, report = _individuals(facts), facts.report
    return {
        "healthdcatap:healthCategory": [_concept(f"{HEALTH}/healthcategories/{code}") for code in health.categories],
        "healthdcatap:healthTheme": [_concept(f"{HEALTH}/health-theme/{code}") for code in health.themes],
        "healthdcatap:hdab": _agent(health.access_body),
        "geodcatap:custodian": None if health.custodian is None else _agent(health.custodian),
        "healthdcatap:hasCodingSystem": [
            _concept(f"{HEALTH}/coding-system/{code}", "dct:Standard") for code in systems
        ],
        "healthdcatap:populationCoverage": health.population,
        "healthdcatap:numberOfRecords": _count(_records(facts)),
        "healthdcatap:numberOfUniqueIndividuals": None if count is None else _count(count),
        "healthdcatap:retentionPeriod": _period(steward.catalogue.retention),
        "healthdcatap:hasStructuredData": True,
        "healthdcatap:hasVariables": _variables(facts),
        "healthdcatap:analytics": [_analytics(path, facts, steward) for path in _ANALYTICS if path in report.files],
        "dpv:hasPurpose": [{"@type": "dpv:Purpose", "dct:description": text} for text in health.purposes],
        "dpv:hasLegalBasis": [{"@type": "dpv:LegalBasis", "dct:description": text} for text in health.legal_bases],
    }


def _distribution(file: DataFile, facts: ReleaseFacts, steward: Steward) -> dict[str, Any]:
    media = media_type(file) if file.is_text else _PARQUET
    return {
        "@type": "dcat:Distribution",
        "dct:title": _text(file.path),
        "dct:description": _text(what_it_is(file)),
        "dcat:accessURL": {"@id": steward.catalogue.access_url},
        "dcat:byteSize": _count(file.size),
        "dcat:mediaType": _concept(_MEDIA + media, "dct:MediaType"),
        "dct:format": _concept(f"{EU}/file-type/{'CSV' if media == CSV else 'PARQUET'}", "dct:MediaTypeOrExtent"),
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": SHA256, "@type": "spdx:ChecksumAlgorithm"},
            "spdx:checksumValue": {"@type": "xsd:hexBinary", "@value": file.sha256},
        },
        **_terms(facts, steward),
    }


def _analytics(path: str, facts: ReleaseFacts, steward: Steward) -> dict[str, Any]:
    return {
        "@type": "dcat:Distribution",
        "dct:title": _text(path),
        "dct:description": _text(_ANALYTICS[path]),
        "dcat:accessURL": {"@id": steward.catalogue.access_url},
        **_terms(facts, steward),
    }


def _terms(facts: ReleaseFacts, steward: Steward) -> dict[str, Any]:
    """Return the conditions of a distribution; lists and licences that nobody stated are left out."""
    licence = steward.catalogue.licence
    return {
        "dct:rights": {"@type": "dct:RightsStatement", "rdfs:label": _text(conditions(facts))},
        **({} if licence is None else {"dct:license": {"@id": licence, "@type": "dct:LicenseDocument"}}),
        **({"dcatap:applicableLegislation": laws} if (laws := _laws(steward)) else {}),
    }


def _provenance(facts: ReleaseFacts) -> str:
    """Return where the rows come from."""
    report = facts.report
    prior = "" if report.prior is None else f" The release started from '{report.prior.name}', which was public before."
    return (
        f"Synthetic rows, drawn from a model that privsynth {report.tool_version} learned with differential privacy "
        f"from '{report.dataset}', which stays with its holder. {promise(facts)}{prior}"
    )


def _activity(facts: ReleaseFacts) -> dict[str, Any]:
    ended = {"@type": "xsd:dateTime", "@value": facts.report.created}
    return {
        "@type": "prov:Activity",
        "rdfs:label": _text("Synthesis with differential privacy"),
        "prov:endedAtTime": ended,
    }


def _themes(steward: Steward) -> tuple[str, ...]:
    told = steward.catalogue
    health = ("HEAL",) if told.health is not None else ()
    return tuple(dict.fromkeys((*health, *told.themes)))


def _laws(steward: Steward) -> list[dict[str, str]]:
    return [{"@id": law, "@type": "eli:LegalResource"} for law in steward.catalogue.applicable_legislation]


def _systems_in_use(facts: ReleaseFacts) -> set[str]:
    """Return the coding systems of the hierarchies that were declared; written columns alone."""
    named = {entry.record.hierarchy.partition(":")[0] for entry in facts.entries if entry.written}
    return {CODING_SYSTEM_OF[name] for name in named if name in CODING_SYSTEM_OF}


def _records(facts: ReleaseFacts) -> int:
    return sum(file.rows for file in facts.data if not file.reference)


def _individuals(facts: ReleaseFacts) -> int | None:
    """Return how many synthetic persons there are: rows of the table of persons, or rows that are one person each."""
    if facts.report.tables:
        root = next(table for table in facts.report.tables if not table.parent and not table.reference)
        return next((file.rows for file in facts.data if file.table == root.name), None)
    return _records(facts) if facts.guarantee.unit == "row" else None


def _variables(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the columns of each file, as CSV on the Web has them."""
    return {
        "@type": "csvw:TableGroup",
        "dct:title": _text(f"{facts.report.dataset}, a synthetic copy"),
        "csvw:table": [
            {
                "@type": "csvw:Table",
                "dct:title": _text(file.table or "rows"),
                "csvw:column": [_column(e) for e in facts.entries if e.written and e.table == file.table],
            }
            for file in facts.data
        ],
    }


def _column(entry: Entry) -> dict[str, Any]:
    record = entry.record
    unit = f"Unit: {record.unit}." if record.unit else ""
    said = " ".join(part for part in (record.note, f"Values: {record.domain}.", unit) if part)
    return {
        "@type": "csvw:Column",
        "csvw:name": quote(entry.name, safe=""),  # a name of CSV on the Web can stand in an address
        "csvw:title": entry.name,
        "csvw:titles": entry.name,  # as releases 5 to 7 have it
        "dct:description": _text(said),
        "csvw:datatype": _CSVW.get(data_type(entry), "string"),
    }


def _agent(of: Organisation, *, typed: bool = True) -> dict[str, Any]:
    """Return an organisation; the vocabulary of its types is one of HealthDCAT-AP alone."""
    contact = {
        "@type": "cv:ContactPoint",
        "cv:email": of.email,
        "cv:contactPage": None if of.page is None else {"@id": of.page},
    }
    agent = {
        "@type": "foaf:Agent",
        "foaf:name": of.name,
        "dct:type": None if of.type is None or not typed else _concept(f"{HEALTH}/publisher-type/{of.type}"),
        "cv:contactPoint": {name: value for name, value in contact.items() if value is not None},
        "dcat:contactPoint": _contact(of),  # as releases 5 to 7 of HealthDCAT-AP have it
    }
    return {name: value for name, value in agent.items() if value is not None}


def _contact(of: ContactPoint) -> dict[str, Any]:
    card = {
        "@type": "vcard:Kind",
        "vcard:fn": of.name if isinstance(of, Organisation) else None,
        "vcard:hasEmail": None if of.email is None else {"@id": f"mailto:{quote(of.email, safe='@')}"},
        "vcard:hasURL": None if of.page is None else {"@id": of.page},
    }
    return {name: value for name, value in card.items() if value is not None}


def _period(period: CoveredPeriod | None) -> dict[str, Any] | None:
    if period is None:
        return None
    return {"@type": "dct:PeriodOfTime", "dcat:startDate": _day(period.first), "dcat:endDate": _day(period.last)}


def _concept(address: str, *types: str) -> dict[str, Any]:
    return {"@id": address, "@type": ["skos:Concept", *types]}


def _text(text: str) -> dict[str, str]:
    """Return a sentence of ours; in which language a declared text is, nobody says."""
    return {"@language": "en", "@value": text}


def _count(number: int) -> dict[str, str]:
    return {"@type": "xsd:nonNegativeInteger", "@value": str(number)}


def _day(day: date) -> dict[str, str]:
    return {"@type": "xsd:date", "@value": day.isoformat()}
