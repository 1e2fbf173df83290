"""`schema init` proposes hierarchies by the names of columns alone; a person confirms them."""

from __future__ import annotations

import pytest
import yaml

from privsynth.hierarchies import SHIPPED
from privsynth.hierarchies.proposals import proposed
from privsynth.pipeline.suggest_schema import draft_schema
from privsynth.schema.files import load_schema


@pytest.mark.parametrize(
    ("name", "hierarchy"),
    [
        ("diagnosis", "icd10"), ("diag_1", "icd10"), ("ICD_10", "icd10"), ("Hauptdiagnose", "icd10"), ("dx2", "icd10"),
        ("código CIE10", "icd10"), ("icd9_code", "icd9cm"), ("primaryIcd9", "icd9cm"), ("ATC_code", "atc"),
        ("mcc", "mcc"), ("merchant_category_code", "mcc"), ("nace_rev2", "nace"), ("Branche", "nace"),
        ("country", "iso3166"), ("countryOfBirth", "iso3166"), ("Herkunftsland", "iso3166"), ("pays", "iso3166"),
        ("diagnosis_date", None), ("country_name", None), ("n_diagnoses", None), ("landing", None), ("discount", None),
        ("merchant_category", None), ("age", None), ("", None),
    ],
)  # fmt: skip
def test_a_name_suggests_a_hierarchy(name, hierarchy):
    found = proposed(name)
    assert (found and found[0]) == hierarchy
    assert hierarchy is None or hierarchy in SHIPPED


@pytest.mark.parametrize("observe", [False, True])
def test_proposals_are_comments_that_no_row_has_a_part_in(tmp_path, observe):
    texts = []
    for cells in ("I21,DE,3", "250.83,276,x y"):
        path = tmp_path / "t.csv"
        path.write_text(f"diag_1,country,age\n{cells}\n", encoding="utf-8")
        text = draft_schema(str(path), {}, observe=observe)
        texts.append([line for line in text.splitlines() if "hierarchy: " in line and "(if it holds" in line])
        assert all(column.get("hierarchy") is None for column in yaml.safe_load(text)["columns"].values())
        (tmp_path / "schema.yaml").write_text(text, encoding="utf-8")
        load_schema(tmp_path / "schema.yaml")
        lines = text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("  diag_1:"))
        assert lines[at - 1] == "  # hierarchy: icd10    (if it holds ICD-10, or icd9cm for ICD-9-CM)"
    assert len(texts[0]) == 2
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mrn", "id"), ("first_name", "first_name"), ("patient_name", "name"), ("e_mail", "email"), ("fax", "phone"),
     ("ssn", "national_id"), ("card_number", "id"), ("photo", "text"), ("dob", None), ("zip", None), ("age", None)],
)  # fmt: skip
def test_a_name_suggests_a_kind_that_leaves_identifiers_out(name, kind, tmp_path):
    texts = []
    for cells in ("x", "078-05-1120"):
        path = tmp_path / "t.csv"
        path.write_text(f"{name},ward\n{cells},y\n", encoding="utf-8")
        texts.append(draft_schema(str(path), {}, observe=False))
        assert yaml.safe_load(texts[-1])["columns"] == {name: {}, "ward": {}}  # nothing is declared by it
    assert texts[0] == texts[1]
    lines = [line for line in texts[0].splitlines() if line.startswith("  # kind: ")]
    assert [line.split()[2] for line in lines] == ([] if kind is None else [kind])
