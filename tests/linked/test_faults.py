"""What stops a run on linked tables, and what that costs: nothing before noise is drawn, everything afterwards."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import replace
from functools import cache

import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic, learned
from pipeline.admissions import left_in_workspace, spent

import privsynth
from privsynth.cli import main
from privsynth.errors import ConfigError, OutputError, SchemaError, SourceError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked import synthesize as module
from privsynth.release.linked import read_linked, write_linked
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.persons import order_persons
from privsynth.schema.source_format import SourceFormat

SMALL = FitSettings(components=32, max_steps=30)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "load_generator", lambda name: MarginalGenerator(SMALL))


def changed(table, **keys):
    tables = {**SPEC["tables"], table: {**SPEC["tables"][table], **keys}}
    return {**SPEC, "tables": {name: spec for name, spec in tables.items() if spec}}


def released(out, frames=None, schema=SPEC, **options):
    given = {"epsilon": 1, "audit": "none", "anyway": True, **options}
    return privsynth.synthesize(frames or clinic(60), schema=schema, out=out, **given)


@pytest.mark.parametrize("stage", ["learning stays", "drawing tests"])
def test_a_run_that_is_stopped_after_noise_has_paid_and_leaves_nothing(stage, tmp_path, monkeypatch):
    def stop(at, share):
        if at == stage:
            raise KeyboardInterrupt

    real = module.learn_linked
    monkeypatch.setattr(module, "learn_linked", lambda *args, **more: real(*args, **{**more, "progress": stop}))
    with pytest.raises(KeyboardInterrupt):
        released(tmp_path / "out")
    assert spent() == {"clinic": 1.0}
    assert left_in_workspace() == set()
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_a_run_that_ends_before_noise_costs_nothing(tmp_path, monkeypatch):
    def fail(*args, **more):
        raise SourceError("the disk of the source is gone")

    monkeypatch.setattr(module, "read_tables", fail)
    with pytest.raises(SourceError):
        released(tmp_path / "out")
    assert spent() == {}
    assert left_in_workspace() == set()


def test_a_full_disk_is_tried_elsewhere_and_then_said_in_a_sentence(tmp_path, monkeypatch):
    real, tries = module.write_linked, []

    def full(*args, **more):
        tries.append(args)
        if len(tries) <= failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **more)

    monkeypatch.setattr(module, "write_linked", full)
    failing = 1
    assert released(tmp_path / "one").release.is_linked
    failing = 99
    with pytest.raises(OutputError, match="cannot be prepared: No space left on device"):
        released(tmp_path / "two")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "one"}
    assert spent() == {"clinic": 2.0}


SHORT_KEYS = {**SPEC["tables"]["patients"]["columns"], "patient_id": {"kind": "id", "format": "P{4 digits}"}}


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (changed("stays", parent={"table": "nowhere", "column": "patient"}), "the parent 'nowhere' of 'stays'"),
        (changed("stays", parent={"table": "wards", "column": "ward"}), "no table that holds persons' rows"),
        (changed("patients", key=None), "'patients' has children and needs a key"),
        (changed("stays", parent=None, order=None, rules=[]), "exactly one table holds the persons"),
        (changed("stays", key="number"), "has no column 'number', which the schema calls its key"),
        (changed("stays", order="ward"), "order needs the column 'ward' with a declared kind"),
        (changed("patients", columns=SHORT_KEYS), "has room for 10,000"),
    ],
)
def test_schemas_that_cannot_be_are_refused_before_anything_is_read(schema, sentence, tmp_path):
    with pytest.raises(SchemaError, match=sentence):
        released(tmp_path / "out", schema=schema)
    assert spent() == {}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"unit": "patient_id"}, "linked tables take no"),
        ({"max_rows_per_unit": 3}, "linked tables take no"),
        ({"keep_units": True}, "linked tables take no"),
        ({"generator": "ctgan"}, "made by the generators 'marginal' and 'arn'"),
        ({"rows": 2_000_000}, "at most 1,000,000 persons"),
        ({"source_options": {"table": "stays"}}, "table"),
    ],
)
def test_every_option_that_means_nothing_is_refused(options, sentence, tmp_path):
    source = tmp_path / "clinic.sqlite"
    as_database(clinic(5), source)
    with pytest.raises(ConfigError, match=sentence):
        privsynth.synthesize(source, schema=SPEC, epsilon=1, out=tmp_path / "out", **options)
    assert spent() == {}


def as_database(frames, path):
    database = sqlite3.connect(path)
    for name, frame in frames.items():
        frame.to_sql(name, database, index=False)
    database.commit()
    database.close()


def test_a_database_becomes_a_signed_release_that_is_verified_and_sampled(tmp_path):
    as_database(clinic(60), tmp_path / "clinic.sqlite")
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))

    def command(*words):
        run = CliRunner().invoke(main, [str(word) for word in words])
        assert run.exit_code == 0, run.output
        return run.output

    command("keys", "init", "--name", "office", "--no-passphrase")
    ring = tmp_path / "ring.json"
    ring.write_text(CliRunner().invoke(main, ["keys", "export", "office"]).stdout)
    command("synthesize", tmp_path / "clinic.sqlite", "--schema", tmp_path / "schema.yaml", "--epsilon", 1, "--out",
            tmp_path / "out", "--audit", "none", "--key", "office", "--rows", 40, "--holdout-fraction", 0,
            "--format", "csv", "--dataset", "ward_round", "--anyway")  # fmt: skip
    public = tmp_path / "out" / "public"
    assert "ward_round" in command("verify", public, "--keyring", ring, "--kind", "public", "--dataset", "ward_round")
    release = privsynth.Release.open(public)
    assert len(release.tables()["patients"]) == 40
    assert release.linked_schema().root == "patients"
    with pytest.raises(SourceError, match="call linked_schema"):
        release.schema()
    assert spent() == {"ward_round": 1.0}
    (public / "data" / "stays.csv").write_text("changed")
    assert CliRunner().invoke(main, ["verify", str(public), "--keyring", str(ring)]).exit_code == 5


def test_repeated_keys_of_a_file_stop_nothing(tmp_path):
    frames = clinic(60)
    frames["patients"].loc[3, "patient_id"] = frames["patients"].loc[2, "patient_id"]
    frames["stays"].loc[1, "stay_id"] = frames["stays"].loc[0, "stay_id"]
    frames["tests"].loc[0, "stay"] = "nowhere"
    tables = released(tmp_path / "out", frames).release.tables()
    assert tables["stays"]["stay_id"].is_unique


@cache
def small_model():
    return learned(epsilon=5.0)[0]


@pytest.mark.parametrize("written", [SourceFormat(delimiter=";"), SourceFormat(delimiter="\t", quote_all=True)])
def test_csv_is_written_and_read_as_the_source_writes_it(written, tmp_path):
    model = small_model()
    models = {name: replace(one, source_format=written) for name, one in model.models.items()}
    model = replace(model, models=models, schema=model.schema)
    drawn = draw_linked(model, 20, seed=1)
    write_linked(model, drawn, tmp_path, suffix="csv", seed=1, label={})
    head = (tmp_path / "stays.csv").read_text().splitlines()[0]
    assert head.strip('"').replace('"', "").split(written.delimiter) == list(model.models["stays"].columns)
    assert head.startswith('"') == written.quote_all
    (tmp_path / "wards.csv").write_text("ward,floor\nsurgery,3\n")
    tables = read_linked(model, tmp_path)
    assert set(tables["stays"]["patient"]) <= set(tables["patients"]["patient_id"])
    with pytest.raises(ConfigError, match="rows"):
        order_persons(model, 0)
