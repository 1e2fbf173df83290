"""`schema init` on several tables: links of a catalogue, or proposals by names; never a look at a row."""

from __future__ import annotations

import sqlite3

import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic
from linked.orders import SPEC as SHOP
from linked.ward import SPEC as WARD

import privsynth
from privsynth.cli import main
from privsynth.errors import SchemaError
from privsynth.schema.linked import LinkedSchema


def drafted(*arguments):
    run = CliRunner().invoke(main, ["schema", "init", *map(str, arguments)])
    assert run.exit_code == 0, run.output
    return yaml.safe_load(run.stdout)["tables"], run.stdout


def folder_of(headers, place):
    for name, header in headers.items():
        (place / f"{name}.csv").write_text(header + "\n\x00 no cell is read\n")
    return place


def test_a_folder_gets_links_by_names_that_a_person_has_to_confirm(tmp_path):
    place = folder_of({name: ",".join(frame.columns) for name, frame in clinic(5).items()}, tmp_path)
    tables, text = drafted(place)
    assert tables["stays"]["parent"] == {"table": "patients", "column": "patient"}
    assert tables["tests"]["parent"] == {"table": "stays", "column": "stay"}
    assert "parent" not in tables["patients"]
    assert (tables["patients"]["key"], tables["stays"]["key"]) == ("patient_id", "stay_id")
    assert all(table["proposed"] for table in tables.values())
    assert "# ward refers to wards, too" in text
    assert "write reference: true" in text
    # Once the code book is public, the draft is a schema; a run still waits for a person.
    tables["wards"] = {"reference": True}
    schema = LinkedSchema.model_validate({"tables": tables})
    assert schema.root == "patients"
    with pytest.raises(SchemaError, match="proposals; correct them in the schema and remove 'proposed: true'"):
        privsynth.plan(place, schema=schema, epsilon=1)


@pytest.mark.parametrize(
    ("headers", "parents"),
    [
        # A table of transactions that repeats the customer belongs to the account, which is nearer to it.
        ({"customers": "id,born", "accounts": "account_id,customer_id", "payments": "account_id,customer_id,amount"},
         {"accounts": "customers", "payments": "accounts"}),
        ({"person": "person_id", "visit": "visit_id,person_id", "death": "person_id,date"},
         {"visit": "person", "death": "person"}),
        ({"diagnoses": "diagnosis_id,code", "people": "person,diagnosis_id"}, {"people": "diagnoses"}),
    ],
)  # fmt: skip
def test_names_suggest_parents(headers, parents, tmp_path):
    tables, _ = drafted(folder_of(headers, tmp_path))
    assert {name: table["parent"]["table"] for name, table in tables.items() if "parent" in table} == parents


def test_a_catalogue_states_the_links_and_nothing_waits(tmp_path):
    path = tmp_path / "clinic.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE people (nr TEXT PRIMARY KEY, sex TEXT);"
            "CREATE TABLE visits (number INTEGER PRIMARY KEY, who TEXT REFERENCES people (nr), day DATE);"
            "CREATE TABLE findings (visit INTEGER REFERENCES visits (number), value REAL)"
        )
    database.close()
    tables, _ = drafted(path)
    assert tables["visits"]["parent"] == {"table": "people", "column": "who"}
    assert tables["findings"]["parent"] == {"table": "visits", "column": "visit"}
    assert tables["people"]["key"] == "nr"
    assert not any("proposed" in table for table in tables.values())
    LinkedSchema.model_validate({"tables": tables})
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump({"tables": tables}, sort_keys=False))
    checked = CliRunner().invoke(main, ["schema", "check", str(tmp_path / "schema.yaml")])
    assert "Persons: people. Tables: people, visits, findings." in checked.output
    assert privsynth.plan(path, schema=tmp_path / "schema.yaml", epsilon=1).persons


