"""The descriptions for catalogues and lineage stores, as the libraries of those formats read them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import mlcroissant
import pandas as pd
import pytest
from exports.conftest import COLUMNS, WRITTEN, column, data_file, flat, hostile, linked, public
from openlineage.client import event_v2, serde
from openlineage.client.generated import (
    dataset_version_dataset,
    documentation_dataset,
    job_type_job,
    output_statistics_output_dataset,
    processing_engine_run,
    schema_dataset,
    tags_dataset,
)
from prov import model as prov

from privsynth.exports.documents import DOCUMENTS, documents
from privsynth.exports.facts import ReleaseFacts
from privsynth.report.records.judgement import Terms
from privsynth.report.records.promise import EarlierReleases, PriorRecord

JSON = [path for path in DOCUMENTS if path.endswith(".json")]
PRIOR = PriorRecord(kind="release", name="admissions of 2022", digest="cd" * 32, epsilon=1.0, unit="patient_id")


def described(facts: ReleaseFacts, path: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(documents(facts)[path])
    return made


@pytest.mark.parametrize("path", JSON)
def test_a_description_is_stable_sorted_ascii(path, facts):
    text = documents(facts)[path]
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize("path", ["croissant.json", "prov.json", "openlineage.json"])
def test_another_release_has_another_identifier(path):
    def identifiers(facts: ReleaseFacts) -> set[str]:
        return set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", documents(facts)[path]))

    (one,), (same,), (other,) = identifiers(flat()), identifiers(flat()), identifiers(flat(report_id="run-0002"))
    changed = replace(flat(), data=(data_file("data.csv", WRITTEN, sha256="cd" * 32),))
    assert one == same
    assert len({one, other, *identifiers(changed)}) == 3


# Croissant


def croissant(facts: ReleaseFacts, folder: Path) -> Any:
    (folder / "croissant.json").write_text(documents(facts)["croissant.json"], encoding="utf-8")
    read = mlcroissant.Dataset(folder / "croissant.json")
    assert not read.metadata.ctx.issues.errors
    assert not read.metadata.ctx.issues.warnings
    return read


def test_croissant_is_valid_and_its_files_and_fields_are_those_of_the_release(facts, tmp_path):
    metadata = croissant(facts, tmp_path).metadata
    assert [(f.name, f.sha256) for f in metadata.distribution] == [(f.path, f.sha256) for f in facts.data]
    assert [[f.name for f in records.fields] for records in metadata.record_sets] == [
        list(file.columns) for file in facts.data
    ]
    assert described(facts, "croissant.json")["isLiveDataset"] is False
    assert metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"


def test_croissant_without_a_mandatory_property_is_refused(tmp_path):
    broken = described(flat(), "croissant.json")
    del broken["distribution"][0]["encodingFormat"]
    (tmp_path / "croissant.json").write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(mlcroissant.ValidationError, match="encodingFormat"):
        mlcroissant.Dataset(tmp_path / "croissant.json")


def test_croissant_opens_the_rows(tmp_path):
    columns = (
        column("age", "integer"),
        column("weight", "numeric"),
        column("ward / bed"),
        column("born", "date"),
        column("died", "boolean", values=("no", "yes")),
        column("alive", "boolean", values=("False", "True")),
    )
    rows = pd.DataFrame(
        {
            "age": [3],
            "weight": [1.5],
            "ward / bed": ["007"],
            "born": ["2020-02-01"],
            "died": ["no"],
            "alive": [True],
        }
    )
    rows.to_parquet(tmp_path / "data.parquet")
    digest = sha256((tmp_path / "data.parquet").read_bytes()).hexdigest()
    file = data_file("data.parquet", tuple(rows.columns), rows=1, sha256=digest)
    (row,) = croissant(ReleaseFacts(report=public(columns=columns), data=(file,)), tmp_path).records("records/rows")
    assert list(row.values()) == [3, 1.5, b"007", pd.Timestamp("2020-02-01"), b"no", True]


def test_croissant_has_the_promise_the_conditions_and_the_limits():
    terms = Terms(name="the university", may=("teach with it",), must_not=("pass it on",))
    said = described(flat(recipients=(terms,)), "croissant.json")
    assert "(1.5, 1e-06)-differentially private for each patient" in said["description"]
    assert said["prov:wasGeneratedBy"]["privsynth:epsilon"] == 1.5
    assert said["prov:wasGeneratedBy"]["privsynth:maxRowsPerUnit"] == 2
    assert "the university may: teach with it. the university must not: pass it on." in said["usageInfo"]["text"]
    assert "Not to decide about a person, or to look for one;" in said["rai:dataLimitations"]


def test_a_reference_table_is_excepted_from_the_promise():
    said = described(linked(), "croissant.json")
    assert (
        "apart from the public reference table wards, passed through unchanged, is (1.5, 1e-06)" in said["description"]
    )
    assert [file["description"].split(":")[0] for file in said["distribution"]] == [
        "Synthetic rows",
        "Synthetic rows",
        "Reference table, public and passed through unchanged",
    ]


# PROV


def test_prov_is_read_and_written_back_the_same(facts):
    text = documents(facts)["prov.json"]
    document = prov.ProvDocument.deserialize(content=text, format="json")
    assert document == prov.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert len(list(document.get_records(prov.ProvEntity))) == 2 + len(facts.data)
    (activity,) = document.get_records(prov.ProvActivity)
    assert activity.get_endTime() == datetime.fromisoformat(facts.report.created)
    assert document.get_provn()  # which fails where a name does not resolve


def test_every_identifier_in_prov_is_of_something_described():
    said = described(flat(prior=PRIOR), "prov.json")
    things = {name: set(said[name]) for name in ("entity", "activity", "agent")}
    kind = {"delegate": "agent", "responsible": "agent", "collection": "entity"}
    for relation, found in said.items():
        for ends in found.values() if relation not in {*things, "prefix"} else ():
            for role, identifier in ends.items():
                of = kind.get(
                    role.removeprefix("prov:"), role.removeprefix("prov:").replace("Entity", " entity").split()[-1]
                )
                assert role == "prov:time" or identifier in things[of], (relation, role)


def test_of_the_source_prov_knows_the_name_alone(facts):
    assert described(facts, "prov.json")["entity"]["release:source"] == {"prov:label": facts.report.dataset}


def test_who_signed_is_an_agent_and_an_unsigned_release_has_none():
    assert described(flat(), "prov.json")["agent"]["release:signer"] == {
        "prov:label": "Data office, St Mary, key 7804fd5f"
    }
    unsigned = described(flat(signer="", unsigned=True), "prov.json")
    assert set(unsigned["agent"]) == {"release:tool"}
    assert "wasAttributedTo" not in unsigned


# OpenLineage

FACETS: dict[str, Any] = {
    "datasetVersion": dataset_version_dataset.DatasetVersionDatasetFacet,
    "documentation": documentation_dataset.DocumentationDatasetFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "tags": tags_dataset.TagsDatasetFacet,
}


def facets(said: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return facets as objects of the client; their classes know the versions of the schemas, and what they may say."""
    made = {}
    for name, facet in said.items():
        own = {key: value for key, value in facet.items() if not key.startswith("_")}
        if name == "schema":
            own["fields"] = [schema_dataset.SchemaDatasetFacetFields(**field) for field in own["fields"]]
        if name == "tags":
            own["tags"] = [tags_dataset.TagsDatasetFacetFields(**tag) for tag in own["tags"]]
        made[name] = FACETS[name](producer=facet["_producer"], **own)
    return made


