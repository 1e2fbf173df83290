"""A person with all rows in all tables comes or goes: no release moves further than it declares, nothing differs."""

from __future__ import annotations

import numpy as np
import pytest
from leaks.linked.persons import (
    STAYS,
    TESTS,
    Frames,
    as_text,
    as_typed,
    clinic,
    everything_public,
    learn,
    moved_by_one,
    stay,
    test,
    with_rows,
    without,
)
from leaks.proof import Constant

NEW = "p-new"
KEYS = ("patient_id", "patient", "stay_id", "stay")
ODD = [
    "1e400", "-1e308", "9" * 40, "NaN", "-inf", "0.1234567890123", "1,5", "0001-01-01", "31/12/9999", "", None,
    "2016-12-31T23:59:60", "12/31/2024", "9999-12-31T23:59", "true", "007", "x" * 9_999, "medicine", "F", "yes",
]  # fmt: skip


def alike(stays: int, tests: int) -> dict[str, list[tuple[str | None, ...]]]:
    """Return the rows of a new person whose stays are alike but for their keys, with so many equal tests each."""
    keys = [f"new-{n}" for n in range(stays)]
    return {
        "patients": [(NEW, "F", "Bern", "1960-05-01")],
        "stays": [(key, NEW, "2021-06-01T08:30", "surgery", "100.00") for key in keys],
        "tests": [(key, "hcg", "5.0") for key in keys for _ in range(tests)],
        "consents": [(NEW, "yes")],
    }


def odd(rng: np.random.Generator, stays: int) -> dict[str, list[tuple[str | None, ...]]]:
    """Return the rows of a new person whose cells are hard to read, with decades between them."""

    def cells(n: int) -> list[str | None]:
        return [ODD[rng.integers(len(ODD))] for _ in range(n)]

    when = ["0001-01-01", "9999-12-31T23:59", None, "2021-06-01T08:30", "2021-06-01T08:30", "NaT"]
    rows = [(f"new-{n}", NEW, when[n % len(when)], *cells(2)) for n in range(stays)]
    return {
        "patients": [(NEW, *cells(3))],
        "stays": rows,
        "tests": [(str(row[0]), *cells(2)) for row in rows for _ in range(5)],
        "consents": [(NEW, *cells(1)) for _ in range(3)],
    }


def shared_keys(frames: Frames) -> dict[str, list[tuple[str | None, ...]]]:
    """Return the rows of a new person whose stays have the keys of other persons' stays, some of them twice."""
    rng = np.random.default_rng(8)
    theirs = frames["stays"]["stay_id"].iloc[:6].tolist()
    return {
        "patients": [(NEW, "M", "Thun", "1971-05-01"), (f" {NEW} ", "F", "Basel", "1930-05-01")],
        "stays": [stay(key, NEW, 10 * n, rng) for n, key in enumerate([*theirs, *theirs])],
        "tests": [],
        "consents": [(NEW, "no"), (f"{NEW} ", "no")],
    }


COMES = {
    "at the most rows that are used": lambda frames: alike(STAYS, TESTS // STAYS),
    "with ten times as many": lambda frames: alike(10 * STAYS, TESTS),
    "with rows that are hard to read": lambda frames: odd(np.random.default_rng(1), 3 * STAYS),
    "without rows elsewhere": lambda frames: {"patients": alike(0, 0)["patients"]},
    "with keys that others have": shared_keys,
}


@pytest.mark.parametrize("person", COMES)
def test_a_person_who_comes(person):
    frames = clinic()
    assert moved_by_one(frames, with_rows(frames, COMES[person](frames)))


@pytest.mark.parametrize("person", ["with ten times as many", "with rows that are hard to read"])
def test_a_person_who_comes_to_typed_tables(person):
    frames = clinic()
    assert moved_by_one(frames, with_rows(frames, COMES[person](frames)), read=as_typed, holdout=0.0)


def test_a_person_with_rows_in_every_table_who_leaves():
    frames = clinic()
    owners = frames["stays"]["patient"][frames["stays"]["stay_id"].isin(frames["tests"]["stay"])]
    leaver = next(p for p in owners if (frames["consents"]["patient"] == p).any())
    moved = moved_by_one(frames, without(frames, leaver))
    assert {label.split(":")[0] for label, _ in moved} == {"patients", "stays", "tests", "consents"}


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
        "tests": [test("no stay", rng), (None, "blood", "1.0")],
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
    "no children": lambda frames: {**frames, "stays": frames["stays"].head(0)},
    "one person": lambda frames: with_rows(clinic(0), alike(STAYS, 2)),
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
    "no keys": lambda frames: {
        **frames, "stays": frames["stays"].assign(patient=None), "tests": frames["tests"].assign(stay="")
    },
    "one value in every column": _one_value,
    "nulls": lambda frames: {
        name: frame.assign(**dict.fromkeys([c for c in frame if c not in KEYS]))
        for name, frame in frames.items()
    },
    "hard to read": lambda frames: with_rows(frames, odd(np.random.default_rng(4), 30)),
    "three times as many": lambda frames: clinic(180, seed=1),
}  # fmt: skip


def shown(frames: Frames, read=as_text) -> tuple[str, list]:
    """Return what comes out with constant answers, and what was asked."""
    double = Constant(keys=("7", "19"))
    return everything_public(learn(double, read(frames))), [call.public for call in double.calls]


@pytest.fixture(scope="module")
def ordinary():
    return shown(clinic())


@pytest.mark.parametrize("world", WORLDS)
def test_with_constant_answers_no_world_shows(ordinary, world):
    assert shown(WORLDS[world](clinic())) == ordinary


def test_with_constant_answers_no_typed_world_shows():
    first = shown(clinic(), as_typed)
    for world in ("no rows", "hard to read"):
        assert shown(WORLDS[world](clinic()), as_typed) == first
