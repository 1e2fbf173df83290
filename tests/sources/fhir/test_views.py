"""ViewDefinitions: rows, unions, iterations, errors; the official tests where they are; plain paths as fhirpathpy."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from privsynth.errors import ConfigError
from privsynth.sources.fhir import paths
from privsynth.sources.fhir.paths import FhirPath
from privsynth.sources.fhir.view import MAX_ROWS, View

# The folder `tests` of the specification (github.com/FHIR/sql-on-fhir-v2), which is not part of this repository.
OFFICIAL = os.environ.get("PRIVSYNTH_SQL_ON_FHIR_TESTS")
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "birthDate": "1970-06-02",
    "name": [{"use": "official", "family": "A", "given": ["B", "C"]}, {"family": "D"}],
    "contact": [{"telecom": [{"system": "phone"}, {"system": "email"}]}, {"relationship": []}],
    "extension": [{"url": "http://x", "valueCoding": {"code": "k"}}, {"url": "http://y", "valueBoolean": False}],
    "link": [{"other": {"reference": "Patient/p2"}}],
    "multipleBirthInteger": 2,
    "_gender": {"extension": []},
}


def fail(what):
    raise ValueError(what)


def rows(definition, *resources, problem=fail):
    view = View({"resource": "Patient", **definition}, "the view")
    return [row for resource in resources or (PATIENT,) for row in view.rows(resource, problem)]


def column(name, path, **more):
    return {"name": name, "path": path, **more}


ID = {"column": [column("id", "getResourceKey()")]}


def test_columns_are_cells_of_one_row():
    select = [{"column": [column("a", "id"), column("b", "birthDate"), column("c", "active"), column("d", "nothing")]}]
    assert rows({"select": select}) == [["p1", "1970-06-02", True, None]]
    many = [{"column": [column("a", "name.given", collection=True)]}]
    assert rows({"select": many}) == [[["B", "C"]]]


def test_iterations_give_rows_and_siblings_multiply():
    each = {"forEach": "name", "column": [column("n", "%rowIndex"), column("f", "family")]}
    assert rows({"select": [ID, each]}) == [["p1", 0, "A"], ["p1", 1, "D"]]
    other = {"forEachOrNull": "contact.telecom", "column": [column("s", "system")]}
    assert rows({"select": [each, other]}) == [[n, f, s] for n, f in ((0, "A"), (1, "D")) for s in ("phone", "email")]
    nothing = {"forEachOrNull": "address", "column": [column("city", "city"), column("n", "%rowIndex")]}
    assert rows({"select": [ID, nothing]}) == [["p1", None, 0]]
    assert rows({"select": [ID, {**each, "forEach": "address"}]}) == []


def test_unions_are_one_branch_after_the_other():
    union = {
        "unionAll": [
            {"forEach": "name", "column": [column("x", "family")]},
            {"column": [column("x", "birthDate")]},
        ]
    }
    assert rows({"select": [ID, union]}) == [["p1", "A"], ["p1", "D"], ["p1", "1970-06-02"]]


def test_repeat_goes_down_depth_first():
    items = {"resourceType": "Q", "item": [{"n": 1, "item": [{"n": 2}, {"n": 3, "item": [{"n": 4}]}]}, {"n": 5}]}
    select = [{"repeat": ["item"], "column": [column("n", "n"), column("at", "%rowIndex")]}]
    assert rows({"resource": "Q", "select": select}, items) == [[n, n - 1] for n in range(1, 6)]


def test_constants_and_conditions():
    view = {
        "constant": [{"name": "use", "valueString": "official"}],
        "where": [{"path": "active"}, {"path": "birthDate != '2000-01-01'"}],
        "select": [{"column": [column("f", "name.where(use = %use).family")]}],
    }
    assert rows(view) == [["A"]]
    assert rows(view, {**PATIENT, "active": False}) == []
    assert rows(view, {"resourceType": "Patient"}) == []


def test_what_cannot_be_had_is_told_and_ends_nothing():
    told = []
    select = [{"column": [column("a", "name.family"), column("b", "birthDate + 1"), column("c", "id")]}]
    assert rows({"select": select}, problem=told.append) == [[None, None, "p1"]]
    assert told == ["values", "value"]
    assert rows({"select": [ID], "where": [{"path": "name.family"}]}, problem=told.append) == []
    assert told[2:] == ["where"]
    odd = {"resourceType": "Patient", "id": 7, "name": "x", "contact": {"telecom": [None, 3, {"system": []}]}}
    assert rows({"select": [ID, {"forEach": "contact.telecom", "column": [column("s", "system")]}]}, odd) == [
        [None, None],
        [None, None],
    ]


def test_a_resource_that_multiplies_is_cut():
    hostile = {"resourceType": "Patient", "name": [{"family": "x"}] * 1_000}
    select = [{"forEach": "name", "column": [column(f"c{n}", "family")]} for n in range(6)]
    told = []
    assert len(rows({"select": select}, hostile, problem=told.append)) == MAX_ROWS
    assert told == ["rows"]


WRONG = {
    "no object": [],
    "no resource": {"resource": None, "select": [ID]},
    "no select": {},
    "no columns": {"select": [{"forEach": "name"}]},
    "a path that is none": {"select": [{"column": [column("a", "name.where(")]}]},
    "an unknown function": {"select": [{"column": [column("a", "secret()")]}]},
    "a path that is no text": {"select": [{"forEach": 1, "column": [column("a", "id")]}]},
    "an unknown constant": {"select": [{"column": [column("a", "%nothing")]}]},
    "a bad name": {"select": [{"column": [column("a b", "id")]}]},
    "equal names": {"select": [ID, ID]},
    "unlike branches": {"select": [{"unionAll": [ID, {"column": [column("b", "id")]}]}]},
    "two iterations": {"select": [{"forEach": "name", "repeat": ["name"], "column": [column("a", "id")]}]},
    "a constant of two values": {"constant": [{"name": "a", "valueCode": "x", "valueId": "y"}], "select": [ID]},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_view_is_refused(what):
    with pytest.raises(ConfigError, match="the view"):
        View({"resource": "Patient", **WRONG[what]} if isinstance(WRONG[what], dict) else WRONG[what], "the view")


PLAIN = [
    "id", "name.family", "name.given.first()", "name.where(use = 'official').given", "name.exists()", "address.empty()",
    "extension('http://x').value.ofType(Coding).code", "extension('http://y').value.ofType(boolean)", "name.first()",
    "multipleBirth.ofType(integer)", "multipleBirth.ofType(boolean)", "link.other.getReferenceKey(Patient)",
    "link.other.getReferenceKey(Observation)", "getResourceKey()", "birthDate = '1970-06-02'", "id != 'p1'", "active",
    "address.city = 'x'", "name.family = 'A'", "name.where(family = 'none')", "contact.where(telecom.empty())",
    "gender", "contact.telecom.system", "multipleBirth",
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN)
def test_plain_paths_give_what_fhirpathpy_gives(text):
    plain, whole = FhirPath(text, {}, "x"), paths._compiled(text, "x")
    assert plain.is_plain
    assert plain([PATIENT], {}) == [paths.raw(node) for node in whole([json.loads(json.dumps(PATIENT))], {})]


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("Patient/p2", ["p2"]),
        ("https://x.example/fhir/Patient/p2", ["p2"]),
        ("Patient/p2/_history/3", ["p2"]),
        ("urn:uuid:0-1", ["0-1"]),
        ("Group/p2", []),
        ("#contained", []),
        ("Patient?identifier=x", []),
        (7, []),
    ],
)
def test_keys_of_references(reference, key):
    path = FhirPath("subject.getReferenceKey(Patient)", {}, "x")
    assert path([{"subject": {"reference": reference}}], {}) == key


def normal(found):
    """Return JSON in which numbers of equal value are equal texts."""
    if isinstance(found, dict):
        return {name: normal(value) for name, value in found.items()}
    if isinstance(found, list):
        return [normal(value) for value in found]
    is_number = isinstance(found, Decimal | int) and not isinstance(found, bool)
    return float(found) if is_number else found


def passes(view, resources, test):
    """Return whether a view gives what an official test expects."""
    try:
        made = View(view, "the view")
        wanted = [resource for resource in resources if resource["resourceType"] == made.resource]
        found = [
            dict(zip([column.name for column in made.columns], row, strict=True))
            for resource in wanted
            for row in made.rows(resource, fail)
        ]
    except (ConfigError, ValueError):
        return bool(test.get("expectError"))
    if "expectCount" in test:
        return len(found) == test["expectCount"]
    as_text = [sorted(json.dumps(normal(row), sort_keys=True) for row in many) for many in (found, test["expect"])]
    return as_text[0] == as_text[1]


@pytest.mark.skipif(not OFFICIAL, reason="PRIVSYNTH_SQL_ON_FHIR_TESTS names no folder of the official tests")
def test_the_official_tests_pass_but_for_boundaries():
    failed, passed = [], 0
    for path in sorted(Path(OFFICIAL).glob("*.json")):
        suite = json.loads(path.read_bytes(), parse_float=Decimal)
        for test in suite["tests"]:
            if not passes(test["view"], suite["resources"], test):
                failed.append(f"{path.stem}: {test['title']}")
            passed += 1
    passed -= len(failed)
    print(f"{passed} official tests pass")
    assert [name for name in failed if not name.startswith("fn_boundary:")] == []
    assert passed >= 126
