"""Columns that follow from another by a declared code book: never learned, never wrong, whatever the rows say."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from leaks.proof import FixedKey, Recording, everything_public, plan_of
from pipeline.admissions import RELEASED, run, write
from pydantic import ValidationError

from privsynth.codecs.columns import CategoryCodec, Drawn, codec_from_json, codec_to_json
from privsynth.codecs.decoded_rows import Decoded
from privsynth.codecs.table import TableCodec
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.audits.officer_audit import audit_tables
from privsynth.pipeline.learning.learn import learn
from privsynth.schema import Schema
from privsynth.schema.files import dump_schema, load_schema

TRADES = {"food": [f"food_{i}" for i in range(6)], "travel": [f"travel_{i}" for i in range(5)], "no": ["cash"]}
SHOPS = [shop for shops in TRADES.values() for shop in shops]
TRADE = {shop: trade for trade, shops in TRADES.items() for shop in shops}
BOOK = {
    "dataset": "payments",
    "unit": "row",
    "columns": {
        "trade": {"kind": "categorical", "nullable": False, "follows": {"column": "shop", "values": TRADES}},
        "shop": {"kind": "categorical", "categories": SHOPS, "nullable": False},
        "till": {
            "kind": "boolean",
            "nullable": False,
            "follows": {"column": "way", "values": {"true": ["card", "cash"], "false": "web"}},
        },
        "way": {"kind": "categorical", "categories": ["card", "web", "cash"], "nullable": False},
        "amount": {"kind": "integer", "minimum": 1, "maximum": 500, "nullable": False},
    },
    "rules": ["trade = travel => way != cash"],
}
FAST = ("--generator", "marginal", "--audit", "none", "--holdout-fraction", "0", "--unit", "row")


def payments(n: int = 800, seed: int = 0, *, odd: bool = False) -> list[dict[str, str]]:
    """Return rows; if odd, their trades and tills contradict the code book."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        shop = SHOPS[rng.integers(len(SHOPS))]
        way = "web" if TRADE[shop] == "travel" and rng.random() < 0.9 else ("card", "cash")[rng.integers(2)]
        way = "card" if TRADE[shop] == "travel" and way == "cash" else way
        trade, till = (("no", "false") if rng.random() < 0.5 else ("", "?")) if odd else (TRADE[shop], way != "web")
        amount = int(rng.integers(200, 500)) if way == "web" else int(rng.integers(1, 60))
        rows.append({"trade": trade, "shop": shop, "till": str(till).lower(), "way": way, "amount": str(amount)})
    return rows


