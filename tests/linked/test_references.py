"""References beside the parent: whose row they lead to, that they resolve, and that shares and distances come back."""

from __future__ import annotations

import copy
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linked.clinic import as_tables, learned, request_of
from linked.orders import SPEC as SHOP
from linked.ward import SPEC, ward

import privsynth
from privsynth.domain.linking import link_rows
from privsynth.errors import SourceError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked.audit import audited_tables
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.pipeline.linked.views import order_values, view_of
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.references import Aim, Placed
from privsynth.sampling.linked.saved import load_linked, save_linked
from privsynth.sampling.linked.written import written_frame, written_texts
from privsynth.schema.linked import LinkedSchema

QUICK = MarginalGenerator(FitSettings(components=128, max_steps=150))
SCHEMA = LinkedSchema.model_validate(SPEC)


def steps_of(frames, name="measurements", schema=SCHEMA):
    """Return the rows of a table as they are modelled."""
    tables = as_tables(frames)
    rows = link_rows(tables, schema, lambda table: order_values(tables[table], schema, table))
    view = view_of(schema, name, tables[name].take(rows[name].row), rows)
    return view.data.to_pandas()


def test_steps_lead_back_to_the_row_that_is_meant():
    frames = ward(300)
    measurements, visits = frames["measurements"], frames["visits"]
    steps = steps_of(frames)
    for at, row in measurements.iterrows():
        theirs = visits[(visits["person"] == row["person"]) & (visits["began"] <= row["taken"])]["visit"].tolist()
        assert pd.isna(steps["rows back to visit"][at]) == (row["visit"] is None)
        if row["visit"] is not None:
            assert theirs[-1 - int(steps["rows back to visit"][at])] == row["visit"]
    mine = measurements[measurements["amends"].notna()].index
    assert (steps["rows back to amends"].notna() == measurements["amends"].notna()).all()
    in_order = measurements.sort_values("taken", kind="stable")
    for at in mine:
        row = measurements.loc[at]
        theirs = in_order[in_order["person"] == row["person"]]["nr"].tolist()
        assert theirs[theirs.index(row["nr"]) - 1 - int(steps["rows back to amends"][at])] == row["amends"]


def test_what_leads_to_nobodys_another_persons_a_later_or_the_same_row_is_no_reference():
    frames = ward(100)
    measurements = frames["measurements"]
    first, other = measurements.iloc[0], measurements[measurements["person"] != measurements["person"][0]]
    theirs = frames["visits"][frames["visits"]["person"] != first["person"]]["visit"].iloc[0]
    measurements.loc[0, ["visit", "amends"]] = [theirs, first["nr"]]
    measurements.loc[1, ["visit", "amends"]] = ["nothing", other["nr"].iloc[-1]]
    steps = steps_of(frames)
    assert steps.loc[:1, ["rows back to visit", "rows back to amends"]].isna().all(axis=None)
    own = measurements[measurements["person"] == other["person"].iloc[0]].sort_values("taken", kind="stable")
    if len(own) > 1:
        measurements.loc[own.index[0], "amends"] = own["nr"].iloc[-1]
        assert pd.isna(steps_of(frames)["rows back to amends"][own.index[0]])


def test_of_another_persons_row_only_whether_there_is_one_counts():
    frames = ward(100)
    one = steps_of(frames, "transfers")
    frames["transfers"]["to_person"] = frames["transfers"]["to_person"].where(
        frames["transfers"]["to_person"].isna(), "whoever"
    )
    assert steps_of(frames, "transfers").equals(one)
    assert (one["to_person is given"].notna() == frames["transfers"]["to_person"].notna()).all()


@pytest.fixture(scope="module")
def release():
    model = learned(epsilon=30.0, frames=ward(), spec=SPEC, generator=QUICK)[0]
    drawn = draw_linked(model, 1_000, seed=3)
    return model, drawn, {name: written_frame(model, name, drawn, seed=3) for name in model.models}


def test_references_resolve_to_rows_of_the_same_person_and_never_in_a_circle(release):
    _, _, frames = release
    measurements, visits = frames["measurements"], frames["visits"]
    assert list(measurements) == ["nr", "person", "taken", "name", "visit", "amends"]
    owner = visits.set_index("visit")["person"]
    given = measurements[measurements["visit"].notna()]
    assert (owner[given["visit"]].to_numpy() == given["person"].to_numpy()).all()
    at = pd.Series(np.arange(len(measurements)), index=measurements["nr"])
    amending = measurements[measurements["amends"].notna()]
    assert len(amending) > 50
    assert (at[amending["amends"]].to_numpy() < amending.index.to_numpy()).all()
    amended = measurements.set_index("nr")["person"][amending["amends"]]
    assert (amended.to_numpy() == amending["person"].to_numpy()).all()


