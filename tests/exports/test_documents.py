"""README.txt, the data dictionary and the cards: what they say, and that no name becomes markup."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from exports.conftest import COLUMNS, WRITTEN, flat, hostile, linked, public
from markdown_it import MarkdownIt

from privsynth.exports.dictionary import HEADER
from privsynth.exports.documents import DOCUMENTS, documents
from privsynth.exports.facts import ReleaseFacts


def dictionary(facts: ReleaseFacts) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(documents(facts)["data-dictionary.csv"], newline="")))


def test_every_document_is_made_of_the_same_facts_alone(facts):
    texts = documents(facts)
    assert texts.keys() == DOCUMENTS.keys()
    assert texts == documents(facts)
    assert all(text.endswith("\n") for text in texts.values())


def test_the_officer_s_report_makes_no_document():
    with pytest.raises(ValueError, match="public report alone"):
        ReleaseFacts(report=replace(public(), kind="officer"), data=())


def test_the_readme_has_the_promise_and_opens_the_file(tmp_path, monkeypatch):
    text = " ".join(documents(flat())["README.txt"].split())
    assert "(1.5, 1e-06)-differentially private for each patient (at most 2 rows of each are used)" in text
    assert "1,000 synthetic rows, 8 columns" in text
    assert "privsynth verify FOLDER --keyring keyring.json --kind public" in text
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("postcode;age\n088;3\n", encoding="utf-8")
    (line,) = re.findall(r"pd\.read_csv\(.*?\}\)", documents(flat())["README.txt"])
    rows = eval(line, {"pd": pd})  # noqa: S307 - as a reader would paste it
    assert rows["postcode"].tolist() == ["088"]
    assert rows["age"].tolist() == [3]


def test_the_readme_of_linked_tables_opens_each(tmp_path):
    text = documents(linked())["README.txt"]
    for name in ("patients", "stays", "wards"):
        assert f"{name} = pd.read_parquet('data/{name}.parquet')" in text
    assert "a reference table, public and unchanged: 2 rows, 2 columns" in text
    assert "1,000 synthetic rows in 2 tables" in text
    promised = "apart from the public reference table wards, passed through unchanged, is (1.5, 1e-06)"
    assert promised in " ".join(text.split())
    assert promised in documents(linked())["cards/data-card.html"]
    assert "apart from" not in documents(flat())["README.txt"]


def test_the_readme_s_lines_fit_a_terminal(facts):
    long = [line for line in documents(facts)["README.txt"].splitlines() if len(line) > 80]
    assert all("pd.read_" in line or "<script>" in line for line in long), long


def test_the_dictionary_has_every_column_in_the_order_of_the_file():
    rows = dictionary(flat())
    assert [row["column"] for row in rows] == [*WRITTEN, "letter"]
    by_name = {row["column"]: row for row in rows}
    assert list(rows[0]) == list(HEADER)
    assert by_name["age"] == {
        "table": "",
        "column": "age",
        "description": "Completed years, at admission",
        "type": "integer",
        "unit": "years",
        "values": "0 to 120",
        "known_how": "declared by a person",
        "missing_allowed": "yes",
        "roles": "",
        "hierarchy": "",
        "treatment": "modelled",
        "in_files": "yes",
    }
    assert by_name["sex"]["values"] == "3 categories: F; M"
    assert by_name["sex"]["known_how"] == "bought with the privacy budget"
    assert by_name["sex"]["roles"] == "protected, quasi identifier"
    assert by_name["patient_id"]["missing_allowed"] == "no"
    assert by_name["patient_id"]["known_how"] == "declared by a person"
    assert by_name["died"]["known_how"] == "stated by the types of the source"
    assert by_name["postcode"]["values"].endswith("(texts of digits: read them as text)")
    assert by_name["ward"]["hierarchy"] == "wards: floor > wing"
    assert by_name["letter"]["in_files"] == "no"
    assert by_name["letter"]["treatment"] == "dropped: free text"


def test_the_dictionary_of_linked_tables_names_the_table():
    rows = dictionary(linked())
    assert [(row["table"], row["column"]) for row in rows] == [
        *(("patients", record.name) for record in COLUMNS[:4]),
        *(("stays", record.name) for record in COLUMNS[4:-1]),
        ("wards", "ward"),
        ("wards", "floor"),
        ("stays", "letter"),
    ]
    assert rows[-2]["treatment"] == "a reference table: public, passed through unchanged"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_dictionary_is_a_formula_in_a_spreadsheet(begin):
    odd = f"{begin}1+HYPERLINK"
    facts = ReleaseFacts(
        report=public(columns=(replace(COLUMNS[3], name=odd, note=odd, unit=odd, hierarchy=odd, treatment=odd),)),
        data=(replace(flat().data[0], columns=(odd,), table=""),),
    )
    (row,) = dictionary(facts)
    assert [name for name, cell in row.items() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert row["column"] == row["description"] == f"'{odd}"
    assert row["values"] == "3 categories: F; M"  # which begins with nothing of the kind, and stays


def test_a_column_named_like_a_table_stays_where_it_is():
    columns = (replace(COLUMNS[3], name="a: b: c"), replace(COLUMNS[3], name="a: d"))
    tables = (replace(linked().report.tables[0], name="a"), replace(linked().report.tables[0], name="a: b"))
    facts = ReleaseFacts(report=public(columns=columns, tables=tables), data=())
    assert [(entry.table, entry.name) for entry in facts.entries] == [("a: b", "c"), ("a", "d")]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.endswith(".md")])
def test_markdown_has_no_markup_from_names(path):
    parsed = MarkdownIt("commonmark", {"html": True}).enable("table").parse(documents(hostile())[path])
    inline = [child for token in parsed for child in token.children or ()]
    assert {token.type for token in inline} == {"text"}
    assert not [token for token in parsed if token.type == "html_block"]
    assert len([token for token in parsed if token.tag == "h1" and token.nesting == 1]) == 1


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not {"src", "href", "onload"} & {name for name, _ in attrs}


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.endswith(".html")])
def test_pages_have_neither_scripts_nor_requests(path, facts):
    page, text = _Page(), documents(facts)[path]
    page.feed(text)
    assert "script" not in page.tags
    assert page.tags.count("h1") == 1
    assert "\x1b" not in text
    assert "default-src 'none'" in text


def test_the_cards_say_what_is_promised_measured_and_open():
    texts = documents(flat())
    model, data = texts["cards/model-card.md"], texts["cards/data-card.md"]
    assert "How many rows there are." in model
    assert "Out of scope" in model
    assert "single columns: 0.020 (95 % interval 0.010 to 0.030" in model
    assert "has about 1,003 rows (a noisy or a declared number)" in data
    assert "died = yes =\\> age \\> 0" in data
    assert (
        "| age | integer, years | 0 to 120 | declared by a person | possible | Completed years, at admission |" in data
    )
    assert "Timing and other side channels" in data
