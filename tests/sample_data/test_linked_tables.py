"""The hospital as linked tables: keys resolve, rows are in order, and every declared rule and bound holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from privsynth.schema.linked import linked_schema, names_other_rows
from privsynth.schema.rule_parser import Vocabulary, parse_rule

FOLDER = Path(__file__).resolve().parents[2] / "sample_data" / "hospital"


@pytest.fixture(scope="module")
def schema():
    return linked_schema(FOLDER / "schema.yaml")


@pytest.fixture(scope="module")
def tables():
    read = {name: pd.read_csv(FOLDER / f"{name}.csv", dtype=str) for name in ("patients", "stays", "tests", "wards")}
    for table, times in (("patients", ["born"]), ("stays", ["admitted", "discharged"])):
        read[table][times] = read[table][times].apply(pd.to_datetime)
    read["tests"][["hour", "value"]] = read["tests"][["hour", "value"]].astype(float)
    read["stays"]["medication_count"] = read["stays"]["medication_count"].astype(int)
    return read


def test_every_row_belongs_to_a_patient(tables):
    assert tables["patients"]["patient_id"].is_unique
    assert tables["stays"]["stay_id"].is_unique
    assert set(tables["stays"]["patient_id"]) == set(tables["patients"]["patient_id"])
    assert set(tables["tests"]["stay_id"]) < set(tables["stays"]["stay_id"])
    assert set(tables["stays"]["ward"]) <= set(tables["wards"]["ward"])
    assert len(tables["patients"]) == 3_000


def test_every_value_lies_in_its_declared_domain(schema, tables):
    for name in schema.modelled:
        declared = schema.tables[name].columns
        assert list(declared) == list(tables[name].columns)
        for column, known in declared.items():
            values = tables[name][column]
            assert values.notna().all()
            if known.categories is not None:
                assert set(values) <= set(known.categories)
            if known.minimum is not None:
                low, high = (pd.Timestamp(end) if values.dtype.kind == "M" else end
                             for end in (known.minimum, known.maximum))  # fmt: skip
                assert values.between(low, high).all(), column


def test_the_declared_limits_leave_hardly_a_row_out(schema, tables):
    person = tables["stays"].set_index("stay_id")["patient_id"]
    owners = {"stays": tables["stays"]["patient_id"], "tests": tables["tests"]["stay_id"].map(person)}
    for name, owner in owners.items():
        assert (owner.groupby(owner).cumcount() >= schema.tables[name].max_children).mean() < 0.005


def test_every_rule_holds_in_every_row(schema, tables):
    above = {"stays": tables["patients"].set_index("patient_id"), "tests": tables["stays"].set_index("stay_id")}
    key = {"stays": "patient_id", "tests": "stay_id"}
    counted = 0
    for name, parents in above.items():
        rows = tables[name]
        joined = rows.join(parents.add_prefix("parent."), on=key[name])
        joined = joined.join(rows.groupby(key[name]).shift().add_prefix("previous."))
        hierarchies = {n: c.hierarchy for n, c in schema.tables[name].columns.items() if c.hierarchy is not None}
        known = Vocabulary(names=tuple(joined.columns), hierarchies=hierarchies)
        for text in schema.tables[name].rules:
            rule = parse_rule(text, known)
            assert rule.holds(joined).all(), text
            counted += names_other_rows(text)
    assert counted == 14


def test_a_value_follows_the_one_before_it(tables):
    crp = tables["tests"].query("test == 'crp'")
    before = crp.groupby("stay_id")["value"].shift()
    assert crp["value"].corr(before, method="spearman") > 0.8
    assert (crp["value"] < before)[before.notna() & (before > 1)].mean() > 0.8
