"""The whole private core gives the same release for any parts of the table, and whoever counts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from leaks.proof import FixedKey, Recording, everything_public, plan_of
from leaks.world import BARE, COLUMNS, DECLARED, K, ordinary_rows, texts

from privsynth.domain.bounding import divide, occurrences
from privsynth.partitions.executors.inline import InlineExecutor
from privsynth.partitions.executors.processes import ProcessesExecutor
from privsynth.partitions.executors.protocol import Executor
from privsynth.partitions.marks import OF_UNIT, ROW, SIDE, STEPS, UNIT, UNUSED, values
from privsynth.partitions.part import RowsPart, write_part
from privsynth.partitions.rows import PrivateRows, ScratchFolder
from privsynth.pipeline.learning.learn import learn
from privsynth.schema import Schema


def world() -> pa.Table:
    lines = [list(line) for line in texts(ordinary_rows())]
    return pa.table({n: pa.array([r[i] or None for r in lines], pa.string()) for i, n in enumerate(COLUMNS)})


def in_parts(data: pa.Table, parts: int, folder: Path, executor: Executor) -> PrivateRows:
    """Return a table in files of about as many rows each; the first is empty where there are many."""
    scratch = ScratchFolder(folder)
    ends = np.linspace(0, data.num_rows, parts + 1).astype(int)
    ends[1] = 0 if parts > 5 else ends[1]
    files = scratch.files(parts)
    written: list[RowsPart] = [
        write_part(data.slice(a, b - a), path) for a, b, path in zip(ends[:-1], ends[1:], files, strict=True)
    ]
    return PrivateRows(tuple(written), data.schema, executor, scratch)


def shown(rows: PrivateRows, declared: dict, unit: str) -> tuple[object, list]:
    """Return all that the private core lets out, with recorded answers, and the exact numbers that it asked about."""
    if unit == "row":
        declared = {key: value for key, value in declared.items() if key not in ("unit", "max_rows_per_unit")}
    request = plan_of(
        Schema.model_validate(declared),
        {name: pa.string() for name in COLUMNS},
        generator="marginal",
        unit=unit,
        k=K if unit == "patient" else 1,
        holdout_fraction=0.1,
    )
    record = Recording(3)
    public, _ = learn(rows, request, record, FixedKey())
    return everything_public(public), [plain(call.given) for call in record.calls]


def plain(given: object) -> object:
    """Return exact numbers as lists and dicts."""
    if isinstance(given, np.ndarray):
        return given.tolist()
    return [plain(one) for one in given] if isinstance(given, list | tuple) else given


@pytest.mark.parametrize("unit", ["patient", "row"])
@pytest.mark.parametrize("declared", [DECLARED, BARE], ids=["declared", "bare"])
def test_any_number_of_parts_gives_the_same_release(declared, unit, tmp_path):
    data = world()
    whole = shown(PrivateRows.held(data), declared, unit)
    for parts in (2, 7):
        folder = tmp_path / str(parts)
        folder.mkdir()
        assert shown(in_parts(data, parts, folder, InlineExecutor()), declared, unit) == whole


def test_processes_give_the_same_release(tmp_path):
    data = world()
    with ProcessesExecutor(2) as executor:
        assert shown(in_parts(data, 3, tmp_path, executor), BARE, "patient") == shown(
            PrivateRows.held(data), BARE, "patient"
        )


@pytest.mark.parametrize("unit", ["patient", "row"])
def test_each_row_has_the_same_marks_in_any_parts(unit, tmp_path):
    """A unit's number alone may differ; but rows that share one do so in any parts, and all of them are in one part."""
    data = world()

    def marks(rows: PrivateRows) -> tuple[dict[int, tuple], dict[int, set[int]]]:
        key = FixedKey()
        made = divide(rows, unit=unit, max_rows_per_unit=2, holdout_fraction=0.25, keyed=key)
        of_row, together, before = {}, {}, 0
        for part in made.load():
            row, own = values(part, ROW).tolist(), values(part, UNIT)
            for at, number in enumerate(row):
                of_row[number] = tuple(int(values(part, name)[at]) for name in (SIDE, STEPS, OF_UNIT))
                if own[at] >= 0:
                    together.setdefault(before + int(own[at]), set()).add(number)
            before += int(own.max(initial=-1)) + 1
        return of_row, {min(rows): rows for rows in together.values()}

    assert marks(in_parts(data, 7, tmp_path, InlineExecutor())) == marks(PrivateRows.held(data))


def test_equal_words_in_several_parts_are_numbered_on():
    words = [np.array(of_part, dtype=np.uint64) for of_part in ([5, 6, 5], [], [5, 7], [6])]
    assert [found.tolist() for found in occurrences(words)] == [[0, 0, 1], [], [2, 0], [1]]


def test_equal_words_are_numbered_alike_in_pieces(monkeypatch):
    words = [np.random.default_rng(seed).integers(0, 50, 100).astype(np.uint64) for seed in range(3)]
    whole = [found.tolist() for found in occurrences(words)]
    monkeypatch.setattr("privsynth.domain.bounding.AT_ONCE", 64)
    assert [found.tolist() for found in occurrences(words)] == whole


def test_a_unit_that_is_minus_zero_in_some_rows_is_one_unit(tmp_path):
    data = pa.table({"unit": pa.array([0.0, -0.0] * 20), "x": pa.array([str(i) for i in range(40)])})
    rows = in_parts(data, 4, tmp_path, InlineExecutor())
    made = divide(rows, unit="unit", max_rows_per_unit=3, holdout_fraction=0.0, keyed=FixedKey())
    assert sum(int((values(part, SIDE) != UNUSED).sum()) for part in made.load()) == 3
