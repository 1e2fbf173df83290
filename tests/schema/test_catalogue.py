"""`catalogue` in a schema: what it takes, and what it refuses."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import yaml

from privsynth.errors import SchemaError
from privsynth.schema.files import dump_schema, load_schema, schema_from
from privsynth.schema.linked import dump_linked_schema
from privsynth.schema.linked.files import linked_schema_from

PLAIN: dict[str, Any] = {
    "publisher": {"name": "St Mary", "email": "data@stmary.example"},
    "access_rights": "restricted",
    "access_url": "https://stmary.example/data",
}
HEALTH: dict[str, Any] = {
    "categories": ["EHRS", "HRAD"],
    "access_body": {"name": "Agency", "page": "https://agency.example"},
}
LAW = "http://data.europa.eu/eli/reg/2025/327/oj"
TIMES = {"admitted": {"kind": "date", "minimum": "2023-01-01", "maximum": "2024-12-31"}, "left": {"kind": "date"}}


def schema(catalogue: Any) -> Any:
    return schema_from({"columns": TIMES, "catalogue": catalogue}, "schema.yaml")


def test_a_catalogue_is_written_and_read_back(tmp_path):
    told = {**PLAIN, "period_of": "admitted", "applicable_legislation": LAW, "health": HEALTH, "keywords": "stays"}
    found = schema(told)
    (tmp_path / "schema.yaml").write_text(dump_schema(found), encoding="utf-8")
    assert load_schema(tmp_path / "schema.yaml") == found
    assert found.catalogue.keywords == ("stays",)
    assert (found.period().first, found.period().last) == (date(2023, 1, 1), date(2024, 12, 31))
    assert schema(PLAIN).period() is None
    assert schema_from({"columns": TIMES}, "schema.yaml").catalogue is None


def test_of_linked_tables_the_period_names_its_table():
    tables = {"patients": {"key": "id", "columns": {"id": {"kind": "id"}, **TIMES}}}
    found = linked_schema_from({"tables": tables, "catalogue": {**PLAIN, "period_of": "patients: admitted"}}, "it")
    assert found.period().last == date(2024, 12, 31)
    assert linked_schema_from(yaml.safe_load(dump_linked_schema(found)), "it") == found
    with pytest.raises(SchemaError, match="period_of names 'admitted', which is no column"):
        linked_schema_from({"tables": tables, "catalogue": {**PLAIN, "period_of": "admitted"}}, "it")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"access_rights": "secret"}, "can be public, restricted or non_public"),
        ({"access_url": "stmary.example"}, "access_url"),
        ({"access_url": "https://a.example/<b>"}, "access_url"),
        ({"publisher": {"name": "St Mary"}}, "needs an email or a page"),
        ({"publisher": {"name": "St\nMary", "email": "a@b.example"}}, "publisher → name"),
        ({"publisher": {"name": "St Mary", "email": "nobody"}}, "publisher → email"),
        ({"licence": "javascript:alert(1)"}, "licence"),
        ({"places": ["Belgium"]}, "places"),
        ({"themes": ["HEALTH"]}, "themes"),
        ({"retention": {"first": "2026-01-01", "last": "2025-01-01"}}, "first is after last"),
        ({"period_of": "gone"}, "which is no column of the schema"),
        ({"period_of": "left"}, "needs declared times as minimum and maximum"),
        ({"health": HEALTH}, "needs applicable_legislation"),
        ({"applicable_legislation": LAW, "health": {**HEALTH, "categories": []}}, "categories"),
        ({"applicable_legislation": LAW, "health": {**HEALTH, "categories": "EHR"}}, "categories"),
        ({"titel": "Admissions"}, "'catalogue → titel' is not a key that a schema knows"),
    ],
)
def test_what_is_wrong_is_named(changed, reason):
    with pytest.raises(SchemaError, match=reason):
        schema({**PLAIN, **changed})