def written_by_the_client(said: dict[str, Any]) -> Any:
    outputs = [
        event_v2.OutputDataset(
            namespace=one["namespace"],
            name=one["name"],
            facets=facets(one["facets"]),
            outputFacets=facets(one["outputFacets"]),
        )
        for one in said["outputs"]
    ]
    event = event_v2.RunEvent(
        eventTime=said["eventTime"],
        eventType=event_v2.RunState(said["eventType"]),
        producer=said["producer"],
        run=event_v2.Run(said["run"]["runId"], facets=facets(said["run"]["facets"])),
        job=event_v2.Job(said["job"]["namespace"], said["job"]["name"], facets=facets(said["job"]["facets"])),
        inputs=[event_v2.InputDataset(**one) for one in said["inputs"]],
        outputs=outputs,
    )
    return json.loads(serde.Serde.to_json(event))


def without_empty(said: Any) -> Any:
    """Return it without the empty containers that the client writes where nothing is said."""
    if isinstance(said, dict):
        return {key: without_empty(value) for key, value in said.items() if value not in ({}, [])}
    return [without_empty(value) for value in said] if isinstance(said, list) else said


def test_the_event_is_the_one_that_openlineage_s_own_classes_write(facts):
    said = described(facts, "openlineage.json")
    assert without_empty(written_by_the_client(said)) == without_empty(said)
    assert UUID(said["run"]["runId"]).version == 5
    assert [one["outputFacets"]["outputStatistics"]["rowCount"] for one in said["outputs"]] == [
        f.rows for f in facts.data
    ]


