"""A schema that is declared in a form, column by column: by a page, and by a program."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pipeline.admissions import schema
from service.forms import filled
from service.releases import desk

from privsynth.errors import InputError, SchemaError
from privsynth.schema.definition import Kind
from privsynth.service.roles import Act, Role
from privsynth.service.sources.column_form import IN_TEXT, KIND_WORDS, declared_by, fields_of
from privsynth.service.sources.columns import DeclaredColumn, declare_columns, declared_in, with_columns
from privsynth.service.sources.registry import declare_schema, one_source
from privsynth.service.tokens import new_token
from privsynth.service.web.routes.schemas.columns import ON_A_PAGE

# The columns of a desk's source, by number: 1 admitted, 2 age, 3 discharged, 4 note, 5 patient, 6 ward.


@pytest.fixture
def at(institution, tmp_path):
    return desk(institution, tmp_path)


class Form:
    """The form of a person in a browser, as the page shows it."""

    def __init__(self, institution, at, name="ada", query="") -> None:
        self.browser = institution.browser(name)
        self.path = f"/sources/{at.source.id}/columns"
        self.page = self.browser.get(self.path + query).text
        self.sent = filled(self.page, self.path)

    def fill(self, **fields: str | list[str]) -> None:
        """Fill in fields: `c2_minimum="18"`."""
        for name, text in fields.items():
            number, _, field = name.partition("_")
            self.sent[f"{number}.{field}"] = text if isinstance(text, list) else [text]

    def send(self, then: str = ""):
        self.answer = self.browser.post(self.path, data={**self.sent, "then": then})
        return self.answer


def declared(at):
    return yaml.safe_load(one_source(at.service, at.admin, at.source.id).schema)


def test_the_form_knows_every_kind():
    assert set(KIND_WORDS) == set(get_args(Kind))


def test_a_form_that_is_sent_as_it_stands_changes_nothing(institution, at):
    assert Form(institution, at).send().status_code == 303
    assert declared(at) == schema()


def test_what_is_filled_in_is_declared_and_all_else_stays(institution, at):
    form = Form(institution, at)
    form.fill(c2_minimum="18", c2_unit="years", c2_roles=["quasi_identifier", "protected"], c6_categories="ICU\nER\n")
    form.fill(c1_maximum="", c5_kind="", c0_max_rows_per_unit="3", c0_unit_noun="patient")
    del form.sent["c2.nullable"]
    assert form.send().headers["location"].endswith("?first=1&saved=true")
    age = {"kind": "integer", "minimum": 18, "maximum": 120, "unit": "years", "nullable": False}
    assert declared(at) == {
        **schema(max_rows_per_unit=3), "unit_noun": "patient",
        "columns": {
            **schema()["columns"], "patient": {}, "ward": {"kind": "categorical", "categories": ["ICU", "ER"]},
            "age": {**age, "roles": ["protected", "quasi_identifier"]},
            "admitted": {"kind": "date", "minimum": "2024-01-01"},
        },
    }  # fmt: skip


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved(institution, at):
    form = Form(institution, at)
    form.fill(c2_minimum="200", c1_maximum="soon", c0_max_rows_per_unit="many", c6_unit="<b>")
    answer = form.send()
    assert (answer.status_code, declared(at)) == (422, schema())
    assert '<p class="wrong" id="c2-minimum-why">Minimum is above maximum.</p>' in answer.text
    assert 'id="c1-maximum-why">Must be a number or an ISO date.</p>' in answer.text
    assert 'id="c0-max_rows_per_unit-why">It must be a whole number, such as 2.</p>' in answer.text
    assert "3 fields are" in answer.text
    assert filled(answer.text, form.path) == form.sent  # what was typed is still there
    assert "<b>" not in answer.text


def test_what_columns_cannot_be_together_is_said_above_the_form(institution, at):
    form = Form(institution, at)
    form.fill(c6_kind="id", c6_categories="", c6_format="{8 digits}", c5_format="{8 hex}")
    answer = form.send()
    assert (answer.status_code, declared(at)) == (422, schema())
    assert "Nothing was saved. The schema is not a valid schema: an identifier of" in answer.text
    assert filled(answer.text, form.path) == form.sent


def test_what_a_name_suggests_is_declared_only_once_somebody_confirms_it(institution, at):
    text = "columns: {diag_1: {}, phone: , country: {kind: integer}, sex: {}}\n"
    declare_schema(at.service, at.admin, at.source.id, text)
    form = Form(institution, at)
    assert "ICD-10" in form.page
    assert form.send().status_code == 303
    assert declared(at) == {"columns": {"diag_1": {}, "phone": {}, "country": {"kind": "integer"}, "sex": {}}}
    form.sent |= Form(institution, at).sent | {f"c{n}.take": ["true"] for n in (1, 2, 3, 4)}  # sex suggests nothing
    assert form.send().status_code == 303
    assert declared(at)["columns"] == {
        "diag_1": {"hierarchy": "icd10"}, "phone": {"kind": "phone"},
        "country": {"kind": "categorical", "hierarchy": "iso3166"}, "sex": {},
    }  # fmt: skip


def test_who_opened_the_form_before_somebody_else_saved_loses_nothing_and_overwrites_nothing(institution, at):
    early, late = Form(institution, at), Form(institution, at)
    early.fill(c2_minimum="18")
    late.fill(c2_minimum="21", c2_maximum="99")
    assert early.send().status_code == 303
    answer = late.send()
    assert answer.status_code == 422
    assert "changed meanwhile" in answer.text
    assert declared(at)["columns"]["age"]["minimum"] == 18


def test_comments_in_front_stay_and_proposals_stand_in_the_text(institution, at):
    declare_schema(
        at.service, at.admin, at.source.id, "# of the ward's code book\n# 2024\ncolumns: {diag: {}, x: {}}\n"
    )
    form = Form(institution, at)
    form.fill(c2_kind="integer")
    form.send()
    text = one_source(at.service, at.admin, at.source.id).schema
    assert text.startswith("# of the ward's code book\n# 2024\ncolumns:\n  # hierarchy: icd10")


def test_each_column_of_linked_tables_is_declared_and_their_links_stay(institution, at):
    linked = {
        "tables": {
            "patients": {"key": ["id"], "columns": {"id": {"kind": "id"}, "born": {}}},
            "stays": {
                "parent": {"table": "patients", "columns": ["id"]},
                "columns": {"id": {"kind": "id"}, "ward": {}},
            },
        }
    }
    declare_schema(at.service, at.admin, at.source.id, yaml.safe_dump(linked, sort_keys=False))
    form = Form(institution, at)
    form.fill(c2_kind="integer", c2_minimum="1900", c4_categories="ICU\nER", c0_unit_noun="patient")
    assert form.send().status_code == 303, form.answer.text
    found = declared(at)
    assert found["tables"]["patients"]["columns"]["born"] == {"kind": "integer", "minimum": 1900}
    assert found["tables"]["stays"]["columns"]["ward"] == {"categories": ["ICU", "ER"]}
    assert found["tables"]["stays"]["parent"] == linked["tables"]["stays"]["parent"]
    assert found["unit_noun"] == "patient"


def test_many_columns_come_page_by_page(institution, at):
    names = [f"lab_{n}" for n in range(1, 2 * ON_A_PAGE + 2)]
    declare_schema(at.service, at.admin, at.source.id, yaml.safe_dump({"columns": {name: {} for name in names}}))
    form = Form(institution, at, query=f"?first={ON_A_PAGE + 1}")
    assert f"c{ON_A_PAGE}.kind" not in form.sent
    assert f"c{2 * ON_A_PAGE + 1}.kind" not in form.sent
    form.fill(**{f"c{ON_A_PAGE + 1}_kind": "integer"})
    assert f"first={2 * ON_A_PAGE + 1}&" in form.send("next").headers["location"]
    kinds = [name for name, one in declared(at)["columns"].items() if one.get("kind")]
    assert kinds == [list(declared(at)["columns"])[ON_A_PAGE]]
    assert Form(institution, at, query="?first=900000").page.count("<legend>") == 1


def test_what_a_plan_says_stands_beside_each_column_for_who_may_plan(institution, at):
    path = f"/sources/{at.source.id}/columns?epsilon=1&expect_rows=5000"
    institution.person("both", Role.ADMINISTRATOR, Role.SUBMITTER)
    for name, plans, saves in (("sam", True, False), ("ada", False, True), ("both", True, True)):
        page = institution.browser(name).get(path).text
        assert ("expected error" in page, "Save</button>" in page) == (plans, saves), name
    wrong = institution.browser("sam").get(path.replace("epsilon=1", "epsilon=-1"))
    assert (wrong.status_code, "has to be more than 0" in wrong.text) == (200, True)
    form = Form(institution, at, "both")
    form.sent |= {"epsilon": ["2"], "expect_rows": ["5000"]}
    where = form.send("plan").headers["location"]
    assert "epsilon=2" in where
    assert "at epsilon 2: expected error" in form.browser.get(where).text


def test_a_program_declares_columns_as_the_form_does(service, institution, at):
    secret = new_token(service, at.admin, "p", frozenset({Act.REGISTER_SOURCE, Act.SEE_SOURCES}), 1)
    browser, path = institution.browser(), f"/api/v1/sources/{at.source.id}/columns"
    bearer = {"authorization": f"Bearer {secret}"}
    shown = browser.get(path, headers=bearer).json()
    assert [one["name"] for one in shown["columns"]] == list(declared(at)["columns"])
    assert shown["about"]["unit"] == "patient"
    age = {"name": "age", "declared": {"kind": "integer", "minimum": 18}}
    sent = {"columns": [age], "about": {"rows_noun": "stays"}, "digest": shown["digest"]}
    answer = browser.put(path, json=sent, headers=bearer)
    assert answer.status_code == 200
    assert declared(at) == {
        **schema(), "rows_noun": "stays", "columns": {**schema()["columns"], "age": age["declared"]},
    }  # fmt: skip
    assert "changed meanwhile" in browser.put(path, json=sent, headers=bearer).json()["error"]
    age["declared"]["minimum"] = "young"
    answer = browser.put(path, json={"columns": [age]}, headers=bearer)
    assert (answer.status_code, answer.json()["error"]) == (422, "'age': minimum: must be a number or an ISO date")


def test_a_column_of_no_table_and_a_key_of_none_are_refused(at):
    for columns, about in (([DeclaredColumn("x", "a", {})], {}), ([], {"columns": {}}), ([], {"unit": 7})):
        with pytest.raises(SchemaError):
            declare_columns(at.service, at.admin, at.source.id, about=about, columns=columns)
    with pytest.raises(InputError):
        declare_columns(at.service, at.admin, 999, about={}, columns=[])


def test_an_empty_text_becomes_a_schema(at):
    assert yaml.safe_load(with_columns("", {"unit": "row"}, [DeclaredColumn("", "a", {"kind": "id"})])) == {
        "unit": "row", "columns": {"a": {"kind": "id"}},
    }  # fmt: skip
    assert declared_in("").columns == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=9)
DECLARED = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(list(KIND_WORDS)),
        "categories": st.one_of(
            st.lists(st.one_of(TEXTS, st.booleans(), st.integers()), min_size=1), st.just("hierarchy")
        ),
        "hierarchy": st.sampled_from(["icd10", {"levels": {"trade": {"food": ["baker"]}}}]),
        "minimum": st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.dates()),
        "nullable": st.booleans(), "roles": st.sampled_from(["target", ["target", "protected"]]),
        "description": TEXTS, "follows": st.just({"column": "b", "values": {"x": ["y"]}}),
    },
)  # fmt: skip


@given(DECLARED)
def test_whatever_is_declared_survives_a_form_that_nobody_changed(found):
    column = DeclaredColumn("", "a", found)
    assert declared_by(column, fields_of(found), takes=False) == found


def test_a_hierarchy_that_was_written_out_can_be_replaced(at):
    column = DeclaredColumn("", "a", {"hierarchy": {"levels": {"x": {"y": ["z"]}}}})
    assert fields_of(column.declared)["hierarchy"] == IN_TEXT
    assert declared_by(column, {"hierarchy": "icd10"}, takes=False) == {"hierarchy": "icd10"}
    assert declared_by(column, {"hierarchy": ""}, takes=False) == {}
