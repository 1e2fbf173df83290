"""The sample tables: made again byte for byte, true to their code books, and not silly."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

from privsynth.schema.definition import Schema

FOLDER = Path(__file__).resolve().parents[2] / "sample_data"
LINKED = ("patients", "stays", "tests", "wards")
NAMES = (
    *("hospital.csv", "hospital.schema.yaml", "transactions.jsonl.gz", "transactions.schema.yaml"),
    *(f"hospital/{name}.csv" for name in LINKED),
    "hospital/schema.yaml",
)
TABLES = ("hospital", "transactions")
SMALL = 0.05


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    """Load simulate.py by its path, as nothing installs it."""
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("sample_data_simulate", FOLDER / "simulate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def schemas() -> dict[str, Schema]:
    return {
        name: Schema.model_validate(yaml.safe_load((FOLDER / f"{name}.schema.yaml").read_text(encoding="utf-8")))
        for name in TABLES
    }


@cache
def texts(name: str) -> pd.DataFrame:
    """Return a shipped table as texts, as a source would deliver it; "" is a missing cell."""
    if name == "hospital":
        return pd.read_csv(FOLDER / "hospital.csv", dtype=str, keep_default_na=False)
    lines = gzip.decompress((FOLDER / "transactions.jsonl.gz").read_bytes()).decode().splitlines()
    return pd.DataFrame([json.loads(line, parse_float=str) for line in lines])


@cache
def clean(name: str) -> pd.DataFrame:
    """Return a shipped table with numbers, times and booleans as such."""
    frame = texts(name).copy()
    if name == "hospital":
        for column in ("age", "creatinine", "crp", "haemoglobin", "medication_count", "length_of_stay"):
            frame[column] = pd.to_numeric(frame[column].where(frame[column] != ""))
        frame["admitted"] = pd.to_datetime(frame["admitted"])
        frame["discharged"] = pd.to_datetime(frame["discharged"])
        frame["readmitted_30d"] = frame["readmitted_30d"] == "true"
        return frame
    frame["amount"] = frame["amount"].astype(float)
    frame["time"] = pd.to_datetime(frame["time"])
    return frame


@pytest.fixture(scope="module")
def hospital() -> pd.DataFrame:
    return clean("hospital")


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    return clean("transactions")


# Made again


def content(name: str, data: bytes) -> bytes:
    """Return the rows of a file: builds of zlib may pack the same rows differently."""
    return gzip.decompress(data) if name.endswith(".gz") else data


def test_the_shipped_files_are_made_again(simulate: ModuleType) -> None:
    again = simulate.build_files()
    assert set(again) == set(NAMES)
    for name in NAMES:
        assert content(name, again[name]) == content(name, (FOLDER / name).read_bytes()), name


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_rows(simulate: ModuleType) -> None:
    first, second, other = (simulate.build_files(seed=seed, scale=SMALL) for seed in (5, 5, 6))
    assert first == second
    for name in ("hospital.csv", "transactions.jsonl.gz", *(f"hospital/{table}.csv" for table in LINKED[:3])):
        assert first[name] != other[name]
    for name in ("hospital.schema.yaml", "transactions.schema.yaml", "hospital/schema.yaml"):
        assert first[name] == other[name], "a code book must not depend on the rows"


def test_the_command_writes_the_files(
    simulate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = simulate.build_files(seed=9, scale=SMALL)
    full = simulate.build_files
    monkeypatch.setattr(simulate, "build_files", lambda *, seed: full(seed=seed, scale=SMALL))
    monkeypatch.setattr(sys, "argv", ["simulate.py", "--out", str(tmp_path / "new" / "folder"), "--seed", "9"])
    simulate.main()
    place = tmp_path / "new" / "folder"
    written = (path for path in place.rglob("*") if path.is_file())
    assert {path.relative_to(place).as_posix(): path.read_bytes() for path in written} == small
    assert "hospital.csv" in capsys.readouterr().out


def test_the_archive_names_neither_a_time_nor_a_file() -> None:
    header = (FOLDER / "transactions.jsonl.gz").read_bytes()[:10]
    assert header[:3] == b"\x1f\x8b\x08"
    assert header[3:8] == bytes(5)


def test_the_files_are_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in NAMES) < 6_000_000
    assert (FOLDER / "hospital.csv").stat().st_size < 3_500_000


# True to the code books


@pytest.mark.parametrize("name", TABLES)
def test_the_schema_names_the_columns_in_order(name: str, schemas: dict[str, Schema]) -> None:
    assert list(schemas[name].columns) == list(texts(name).columns)
    assert schemas[name].dataset == name


@pytest.mark.parametrize("name", TABLES)
def test_every_value_lies_in_its_declared_domain(name: str, schemas: dict[str, Schema]) -> None:
    raw, frame = texts(name), clean(name)
    for column, declared in schemas[name].columns.items():
        assert declared.kind is not None, column
        known = frame[column][raw[column] != ""]
        if not declared.nullable:
            assert len(known) == len(frame), column
        if declared.categories is not None:
            assert set(known) <= set(declared.categories), column
        if declared.minimum is not None:
            assert known.min() >= declared.minimum, column
            assert known.max() <= declared.maximum, column
        if declared.kind == "boolean":
            assert set(known) == {True, False}, column


@pytest.mark.parametrize("name", TABLES)
def test_bounds_are_not_the_smallest_and_largest_value(name: str, schemas: dict[str, Schema]) -> None:
    frame = clean(name)
    for column, declared in schemas[name].columns.items():
        # A smallest age of 0 years and 0 medicines are what the code book says whatever the rows are.
        if declared.minimum is not None and declared.minimum != 0:
            assert frame[column].min() > declared.minimum, column
        if declared.maximum is not None:
            assert frame[column].max() < declared.maximum, column


@pytest.mark.parametrize("name", TABLES)
def test_numbers_lie_on_their_grid(name: str, schemas: dict[str, Schema]) -> None:
    raw = texts(name)
    for column, declared in schemas[name].columns.items():
        if declared.kind == "integer":
            assert raw[column].str.fullmatch(r"\d*").all(), column
        if declared.kind == "numeric":
            decimals = {0.1: 1, 0.01: 2}[declared.precision or 0]
            assert raw[column].str.fullmatch(rf"\d+\.\d{{1,{decimals}}}|").all(), column


def test_code_books_hold_codes_that_do_not_occur(schemas: dict[str, Schema], hospital: pd.DataFrame) -> None:
    unused = {c: set(schemas["hospital"].columns[c].categories or ()) - set(hospital[c]) for c in ("postcode3", "ward")}
    assert len(unused["postcode3"]) >= 20
    assert "burns" in unused["ward"]


@pytest.mark.parametrize("name", TABLES)
def test_the_rules_hold_in_every_row(name: str, schemas: dict[str, Schema]) -> None:
    frame = clean(name)
    rules = schemas[name].parsed_rules()
    assert rules
    for rule in rules:
        assert rule.holds(frame).all(), rule.text


def test_the_length_of_stay_is_derived_and_never_a_tie(hospital: pd.DataFrame) -> None:
    minutes = (hospital["discharged"] - hospital["admitted"]).dt.total_seconds() / 60
    assert (minutes > 0).all()
    assert ((minutes / 1440).round(1) == hospital["length_of_stay"]).all()
    assert not (minutes % 144 == 72).any()


@pytest.mark.parametrize("name", TABLES)
def test_roles_and_units(name: str, schemas: dict[str, Schema]) -> None:
    schema = schemas[name]
    assert schema.with_role("target") == {"hospital": ["readmitted_30d"], "transactions": ["is_fraud"]}[name]
    assert schema.unit in schema.with_role("identifier")
    assert schema.with_role("protected") == {"hospital": ["sex", "ethnicity"], "transactions": ["age_band"]}[name]
    assert all(column.description for column in schema.columns.values())
    assert schema.max_rows_per_unit is not None
    counts = texts(name)[schema.unit].value_counts()
    left_out = (counts - schema.max_rows_per_unit).clip(lower=0).sum() / counts.sum()
    assert left_out == pytest.approx({"hospital": 0.177, "transactions": 1 / 9}[name], rel=0.1)


@pytest.mark.parametrize("name", TABLES)
def test_no_column_is_constant(name: str) -> None:
    assert (texts(name).nunique() > 1).all()


def test_ids_and_postcodes_are_texts() -> None:
    inferred = pd.read_csv(FOLDER / "hospital.csv", usecols=["patient_id"])
    assert inferred["patient_id"].str.fullmatch(r"P\d{7}").all()
    hospital, payments = texts("hospital"), texts("transactions")
    assert hospital["postcode3"].str.fullmatch(r"\d{3}").all()
    assert hospital["postcode3"].str.startswith("0").any()
    assert payments["transaction_id"].is_unique
    assert payments["transaction_id"].str.fullmatch(r"T\d{8}").all()
    assert payments["account"].str.fullmatch(r"A\d{6}").all()


def test_the_readme_names_every_column_and_the_right_counts() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in TABLES:
        frame = texts(name)
        assert f"{len(frame):,}" in text
        for column in frame.columns:
            assert f"`{column}`" in text


# A hospital


def test_patients_and_their_stays(hospital: pd.DataFrame) -> None:
    visits = hospital["patient_id"].value_counts()
    assert len(visits) == 12_000
    assert 19_000 < len(hospital) < 21_000
    assert (visits == 1).mean() > 0.6
    assert 10 <= visits.max() <= 12
    constant = hospital.groupby("patient_id")[["sex", "ethnicity", "postcode3"]].nunique()
    assert (constant == 1).all().all()
    ages = hospital.groupby("patient_id")["age"]
    assert (ages.max() - ages.min() <= 2).all()


def test_nobody_is_in_two_beds_and_readmissions_agree_with_the_dates(hospital: pd.DataFrame) -> None:
    stays = hospital.sort_values(["patient_id", "admitted"])
    gap = stays.groupby("patient_id")["admitted"].shift(-1) - stays["discharged"]
    assert not (gap < pd.Timedelta(0)).any()
    soon = gap <= pd.Timedelta(days=30)
    assert stays.loc[soon, "readmitted_30d"].all()
    without = stays[stays["readmitted_30d"] & ~soon]
    assert (without["discharged"] > "2024-10-01").all(), "the next stay may have ended after the table does"
    ages = stays.groupby("patient_id")["age"]
    assert (ages.diff().dropna() >= 0).all()
    assert (ages.max() - ages.min()).max() <= 2


def test_the_rare_minority_has_its_own_base_rate(hospital: pd.DataFrame) -> None:
    minority = hospital["ethnicity"] == "indigenous"
    patients = hospital.drop_duplicates("patient_id")["ethnicity"] == "indigenous"
    assert 0.005 < patients.mean() < 0.01
    assert hospital.loc[minority, "readmitted_30d"].mean() > 1.5 * hospital.loc[~minority, "readmitted_30d"].mean()


def test_obstetrics_holds_women_of_child_bearing_age_only(hospital: pd.DataFrame) -> None:
    obstetric = hospital["diagnosis"].str.startswith("O") | (hospital["ward"] == "obstetrics")
    assert obstetric.sum() > 1_000
    assert set(hospital.loc[obstetric, "sex"]) == {"F"}
    assert hospital.loc[obstetric, "age"].between(15, 50).all()
    assert set(hospital.loc[hospital["diagnosis"] == "O80", "pregnant"]) == {"yes"}
    births = hospital[hospital["diagnosis"].isin(["O80", "O82"])].sort_values("admitted")
    between = births.groupby("patient_id")["admitted"].diff().dropna()
    assert (between > pd.Timedelta(days=270)).all()


def test_diagnoses_fit_age_and_sex(hospital: pd.DataFrame) -> None:
    wards = hospital.groupby("ward")["age"]
    assert wards.max()["paediatrics"] < 16
    assert wards.min()["geriatrics"] >= 80
    assert set(hospital.loc[hospital["diagnosis"].isin(["C61", "N40"]), "sex"]) == {"M"}
    assert hospital.loc[hospital["diagnosis"] == "Z38", "age"].max() == 0
    failure, others = hospital["diagnosis"] == "I50", hospital["diagnosis"] != "I50"
    for column in ("age", "creatinine", "medication_count"):
        assert hospital.loc[failure, column].median() > 1.2 * hospital.loc[others, column].median(), column
    assert (hospital.loc[hospital["age"] >= 65, "insurance"] == "senior").mean() > 0.85
    assert not (hospital.loc[hospital["age"] < 65, "insurance"] == "senior").any()


def test_diagnoses_have_a_long_tail(hospital: pd.DataFrame) -> None:
    counts = hospital["diagnosis"].value_counts()
    assert len(counts) > 140
    assert counts.iloc[:10].sum() > 0.2 * len(hospital)
    assert (counts < 30).sum() > 20


def test_readmission_depends_on_three_columns_at_a_time(hospital: pd.DataFrame) -> None:
    frail = hospital["diagnosis"].isin(["I50", "I42", "I11", "J44"])
    old, many = hospital["age"] > 65, hospital["medication_count"] >= 8

    def effect(rows: pd.Series) -> float:
        back = hospital["readmitted_30d"]
        return float(back[rows & many].mean() - back[rows & ~many].mean())

    assert effect(frail & old) > 0.2
    for elsewhere in (frail & ~old, ~frail & old, ~frail & ~old):
        assert abs(effect(elsewhere)) < 0.07


def test_the_calendar_has_a_shape(hospital: pd.DataFrame) -> None:
    eyes = hospital[hospital["ward"] == "ophthalmology"]["admitted"].dt
    assert (eyes.day_of_week < 5).mean() > 0.9
    assert (eyes.hour < 14).mean() > 0.9
    stroke = hospital[hospital["diagnosis"] == "I63"]["admitted"].dt
    assert (stroke.day_of_week >= 5).mean() > 0.2
    assert stroke.hour.nunique() > 20
    assert hospital["discharged"].dt.hour.between(9, 18).mean() > 0.9
    airways = hospital[hospital["diagnosis"].isin(["J10", "J12", "J18", "J21", "U07"])]["admitted"].dt.month
    assert airways.isin([12, 1, 2]).sum() > 2.5 * airways.isin([6, 7, 8]).sum()


def test_laboratory_values(hospital: pd.DataFrame) -> None:
    missing = hospital[["creatinine", "crp", "haemoglobin"]].isna().mean()
    assert 0.1 < missing["haemoglobin"] < 0.25
    assert 0.1 < missing["creatinine"] < missing["crp"] < 0.45
    for column in ("creatinine", "crp"):
        assert hospital[column].quantile(0.999) > 5 * hospital[column].median(), column
    assert (hospital["crp"] == 0.5).sum() > 200
    adults = hospital[hospital["age"].between(18, 60)].groupby("sex")["haemoglobin"].median()
    assert adults["M"] > adults["F"] + 8


def test_notes_are_short_and_name_nobody(hospital: pd.DataFrame) -> None:
    notes = hospital["note"]
    assert 0.1 < (notes == "").mean() < 0.2
    assert notes.str.len().max() < 100
    assert not notes.str.contains(r"\b(?:Mr|Mrs|Ms|Dr)\b|\d{3}|@").any()


# A bank


def test_accounts_and_payments(payments: pd.DataFrame) -> None:
    assert len(payments) == 50_000
    assert payments["account"].nunique() == 4_000
    assert payments["is_fraud"].sum() == 200
    assert payments["is_fraud"].mean() == pytest.approx(0.004)
    assert (payments.groupby("account")["age_band"].nunique() == 1).all()
    assert payments["time"].is_monotonic_increasing


def test_amounts_have_atoms_and_a_heavy_tail(payments: pd.DataFrame) -> None:
    counts = payments["amount"].value_counts()
    for atom in (9.99, 50.0, 100.0):
        assert counts[atom] > 300, atom
    assert payments["amount"].quantile(0.999) > 20 * payments["amount"].median()


def test_columns_of_a_payment_agree(payments: pd.DataFrame) -> None:
    assert (payments["card_present"] == (payments["channel"] != "online")).all()
    assert (payments["merchant"].str.rpartition("_")[0] == payments["merchant_category"]).all()
    assert (payments.groupby("country")["currency"].nunique() == 1).all()
    for column, least in (("merchant", 280), ("country", 38), ("merchant_category", 20)):
        counts = payments[column].value_counts()
        assert len(counts) >= least, column
        assert counts.iloc[0] > 10 * counts.median() or column == "merchant_category", column


def test_hours_depend_on_what_is_bought(payments: pd.DataFrame) -> None:
    night = payments["time"].dt.hour < 5
    share = night.groupby(payments["merchant_category"]).mean()
    assert share["groceries"] < 0.02
    assert share["subscriptions"] > 0.3
    online = (payments["channel"] == "online").groupby(payments["age_band"]).mean()
    assert online["18-25"] > 1.5 * online["76+"]


def test_fraud_depends_on_four_columns_at_a_time(payments: pd.DataFrame) -> None:
    shop = payments[payments["card_present"] & ~payments["is_fraud"]]
    home = shop.groupby("account")["country"].agg(lambda countries: countries.mode().iloc[0])
    sides = {
        "foreign": payments["country"] != payments["account"].map(home).fillna("DE"),
        "night": payments["time"].dt.hour < 5,
        "large": payments["amount"] >= 150,
        "online": payments["channel"] == "online",
    }
    every = np.logical_and.reduce(list(sides.values()))
    assert every.sum() > 80
    in_all, elsewhere = payments["is_fraud"][every].mean(), payments["is_fraud"][~every].mean()
    assert 0.3 < in_all < 0.8
    assert elsewhere < 0.004
    for name, side in sides.items():
        assert payments["is_fraud"][side].mean() < 0.05, f"{name} alone gives a fraud away"


def test_small_tables_are_of_the_same_kind(simulate: ModuleType) -> None:
    files = simulate.build_files(seed=1, scale=SMALL)
    hospital = pd.read_csv(io.BytesIO(files["hospital.csv"]), dtype={"postcode3": str})
    assert hospital["patient_id"].nunique() == 600
    rows = [json.loads(line) for line in gzip.decompress(files["transactions.jsonl.gz"]).splitlines()]
    assert len(rows) == 2_500
    assert sum(row["is_fraud"] for row in rows) == 10