def test_a_catalogue_with_keys_of_several_columns_and_further_references_is_drafted_for_a_person(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE accounts (client TEXT, account TEXT, segment TEXT, PRIMARY KEY (client, account));"
            "CREATE TABLE orders (client TEXT, number TEXT, account TEXT, replaces TEXT, day DATE,"
            " PRIMARY KEY (client, number), FOREIGN KEY (client, account) REFERENCES accounts (client, account),"
            " FOREIGN KEY (client, replaces) REFERENCES orders (client, number));"
            "CREATE TABLE lines (client TEXT, number TEXT, line INTEGER, product TEXT,"
            " PRIMARY KEY (client, number, line), FOREIGN KEY (client, number) REFERENCES orders (client, number));"
            "CREATE TABLE payments (client TEXT, account TEXT, of_client TEXT, of_number TEXT, of_line INTEGER,"
            " amount REAL, FOREIGN KEY (client, account) REFERENCES accounts (client, account),"
            " FOREIGN KEY (of_client, of_number, of_line) REFERENCES lines (client, number, line));"
        )
    database.close()
    tables, text = drafted(path)
    assert tables["accounts"]["key"] == ["client", "account"]
    assert tables["orders"]["key"] == ["client", "number"]
    assert tables["orders"]["parent"] == {"table": "accounts", "columns": ["client", "account"]}
    assert tables["orders"]["refers_to"] == [{"table": "orders", "columns": ["client", "replaces"]}]
    assert tables["lines"]["key"] == ["client", "number", "line"]
    assert "# if line numbers the rows of one parent, declare it with kind: integer" in text
    assert (
        tables["payments"]["parent"]["table"] == "lines"
    )  # the farthest from the persons; a person may prefer another
    assert "# client, account refers to accounts, too" in text
    assert {name for name, table in tables.items() if table.get("proposed")} == {"orders", "payments"}
    schema = LinkedSchema.model_validate({"tables": tables})
    assert schema.root == "accounts"
    assert schema.parts("lines") == {"client": "above", "number": "above", "line": "surrogate"}


def test_names_of_earlier_rows_and_of_further_tables_are_proposed_as_references(tmp_path):
    headers = {
        "patients": "patient_id,sex",
        "stays": "stay_id,patient_id,previous_stay_id,ward",
        "wounds": "wound_id,patient_id,place",
        "dressings": "stay_id,wound_id,kind",
    }
    tables, _ = drafted(folder_of(headers, tmp_path))
    assert tables["stays"]["refers_to"] == [{"table": "stays", "column": "previous_stay_id"}]
    assert tables["dressings"]["parent"]["table"] == "stays"
    assert tables["dressings"]["refers_to"] == [{"table": "wounds", "column": "wound_id"}]
    assert all(table["proposed"] for table in tables.values())
    LinkedSchema.model_validate({"tables": tables})


def test_one_table_stays_a_schema_of_one_table_and_cells_are_left_alone(tmp_path):
    folder_of({"stays": "id,ward"}, tmp_path)
    run = CliRunner().invoke(main, ["schema", "init", str(tmp_path)])
    assert "tables" not in yaml.safe_load(run.stdout)
    folder_of({"patients": "id,sex"}, tmp_path)
    refused = CliRunner().invoke(main, ["schema", "init", str(tmp_path), "--observe"])
    assert refused.exit_code == 2
    assert "are not observed at once; name one with --table" in refused.output


def test_what_becomes_of_keys_and_whose_rows_are_referred_to_is_said(tmp_path):
    for spec, sentences in (
        (SHOP, ["Key of lines: client (the parent's), order_no (the parent's), line (numbers the rows of one parent)",
                "Key of accounts: client (a column like others), account (a surrogate)"]),
        (WARD, ["Rows of measurements refer by visit to rows of visits of the same person",
                "Rows of transfers refer by to_person to rows of persons of another person"]),
    ):  # fmt: skip
        (tmp_path / "schema.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        run = CliRunner().invoke(main, ["schema", "check", str(tmp_path / "schema.yaml")])
        assert run.exit_code == 0, run.output
        assert [sentence for sentence in sentences if sentence not in run.output] == []


def test_the_schema_of_the_clinic_is_checked_by_its_command(tmp_path):
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SPEC, sort_keys=False))
    run = CliRunner().invoke(main, ["schema", "check", str(tmp_path / "schema.yaml")])
    assert run.exit_code == 0
    assert "Tables: patients, stays, tests, wards. Rules: 2." in run.output


def test_a_draft_has_a_name_for_the_ledger_and_proposes_that_ends_follow_beginnings(tmp_path):
    place = tmp_path / "clinic"
    place.mkdir()
    folder_of({"patients": "patient_id,born", "stays": "stay_id,patient_id,admitted,discharged,in_use"}, place)
    tables, text = drafted(place)
    assert yaml.safe_load(text)["dataset"] == "clinic"
    assert "    #   - discharged >= admitted\n" in text
    assert "rules" not in tables["stays"]
    assert text.count(" >= ") == 1
