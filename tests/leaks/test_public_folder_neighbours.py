"""The whole pipeline with answers that do not come from the rows: then no byte of the public folder may depend on them.

Whatever differs between two tables of the same header, with mechanisms that say the same to both, is a flow that nobody
pays for. Two kinds of answers: constants, and those that were recorded on the first table, which show more (kinds,
categories, cells of all sorts).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from leaks.proof import (
    EPSILON,
    Constant,
    Recording,
    Replaying,
    Seen,
    assert_same,
    config,
    release,
    small_generators,
)
from leaks.world import (
    BARE,
    COLUMNS,
    CSV_NEIGHBOURS,
    DECLARED,
    JSONL_NEIGHBOURS,
    NEIGHBOURS,
    csv_bytes,
    jsonl_bytes,
    ordinary_rows,
    parquet_bytes,
)

from privsynth.generators.generator import GENERATORS
from privsynth.privacy.ledger import Ledger

SCHEMAS = {"declared": DECLARED, "bare": BARE}
PUBLIC_FILES = {
    "attestation.dsse.json", "data.parquet", "manifest.json", "model/model.json", "model/model.safetensors",
    "report.html", "report.json", "schema.yaml",
}  # fmt: skip
# What a container can hold: its suffix, how the first table is written, and how it is read.
SOURCES: dict[str, tuple[str, Callable[[Any], bytes], dict[str, Any]]] = {
    "csv": (".csv", csv_bytes, {}),
    "parquet": (".parquet", parquet_bytes, {}),
    "jsonl": (".jsonl", jsonl_bytes, {"columns": COLUMNS}),
}
FEW = (
    "one row removed", "a thousand rows added", "no row has a unit", "outliers", "one column all null",
    "permuted rows", "an empty protected group", "a new category",
)  # fmt: skip


class World:
    """Runs of the whole job, each in a home of its own; the first table of each kind is run once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.firsts: dict[tuple[Any, ...], tuple[Seen, Any]] = {}

    def show(self, double: Any, raw: bytes, kind: str, **changes: Any) -> Seen:
        """Return what a run on these bytes shows."""
        self.count += 1
        here = self.folder / str(self.count)
        here.mkdir()
        suffix, _, options = SOURCES[kind]
        (here / f"table{suffix}").write_bytes(raw)
        Ledger(here / "home").set_cap("admissions", epsilon=EPSILON, delta=1e-3)
        job = config(here / f"table{suffix}", here / "out", source_options=options, **changes)
        return release(double, job, here / "home")

    def compare(self, raw: bytes, kind: str, *, constant: bool, schema: str, **changes: Any) -> None:
        """Fail unless these bytes show the same as the first table."""
        key = (kind, constant, schema, *sorted(changes.items()))
        told = {"schema": SCHEMAS[schema], "epsilon": 1.0 if constant else EPSILON, **changes}
        double: Any = Constant(keys=("7", "19"))
        if key not in self.firsts:
            first = SOURCES[kind][1](ordinary_rows())
            double = double if constant else Recording(1)
            self.firsts[key] = (self.show(double, first, kind, **told), double)
        seen, record = self.firsts[key]
        assert seen.files.keys() == PUBLIC_FILES
        other = Constant(keys=("7", "19")) if constant else Replaying(record)
        assert_same(seen, self.show(other, raw, kind, **told))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small_generators(patch)
        yield World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_no_public_byte_depends_on_the_rows(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    assert raw != csv_bytes(ordinary_rows())
    world.compare(raw, "csv", constant=False, schema="declared")


@pytest.mark.parametrize("neighbour", CSV_NEIGHBOURS)
def test_no_public_byte_depends_on_spoilt_cells_and_lines(world, neighbour):
    first = csv_bytes(ordinary_rows())
    raw = CSV_NEIGHBOURS[neighbour](first)
    assert raw != first
    world.compare(raw, "csv", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("constant", [True, False], ids=["constant", "replay"])
@pytest.mark.parametrize("neighbour", [*NEIGHBOURS, *CSV_NEIGHBOURS])
def test_no_public_byte_depends_on_the_rows_without_a_schema(world, neighbour, constant):
    rows = ordinary_rows()
    raw = csv_bytes(NEIGHBOURS[neighbour](rows)) if neighbour in NEIGHBOURS else None
    world.compare(raw or CSV_NEIGHBOURS[neighbour](csv_bytes(rows)), "csv", constant=constant, schema="bare")


# Arrow columns have types: what cannot be said in them is no neighbour.
def typed(neighbour: str) -> bytes:
    return parquet_bytes(NEIGHBOURS[neighbour](ordinary_rows()))


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_of_a_parquet_file(world, neighbour, schema):
    world.compare(typed(neighbour), "parquet", constant=False, schema=schema)


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", [name for name in NEIGHBOURS if name not in FEW])
def test_no_public_byte_depends_on_the_rest_of_the_rows_of_a_parquet_file(world, neighbour):
    world.compare(typed(neighbour), "parquet", constant=False, schema="bare")


@pytest.mark.parametrize("neighbour", JSONL_NEIGHBOURS)
def test_no_public_byte_depends_on_the_lines_of_a_json_file(world, neighbour):
    raw = JSONL_NEIGHBOURS[neighbour](jsonl_bytes(ordinary_rows()))
    world.compare(raw, "jsonl", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_of_a_json_file(world, neighbour):
    raw = jsonl_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "jsonl", constant=False, schema="bare")


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "replay"])
@pytest.mark.parametrize("neighbour", FEW)
def test_constant_answers_and_no_holdout_and_csv_out(world, neighbour, constant):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=constant, schema="declared", holdout_fraction=0.0)


@pytest.mark.parametrize("neighbour", FEW)
def test_each_row_a_unit_of_its_own(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=False, schema="bare", unit="row", max_rows_per_unit=None)


@pytest.mark.slow
@pytest.mark.parametrize("generator", [name for name in GENERATORS if name != "marginal"])
@pytest.mark.parametrize("neighbour", [*FEW, "one row left", "a unit with ten times its rows added"])
def test_no_public_byte_of_the_other_generators_depends_on_the_rows(world, neighbour, generator):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=False, schema="declared", generator=generator, epsilon=8.0)


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", [*FEW, "one row left", "every modelled column all null", "target all null",
                                       "one value in every column", "all rows of one unit"])  # fmt: skip
def test_the_officers_audit_neither_stops_a_run_nor_shows_in_the_public_folder(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=False, schema="declared", audit="standard")
