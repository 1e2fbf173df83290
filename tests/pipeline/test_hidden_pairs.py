"""What noise hides: pairs and columns, from tables that were paid for and numbers that are public."""

from __future__ import annotations

import numpy as np
import pytest
from release.noisy.made import AGE, AXES, SEX, WARD, counted, full, joined, rows_of, tables_of

from privsynth.codecs.contingency import Marginal
from privsynth.findings.usability import HiddenTie, Usability
from privsynth.pipeline.usability.hidden import hidden_column, hidden_pairs, rows_needed
from privsynth.pipeline.usability.outlook import CLEAR, LOST
from privsynth.release.noisy.tables import PublishedTables

OWNERS = {axis.name: axis.column or "admitted" for axis in AXES}
ROWS = 2_000


def bought(*marginals: Marginal, sigma: float = 10.0) -> PublishedTables:
    return tables_of(counted(rows_of(ROWS), marginals), marginals, None, sigma=sigma)


def hidden(tables: PublishedTables, n_rows: float = ROWS, **more) -> dict[str, HiddenTie]:
    _, found = hidden_pairs(tables, "", OWNERS, n_rows, **more)
    return {one.name: one for one in found}


def misplaced_by_noise(shape: tuple[int, ...], sigma: float, n_rows: float) -> float:
    """Return the mean distance that noise makes, by drawing it."""
    draws = np.random.default_rng(0).normal(0.0, sigma, (4_000, *shape))
    return float(np.abs(draws).reshape(4_000, -1).sum(axis=1).mean()) / 2 / n_rows


def test_the_noise_of_a_pair_is_what_noise_misplaces():
    sigma = 120.0
    found = hidden(bought(full(WARD, SEX), sigma=sigma))["ward × sex"]
    assert found.why == "noise"
    assert found.noise == pytest.approx(misplaced_by_noise((5, 3), sigma, ROWS), rel=0.01)
    assert found.rows == pytest.approx(ROWS * found.noise / CLEAR, rel=0.1)


def test_a_pair_is_hidden_above_the_limit_and_not_below():
    tables = bought(full(WARD, SEX), sigma=120.0)
    noise = hidden(tables)["ward × sex"].noise
    assert "ward × sex" in hidden(tables, ROWS * noise / LOST * 0.99)
    assert "ward × sex" not in hidden(tables, ROWS * noise / LOST * 1.01)


def test_a_table_of_three_columns_serves_its_pairs_and_the_least_noise_counts():
    three = misplaced_by_noise((5, 3), 60.0 * np.sqrt(6), ROWS)
    assert three > LOST
    assert hidden(bought(full(WARD, SEX, AGE), sigma=60.0))["ward × sex"].noise == pytest.approx(three, rel=0.02)
    both = bought(full(WARD, SEX, AGE), full(WARD, SEX), sigma=60.0)
    assert "ward × sex" not in hidden(both)


def test_groups_of_codes_have_less_noise():
    grouped = bought(joined(AGE, (0, 0, 0, 0, 0, 1), WARD), sigma=240.0)
    (fine,) = (one for one in hidden(bought(full(WARD, AGE), sigma=240.0)).values() if one.name == "ward × age")
    assert hidden(grouped)["ward × age"].noise == pytest.approx(misplaced_by_noise((5, 2), 240.0, ROWS), rel=0.02)
    assert hidden(grouped)["ward × age"].noise < fine.noise


def test_a_pair_without_a_table_is_named_with_what_a_usual_one_would_be():
    pairs, found = hidden_pairs(bought(full(WARD, SEX)), "", OWNERS, ROWS)
    assert pairs == 6
    named = {one.name: one for one in found}
    assert set(named) == {"ward × age", "sex × age", "ward × admitted·weekday", "sex × admitted·weekday"} | {
        "age × admitted·weekday"
    }
    assert {one.why for one in found} == {"passed over"}
    assert {one.rows for one in found} == {0}  # a table of each would have been clear at this number
    assert named["ward × age"].noise == pytest.approx(misplaced_by_noise((5, 6), 10.0, ROWS), rel=0.02)
    few = hidden(bought(full(WARD, SEX)), 500)["ward × age"]
    assert (few.why, few.rows) == ("not bought", rows_needed(few.noise, 500))


def test_pairs_of_targets_come_first_then_noise_then_the_worst():
    tables = bought(full(WARD, SEX), full(WARD, AGE), sigma=120.0)
    order = list(hidden(tables, first=("admitted",)))
    assert all("weekday" in name for name in order[:3])
    assert order[3:5] == ["ward × age", "ward × sex"]  # bought, and drowned; the larger table first
    assert order[5:] == ["sex × age"]


def test_two_parts_of_one_column_are_no_pair():
    owners = {**OWNERS, "admitted·weekday": "ward"}
    pairs, found = hidden_pairs(bought(full(WARD, SEX)), "", owners, ROWS)
    assert pairs == 5
    assert "ward × admitted·weekday" not in {one.name for one in found}


def test_a_generator_that_measures_no_pairs_has_none_to_name():
    assert hidden_pairs(bought(full(WARD), full(AGE)), "", OWNERS, ROWS) == (0, [])


def test_rows_that_resolve_are_rounded_up():
    assert rows_needed(0.6, 1_000) == 4_000
    assert rows_needed(0.601, 1_000) == 4_100
    assert hidden_column("ward", 1.7, 100).noise == 1.0
    assert hidden_column("ward", 0.0, 100).rows == 1


def test_what_several_tables_hide_is_joined_under_their_names():
    one = Usability(
        lost=("ward",), hidden_columns=(hidden_column("ward", 0.5, 100),), pairs=3, pairs_hidden=1,
        hidden_pairs=(HiddenTie(name="a × b", why="noise", noise=0.4, rows=200),),
    )  # fmt: skip
    both = Usability.joined([one.of_table("stays"), Usability(pairs=1).of_table("patients")])
    assert [hidden.name for hidden in (*both.hidden_columns, *both.hidden_pairs)] == ["stays: ward", "stays: a × b"]
    assert (both.pairs, both.pairs_hidden, both.count) == (4, 1, 1)