def test_shares_and_distances_come_back(release):
    _, drawn, frames = release
    real = ward()["measurements"]
    found = frames["measurements"]
    column = drawn["measurements"].rows.columns["rows back to visit"]
    assert column.null.mean() == pytest.approx(real["visit"].isna().mean(), abs=0.04)
    assert found["amends"].isna().mean() == pytest.approx(real["amends"].isna().mean(), abs=0.1)
    wanted = steps_of(ward())["rows back to visit"]
    assert (column.values[~column.null] == 0).mean() == pytest.approx((wanted.dropna() == 0).mean(), abs=0.04)


@pytest.mark.parametrize("may_be_empty", [True, False])
def test_no_step_back_leads_to_a_later_row_unless_there_is_no_other_and_it_may_not_be_empty(release, may_be_empty):
    model, drawn, frames = release
    if not may_be_empty:
        spec = copy.deepcopy(SPEC)
        spec["tables"]["measurements"]["columns"]["visit"] = {"kind": "id", "nullable": False}
        model = replace(model, schema=LinkedSchema.model_validate(spec))
    measurements, visits = written_frame(model, "measurements", drawn, seed=3), frames["visits"]
    began = visits.groupby("person")["began"].min().reindex(measurements["person"]).to_numpy()
    has = began <= measurements["taken"].to_numpy()
    told = drawn["measurements"].rows.columns["rows back to visit"]
    back = ~told.null & (told.values >= 0)
    assert (back & has).sum() > 500
    assert (back & ~has & ~np.isnat(began)).sum() > 100
    led = measurements["visit"].notna().to_numpy()
    to = visits.set_index("visit")["began"].reindex(measurements["visit"]).to_numpy()
    assert led[back & has].all()
    assert (to[back & has] <= measurements["taken"].to_numpy()[back & has]).all()
    if may_be_empty:
        assert not led[back & ~has].any()
    else:
        first = back & ~has & ~np.isnat(began)
        assert (to[first] == began[first]).all()


def test_another_person_is_one_of_the_release_and_never_oneself(release):
    _, _, frames = release
    transfers = frames["transfers"]
    given = transfers[transfers["to_person"].notna()]
    assert set(given["to_person"]) <= set(frames["persons"]["person"])
    assert (given["to_person"] != given["person"]).all()
    assert len(given) / len(transfers) == pytest.approx(ward()["transfers"]["to_person"].notna().mean(), abs=0.05)
    assert given["to_person"].nunique() > 0.3 * len(given)  # with equal chances, and not always the same


def test_texts_and_saved_models_refer_to_the_same_rows(release, tmp_path):
    model, drawn, frames = release
    save_linked(model, tmp_path)
    again = load_linked(tmp_path)
    for name in ("measurements", "transfers"):
        pd.testing.assert_frame_equal(written_frame(again, name, drawn, seed=3), frames[name])
        (texts,) = written_texts(model, name, drawn, seed=3)
        for column in set(SCHEMA.links(name)):
            assert texts[column].fillna("").tolist() == frames[name][column].fillna("").tolist()
    data = (tmp_path / "linked.json").read_text()
    (tmp_path / "linked.json").write_text(data.replace("rows back to visit", "rows back to nothing"))
    with pytest.raises(SourceError, match="lacks what its references are told by"):
        load_linked(tmp_path)


