"""Code books that a user writes: three forms say the same, and what is wrong is said in a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import SchemaError
from privsynth.hierarchies import hierarchy_data, hierarchy_from, read_csv, written
from privsynth.hierarchies.written import MAX_CODES, MAX_LEVELS
from privsynth.schema import Schema
from privsynth.schema.files import dump_schema, load_schema, schema_from

NESTED = {
    "levels": ["area", "room"],
    "groups": {"medicine": {"heart": ["I21", "I50"], "lungs": "J18"}, "other": ["R10"]},
}
BY_LEVEL = {
    "levels": {
        "room": {"heart": ["I21", "I50"], "lungs": ["J18"]},
        "area": {"medicine": ["I21", "I50", "J18"], "other": ["R10"]},
    }
}
FILE = "code,room,area\nI21,heart,medicine\nI50,heart,medicine\nJ18,lungs,medicine\nR10,,other\n"


def from_file(text: str):
    return written("the hierarchy", *read_csv(text))


@pytest.mark.parametrize(
    "book",
    [
        hierarchy_from(NESTED),
        hierarchy_from(BY_LEVEL),
        from_file(FILE),
        from_file(FILE.replace(",", ";").replace("\n", "\r\n")),
        from_file(FILE.replace(",", "\t")),
    ],
)
def test_all_forms_say_the_same(book):
    assert book.levels == ("area", "room")
    assert book.path("I50") == ("medicine", "heart")
    assert book.path("R10") == ("other", "other")
    assert book.path("lungs") == ("medicine", "lungs")
    assert book.path("I99") is None
    assert set(book.codes) == {"I21", "I50", "J18", "R10"}
    assert set(book.parents("room")) == {"heart", "lungs", "other"}
    assert set(book.parents("area")) == {"medicine", "other"}
    assert book.group("room", "heart") == "heart"
    with pytest.raises(ValueError, match="the hierarchy has no room 'medicine'; it has heart, lungs"):
        book.group("room", "medicine")


def test_groups_need_no_names():
    assert hierarchy_from({"a": ["x"], "b": ["y", "z"]}).levels == ("group",)
    assert hierarchy_from({"a": {"b": ["x"]}}).levels == ("level1", "level2")
    assert hierarchy_from({"a": [1, 2.5, True]}).codes == ("1", "2.5", "true")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "write the name of one that ships"),
        ({}, "write the name of one that ships"),
        (7, "write the name of one that ships"),
        ({"groups": ["x"]}, "write the name of one that ships"),
        ({"a": ["x"], "b": ["x"]}, "the code 'x' stands in two places"),
        ({"a": {"b": ["x"]}, "c": {"b": ["y"]}}, "the group 'b' stands in two places"),
        ({"a": ["x", "b"], "b": ["y"]}, "'b' is a code, and a group that it is not in"),
        ({"a": []}, "it holds no code"),
        ({"a": [""]}, "a code or group is empty"),
        ({"": ["a"]}, "a code or group is empty"),
        ({"a": [["x"]]}, "codes and groups must be texts or numbers"),
        ({"groups": {"a": ["x"]}, "levels": ["one", "two"]}, "levels must be a list of 1 names"),
        ({"groups": {"a": {"b": ["x"]}}, "levels": ["one", "one"]}, "each with a name of its own"),
        ({"levels": {"one": {"p": ["x"]}, "two": {"a": ["y"]}}}, "no group on the coarsest level"),
        ({"levels": {"fine": ["x"]}}, "write the name of one that ships"),
        ({"a": ["x" * 2000]}, "more than 1000 characters"),
        ({"a": range(3)}, "codes and groups must be texts or numbers"),
    ],
)
def test_what_is_no_book_is_refused_with_the_reason(data, reason):
    with pytest.raises(ValueError, match=reason):
        hierarchy_from(data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file holds no table"),
        ("code\nx\n", "every line of the file must hold a code and its group"),
        ("code,group\nx\n", "every line of the file must hold a code and its group"),
        ("code,group\nx,a\nx,b\n", "the code 'x' stands in two places"),
        ("code,group\nx,\n", "the code 'x' has no group on the coarsest level"),
        ("code,a,b\nx,1,2\ny,3,2\nz,1,4\n", "stands in two places"),
    ],
)
def test_a_file_that_is_no_book_is_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        from_file(text)


def test_a_hostile_book_is_bounded():
    deep: dict = {"x": ["y"]}
    for n in range(2 * MAX_LEVELS):
        deep = {f"g{n}": deep}
    with pytest.raises(ValueError, match=f"more than {MAX_LEVELS} levels"):
        hierarchy_from(deep)
    with pytest.raises(ValueError, match="holds more than"):
        hierarchy_from({"a": [str(n) for n in range(MAX_CODES + 2)]})
    with pytest.raises(SchemaError, match="more than 1000 groups; add a coarser one"):
        schema_from({"columns": {"c": {"hierarchy": {f"g{n}": [f"c{n}"] for n in range(1_001)}}}}, "it")


NAMES = st.text(st.sampled_from("ab\u00e9 ,;1-"), max_size=3)
BOOKS = st.recursive(
    st.lists(NAMES | st.integers() | st.none(), max_size=3) | NAMES,
    lambda below: st.dictionaries(NAMES | st.just("levels") | st.just("groups"), below, max_size=3),
    max_leaves=12,
)


@given(BOOKS)
def test_whatever_is_written_is_a_book_that_survives_or_a_sentence(data):
    try:
        book = hierarchy_from(data)
    except ValueError:
        return
    assert hierarchy_from(json.loads(json.dumps(hierarchy_data(book)))) == book
    for code in book.codes:
        assert all(set(book.parents(level)).intersection(book.path(code)) for level in book.levels)
        assert len(book.path(code)) == len(book.levels)
        for level, group in zip(book.levels, book.path(code), strict=True):
            assert book.group(level, group) == group


@given(st.text(st.sampled_from('ab,;\n"\t\r1'), max_size=30))
def test_whatever_a_file_holds_is_a_book_or_a_sentence(text):
    try:
        book = from_file(text)
    except ValueError:
        return
    assert hierarchy_from(hierarchy_data(book)) == book


def test_a_schema_reads_the_file_once_and_then_holds_it(tmp_path):
    (tmp_path / "codes.csv").write_text(FILE, encoding="utf-8")
    path = tmp_path / "schema.yaml"
    path.write_text("columns: {ward: {hierarchy: {file: codes.csv}}, d: {hierarchy: ICD10}}", encoding="utf-8")
    schema = load_schema(path)
    assert schema.column("ward").kind == "categorical"
    assert schema.column("ward").hierarchy == hierarchy_from(NESTED)
    text = dump_schema(schema)
    assert "codes.csv" not in text
    assert "hierarchy: icd10" in text
    path.write_text(text, encoding="utf-8")
    (tmp_path / "codes.csv").unlink()
    assert load_schema(path) == schema
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe\x00", "is not UTF-8 text"), (b"", "the file holds no table")],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "codes.csv").write_bytes(content)
    data = {"columns": {"ward": {"hierarchy": {"file": "codes.csv"}}}}
    with pytest.raises(SchemaError, match=f"columns → ward → hierarchy: .*{reason}"):
        schema_from(data, "schema.yaml", folder=tmp_path)


def test_categories_may_be_the_codes_that_the_hierarchy_lists():
    column = schema_from({"columns": {"c": {"hierarchy": "iso3166", "categories": "hierarchy"}}}, "it").column("c")
    assert len(column.categories) == 249
    assert "DE" in column.categories
    with pytest.raises(SchemaError, match="groups codes by rule and lists none; write the categories out"):
        schema_from({"columns": {"c": {"hierarchy": "icd10", "categories": "hierarchy"}}}, "it")
    with pytest.raises(SchemaError, match="hierarchy needs kind: categorical"):
        schema_from({"columns": {"c": {"hierarchy": "icd10", "kind": "integer"}}}, "it")
