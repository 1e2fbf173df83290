"""Conditions and shares as a person writes them: what they mean, and rows of a small model that was written by hand."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_models import codec

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import DAY, CategoryCodec, DerivedCodec, NumberCodec, SurrogateCodec, TimeCodec
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError, PrivsynthError
from privsynth.generators.marginal.fitted import FitSettings, FittedMarginal
from privsynth.sampling.balance import parse_balance, split_rows
from privsynth.sampling.conditions import parse_clauses
from privsynth.sampling.draw import place_order
from privsynth.sampling.likelihood import condition
from privsynth.sampling.synthetic_model import SyntheticModel

FIRST_WEEK = 2817  # the week of Monday 2023-12-25


def cells(*segments: tuple[int, int, float], lows: list[int]) -> Bins:
    low, high, weight = (np.array(part) for part in zip(*segments, strict=True))
    return Bins(np.array(lows), low, high, weight.astype(float))


CODEC = TableCodec(
    (
        SurrogateCodec("id"),
        CategoryCodec("ward", ("ER", "ICU", "a, b", "x and y"), True, True),
        CategoryCodec("fraud", ("false", "true"), False, False),
        NumberCodec("age", cells((0, 17, 5.0), (18, 40, 10.0), (41, 64, 0.0), (65, 99, 4.0), lows=[0, 18, 41]),
                    1.0, True, True, 0, 99),
        NumberCodec("crp", cells((0, 0, 9.0), (1, 999, 1.0), lows=[0, 1]), 0.1, False, False),
        NumberCodec("bonus", cells((0, 0, 5.0), (1, 50, 5.0), lows=[0, 1]), 0.1, False, False, None, None, "crp"),
        TimeCodec("day", cells((FIRST_WEEK, FIRST_WEEK + 3, 3.0), (FIRST_WEEK + 4, FIRST_WEEK + 20, 1.0),
                               lows=[FIRST_WEEK, FIRST_WEEK + 4]), None, DAY, True),
        # Places 0 to 204 are minutes on the same date, those from 205 on are dates later (see `ElapsedScale`).
        TimeCodec("seen", cells((0, 204, 1.0), (205, 234, 1.0), lows=[0, 205]),
                  cells((0, 700, 1.0), (701, 1439, 2.0), lows=[0]), 60, False, None, None, None, "day"),
        DerivedCodec("stay", "seen", "day", 0.1, False),
        NumberCodec("level", cells((1, 1, 3.0), (2, 2, 2.0), lows=[1, 2]), 1.0, False, True),
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> SyntheticModel:
    sizes = tuple(attribute.size for attribute in CODEC.attributes)
    rng = np.random.default_rng(0)
    blocks = []
    for attribute in CODEC.attributes:
        block = rng.dirichlet(np.full(attribute.size, 0.7), 6)
        block[:, -1] *= attribute.can_be_null
        blocks.append(block / block.sum(axis=1, keepdims=True))
    p = np.concatenate(blocks, axis=1).astype(np.float32)
    fitted = FittedMarginal(p, sizes, FitSettings())
    return SyntheticModel(CODEC, fitted, ("fraud = true => age + 0 >= 18", "bonus + 0 <= 60"), 100, "small")


@pytest.fixture(scope="module")
def pool(model) -> pd.DataFrame:
    """Return many rows of the model as it is."""
    return model.sample(150_000, seed=2)


CONDITIONS = [
    "ward = ICU",
    "ward in (ICU, 'a, b')",
    "ward not in (ICU, ER)",
    "ward in OTHER",
    "ward is null",
    "fraud = 1",
    "age >= 37 and age < 70",
    "age = 30",
    "age != 20",
    "age > 12.5 and ward is not null",
    "age in (3, 20, 70)",
    "age is null",
    "crp > 0",
    "crp = 55.5",
    "crp <= 0.05",
    "bonus >= 3.3",
    "bonus > crp",
    "day >= 2024-02-05",
    "day = 2024-01-10",
    "day < 2024-03-01 and day > 2024-02-27",
    "day is null",
    "seen >= 2024-01-20T15:00",
    "stay >= 12.5",
    "stay < 1 and day = 2024-01-03",
    '`ward` = "x and y" and level = 2',
]


def as_numbers(values):
    """Return values as numbers; times in whole seconds, whatever unit they are kept in."""
    return values.astype("datetime64[s]").astype("int64") if values.dtype.kind == "M" else values.astype(float)


@pytest.mark.parametrize("text", CONDITIONS)
def test_rows_meet_the_condition_and_every_rule_and_follow_the_model(model, pool, text):
    """The naive twin: rows of the model as it is, of which those are kept that meet the condition."""
    clauses = parse_clauses(text, CODEC)
    rows, codes = model.draw_all(model.order(1_500, given=[text]), seed=1)
    frame = rows.frame()
    assert len(frame) == codes.shape[1] == 1_500
    assert all(clause.met(frame).all() for clause in clauses)
    assert all(rule.holds(frame).all() for rule in model.parsed_rules())
    kept = pool[np.all([clause.met(pool) for clause in clauses], axis=0)]
    assert len(kept) >= 8
    for name in ("age", "crp", "bonus", "day", "seen", "level"):
        a, b = (as_numbers(x[name].dropna()) for x in (frame, kept))
        assert abs(a.size / len(frame) - b.size / len(kept)) <= 5 * np.sqrt(0.25 * (1 / len(frame) + 1 / len(kept)))
        if a.size and b.size:
            # Dvoretzky–Kiefer–Wolfowitz, false alarms below 1e-6 each.
            at = np.sort(np.concatenate([a, b]))
            apart = np.abs(
                np.searchsorted(np.sort(a), at, "right") / a.size - np.searchsorted(np.sort(b), at, "right") / b.size
            ).max()
            assert apart <= np.sqrt(np.log(2 / 1e-6) / 2) * (a.size**-0.5 + b.size**-0.5)
    for name in ("ward", "fraud"):
        for value in CODEC.codecs[CODEC.names.index(name)].texts:
            a, b = ((x[name] == value).mean() for x in (frame, kept))
            assert abs(a - b) <= 5 * np.sqrt(0.25 * (1 / len(frame) + 1 / len(kept)))


@pytest.mark.parametrize(
    "text", ["crp = 55.5", "age = 50", "day = 2024-01-10", "age >= 37 and age < 70", "ward = ICU and level = 2"]
)
def test_a_condition_on_one_attribute_is_drawn_and_not_waited_for(model, text):
    made = condition(parse_clauses(text, CODEC), CODEC)
    known = np.full((len(CODEC.attributes), 400), -1, dtype=np.int32)
    rng = np.random.default_rng(0)
    frame = made.codec.decode(model.fitted.complete(known, made.evidence, rng), rng)
    assert np.all([clause.met(frame) for clause in made.clauses], axis=0).all()


def test_what_the_likelihood_of_a_cell_is():
    made = condition(parse_clauses("age >= 30", CODEC), CODEC)
    (likelihood,) = made.evidence.values()
    # 18..40 keeps 30..40; 41..64 has (next to) no mass, 65..99 all; NULL does not meet a comparison.
    assert likelihood == pytest.approx([0.0, 11 / 23, 1.0, 0.0])
    (nothing,) = condition(parse_clauses("age > 120", CODEC), CODEC).evidence.values()
    assert not nothing.any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("height > 3", "no column 'height'"),
        ("ward = morgue", "no category 'morgue'"),
        ("ward in (ICU, morgue)", "no category 'morgue'"),
        ("ward in ()", "needs values"),
        ("ward > ICU", "=, != or in"),
        ("fraud = maybe", "false, true"),
        ("age > old", "'old' is none"),
        ("age >= nan", "'nan' is none"),
        ("day > 3", "dates"),
        ("id = S00000001", "invented for each row"),
        ("age > ward", "different kinds"),
        ("age >= 3 => ward = ICU", "no condition"),
        ("", "cannot be read"),
        ("age >", "cannot be read"),
        ("'age' > 3", "column name"),
        ("age 3", "cannot be read"),
    ],
)
def test_what_cannot_be_a_condition_is_refused_in_a_sentence(text, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        parse_clauses(text, CODEC)


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    for read in (parse_clauses, parse_balance):
        try:
            read(text, CODEC)
        except ConfigError:
            continue


@settings(max_examples=80)
@given(
    st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "=="]),
    st.integers(-200, 1_200),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["age", "`age`", "crp"]),
)
def test_comparisons_mean_what_they_say_and_evidence_never_forbids_what_meets_them(operator, tenths, gap, name):
    value = tenths / 10
    made = condition(parse_clauses(f"{name}{gap}{operator}{gap}{value}", CODEC), CODEC)
    column = name.strip("`")
    frame = pd.DataFrame({column: [*np.arange(0, 100.05, 0.5), np.nan]})
    met = made.clauses[0].met(frame)
    sign = {"=": "==", "==": "=="}.get(operator, operator)
    assert met[:-1].tolist() == [eval(f"x {sign} {value}") for x in frame[column][:-1]]  # noqa: S307
    assert not met[-1]
    codec = next(codec for codec in CODEC.codecs if codec.name == column)
    ((attribute, likelihood),) = [(a, w) for a, w in made.evidence.items() if a == CODEC.attributes_of(column)[0]]
    assert CODEC.attributes[attribute].name == column
    steps = np.arange(0, 1_000 if column == "crp" else 100)
    holds = made.clauses[0].met(pd.DataFrame({column: np.round(steps * codec.precision, 3)}))
    for cell in range(codec.bins.size):
        inside = holds[codec.bins.encode(steps) == cell]
        assert (likelihood[cell] > 0) == inside.any()
        assert (likelihood[cell] > 1 - 1e-12) >= inside.all()


def test_a_frame_and_an_arrow_table_say_the_same(model):
    rows, _ = model.draw(model.order(3_000), seed=4)
    (arrow,) = SyntheticRows(CODEC, [rows]).tables()
    frame = CODEC.frame(rows)
    for name in frame.columns:
        cells, null = arrow[name].to_pylist(), frame[name].isna()
        assert [cell is None for cell in cells] == null.tolist()
        known = pd.Series(cells)[~null]
        if frame[name].dtype.kind == "M":
            known = pd.to_datetime(known).astype(frame[name].dtype)
        assert known.tolist() == frame[name][~null].tolist()
    assert arrow["id"].null_count == 0
    assert arrow["ward"].null_count
    assert arrow["age"].null_count


# Balance --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("fraud=0.3", {"fraud = true": 300, "fraud = false": 700}),
        ("fraud", {"fraud = false": 500, "fraud = true": 500}),
        ("fraud = yes:0.25", {"fraud = true": 250, "fraud = false": 750}),
        ("ward", {"ward = ER": 250, "ward = ICU": 250, "ward = a, b": 250, "ward = x and y": 250}),
        ("ward=ICU:0.5,'a, b':0.1", {"ward = ICU": 500, "ward = a, b": 100, "ward: the rest": 400}),
        ("level=0.2", {"level = 2": 200, "level: the rest": 800}),
        ("`level`", {"level = 1": 500, "level = 2": 500}),
        ("fraud=1", {"fraud = true": 1_000}),
    ],
)
def test_shares_are_exact_and_rules_hold(model, text, wanted):
    order = model.order(1_000, balance=text)
    assert order.counts == wanted
    frame = model.sample(1_000, seed=3, balance=text, given=["crp > 0"])
    for label, count in wanted.items():
        name, _, value = label.partition(" = ")
        if value:
            value = int(value) if name == "level" else value
            assert (frame[name] == value).sum() == count
    assert (frame["crp"] > 0).all()
    assert all(rule.holds(frame).all() for rule in model.parsed_rules())
    # Groups are mixed, not one after the other: a run of 200 equal groups has no chance.
    column = frame[text.partition("=")[0].strip("` ")]
    if len(wanted) > 1:
        assert column[:200].nunique() > 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("height", "no column"),
        ("fraud=1.2", "between 0 and 1"),
        ("fraud=lots", "no share"),
        ("fraud=true:0.5,false:0.4", "add up to 1"),
        ("fraud=true:0.7,false:0.4", "more than 1"),
        ("fraud=true:0.5,1:0.1", "twice"),
        ("ward=0.3", "which value"),
        ("ward=morgue:0.3", "no category"),
        ("age", "name them"),
        ("age=old:0.3", "is none"),
        ("day=2024-01-01:0.3", "cannot be balanced"),
        ("id", "invented for each row"),
        ("ward=ICU:", "no share|cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_shares_that_cannot_be_are_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_balance(text, CODEC)


@given(
    st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=8),
    st.lists(st.integers(1, 500), min_size=1, max_size=8),
)
def test_rows_are_split_exactly(shares, sizes):
    shares = np.array(shares) / sum(shares)
    made = split_rows(shares, sizes)
    assert made.min() >= 0
    assert made.sum(axis=1).tolist() == sizes
    assert (np.abs(made.sum(axis=0) - shares * sum(sizes)) < 1 + 1e-6).all()


def test_a_condition_that_no_row_meets_is_refused(model):
    for texts in (["age > 200"], ["seen < day"], ["fraud = true", "age < 18"]):
        with pytest.raises(ConfigError, match="meet"):
            model.sample(50, seed=1, given=texts)


COLUMNS = ("ward", "site", "age", "dose", "in", "out", "id", "stay")
SIGNS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", "=>", "-", "is null")
VALUES = (
    "0.5", "1e400", "-1e308", "9" * 400, "1_000", "0x10", "nan", "inf", "ICU", "north", "dose", "0001-01-01",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2024-01-01T00:00:00+01:00", "99999-01-01",
)  # fmt: skip
MARKS = (" and ", "(", ")", ",", ":", "`", "'", '"', " ", "", "\x00", "é")
PIECES = (*COLUMNS, *SIGNS, *VALUES, *MARKS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_whatever_is_typed_is_an_order_or_one_sentence():
    chance = random.Random(20261130)
    sizes = np.array([attribute.size for attribute in codec().attributes])
    codes = (np.arange(64) % sizes[:, None]).astype(np.uint16)
    frame = codec().frame(codec().draw(codes, np.random.default_rng(0)))
    orders = 0
    for _ in range(4_000):
        plain = f"{chance.choice(COLUMNS)} {chance.choice(SIGNS)} {chance.choice(VALUES)}"
        text = chance.choice(
            (plain, plain, "".join(chance.choices(PIECES, k=6)), " ".join(chance.choices(PIECES, k=5)))
        )
        for asked in ({"given": [text]}, {"balance": text}):
            with suppress(PrivsynthError):
                order = place_order(codec(), 100, **asked)
                orders += 1
                for group in order.groups:
                    for clause in group.clauses:
                        clause.met(frame)
    assert orders > 100, "some of it can be read"


@pytest.mark.parametrize("text", ["ward{}x", "ward={}0.3", "ward=ICU{}:0.3", "ward=ICU:{}0.3", "{}ward=ICU:0.3"])
@pytest.mark.parametrize("spaces", [20_000, 200_000])
@pytest.mark.timeout(30)
def test_long_runs_of_spaces_take_no_time(text, spaces):
    """At 8,000 spaces the first took six seconds, and its time grew with their square."""
    for asked in ({"given": [text.format(" " * spaces)]}, {"balance": text.format(" " * spaces)}):
        with suppress(ConfigError):
            place_order(codec(), 100, **asked)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_leaves_the_calendar_in_utc_is_no_date(time):
    with pytest.raises(ConfigError, match="holds dates"):
        place_order(codec(), 100, given=[f"in >= {time}"])


@pytest.mark.parametrize(
    ("column", "true"),
    [
        (CategoryCodec("b", ("ja", "nein"), False, False), "ja"),
        (CategoryCodec("b", ("F", "T"), True, True), "T"),  # bought, so that it has OTHER
        (CategoryCodec("b", ("Oui", "Non"), False, False), "Oui"),
        (CategoryCodec("b", ("absent", "present"), False, False, boolean=True), "present"),
        (CategoryCodec("b", ("0", "1"), False, False, boolean=True), "1"),
    ],
)
def test_booleans_of_any_language_are_met_by_true_and_by_their_own_words(column, true):
    codec = TableCodec((column,))
    false = next(value for value in column.values if value != true)
    for value, words in ((true, ("true", "1", "yes", true)), (false, ("false", "0", "no", false))):
        for word in words:
            (clause,) = parse_clauses(f"b = {word}", codec)
            assert clause.literals == [value]
    for text in ("b=0.25", "b=1:0.25", f"b={true}:0.25"):
        assert parse_balance(text, codec)[0].label == f"b = {true}"


def test_two_categories_that_are_no_truth_values_are_met_by_their_own_words_alone():
    codec = TableCodec((CategoryCodec("sex", ("F", "M"), False, False),))
    with pytest.raises(ConfigError, match="no category"):
        parse_clauses("sex = true", codec)
    with pytest.raises(ConfigError, match="which value"):
        parse_balance("sex=0.3", codec)
