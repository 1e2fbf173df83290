"""Croissant 1.1 (MLCommons, 2026): the files and columns, for catalogues and loaders of data for machine learning."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from privsynth.exports.catalogues.common import (
    TERMS,
    conditions,
    description,
    media_type,
    privacy_facts,
    release_id,
    tool_id,
    what_it_is,
)
from privsynth.exports.facts import DataFile, Entry, ReleaseFacts
from privsynth.exports.sentences import GOOD_FOR, NOT_FOR, promise

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
# Terms of the vocabulary that are written without its prefix, as appendix 1 of the specification has them.
_CROISSANT_TERMS = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileObject fileProperty "
    "fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines recordSet references "
    "regex repeated replace samplingRate sdVersion separator source subField transform unArchive value"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "privsynth": TERMS,
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS.split()},
}
# A kind that is not here is text. So is a boolean that is written with words of its own, such as "yes" and "no".
_TYPES = {"integer": "sc:Integer", "numeric": "sc:Float", "date": "sc:Date", "datetime": "sc:DateTime"}


def croissant(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the description of a release; its files are named relative to it."""
    report = facts.report
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{report.dataset}, a synthetic copy",
        "description": description(facts),
        "conformsTo": list(CONFORMS_TO),
        "identifier": release_id(facts).urn,
        "url": "report.html",
        "version": "1.0.0",  # a release is never changed; another one has another identifier
        "license": "As agreed with the publisher: this file grants no licence.",
        "usageInfo": {"@type": "CreativeWork", "name": "Conditions of use", "text": conditions(facts)},
        "citeAs": f"{report.dataset}, a synthetic copy ({report.created}). {facts.signer}. {release_id(facts).urn}",
        "creator": {"@type": "sc:Organization", "name": facts.signer},
        "dateCreated": report.created,
        "datePublished": report.created,
        "isLiveDataset": False,
        "keywords": ["synthetic data", "differential privacy"],
        "distribution": [_file(file) for file in facts.data],
        "recordSet": [_records(file, facts) for file in facts.data],
        "rai:dataLimitations": [f"Not {text}" for text in NOT_FOR],
        "rai:dataUseCases": list(GOOD_FOR),
        "rai:personalSensitiveInformation": promise(facts),
        "prov:wasDerivedFrom": {"@type": "prov:Entity", "prov:label": report.dataset},
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "Synthesis with differential privacy",
            "prov:endedAtTime": report.created,
            "prov:wasAssociatedWith": {"@type": "prov:SoftwareAgent", "@id": tool_id(facts)},
            **{f"privsynth:{name}": value for name, value in privacy_facts(facts).items()},
        },
    }


def _file(file: DataFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": quote(file.path),
        "name": file.path,
        "description": what_it_is(file),
        "contentUrl": quote(file.path),
        "contentSize": f"{file.size} B",
        "encodingFormat": media_type(file),
        "sha256": file.sha256,
    }


def _records(file: DataFile, facts: ReleaseFacts) -> dict[str, Any]:
    name = file.table or "rows"
    identifier = f"records/{quote(name, safe='')}"
    return {
        "@type": "cr:RecordSet",
        "@id": identifier,
        "name": name,
        "description": what_it_is(file),
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{identifier}/{quote(entry.name, safe='')}",
                "name": entry.name,
                "description": _meaning(entry),
                "dataType": data_type(entry),
                "source": {"fileObject": {"@id": quote(file.path)}, "extract": {"column": entry.name}},
            }
            for entry in facts.entries
            if entry.written and entry.table == file.table
        ],
    }


def data_type(entry: Entry) -> str:
    """Return the type of a column, as schema.org names it."""
    record = entry.record
    if record.kind == "boolean" and {value.lower() for value in record.values} == {"false", "true"}:
        return "sc:Boolean"
    return _TYPES.get(record.kind, "sc:Text")


def _meaning(entry: Entry) -> str:
    record = entry.record
    unit = f"Unit: {record.unit}." if record.unit else ""
    return " ".join(part for part in (record.note, f"Values: {record.domain}.", unit) if part)
