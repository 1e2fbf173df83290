"""Rules hold in every row, and mending the rows that break them leaves shares as the model has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import CategoryCodec, ComputedCodec, NumberCodec, TimeCodec
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.codecs.table import TableCodec
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.hierarchies import SHIPPED
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.calculations import read_calculation

FIRST_WEEK = 2817  # the week of Monday 2023-12-25


def bins(*segments: tuple[int, int]) -> Bins:
    low, high = (np.array(part) for part in zip(*segments, strict=True))
    return Bins(low, low, high, np.ones(len(low)))


CODEC = TableCodec(
    (
        CategoryCodec("d", ("I21", "O36", "O80", "P07", "O00-O99"), True, True, hierarchy=SHIPPED["icd10"]),
        CategoryCodec("sex", ("F", "M"), False, False),
        NumberCodec("age", bins((0, 9), (10, 59), (60, 99)), 1.0, False, True, 0, 99),
        CategoryCodec("shop", ("cash", "bakery", "web"), False, False),
        CategoryCodec("trade", ("money", "goods"), False, False, "shop", (0, 1, 1)),
        NumberCodec("amount", bins((1, 1999), (2000, 2000), (2001, 99_999)), 0.01, False, False, 1, 99_999),
        NumberCodec("count", bins((1, 1), (2, 9)), 1.0, True, True),
        TimeCodec("day", Bins(np.array([FIRST_WEEK]), np.array([FIRST_WEEK]), np.array([FIRST_WEEK + 50]), np.ones(1)),
                  None, 86_400, True),
        ComputedCodec("total", read_calculation("amount * count"), 0.01, False),
        ComputedCodec("month", read_calculation("month(day)"), 1.0, True),
    )
)  # fmt: skip
RULES = (
    "d in chapter O => sex = F and age >= 10",
    "d in (P07) => age < 1",
    "shop = cash => amount % 10 = 0",
    "sex = M and shop = web => trade = money",
    "age < 16 => shop not in (cash)",
    "count >= 5 => amount < 10",
    "total = amount * count",
    "month = month(day)",
)


@pytest.fixture(scope="module")
def fitted() -> FittedMarginal:
    """Return a model of five components with shares between a few per cent and a half."""
    rng = np.random.default_rng(3)
    sizes = tuple(attribute.size for attribute in CODEC.attributes)
    blocks = []
    for attribute in CODEC.attributes:
        block = rng.dirichlet(np.full(attribute.size, 2.0), 5)
        block[:, -1] *= attribute.can_be_null
        blocks.append(block / block.sum(axis=1, keepdims=True))
    return FittedMarginal(np.concatenate(blocks, axis=1).astype(np.float32), sizes, FitSettings())


def model_of(fitted: FittedMarginal, *rules: str) -> SyntheticModel:
    return SyntheticModel(CODEC, fitted, rules, 100, "small")


@pytest.mark.parametrize("seed", range(8))
def test_every_rule_holds_in_every_row_and_codes_are_those_of_the_rows(fitted, seed):
    model = model_of(fitted, *RULES)
    rows, codes = model.draw_all(model.order(2_000), seed=seed)
    frame = rows.frame()
    for rule in model.parsed_rules():
        assert rule.holds(frame).all(), rule.text
    expected = (frame["amount"] * frame["count"].astype(float)).round(2)
    assert np.allclose(frame["total"].dropna(), expected.dropna(), atol=0.006)
    assert (frame["total"].isna() == expected.isna()).all()
    assert (frame["month"].dropna() == frame["day"].dropna().dt.month).all()
    (part,) = rows.parts
    columns = {c.name: c.parsed(part.columns[c.name]) for c in CODEC.codecs}
    again = CODEC.encode(ParsedTable(columns, rows.n_rows))
    never_null = [a for a, attribute in enumerate(CODEC.attributes) if not attribute.can_be_null]
    assert (again[never_null] == codes[never_null]).all()


def test_an_obstetric_row_becomes_a_womans_and_shares_stay(fitted):
    """Rejection would take a row in which the rule is broken away. False alarms: five standard deviations each."""
    n, rules = 40_000, RULES[:1]
    free = model_of(fitted).sample(n, seed=1)
    mended = model_of(fitted, *rules).sample(n, seed=2)
    obstetric = ["O36", "O80", "O00-O99"]
    men = (free["d"].isin(obstetric) & (free["sex"] == "M")).mean()
    assert men > 0.1
    for value in (obstetric, ["P07"], ["I21"]):
        before, after = (frame["d"].isin(value).mean() for frame in (free, mended))
        assert abs(before - after) < 5 * np.sqrt(0.5 / n)
    # Without the rows that become men's in turn, the share of women would rise by all the men that there were.
    women = [(frame["sex"] == "F").mean() for frame in (free, mended)]
    assert women[1] - women[0] < men / 4


def test_amounts_move_to_the_nearest_multiple_inside_the_bounds(fitted):
    free = model_of(fitted).sample(20_000, seed=1)
    mended = model_of(fitted, "shop = cash => amount % 10 = 0").sample(20_000, seed=1)
    cash = mended["amount"][mended["shop"] == "cash"]
    assert ((cash * 100).round().astype(int) % 1_000 == 0).all()
    assert cash.min() == 10
    assert cash.max() <= 999.99
    assert (mended["shop"] == free["shop"]).all()
    assert ((mended["amount"] - free["amount"]).abs() <= 10).all()


@pytest.mark.parametrize(
    "text", ["sex = M", "age < 5 and d in (P07, I21)", "shop = cash and amount > 500", "d in chapter O", "total > 100"]
)
def test_conditions_and_rules_hold_together(fitted, text):
    model = model_of(fitted, *RULES)
    frame = model.sample(500, seed=5, given=[text])
    assert all(rule.holds(frame).all() for rule in model.parsed_rules())
    free = model_of(fitted).sample(20, seed=5, given=[text])
    assert len(free) == 20


def test_a_model_that_answers_no_conditions_draws_again(fitted):
    class Plain:
        name, sizes = "plain", fitted.sizes

        def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
            return fitted.sample_codes(n_rows, rng)

    model = SyntheticModel(CODEC, Plain(), RULES, 100, "small")
    frame = model.sample(1_000, seed=1)
    assert all(rule.holds(frame).all() for rule in model.parsed_rules())


def test_rules_with_groups_and_arithmetic_are_saved_with_the_model(fitted, tmp_path):
    model = model_of(fitted, *RULES)
    model.save(tmp_path)
    loaded = SyntheticModel.load(tmp_path)
    assert loaded.codec.to_json() == CODEC.to_json()
    assert loaded.parsed_rules() == model.parsed_rules()
    assert loaded.sample(300, seed=4).equals(model.sample(300, seed=4))


CLAUSES = st.sampled_from(
    ["d in chapter O", "d in (I21, P07)", "sex = F", "age >= 20", "age < 70", "shop not in (web)", "amount % 5 = 0",
     "trade = goods", "d not in chapter P00-P96", "count <= 6", "amount <= 900", "month(day) != 2"]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(CLAUSES, CLAUSES), min_size=1, max_size=4), st.integers(0, 99))
def test_any_implications_hold_in_every_row(fitted, pairs, seed):
    model = model_of(fitted, *(f"{a} => {b}" for a, b in pairs))
    frame = model.sample(200, seed=seed)
    assert all(rule.holds(frame).all() for rule in model.parsed_rules())