def text_of(rows: list[dict[str, str]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def changed(name: str, **changes: object) -> dict:
    return BOOK | {"columns": BOOK["columns"] | {name: BOOK["columns"][name] | changes}, "rules": []}


def assert_kept(frame: pd.DataFrame) -> None:
    assert (frame["trade"] == frame["shop"].map(TRADE)).all()
    told = frame["till"].astype(str).str.lower()  # a boolean, or its text where a table of texts was filled in
    assert (told == (frame["way"] != "web").map({True: "true", False: "false"})).all()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the folder of one release, made once for this file."""
    folder = tmp_path_factory.mktemp("released")
    table, declared = write(folder, "payments.csv", text_of(payments())), write(folder, "s.yaml", BOOK)
    made = run(
        *("synthesize", table, "--schema", declared, "--epsilon", 8, "--out", folder / "out", *FAST),
        env={"PRIVSYNTH_HOME": str(folder / "home")},
    )
    assert made.exit_code in RELEASED, made.output
    return folder / "out"


def test_every_synthetic_row_keeps_the_book_and_the_rules(released):
    frame = pd.read_parquet(released / "public" / "data.parquet")
    assert_kept(frame)
    assert not ((frame["trade"] == "travel") & (frame["way"] == "cash")).any()
    shares = frame["trade"].value_counts(normalize=True)
    assert shares["food"] == pytest.approx(6 / 12, abs=0.08)  # some nine standard deviations of the noise
    report = (released / "public" / "report.html").read_text(encoding="utf-8")
    assert "follows from shop, by the declared code book" in report


def test_the_public_schema_says_it_again(released):
    public = load_schema(released / "public" / "schema.yaml")
    assert public.columns["trade"].follows == Schema.model_validate(BOOK).columns["trade"].follows
    assert public.columns["trade"].categories == ("food", "travel", "no")


def test_conditions_and_shares_reach_the_column_that_says_it(released, tmp_path):
    given = ("--given", "trade = travel and till = false", "--given", "amount >= 100")
    made = run("sample", released, "--rows", 200, "--seed", 3, "--out", tmp_path / "a.parquet", *given)
    assert made.exit_code == 0, made.output
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert_kept(frame)
    assert frame["shop"].str.startswith("travel").all()
    assert set(frame["way"]) == {"web"}
    made = run("sample", released, "--rows", 300, "--out", tmp_path / "b.parquet", "--balance", "trade")
    assert made.exit_code == 0, made.output
    frame = pd.read_parquet(tmp_path / "b.parquet")
    assert_kept(frame)
    assert dict(frame["trade"].value_counts()) == {"food": 100, "travel": 100, "no": 100}


def test_gaps_are_filled_by_the_book_in_both_directions(released, tmp_path):
    rows = payments(300, seed=5)
    for at, row in enumerate(rows):
        for name in (("shop",), ("trade",), ("shop", "trade"), ("way", "till"))[at % 4]:
            row[name] = ""
    source = write(tmp_path, "gaps.csv", text_of(rows))
    made = run("impute", released, "--input", source, "--out", tmp_path / "full.csv", "--seed", 1)
    assert made.exit_code == 0, made.output
    assert_kept(pd.read_csv(tmp_path / "full.csv", dtype=str, keep_default_na=False))


def test_a_table_without_the_column_that_says_it_still_learns_from_the_one_that_follows(released, tmp_path):
    rows = [{"trade": row["trade"], "amount": ""} for row in payments(600, seed=6)]
    source = write(tmp_path, "gaps.csv", text_of(rows))
    made = run("impute", released, "--input", source, "--out", tmp_path / "full.csv", "--seed", 1)
    assert made.exit_code == 0, made.output
    middle = pd.read_csv(tmp_path / "full.csv", keep_default_na=False).groupby("trade")["amount"].median()
    assert middle["travel"] > 2 * middle["food"]


def test_what_stands_in_such_a_column_is_never_counted():
    told = {name: pa.string() for name in BOOK["columns"]}
    request = plan_of(Schema.model_validate(BOOK), told, generator="marginal", unit="row", k=1, holdout_fraction=0.0)
    shown, given = [], []
    for odd in (False, True):
        record = Recording(7)
        frame = pd.DataFrame([{k: str(v) for k, v in row.items()} for row in payments(odd=odd)])
        frame[["shop", "way", "amount"]] = pd.DataFrame(payments())[["shop", "way", "amount"]].astype(str)
        public, private = learn(
            PrivateRows.held(pa.table({n: pa.array(frame[n], pa.string()) for n in told})), request, record, FixedKey()
        )
        shown.append(everything_public(public))
        given.append([repr(call.given) for call in record.calls])
    assert shown[0] == shown[1]
    assert given[0] == given[1]
    # The officer alone compares it with what stands in the rows, and sees that they contradict the book.
    tables = audit_tables(public, private, request)
    assert_kept(tables.synthetic)
    assert (tables.train["trade"] != tables.train["shop"].map(TRADE)).mean() > 0.4


def test_a_value_that_the_book_leaves_out_is_missing():
    codec = CategoryCodec("trade", ("food", "no"), False, True, "shop", (0, -1, 1))
    assert codec.attributes() == []
    shops = Decoded(np.array([0, 1, 2, 0]), np.array([False, False, False, True]))
    found = codec.decode(np.zeros((0, 4), dtype=np.uint16), Drawn({"shop": shops}, {}))
    assert found.values[~found.null].tolist() == [0, 1]
    assert found.null.tolist() == [False, True, False, True]
    assert codec_from_json(codec_to_json(codec)) == codec
    shop = CategoryCodec("shop", ("a", "b", "c"), False, True)
    table = TableCodec((codec, shop))
    frame = table.decode(np.array([[0, 1, 2, 3]], dtype=np.uint16), np.random.default_rng(0))
    assert frame["trade"].tolist() == ["food", None, "no", None]
    assert [groups.tolist() for groups in table.books()[0]] == [[1, 0, 2, 3]]
    known = {"shop": Decoded(np.array([2]), np.array([False]))}
    assert table.draw(np.array([[0]]), np.random.default_rng(0), known).columns["trade"].values.tolist() == [1]


def test_the_schema_survives_its_file(tmp_path):
    schema = Schema.model_validate(BOOK)
    path = write(tmp_path, "s.yaml", dump_schema(schema))
    assert load_schema(path) == schema
    assert schema.columns["trade"].categories == ("food", "travel", "no")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (changed("trade", follows={"column": "trade", "values": TRADES}), "no other column"),
        (changed("trade", follows={"column": "nowhere", "values": TRADES}), "no other column"),
        (changed("trade", follows={"column": "amount", "values": TRADES}), "kind: categorical and its categories"),
        (changed("trade", follows={"column": "till", "values": {"food": ["true"]}}), "kind: categorical and its"),
        (changed("shop", kind=None), "kind: categorical and its categories"),
        (changed("trade", follows={"column": "shop", "values": TRADES | {"no": ["cash", "strange"]}}), "no category"),
        (changed("trade", follows={"column": "shop", "values": TRADES | {"no": ["food_1"]}}), "two values"),
        (changed("trade", follows={"column": "shop", "values": {"food": ["food_1"]}}), "cannot be missing"),
        (changed("shop", nullable=True), "cannot be missing"),
        (changed("trade", categories=["food"]), "does not have"),
        (changed("trade", kind="integer"), "kind: categorical or boolean"),
        (changed("trade", roles=["target"]), "nothing to predict"),
        (changed("trade", follows={"column": "shop", "values": {}}), "must map"),
        (changed("trade", follows={"column": "shop", "values": ["food"]}), "must map"),
    ],
)
def test_a_book_that_cannot_be_is_refused(schema, words):
    with pytest.raises(ValidationError, match=words):
        Schema.model_validate(schema)


def test_a_book_over_a_column_that_the_table_lacks_is_refused_before_anything_is_spent(tmp_path, privsynth_home):
    rows = [{name: row[name] for name in row if name != "shop"} for row in payments(50)]
    table, declared = write(tmp_path, "p.csv", text_of(rows)), write(tmp_path, "s.yaml", yaml.safe_dump(BOOK))
    made = run("synthesize", table, "--schema", declared, "--epsilon", 1, "--out", tmp_path / "out", *FAST)
    assert made.exit_code == 2, made.output
    assert "shop" in made.output
    assert not (tmp_path / "out").exists()
