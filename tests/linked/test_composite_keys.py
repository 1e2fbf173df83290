"""Keys of several columns: whose rows they name, what becomes of each part, and that they resolve in a release."""

from __future__ import annotations

import copy
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from linked.clinic import as_tables, learned
from linked.orders import SPEC, shop

import privsynth
from privsynth.domain.linking import People, link_rows
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked.views import order_values
from privsynth.randomness import KeyedFunction
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.saved import load_linked, save_linked
from privsynth.sampling.linked.written import written_frame, written_texts
from privsynth.schema.linked import LinkedSchema

QUICK = MarginalGenerator(FitSettings(components=128, max_steps=150))
SCHEMA = LinkedSchema.model_validate(SPEC)
KEYS = {name: table.key for name, table in SCHEMA.tables.items()}


def linked(frames):
    tables = as_tables(frames)
    return link_rows(tables, SCHEMA, lambda name: order_values(tables[name], SCHEMA, name))


def test_a_key_counts_with_all_its_parts():
    frames = shop(200)
    found = linked(frames)
    accounts, orders = frames["accounts"], frames["orders"]
    assert orders["order_no"].duplicated().any()  # both clients count from 0
    owner = accounts.iloc[found["orders"].person]
    assert (owner["client"].to_numpy() == orders["client"].to_numpy()).all()
    assert (owner["account"].to_numpy() == orders["sold_to"].to_numpy()).all()
    assert len(found["lines"].row) == len(frames["lines"])
    assert len(found["deliveries"].row) == len(frames["deliveries"])


def test_lines_stand_by_the_number_in_their_key():
    frames = shop(200)
    found = linked(frames)["lines"]
    assert (frames["lines"]["line"].to_numpy()[found.row] == 10 * (found.place + 1)).all()


def test_rows_without_a_part_of_their_key_and_rows_that_repeat_one_are_left_out():
    frames = shop(50)
    lines, n = frames["lines"], len(frames["lines"])
    frames["lines"] = pd.concat([lines, lines.head(3), lines.head(2).assign(line=None)], ignore_index=True)
    assert linked(frames)["lines"].row.tolist() == list(range(n))
    frames["lines"] = frames["lines"].assign(client=None)
    assert not len(linked(frames)["lines"].row)


def test_a_persons_draws_follow_from_the_whole_key():
    accounts = shop(400)["accounts"]
    keyed = KeyedFunction()

    def words(frame):
        return People.draw(as_tables({"a": frame})["a"], KEYS["accounts"], 0.25, keyed).words

    everybody = words(accounts)
    assert len(set(everybody.tolist())) == 400
    assert words(accounts.iloc[100:]).tolist() == everybody[100:].tolist()
    moved = accounts.assign(client=accounts["client"] + accounts["account"].str[0], account=accounts["account"].str[1:])
    assert not set(words(moved).tolist()) & set(everybody.tolist())
    assert len(words(accounts.head(0).astype(str))) == 0


@pytest.fixture(scope="module")
def release():
    model = learned(epsilon=30.0, frames=shop(800), spec=SPEC, generator=QUICK)[0]
    drawn = draw_linked(model, 600, seed=3)
    return model, drawn, {name: written_frame(model, name, drawn, seed=3) for name in model.models}


def test_no_two_rows_have_one_key_and_every_key_of_a_parent_is_one(release):
    _, _, frames = release
    for name, table in SCHEMA.tables.items():
        assert list(frames[name].columns) == list(shop(3)[name].columns)
        assert len(frames[name])
        if table.key:
            assert not frames[name].duplicated(list(table.key)).any()
        if table.parent is not None:
            above = set(frames[table.parent.table][list(KEYS[table.parent.table])].itertuples(index=False, name=None))
            assert set(frames[name][list(table.parent.columns)].itertuples(index=False, name=None)) <= above