def test_a_database_gets_the_references_that_lead_to_earlier_tables(release, tmp_path):
    (tmp_path / "model").mkdir()
    save_linked(release[0], tmp_path / "model")
    privsynth.sample(tmp_path / "model", to=tmp_path / "ward.sqlite", rows=200, seed=5)
    with closing(sqlite3.connect(tmp_path / "ward.sqlite")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        found = {
            name: {row[2:5] for row in database.execute(f"PRAGMA foreign_key_list({name})")} for name in SPEC["tables"]
        }
        lost = "SELECT count(*) FROM measurements WHERE visit NOT IN (SELECT visit FROM visits)"
        assert database.execute(lost).fetchone() == (0,)
    assert found["transfers"] == {("persons", "person", "person"), ("persons", "to_person", "person")}
    assert found["measurements"] == {("persons", "person", "person")}  # it stands before the visits


def test_a_table_of_persons_refers_to_earlier_ones_and_to_rows_of_its_own():
    spec = copy.deepcopy(SPEC)
    spec["tables"] = {name: spec["tables"][name] for name in ("persons", "visits")}
    spec["tables"]["persons"]["refers_to"] = [
        {"table": "persons", "column": "mother", "whose": "another"},
        {"table": "visits", "column": "main_visit"},
    ]
    frames = {name: frame for name, frame in ward(400).items() if name in spec["tables"]}
    rng = np.random.default_rng(0)
    last = frames["visits"].groupby("person")["visit"].last()
    persons = frames["persons"]
    frames["persons"] = persons.assign(
        mother=np.where(rng.random(400) < 0.3, persons["person"].to_numpy()[::-1], None),
        main_visit=persons["person"].map(last).where(rng.random(400) < 0.8).astype(object),
    )
    model = learned(epsilon=30.0, frames=frames, spec=spec, generator=QUICK)[0]
    drawn = draw_linked(model, 300, seed=1)
    found, visits = (written_frame(model, name, drawn, seed=1) for name in ("persons", "visits"))
    at = pd.Series(np.arange(300), index=found["person"])
    given = found[found["mother"].notna()]
    assert len(given) > 30
    assert (at[given["mother"]].to_numpy() < given.index.to_numpy()).all()
    mine = found[found["main_visit"].notna()]
    assert len(mine) > 100
    assert (visits.set_index("visit")["person"][mine["main_visit"]].to_numpy() == mine["person"].to_numpy()).all()


def test_a_reference_that_shares_a_part_of_the_parents_key_leads_below_the_same_row():
    spec = copy.deepcopy(SHOP)
    spec["tables"]["lines"]["refers_to"] = [{"table": "lines", "columns": ["client", "order_no", "replaces"]}]
    schema = LinkedSchema.model_validate(spec)
    assert schema.shared("lines", schema.tables["lines"].refers_to[0]) == "orders"
    from linked.orders import shop

    frames = shop(300)
    lines = frames["lines"]
    frames["lines"] = lines.assign(replaces=(lines["line"] - 10).where(lines["line"] > 10).astype("Int64"))
    steps = steps_of(frames, "lines", schema)
    assert (steps["rows back to replaces"].dropna() == 0).all()
    assert (steps["rows back to replaces"].isna() == (lines["line"] == 10)).all()
    tables, keyed = as_tables(frames), KeyedFunction()
    request = request_of(schema, tables, 60.0, generator=QUICK)
    public = learn_linked(tables, request, GaussianMechanisms(Bill(request.plan.whole)), keyed)
    found = written_frame(public.model, "lines", public.drawn, seed=request.seed)
    given = found[found["replaces"].notna()]
    assert len(given) > 100
    keys = set(found[["client", "order_no", "line"]].itertuples(index=False, name=None))
    assert set(given[["client", "order_no", "replaces"]].itertuples(index=False, name=None)) <= keys
    assert (given["replaces"] < given["line"]).all()
    # Beside empty cells the numbers are the same numbers: the officer's audit finds what a recipient finds.
    faults = audited_tables(tables, public, request, keyed)[0].synthetic.faults
    assert faults["lines"].dangling == {"client, order_no, replaces": 0}
    assert [(one.orphans, one.repeated) for one in faults.values()] == [(None, 0), (0, 0), (0, 0), (0, None)]


TIMES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.0, float("nan")])), max_size=8)


@settings(max_examples=60, deadline=None)
@given(TIMES, TIMES, st.data())
def test_steps_are_undone_by_the_row_that_they_lead_to(own, other, data):
    def placed(rows):
        share = np.array([share for share, _ in rows], dtype=np.int64)
        return Placed(share, share, np.arange(len(rows)), np.array([time for _, time in rows], dtype=float))

    aim = Aim(placed(own), placed(other), 3, same=False)
    for at, (share, time) in enumerate(own):
        theirs = [i for i, row in enumerate(other) if row[0] == share]
        if not theirs:
            assert aim.target(np.zeros(len(own), dtype=np.int64))[at] == -1
            continue
        target = np.full(len(own), data.draw(st.sampled_from(theirs)))
        steps = aim.steps(target)
        assert aim.target(steps)[at] == target[at]
        not_later = [other[i][1] <= time or np.isnan(time) for i in theirs]
        assert (steps[at] < 0) <= (not any(not_later) or not (other[target[at]][1] <= time or np.isnan(time)))


def refused(table, **more):
    tables = copy.deepcopy(SPEC["tables"])
    tables["codes"] = {"reference": True, "key": "code"}
    tables[table] |= more
    return tables


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (refused("transfers", refers_to=[{"table": "persons", "column": "to_person"}]), "a row of another person"),
        (
            refused("visits", refers_to=[{"table": "codes", "column": "sort"}]),
            "is public: such a column",
        ),
        (refused("visits", refers_to=[{"table": "wards", "column": "sort"}]), "is no table of the schema"),
        (refused("visits", refers_to=[{"table": "transfers", "column": "sort"}]), "whose key has 0 columns"),
        (refused("visits", refers_to=[{"table": "measurements", "column": "person"}]), "needs columns of its own"),
        (refused("visits", refers_to=[{"table": "measurements", "column": "visit"}]), "'visit' is part of the key"),
        (refused("codes", refers_to=[{"table": "visits", "column": "x"}]), "refers to nothing"),
    ],
)
def test_references_that_cannot_be_are_refused(tables, sentence):
    with pytest.raises(ValueError, match=sentence):
        LinkedSchema.model_validate({"tables": tables})
