"""Codes that look like digits stay codes: no row of a release holds a code that no row of the table has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, run, write
from pipeline.encounters import encounters

from privsynth.codecs.column_facts import Hints, decide
from privsynth.codecs.parse import CODE, N_VOTES, NUMBER, TEXT
from privsynth.schema.code_names import names_codes


def released(tmp_path, frame: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    source = write(tmp_path, "t.csv", frame.to_csv(index=False))
    out = tmp_path / "out"
    made = run("synthesize", source, "--unit", "row", "--epsilon", epsilon, "--seed", 3, "--out", out, *FAST)
    assert made.exit_code in RELEASED, made.output
    return pd.read_parquet(out / "public" / "data.parquet")


@pytest.mark.parametrize("columns", [{}, {"diag_1": "first", "diag_2": "second"}])
def test_no_diagnosis_is_invented(tmp_path, columns):
    """By the name of the column, and, where that says nothing, by the V and E codes among the votes."""
    real = encounters().rename(columns=columns)
    made = released(tmp_path, real, 8)
    for name in (columns.get("diag_1", "diag_1"), columns.get("diag_2", "diag_2")):
        assert 0.97 < real[name].str[0].str.isdigit().mean() < 0.99
        known = made[name].dropna().astype(str)
        assert not set(known) - set(real[name]) - {"OTHER"}
        assert known.nunique() > 50
        assert known.str[0].isin(["V", "E"]).any()


def test_what_is_counted_beside_them_stays_a_number(tmp_path):
    made = released(tmp_path, encounters(5_000), 8)
    for name in ("time_in_hospital", "number_diagnoses"):
        assert pd.api.types.is_numeric_dtype(made[name]), name


def votes(**cast: int) -> np.ndarray:
    found = np.zeros(N_VOTES)
    for sort, n in cast.items():
        found[{"number": NUMBER, "code": CODE, "text": TEXT}[sort]] = n
    return found


@pytest.mark.parametrize(
    ("cast", "codes", "kind"),
    [
        ({"number": 9_800, "code": 200}, False, "categorical"),
        ({"number": 9_990, "code": 10}, False, "integer"),  # typing errors
        ({"number": 9_800, "text": 200}, False, "integer"),  # remarks such as <5 or n/k
        ({"number": 10_000}, False, "integer"),
        ({"number": 10_000}, True, "categorical"),
        ({"code": 10_000}, False, "categorical"),
    ],
)
def test_votes_and_names_tell_codes(cast, codes, kind):
    """Under noise of 20 rows: a sort of votes is taken for significant by chance with probability 3e-6."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        noisy = votes(**cast) + rng.normal(0, 20, N_VOTES)
        assert decide(noisy, 20.0, Hints(codes=codes)).kind == kind


def test_what_a_type_leaves_open_is_never_taken_for_texts():
    """Where noise hides every vote: a column of whole numbers, of numbers or of times is still one."""
    rng = np.random.default_rng(2)
    kinds = {"integer": {"integer"}, "number": {"numeric"}, "time": {"datetime"}}
    for family, possible in kinds.items():
        found = {decide(rng.normal(0, 500, N_VOTES), 500.0, Hints(family=family)).kind for _ in range(100)}
        assert found == possible
    assert decide(np.zeros(N_VOTES), 500.0, Hints(family="integer", codes=True)).kind == "categorical"


@pytest.mark.parametrize(
    "name",
    ["diag_1", "Diag2", "icd9_code", "ICD10", "zipCode", "zip", "PLZ", "admission_type_id", "condition_concept_id",
     "mcc", "cost_center_id", "procedure", "atc_code"],
)  # fmt: skip
def test_names_that_say_code(name):
    assert names_codes(name)


@pytest.mark.parametrize(
    "name",
    ["number_diagnoses", "num_procedures", "age", "time_in_hospital", "code_length", "diagnosis_year", "income",
     "number_of_codes", "amount", "width", "valid", "distance", "ICU days", "1", ""],
)  # fmt: skip
def test_names_that_do_not(name):
    assert not names_codes(name)
