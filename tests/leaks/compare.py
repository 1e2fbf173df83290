"""Two runs side by side: the whole job on two files, and the private core on two tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from leaks.long_text import LongText
from leaks.proof import (
    EPSILON,
    Constant,
    FixedKey,
    Recording,
    Replaying,
    Seen,
    assert_same,
    assert_within_sensitivity,
    config,
    everything_public,
    plan_of,
    release,
)
from leaks.world import BARE, COLUMNS, DECLARED, K, csv_bytes, jsonl_bytes, ordinary_rows, parquet_bytes, texts

from privsynth.exports.documents import names_of_documents
from privsynth.ledger.ledger import Ledger
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.release.noisy.tables import CELLS, FACTS
from privsynth.schema import Schema
from privsynth.table import Table

SCHEMAS = {"declared": DECLARED, "bare": BARE}
PUBLIC_FILES = {
    "attestation.dsse.json", "data.parquet", "manifest.json", "model/model.json", "model/model.safetensors",
    "report.html", "report.json", "schema.yaml", CELLS, FACTS,
}  # fmt: skip
# What a container can hold: its suffix, how the first table is written, and how it is read.
SOURCES: dict[str, tuple[str, Callable[[Any], Any], dict[str, Any]]] = {
    "csv": (".csv", csv_bytes, {}),
    "parquet": (".parquet", parquet_bytes, {}),
    "jsonl": (".jsonl", jsonl_bytes, {"columns": COLUMNS}),
    "frame": ("", pd.DataFrame, {}),  # with the dtypes that pandas chooses by what is in the cells
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

    def show(self, double: Any, raw: bytes | pd.DataFrame, kind: str, **changes: Any) -> Seen:
        """Return what a run on these bytes, or this frame, shows."""
        self.count += 1
        here = self.folder / str(self.count)
        here.mkdir()
        suffix, _, options = SOURCES[kind]
        source: Path | pd.DataFrame = here / f"table{suffix}"
        if isinstance(raw, bytes):
            (here / f"table{suffix}").write_bytes(raw)
        else:
            source = raw
        Ledger(here / "home").set_cap("admissions", epsilon=EPSILON, delta=1e-3)
        job = config(source, here / "out", source_options=options, **changes)
        return release(double, job, here / "home")

    def compare(self, raw: bytes | pd.DataFrame, kind: str, *, constant: bool, schema: str, **changes: Any) -> None:
        """Fail unless they show the same as the first table."""
        key = (kind, constant, schema, *sorted(changes.items()))
        told = {"schema": SCHEMAS[schema], "epsilon": 1.0 if constant else EPSILON, **changes}
        double: Any = Constant(keys=("7", "19"))
        if key not in self.firsts:
            first = SOURCES[kind][1](ordinary_rows())
            double = double if constant else Recording(1)
            self.firsts[key] = (self.show(double, first, kind, **told), double)
        seen, record = self.firsts[key]
        assert seen.files.keys() == {*PUBLIC_FILES, *names_of_documents(catalogued="catalogue" in SCHEMAS[schema])}
        other = Constant(keys=("7", "19")) if constant else Replaying(record)
        assert_same(seen, self.show(other, raw, kind, **told))


Lines = list[list[str | None]]


def text_table(lines: Lines) -> Table:
    """Return what a CSV file delivers."""
    return Table(pa.table({n: pa.array([r[i] or None for r in lines], pa.string()) for i, n in enumerate(COLUMNS)}))


def replayed(
    one: Table, other: Table, schema: dict[str, Any], *, unit: str = "patient", k: int = K, holdout: float = 0.1,
    generator: str = "marginal", epsilon: float = EPSILON,
) -> Replaying:  # fmt: skip
    """Run the core on a table, and on its neighbour with the same answers; fail if anything that leaves differs."""
    if unit == "row":
        schema = {key: value for key, value in schema.items() if key not in ("unit", "max_rows_per_unit")}
    request = plan_of(
        Schema.model_validate(schema),
        {field.name: field.type for field in one.data.schema},
        generator=generator, unit=unit, k=k, epsilon=epsilon, holdout_fraction=holdout,
    )  # fmt: skip
    record = Recording(5)
    first, _ = learn(PrivateRows.held(one.data), request, record, FixedKey())
    replay = Replaying(record)
    second, _ = learn(PrivateRows.held(other.data), request, replay, FixedKey())
    assert everything_public(first) == everything_public(second)
    assert_within_sensitivity(replay.calls, record.calls, k=k)
    moved = [m.public[1] for m, r in zip(replay.calls, record.calls, strict=True) if repr(m.given) != repr(r.given)]
    assert moved, "the neighbour changed nothing, so that this test shows nothing"
    return replay


def public_text(double: Any) -> LongText:
    """Return all that the private core lets out of the ordinary table, with the answers of a double."""
    table = text_table([list(line) for line in texts(ordinary_rows())])
    request = plan_of(
        Schema.model_validate(DECLARED), {name: pa.string() for name in COLUMNS}, generator="marginal", unit="patient",
        k=K, holdout_fraction=0.1,
    )  # fmt: skip
    return everything_public(learn(PrivateRows.held(table.data), request, double, FixedKey())[0])
