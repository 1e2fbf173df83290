"""The whole pipeline with answers that do not come from the rows: then no byte of the public folder may depend on them.

Whatever differs between two tables of the same header, with mechanisms that say the same to both, is a flow that nobody
pays for. Two kinds of answers: constants, and those that were recorded on the first table, which show more (kinds,
categories, cells of all sorts). Each case is a run of the whole job, so that all are slow, and CI takes them in part;
`test_core_neighbours` replays the private core alone.
"""

from __future__ import annotations

import pandas as pd
import pytest
from leaks.compare import FEW, World
from leaks.proof import small_generators
from leaks.world import (
    CSV_NEIGHBOURS,
    JSONL_NEIGHBOURS,
    NEIGHBOURS,
    csv_bytes,
    jsonl_bytes,
    ordinary_rows,
    parquet_bytes,
)

from privsynth.generators.registry import GENERATORS


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        small_generators(patch)
        yield World(tmp_path_factory.mktemp("world"))


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_no_public_byte_depends_on_the_rows(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    assert raw != csv_bytes(ordinary_rows())
    world.compare(raw, "csv", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", CSV_NEIGHBOURS)
def test_no_public_byte_depends_on_spoilt_cells_and_lines(world, neighbour):
    first = csv_bytes(ordinary_rows())
    raw = CSV_NEIGHBOURS[neighbour](first)
    assert raw != first
    world.compare(raw, "csv", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", [*NEIGHBOURS, *CSV_NEIGHBOURS])
def test_no_public_byte_depends_on_the_rows_without_a_schema(world, neighbour):
    rows = ordinary_rows()
    raw = csv_bytes(NEIGHBOURS[neighbour](rows)) if neighbour in NEIGHBOURS else None
    world.compare(raw or CSV_NEIGHBOURS[neighbour](csv_bytes(rows)), "csv", constant=False, schema="bare")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_with_constant_answers_and_no_schema(world, neighbour):
    world.compare(csv_bytes(NEIGHBOURS[neighbour](ordinary_rows())), "csv", constant=True, schema="bare")


# What makes pandas, or a reader of Arrow columns, choose another type.
ODD = (
    "one null", "one row of nulls", "target all null", "every modelled column all null", "not a number",
    "small outliers", "minus infinity", "no nulls",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", [*ODD, *FEW[:2]])
def test_no_public_byte_depends_on_the_rows_of_a_data_frame(world, neighbour):
    # One missing cell makes objects of booleans and floats of integers: not even that may show.
    frame = pd.DataFrame(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(frame, "frame", constant=False, schema="bare")


# Arrow columns have types: what cannot be said in them is no neighbour.
def typed(neighbour: str) -> bytes:
    return parquet_bytes(NEIGHBOURS[neighbour](ordinary_rows()))


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_of_a_parquet_file(world, neighbour):
    world.compare(typed(neighbour), "parquet", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", ODD)
def test_no_public_byte_depends_on_the_rows_of_a_parquet_file_without_a_schema(world, neighbour):
    world.compare(typed(neighbour), "parquet", constant=False, schema="bare")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", JSONL_NEIGHBOURS)
def test_no_public_byte_depends_on_the_lines_of_a_json_file(world, neighbour):
    raw = JSONL_NEIGHBOURS[neighbour](jsonl_bytes(ordinary_rows()))
    world.compare(raw, "jsonl", constant=False, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_of_a_json_file(world, neighbour):
    raw = jsonl_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "jsonl", constant=False, schema="bare")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_with_constant_answers(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=True, schema="declared")


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_no_public_byte_depends_on_the_rows_without_a_holdout(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=False, schema="declared", holdout_fraction=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("neighbour", FEW)
def test_each_row_a_unit_of_its_own(world, neighbour):
    raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
    world.compare(raw, "csv", constant=False, schema="bare", unit="row", max_rows_per_unit=None)


@pytest.mark.slow
@pytest.mark.parametrize("generator", [n for n, info in GENERATORS.items() if info.private and n != "marginal"])
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
