"""Which person each row belongs to, and what comes before it: against a naive twin, and one person at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linked.clinic import SPEC, as_tables, clinic

from privsynth.domain import linking
from privsynth.domain.linking import People, link_rows, number_of_children
from privsynth.errors import SchemaError, SourceError
from privsynth.pipeline.linked.views import order_values
from privsynth.randomness import KeyedFunction
from privsynth.schema.linked import LinkedSchema
from privsynth.schema.rule_checks import check_rules
from privsynth.table import Table

SCHEMA = LinkedSchema.model_validate(SPEC)


def linked(frames):
    tables = as_tables(frames)
    return link_rows(tables, SCHEMA, lambda name: order_values(tables[name], SCHEMA, name))


def test_rows_find_their_person_their_place_and_the_row_before():
    frames = clinic(200)
    stays = frames["stays"] = frames["stays"].sample(frac=1, random_state=1).reset_index(drop=True)
    found = linked(frames)["stays"]
    ids = frames["patients"]["patient_id"].tolist()
    assert found.row.tolist() == list(range(len(stays)))
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


def test_rows_that_nobody_owns_and_keys_that_a_person_repeats_are_left_out():
    frames = clinic(50)
    frames["stays"].loc[0, "patient"] = "nobody"
    frames["stays"].loc[1, "patient"] = None
    frames["stays"].loc[3, ["patient", "stay_id"]] = frames["stays"].loc[2, ["patient", "stay_id"]]
    frames["stays"].loc[4, "stay_id"] = None
    frames["patients"] = pd.concat([frames["patients"], frames["patients"].head(1)], ignore_index=True)
    found = linked(frames)
    assert found["patients"].row.tolist() == list(range(50))
    assert found["stays"].row.tolist() == [2, *range(5, len(frames["stays"]))]
    assert not set(found["tests"].row) & set(np.flatnonzero(frames["tests"]["stay"].isin(["s000000", "s000001"])))


def test_rows_under_a_key_that_two_persons_have_belong_to_both():
    frames = clinic(50)
    stays = frames["stays"]
    one = stays.index[stays["stay_id"].isin(frames["tests"]["stay"])][0]
    other = stays.index[stays["patient"] != stays.loc[one, "patient"]][-1]
    stays.loc[other, "stay_id"] = stays.loc[one, "stay_id"]
    found = linked(frames)
    below = np.flatnonzero(frames["tests"]["stay"] == stays.loc[one, "stay_id"])
    for row in below:
        owners = found["tests"].parent[found["tests"].row == row]
        assert found["stays"].row[owners].tolist() == [one, other]


def test_keys_are_the_same_whatever_blanks_and_types_they_are_written_with():
    frames = clinic(20)
    frames["patients"]["patient_id"] = np.arange(20)
    frames["stays"]["patient"] = frames["stays"]["patient"].str[1:].astype(float)  # as pandas reads integers with nulls
    frames["stays"].loc[0, "patient"] = None
    frames["tests"]["stay"] = " " + frames["tests"]["stay"] + "  "
    found, usual = linked(frames), linked(clinic(20))
    assert found["stays"].row.tolist() == usual["stays"].row[1:].tolist()
    assert found["stays"].person.tolist() == usual["stays"].person[1:].tolist()
    assert len(usual["tests"].row) - (usual["tests"].parent == 0).sum() == len(found["tests"].row)


def test_a_placeholder_for_keys_does_not_fill_the_memory(monkeypatch):
    frames = clinic(50)
    frames["stays"]["stay_id"] = frames["tests"]["stay"] = "0"
    monkeypatch.setattr(linking, "MAX_COPIES", 100)
    with pytest.raises(SourceError, match="the same keys above 'tests'"):
        linked(frames)


@pytest.mark.parametrize("empty", ["patients", "stays", "tests"])
def test_a_table_without_rows_links_nothing(empty):
    frames = clinic(20)
    frames[empty] = frames[empty].astype(str).head(0)
    found = linked(frames)
    assert len(found[empty].row) == 0
    assert len(found["tests"].row) == 0
    assert len(found["patients"].row) == (0 if empty == "patients" else 20)


def test_where_each_row_of_the_root_is_a_person_the_others_keep_their_draws():
    frame = clinic(200)["patients"].drop(columns="patient_id")
    frame = pd.concat([frame, frame.head(50)], ignore_index=True)  # some are alike
    keyed = KeyedFunction()

    def held(rows):
        table = Table(pa.Table.from_pandas(rows, preserve_index=False))
        return pd.Series(People.draw(table, (), 0.25, keyed).held, index=rows.index)

    fewer = frame.drop(index=[60, 220])  # of two equal rows, the last: which of them goes cannot be told
    assert held(fewer).equals(held(frame).loc[fewer.index])


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
        people = People.draw(as_tables(tables)["patients"], ("patient_id",), 0.2, keyed)
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
    people = People.draw(as_tables(frames)["patients"], ("patient_id",), 0.25, keyed)
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
        ({"tests": {"parent": {"table": "stays", "column": "row"}}}, "rename the column"),
    ],
)
def test_schemas_that_cannot_be_linked_are_refused(change, sentence):
    tables = {name: {**table, **change.get(name, {})} for name, table in SPEC["tables"].items()}
    with pytest.raises(ValueError, match=sentence):
        LinkedSchema.model_validate({"tables": tables})


KEYS = st.sampled_from(["a", "b", "c", " a", "", None])
CHAOS = st.fixed_dictionaries(
    {
        "patients": st.lists(st.tuples(KEYS), max_size=6),
        "stays": st.lists(st.tuples(KEYS, KEYS, st.sampled_from(["2021-05-01", "2021-05-09", None])), max_size=8),
        "tests": st.lists(st.tuples(KEYS), max_size=8),
    }
)


def naively(rows, person):
    """Return what belongs to one person, from that person's own row down, one row at a time."""

    def trimmed(key):
        return (key or "").strip()

    stays, seen = [], set()
    for i, (key, patient, day) in enumerate(rows["stays"]):
        if trimmed(patient) == person and trimmed(key) and trimmed(key) not in seen:
            seen.add(trimmed(key))
            stays.append((day is None, day or "", i))
    order = [i for *_, i in sorted(stays)]
    tests = [
        [t for t, (stay,) in enumerate(rows["tests"]) if trimmed(stay) == trimmed(rows["stays"][i][0])] for i in order
    ]
    return list(zip(order, tests, strict=True))


