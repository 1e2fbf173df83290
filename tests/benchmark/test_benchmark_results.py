"""Runs, their means, the published schema, and files of runs from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from benchmark.invented import a_document, a_run
from pydantic import ValidationError

import privsynth.benchmark
from privsynth.benchmark.results import Document, Run, document_schema, load_runs, spread, summarise
from privsynth.errors import ConfigError

SCHEMA = Path(privsynth.benchmark.__file__).parent / "benchmark.schema.json"


def test_means_and_spreads_are_over_the_runs_that_ended():
    runs = [a_run(seed=1), a_run(seed=3), a_run(seed=5, status="failed", reason="broke", figures={}, fit_s=None)]
    (found,) = summarise(runs)
    assert (found.done, found.failed) == (2, 1)
    assert found.figures["acc2"].mean == pytest.approx(0.902)
    assert found.figures["acc2"].sd == pytest.approx(0.0014142, rel=1e-4)  # divided by n − 1
    assert found.fit_s is not None
    assert (found.fit_s.mean, found.fit_s.n) == (4.0, 2)
    assert found.peak_mib is None


def test_one_run_has_no_spread_and_none_has_no_mean():
    assert spread([]) is None
    one = spread([2.0])
    assert one is not None
    assert (one.mean, one.sd, one.n) == (2.0, None, 1)


def test_lines_are_in_order_of_generator_then_epsilon():
    runs = [a_run(epsilon=3.0), a_run("arn"), a_run(epsilon=1.0), a_run("copula", None)]
    assert [(line.generator, line.epsilon) for line in summarise(runs)] == [
        ("marginal", 1.0), ("marginal", 3.0), ("arn", 1.0), ("copula", None),
    ]  # fmt: skip
    # A table from elsewhere under the name of one of ours is another line.
    assert len(summarise([a_run(), a_run(origin="elsewhere")])) == 2


def fields(schema: dict) -> dict[str, tuple[set[str], set[str]]]:
    """Return the fields of each object, and those that it must have; how they are spelled out is pydantic's affair."""
    objects = {"": schema, **schema["$defs"]}
    return {name: (set(o["properties"]), set(o.get("required", ()))) for name, o in objects.items()}


def test_the_published_schema_is_that_of_the_document():
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert fields(published) == fields(document_schema()), "write benchmark.schema.json again from document_schema()"
    document = a_document(a_run(), a_run("copula", None), a_run(seed=2, status="failed", reason="x", figures={}))
    data = json.loads(document.to_json_text())
    jsonschema.validate(data, published)
    assert Document.model_validate(data) == document
    assert data["visibility"] == "internal"
    assert data["warning"].startswith("INTERNAL")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "visibility": "public"}, published)


@pytest.mark.parametrize(
    "wrong",
    [
        {"private": False},  # with an epsilon
        {"epsilon": None},  # private, without one
        {"epsilon": -1.0},
        {"figures": {"acc2": float("nan")}},
        {"status": "failed"},  # without a reason
        {"fit_s": -1.0},
        {"surprise": 1},
    ],
    ids=lambda wrong: next(iter(wrong)) + str(len(str(wrong))),
)
def test_a_run_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Run.model_validate({**a_run().model_dump(), **wrong})


def test_runs_from_elsewhere_are_marked_whatever_they_say_of_themselves(tmp_path):
    path = tmp_path / "others.json"
    path.write_text(json.dumps({"runs": [{**a_run().model_dump(), "rows_file": "rows.csv"}]}))
    (found,) = load_runs(path)
    assert found.origin == "elsewhere"
    assert found.rows_file == str(tmp_path / "rows.csv")
    path.write_text(a_document(a_run(), a_run(seed=2)).to_json_text())
    assert [run.origin for run in load_runs(path)] == ["elsewhere", "elsewhere"]
    path.write_text(json.dumps(a_run().model_dump()))
    assert len(load_runs(path)) == 1
    (tmp_path / "more.json").write_text(json.dumps(a_run("arn").model_dump()))
    assert [run.generator for run in load_runs(tmp_path)] == ["arn", "marginal"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not json", "is not JSON"),
        ("[1, 2]", "holds no runs"),
        ('{"runs": 3}', "holds no runs"),
        ('{"runs": [{"generator": "x"}]}', "private"),
        ('{"runs": [{"generator": "x", "private": true}]}', "needs an epsilon"),
    ],
    ids=["text", "list", "number", "field", "epsilon"],
)
def test_a_file_that_is_none_is_refused_with_the_place(tmp_path, content, words):
    path = tmp_path / "others.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_runs(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_runs(tmp_path / "missing.json")
