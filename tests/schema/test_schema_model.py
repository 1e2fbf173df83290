"""What a schema may say: shapes that are taken, shapes that are refused with a reason."""

from __future__ import annotations

import math
from datetime import date, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privsynth.schema import Column, Schema
from privsynth.schema.definition import MAX_COLUMNS

GOOD = """
dataset: admissions
unit: patient_id
max_rows_per_unit: 20
columns:
  patient_id: {kind: id, roles: identifier}
  age: {kind: integer, minimum: 0, maximum: 120, unit: years, roles: [quasi_identifier, protected]}
  sex: {categories: [F, M], nullable: false}
  ward:
  code: {categories: [1, 2.5, true, 2024-01-01]}
  admitted: {kind: datetime, minimum: 2023-01-01, maximum: 2023-12-31 23:59:00, precision: 60}
  discharged: {kind: datetime}
  cost: {kind: numeric, precision: 0.01, decimal: ","}
  note: {kind: text}
  smoker: {kind: boolean, true_values: [J], false_values: [N]}
rules:
  - discharged >= admitted
  - sex = M => ward != obstetrics
"""


def test_a_code_book_is_read():
    schema = Schema.model_validate(yaml.safe_load(GOOD))
    assert list(schema.columns)[:3] == ["patient_id", "age", "sex"]
    assert schema.column("ward") == Column()
    assert schema.column("not there") == Column()
    assert schema.column("code").categories == ("1", "2.5", "true", "2024-01-01")
    assert schema.column("admitted").minimum == datetime(2023, 1, 1)
    assert schema.column("admitted").maximum == datetime(2023, 12, 31, 23, 59)
    assert schema.with_role("protected") == ["age"]
    assert schema.column("patient_id").has_role("identifier")
    assert len(schema.parsed_rules()) == 2


@given(st.sampled_from([GOOD]))
def test_a_schema_survives_json(text):
    schema = Schema.model_validate(yaml.safe_load(text))
    assert Schema.model_validate_json(schema.model_dump_json()) == schema
    assert Schema.model_validate(schema.model_dump()) == schema


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ({"kind": "integre"}, "kind"),
        ({"knd": "integer"}, "knd"),
        ({"kind": "integer", "minimum": 5, "maximum": 4}, "above maximum"),
        ({"kind": "date", "minimum": "2024-02-01", "maximum": "2024-01-01"}, "above maximum"),
        ({"kind": "integer", "minimum": math.nan}, "finite"),
        ({"kind": "numeric", "maximum": math.inf}, "finite"),
        ({"kind": "numeric", "maximum": 10**400}, "maximum"),
        ({"kind": "numeric", "minimum": True}, "number or an ISO date"),
        ({"kind": "numeric", "minimum": "2024-01-01"}, "must be numbers"),
        ({"kind": "date", "minimum": 5}, "ISO dates"),
        ({"kind": "date", "minimum": "yesterday"}, "ISO date"),
        ({"minimum": 5}, "need a kind"),
        ({"kind": "text", "minimum": 5}, "need a kind"),
        ({"kind": "numeric", "precision": 0}, "precision"),
        ({"kind": "numeric", "precision": -0.1}, "precision"),
        ({"kind": "numeric", "precision": math.nan}, "precision"),
        ({"kind": "datetime", "precision": 0.5}, "whole seconds"),
        ({"kind": "numeric", "endings": [".99"]}, "precision of 0.1"),
        ({"kind": "categorical", "endings": ["9"]}, "endings need kind"),
        ({"kind": "numeric", "precision": 0.01, "endings": [".9"]}, "'.9'"),
        ({"kind": "numeric", "precision": 0.05, "endings": ["0.95"]}, "precision of 0.1"),
        ({"kind": "integer", "endings": ["-5"]}, "'-5'"),
        ({"kind": "integer", "precision": 10, "endings": ["0"]}, "precision of 1"),
        ({"kind": "numeric", "precision": 0.01, "endings": [".99", "99"]}, "different ones"),
        ({"kind": "integer", "endings": []}, "between 1 and"),
        ({"kind": "integer", "endings": ["0"], "roles": ["target"]}, "target"),
        ({"kind": "datetime", "precision": 100_000}, "whole seconds"),
        ({"categories": []}, "between 1 and"),
        ({"categories": ["a", "a"]}, "twice"),
        ({"categories": [1, "1"]}, "twice"),
        ({"categories": "abc"}, "list"),
        ({"categories": [["a"]]}, "texts or numbers"),
        ({"categories": [None]}, "texts or numbers"),
        ({"kind": "integer", "categories": ["1"]}, "categorical"),
        ({"kind": "boolean", "true_values": ["1"]}, "together"),
        ({"kind": "boolean", "true_values": ["1"], "false_values": ["1"]}, "overlap"),
        ({"roles": ["boss"]}, "roles"),
        ({"decimal": ";"}, "decimal"),
        ("integer", "column"),
    ],
)
def test_wrong_columns_are_refused_with_a_reason(column, reason):
    with pytest.raises(ValidationError, match=reason):
        Schema.model_validate({"columns": {"column": column}})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"colums": {}}, "colums"),
        ({"max_rows_per_unit": 0}, "max_rows_per_unit"),
        ({"max_rows_per_unit": 10**6}, "max_rows_per_unit"),
        ({"rows": 0}, "rows"),
        ({"dataset": ""}, "dataset"),
        ({"columns": {"a": None}, "rules": ["b >= a"]}, "'b'"),
        ({"columns": {"a": None}, "rules": ["a >="]}, "cannot be read"),
        ({"columns": {str(i): None for i in range(MAX_COLUMNS + 1)}}, "at most"),
        ({"columns": ["a"]}, "columns"),
    ],
)
def test_wrong_schemas_are_refused_with_a_reason(schema, reason):
    with pytest.raises(ValidationError, match=reason):
        Schema.model_validate(schema)


def test_bounds_with_a_zone_become_utc_as_cells_do():
    column = Column(kind="datetime", minimum="2024-01-01T00:00+02:00", maximum=date(2024, 2, 1))
    assert column.minimum == datetime(2023, 12, 31, 22)
    assert column.maximum == datetime(2024, 2, 1)


def test_a_schema_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Column().kind = "integer"  # type: ignore[misc]
