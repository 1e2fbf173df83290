"""The public folder of linked tables: with constant or recorded answers no person shows, nor a cell in any byte."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from leaks.linked.persons import (
    SPEC,
    STAYS,
    Frames,
    alike,
    as_text,
    clinic,
    in_every_table,
    learn,
    odd,
    with_rows,
    without,
)
from leaks.needles import assert_no_needle, files_of
from leaks.proof import EPSILON, Constant, Recording, Replaying, Seen, assert_same, config, release, small_generators

from privsynth.ledger.ledger import Ledger
from privsynth.release.noisy.tables import CELLS, FACTS, PublishedTables

PERSON, STAY, TOWN = "Needle-person-77123", "Needle-stay-77123", "Needle-town-77123"
WARD, NAME, GIVEN = "Needle-ward-77123", "Needle-name-77123", "Needle-given-77123"
TEXTS = (
    PERSON,
    STAY,
    TOWN,
    WARD,
    NAME,
    GIVEN,
    "1887-03-19",
    "1887-04-20T04:17",
    "1887-04-21T03:11",
    "2871-02-03T05:19",
)
NUMBERS = (98765432.25, 73190.4417)


def with_needles(frames: Frames) -> Frames:
    """Return the tables with a person whose cells nobody else has."""
    return with_rows(
        frames,
        {
            "patients": [(PERSON, "F", TOWN, "1887-03-19")],
            "stays": [
                (STAY, PERSON, "1887-04-20T04:17", WARD, "98765432.25"),
                (f"{STAY}b", PERSON, "2871-02-03T05:19", WARD, "98765432.25"),
            ],
            "tests": [(STAY, NAME, "73190.4417", "1887-04-21T03:11"), (f"{STAY}b", NAME, "73190.4417", None)],
            "consents": [(PERSON, GIVEN)],
        },
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch, arn=False)


def show(folder: Path, double, frames: Frames, epsilon: float = EPSILON) -> Seen:
    """Return what a run on files of these tables shows, and leave its public folder in `folder`."""
    (folder / "tables").mkdir(parents=True)
    wards = "ward,floor\nmedicine,1\nsurgery,2\n"
    (folder / "tables" / "wards.csv").write_text(wards)
    for name, frame in frames.items():
        frame.to_csv(folder / "tables" / f"{name}.csv", index=False)
    Ledger(folder / "home").set_cap("clinic", epsilon=EPSILON, delta=1e-3)
    told = {"unit": None, "max_rows_per_unit": None, "dataset": "clinic", "schema": SPEC, "epsilon": epsilon}
    return release(double, config(folder / "tables", folder / "out", **told), folder / "home")


def test_with_constant_answers_no_person_shows_in_the_public_folder(tmp_path):
    first = show(tmp_path / "first", Constant(value=9, keys=("7", "19")), clinic(), epsilon=1.0)
    assert {"data/stays.parquet", "model/linked.json", "model/stays.safetensors", "report.html", "schema.yaml"} <= (
        first.files.keys()
    )
    worlds = {
        "needles": with_needles(clinic()),
        "odd": with_rows(clinic(90, seed=3), odd(40)),
        "none": {name: frame.head(0) for name, frame in clinic().items()},
    }
    for name, frames in worlds.items():
        assert_same(first, show(tmp_path / name, Constant(value=9, keys=("7", "19")), frames, epsilon=1.0))


def test_with_recorded_answers_no_public_file_depends_on_a_person_with_rows_in_every_table(tmp_path):
    """The noisy tables are full of figures here, of four tables and of first and later rows."""
    frames, record = clinic(), Recording(5)
    first = show(tmp_path / "first", record, frames)
    assert {CELLS, FACTS, "data/tests.parquet", "report.html", "report.json", "manifest.json"} <= first.files.keys()
    noisy = PublishedTables.read(tmp_path / "first" / "out" / "public")
    assert {(t.data_table, t.stratum) for t in noisy.tables} >= {("patients", ""), ("consents", "")}
    assert {t.stratum for t in noisy.tables if t.data_table == "stays"} == {"first rows", "later rows"}
    worlds = {"fewer": without(frames, in_every_table(frames)), "more": with_rows(frames, alike(STAYS, 3))}
    for name, other in worlds.items():
        replay = Replaying(record)
        assert_same(first, show(tmp_path / name, replay, other))
        moved = {m.public[1] for m, r in zip(replay.calls, record.calls, strict=True) if repr(m.given) != repr(r.given)}
        tables = {label.split(":")[0] for label in moved}
        assert tables >= {"patients", "stays", "tests", "consents"}, "no such person came or went"


def test_no_cell_of_a_person_is_in_what_leaves(tmp_path):
    show(tmp_path, Recording(3), with_needles(clinic(300)), epsilon=3.0)
    assert_no_needle(TEXTS, NUMBERS, files_of(tmp_path / "out" / "public"))
    with pytest.raises(AssertionError, match="Needle-person"):
        assert_no_needle(TEXTS, NUMBERS, files_of(tmp_path / "tables"))


def test_no_cell_of_a_person_is_in_what_the_core_returns():
    public = learn(Recording(4), as_text(with_needles(clinic(300))), epsilon=3.0)
    assert_no_needle(TEXTS, NUMBERS, [("everything public", pickle.dumps(public))])
