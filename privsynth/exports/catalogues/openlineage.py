"""OpenLineage 2.0.2: the run that made a release, as one event for a lineage store."""

from __future__ import annotations

from typing import Any

from privsynth.exports.catalogues.common import description, privacy_facts, release_id, tool_id, what_it_is
from privsynth.exports.facts import DataFile, ReleaseFacts

_SPEC = "https://openlineage.io/spec"
# Facet -> its version and the name of its definition.
_FACETS = {
    "datasetVersion": ("1-0-1", "DatasetVersionDatasetFacet"),
    "documentation": ("1-1-0", "DocumentationDatasetFacet"),
    "jobType": ("2-0-4", "JobTypeJobFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet"),
    "schema": ("1-2-0", "SchemaDatasetFacet"),
    "tags": ("1-0-0", "TagsDatasetFacet"),
}
SOURCES, RELEASES = "privsynth:sources", "privsynth:releases"  # namespaces


def openlineage(facts: ReleaseFacts) -> dict[str, Any]:
    """Return the event COMPLETE. Of the source it has the name of the dataset, and nothing else."""
    report = facts.report
    inputs = [{"namespace": SOURCES, "name": report.dataset}]
    if report.prior is not None:
        inputs.append({"namespace": SOURCES, "name": report.prior.name})
    engine = _facet(facts, "processing_engine", name="privsynth", version=report.tool_version)
    kind = _facet(facts, "jobType", processingType="BATCH", integration="PRIVSYNTH", jobType="JOB")
    return {
        "eventType": "COMPLETE",
        "eventTime": report.created,
        "producer": tool_id(facts),
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(release_id(facts)), "facets": engine},
        "job": {"namespace": RELEASES, "name": f"synthesize {report.dataset}", "facets": kind},
        "inputs": inputs,
        "outputs": [_output(file, facts) for file in facts.data],
    }


def _output(file: DataFile, facts: ReleaseFacts) -> dict[str, Any]:
    privacy = {} if file.reference else privacy_facts(facts)  # a reference table is public, and has no guarantee
    tags = [{"key": "origin", "value": "public" if file.reference else "synthetic", "source": "privsynth"}]
    tags += [{"key": name, "value": str(value), "source": "privsynth"} for name, value in privacy.items()]
    said = what_it_is(file) if file.reference else f"{what_it_is(file)} {description(facts)}"
    return {
        "namespace": RELEASES,
        "name": f"{release_id(facts)}/{file.path}",
        "facets": _facet(facts, "documentation", description=said)
        | _facet(facts, "datasetVersion", datasetVersion=f"sha256:{file.sha256}")
        | _facet(facts, "schema", fields=_fields(file, facts))
        | _facet(facts, "tags", tags=tags),
        "outputFacets": _facet(facts, "outputStatistics", rowCount=file.rows, size=file.size, fileCount=1),
    }


def _fields(file: DataFile, facts: ReleaseFacts) -> list[dict[str, Any]]:
    written = [entry for entry in facts.entries if entry.written and entry.table == file.table]
    return [
        {"name": entry.name, "type": entry.record.kind, "ordinal_position": at}
        | ({"description": entry.record.note} if entry.record.note else {})
        for at, entry in enumerate(written, 1)
    ]


def _facet(facts: ReleaseFacts, facet: str, **said: Any) -> dict[str, Any]:
    version, name = _FACETS[facet]
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {facet: {"_producer": tool_id(facts), "_schemaURL": url, **said}}
