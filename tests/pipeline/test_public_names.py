"""What a release would publish of the header, and of metadata that somebody detected from the rows."""

from __future__ import annotations

import pandas as pd
import pytest
from pipeline.admissions import FAST, run, spent, write

import privsynth
from privsynth.errors import SchemaError
from privsynth.pipeline.reading.public_names import looks_like_a_value

VALUES = (
    "anna.meier@x.org", "37", "-1.5", "1.234,56", "€ 12.30", "12 %", "1e5", "2024-02-29", "29.02.2024", "2/29/24",
    "01-Jan-2024", "2024-02-29T10:00:00", "12:30", "078-05-1120", "+49 30 1234567", "https://x.org/a", "10.0.0.1",
    "DE89370400440532013000", "4111 1111 1111 1111", "123e4567-e89b-12d3-a456-426614174000",
)  # fmt: skip
NAMES = (
    "age", "ICD-9", "diag_1", "Q1 2024", "2h glucose", "24h", "BMI (kg/m²)", "x1", "admission date", "e-mail", "%",
    "a.b",
    "0-17", "T1.2", "p_value", "ΔT", "1st", "SF-36", "covid19", "A1c",
)  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_what_looks_like_a_value(name):
    assert looks_like_a_value(name)
    assert looks_like_a_value(f" {name} ")


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_like_a_name(name):
    assert not looks_like_a_value(name)


def test_a_forgotten_header_publishes_nobody(tmp_path):
    source = write(tmp_path, "t.csv", "anna.meier@x.org,F,37\n" + "ben@x.org,M,41\n" * 30)
    args = (source, "--unit", "row", "--epsilon", 1)
    for made in (
        run("synthesize", *args, "--out", tmp_path / "out", *FAST),
        run("plan", *args),
        run("schema", "init", source),
    ):
        assert made.exit_code == 2
        assert "columns 1, 3 of" in made.stderr
        assert "--header-is-public" in made.stderr
        assert "anna" not in made.output
    assert not (tmp_path / "out").exists()
    assert spent() == {}


def test_names_that_a_person_answers_for_are_taken(tmp_path):
    source = write(tmp_path, "t.csv", "2023,2024\n1,2\n")
    args = (source, "--unit", "row", "--epsilon", 1)
    assert run("plan", *args).exit_code == 2
    assert run("plan", *args, "--header-is-public").exit_code == 0
    assert run("plan", *args, "--columns", "2023,2024").exit_code == 0
    assert run("schema", "init", source, "--header-is-public").exit_code == 0
    frame = pd.DataFrame({2023: [1], 2024: [2]})
    with pytest.raises(SchemaError, match="header_is_public=True"):
        privsynth.plan(frame, unit="row", epsilon=1, dataset="t")
    assert privsynth.plan(frame, unit="row", epsilon=1, dataset="t", header_is_public=True).dataset == "t"


def test_sdv_metadata_is_refused_until_somebody_says_that_it_came_from_a_code_book(tmp_path):
    source = write(tmp_path, "t.csv", "lab\n7.5\n")
    schema = tmp_path / "metadata.json"
    schema.write_text('{"METADATA_SPEC_VERSION": "V1", "columns": {"lab": {"sdtype": "categorical"}}}')
    args = (source, "--schema", schema, "--unit", "row", "--epsilon", 1)
    for made in (run("synthesize", *args, "--out", tmp_path / "out", *FAST), run("plan", *args)):
        assert made.exit_code == 2
        assert "--sdv-is-declared" in made.stderr
    assert not (tmp_path / "out").exists()
    assert run("plan", *args, "--sdv-is-declared").exit_code == 0
