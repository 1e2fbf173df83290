"""Schema files: YAML as people write it."""

from __future__ import annotations

import pytest
import yaml

from privsynth.errors import SchemaError
from privsynth.schema.files import dump_schema, load_schema, schema_from
from privsynth.schema.linked import linked_schema


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
    with pytest.raises(SchemaError, match=r"line 3: the key 'a' stands twice"):
        load_schema(path)


def test_a_key_that_stands_twice_in_json_is_named(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text('{"columns": {"a": {"kind": "id"}, "b": {"kind": "id", "kind": "numeric"}}}')
    with pytest.raises(SchemaError, match="'kind' twice"):
        load_schema(path)


SDV = """{"METADATA_SPEC_VERSION": "V1", "columns": {
  "lab": {"sdtype": "categorical"}, "day": {"sdtype": "datetime", "datetime_format": "%d.%m.%Y"},
  "mail": {"sdtype": "email"}, "odd": {"sdtype": "unknown"}}}"""


def test_sdv_metadata_counts_as_observed_unless_it_is_said_to_be_declared(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text(SDV)
    observed = {name: column.observed for name, column in load_schema(path).columns.items()}
    assert observed == {"lab": True, "day": True, "mail": True, "odd": False}
    declared = load_schema(path, sdv_is_declared=True)
    assert not any(column.observed for column in declared.columns.values())
    assert declared.column("day").format == "%d.%m.%Y"
    assert declared.column("mail").roles == ("identifier",)


@pytest.mark.parametrize("of", ["one table", "linked tables"])
def test_a_kind_that_there_is_not_gets_one_sentence(tmp_path, of):
    column = {"age": {"kind": "number"}}
    tables = {"tables": {"people": {"key": "id", "columns": {"id": {"kind": "id"}, **column}}}}
    path = tmp_path / "schema.yaml"
    path.write_text(yaml.safe_dump({"columns": column} if of == "one table" else tables))
    with pytest.raises(SchemaError) as error:
        load_schema(path) if of == "one table" else linked_schema(path)
    said = str(error.value)
    assert said.count("columns → age → kind is not one that a schema knows; it can be numeric, integer,") == 1
    assert "Input should be" not in said
    assert "literal[" not in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tabels": {}}, "'tabels' is not a key that a schema knows; did you mean 'tables'?"),
        (
            {"max_childs": 3},
            "'tables → stays → max_childs' is not a key that a schema knows; did you mean 'max_children'?",
        ),
        ({"order": "admited"}, "declared kind of numbers or times; did you mean 'admitted'?"),
        ({"parent": {"table": "patient", "column": "who"}}, "rows; did you mean 'patients'?"),
        ({"rules": ["`parent.sexx` = F"]}, "which the schema lacks; did you mean 'parent.sex'?"),
        ({"columns": {"admitted": {"kind": "datetme"}}}, "did you mean 'datetime'?"),
        ({"columns": {"admitted": {"nulable": False}}}, "is not a key that a schema knows; did you mean 'nullable'?"),
        ({"zzzz": 1}, "'tables → stays → zzzz' is not a key that a schema knows"),
    ],
)
def test_a_misspelt_name_is_told_with_what_may_be_meant(changed, said):
    sex = {"kind": "categorical", "categories": ["F", "M"]}
    patients = {"key": "id", "columns": {"id": {"kind": "id"}, "sex": sex}}
    stays = {"parent": {"table": "patients", "column": "who"}, "columns": {"admitted": {"kind": "date"}}}
    whole = "tabels" in changed
    tables = {"patients": patients, "stays": stays if whole else {**stays, **changed}}
    with pytest.raises(SchemaError) as error:
        linked_schema({"tables": tables, **(changed if whole else {})})
    assert said in str(error.value)
    assert ("did you mean" in str(error.value)) == ("did you mean" in said)


def test_whole_bounds_are_written_as_whole_numbers():
    text = dump_schema(schema_from({"columns": {"age": {"kind": "integer", "minimum": 0, "maximum": 120.0}}}, "it"))
    assert "minimum: 0\n" in text
    assert "maximum: 120\n" in text
