"""What is benchmarked: one table or linked ones, by the schema; what of it a page says and a folder remembers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from privsynth.benchmark import splits
from privsynth.benchmark.config import BenchmarkConfig
from privsynth.benchmark.linked import persons
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema, linked_schema
from privsynth.sources.registry import SourceOptions, open_source


def settle(config: BenchmarkConfig) -> Schema | LinkedSchema:
    """Return the schema, after all checks that need only headers.

    Raises:
      InputError: a table, the schema, an option, a generator or a target does not fit.
    """
    linked = linked_schema(config.schema)
    if linked is not None:
        return persons.settle(config, linked).schema
    return splits.settle(config)


def unit_of(config: BenchmarkConfig, schema: Schema | LinkedSchema) -> dict[str, Any]:
    """Return whose privacy the private runs protect, and how many rows of one are used."""
    if isinstance(schema, LinkedSchema):
        most = {name: table.max_children for name, table in schema.tables.items() if table.parent is not None}
        return {"unit": schema.person, "max_rows_per_unit": ", ".join(f"{name} {n}" for name, n in most.items())}
    budget = splits.budget_of(config, schema, epsilon=1.0)
    return {"unit": budget.unit, "max_rows_per_unit": budget.max_rows_per_unit}


def identity_of_rows(config: BenchmarkConfig, schema: Schema | LinkedSchema) -> dict[str, Any]:
    """Return what tells the real rows of a benchmark from others."""
    if isinstance(schema, LinkedSchema):
        label = config.table
    else:
        label = open_source(config.table, SourceOptions(**config.source_options)).label
    held = None if config.holdout is None else digest(Path(config.holdout))
    return {"table": label, "table_digest": digest(Path(config.table)), "holdout": held}


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, or of the names and digests of a folder's files; None for anything else."""
    try:
        if path.is_dir():
            inside = sorted((file.name, str(digest(file))) for file in path.iterdir() if file.is_file())
            return hashlib.sha256(repr(inside).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
