"""Arithmetic in rules: what is read, what it gives, and that decimals leave no remainder."""

from __future__ import annotations

import contextlib
from datetime import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privsynth.schema.calculations import (
    calculate,
    columns_of,
    compare,
    family_of,
    read_calculation,
    remainder,
    written,
)
from privsynth.schema.rule_parser import parse_rule

NAMES = ("a", "b", "unit price", "t")


def result(text: str, **values: float) -> float:
    return float(calculate(read_calculation(text), lambda name: np.array([values[name]]))[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b * 2", 7.0),
        ("( a + b ) * 2", 8.0),
        ("(a + b) * 2", 8.0),
        ("a - b - 1", -3.0),
        ("a / 4", 0.25),
        ("b % 2", 1.0),
        ("-1 * a", -1.0),
        ("a - -5", 6.0),
        ("`a` + 0.5", 1.5),
    ],
)
def test_sums_and_products(text, value):
    assert result(text, a=1.0, b=3.0) == value


@given(st.integers(-(10**7), 10**7), st.sampled_from(["0.1", "0.05", "0.3", "2.5", "10", "0.01"]))
def test_a_remainder_is_that_of_decimals(steps, modulus):
    """The naive twin: decimals, which know no rounding."""
    value = Decimal(steps) * Decimal("0.01")
    exact = value - Decimal(modulus) * (value / Decimal(modulus)).to_integral_value("ROUND_FLOOR")
    found = remainder(np.array([float(value)]), np.array([float(modulus)]))[0]
    assert abs(float(exact) - found) < 1e-6
    assert (found == 0) == (exact == 0)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_sums_of_decimals_are_equal_as_decimals_are(a, b):
    total = calculate(read_calculation("a + b"), lambda name: np.array([{"a": a, "b": b}[name] * 0.01]))
    assert compare(total, "=", np.array([(a + b) / 100]))[0]
    assert not compare(total, "=", np.array([(a + b + 1) / 100]))[0]
    assert not compare(total, "<", np.array([(a + b) / 100]))[0]


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))
def test_parts_of_times_are_those_of_the_calendar(moment):
    moment = moment.replace(microsecond=0)
    days = (moment - datetime(1970, 1, 1)).total_seconds() / 86_400
    for part in ("year", "month", "day", "hour", "minute", "second"):
        assert result(f"{part}(t)", t=days) == getattr(moment, part)
    assert result("weekday(t)", t=days) == moment.isoweekday()
    assert result("quarter(t)", t=days) == (moment.month + 2) // 3


def test_what_is_missing_or_infinite_is_missing():
    for text in ("a / b", "a % b", "year(a) + b / b", "a * 1000000000000000000000"):
        found = calculate(read_calculation(text), lambda name: np.array([np.nan if name == "c" else 0.0, np.nan]))
        assert np.isnan(found[1])
    assert np.isnan(result("a / b", a=1.0, b=0.0))
    assert np.isnan(result("a % b", a=1.0, b=0.0))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a +", "ends in the middle"),
        ("* a", "is no column and no number"),
        ("(a + b", "bracket that is not closed"),
        ("a + b)", "cannot be calculated at '\\)'"),
        ("a b", "cannot be calculated at 'b'; put spaces"),
        ("a+b * 2", "'a\\+b', which is no column and no number; put spaces"),
        ("a + c", "'c', which is no column"),
        ("month() + 1", "needs a column in month"),
        ("`a + 1", "backquote"),
        (" + ".join(["a"] * 100), "more than 60 terms"),
        ("(" * 500 + "a" + ")" * 500, "more than 60 terms"),
    ],
)
def test_what_cannot_be_calculated_is_said(text, problem):
    with pytest.raises(ValueError, match=problem):
        read_calculation(text, NAMES)


@given(st.text(alphabet="ab1 +-*/%().`month", max_size=30))
def test_any_text_is_read_or_refused_and_what_is_read_can_be_written(text):
    with contextlib.suppress(ValueError):
        found = read_calculation(text, NAMES)
        assert read_calculation(written(found), NAMES) == found
        # What stands in backquotes is a column, which the schema may lack, and then refuses.
        assert all(f"`{name}`" in text for name in set(columns_of(found)) - set(NAMES))


@pytest.mark.parametrize(
    ("text", "family"),
    [("a * 2", "number"), ("t - u", "number"), ("t + 30", "time"), ("30 + t", "time"), ("hour(t) * 60", "number")],
)
def test_times_are_shifted_and_subtracted(text, family):
    assert family_of(read_calculation(text), {"a": "number", "t": "time", "u": "time"}) == family


@pytest.mark.parametrize("text", ["t * 2", "t + u", "a - t", "s + 1", "month(a)", "month(s)"])
def test_other_sums_of_times_and_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"must add|neither a number|no date"):
        family_of(read_calculation(text), {"a": "number", "t": "time", "u": "time", "s": "text"})


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("amount % 0.1 = 0", [True, True, False, True]),
        ("way = atm => amount % 10 = 0", [True, False, True, True]),
        ("total = price * 3 and price > 0", [True, False, True, True]),
        ("total - price > 0.1", [True, False, True, True]),
        ("month(day) = 2 => weekday(day) <= 5", [True, True, True, False]),
        ("day + 30 >= until", [True, False, True, True]),
    ],
)
def test_conditions_that_calculate(text, holds):
    frame = pd.DataFrame(
        {
            "amount": [30.0, 0.3, 0.35, np.nan],
            "way": pd.Series(["atm", "atm", "till", "atm"], dtype="object"),
            "price": [0.1, 0.2, 0.3, np.nan],
            "total": [0.3, 0.3, 0.9, 5.0],
            "day": pd.to_datetime(["2024-02-01", "2024-01-31", None, "2024-02-04"]).astype("datetime64[s]"),
            "until": pd.to_datetime(["2024-03-01", "2024-03-02", "2024-03-01", "2024-02-05"]).astype("datetime64[s]"),
        }
    )
    assert parse_rule(text, list(frame)).holds(frame).tolist() == holds
