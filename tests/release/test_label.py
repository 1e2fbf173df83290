"""Every table of synthetic rows says what it is: inside Parquet, beside CSV; of a release, and of what is sampled."""

from __future__ import annotations

import hashlib
import json

import pyarrow.parquet as pq
import pytest
from pipeline.admissions import FAST, RELEASED, admissions, run, schema, write

from privsynth import Release
from privsynth.codecs.loaded import Malformed
from privsynth.sampling.origin import Origin


@pytest.fixture
def release(tmp_path):
    """Return what makes a signed release in a format, and returns its public folder and the signer's fingerprint."""

    def make(kind: str):
        made = run("keys", "init", "--name", "office", "--holder", "Data office", "--no-passphrase")
        assert made.exit_code == 0, made.output
        source = write(tmp_path, "admissions.csv", admissions(300))
        declared = write(tmp_path, "schema.yaml", schema())
        made = run("synthesize", source, "--schema", declared, "--epsilon", 5, "--key", "office", "--format", kind,
                   "--seed", 9, "--out", tmp_path / "out", *FAST)  # fmt: skip
        assert made.exit_code in RELEASED, made.output
        public = tmp_path / "out" / "public"
        return public, json.loads((public / "report.json").read_text())["signer"].split("key ")[1]

    return make


def expected(public, signer: str, seed: int) -> dict[str, str]:
    model = b"".join((public / "model" / name).read_bytes() for name in ("model.json", "model.safetensors"))
    return {
        "label": "SYNTHETIC", "dataset": "admissions", "seed": str(seed), "epsilon": "5", "delta": "1e-06",
        "unit": "patient", "max_rows_per_unit": "2", "signer": signer,
        "model_sha256": hashlib.sha256(model).hexdigest(),
    }  # fmt: skip


def test_parquet_says_in_its_metadata_what_it_is(release, tmp_path):
    public, signer = release("parquet")
    facts = expected(public, signer, 9)
    metadata = pq.read_metadata(public / "data.parquet").metadata
    assert {key: metadata[f"privsynth.{key}".encode()].decode() for key in facts} == facts
    assert pq.read_schema(public / "data.parquet").metadata[b"privsynth.label"] == b"SYNTHETIC"
    assert run("sample", public, "--rows", 50, "--seed", 4, "--out", tmp_path / "more").exit_code == 0
    metadata = pq.read_metadata(tmp_path / "more" / "part-00000.parquet").metadata
    assert {key: metadata[f"privsynth.{key}".encode()].decode() for key in facts} == facts | {"seed": "4"}
    label = json.loads((tmp_path / "more" / "_label.json").read_text())
    assert label.items() >= (facts | {"seed": 4, "rows": 50, "synthetic": True}).items()


def test_csv_has_a_companion_that_is_signed_with_it(release, tmp_path):
    public, signer = release("csv")
    companion = json.loads((public / "data.csv-metadata.json").read_text())
    assert companion["@context"] == "http://www.w3.org/ns/csvw"
    assert (companion["url"], companion["dialect"]["delimiter"]) == ("data.csv", ",")
    assert companion["notes"] == [expected(public, signer, 9)]
    columns = {column["titles"]: column for column in companion["tableSchema"]["columns"]}
    assert list(columns) == (public / "data.csv").read_text().splitlines()[0].split(",")
    assert columns["admitted"]["datatype"] == {"base": "date", "format": "yyyy-MM-dd"}
    assert columns["age"]["datatype"] == "number"
    assert columns["patient"]["required"]
    manifest = json.loads((public / "manifest.json").read_text())
    assert "data.csv-metadata.json" in json.dumps(manifest)
    assert "data.csv-metadata.json" in json.loads((public / "report.json").read_text())["files"]
    assert len(Release.open(public).data()) == len((public / "data.csv").read_text().splitlines()) - 1
    assert run("sample", public, "--rows", 50, "--format", "csv", "--given", "age >= 40",
               "--out", tmp_path / "more").exit_code == 0  # fmt: skip
    companion = json.loads((tmp_path / "more" / "part-00000.csv-metadata.json").read_text())
    assert companion["notes"][0]["signer"] == signer
    assert "altered" in companion["notes"][0]["base_rates"]


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": -1},
        {"epsilon": "1"},
        {"delta": 2},
        {"unit": 7},
        {"max_rows_per_unit": 0},
        {"signer": None},
        {"x": 1},
    ],
)
def test_an_origin_that_no_release_has_is_malformed(change):
    sound = Origin(epsilon=1.0, delta=1e-6, unit="row", max_rows_per_unit=1).to_json()
    assert Origin.from_json(sound).to_json() == sound
    with pytest.raises(Malformed):
        Origin.from_json(sound | change)
