"""What the types of a source state is taken as declared; what they do not prove, and what comes of rows, is not."""

from __future__ import annotations

import decimal
import sqlite3

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from privsynth.schema.definition import Column, Schema
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources import SourceOptions, open_source
from privsynth.sources.protocol import source_format_of, stated_types_of
from privsynth.sources.sql.catalogue import _said


def stated(origin, **options) -> StatedTypes:
    return stated_types_of(open_source(origin, SourceOptions(**options)))


def parquet_file(folder, arrays, schema):
    pq.write_table(pa.table(arrays, schema=schema), folder / "t.parquet")
    return folder / "t.parquet"


def test_parquet_states_kinds_and_what_is_required(tmp_path):
    fields = [
        pa.field("paid", pa.bool_(), nullable=False),
        pa.field("day", pa.date32()),
        pa.field("at", pa.timestamp("us", tz="Europe/Berlin")),
        pa.field("local", pa.timestamp("us")),
        pa.field("price", pa.decimal128(12, 2), nullable=False),
        pa.field("units", pa.decimal128(12, 0)),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("x", pa.float64()),
        pa.field("text", pa.string(), nullable=False),
    ]
    cells = [True, 0, 0, 0, decimal.Decimal("1.50"), decimal.Decimal("3"), 1, 0.5, "a"]
    arrays = [pa.array([cell], pa.int64() if isinstance(cell, int) and not isinstance(cell, bool) else None)
              for cell in cells]  # fmt: skip
    arrays[1] = arrays[1].cast(pa.int32())
    path = parquet_file(tmp_path, [a.cast(f.type) for a, f in zip(arrays, fields, strict=True)], pa.schema(fields))
    found = stated(path)
    assert found.columns == {
        "paid": Column(kind="boolean", nullable=False),
        "day": Column(kind="date"),
        "at": Column(kind="datetime"),
        "price": Column(kind="numeric", precision=0.01, nullable=False),
        "n": Column(nullable=False),
    }
    assert found.families == {"local": "time", "units": "integer", "n": "integer", "x": "number"}
    assert source_format_of(open_source(path)).whole_numbers == ("n",)


@pytest.mark.parametrize("rows", [[1, 2, 3], [7], []])
def test_rows_say_nothing(tmp_path, rows):
    """Least and greatest values, numbers of nulls and the texts of a dictionary stand in the file, too."""
    kinds = {"n": pa.int64(), "ward": pa.string(), "group": pa.dictionary(pa.int32(), pa.string())}
    table = pa.table(
        {"n": rows, "ward": [f"w{i}" for i in rows], "group": [f"g{i}" for i in rows]}, schema=pa.schema(kinds.items())
    )
    pq.write_table(table, tmp_path / "t.parquet", write_statistics=True)
    assert stated(tmp_path / "t.parquet") == StatedTypes(families={"n": "integer"})


def test_dtypes_state_kinds_and_neither_nulls_nor_categories():
    frame = pd.DataFrame(
        {
            "plain": [True, False],
            "nullable": pd.array([True, None], "boolean"),
            "at": pd.to_datetime(["2024-01-01", "2024-01-02"]).tz_localize("Europe/Berlin"),
            "local": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            "ward": pd.Categorical(["a", "b"], categories=["b", "a", "c"], ordered=True),
            "grade": pd.Categorical([1, 2]),
            "n": [1, 2],
            "x": [1.0, np.nan],
            "whole": pd.array([1, None], "Int64"),
            "text": ["a", "b"],
            "mixed": [True, None],
        }
    )
    found = stated(frame)
    assert found.columns == {
        "nullable": Column(kind="boolean"),
        "at": Column(kind="datetime"),
        "ward": Column(kind="categorical"),
        "grade": Column(kind="categorical"),
    }
    assert found.families == {"local": "time", "whole": "integer"}
    assert source_format_of(open_source(frame)).whole_numbers == ("whole",)


def test_a_missing_cell_does_not_change_what_is_stated():
    """pandas makes objects of booleans and floats of integers, and a dtype would tell that nobody's cell is missing."""
    frame = pd.DataFrame({"again": [True, False], "n": [1, 2]})
    missing = pd.DataFrame({"again": [True, None], "n": [1, None]})
    assert [str(dtype) for dtype in missing.dtypes] != [str(dtype) for dtype in frame.dtypes]
    assert stated(frame) == stated(missing) == StatedTypes()
    assert source_format_of(open_source(frame)) == source_format_of(open_source(missing))


def test_the_categories_of_a_categorical_change_neither_types_nor_what_is_read():
    opened = [
        open_source(pd.DataFrame({"c": pd.Categorical(values)}), SourceOptions())
        for values in ([1, 2, 3], [1, 2, 3, "weird"], [1.5, 2.0, 3.0])
    ]
    assert len({str(source.source_format) for source in opened}) == 1
    assert len({str(source.arrow_schema) for source in opened}) == 1


