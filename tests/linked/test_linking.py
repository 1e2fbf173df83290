"""Which person each row belongs to, and what comes before it: against a naive twin, and one person at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linked.clinic import SPEC, as_tables, clinic

from privsynth.domain.linking import People, link_rows, number_of_children
from privsynth.pipeline.linked.learn import order_values
from privsynth.randomness import KeyedFunction
from privsynth.schema.linked import LinkedSchema

SCHEMA = LinkedSchema.model_validate(SPEC)


def linked(frames):
    tables = as_tables(frames)
    return link_rows(tables, SCHEMA, lambda name: order_values(tables[name], SCHEMA, name))


def test_rows_find_their_person_their_place_and_the_row_before():
    frames = clinic(200)
    stays = frames["stays"] = frames["stays"].sample(frac=1, random_state=1).reset_index(drop=True)
    found = linked(frames)["stays"]
    ids = frames["patients"]["patient_id"].tolist()
    for i, row in stays.iterrows():
        theirs = stays[stays["patient"] == row["patient"]]
        earlier = theirs[(theirs["admitted"] < row["admitted"])]
        assert ids[found.person[i]] == row["patient"]
        assert found.place[i] == len(earlier)
        if len(earlier):
            last = earlier.sort_values("admitted").index[-1]
            assert found.previous[i] == last
            days = (pd.Timestamp(row["admitted"]) - pd.Timestamp(stays.loc[last, "admitted"])).days
            assert found.since.steps[i] == days
        else:
            assert found.previous[i] == -1
            assert found.since.null[i]


def test_rows_two_tables_down_belong_to_the_person_of_the_row_above():
    frames = clinic(200)
    found = linked(frames)
    owner = frames["stays"].set_index("stay_id")["patient"]
    ids = frames["patients"]["patient_id"].to_numpy()
    assert (ids[found["tests"].person] == owner[frames["tests"]["stay"]].to_numpy()).all()
    counts = number_of_children(found["tests"].parent, len(frames["stays"]))
    assert counts.sum() == len(frames["tests"])


def test_rows_that_nobody_owns_and_repeated_keys_are_left_out():
    frames = clinic(50)
    frames["stays"].loc[0, "patient"] = "nobody"
    frames["stays"].loc[1, "patient"] = None
    frames["stays"].loc[3, "stay_id"] = frames["stays"].loc[2, "stay_id"]
    frames["patients"] = pd.concat([frames["patients"], frames["patients"].head(1)], ignore_index=True)
    found = linked(frames)
    assert found["patients"].person[-1] == -1
    assert found["stays"].person[[0, 1, 3]].tolist() == [-1, -1, -1]
    gone = frames["tests"]["stay"] == frames["stays"].loc[0, "stay_id"]
    assert (found["tests"].person[gone.to_numpy()] == -1).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 29), st.integers(0, 5))
def test_what_is_known_of_a_person_does_not_change_when_another_one_leaves(leaver, seed):
    frames = clinic(30, seed=seed)
    gone = frames["patients"]["patient_id"][leaver]
    without = {
        "patients": frames["patients"][frames["patients"]["patient_id"] != gone].reset_index(drop=True),
        "stays": frames["stays"][frames["stays"]["patient"] != gone].reset_index(drop=True),
        "wards": frames["wards"],
    }
    kept = frames["tests"]["stay"].isin(without["stays"]["stay_id"])
    without["tests"] = frames["tests"][kept].reset_index(drop=True)
    keyed = KeyedFunction()

    def told(tables):
        rows = linked(tables)
        ids = tables["patients"]["patient_id"].to_numpy()
        people = People.draw(as_tables(tables)["patients"].column("patient_id"), 0.2, keyed)
        out = []
        for name in ("stays", "tests"):
            part = people.partition(rows[name], 2, keyed)
            side = np.full(len(rows[name].person), -1)
            side[part.train], side[part.holdout] = 0, 1
            for i, person in enumerate(rows[name].person):
                if ids[person] != gone:
                    since = None if rows[name].since is None else int(rows[name].since.steps[i])
                    out.append((name, ids[person], int(rows[name].place[i]), since, int(side[i])))
        return sorted(out, key=str)

    assert told(frames) == told(without)


def test_no_person_has_more_rows_in_use_than_allowed_and_all_on_one_side():
    frames = clinic(400)
    rows, keyed = linked(frames), KeyedFunction()
    people = People.draw(as_tables(frames)["patients"].column("patient_id"), 0.25, keyed)
    sides = {}
    for name, most in (("patients", 1), ("stays", 3), ("tests", 4)):
        part = people.partition(rows[name], most, keyed)
        used = np.concatenate([part.train, part.holdout])
        assert np.bincount(rows[name].person[used]).max() <= most
        for side, chosen in (("train", part.train), ("holdout", part.holdout)):
            for person in rows[name].person[chosen].tolist():
                assert sides.setdefault(person, side) == side
    assert {"train", "holdout"} == set(sides.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stays": {"parent": None, "order": None}}, "exactly one table holds the persons"),
        ({"patients": {"key": None}}, "has children and needs a key"),
        ({"stays": {"order": "ward"}}, "a declared kind of numbers or times"),
        ({"tests": {"parent": {"table": "wards", "column": "stay"}}}, "no table that holds persons"),
        ({"wards": {"order": "floor"}}, "a reference table is public"),
    ],
)
def test_schemas_that_cannot_be_linked_are_refused(change, sentence):
    tables = {name: {**table, **change.get(name, {})} for name, table in SPEC["tables"].items()}
    with pytest.raises(ValueError, match=sentence):
        LinkedSchema.model_validate({"tables": tables})
