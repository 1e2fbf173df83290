"""Persons that are learned and drawn: ties within rows, to the person, to the row before and two tables down."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from linked.clinic import SPEC, clinic, learned

from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.model import count_column
from privsynth.schema.linked import LinkedSchema


@pytest.fixture(scope="module")
def release():
    model, bill = learned()
    drawn = draw_linked(model, model.n_persons, seed=1)
    frames = {name: model.codecs[name].frame(table.rows) for name, table in drawn.items()}
    return model, bill, drawn, frames


def test_the_bill_holds_all_tables_and_no_more_than_the_budget(release):
    _, bill, _, _ = release
    assert bill.epsilon_spent() <= 100.0
    assert bill.epsilon_spent() > 85.0  # what one table leaves, later ones spend
    assert {spend.part.split("/")[0] for spend in bill.spends} == {"patients", "stays", "tests"}


def test_persons_and_numbers_of_rows_come_back(release):
    _, _, drawn, _ = release
    real = clinic()
    assert drawn["patients"].n_rows == pytest.approx(3_000, abs=20)
    wanted = real["stays"].groupby("patient").size().value_counts() / 3_000
    found = pd.Series(np.bincount(drawn["stays"].parent)).value_counts() / drawn["patients"].n_rows
    for n in range(1, 4):
        assert found[n] == pytest.approx(wanted[n], abs=0.03)


def test_every_row_has_a_row_above_and_as_many_below_as_it_says(release):
    _, _, drawn, _ = release
    for child, parent in (("stays", "patients"), ("tests", "stays")):
        counts = np.bincount(drawn[child].parent, minlength=drawn[parent].n_rows)
        assert (counts <= drawn[parent].children(child)).all()
        assert (drawn[child].person == drawn[parent].person[drawn[child].parent]).all()
    assert (
        np.bincount(drawn["tests"].parent, minlength=drawn["stays"].n_rows) == drawn["stays"].children("tests")
    ).all()
    assert count_column("tests") in drawn["stays"].rows.columns


def test_rules_over_tables_hold_in_every_row(release):
    _, _, drawn, frames = release
    sex = frames["patients"]["sex"].to_numpy()[drawn["stays"].parent]
    assert not ((sex == "M") & (frames["stays"]["ward"] == "obstetrics")).any()
    born = frames["patients"]["born"].to_numpy()[drawn["stays"].parent]
    assert (frames["stays"]["admitted"].to_numpy() >= born).all()


def test_histories_are_in_order_and_gaps_are_those_of_the_real_ones(release):
    _, _, drawn, frames = release
    stays = frames["stays"].assign(person=drawn["stays"].person)
    gaps = stays.groupby("person")["admitted"].diff().dropna().dt.days
    assert (gaps >= 0).all()
    assert gaps.mean() == pytest.approx(74.5, abs=6)
    assert (gaps < 25).mean() < 0.1  # no real one is below 30


def test_the_next_row_follows_from_the_row_before(release):
    _, _, drawn, frames = release
    stays = frames["stays"].assign(person=drawn["stays"].person)
    same = stays["ward"].astype(str).eq(stays.groupby("person")["ward"].shift().astype(str))
    later = stays.groupby("person").cumcount() > 0
    real = clinic()["stays"]
    real_same = real["ward"].eq(real.groupby("patient")["ward"].shift())[real.groupby("patient").cumcount() > 0].mean()
    assert same[later].mean() == pytest.approx(real_same, abs=0.06)


def test_rows_two_tables_down_follow_from_the_row_above(release):
    _, _, drawn, frames = release
    ward = frames["stays"]["ward"].to_numpy()[drawn["tests"].parent]
    tests = frames["tests"]
    assert (tests["name"][ward == "obstetrics"] == "hcg").mean() > 0.93
    assert (tests["name"][ward != "obstetrics"] == "hcg").mean() < 0.03
    assert tests["value"][tests["name"] == "hcg"].mean() == pytest.approx(15, abs=1.5)


def test_the_same_seed_draws_the_same_persons(release):
    model, _, drawn, _ = release
    again = draw_linked(model, model.n_persons, seed=1)
    for name, table in drawn.items():
        assert np.array_equal(table.codes, again[name].codes)
        for column, values in table.rows.columns.items():
            assert np.array_equal(values.values, again[name].rows.columns[column].values)


def test_tables_are_learned_parents_first():
    schema = LinkedSchema.model_validate({"tables": dict(reversed(SPEC["tables"].items()))})
    assert schema.modelled == ("patients", "stays", "tests")
    assert schema.ancestors("tests") == ("patients", "stays")
