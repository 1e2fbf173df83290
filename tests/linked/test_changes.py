"""Columns told from the row before: what never changes stays, numbers move as they did, and first rows apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from linked.clinic import as_tables, learned

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import CategoryCodec, NumberCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.pipeline.linked.changes import changes_of, is_narrow
from privsynth.pipeline.linked.one_table.first_and_later import FIRST, share_of_first
from privsynth.sampling.linked.by_place import FirstRows, FittedByPlace
from privsynth.sampling.linked.changes import Followed, followed_columns, hidden_changes
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.written import written_frame
from privsynth.schema.linked import LinkedSchema

SPEC = {
    "dataset": "checks",
    "tables": {
        "people": {
            "key": "person",
            "columns": {
                "person": {"kind": "id"},
                "sex": {"kind": "categorical", "categories": ["F", "M"], "nullable": False},
            },
        },
        "checks": {
            "parent": {"table": "people", "column": "person"},
            "order": "year",
            "max_children": 6,
            "columns": {
                "year": {"kind": "integer", "minimum": 2010, "maximum": 2016, "nullable": False},
                "age": {"kind": "integer", "minimum": 20, "maximum": 90, "nullable": False},
                "blood": {"kind": "categorical", "categories": ["0", "A", "AB", "B"], "nullable": False},
                "smokes": {"kind": "boolean", "nullable": False},
                "height": {"kind": "numeric", "minimum": 140, "maximum": 210, "precision": 0.5, "nullable": True},
                "visits": {"kind": "integer", "minimum": 0, "maximum": 30, "nullable": False},
                "code": {"kind": "categorical", "follows": {"column": "blood", "values": {"x": ["0"], "y": ["A"]}}},
                "remark": {"kind": "text"},
            },
        },
    },
}


def checks(people: int = 3_000, seed: int = 1) -> dict[str, pd.DataFrame]:
    """Return persons with checks every year: blood and height stay, ages go up, some begin to smoke."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"p{i:05d}" for i in range(people)])
    rows = []
    for person in ids:
        age, blood = int(rng.integers(20, 80)), str(rng.choice(["0", "A", "AB", "B"], p=[0.4, 0.4, 0.05, 0.15]))
        smokes, height = bool(rng.random() < 0.3), float(np.round(rng.normal(172, 9) * 2) / 2)
        for year in range(2010, 2010 + int(rng.integers(1, 6))):
            smokes ^= bool(rng.random() < 0.05)
            rows.append((person, year, age + year - 2010, blood, smokes, height, int(rng.poisson(3)), "y", "-"))
    columns = ["person", "year", "age", "blood", "smokes", "height", "visits", "code", "remark"]
    people_frame = pd.DataFrame({"person": ids, "sex": rng.choice(["F", "M"], people)})
    return {"people": people_frame, "checks": pd.DataFrame(rows, columns=columns)}


@pytest.fixture(scope="module")
def release():
    model, _ = learned(20.0, frames=checks(), spec=SPEC)
    drawn = draw_linked(model, 3_000, seed=2)
    return model, drawn, written_frame(model, "checks", drawn, seed=2)


def test_what_never_changes_stays_and_ages_go_up_with_the_years(release):
    _, _, rows = release
    rows = rows.sort_values(["person", "year"], kind="stable")
    before = rows.groupby("person").shift()
    later = before["year"].notna()
    assert later.sum() > 4_000
    assert (rows["blood"].astype(str) == before["blood"].astype(str))[later].mean() > 0.98
    assert (rows["height"] == before["height"])[later].mean() > 0.98
    assert (rows["age"] - before["age"])[later].eq(1).mean() > 0.95
    assert (rows["smokes"].astype(str) == before["smokes"].astype(str))[later].mean() == pytest.approx(0.95, abs=0.03)
    ranks = rows[["visits"]].assign(before=before["visits"])[later].astype(float).corr().iloc[0, 1]
    assert abs(ranks) < 0.15  # it has nothing to do with the row before


def test_hidden_columns_are_kept_by_what_was_released_and_never_written(release):
    model, drawn, rows = release
    hidden = set(hidden_changes(model.schema, "checks")) & set(drawn["checks"].rows.columns)
    assert "change of age" in hidden
    assert {"blood as before", "smokes as before", "height as before"} <= hidden
    assert "age as before" not in hidden
    assert not hidden & set(rows.columns)
    assert not hidden & {column for column in written_frame(model, "people", drawn, seed=2).columns}


def test_columns_are_followed_where_rows_have_an_order_and_nothing_else_decides_them():
    schema = LinkedSchema.model_validate(SPEC)
    assert followed_columns(schema, "checks") == ["age", "blood", "smokes", "height", "visits"]
    assert followed_columns(schema, "people") == []
    once = {**SPEC["tables"]["checks"], "max_children": 1}
    unordered = {k: v for k, v in SPEC["tables"]["checks"].items() if k != "order"}
    for changed in (once, unordered):
        tables = {**SPEC["tables"], "checks": changed}
        assert followed_columns(LinkedSchema.model_validate({**SPEC, "tables": tables}), "checks") == []


