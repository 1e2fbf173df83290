"""Keys of several columns and chains of four tables: a person moves no release further than it declares."""

from __future__ import annotations

import pickle

import pytest
from leaks.linked.persons import as_text, everything_public, learn, moved_by_one
from leaks.linked.shapes import LINES, NEW, ORDERS, SCHEMA, alike, texts, with_rows, without
from leaks.needles import assert_no_needle
from leaks.proof import Constant, Recording

from privsynth.domain import linking


def one_more(rows, **told):
    """Compare the shop with the one to which a person came."""
    frames = texts()
    return moved_by_one(frames, with_rows(frames, rows), schema=SCHEMA, **told)


COMES = {
    "at the most rows that are used": alike(ORDERS, LINES // ORDERS),
    "with ten times as many": alike(10 * ORDERS, LINES),
    "without rows elsewhere": {"accounts": alike(0, 0)["accounts"]},
    # The same order numbers as other persons of the other client: only a part of the key is shared.
    "with keys of which others have a part": {
        **alike(0, 0),
        "orders": [("100", f"{n:06d}", "new", "2021-06-01") for n in range(900, 900 + ORDERS)],
        "lines": [("100", f"{n:06d}", "10", "x") for n in range(900, 900 + ORDERS)],
    },
    "with keys that others have": {
        **alike(0, 0),
        "orders": [("100", f"{n:06d}", "new", "2021-06-01") for n in range(6)],
    },
}


@pytest.mark.parametrize("person", COMES)
def test_a_person_who_comes(person):
    assert one_more(COMES[person])


def test_a_person_with_rows_in_every_table_who_leaves():
    frames = with_rows(texts(), alike(ORDERS, 2))
    moved = moved_by_one(frames, without(frames, NEW), schema=SCHEMA, holdout=0.0)
    assert {label.split(":")[0] for label in moved} == set(SCHEMA.modelled)


def test_rows_without_a_part_of_their_key_do_not_count():
    frames = texts()
    nobody = {
        "accounts": [("100", None, "a"), (None, "A00000", "a")],
        "orders": [("100", None, "A00000", "2021-06-01"), (None, "000000", "A00000", "2021-06-01")],
        "lines": [("100", "000000", None, "x"), ("300", "000000", "10", "x")],
        "deliveries": [("100", "000000", "11", "True")],
    }
    assert not moved_by_one(frames, with_rows(frames, nobody), schema=SCHEMA)


def test_with_constant_answers_nobody_shows():
    def shown(frames):
        double = Constant(keys=("7", "19"))
        return everything_public(learn(double, as_text(frames), schema=SCHEMA)), [call.public for call in double.calls]

    frames = texts()
    ordinary = shown(frames)
    worlds = [
        {name: frame.head(0) for name, frame in frames.items()},
        with_rows(frames, alike(50, 10)),
        {name: frame.assign(client="100") for name, frame in frames.items()},  # two persons have each key
        {name: frame.assign(client=None) for name, frame in frames.items()},
    ]
    assert all(shown(world) == ordinary for world in worlds)


def test_no_part_of_a_key_is_in_what_the_core_returns():
    frames = with_rows(texts(300), alike(ORDERS, 2, client="Needle-client-77123", prefix="Needle-order-77123"))
    public = learn(Recording(4), as_text(frames), schema=SCHEMA, epsilon=3.0)
    assert_no_needle(
        ("Needle-client-77123", "Needle-order-77123", "new-0"), (), [("everything public", pickle.dumps(public))]
    )


def test_a_key_of_which_one_part_counts_is_found(monkeypatch):
    real = linking._together
    monkeypatch.setattr(linking, "_together", lambda parts: real(parts[-1:]))
    frames = texts()
    with pytest.raises(AssertionError, match=r"moved by|more keys than rows|differs"):
        moved_by_one(frames, without(frames, ("200", "A00000")), schema=SCHEMA)
