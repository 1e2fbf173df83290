"""Schema files: YAML as people write it."""

from __future__ import annotations

import pytest

from privsynth.errors import SchemaError
from privsynth.schema.files import dump_schema, load_schema


def test_yes_and_no_are_texts(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text(
        "columns:\n"
        "  smoker: {kind: boolean, true_values: [yes], false_values: [no], nullable: false}\n"
        "  answer: {kind: categorical, categories: [yes, no, on, off, true]}\n"
        "  other: {kind: categorical, nullable: no}\n"
    )
    schema = load_schema(path)
    assert schema.column("smoker").true_values == ("yes",)
    assert schema.column("smoker").nullable is False
    assert schema.column("other").nullable is False
    assert schema.column("answer").categories == ("yes", "no", "on", "off", "true")
    path.write_text(dump_schema(schema))
    assert load_schema(path) == schema


def test_a_key_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text("columns:\n  a: {kind: id}\n  a: {kind: text}\n")
    with pytest.raises(SchemaError, match="'a' twice"):
        load_schema(path)