def test_changes_are_told_from_the_row_before_nulls_and_all():
    frame = pd.DataFrame(
        {
            "person": ["p", "p", "p", "p"],
            "year": [2010, 2011, 2012, 2013],
            "age": [30, 31, 31, 29],
            "blood": ["A", " A", "B", "B"],
            "smokes": [True, True, False, False],
            "height": [170.0, 170.5, None, None],
            "visits": [1, 1, 2, 2],
        }
    )
    table = as_tables({"checks": frame})["checks"]
    found = changes_of(LinkedSchema.model_validate(SPEC), "checks", table, np.array([-1, 0, 1, 2]))
    assert found["change of age"].to_pylist() == [None, 1, 0, -2]
    assert found["age as before"].to_pylist() == [None, False, True, False]
    assert found["blood as before"].to_pylist() == [None, True, False, True]
    assert found["smokes as before"].to_pylist() == [None, True, False, True]
    assert found["change of height"].to_pylist() == [None, 1, None, None]
    assert found["height as before"].to_pylist() == [None, False, False, True]
    assert found["height as before"].type == pa.bool_()


def bins(*segments: tuple[int, int, float]) -> Bins:
    """Return bins of (low, high, weight), each a bin of its own."""
    low, high, weight = (np.array(part) for part in zip(*segments, strict=True))
    return Bins(low.astype(np.int64), low.astype(np.int64), high.astype(np.int64), weight.astype(np.float64))


def number(name: str, own: Bins, nullable: bool = False) -> NumberCodec:
    return NumberCodec(name, own, 1.0, nullable, True, low=0, high=100)


@pytest.mark.parametrize(
    ("moves", "rows", "narrow"),
    [
        (bins((1, 1, 90), (2, 5, 10)), 4.0, True),  # ages
        (bins((-30, -1, 50), (0, 0, 1), (1, 30, 50)), 4.0, False),  # a fresh value each time
        (bins((-12, -1, 50), (1, 12, 50)), 4.0, True),
        (bins((-12, -1, 50), (1, 12, 50)), 100.0, False),  # their sum leaves the range
        (bins((-60, -1, 1), (0, 0, 98), (1, 60, 1)), 4.0, False),  # rare, but a fresh value then
        (bins((0, 0, 100)), 4.0, False),
    ],
)
def test_a_column_is_told_by_its_change_where_it_moves_little(moves, rows, narrow):
    assert is_narrow(number("age", bins((0, 49, 50), (50, 100, 50))), number("change of age", moves), rows) == narrow


def test_a_carried_value_is_the_very_value_before_or_that_and_the_change():
    age, change = number("age", bins((0, 49, 1), (50, 100, 1))), number("change of age", bins((2, 2, 1)))
    followed = Followed(age, change, [0], 1)
    previous = DecodedRows({"age": Decoded(np.array([48, 99, 7, 7]), np.array([False, False, True, False]))}, 4)
    known = np.array([[-1, -1, -1, -1], [0, 0, 0, 1]], dtype=np.int32)
    values, told = followed.carry(known, np.array([[0, 1, 2, 0]]), previous, np.random.default_rng(0))
    assert values.values[~values.null].tolist() == [50, 100]  # inside the declared bounds
    assert told.tolist() == [True, True, False, False]
    assert known[0].tolist() == [1, 1, -1, -1]

    blood = CategoryCodec("blood", ("A", "B"), False, False)
    flag = CategoryCodec("blood as before", ("false", "true"), False, True, boolean=True)
    followed = Followed(blood, flag, [0], 1)
    previous = DecodedRows({"blood": Decoded(np.array([1, 1]), np.zeros(2, dtype=bool))}, 2)
    known = np.array([[-1, -1], [1, 0]], dtype=np.int32)
    values, told = followed.carry(known, np.array([[1, 1]]), previous, np.random.default_rng(0))
    assert known[0].tolist() == [1, 0]  # of two values the other
    assert told.all()
    assert values.null.tolist() == [False, True]


class Fixed:
    """A model that always draws one code."""

    name = "marginal"

    def __init__(self, sizes: tuple[int, ...], code: int) -> None:
        self.sizes, self.code = sizes, code

    def complete(self, known, evidence, rng):
        return np.where(known < 0, self.code, known).astype(np.uint16)

    def never_drawn(self):
        return [np.arange(size) != self.code for size in self.sizes]


def test_first_rows_are_drawn_by_their_own_model_and_have_no_row_before():
    rows = FirstRows(sizes=(3, 4, 3, 5), kept=(0, 3), place=2)
    both = FittedByPlace(Fixed((3, 5), 0), Fixed((3, 4, 3, 5), 1), rows, share=0.5)
    known = np.full((4, 3), -1)
    known[2] = [0, 1, 0]
    known[3, 2] = 4
    found = both.complete(known, {}, np.random.default_rng(0))
    assert found.T.tolist() == [[0, 3, 0, 0], [1, 1, 1, 1], [0, 3, 0, 4]]
    never = both.never_drawn()
    assert never[0].tolist() == [False, False, True]
    assert never[1].tolist() == [True, False, True, False]


def test_first_rows_get_the_budget_that_their_share_is_worth():
    shares = [share_of_first(x) for x in (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)]
    assert shares == sorted(shares)
    assert shares[0] == FIRST[0]
    assert shares[-1] == FIRST[1]
    assert share_of_first(0.5) == pytest.approx(0.5)
