"""Does the proof bite? Faults are put into the pipeline one at a time, and the check that should see each must fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from leaks.compare import World, replayed, text_table
from leaks.needles import assert_no_needle
from leaks.proof import small_generators
from leaks.world import (
    BARE,
    COLUMNS,
    DECLARED,
    NEIGHBOURS,
    NOTE,
    K,
    csv_bytes,
    ordinary_rows,
    rows_with_needles,
    texts,
)

from privsynth.codecs import parsed_table
from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import CategoryCodec, NumberCodec
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.domain import bounding
from privsynth.partitions.marks import SIDE, TRAINING, on_side
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline import synthesize
from privsynth.pipeline.learning import columns, learn, sizes
from privsynth.pipeline.writing import write
from privsynth.privacy.unit_weights import STEPS, Weighting

FILES = "these public files depend on the rows"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch, arn=False)


@pytest.fixture
def differs(tmp_path):
    """Return a function that fails unless the check sees that a neighbour shows."""
    world = World(tmp_path)

    def check(neighbour: str, complaint: str, *, schema: str = "declared", **changes) -> None:
        raw = csv_bytes(NEIGHBOURS[neighbour](ordinary_rows()))
        with pytest.raises(AssertionError, match=complaint):
            world.compare(raw, "csv", constant=False, schema=schema, **changes)

    return check


def training_values(parsed: PrivateRows) -> Mapping[str, Categories | Grid]:
    """Return the private values of the rows in training, of a table in one part."""
    (part,) = parsed.load()
    return ParsedTable.of_arrow(on_side(part, TRAINING)).columns


def changed_codecs(monkeypatch, change) -> None:
    """Let `change(codec, column)` see each codec beside the private values that it was made for."""
    real = columns.learn_codecs

    def learn_codecs(parsed, *arguments, **told):
        codecs, values = real(parsed, *arguments, **told), training_values(parsed)
        return [change(codec, values.get(codec.name)) or codec for codec in codecs]

    monkeypatch.setattr(columns, "learn_codecs", learn_codecs)


def test_bounds_that_come_from_the_data(monkeypatch, differs):
    def change(codec, column):
        if codec.name == "cost" and isinstance(column, Grid):
            known = column.steps[~column.null]
            return replace(codec, low=int(known.min()), high=int(known.max()))
        return None

    changed_codecs(monkeypatch, change)
    differs("outliers", FILES)


def test_the_first_cell_begins_at_the_smallest_value(monkeypatch, differs):
    def change(codec, column):
        if isinstance(codec, NumberCodec) and codec.name == "age":
            cells = codec.bins
            lows = np.append(min(int(column.steps.min()), int(cells.lows[0])), cells.lows[1:])
            return replace(codec, bins=Bins(lows, cells.seg_low, cells.seg_high, cells.seg_weight))
        return None

    changed_codecs(monkeypatch, change)
    differs("small outliers", FILES)


def test_categories_without_a_threshold(monkeypatch, differs):
    def change(codec, column):
        if codec.name == "ward" and isinstance(column, Categories):
            return replace(codec, values=tuple(sorted(column.values)))
        return None

    changed_codecs(monkeypatch, change)
    differs("a new category", "depends? on the rows")


def test_categories_in_the_order_in_which_they_first_appear(monkeypatch, differs):
    def change(codec, column):
        if codec.name == "ward" and isinstance(column, Categories):
            return replace(codec, values=tuple(sorted(codec.values, key=column.values.index)))
        return None

    changed_codecs(monkeypatch, change)
    differs("permuted rows", FILES)


def test_a_null_code_only_where_a_null_was_seen(monkeypatch, differs):
    def change(codec, column):
        if isinstance(codec, NumberCodec) and codec.name == "lab":
            return replace(codec, nullable=bool(column.null.any()))
        return None

    changed_codecs(monkeypatch, change)
    differs("no nulls", "depends? on the rows")


def test_the_exact_number_of_rows(monkeypatch, differs):
    def exact(counts, *_others, **_told):
        return float(counts[0]), float(counts.sum())

    monkeypatch.setattr(sizes, "_count_sides", exact)
    differs("one row added", "depends? on the rows")


def test_a_figure_that_was_not_paid_for(monkeypatch, differs):
    real = learn.paid_findings

    def paid_findings(inputs, mechanisms, **told):
        found = real(inputs, mechanisms, **told)
        share = float((inputs.data.rows.codes[0] == 0).mean())
        return [replace(found[0], name="share", value=share, low=share, high=share), *found]

    monkeypatch.setattr(learn, "paid_findings", paid_findings)
    differs("one row removed", FILES)


def test_a_release_that_is_only_made_where_there_is_something_to_release(monkeypatch, differs):
    real = columns.learn_facts

    def learn_facts(rows, request, weighting, mechanisms):
        facts = real(rows, request, weighting, mechanisms)
        (part,) = rows.load(["lab"])
        if part.column("lab").null_count:
            values = np.array([part.column("lab").null_count])
            mechanisms.gaussian(values, l2_sensitivity=3.0, part="votes", mu_squared=1e-9, label="nulls")
        return facts

    monkeypatch.setattr(columns, "learn_facts", learn_facts)
    differs("no nulls", "told depends on the rows")


def test_a_run_that_stops_at_a_cell(monkeypatch, differs):
    real = parsed_table.parse_table

    def parse_table(table, *arguments, **told):
        assert "X" not in table.column("sex").to_pylist(), "a category that is not in the code book"
        return real(table, *arguments, **told)

    monkeypatch.setattr(parsed_table, "parse_table", parse_table)
    differs("a new category", "not in the code book")


def test_what_could_not_be_read_in_the_public_report(monkeypatch, differs):
    real = write.public_report
    seen = {}
    reading = synthesize.read_rows

    def read_rows(*arguments):
        rows, skipped = reading(*arguments)
        seen["skipped"] = skipped.total
        return rows, skipped

    def public_report(*arguments, **told):
        report = real(*arguments, **told)
        return replace(report, tool_version=f"{report.tool_version} ({seen['skipped']} cells left out)")

    monkeypatch.setattr(synthesize, "read_rows", read_rows)
    monkeypatch.setattr(write, "public_report", public_report)
    differs("an extremely long text", FILES)


def test_a_digest_of_the_source_in_the_public_schema(monkeypatch, differs):
    reading, writing = synthesize.read_rows, write.public_schema
    seen = {}

    def read_rows(*arguments):
        rows, skipped = reading(*arguments)
        seen["digest"] = synthesize.content_fingerprints(rows, [b"a key that everybody has"])[0].hex()
        return rows, skipped

    monkeypatch.setattr(synthesize, "read_rows", read_rows)
    monkeypatch.setattr(write, "public_schema", lambda *a: f"{writing(*a)}# {seen['digest']}\n")
    differs("a unique text", FILES)


def test_an_officers_figure_among_the_public_ones(monkeypatch, differs):
    real = synthesize.officer_findings

    def officer_findings(public, private, *arguments, **told):
        public.model.fitted.settings()
        object.__setattr__(public, "n_rows", int(private.rows.add_up(sizes.count_rows)[0]))
        return real(public, private, *arguments, **told)

    monkeypatch.setattr("privsynth.pipeline.audits.officer_audit.all_audits", dict)
    monkeypatch.setattr(synthesize, "officer_findings", officer_findings)
    differs("one row removed", FILES, audit="standard")


def alike_unit() -> tuple[list, list]:
    """Return the lines of a table, and those with K equal rows of another person."""
    lines = [list(line) for line in texts(ordinary_rows())]
    return lines, [*lines, *[["P99999", *lines[5][1:]]] * K]


def test_a_sensitivity_of_one_row_where_a_unit_has_three(monkeypatch):
    lines, more = alike_unit()
    with monkeypatch.context() as patch:  # where columns are learned: each row weighs what a unit may
        patch.setattr(bounding, "row_weights", lambda unit: np.full(len(unit), STEPS))
        with pytest.raises(AssertionError, match="moved by"):
            replayed(text_table(lines), text_table(more), BARE, holdout=0.0)
    for name in ("learn_facts", "learn_codecs"):  # and where rows weigh one each, as if each were a unit
        real = getattr(columns, name)
        with monkeypatch.context() as patch:
            patch.setattr(columns, name, lambda a, b, _, d, real=real, **told: real(a, b, Weighting(1), d, **told))
            with pytest.raises(AssertionError, match="moved by"):
                replayed(text_table(lines), text_table(more), BARE, holdout=0.0)
    real_encode = columns._encode
    monkeypatch.setattr(columns, "_encode", lambda *a: replace(real_encode(*a), max_rows_per_unit=1))
    with pytest.raises(AssertionError, match="moved by"):
        replayed(text_table(lines), text_table(more), DECLARED, holdout=0.0)


def test_a_unit_with_more_rows_than_it_may_have(monkeypatch):
    lines, _ = alike_unit()
    more = [*lines, *[["P99999", *lines[5][1:]]] * (10 * K)]
    real = learn.divide
    monkeypatch.setattr(learn, "divide", lambda *a, **told: real(*a, **{**told, "max_rows_per_unit": 10 * K}))
    with pytest.raises(AssertionError, match="moved by"):
        replayed(text_table(lines), text_table(more), DECLARED, holdout=0.0)


def test_coins_that_depend_on_who_else_is_there(monkeypatch):
    lines, more = alike_unit()

    def divide(rows, **told):
        (part,) = real(rows, **told).load()
        rng = np.random.default_rng(0)  # one coin a row, in order: a row in front shifts all others
        held = pa.array((rng.random(part.num_rows) < 0.3).astype(np.int8))
        return PrivateRows.held(part.set_column(part.column_names.index(SIDE), SIDE, held))

    real = learn.divide
    monkeypatch.setattr(learn, "divide", divide)
    with pytest.raises(AssertionError, match="moved by"):
        replayed(text_table(lines), text_table(more[::-1]), DECLARED)


def test_a_value_of_one_column_that_changes_how_the_others_are_read(monkeypatch):
    lines, _ = alike_unit()
    odd = ["P99999", *["x" if name == "lab" else cell for name, cell in zip(COLUMNS, lines[5], strict=True)][1:]]
    real = parsed_table.parse_table

    def parse_table(table, schema, facts, names):
        parsed = real(table, schema, facts, names)
        if "x" in table.column("lab").to_pylist():  # as readers of whole columns do
            column = parsed.columns["lab"]
            parsed.columns["lab"] = Grid(column.steps, np.ones_like(column.null))
        return parsed

    monkeypatch.setattr(parsed_table, "parse_table", parse_table)
    with pytest.raises(AssertionError, match="moved by"):
        replayed(text_table(lines), text_table([*lines, odd]), DECLARED, holdout=0.0)


def test_free_text_that_is_not_dropped(tmp_path, monkeypatch):
    # A model file that carries a category which one person has.
    raw = csv_bytes(rows_with_needles())
    world = World(tmp_path)
    clean = world.show(world_double(), raw, "csv", schema=DECLARED)
    assert_no_needle([NOTE, "NeedleWard77"], [], clean.files.items())

    def change(codec, column):
        return replace(codec, values=column.values) if isinstance(codec, CategoryCodec) and column else None

    changed_codecs(monkeypatch, change)
    leaking = world.show(world_double(), raw, "csv", schema=DECLARED)
    with pytest.raises(AssertionError, match=r"model/model\.json"):
        assert_no_needle(["NeedleWard77"], [], leaking.files.items())


def world_double():
    from leaks.proof import Recording

    return Recording(3)
