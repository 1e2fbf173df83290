"""What is bought of a column, and what becomes of it: facts from votes, cells from trees and frequent values."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from buying import codecs_of, dimension, leaves_of
from buying import facts_of as table_facts
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs import parse
from privsynth.codecs.bins import Bins
from privsynth.codecs.column_facts import ColumnFacts, decide, needs_votes
from privsynth.codecs.parsed_table import parse_table
from privsynth.domain.layout import lay_out
from privsynth.domain.numbers.build_bins import build_bins
from privsynth.domain.numbers.open_dimensions import declared_steps
from privsynth.domain.numbers.quantile_tree import Dimension, Leaves, levels_of
from privsynth.errors import SchemaError
from privsynth.schema import Column, Schema
from privsynth.schema.calculations import read_calculation
from privsynth.table import Table

DAY = 86_400.0


def facts_of(values: list, physical: pa.DataType | None = None, **declared) -> ColumnFacts:
    table = Table(pa.table({"x": pa.array(values, physical or pa.string())}))
    schema = Schema.model_validate({"columns": {"x": declared or None}})
    return table_facts(table, schema, ExactMechanisms(), mu_squared=100.0)["x"]


@pytest.mark.parametrize(
    ("values", "kind", "precision", "extra"),
    [
        (["1,5", "2,25", "3"] * 300, "numeric", 0.01, {"decimal": ","}),
        (["1.5", "2", "3.5"] * 300, "numeric", 0.1, {"decimal": "."}),
        (["1", "2", "", "NA"] * 300, "integer", 1.0, {}),
        (["007", "012", "113"] * 300, "categorical", 1.0, {}),
        (["12", "abc"] * 300, "categorical", 1.0, {}),
        (["12"] * 950 + ["abc"] * 50, "integer", 1.0, {}),
        (["31/12/2024", "01/02/2024"] * 300, "date", DAY, {"format": "%d/%m/%Y"}),
        (["29.02.2024", "1.2.2024"] * 300, "date", DAY, {"format": "%d.%m.%Y"}),
        (["29.02.2024 07:45:01", "1.2.2024 8:00:00"] * 300, "datetime", 1.0, {"format": "%d.%m.%Y %H:%M:%S"}),
        (["12/31/2024", "01/02/2024"] * 300, "date", DAY, {"format": "%m/%d/%Y"}),
        (["31/12/2024 10:30", "01/02/2024 11:00"] * 300, "datetime", 60.0, {"format": "%d/%m/%Y %H:%M"}),
        (["2024-01-01", "2024-05-17"] * 300, "date", DAY, {"format": None}),
        (["2024-01-01T10:00", "2024-05-17T11:30"] * 300, "datetime", 60.0, {"format": None}),
        (["2024-01-01T10:00:05"] * 600, "datetime", 1.0, {"format": None}),
        (["yes", "no"] * 300, "categorical", 1.0, {}),
        (["true", "false"] * 300, "boolean", 1.0, {}),
        (["true", "false", ""] * 200, "boolean", 1.0, {}),
        (["true", "false", "unknown"] * 200, "categorical", 1.0, {}),
        (["true"] * 1_900 + ["unknown"] * 100, "categorical", 1.0, {}),
        ([""] * 600, "categorical", 1.0, {}),
        ([], "categorical", 1.0, {}),
    ],
)  # fmt: skip
def test_facts_that_votes_decide(values, kind, precision, extra):
    found = facts_of(values)
    assert (found.kind, found.precision, found.provenance) == (kind, precision, "bought")
    for name, value in extra.items():
        assert getattr(found, name) == value


def test_integers_that_nulls_made_floats_are_integers():
    assert facts_of([1.0, None, 40.0] * 200, pa.float64()).kind == "integer"
    assert facts_of([1.5, None, 40.0] * 200, pa.float64()).precision == 0.1


def test_typed_containers_say_booleans_and_times():
    assert facts_of([True, None], pa.bool_()) == ColumnFacts(kind="boolean", provenance="fixed")
    assert facts_of([0, 10**6 * 86_400] * 300, pa.timestamp("us")).kind == "date"


def test_what_is_declared_is_not_bought():
    mechanisms = ExactMechanisms()
    table = Table(pa.table({"a": ["1"], "b": ["x"], "c": ["2024-01-01"]}))
    schema = Schema.model_validate(
        {"columns": {"a": {"kind": "numeric", "precision": 0.5}, "b": {"kind": "categorical"}, "c": {"kind": "date"}}}
    )
    found = table_facts(table, schema, mechanisms, mu_squared=1.0)
    assert mechanisms.calls == []
    assert found["a"] == ColumnFacts(kind="numeric", precision=0.5)
    assert not needs_votes(Column(), pa.bool_())
    assert needs_votes(Column(), pa.string())
    assert needs_votes(Column(kind="datetime"), pa.string())


def test_a_declared_kind_stands_whatever_the_cells_look_like():
    found = facts_of(["abc"] * 500, kind="numeric")
    assert (found.kind, found.precision) == ("numeric", 0.01)
    assert facts_of(["1,25"] * 500, kind="numeric") == ColumnFacts(kind="numeric", precision=0.01, decimal=",")


@settings(max_examples=50)
@given(st.lists(st.integers(-50, 500), min_size=parse.N_VOTES, max_size=parse.N_VOTES), st.floats(0.1, 100))
def test_any_noisy_votes_decide_something_that_can_be_used(votes, sigma):
    found = decide(np.array(votes, dtype=float), sigma)
    assert found.precision > 0
    assert found.kind in ("categorical", "boolean", "integer", "numeric", "date", "datetime")
    assert (found.kind == "date") == (found.precision == DAY)


def test_noise_alone_is_never_taken_for_a_column_of_numbers():
    rng = np.random.default_rng(3)
    kinds = {decide(rng.normal(0, 5, parse.N_VOTES), 5.0).kind for _ in range(300)}
    assert kinds == {"categorical"}


# Trees and cells ----------------------------------------------------------------------------------------------------


def tile(low: np.ndarray, high: np.ndarray) -> bool:
    return bool((low[1:] == high[:-1] + 1).all() and (low <= high).all())


bounds = st.none() | st.integers(-(10**6), 10**6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(-(10**6), 10**6), max_size=60), bounds, bounds), min_size=1, max_size=3),
    st.integers(0, 5),
)
def test_leaves_tile_the_line_and_cost_the_stated_levels(columns, seed):
    lines = []
    for at, (values, a, b) in enumerate(columns):
        low, high = (min(a, b), max(a, b)) if a is not None and b is not None else (a, b)
        lines.append(dimension(f"x{at}", np.array(values, dtype=np.int64), low, high))
    mechanisms = RecordingMechanisms(seed)
    trees = leaves_of(lines, mechanisms, unit_weight=2, mu_squared=8.0, split_above=1.0, n_rows=60.0)
    for (line, _), leaves in zip(lines, trees, strict=True):
        assert tile(leaves.low, leaves.high)
        assert leaves.low[0] == (line.low if line.low is not None else -parse.GRID_LIMIT)
        assert leaves.high[-1] == (line.high if line.high is not None else parse.GRID_LIMIT)
        assert len(leaves.weight) == len(leaves.low)
    spent = [call.public[3] for call in mechanisms.calls]
    assert len(spent) <= levels_of([line for line, _ in lines], n_rows=60.0, noise=2 * math.sqrt(len(lines) / 8.0))
    assert math.fsum(spent) <= 8.0 * (1 + 1e-12)
    exact = 2 * math.sqrt(len(lines))
    assert all(exact <= call.l2_sensitivity <= exact * (1 + 1e-10) for call in mechanisms.calls)


def test_exact_leaves_count_every_value_once():
    rng = np.random.default_rng(0)
    values = rng.lognormal(8, 2, 5_000).astype(np.int64)
    (leaves,) = leaves_of([dimension("x", values)], ExactMechanisms(), mu_squared=1e6, split_above=50, n_rows=5e3)
    assert leaves.weight.sum() == 5_000
    # Heavy leaves are only those that can be cut no further.
    assert leaves.weight[leaves.high - leaves.low > 2**6].max() <= 50


@st.composite
def partitions(draw) -> tuple[Bins, np.ndarray, np.ndarray]:
    cuts = sorted(draw(st.sets(st.integers(-500, 500), min_size=2, max_size=12)))
    low, high = np.array(cuts[:-1]), np.array(cuts[1:]) - 1
    weight = draw(st.lists(st.floats(-5, 50), min_size=len(low), max_size=len(low)))
    inside = st.dictionaries(st.integers(cuts[0] - 3, cuts[-1] + 3), st.floats(-1, 90), max_size=6)
    noise = np.full(len(low), draw(st.floats(0, 20)))
    made = build_bins(Leaves(low, high, np.array(weight), noise), draw(inside), target=draw(st.floats(1, 60)))
    return made, low, high


@settings(max_examples=80, deadline=None)
@given(partitions(), st.integers(0, 10))
def test_number_cells_partition_the_line(made, seed):
    number_cells, low, high = made
    assert tile(number_cells.seg_low, number_cells.seg_high)
    assert (number_cells.seg_low[0], number_cells.seg_high[-1]) == (low[0], high[-1])
    assert number_cells.lows[0] == low[0]
    assert (np.diff(number_cells.lows) > 0).all()
    everything = np.arange(low[0], high[-1] + 1)
    codes = number_cells.encode(everything)
    assert set(codes.tolist()) == set(range(number_cells.size))
    assert (np.diff(codes) >= 0).all()
    # What is drawn in a cell lies in it, and within the line.
    drawn = number_cells.decode(codes, np.random.default_rng(seed))
    assert (number_cells.encode(drawn) == codes).all()
    assert drawn.min() >= low[0]
    assert drawn.max() <= high[-1]
    assert number_cells.encode(np.array([-(2**52), 2**52])).tolist() == [0, number_cells.size - 1]


def test_a_heavy_atom_is_a_cell_of_its_own_and_keeps_its_share():
    low, high = np.array([0, 50]), np.array([49, 99])
    leaves = Leaves(low, high, np.array([100.0, 100.0]), np.full(2, 5.0))
    made = build_bins(leaves, {0: 400.0, 40: 300.0}, target=100.0)
    for atom in (0, 40):
        code = made.encode(np.array([atom]))
        assert (made.encode(np.array([atom - 1, atom + 1])) != code).tolist() == [atom > 0, True]
        assert (made.decode(np.repeat(code, 50), np.random.default_rng(0)) == atom).all()


def test_integers_of_a_wide_cell_are_drawn_evenly_by_segment():
    made = Bins(np.array([0]), np.array([0, 100]), np.array([99, 199]), np.array([30.0, 10.0]))
    drawn = made.decode(np.zeros(40_000, dtype=int), np.random.default_rng(1))
    assert abs((drawn < 100).mean() - 0.75) < 6 * math.sqrt(0.75 * 0.25 / 40_000)


# Layout and declared bounds -----------------------------------------------------------------------------------------


def test_bounds_lie_on_the_grid_inside_what_was_declared():
    def steps(low, high, precision, kind="numeric"):
        schema = Schema.model_validate({"columns": {"x": {"kind": kind, "minimum": low, "maximum": high}}})
        return declared_steps(schema, "x", ColumnFacts(kind=kind, precision=precision))

    assert steps(0.05, 0.95, 0.1) == (1, 9)
    assert steps(0.3, 0.7, 0.1) == (3, 7)
    assert steps(-0.3, 2.1, 0.1) == (-3, 21)
    assert steps(0.2, 0.8, 1.0) == (0, 0)
    assert steps(-1e300, 1e300, 0.01) == (-parse.GRID_LIMIT, parse.GRID_LIMIT)
    assert steps("1970-01-02T12:00", "1970-01-04T12:00", DAY, "date") == (2 * 86_400, 3 * 86_400)


def layout(columns: dict, rules: list[str], unit: str = "row"):
    schema = Schema.model_validate({"columns": columns, "rules": rules})
    facts = {
        name: ColumnFacts(
            kind=(column or {}).get("kind") or "categorical", precision=(column or {}).get("precision") or 1.0
        )
        for name, column in columns.items()
    }
    return lay_out(list(columns), schema, facts, unit)


def test_what_becomes_of_each_column():
    number = {"kind": "integer"}
    made = layout(
        {
            "id": {"kind": "id"},
            "note": {"kind": "text"},
            "c": number,
            "b": number,
            "a": number,
            "d": number,
            "who": None,
        },
        ["c >= b", "b >= a", "d = c - a"],
        unit="who",
    )
    assert made.names == ("id", "c", "b", "a", "d", "who")
    assert list(made.dropped) == ["note"]
    assert set(made.invented) == {"id", "who"}
    assert made.bases == {"c": "b", "b": "a"}
    assert made.modelled == ("a", "b", "c")
    assert made.derived == {"d": read_calculation("c - a")}


def test_rules_in_a_circle_do_not_hang():
    number = {"kind": "integer"}
    made = layout({"a": number, "b": number, "c": number}, ["a >= b", "b >= c", "c >= a"])
    assert set(made.modelled) == {"a", "b", "c"}
    assert len(made.bases) == 2


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"d": {"kind": "integer"}, "a": {"kind": "integer"}, "b": {"kind": "date"}}, "d = a - b"),
        ({"d": {"kind": "integer"}, "a": {"kind": "text"}, "b": {"kind": "text"}}, "d = a - b"),
        ({"d": {"kind": "text"}, "a": {"kind": "integer"}, "b": {"kind": "integer"}}, "d = a - b"),
        ({"d": {"kind": "integer"}, "a": {"kind": "id"}, "b": {"kind": "integer"}}, "d = a - b"),
    ],
)
def test_differences_that_make_no_sense_are_refused(columns, rule):
    with pytest.raises(SchemaError, match="rule 'd = a - b'"):
        layout(columns, [rule])


@pytest.mark.parametrize("bad", [{"high": {"maximum": 5}, "low": {"minimum": 10}}])
def test_bounds_that_contradict_a_rule_do_not_stop_a_run(bad):
    schema = Schema.model_validate(
        {"columns": {n: {"kind": "integer", **bad[n]} for n in ("low", "high")}, "rules": ["high >= low"]}
    )
    table = Table(pa.table({"low": ["10", "12"] * 20, "high": ["3", "5"] * 20}))
    mechanisms = ExactMechanisms()
    facts = table_facts(table, schema, mechanisms, mu_squared=1.0)
    made = lay_out(table.names, schema, facts, "row")
    parsed = parse_table(table, schema, facts, made.modelled)
    codecs = codecs_of(parsed, schema, facts, mechanisms, n_rows=40.0, mu_squared=1.0, delta=1e-6, bins=4)
    assert [codec.name for codec in codecs] == ["low", "high"]


def test_a_date_above_a_datetime_is_learned_in_days():
    """The base has a precision of its own: 60 seconds, where the column above it counts days."""
    rng = np.random.default_rng(4)
    start = np.datetime64("2024-01-01T08:30") + rng.integers(0, 300, 2_000) * np.timedelta64(1, "D")
    later = rng.integers(0, 6, 2_000)
    table = Table(
        pa.table(
            {
                "in": [str(t) for t in start],
                "out": [str(d) for d in start.astype("datetime64[D]") + later],
            }
        )
    )
    schema = Schema.model_validate(
        {"columns": {"in": {"kind": "datetime", "precision": 60}, "out": {"kind": "date"}}, "rules": ["out >= in"]}
    )
    mechanisms = ExactMechanisms()
    facts = table_facts(table, schema, mechanisms, mu_squared=1.0)
    made = lay_out(table.names, schema, facts, "row")
    parsed = parse_table(table, schema, facts, made.modelled)
    codecs = codecs_of(parsed, schema, facts, mechanisms, n_rows=2_000.0, mu_squared=1e4, delta=1e-6, bins=32)
    days = codecs[1].days  # type: ignore[attr-defined]
    assert days.encode(np.arange(7)).tolist()[:6] == sorted(set(days.encode(np.arange(6)).tolist()))


@pytest.mark.parametrize(("precision", "last"), [(60, 9 * 86_400 + 86_340), (86_400, 10 * 86_400)])
def test_how_far_a_time_lies_above_another_keeps_the_bound_of_the_column_that_says_so(precision, last):
    """Ten days at most, of which nothing else is known; a range of years holds no more."""
    rng = np.random.default_rng(4)
    start = np.datetime64("2024-01-01T00:00") + rng.integers(0, 300, 2_000) * np.timedelta64(1, "D")
    kind = {"kind": "date" if precision == 86_400 else "datetime", "minimum": "2020-01-01", "maximum": "2029-12-31"}
    schema = Schema.model_validate(
        {
            "columns": {
                **{n: kind | ({"precision": 60} if kind["kind"] == "datetime" else {}) for n in ("in", "out")},
                "days": {"kind": "numeric", "minimum": 0, "maximum": 10, "precision": 0.1},
            },
            "rules": ["out >= in", "days = out - in"],
        }
    )
    length = 16 if precision == 60 else 10
    stay = rng.integers(0, 40, 2_000) * np.timedelta64(1, "D")
    texts = {n: [str(t)[:length] for t in times] for n, times in (("in", start), ("out", start + stay))}
    table = Table(pa.table({**texts, "days": ["0.0"] * 2_000}))
    mechanisms = ExactMechanisms()
    facts = table_facts(table, schema, mechanisms, mu_squared=1.0)
    made = lay_out(table.names, schema, facts, "row")
    parsed = parse_table(table, schema, facts, made.modelled)
    codecs = codecs_of(parsed, schema, facts, mechanisms, n_rows=2_000.0, mu_squared=1e4, delta=1e-6, bins=32)
    (above,) = [codec for codec in codecs if codec.name == "out"]
    _, most = above.scale.ends(above.days.seg_low[-1:], above.days.seg_high[-1:])  # type: ignore[attr-defined]
    assert most[0] <= last + 86_400
    assert above.scale.days(above.days.seg_high)[-1] == last // 86_400  # type: ignore[attr-defined]


def test_open_lines_end_where_the_noise_begins():
    """Without declared bounds, noise in the empty stretches up to 2**52 must not become rows."""
    rng = np.random.default_rng(11)
    values = rng.normal(40, 12, 3_000).astype(np.int64)
    mechanisms = RecordingMechanisms(11)
    (leaves,) = leaves_of([dimension("x", values)], mechanisms, mu_squared=0.02, split_above=20, n_rows=3e3)
    kept = leaves.trimmed(None, None, [])
    assert tile(kept.low, kept.high)
    assert -100 < kept.low[0] <= 40 <= kept.high[-1] < 200
    wide = leaves.trimmed(None, None, [-9_999, 10**9])
    assert (wide.low[0], wide.high[-1]) == (-9_999, 10**9)
    assert tile(wide.low, wide.high)
    declared = leaves.trimmed(-parse.GRID_LIMIT, parse.GRID_LIMIT, [])
    assert np.array_equal(declared.low, leaves.low)
    assert np.array_equal(declared.high, leaves.high)


def test_rows_that_stood_clear_before_a_node_was_halved_are_kept():
    """Halved again and again, no leaf stands clear any more; a leaf of noise far away must not pass for the column.

    Stated false-alarm rate: a node of twenty standard deviations is not missed; a leaf of noise reaches four of
    them in fewer than one line of fifty, and would have to stand where it widens a range, not where it moves one.
    """
    values = np.random.default_rng(2).normal(750, 140, 2_300).astype(np.int64)
    for seed in range(100):
        (leaves,) = leaves_of(
            [dimension("x", values)],
            RecordingMechanisms(seed),
            mu_squared=12 / 100**2,
            split_above=24,
            n_rows=2300.0,
        )
        kept = leaves.trimmed(None, None, [])
        assert np.mean((values >= kept.low[0]) & (values <= kept.high[-1])) > 0.6


def test_a_line_on_which_nothing_stands_out_still_has_a_leaf():
    (leaves,) = leaves_of(
        [dimension("x", np.zeros(0, np.int64))],
        RecordingMechanisms(1),
        mu_squared=0.01,
        split_above=5,
        n_rows=0.0,
    )
    kept = leaves.trimmed(None, None, [])
    assert len(kept.low) >= 1
    assert tile(kept.low, kept.high)


def test_a_line_whose_rows_are_all_frequent_values_ends_at_them():
    """A constant, or a flag of 0 and 1: the noise around it must not become rows.

    A node of noise is likely in one line of forty: of 40 seeded draws (always the same ones) at most 4 may be wider.
    """
    wide = 0
    for seed in range(40):
        (leaves,) = leaves_of(
            [dimension("x", np.zeros(0, np.int64))],
            RecordingMechanisms(seed),
            mu_squared=0.02,
            split_above=40,
            n_rows=0.0,
        )
        kept = leaves.trimmed(None, None, [0, 1])
        wide += (kept.low[0], kept.high[-1]) != (0, 1)
        half = leaves.trimmed(None, parse.GRID_LIMIT, [0, 1])
        assert half.high[-1] == parse.GRID_LIMIT
    assert wide <= 4


@pytest.mark.parametrize(("kind", "sigma", "n"), [(parse.DATE_ISO, 7.0, 2_000), (parse.EITHER_FIRST, 30.0, 10_000)])
def test_noise_does_not_give_a_date_a_clock(kind, sigma, n):
    """Stated false-alarm rate: three sums above 4.5 standard deviations have 1e-5 each; 400 draws allow none."""
    rng = np.random.default_rng(5)
    votes = np.zeros(parse.N_VOTES)
    votes[kind] = n
    for _ in range(400):
        assert decide(votes + rng.normal(0, sigma, parse.N_VOTES), sigma).kind == "date"


def test_many_small_noises_are_no_minority():
    """36,000 integers at a deviation of 434 (ε = 0.3): P(one of the other classes beyond 9 σ) is nothing."""
    rng = np.random.default_rng(0)
    votes = np.zeros(parse.N_VOTES)
    votes[parse.NUMBER] = 36_000
    for _ in range(500):
        assert decide(votes + rng.normal(0, 434, parse.N_VOTES), 434.0).kind in ("integer", "numeric")
    mixed = votes.copy()
    mixed[parse.TEXT] = 9_000  # a fifth of the cells are no numbers
    for _ in range(500):
        assert decide(mixed + rng.normal(0, 434, parse.N_VOTES), 434.0).kind == "categorical"


def test_noise_in_other_votes_costs_no_column_its_kind():
    """Of 4,000 columns at 24 standard deviations none is lost to a minority that is noise; true rate under 2e-5."""
    rng = np.random.default_rng(5)
    sigma, lost = 100.0, 0
    for kind in (parse.NUMBER, parse.NUMBER + 2, parse.DATE_ISO):
        votes = np.zeros(parse.N_VOTES)
        votes[kind] = 24 * sigma
        lost += sum(decide(votes + rng.normal(0, sigma, len(votes)), sigma).kind == "categorical" for _ in range(1_333))
    assert lost == 0


def test_times_of_two_months_that_nobody_bounded_keep_to_them():
    """The weeks of a column are cut finely where tables of today lie, also with the noise of a small budget."""
    weeks = np.random.default_rng(0).integers(2838, 2847, 20_000)
    mechanisms = RecordingMechanisms(3)
    line = dimension("x", weeks, weeks=True)
    (leaves,) = leaves_of([line], mechanisms, mu_squared=0.01, split_above=200, n_rows=2e4)
    held = leaves.trimmed(None, None, [])
    assert held.low[0] >= 2838 - 32
    assert held.high[-1] <= 2847 + 32
    inside = (held.low >= 2836) & (held.high <= 2848)
    assert held.weight[inside].sum() > 0.9 * held.weight.sum()


def test_the_first_level_of_weeks_tiles_the_line_too():
    low, high = Dimension("x", weeks=True).roots()
    assert tile(low, high)
    assert (low[0], high[-1]) == (-parse.GRID_LIMIT, parse.GRID_LIMIT)
    assert ((high - low)[(low >= 1024) & (low < 4096)] == 31).all()
