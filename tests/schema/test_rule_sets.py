"""Sets and groups of hierarchies in rules: what is read, what is refused with help, and in which rows it holds."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import SchemaError
from privsynth.hierarchies import SHIPPED
from privsynth.schema import Schema
from privsynth.schema.rule_checks import check_rules
from privsynth.schema.rule_parser import Vocabulary, parse_rule
from privsynth.schema.rules import Condition, Membership

KNOWN = Vocabulary(
    names=("d", "sex", "age", "ward", "seen", "smoker", "day"),
    hierarchies={"d": SHIPPED["icd10"]},
    booleans={"smoker": (("nein", "n"), ("ja", "j"))},
)


def within(text: str) -> Membership:
    (condition,) = parse_rule(text, KNOWN).conditions
    return condition.within


@pytest.mark.parametrize(
    "text",
    [
        "ward in (ICU, ER)",
        "ward in {ICU, ER}",
        "ward in ('ICU', \"ER\")",
        "ward in(ICU,ER)",
        "ward IN (ICU, ER,)",
        "ward in ICU, ER",
    ],
)
def test_a_list_of_values(text):
    assert within(text) == Membership(("ICU", "ER"))


def test_values_may_hold_spaces_commas_and_brackets_in_quotes():
    assert within("ward in (general medicine, 'a, b', 'c)', and)") == Membership(
        ("general medicine", "a, b", "c)", "and")
    )
    assert parse_rule("ward not in (a) and age in (1, 2)", KNOWN).conditions == (
        Condition("ward", "not in", within=Membership(("a",))),
        Condition("age", "in", within=Membership(("1", "2"))),
    )


@pytest.mark.parametrize(
    ("text", "level", "group"),
    [
        ("d in chapter O", "chapter", "O00-O99"),
        ("d in Chapter 'O00-O99'", "chapter", "O00-O99"),
        ("d in block O30-O48", "block", "O30-O48"),
        ("d in category O36", "category", "O36"),
        ("d not in chapter O", "chapter", "O00-O99"),
    ],
)
def test_a_group_of_the_hierarchy(text, level, group):
    assert within(text) == Membership(level=level, group=group)


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("d in chapter A", "icd10 has no chapter 'A'; it has A00-B99, C00-D48"),
        ("d in chaptre O", "names a chaptre of 'd', whose levels are chapter, block, category"),
        ("ward in chapter O", "'ward', which has no hierarchy; declare one with `hierarchy:`, or list values"),
        ("d in", "rule 'd in'"),
        ("d in ()", "needs values after `in`: write `d in \\(a, b\\)`"),
        ("d in (,)", "needs values after `in`"),
        ("d in (a", "needs values after `in`"),
        ("d in (a) b", "needs values after `in`"),
        ("ward = general medicine", "quote a text of several words"),
    ],
)
def test_what_cannot_be_read_is_refused_with_help(text, help_):
    with pytest.raises(ValueError, match=help_):
        parse_rule(text, KNOWN)


@given(st.text(alphabet="d inO(){},'ot=> chapter", max_size=30))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        assert parse_rule(text, KNOWN).columns


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("d in chapter O => sex = F", [True, False, True, True, True]),
        ("d in block O30-O48 => sex = F", [True, False, True, True, True]),
        ("d not in chapter O", [False, False, True, True, False]),
        ("d in (O36, I21)", [True, False, True, True, False]),
        ("d in (I21) => age >= 40", [True, True, True, True, True]),
        ("age in (0, 50)", [False, True, True, True, False]),
        ("seen in (2024-01-01)", [True, False, False, True, True]),
    ],
)
def test_in_which_rows_it_holds(text, holds):
    frame = pd.DataFrame(
        {
            "d": pd.Series(["O36", "O42.1", "I21", None, "O00-O99"], dtype="object"),
            "sex": pd.Series(["F", "M", "M", "M", None], dtype="object"),
            "age": [30.0, 50.0, 50.0, None, 20.0],
            "seen": pd.to_datetime(["2024-01-01", "2024-01-02", "2023-01-01", None, "2024-01-01"]).astype(
                "datetime64[s]"
            ),
        }
    )
    assert parse_rule(text, KNOWN).holds(frame).tolist() == holds
    assert parse_rule(text, KNOWN).holds(frame.astype({"d": "category", "sex": "category"})).tolist() == holds


@pytest.mark.parametrize("text", ["true", "1", "yes", "j", "JA", "ja"])
def test_true_may_be_written_as_usual_or_as_the_column_has_it(text):
    assert parse_rule(f"smoker = {text}", KNOWN).conditions == (Condition("smoker", "=", literal="ja"),)
    assert within(f"smoker in ({text})").values == ("ja",)
    assert parse_rule("smoker = 0", KNOWN).conditions == (Condition("smoker", "=", literal="nein"),)


COLUMNS = {
    "d": {"hierarchy": "icd10", "categories": ["O36", "C61", "I21"]},
    "sex": {"kind": "categorical", "categories": ["F", "M"]},
    "age": {"kind": "integer", "minimum": 0, "maximum": 115},
    "amount": {"kind": "numeric", "minimum": 0.01, "maximum": 5000},
    "price": {"kind": "numeric"},
    "day": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
    "month": {"kind": "integer", "minimum": 1, "maximum": 12},
    "smoker": {"kind": "boolean", "true_values": ["Yes"], "false_values": ["No"]},
}


def schema(*rules: str) -> Schema:
    return Schema.model_validate({"columns": COLUMNS, "rules": rules})


@pytest.mark.parametrize(
    "rules",
    [
        ["d in chapter O => sex = F", "d in (C61) => sex = M", "sex = F"],
        ["d in chapter O => sex = F", "d in chapter O"],
        ["amount % 10 = 0", "amount > 15", "amount < 21"],
        ["age % 7 = 3", "age > 3 and age <= 10"],
        ["month = month(day)", "day >= 2024-05-01"],
        ["amount = price * 2", "price > 1"],
        ["smoker = 1 => age >= 12"],
        ["d in chapter O => age >= 12", "d in chapter I => age >= 30", "d not in (C61)", "sex in (F)"],
    ],
)
def test_rules_that_some_row_keeps_are_let_pass(rules):
    check_rules(schema(*rules))


@pytest.mark.parametrize(
    "rules",
    [
        ["d in chapter O => sex = F", "d in chapter O", "sex = M"],
        ["amount % 10 = 0", "amount > 11", "amount < 19"],
        ["age % 2 = 1", "age > 4 and age < 5"],
        ["amount % 10000 = 0"],
        ["d not in (O36, C61, I21)"],
        ["smoker = yes", "smoker = 0"],
    ],
)
def test_rules_that_no_row_keeps_are_refused(rules):
    with pytest.raises(SchemaError, match="no row that the schema allows keeps these rules"):
        check_rules(schema(*rules))


@pytest.mark.parametrize(
    ("rule", "help_"),
    [
        ("d in (O36, X)", "a value that it cannot have: 'X'; it has O36, C61, I21"),
        ("d in chapter P", "names chapter P00-P96, in which no category of 'd' is"),
        ("age in (young)", "a value that it cannot have: 'young'; it holds numbers"),
        ("sex + 1 > 0", "calculates with 'sex', which is neither a number nor a time"),
        ("day > age + 1", "compares a time with a number"),
        ("month = day + 1", "must compute a column of numbers"),
        ("sex = age * 2", "must compute a column of numbers"),
        ("month = month(age)", "takes the month of 'age', which is no date"),
    ],
)
def test_what_cannot_be_judged_is_said_with_help(rule, help_):
    with pytest.raises(SchemaError, match=help_):
        check_rules(schema(rule))


def test_a_hostile_rule_is_bounded():
    with pytest.raises(ValueError, match=r"at most 1000 rules, of at most 10,000 characters"):
        schema("a" * 20_000)
    with pytest.raises(ValueError, match="at most 1000 rules"):
        schema(*["age > 3"] * 2_000)
    with pytest.raises(ValueError, match="more than 100,000 characters") as refused:
        parse_rule("age in (" + "1, " * 50_000, KNOWN)
    assert len(str(refused.value)) < 400


def test_a_long_list_of_blanks_is_read_in_time():
    with pytest.raises(ValueError, match="value"):  # a pattern that tries every split of them would take hours
        parse_rule("c in (" + " " * 9_000 + "a'x')", ("c",))
