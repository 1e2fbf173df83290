"""Rows that refer to other rows: a person moves no release further than it declares, whoever else is referred to."""

from __future__ import annotations

import numpy as np
import pytest
from leaks.linked.persons import as_text, everything_public, learn, moved_by_one
from leaks.linked.shapes import MEASUREMENTS, VISITS, WARD_SCHEMA, referring, ward_texts, with_rows, without_patient
from leaks.proof import Constant

from privsynth.domain import linking
from privsynth.pipeline.linked import views

MOVED = r"moved by|more keys than rows|differs"
COMES = {
    "at the most rows that are used": referring(VISITS, MEASUREMENTS),
    "with ten times as many": referring(10 * VISITS, 10 * MEASUREMENTS),
    "whose rows refer to rows of others": referring(VISITS, MEASUREMENTS, persons_visit="v000001", amends="m000001"),
    "whose rows refer to themselves in a circle": referring(VISITS, MEASUREMENTS, amends="m-new-5"),
    "without rows elsewhere": {"persons": referring(0, 0)["persons"]},
}


@pytest.mark.parametrize("person", COMES)
def test_a_person_who_comes(person):
    frames = ward_texts()
    assert moved_by_one(frames, with_rows(frames, COMES[person]), schema=WARD_SCHEMA)


def test_a_person_to_whom_others_refer_leaves():
    frames = ward_texts()
    frames["transfers"]["to_person"] = "p00003"
    theirs = frames["visits"]["visit"][frames["visits"]["person"] == "p00003"].iloc[0]
    measurements = frames["measurements"]
    measurements.loc[::2, "visit"] = theirs
    measurements.loc[1::2, "amends"] = measurements["nr"][measurements["person"] == "p00003"].iloc[0]
    moved = moved_by_one(frames, without_patient(frames, "p00003"), schema=WARD_SCHEMA, holdout=0.0)
    assert {label.split(":")[0] for label in moved} >= {"persons", "measurements", "visits"}


def test_with_constant_answers_nobody_shows():
    def shown(frames):
        double = Constant(keys=("7", "19"))
        told = everything_public(learn(double, as_text(frames), schema=WARD_SCHEMA))
        return told, [call.public for call in double.calls]

    frames = ward_texts()
    ordinary = shown(frames)
    empty = {name: frame.head(0) for name, frame in frames.items()}
    alone = {**frames, "visits": frames["visits"].head(0)}
    assert all(shown(world) == ordinary for world in (empty, alone, with_rows(frames, referring(40, 90))))


def test_a_reference_to_another_persons_row_that_is_followed_is_found(monkeypatch):
    real = linking._of_the_person
    monkeypatch.setattr(
        linking, "_of_the_person", lambda held, holder, asked, person: real(held, 0 * holder, asked, 0 * person)
    )
    monkeypatch.setattr(
        views, "rows_above", lambda schema, name, above, n_rows, parents: np.zeros(n_rows, dtype=np.int64)
    )
    frames = ward_texts()
    frames["measurements"]["visit"] = frames["visits"]["visit"][frames["visits"]["person"] == "p00003"].iloc[0]
    with pytest.raises(AssertionError, match=MOVED):
        moved_by_one(frames, without_patient(frames, "p00003"), schema=WARD_SCHEMA)


def test_a_counterpart_that_has_to_be_there_is_found(monkeypatch):
    real = linking._references

    def references(name, tables, schema, rows):
        found = real(name, tables, schema, rows)
        if name != "transfers":
            return found
        there = set(tables["persons"].data.column("person").to_pylist())
        named = tables["transfers"].data.column("to_person").to_pylist()
        return (np.array([0 if named[row] in there else -1 for row in rows[name].row], dtype=np.int64),)

    monkeypatch.setattr(linking, "_references", references)
    frames = ward_texts()
    frames["transfers"]["to_person"] = "p00003"
    with pytest.raises(AssertionError, match=MOVED):
        moved_by_one(frames, without_patient(frames, "p00003"), schema=WARD_SCHEMA)
