"""Answers: the same as pandas' where there is no noise, refusals that help, and files that come back as they were."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from release.noisy.made import AGE, AXES, DAY, SEX, WARD, WARDS, full, joined, rows_of, tables_of

from privsynth.errors import ConfigError, SourceError
from privsynth.release.noisy.answer import answer, answer_from
from privsynth.release.noisy.estimate import NoisyCells, combined, linear, quantile, ratio
from privsynth.release.noisy.tables import CELLS, FACTS, CountedRows, PublishedTables

CODES = rows_of(20_000)
TABLES = tables_of(
    CODES, [full(WARD), full(SEX), full(AGE), full(WARD, AGE), full(WARD, SEX), full(SEX, AGE, DAY)], sigma=1e-6
)
FRAME = pd.DataFrame(
    {axis.name: pd.Series(np.array(axis.labels)[CODES[at]]).replace("missing", np.nan) for at, axis in enumerate(AXES)}
)
FRAME["age"] = pd.Series(np.array([*AXES[AGE].value, np.nan])[CODES[AGE]])


def values(question: str, tables: PublishedTables = TABLES, **options: object) -> dict[tuple[str, ...], float]:
    return {row.group: row.value for row in answer_from(tables, question, **options).rows}  # type: ignore[arg-type]


def test_without_noise_counts_shares_and_means_are_those_of_pandas():
    by_ward = FRAME.groupby("ward")
    assert values("count") == {(): pytest.approx(len(FRAME), abs=0.1)}
    assert values("count by ward") == {(w,): pytest.approx(n, abs=0.1) for w, n in by_ward.size().items()}
    assert values("share by sex") == {
        (s,): pytest.approx(share, abs=1e-4)
        for s, share in FRAME["sex"].fillna("missing").value_counts(normalize=True).items()
    }
    assert values("mean(age) by ward") == {(w,): pytest.approx(v, abs=1e-3) for w, v in by_ward["age"].mean().items()}
    assert values("sum(age) where sex = F")[()] == pytest.approx(FRAME.query("sex == 'F'")["age"].sum(), rel=1e-5)
    expected = FRAME.assign(old=FRAME["age"] >= 60).groupby("ward")["old"].mean()
    assert values("share(age >= 60) by ward") == {(w,): pytest.approx(v, abs=1e-4) for w, v in expected.items()}
    where = FRAME[(FRAME["admitted·weekday"] == "Sunday") & (FRAME["sex"] != "M") & FRAME["sex"].notna()]
    assert values("mean(age) where admitted.weekday = Sunday and sex != M")[()] == pytest.approx(where["age"].mean())
    two = FRAME.groupby(["ward", "sex"]).size()
    found = values("count by ward, sex")
    assert found["ent", "F"] == pytest.approx(two["ent", "F"], abs=0.1)
    assert len(found) == 4 * 3


def test_a_median_lies_in_the_bin_of_the_median():
    (row,) = answer_from(TABLES, "median(age) where sex = F").rows
    middle = FRAME.query("sex == 'F'")["age"].median()
    assert row.low is not None
    assert row.high is not None
    assert row.value is not None
    assert row.low <= middle <= row.high
    assert row.low <= row.value <= row.high


def test_the_bins_interval_holds_wherever_in_their_bins_the_amounts_lie():
    (row,) = answer_from(TABLES, "mean(age)").rows
    low, high = (np.array([*ends, np.nan])[CODES[AGE]] for ends in (AXES[AGE].low, AXES[AGE].high))
    assert row.bins_low == pytest.approx(np.nanmean(low), abs=1e-3)
    assert row.bins_high == pytest.approx(np.nanmean(high), abs=1e-3)


def test_an_open_bin_leaves_the_end_out():
    open_ = replace(AXES[AGE], high=(*AXES[AGE].high[:-1], math.inf))
    tables = replace(TABLES, axes={"": tuple(open_ if a is AXES[AGE] else a for a in AXES)})
    (row,) = answer_from(tables, "mean(age)").rows
    assert row.bins_high is None
    assert row.bins_low is not None


def test_tables_are_weighed_by_how_precise_they_are():
    rng = np.random.default_rng(5)
    noisy = tables_of(CODES, [full(WARD), full(WARD, SEX)], rng, sigma=10.0)
    (only,) = (
        r for r in answer_from(replace(noisy, tables=noisy.tables[:1]), "count by ward").rows if r.group == ("ent",)
    )
    (both,) = (r for r in answer_from(noisy, "count by ward").rows if r.group == ("ent",))
    assert only.high is not None
    assert only.low is not None
    assert both.high is not None
    assert both.low is not None
    # 1/10² against 1/10² + 1/(3·15²): the second table has three sexes, missing among them.
    wanted = 2 * 1.959964 / math.sqrt(1 / 10**2 + 1 / (3 * 15**2))
    assert both.high - both.low == pytest.approx(wanted, rel=1e-6)
    assert only.high - only.low == pytest.approx(2 * 1.959964 * 10, rel=1e-6)


def test_joined_values_are_told_apart_as_far_as_some_table_does():
    coarse = tables_of(CODES, [joined(WARD, (0, 1, 1, 1, 1), SEX)], sigma=1e-6)
    found = values("count by ward, sex", coarse)
    assert ("general medicine; ent; burns", "F") in found  # and not 'missing', which cannot occur
    with pytest.raises(ConfigError, match="join some of its values"):
        answer_from(coarse, "count by sex where ward = ent")
    assert values("count by sex where ward = surgery", coarse)["F",] == pytest.approx(
        ((CODES[WARD] == 0) & (CODES[SEX] == 0)).sum(), abs=0.1
    )


def test_strata_are_added_up():
    first, later = CODES[:, :5_000], CODES[:, 5_000:]
    one = tables_of(first, [full(WARD), full(WARD, SEX)], sigma=1e-6, stratum="first rows")
    two = tables_of(later, [full(WARD, AGE)], sigma=1e-6, stratum="later rows")
    both = replace(one, tables=(*one.tables, *two.tables))
    assert values("count by ward", both) == {
        key: pytest.approx(value, abs=0.1) for key, value in values("count by ward").items()
    }
    with pytest.raises(ConfigError, match=r"join some|no paid table"):
        answer_from(both, "count by ward, sex")  # later rows have no such table


def test_what_was_held_out_is_scaled_up_and_widens_the_interval():
    kept = CODES[:, np.random.default_rng(11).random(CODES.shape[1]) >= 0.1]
    tables = tables_of(kept, [full(WARD)], sigma=1e-6, holdout=0.1)
    for row in answer_from(tables, "count by ward").rows:
        truth = (CODES[WARD] == WARDS.index(row.group[0])).sum()
        assert row.low is not None
        assert row.high is not None
        assert row.low <= truth <= row.high
        assert row.high - row.low == pytest.approx(2 * 1.96 * math.sqrt(truth * 0.1 / 0.9), rel=0.3)


def test_sampling_widens_the_interval_to_that_of_statistics():
    (row,) = (r for r in answer_from(TABLES, "share by sex", sampling=True).rows if r.group == ("F",))
    assert row.value is not None
    assert row.high is not None
    assert row.low is not None
    wanted = 2 * 1.96 * math.sqrt(row.value * (1 - row.value) / CODES.shape[1])
    assert row.high - row.low == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("mean(age) by ward, sex", "no paid table holds ward × sex × age together.*nearest tables hold ward × age"),
        ("count by height", "counts 'height'.*counted are ward, sex, age"),
        ("count by admitted", "measured in parts; ask for admitted.weekday"),
        ("mean(ward)", "'ward' has no amounts"),
        ("count where ward = ICU", "no value 'ICU'; it has surgery"),
        ("count where ward > ent", "'ward' has no order"),
        ("count where age >= 50", "cuts through a bin \\(40 to 59\\)"),
        ("count where age >= old", "is compared with a number"),
        ("mean(age) by age", "cannot stand before it as well"),
        ("share(ward = ent) by ward", "cannot stand before it as well"),
    ],
)
def test_what_no_table_holds_is_refused_and_the_nearest_named(question, says):
    with pytest.raises(ConfigError, match=says):
        answer_from(TABLES, question)


def test_the_interval_of_a_ratio_with_a_lost_denominator_has_no_ends():
    cells = NoisyCells(np.array([3.0, 4.0]), np.array([100.0, 100.0]))
    found = ratio(cells, np.array([1.0, 0.0]), np.array([1.0, 1.0]), confidence=0.95)
    assert (found.low, found.high) == (-math.inf, math.inf)
    tables = tables_of(CODES, [full(WARD, SEX)], np.random.default_rng(0), sigma=1e5)
    assert all((r.low, r.high) == (0.0, 1.0) for r in answer_from(tables, "share(sex = F) by ward").rows)


def test_fiellers_interval_is_where_the_test_does_not_refuse():
    cells = NoisyCells(np.array([30.0, 70.0, 10.0]), np.array([9.0, 16.0, 4.0]))
    above, below = np.array([1.0, 0.5, 0.0]), np.array([1.0, 1.0, 0.0])
    found = ratio(cells, above, below, confidence=0.9)
    for r, inside in ((found.low, 1.0001), (found.high, 0.9999)):
        for factor, kept in ((inside, True), (2 - inside, False)):
            tried = linear(cells, above - r * factor * below, confidence=0.9)
            assert (tried.low <= 0 <= tried.high) == kept


def test_combined_estimates_weigh_by_inverse_variance():
    found = combined([NoisyCells(np.array([10.0]), np.array([1.0])), NoisyCells(np.array([20.0]), np.array([4.0]))])
    assert found.counts[0] == pytest.approx(12.0)
    assert found.variance[0] == pytest.approx(0.8)


def test_a_quantile_with_nothing_to_count_has_no_value():
    found = quantile(
        NoisyCells(np.array([-3.0, 1.0]), np.ones(2)),
        np.array([0.0, 5.0]),
        np.array([4.0, 9.0]),
        level=0.5,
        confidence=0.95,
    )
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0.0, 9.0)


def test_the_error_of_the_paid_number_of_rows_is_in_counts_of_weighed_rows():
    rows = CountedRows(
        max_rows_per_unit=3, holdout=0.0, beside=1.7, size_error=0.01, shift=0.08, mean_weight=0.7, least_weight=0.47
    )
    weighed = tuple(replace(table, scale_error=1e-9, mean_weight=0.7) for table in TABLES.tables)
    found = answer_from(replace(TABLES, rows={"": rows}, tables=weighed), "count")
    (row,) = found.rows
    assert row.high is not None
    assert row.low is not None
    assert 2 * 1.96 * 0.01 * 20_000 < row.high - row.low < 2.2 * 1.96 * 0.01 * 20_000 / 0.7
    assert "of up to 3 rows of each unit" in found.covers[0]
    assert (
        "figures add up to the paid number of training rows, not to the number of rows in the report" in found.covers[0]
    )
    assert "no table of these columns tells how many rows the unit has to undo it" in found.covers[-1]


def test_linked_tables_are_told_apart_by_their_columns():
    two = replace(
        TABLES,
        axes={"stays": AXES, "tests": AXES[:2]},
        rows={"stays": TABLES.rows[""], "tests": TABLES.rows[""]},
        tables=tuple(replace(table, data_table="stays") for table in TABLES.tables),
    )
    assert len(answer_from(two, "mean(age) by ward").rows) == 4
    with pytest.raises(ConfigError, match="several tables have what is asked for; choose one of stays, tests"):
        answer_from(two, "count by ward")
    assert len(answer_from(two, "count by ward", table="stays").rows) == 4
    with pytest.raises(ConfigError, match="there is no table 'x'"):
        answer_from(two, "count", table="x")


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def public(tmp_path):
    noisy = tables_of(CODES, [full(WARD), joined(WARD, (0, 1, 1, 1, 1), SEX, AGE)], np.random.default_rng(1))
    noisy.write(tmp_path, {"privsynth.label": "NOISY TABLES"})
    return tmp_path, noisy


def test_the_files_come_back_as_they_were(public):
    folder, noisy = public
    read = PublishedTables.read(folder)
    assert read.axes == noisy.axes
    assert read.rows == noisy.rows
    for one, other in zip(read.tables, noisy.tables, strict=True):
        assert (one.axes, one.label, one.noise_multiplier) == (other.axes, other.label, other.noise_multiplier)
        assert (one.counts == other.counts).all()
        assert (one.sigma == other.sigma).all()
    assert answer(folder, "count by ward") == answer_from(noisy, "count by ward")


def test_a_statistician_can_use_the_parquet_file_alone(public):
    folder, noisy = public
    cells = pd.read_parquet(folder / CELLS)
    one = cells[cells["counted"] == "ward"].set_index("cell_1")
    assert one.loc["ent", "count"] == noisy.tables[0].counts[2]
    assert one.loc["ent", "standard_deviation"] == 10.0
    assert one.loc["ent", "sensitivity"] == 1.0
    three = cells[cells["counted"] == "ward × sex × age"]
    assert len(three) == 2 * 3 * 6
    assert set(three["cell_1"]) == {"surgery", "general medicine; ent; burns; missing"}
    assert set(cells["a_row_counts"]) == {"each row counts one"}
    assert pq.read_metadata(folder / CELLS).metadata[b"privsynth.label"] == b"NOISY TABLES"


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("unit"),
        lambda facts: facts.update(version="1"),
        lambda facts: facts["tables"].pop(),
        lambda facts: facts["tables"][0].update(axes=[9]),
        lambda facts: facts["tables"][0].update(groups=[[0]]),
        lambda facts: facts["tables"][0].update(data_table="x"),
        lambda facts: facts["data_tables"][""]["axes"][0].update(never=[99]),
        lambda facts: facts["data_tables"][""]["axes"][2].update(low=[0, 1]),
        lambda facts: facts["data_tables"][""].update(holdout=2),
        lambda facts: facts["data_tables"].update({"": 5}),
    ],
)
def test_changed_files_are_refused_with_a_sentence(public, change):
    folder, _ = public
    facts = json.loads((folder / FACTS).read_text())
    change(facts)
    (folder / FACTS).write_text(json.dumps(facts))
    with pytest.raises(SourceError, match="verify it"):
        PublishedTables.read(folder)


def test_a_folder_without_tables_says_so(tmp_path):
    with pytest.raises(SourceError, match="holds no noisy tables"):
        answer(tmp_path, "count")
    with pytest.raises(SourceError, match="is no folder"):
        answer(tmp_path / "nowhere", "count")


def test_a_column_that_was_measured_from_another_is_asked_for_as_the_refusal_names_it():
    stay = replace(AXES[AGE], name="discharged·after admitted", column="")
    named = replace(TABLES, axes={name: (*axes[:AGE], stay, *axes[AGE + 1 :]) for name, axes in TABLES.axes.items()})
    with pytest.raises(ConfigError, match=r"counted are ward, sex, discharged\.after admitted"):
        answer_from(named, "mean(length_of_stay) by ward")
    with pytest.raises(ConfigError, match=r"measured in parts; ask for discharged\.after admitted$"):
        answer_from(named, "mean(discharged) by ward")
    for name in ("discharged.after admitted", "discharged·after admitted", "`discharged.after admitted`"):
        assert values(f"mean({name}) by ward", named) == values("mean(age) by ward")
    with pytest.raises(ConfigError, match=r"'wards'.*; did you mean 'ward'\? counted are"):
        answer_from(TABLES, "count by wards")


@pytest.mark.parametrize("part", ["officer", "public/model", "public/tables"])
def test_of_another_part_of_a_release_the_public_folder_is_named(tmp_path, part):
    (tmp_path / "public" / "tables").mkdir(parents=True)
    (tmp_path / part).mkdir(exist_ok=True)
    with pytest.raises(SourceError, match=rf"{part} is another part of a release; give the public folder: .*public$"):
        answer(tmp_path / part, "count")