@settings(max_examples=60, deadline=None)
@given(CHAOS)
def test_whatever_keys_are_repeated_or_missing_each_person_has_what_a_naive_reader_finds(rows):
    header = {"patients": ["patient_id"], "stays": ["stay_id", "patient", "admitted"], "tests": ["stay"]}
    frames = {name: pd.DataFrame(rows[name], columns=header[name], dtype=object) for name in header}
    texts = {name: pa.schema([(column, pa.string()) for column in header[name]]) for name in header}
    tables = {name: Table(pa.Table.from_pandas(frames[name], texts[name], preserve_index=False)) for name in header}
    found = link_rows(tables, SCHEMA, lambda name: order_values(tables[name], SCHEMA, name))
    persons = [(rows["patients"][row][0] or "").strip() for row in found["patients"].row]
    assert persons == list(dict.fromkeys(key for (k,) in rows["patients"] if (key := (k or "").strip())))
    stays, tests = found["stays"], found["tests"]
    for i, person in enumerate(persons):
        mine = np.flatnonzero(stays.person == i)
        mine = mine[np.argsort(stays.place[mine])]
        below = [tests.row[tests.parent == at].tolist() for at in mine]
        assert list(zip(stays.row[mine].tolist(), below, strict=True)) == naively(rows, person)
        assert stays.previous[mine].tolist() == [-1, *mine[:-1].tolist()][: len(mine)]
        assert (tests.person[np.isin(tests.parent, mine)] == i).all()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("`parent.sexe` = M => ward != obstetrics", "in the table 'stays', rule .* names the column 'parent.sexe'"),
        ("admitted >= `previous.dischraged`", "names the column 'previous.dischraged', which the schema lacks"),
        ("diagnosys in chapter O => ward = surgery", "which has no hierarchy"),
        ("admitted - `parent.born` < 18 years", "cannot be calculated at 'years'"),
        ("ward in (obstetrix, surgery)", "a value that it cannot have: 'obstetrix'"),
        ("`parent.sex` = X => ward = surgery", "a value that it cannot have: 'X'"),
    ],
)
def test_rules_that_cannot_be_judged_are_refused_before_anything_is_read(rule, sentence):
    tables = {**SPEC["tables"], "stays": {**SPEC["tables"]["stays"], "rules": [rule]}}
    with pytest.raises((ValueError, SchemaError), match=sentence) as refused:
        check_rules(LinkedSchema.model_validate({"tables": tables}).rules_schema("stays"))
    assert "pydantic" not in str(refused.value).splitlines()[0]
