"""The input of the audits of linked tables, beside twins that walk from row to row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from linked.clinic import clinic
from linked.worlds import ABOVE, keyed, people, real, tables

from privsynth.audit.common.discretise import distances
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.linked.linked_tables import Faults, KeyedRows, people_by_keys
from privsynth.audit.linked.person_rows import MAX_FEATURES, features, person_rows
from privsynth.audit.linked.views import Views
from privsynth.errors import ConfigError


@pytest.fixture(scope="module")
def frames():
    return clinic(150, 3)


@pytest.fixture(scope="module")
def world(frames):
    return tables(people(clinic(150, 4)), {"train": people(frames), "holdout": people(clinic(60, 5))})


def history(frames, patient):
    """Return the stays of a patient in their order."""
    stays = frames["stays"]
    return stays[stays["patient"] == patient].sort_values("admitted", kind="stable")


def test_rows_are_put_together_by_keys_and_in_order(frames):
    found = people(frames)
    stays = found.rows["stays"]
    for person in range(found.n):
        own = history(frames, frames["patients"]["patient_id"][person])
        rows = np.flatnonzero(stays.person == person)
        assert stays.frame["ward"].iloc[rows].tolist() == own["ward"].tolist()
        assert stays.place[rows].tolist() == list(range(len(own)))
        assert [int(i) for i in rows[:-1]] == [int(i) for i in stays.followed if stays.person[i] == person]
        tests = found.rows["tests"].frame["value"][found.rows["tests"].person == person]
        assert sorted(tests) == sorted(frames["tests"]["value"][frames["tests"]["stay"].isin(own["stay_id"])])


def test_some_persons_keep_all_their_rows(frames):
    found = people(frames)
    chosen = np.array([0, 7, 8, 40, 149])
    fewer = found.take(chosen, ABOVE)
    assert fewer.n == 5
    for name in ("stays", "tests"):
        assert fewer.number_of_rows(name).tolist() == found.number_of_rows(name)[chosen].tolist()
    above = fewer.rows["stays"].person[fewer.rows["tests"].parent]
    assert above.tolist() == fewer.rows["tests"].person.tolist()


def test_what_is_wrong_with_keys_and_order_is_counted():
    root = KeyedRows(pd.DataFrame({"a": ["x", "y", "z"]}), key=pd.Series(["1", "2", "2"]))
    days = pd.DataFrame({"day": [3.0, 1.0, 2.0, 5.0, np.nan]})
    rows = KeyedRows(days, key=pd.Series(list("abcde")), parent=pd.Series(["1", "1", "2", "9", "1"]), order="day")
    below = KeyedRows(pd.DataFrame({"v": [1.0, 2.0]}), parent=pd.Series(["d", "a"]))
    found = people_by_keys({"root": root, "rows": rows, "below": below}, {"rows": "root", "below": "rows"})
    assert found.faults["root"] == Faults(n_rows=3, repeated=1)
    assert found.faults["rows"] == Faults(n_rows=5, orphans=1, repeated=0, disordered=1)
    assert found.faults["below"] == Faults(n_rows=2, orphans=0)
    assert found.rows["rows"].frame["day"].tolist()[:2] == [1.0, 3.0]
    assert found.rows["rows"].person.tolist() == [0, 0, 0, 1]
    assert found.rows["below"].frame["v"].tolist() == [2.0]  # its parent is an orphan: so is the other row


def test_a_person_is_summed_up_as_a_reader_would(world, frames):
    summed = person_rows(world, AuditContext(AuditSettings())).train
    for person, patient in enumerate(frames["patients"]["patient_id"]):
        own, row = history(frames, patient), summed.iloc[person]
        tests = frames["tests"][frames["tests"]["stay"].isin(own["stay_id"])]
        assert row["stays: number"] == len(own)
        assert row["tests: number"] == len(tests)
        if len(own):
            assert row["stays: days, mean"] == pytest.approx(own["days"].mean())
            assert [row["stays: ward, first"], row["stays: ward, last"]] == [own["ward"].iloc[0], own["ward"].iloc[-1]]
            assert row["stays: ward, distinct"] == own["ward"].nunique()
            assert row["stays: admitted, last"] == pd.Timestamp(own["admitted"].iloc[-1])
        else:
            assert np.isnan(row["stays: days, mean"])
            assert row["stays: ward, first"] is None or pd.isna(row["stays: ward, first"])
    assert len(features(world)) <= MAX_FEATURES


def pairs_of(frames, column):
    """Return how often each value is followed by each other one."""
    found = []
    for patient in frames["patients"]["patient_id"]:
        values = history(frames, patient)[column].tolist()
        found += list(pairwise(values))
    return pd.Series(found).value_counts(normalize=True)


def test_transitions_are_those_of_a_twin(world, frames):
    view = Views(world, AuditContext(AuditSettings()), np.random.default_rng(0)).transitions("stays")
    ward = next(m for m in view.marginals if view.columns[m[0]] == "ward")
    assert view.group(ward) == "stays: ward × next ward"
    found = distances(view.codes["train"], view.codes["synthetic"], view.sizes, [ward]).mean
    gap = pairs_of(frames, "ward").sub(pairs_of(clinic(150, 4), "ward"), fill_value=0)
    assert found == pytest.approx(0.5 * gap.abs().sum())


def test_ties_to_rows_above_are_those_of_a_twin(world, frames):
    view = Views(world, AuditContext(AuditSettings()), np.random.default_rng(0)).parents("tests")
    chosen = next(m for m in view.marginals if view.group(m) == "tests: patients.sex × name")

    def shares(frames):
        stays = frames["stays"].merge(frames["patients"], left_on="patient", right_on="patient_id")
        joined = frames["tests"].merge(stays, left_on="stay", right_on="stay_id")
        return joined.groupby(["sex", "name"]).size() / len(joined)

    found = distances(view.codes["train"], view.codes["synthetic"], view.sizes, [chosen]).mean
    gap = shares(frames).sub(shares(clinic(150, 4)), fill_value=0)
    assert found == pytest.approx(0.5 * gap.abs().sum())


def test_numbers_of_rows_are_counted_with_nought(world, frames):
    view = Views(world, AuditContext(AuditSettings()), np.random.default_rng(0)).children("stays")
    counts = frames["stays"]["patient"].value_counts().reindex(frames["patients"]["patient_id"], fill_value=0)
    assert sorted(view.codes["train"][0]) == sorted(counts)


def test_persons_are_thinned_whole_and_the_report_is_told():
    whole = tables(people(clinic(200, 1)), real(2, 300, 100))
    fewer = whole.fewer(persons=50, rows=10**9, rng=np.random.default_rng(0))
    assert [part.n for part in fewer.parts.values()] == [50, 50, 50]
    assert fewer.thinned == "At most 50 persons on a side, drawn at random with all their rows, were audited."
    assert (
        max(len(t) for t in whole.fewer(persons=10**9, rows=100, rng=np.random.default_rng(0)).train.rows.values())
        < 200
    )
    assert whole.fewer(persons=300, rows=10**9, rng=np.random.default_rng(0)) is whole


def test_tables_that_do_not_lie_side_by_side_are_refused(world):
    other = keyed(clinic(20, 1))
    other["stays"] = KeyedRows(
        other["stays"].frame[["ward", "days", "admitted"]], other["stays"].key, other["stays"].parent, "admitted"
    )
    with pytest.raises(ConfigError, match="columns of 'stays' differ"):
        tables(people_by_keys(other, ABOVE), {"train": world.train})
    assert repr(world) == "LinkedTables(3 tables)"
    with pytest.raises(TypeError, match="never pickled"):
        world.__reduce__()
