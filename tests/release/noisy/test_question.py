"""Questions as texts: what is read, and that nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import ConfigError
from privsynth.release.noisy.question import Comparison, TableQuestion, parse_question, spelled


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("count", TableQuestion("count")),
        ("count by ward, sex", TableQuestion("count", by=("ward", "sex"))),
        ("share by ward", TableQuestion("share", by=("ward",))),
        ("share(ward = surgery) by sex", TableQuestion("share", of=Comparison("ward", "=", ("surgery",)), by=("sex",))),
        ("mean(age) by ward", TableQuestion("mean", "age", by=("ward",))),
        ("median ( age )", TableQuestion("median", "age", level=0.5)),
        (
            "quantile(age, 0.9) where sex=F",
            TableQuestion("quantile", "age", None, 0.9, (), (Comparison("sex", "=", ("F",)),)),
        ),
        (
            "sum(`length of stay`) where ward in ('general medicine', ent) and age >= 60",
            TableQuestion(
                "sum",
                "length of stay",
                where=(Comparison("ward", "in", ("general medicine", "ent")), Comparison("age", ">=", ("60",))),
            ),
        ),
        (
            'count where admitted.weekday != "by"',
            TableQuestion("count", where=(Comparison("admitted.weekday", "!=", ("by",)),)),
        ),
        ("mean(discharged·after admitted) by ward", TableQuestion("mean", "discharged·after admitted", by=("ward",))),
        (
            "count by ward, first ward where rows of the unit = 2 and ward in (general medicine, ent)",
            TableQuestion(
                "count",
                by=("ward", "first ward"),
                where=(
                    Comparison("rows of the unit", "=", ("2",)),
                    Comparison("ward", "in", ("general medicine", "ent")),
                ),
            ),
        ),
        ("count by 'stand by', `in`", TableQuestion("count", by=("stand by", "in"))),
        ("count where x = -1.5e3", TableQuestion("count", where=(Comparison("x", "=", ("-1.5e3",)),))),
    ],
)
def test_questions_are_read(text, question):
    assert parse_question(text) == question


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks a statistic"),
        ("average(age)", "no statistic 'average'"),
        ("mean by ward", "lacks a '\\('"),
        ("mean(age", "lacks a '\\)'"),
        ("mean(age) of ward", "'of' stands where the question should end"),
        ("count by ward, sex, age", "one or two different columns"),
        ("count by ward, ward", "one or two different columns"),
        ("quantile(age, 1)", "between 0 and 1"),
        ("quantile(age, x)", "between 0 and 1"),
        ("quantile(age)", "lacks a ','"),
        ("count where sex", "after 'sex' comes"),
        ("count where sex F", "after 'sex F' comes"),
        ("count of ward", "'of' stands where the question should end"),
        ("count where sex =", "lacks a value"),
        ("count by ward where `sex = F", "cannot be read from"),
        ("count" * 5_000, "too long"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_question(text)


@given(st.text(alphabet="by in where and.·()=,`'\"0aé", min_size=1, max_size=20))
def test_a_name_is_spelled_so_that_it_is_read_again(name):
    if all(sign in name for sign in "`'\"") or "\n" in name:
        return
    assert parse_question(f"mean({spelled(name)}) by ward").column == name
    assert parse_question(f"count by ward, {spelled(name)} where sex = F").by[1] == name


@given(st.text(alphabet="count mean(age) by where and in,=<>!`'\"ward.0\n\t\x00é", max_size=60))
def test_no_text_breaks_the_parser(text):
    try:
        found = parse_question(text)
    except ConfigError:
        return
    assert len(found.by) <= 2
    assert isinstance(found.columns, tuple)
