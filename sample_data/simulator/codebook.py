"""The code books of all tables, written as schemas.

Everything here is known without looking at a row: what a form allows, what a laboratory can measure, which codes
exist. No bound is the smallest or the largest value of the simulated data.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from simulator import bedside, diagnoses, linked, merchants, patients

HOSPITAL_ROWS_PER_PATIENT = 2
TRANSACTIONS_PER_ACCOUNT = 20
DAYS_OF_YEAR = 365.25  # of the Julian calendar


@dataclass(frozen=True)
class Column:
    """What the code book says of a column; the fields are those of a schema."""

    description: str
    kind: str
    unit: str | None = None
    roles: Sequence[str] = ()
    nullable: bool = False
    minimum: float | str | None = None
    maximum: float | str | None = None
    precision: float | None = None
    endings: Sequence[str] | None = None
    categories: Sequence[str] | None = None
    follows: tuple[str, Mapping[str, Sequence[str]]] | None = None
    hierarchy: str | Mapping[str, Mapping[str, Sequence[str]]] | None = None
    constant_within_unit: bool | None = None


HOSPITAL = {
    "patient_id": Column("Number of the patient, the same at every admission", "id", roles=["identifier"]),
    "admitted": Column(
        *("Time of admission", "datetime"),
        minimum="2023-01-01T00:00:00",
        maximum="2024-12-31T23:59:00",
        precision=60,
    ),
    "discharged": Column(
        *("Time of discharge; the extract holds completed stays only", "datetime"),
        minimum="2023-01-01T00:00:00",
        maximum="2024-12-31T23:59:00",
        precision=60,
    ),
    "age": Column(
        *("Completed years at admission; two apart at most in the stays of a patient", "integer", "years"),
        roles=["quasi_identifier"],
        minimum=0,
        maximum=115,
        constant_within_unit=True,  # nearly
    ),
    "sex": Column(
        *("Sex", "categorical", None, ["quasi_identifier", "protected"]),
        categories=["F", "M"],
        constant_within_unit=True,
    ),
    "ethnicity": Column(
        "Ethnic group as stated by the patient",
        "categorical",
        roles=["protected"],
        categories=patients.ETHNICITIES,
        constant_within_unit=True,
    ),
    "insurance": Column("Who pays", "categorical", categories=patients.INSURANCES),
    "postcode3": Column(
        "First three digits of the home postcode; text, leading zeros count",
        "categorical",
        roles=["quasi_identifier"],
        categories=patients.POSTCODES,
        constant_within_unit=True,
    ),
    "diagnosis": Column(
        "Main diagnosis, ICD-10, three characters",
        "categorical",
        roles=["sensitive"],
        categories=diagnoses.CODES,
        hierarchy="icd10",
    ),
    "ward": Column("Ward where most of the stay was spent", "categorical", categories=bedside.WARDS),
    "creatinine": Column(
        *("Serum creatinine, first value of the stay", "integer", "µmol/L"),
        nullable=True,
        minimum=5,
        maximum=2000,
    ),
    "crp": Column(
        *("C-reactive protein, first value of the stay; 0.5 stands for below detection", "numeric", "mg/L"),
        nullable=True,
        minimum=0,
        maximum=600,
        precision=0.1,
    ),
    "haemoglobin": Column(
        *("Haemoglobin, first value of the stay", "integer", "g/L"), nullable=True, minimum=20, maximum=250
    ),
    "medication_count": Column(
        "Medicines on the chart at admission", "integer", unit="medicines", minimum=0, maximum=40
    ),
    "length_of_stay": Column(
        "Time from admission to discharge", "numeric", unit="days", minimum=0, maximum=365, precision=0.1
    ),
    "pregnant": Column("Pregnant at admission", "categorical", categories=["no", "yes"]),
    "readmitted_30d": Column("Admitted again within 30 days of discharge", "boolean", roles=["target"]),
    "note": Column("Ward note; free text, which is dropped from every release", "text", nullable=True),
}
HOSPITAL_RULES = (
    "discharged >= admitted",
    "length_of_stay = discharged - admitted",
    "pregnant = yes => sex = F",
    "pregnant = yes => age >= 12",
    # What the classification and the wards' rules of admission say of sex and age.
    "diagnosis in chapter O => sex = F and age >= 12",
    "diagnosis in block C51-C58 => sex = F",
    "diagnosis in block N80-N98 => sex = F",
    "diagnosis in (C61, N40) => sex = M",
    "diagnosis in chapter P00-P96 => age < 1",
    "diagnosis = Z38 => age < 1",
    "ward = neonatal => age < 1",
    "ward = paediatrics => age < 18",
    "ward in (obstetrics, gynaecology) => sex = F",
    "ward = geriatrics => age >= 65",
    "insurance = senior => age >= 65",
)


# The trades of the bank's own book, in the sectors of its reports.
SECTORS = {
    "sector": {
        "daily": ["groceries", "pharmacy", "fuel", "public_transport", "restaurants"],
        "goods": ["clothing", "electronics", "home_and_garden", "jewellery", "online_retail"],
        "leisure": ["entertainment", "gaming", "hotels", "travel"],
        "bills": ["utilities", "subscriptions", "health", "charity"],
        "money": ["cash", "money_transfer"],
    }
}


def _book(says: Mapping[str, str]) -> dict[str, list[str]]:
    """Return value -> the values of another column that say it, from the value that each of them says."""
    found: dict[str, list[str]] = {}
    for value, said in says.items():
        found.setdefault(said, []).append(value)
    return found


TRANSACTIONS = {
    "transaction_id": Column("Number of the transaction", "id", roles=["identifier"]),
    "account": Column("Number of the account", "id", roles=["identifier"]),
    "time": Column(
        *("Local time of the payment", "datetime"),
        minimum="2024-01-01T00:00:00",
        maximum="2024-06-30T23:59:59",
        precision=1,
    ),
    "amount": Column(
        *("Amount billed to the account", "numeric", "EUR", ["sensitive"]),
        minimum=0.01,
        maximum=15000,
        precision=0.01,
        endings=["00.00", "0.00", "5.00", ".00", ".50", ".90", ".95", ".99"],
    ),
    "currency": Column(
        "Currency in which the merchant asked for it: that of the country",
        "categorical",
        follows=("country", _book(dict(zip(merchants.COUNTRY_CODES, merchants.CURRENCY_OF.tolist(), strict=True)))),
    ),
    "merchant_category": Column(
        "What the merchant sells",
        "categorical",
        roles=["sensitive"],
        follows=("merchant", _book({name: name.rpartition("_")[0] for name in merchants.MERCHANT_NAMES})),
        hierarchy=SECTORS,
    ),
    "merchant": Column("Merchant, by category and size", "categorical", categories=merchants.MERCHANT_NAMES),
    "country": Column(
        "Country of the merchant or cash machine, ISO 3166",
        "categorical",
        roles=["quasi_identifier"],
        categories=merchants.COUNTRY_CODES,
        hierarchy="iso3166",
    ),
    "channel": Column("How the card was used", "categorical", categories=merchants.CHANNELS),
    "card_present": Column(
        "Whether the card was at the till; false for every online payment",
        "boolean",
        follows=("channel", _book({name: str(name != "online").lower() for name in merchants.CHANNELS})),
    ),
    "age_band": Column(
        "Age of the account holder",
        "categorical",
        unit="years",
        roles=["protected", "quasi_identifier"],
        categories=merchants.AGE_BANDS,
        constant_within_unit=True,
    ),
    "is_fraud": Column("Confirmed fraud", "boolean", roles=["target"]),
}
TRANSACTIONS_RULES = (
    "channel = atm => merchant_category = cash",
    "merchant_category = cash => channel = atm",
    "merchant_category = subscriptions => channel = online",
    # A machine gives out notes; abroad the amount was converted.
    "channel = atm and currency = EUR => amount % 10 = 0",
)

HOSPITAL_HEADER = f"""\
# Code book of hospital.csv: admissions to an invented hospital, one row a stay.
#
# A schema says what is known without looking at the data: the codes that exist, and the bounds that a form or a
# laboratory sets. Declaring it costs no privacy budget. The unit of privacy is the patient: at most
# {HOSPITAL_ROWS_PER_PATIENT} stays of a patient are used, which leaves out about one stay in six; with 3 it would be
# one in twelve, for half as much noise again.
#
# Written by simulate.py from simulator/codebook.py: change it there.

