"""How a budget is cut, before and after the number of rows is paid for."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.pipeline.spending_plan import CLEAR_AT, make_plan, respread
from privsynth.privacy.budget import Bill, Budget
from privsynth.schema.definition import Schema

TYPES = {f"c{i}": pa.string() for i in range(9)}


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 1e9),
    st.floats(1e-4, 100),
    st.integers(0, 400),
    st.sampled_from(
        [{}, {"c0": {"kind": "integer", "minimum": 0, "maximum": 9}}, {n: {"kind": "boolean"} for n in TYPES}]
    ),
)
def test_respreading_keeps_the_whole_and_what_is_not_for_moving(n_rows, epsilon, columns, declared):
    schema = Schema.model_validate({"columns": declared})
    made = make_plan(schema, TYPES, Budget(epsilon=epsilon), None)
    anew = respread(made, n_rows=n_rows, columns=columns, rows_per_unit=1.0)
    assert list(anew.parts) == list(made.parts)
    assert math.isclose(math.fsum(anew.parts.values()), math.fsum(made.parts.values()), rel_tol=1e-12)
    assert all(mu2 > 0 for mu2 in anew.parts.values())
    assert {n: anew.parts[n] for n in ("rows", "report")} == {n: made.parts[n] for n in ("rows", "report")}
    Bill(made).share_out(anew.parts)


@pytest.mark.parametrize("part", list(CLEAR_AT))
def test_what_is_lost_first_gets_more_where_rows_are_few(part):
    made = make_plan(Schema(), TYPES, Budget(epsilon=1.0), None)
    many, some, few = (
        respread(made, n_rows=n, columns=9, rows_per_unit=1.0).parts[part] for n in (1e6, 1_400.0, 100.0)
    )
    assert many == pytest.approx(made.parts[part])
    assert many < some < few