def test_of_the_source_the_event_knows_the_name_alone():
    said = described(flat(prior=PRIOR), "openlineage.json")
    assert said["inputs"] == [
        {"namespace": "privsynth:sources", "name": "admissions"},
        {"namespace": "privsynth:sources", "name": "admissions of 2022"},
    ]


def test_a_reference_table_of_the_event_is_public_and_has_no_epsilon():
    tags = [one["facets"]["tags"]["tags"] for one in described(linked(), "openlineage.json")["outputs"]]
    assert [tag["key"] for tag in tags[2]] == ["origin"]
    assert {"key": "epsilon", "value": "1.5", "source": "privsynth"} in tags[0]


# The registry of deployments


def test_the_registry_s_entry_has_every_required_field(facts):
    said = described(facts, "dp-registry.json")
    assert {"url_slug", "status", "tier", "deployment"} == said.keys()
    basic = said["deployment"]["basic"]
    assert basic.keys() == {
        "name",
        "data_curators",
        "description",
        "intended_use",
        "data_product_type",
        "data_product_region",
        "publication_date",
    }
    assert (
        datetime.fromisoformat(basic["publication_date"]).date() == datetime.fromisoformat(facts.report.created).date()
    )
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", said["url_slug"])


def test_the_registry_s_entry_says_whom_epsilon_protects_and_what_it_does_not_cover():
    said = described(linked(), "dp-registry.json")["deployment"]
    assert said["privacy_loss"]["privacy_parameters"] == {"epsilon": 1.5, "delta": 1e-6}
    assert said["privacy_loss"]["privacy_unit"] == "Patient (at most 2 rows of each are used)"
    assert said["dp_variant"]["unprotected_quantities"] == "Public reference tables: wards."
    assert "release_type" not in said["deployment_model"]


@pytest.mark.parametrize(("releases", "said"), [(0, "One release"), (2, "Many releases")])
def test_how_often_a_dataset_was_released_is_said_where_a_ledger_was_asked(releases, said):
    facts = flat(earlier=EarlierReleases(releases=releases, epsilon=1.0, delta=0.0))
    assert described(facts, "dp-registry.json")["deployment"]["deployment_model"]["release_type"] == said


def test_no_name_of_a_column_of_the_source_that_is_in_no_file_is_described(facts):
    dropped = {record.name for record in COLUMNS} - set(WRITTEN)
    for path in JSON:
        assert not dropped & set(re.findall(r'"name": "([^"]*)"', documents(facts)[path]))


def test_a_hostile_name_keeps_every_character(tmp_path):
    (name,) = hostile().data[0].columns
    (field,) = described(hostile(), "croissant.json")["recordSet"][0]["field"]
    assert field["source"]["extract"]["column"] == name
