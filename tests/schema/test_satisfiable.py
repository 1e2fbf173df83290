"""Rules that no row can keep are found before anything is paid, and rules that some row keeps are let pass."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import SchemaError
from privsynth.schema import Schema
from privsynth.schema.rule_checks import check_rules
from privsynth.schema.rule_parser import parse_rule
from privsynth.schema.satisfiable import contradiction

COLUMNS = {
    "age": {"kind": "integer", "minimum": 0, "maximum": 120},
    "weight": {"kind": "numeric", "minimum": 0, "maximum": 1},
    "height": {"kind": "numeric"},
    "low": {"kind": "integer", "minimum": 0, "maximum": 1},
    "high": {"kind": "integer", "minimum": 0, "maximum": 1},
    "admitted": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
    "discharged": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
    "seen": {"kind": "datetime"},
    "stay": {"kind": "numeric"},
    "ward": {"kind": "categorical", "categories": ["ICU", "ER", "surgery"]},
    "sex": {"kind": "categorical"},
    "pregnant": {"kind": "boolean", "true_values": ["yes"], "false_values": ["no"]},
}


def schema(*rules):
    return Schema.model_validate({"columns": COLUMNS, "rules": rules})


POSSIBLE = [
    ["discharged >= admitted"],
    ["discharged >= admitted", "stay = discharged - admitted", "stay <= 30", "stay > 0"],
    ["stay = discharged - admitted", "stay = 365"],
    ["pregnant = yes => sex = F", "sex = M"],
    ["pregnant = yes => age >= 12", "pregnant = yes => age <= 55"],
    ["ward = ICU => age >= 50", "ward = ICU => age <= 40"],
    ["age > 119"],
    ["weight > 0 and weight < 0.001"],
    ["weight > 0.3", "height > weight", "height < 0.300001"],
    ["high > low"],
    ["seen >= 2024-01-01T00:00:00+01:00 and seen < 2024-01-01"],
    ["age is null => ward = ICU", "ward != ICU", "age is not null"],
    ["age is null", "ward = ER"],
    ["seen <= 9999-12-31", "seen >= 0001-01-01"],
    ["admitted >= 2024-12-31", "discharged > 2024-01-01", "discharged >= admitted"],
]
IMPOSSIBLE = [
    ["age >= 50", "age <= 40"],
    ["age > 120"],
    ["age > 3 and age < 4"],
    ["high > low", "low > 0"],
    ["ward = ICU", "ward = ER"],
    ["ward != ICU", "ward != ER", "ward != surgery"],
    ["pregnant = yes", "pregnant = yes => age >= 50", "age < 50"],
    ["discharged > admitted", "admitted > discharged"],
    ["admitted >= 2024-12-31", "discharged > admitted"],
    ["stay = discharged - admitted", "discharged >= admitted", "stay < 0"],
    ["stay = discharged - admitted", "stay > 365"],
    ["seen >= 2024-01-01T00:00:00+01:00 and seen < 2023-12-31T23:00:00"],
    ["admitted > 2025-01-01"],
    ["age is null", "age is not null"],
]


@pytest.mark.parametrize("rules", POSSIBLE, ids=" & ".join)
def test_rules_that_a_row_keeps_pass(rules):
    check_rules(schema(*rules))


@pytest.mark.parametrize("rules", IMPOSSIBLE, ids=" & ".join)
def test_rules_that_no_row_keeps_are_refused_by_name(rules):
    with pytest.raises(SchemaError, match="no row that the schema allows") as refused:
        check_rules(schema(*rules))
    assert all(rule in str(refused.value) for rule in rules)


def test_only_the_rules_that_hang_together_are_named():
    assert contradiction(schema("age >= 50", "ward = ICU", "age <= 40")) == ("age >= 50", "age <= 40")


def test_a_column_that_cannot_be_missing_is_not_missing():
    declared = {"columns": {"age": {"kind": "integer", "nullable": False}}, "rules": ["age is null"]}
    assert contradiction(Schema.model_validate(declared)) == ("age is null",)


def test_a_group_that_is_too_large_to_be_tried_is_let_pass():
    names = [f"c{i}" for i in range(12)]
    rules = [f"{a} > {b}" for a, b in itertools.pairwise(names)]
    declared = {"columns": {name: {"kind": "numeric", "minimum": 0, "maximum": 1} for name in names}, "rules": rules}
    assert contradiction(Schema.model_validate(declared)) == ()


NAMES, OPERATORS = ["a", "b", "c"], ["=", "!=", "<", "<=", ">", ">="]
SIDES = st.one_of(st.sampled_from(NAMES), st.integers(-1, 4).map(str))
COMPARISONS = st.tuples(st.sampled_from(NAMES), st.sampled_from(OPERATORS), SIDES).filter(lambda t: t[0] != t[2])


@settings(deadline=None, max_examples=60)
@given(st.lists(COMPARISONS, min_size=1, max_size=5))
def test_it_agrees_with_trying_every_row_of_a_small_domain(comparisons):
    rules = [" ".join(parts) for parts in comparisons]
    column = {"kind": "integer", "minimum": 0, "maximum": 3}
    declared = Schema.model_validate({"columns": dict.fromkeys(NAMES, column), "rules": rules})
    rows = pd.DataFrame(itertools.product(range(4), repeat=3), columns=NAMES).astype(float)
    kept = pd.Series(True, index=rows.index)
    for rule in rules:
        kept &= parse_rule(rule, NAMES).holds(rows)
    assert (contradiction(declared) == ()) == kept.any()


@pytest.mark.parametrize("zoned", ["2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00Z"])
def test_a_literal_with_a_zone_is_compared_in_utc(zoned):
    frame = pd.DataFrame({"seen": pd.to_datetime(["2024-02-29T23:29:59", "2024-02-29T23:30:00"])})
    assert parse_rule(f"seen >= {zoned}", ["seen"]).holds(frame).tolist() == [False, True]
