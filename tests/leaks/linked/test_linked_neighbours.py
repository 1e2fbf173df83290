"""A person with all rows in all tables comes or goes: no release moves further than it declares, nothing differs."""

from __future__ import annotations

import numpy as np
import pytest
from leaks.linked.persons import (
    NEW,
    STAYS,
    TESTS,
    Frames,
    alike,
    as_text,
    as_typed,
    clinic,
    everything_public,
    in_every_table,
    learn,
    moved_by_one,
    odd,
    shared_keys,
    stay,
    test,
    with_rows,
    without,
)
from leaks.long_text import LongText
from leaks.proof import Constant

KEYS = ("patient_id", "patient", "stay_id", "stay")


COMES = {
    "at the most rows that are used": lambda frames: alike(STAYS, TESTS // STAYS),
    "with ten times as many": lambda frames: alike(10 * STAYS, TESTS),
    "with rows that are hard to read": lambda frames: odd(3 * STAYS),
    "without rows elsewhere": lambda frames: {"patients": alike(0, 0)["patients"]},
    "with keys that others have": shared_keys,
}


@pytest.mark.parametrize("person", COMES)
def test_a_person_who_comes(person):
    frames = clinic()
    assert moved_by_one(frames, with_rows(frames, COMES[person](frames), first=person == "with keys that others have"))


@pytest.mark.parametrize("person", ["with ten times as many", "with rows that are hard to read"])
def test_a_person_who_comes_to_typed_tables(person):
    frames = clinic()
    assert moved_by_one(frames, with_rows(frames, COMES[person](frames)), read=as_typed, holdout=0.0)


def test_a_person_with_rows_in_every_table_who_leaves():
    frames = clinic()
    moved = moved_by_one(frames, without(frames, in_every_table(frames)))
    assert {label.split(":")[0] for label in moved} == {"patients", "stays", "tests", "consents"}


def test_the_last_person_who_leaves():
    frames = with_rows(clinic(0), alike(STAYS, 2))
    with_orphans = with_rows(frames, {"stays": alike(2, 0)["stays"][:1], "tests": alike(3, 1)["tests"]})
    assert moved_by_one(with_orphans, without(with_orphans, NEW))


def test_rows_of_nobody_and_their_order_do_not_count():
    frames = clinic()
    rng = np.random.default_rng(2)
    orphans = {
        "patients": [(None, "F", "Bern", "1960-05-01"), ("NA", "F", "Bern", "1960-05-01")],
        "stays": [stay("s000-0", "nobody", 3, rng), stay("s001-0", "", 3, rng)],
        "tests": [test("no stay", rng), (None, "blood", "1.0", None)],
        "consents": [("nobody", "yes"), (None, "no")],
    }
    more = with_rows(frames, orphans)
    shuffled = {name: frame.sample(frac=1, random_state=3).reset_index(drop=True) for name, frame in more.items()}
    for other in (more, shuffled):
        assert not moved_by_one(frames, other)


def _one_value(frames: Frames) -> Frames:
    return {
        name: frame.assign(**{c: frame[c].iloc[0] for c in frame if c not in KEYS}) for name, frame in frames.items()
    }


WORLDS = {
    "no rows": lambda frames: {name: frame.head(0) for name, frame in frames.items()},
    "no persons": lambda frames: {**frames, "patients": frames["patients"].head(0)},
    "a person with many rows": lambda frames: with_rows(frames, alike(200, 5)),
    "all keys alike": lambda frames: {
        "patients": frames["patients"].assign(patient_id="0"),
        "stays": frames["stays"].assign(patient="0", stay_id="0"),
        "tests": frames["tests"].assign(stay="0"),
        "consents": frames["consents"].assign(patient="0"),
    },
    "all stays of one key": lambda frames: {
        **frames, "stays": frames["stays"].assign(stay_id="0"), "tests": frames["tests"].assign(stay="0")
    },
    "one value in every column": _one_value,
    "nulls": lambda frames: {
        name: frame.assign(**dict.fromkeys([c for c in frame if c not in KEYS]))
        for name, frame in frames.items()
    },
    "hard to read": lambda frames: with_rows(frames, odd(30)),
}  # fmt: skip


def shown(frames: Frames, read=as_text) -> tuple[LongText, list]:
    """Return what comes out with constant answers, and what was asked."""
    double = Constant(keys=("7", "19"))
    return everything_public(learn(double, read(frames))), [call.public for call in double.calls]


@pytest.fixture(scope="module")
def ordinary():
    return shown(clinic())


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_with_constant_answers_no_world_shows(ordinary, world):
    assert shown(WORLDS[world](clinic())) == ordinary


def test_with_constant_answers_no_typed_world_shows():
    assert shown(WORLDS["hard to read"](clinic()), as_typed) == shown(clinic(), as_typed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_random_neighbours(seed):
    rng = np.random.default_rng([seed, 5])
    frames = clinic(int(rng.integers(5, 90)), seed)
    stays, tests = frames["stays"], frames["tests"]
    # Some keys are repeated, within a person and between persons, and some lead nowhere.
    for _ in range(int(rng.integers(0, 9))):
        stays.loc[rng.integers(len(stays)), "stay_id"] = stays["stay_id"].iloc[rng.integers(len(stays))]
        stays.loc[rng.integers(len(stays)), "patient"] = rng.choice(["p000", " p001", "nobody", ""])
        tests.loc[rng.integers(len(tests)), "stay"] = rng.choice(["s000-0", "no stay", " "])
    other = without(frames, f"p{rng.integers(len(frames['patients'])):03d}")
    if rng.random() < 0.6:
        rows = shared_keys(frames) if rng.random() < 0.4 else odd(int(rng.integers(0, 9)))
        other = with_rows(frames, rows, seed, first=bool(rng.random() < 0.5))
    read = as_typed if rng.random() < 0.4 else as_text
    moved_by_one(frames, other, read=read, holdout=float(rng.choice([0.0, 0.2, 0.4])))