def test_how_texts_are_encoded_in_a_file_is_no_type_of_theirs(tmp_path):
    texts = pa.table({"a": ["x", "y"]})
    formats = []
    for name, table in (("plain", texts), ("large", texts.cast(pa.schema([("a", pa.large_string())])))):
        pq.write_table(table, tmp_path / f"{name}.parquet")
        formats.append(open_source(tmp_path / f"{name}.parquet", SourceOptions()).source_format)
    assert formats[0] == formats[1]


def test_texts_state_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,true\n")
    assert stated(tmp_path / "t.csv") == StatedTypes()


@pytest.fixture
def clinic(tmp_path):
    with sqlite3.connect(tmp_path / "clinic.db") as connection:
        connection.executescript(
            """
            CREATE TABLE ward (code INTEGER PRIMARY KEY);
            CREATE TABLE stay (
              id INTEGER PRIMARY KEY,
              ward INTEGER NOT NULL REFERENCES ward(code),
              sex TEXT NOT NULL CHECK (sex IN ('F', 'M', 'it''s')),
              triage INTEGER CHECK (triage IN (1, 2, 3)),
              died BOOLEAN NOT NULL,
              note TEXT NOT NULL,
              day DATE,
              age INTEGER NOT NULL CHECK (age >= 0 AND age <= 120)
            );
            CREATE VIEW stays AS SELECT * FROM stay;
            INSERT INTO ward VALUES (1);
            INSERT INTO stay VALUES (1, 1, 'F', 2, 0, '', '2024-01-01', 40);
            ANALYZE;
            """
        )
    connection.close()
    return tmp_path / "clinic.db"


def test_sqlite_states_keys_and_constraints_and_its_types_are_advice(clinic):
    found = stated(clinic, table="stay")
    assert found.columns == {
        "id": Column(kind="id", roles=("identifier",), nullable=False),
        "ward": Column(kind="categorical"),
        "sex": Column(kind="categorical", categories=("F", "M", "it's"), nullable=False),
        "triage": Column(kind="categorical", categories=("1", "2", "3")),
        "died": Column(kind="boolean", nullable=False),
    }
    assert found.families == {}
    assert stated(clinic, table="main.stay") == found


def test_a_view_and_a_query_of_sqlite_state_kinds_at_most(clinic):
    assert stated(clinic, table="stays").columns == {"died": Column(kind="boolean")}
    assert stated(clinic, query="SELECT * FROM stay") == StatedTypes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sex IN ('F','M')", [("sex", {"categories": ("F", "M")})]),
        ("(\"sex\" IN ('F', 'M'))", [("sex", {"categories": ("F", "M")})]),
        (
            "((sex)::text = ANY ((ARRAY['F'::character varying, 'M'::character varying])::text[]))",
            [("sex", {"categories": ("F", "M")})],
        ),
        ("(grade = ANY (ARRAY[1, 2, 3]))", [("grade", {"categories": ("1", "2", "3")})]),
        ("((age >= 0) AND (age <= 120))", [("age", {"minimum": 0.0}), ("age", {"maximum": 120.0})]),
        ("age BETWEEN 0 AND 120", [("age", {"minimum": 0.0, "maximum": 120.0})]),
        ("((price >= (0)::numeric) AND (price <= 9.5))", [("price", {"minimum": 0.0}), ("price", {"maximum": 9.5})]),
        ("age >= 0 OR age IS NULL", []),
        ("sex IN ('F', 'M') OR age > 3", []),
        ("sex NOT IN ('F', 'M')", []),
        ("sex IN (SELECT code FROM sexes)", []),
        ("lower(sex) IN ('f', 'm')", []),
        ("length(name) >= 3", []),
        ("a >= b", []),
    ],
)
def test_what_check_constraints_say(text, said):
    assert _said(text) == said


def test_a_person_goes_before_a_type():
    types = StatedTypes(
        columns={
            "paid": Column(kind="boolean", nullable=False),
            "price": Column(kind="numeric", precision=0.01, nullable=False),
            "key": Column(kind="id", roles=("identifier",)),
            "free": Column(kind="categorical", categories=("a", "b")),
        }
    )
    declared = Schema.model_validate(
        {
            "columns": {
                "paid": {"kind": "categorical", "categories": ["yes", "no"]},
                "price": {"kind": "numeric", "precision": 1, "nullable": True, "maximum": 9},
                "free": {"roles": "target"},
            }
        }
    )
    schema, typed = types.complete(declared, ["paid", "price", "key", "free", "unknown"])
    assert schema.columns == {
        "paid": Column(kind="categorical", categories=("yes", "no"), nullable=False),
        "price": Column(kind="numeric", precision=1, maximum=9),
        "free": Column(kind="categorical", categories=("a", "b"), roles=("target",)),
        "key": Column(kind="id", roles=("identifier",)),
    }
    assert typed == {"key", "free"}


def test_a_schema_that_says_all_stays_the_same():
    schema = Schema.model_validate({"columns": {"a": {"kind": "integer"}}})
    assert StatedTypes().complete(schema, ["a", "b"]) == (schema, frozenset())