"""
TRANSACTIONS_HEADER = f"""\
# Code book of transactions.jsonl.gz: card payments of an invented bank, one row a payment.
#
# The unit of privacy is the account: at most {TRANSACTIONS_PER_ACCOUNT} payments of an account are used, which
# leaves out about one payment in nine.
#
# Written by simulate.py from simulator/codebook.py: change it there.

"""


# Ages at a stay, in whole days: years of 365.25 days, rounded so that nobody of that age is left out.
AGE = "admitted - `parent.born`"


def at_least(years: int) -> str:
    """Return the condition that a patient is so old at admission."""
    return f"{AGE} >= {math.floor(years * DAYS_OF_YEAR)}"


def below(years: int) -> str:
    """Return the condition that a patient is younger at admission."""
    return f"{AGE} < {math.ceil(years * DAYS_OF_YEAR)}"


LINKED_HEADER = """\
# Code book of the tables in this folder: an invented hospital, as its database has it.
#
# A person is a row of `patients`, with all stays and tests that lead to it by their keys. The budget of a release
# covers all of that at once. `wards` is public: it passes through as it is.
#
# Written by simulate.py from simulator/codebook.py: change it there.

"""
# Table -> its keys, its columns and its rules.
LINKED: Mapping[str, tuple[Mapping[str, str], Mapping[str, Column], Sequence[str]]] = {
    "patients": (
        {"key": "patient_id"},
        {
            "patient_id": Column("Number of the patient", "id", roles=["identifier"]),
            "born": Column("Date of birth", "date", minimum="1905-01-01", maximum="2024-12-31"),
            **{name: replace(HOSPITAL[name], constant_within_unit=None) for name in ("sex", "ethnicity", "postcode3")},
        },
        (),
    ),
    "stays": (
        {"key": "stay_id", "parent": "{table: patients, column: patient_id}", "order": "admitted", "max_children": "8"},
        {
            "stay_id": Column("Number of the stay", "id", roles=["identifier"]),
            "patient_id": HOSPITAL["patient_id"],
            **{
                name: HOSPITAL[name]
                for name in ("admitted", "discharged", "insurance", "diagnosis", "ward", "medication_count")
            },
        },
        (
            "discharged >= admitted",
            "admitted >= `parent.born`",
            "admitted >= `previous.discharged`",
            # What the classification and the wards' rules of admission say of sex and age.
            f"diagnosis in chapter O => `parent.sex` = F and {at_least(12)} and {below(56)}",
            "diagnosis in block C51-C58 => `parent.sex` = F",
            "diagnosis in block N80-N98 => `parent.sex` = F",
            "diagnosis in (C61, N40) => `parent.sex` = M",
            f"diagnosis in chapter P00-P96 => {below(1)}",
            f"diagnosis = Z38 => {below(1)}",
            f"ward = neonatal => {below(1)}",
            f"ward = paediatrics => {below(18)}",
            "ward in (obstetrics, gynaecology) => `parent.sex` = F",
            f"ward = obstetrics => {at_least(12)} and {below(56)}",
            f"ward = geriatrics => {at_least(65)}",
            # From the year in which one turns 65.
            f"insurance = senior => {at_least(64)}",
        ),
    ),
    "tests": (
        {"parent": "{table: stays, column: stay_id}", "order": "hour", "max_children": "40"},
        {
            "stay_id": Column("Number of the stay", "id", roles=["identifier"]),
            "hour": Column("Whole hours from admission to the taking of blood", "integer", minimum=0, maximum=8760),
            "test": Column("What was measured", "categorical", categories=linked.TESTS),
            "value": Column(
                "In µmol/L (creatinine), mg/L (crp) or g/L (haemoglobin)",
                *("numeric", None),
                minimum=0,
                maximum=2000,
                precision=0.1,
            ),
        },
        (),
    ),
    "wards": ({"reference": "true", "key": "ward"}, {}, ()),
}


def hospital_schema() -> str:
    """Return hospital.schema.yaml."""
    head: dict[str, str | int] = {
        "dataset": "hospital",
        "unit": "patient_id",
        "unit_noun": "patient",
        "rows_noun": "stays",
        "max_rows_per_unit": HOSPITAL_ROWS_PER_PATIENT,
    }
    return HOSPITAL_HEADER + _schema(head, HOSPITAL, HOSPITAL_RULES)


def linked_schema() -> str:
    """Return hospital/schema.yaml."""
    lines = ["dataset: hospital_tables", "unit_noun: patient", "", "tables:"]
    for name, (keys, columns, rules) in LINKED.items():
        lines.append(f"  {name}:")
        lines += [f"    {key}: {value}" for key, value in keys.items()]
        if columns:
            lines += textwrap.indent("\n".join(_columns(columns)), "    ").splitlines()
        if rules:
            lines += ["    rules:", *(f"      - {rule}" for rule in rules)]
    return LINKED_HEADER + "\n".join(lines) + "\n"


def transactions_schema() -> str:
    """Return transactions.schema.yaml."""
    head: dict[str, str | int] = {
        "dataset": "transactions",
        "unit": "account",
        "rows_noun": "payments",
        "max_rows_per_unit": TRANSACTIONS_PER_ACCOUNT,
    }
    return TRANSACTIONS_HEADER + _schema(head, TRANSACTIONS, TRANSACTIONS_RULES)


def _schema(head: Mapping[str, str | int], columns: Mapping[str, Column], rules: Sequence[str]) -> str:
    lines = [f"{key}: {value}" for key, value in head.items()]
    lines += ["", *_columns(columns)]
    lines += ["", "rules:", *(f"  - {rule}" for rule in rules)]
    return "\n".join(lines) + "\n"


def _columns(columns: Mapping[str, Column]) -> list[str]:
    lines = ["columns:"]
    for name, column in columns.items():
        lines.append(f"  {name}:")
        for field in fields(Column):
            value = getattr(column, field.name)
            if field.name == "follows" and value is not None:
                source, book = value
                lines += ["    follows:", f"      column: {source}", "      values:"]
                lines += [line for said, values in book.items() for line in _listed(f"{_quoted(said)}:", values, 8)]
            elif field.name == "hierarchy" and isinstance(value, Mapping):
                lines += ["    hierarchy:", "      levels:"]
                for level, groups in value.items():
                    lines += [f"        {level}:"]
                    lines += [line for group, codes in groups.items() for line in _listed(f"{group}:", codes, 10)]
            elif value is not None and value != ():
                lines += _entry(field.name, value)
    return lines


def _entry(key: str, value: str | float | Sequence[str]) -> list[str]:
    """Return the lines of one field. Every category is quoted: to YAML, no and NO are false and 012 is ten."""
    if isinstance(value, bool):
        return [f"    {key}: {str(value).lower()}"]
    if isinstance(value, int | float):
        return [f"    {key}: {value}"]
    if isinstance(value, str):
        return [f"    {key}: {value if key in ('kind', 'hierarchy') else _quoted(value)}"]
    if key == "roles":
        return [f"    {key}: [{', '.join(value)}]"]
    return [f"    {key}:", *_listed("", value, 6)]


def _listed(head: str, values: Sequence[str], indent: int) -> list[str]:
    """Return the lines of a list after its key."""
    text = f"{head} [{', '.join(_quoted(value) for value in values)}]".strip()
    return textwrap.wrap(text, 108, initial_indent=" " * indent, subsequent_indent=" " * (indent + 1))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