def test_parts_are_surrogates_numbers_and_columns(release):
    _, drawn, frames = release
    assert frames["accounts"]["account"].str.fullmatch(r"A\d{9}").all()
    assert not set(frames["accounts"]["account"]) & set(shop()["accounts"]["account"])
    assert frames["accounts"]["client"].value_counts(normalize=True)["100"] == pytest.approx(0.5, abs=0.08)
    lines = frames["lines"]
    number = lines.groupby(["client", "order_no"]).cumcount()
    assert (lines["line"] == 10 * (number + 1)).all()
    product = lines["product"].astype(str)
    assert (product[number == 0] == "x").mean() > 0.95
    assert (product[number == 1] == "y").mean() > 0.9
    assert len(np.unique(drawn["lines"].parent)) == len(lines.drop_duplicates(["client", "order_no"]))


def test_texts_hold_the_same_keys_and_a_saved_model_writes_them_again(release, tmp_path):
    model, drawn, frames = release
    save_linked(model, tmp_path)
    again = load_linked(tmp_path)
    assert again.schema == model.schema
    for name in model.models:
        pd.testing.assert_frame_equal(written_frame(again, name, drawn, seed=3), frames[name])
        (texts,) = written_texts(model, name, drawn, seed=3)
        keys = [c for c in frames[name] if c in {*SCHEMA.links(name), *KEYS[name]}]
        assert texts[keys].astype(str).equals(frames[name][keys].astype(str))


def test_a_database_gets_the_keys_and_finds_no_fault(release, tmp_path):
    (tmp_path / "model").mkdir()
    save_linked(release[0], tmp_path / "model")
    privsynth.sample(tmp_path / "model", to=tmp_path / "shop.sqlite", rows=200, seed=5)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database:
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        keys = {name: database.execute(f"PRAGMA foreign_key_list({name})").fetchall() for name in KEYS}
        assert {name: len(found) for name, found in keys.items()} == {
            "accounts": 0, "orders": 2, "lines": 2, "deliveries": 3
        }  # fmt: skip
        (lines,) = database.execute("SELECT count(DISTINCT client || order_no || line) = count(*) FROM lines")
    assert lines == (1,)


def test_two_identifiers_of_one_key_differ():
    spec = copy.deepcopy(SPEC)
    spec["tables"] = {"accounts": spec["tables"]["accounts"]}
    spec["tables"]["accounts"]["columns"] |= {"client": {"kind": "id"}, "account": {"kind": "id"}}
    model = learned(epsilon=30.0, frames={"accounts": shop(300)["accounts"]}, spec=spec, generator=QUICK)[0]
    drawn = draw_linked(model, 100, seed=1)
    frame = written_frame(model, "accounts", drawn, seed=1)
    assert not set(frame["client"]) & set(frame["account"])
    assert frame["client"].is_unique


def changed(table, **more):
    tables = copy.deepcopy(SPEC["tables"])
    columns = more.pop("columns", {})
    tables[table] |= more
    tables[table]["columns"] |= columns
    return tables


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (changed("orders", parent={"table": "accounts", "column": "sold_to"}), "has 2 columns, and 'orders' has"),
        (changed("lines", key=["client", "line", "line"]), "names the column 'line' twice"),
        (changed("lines", key=["client", "order_no", "product"]), "differs from row to row"),
        (changed("lines", key=["order_no", "line"]), "the parent's whole key and an integer"),
        (changed("lines", order="line"), "'line' is part of a key and cannot be the order"),
        (changed("lines", key=["client", "order_no"]), "holds the parent's key, and can be neither"),
        (changed("accounts", columns={"client": {"kind": "integer"}}), "part of a key and of kind integer"),
        (changed("orders", key=["client", "order_no", "day"], order=None), "of kind date"),
        (changed("lines", key=["client", "order_no", "line", "sub"], columns={"sub": {"kind": "integer"}}),
         "numbers rows by 'line' and by 'sub'"),
        (changed("orders", parent={"table": "accounts"}), "parent"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_are_refused(tables, sentence):
    with pytest.raises(ValueError, match=sentence):
        LinkedSchema.model_validate({"tables": tables})
