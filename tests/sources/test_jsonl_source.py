"""JSON Lines: spelling is kept, bad lines are left out, and gathered names are private."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privsynth.errors import SchemaError, SourceError
from privsynth.sources import SkippedCells, SourceOptions, open_source, read_table


@pytest.fixture
def jsonl_file(csv_file):
    return lambda content: csv_file(content, "table.jsonl")


def test_values_keep_their_spelling(jsonl_file, read):
    path = jsonl_file(
        '{"a": 1.50, "b": true, "c": "007"}\n{"a": -1e5, "b": null, "c": ""}\n{"a": 12345678901234567890}\n'
    )
    result = read(path, columns=("a", "b", "c"))
    assert result.columns == {
        "a": ["1.50", "-1e5", "12345678901234567890"],
        "b": ["true", None, None],
        "c": ["007", None, None],
    }
    assert result.skipped == {}
    assert result.source.names_are_public


def test_names_from_the_rows_are_private_and_sorted(jsonl_file, read):
    result = read(jsonl_file('{"b": 1}\n{"a": 2, "b": 3}\n{"c": 4}\n'))
    assert result.names == ["a", "b", "c"]
    assert result.columns == {"a": [None, "2", None], "b": ["1", "3", None], "c": [None, None, "4"]}
    assert not result.source.names_are_public
    assert "a" not in repr(result.source).replace(result.source.label, "").replace("JsonlSource", "")


def test_at_most_a_thousand_names_and_one_row_cannot_push_out_the_common_ones(jsonl_file, read):
    flood = json.dumps({f"!{i:05d}": 1 for i in range(3_000)})
    result = read(jsonl_file('{"zeta": 1, "alpha": 2}\n' * 2 + flood + "\n"))
    assert len(result.names) == 1_000
    assert result.names == sorted(result.names)
    assert {"zeta", "alpha"} <= set(result.names)
    assert result.skipped == {"unknown_keys": 2_002}


def test_keys_that_cannot_be_names_are_dropped(jsonl_file, read):
    path = jsonl_file(b'{"": 1, " ": 2, "' + b"x" * 300 + b'": 3, "\\u0000": 4, "\\ud800": 5, "\xff": 6, "ok": 7}\n')
    result = read(path)
    assert result.columns == {"ok": ["7"]}
    assert result.skipped == {"unknown_keys": 6}


def test_bad_lines_and_cells_are_counted_and_cost_themselves_only(jsonl_file, read):
    lines = [
        b'{"a": 1, "b": 2}',
        b"{broken",
        b"[1, 2]",
        b'"text"',
        b"",
        b'{"a": {"x": 1}, "b": [1]}',
        b'{"a": "\xff", "b": "ok"}',
        b'{"a": "\\ud800", "b": "\\u0000"}',
        b"[" * 100_000,
        b'{"a": "' + b"y" * 10_001 + b'", "b": "z"}',
        b'{"a": NaN, "b": Infinity, "c": 1}',
        b'{"a": 1, "a": 2}',
    ]
    result = read(jsonl_file(b"\n".join(lines)), columns=("a", "b"))
    assert result.columns["a"] == ["1", None, None, None, None, "NaN", "2"]
    assert result.columns["b"] == ["2", None, "ok", None, "z", "Infinity", None]
    assert result.skipped == {
        "bad_json_lines": 2,
        "non_object_lines": 2,
        "nested_cells": 2,
        "undecodable_cells": 2,
        "nul_cells": 1,
        "long_cells": 1,
        "unknown_keys": 1,
    }


def test_a_long_line_is_left_out(jsonl_file, read):
    path = jsonl_file('{"a": 1}\n{"a": "' + "x" * 2_000_000 + '"}\n{"a": 3}\n')
    result = read(path, columns=("a",))
    assert result.columns == {"a": ["1", "3"]}
    assert result.skipped == {"long_lines": 1}


def test_a_byte_order_mark_is_no_part_of_the_first_line(jsonl_file, read):
    assert read(jsonl_file(b'\xef\xbb\xbf{"a": 1}\n')).columns == {"a": ["1"]}


def test_a_file_without_objects_is_refused(jsonl_file, read):
    with pytest.raises(SourceError, match="no JSON objects"):
        open_source(jsonl_file("[1]\n[2]\n"))
    with pytest.raises(SourceError, match="no rows"):
        read(jsonl_file("[1]\n[2]\n"), columns=("a",))


def test_declared_names_are_the_header_of_a_file_without_rows(jsonl_file, workspace):
    for content in ("", "\n", "[1]\n"):
        source = open_source(jsonl_file(content), SourceOptions(columns=("a",)))
        assert read_table(source, workspace, may_be_empty=True)[0].n_rows == 0


def test_declared_names_are_checked(jsonl_file):
    with pytest.raises(SchemaError, match="blank"):
        open_source(jsonl_file('{"a": 1}\n'), SourceOptions(columns=("a", "")))


VALUES = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), min_size=1, max_size=10), st.booleans())
def test_any_object_survives_the_round_trip(tmp_path, rows, ascii_only):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows), "utf-8", newline="")
    source = open_source(path, SourceOptions(columns=("a", "b", "c")))
    skipped = SkippedCells()
    found = [row for batch in source.batches(skipped) for row in batch.to_pylist()]

    def spelled(value):
        if value is None or value == "" or (isinstance(value, str) and "\0" in value):
            return None
        return str(value).lower() if isinstance(value, bool) else str(value)

    assert found == [{name: spelled(row.get(name)) for name in "abc"} for row in rows]


def test_nested_members_are_named_by_paths(jsonl_file, read):
    lines = (
        b'{"amount": {"value": 12.50, "currency": "EUR"}, "items": [{"p": 1}, {"p": 2}], "a.b": "w", "a": {"b": "x"}}',
        b'{"amount": 7, "items": {"1": {"p": 9}}, "a": {"b": {"c": 1}}, "other": 1}',
        b'{"amount": {"value": null}, "items": [3], "a": [["x"]]}',
    )
    columns = ("amount.value", "amount.currency", "items.1.p", "a.b", "items.99999999999999999999.p", "..")
    result = read(jsonl_file(b"\n".join(lines)), columns=columns)
    assert result.columns == {
        "amount.value": ["12.50", None, None],
        "amount.currency": ["EUR", None, None],
        "items.1.p": ["2", "9", None],
        "a.b": ["w", None, None],
        "items.99999999999999999999.p": [None] * 3,
        "..": [None] * 3,
    }
    assert result.skipped == {"nested_cells": 1, "unknown_keys": 1}


def test_paths_are_not_gathered(jsonl_file):
    assert open_source(jsonl_file('{"a": {"b": 1}, "a.b": 2}\n')).names == ["a", "a.b"]
