"""The tables of a benchmark: reading, division into training and holdout rows, and alignment for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.benchmark.config import BenchmarkConfig
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.codecs.parse import as_categories
from privsynth.errors import ConfigError, Option, SchemaError
from privsynth.pipeline.audits.audit_inputs import compared_facts, side_by_side, typed_frame
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.reading.inputs import physical_types
from privsynth.privacy.budget import Budget
from privsynth.schema.definition import Schema
from privsynth.schema.files import load_schema
from privsynth.sources.registry import SourceOptions, open_source, read_table
from privsynth.table import Table
from privsynth.workspace import Workspace

SPLIT_SEED = 20_261_122  # the same split in every run of a benchmark, and in every process


@dataclass(frozen=True, kw_only=True, repr=False)
class RealTables:
    """The real rows of a benchmark, private, with their declarations.

    Attributes:
      train: the rows that generators see.
      holdout: the rows that they do not see.
      schema: of the generators; its number of rows is that of `train`.
      physical: column -> Arrow type.
      targets: columns to predict.
    """

    train: Table
    holdout: Table
    schema: Schema
    physical: dict[str, Any]
    targets: tuple[str, ...]

    def __repr__(self) -> str:
        return "RealTables()"


def settle(config: BenchmarkConfig) -> Schema:
    """Return the schema, after all checks that need only the header.

    Raises:
      InputError: the table, the schema, the unit or a target does not fit.
    """
    config.check_generators(linked=False)
    # A benchmark stays with the officer, so it may use what was detected from the rows.
    schema = load_schema(config.schema, sdv_is_declared=True) if config.schema else Schema()
    source = open_source(config.table, SourceOptions(**config.source_options))
    unit = budget_of(config, schema, epsilon=1.0).unit
    check_schema_fits(schema, source.names, unit)
    for name in _targets(config, schema):
        if name not in source.names or name == unit:
            raise ConfigError(f"the target '{name}' is not a column that can be predicted; check ", Option("target"))
    if config.holdout is not None:
        held = open_source(config.holdout, SourceOptions(**config.source_options))
        missing = [name for name in source.names if name not in held.names]
        if missing:
            raise SchemaError(f"the holdout lacks the column '{missing[0]}' of the table")
    return schema


def budget_of(config: BenchmarkConfig, schema: Schema, *, epsilon: float) -> Budget:
    """Return the budget of a private run; unit and `max_rows_per_unit` as in `synthesize`."""
    return SynthesizeConfig(
        source=config.table,
        out=config.out,
        unit=config.unit,
        epsilon=epsilon,
        delta=config.delta,
        max_rows_per_unit=config.max_rows_per_unit,
    ).budget(schema)


def _targets(config: BenchmarkConfig, schema: Schema) -> tuple[str, ...]:
    return config.targets or tuple(schema.with_role("target"))


def read_real_tables(config: BenchmarkConfig, workspace: Workspace) -> RealTables:
    """Read and divide the table, with the same division in every process.

    Guarantee: none; the split is seeded, which no release may be. A benchmark never leaves the officer.
    """
    schema = settle(config)
    source = open_source(config.table, SourceOptions(**config.source_options))
    whole, _ = read_table(source, workspace)
    if config.split is None:
        held = read_table(open_source(str(config.holdout), SourceOptions(**config.source_options)), workspace)[0]
        train, holdout = whole, held.select(whole.names)
    else:
        out = _split(whole, budget_of(config, schema, epsilon=1.0).unit, config.split)
        train, holdout = whole.take(~out), whole.take(out)
        if schema.rows is not None:
            schema = schema.model_copy(update={"rows": max(round(schema.rows * (1 - config.split)), 1)})
    if min(train.n_rows, holdout.n_rows) == 0:
        raise ConfigError("no rows are left on one side; give a larger table, or another ", Option("holdout_fraction"))
    return RealTables(
        train=train,
        holdout=holdout,
        schema=schema,
        physical=physical_types(source),
        targets=_targets(config, schema),
    )


def _split(table: Table, unit: str, fraction: float) -> np.ndarray:
    """Return (n,) booleans: the row is held out. Units are kept whole; rows without a unit are training rows."""
    rng = np.random.default_rng(SPLIT_SEED)
    if unit == "row":
        return rng.random(table.n_rows) < fraction
    codes = as_categories(table.column(unit)).codes
    coins = rng.random(int(codes.max(initial=-1)) + 1) < fraction
    return np.where(codes >= 0, coins[np.maximum(codes, 0)], False) if len(coins) else np.zeros(len(codes), dtype=bool)


def align(sides: RealTables, synthetic: Table, unit: str) -> AuditTables:
    """Return the three tables with one kind per column: the schema's, else detected on the training rows.

    Identifiers, free text and the unit column are left out.
    Raises:
      ConfigError: the synthetic rows lack a column, or nothing can be compared.
    """
    facts = _kept_facts(sides, unit)
    missing = [n for n in facts if n not in synthetic.names]
    if missing:
        raise ConfigError(f"the synthetic rows lack the column '{missing[0]}'")
    tables = {"train": sides.train, "holdout": sides.holdout, "synthetic": synthetic}
    frames = {side: typed_frame(table, sides.schema, facts) for side, table in tables.items()}
    return side_by_side(frames, facts, sides.schema, targets=tuple(n for n in sides.targets if n in facts))


def typed_train(sides: RealTables, unit: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the training rows as a frame of numbers, times and texts, and the kind of each column.

    Guarantee: none; kinds that the schema lacks are detected on the rows. For references without privacy.
    """
    facts = _kept_facts(sides, unit)
    return typed_frame(sides.train, sides.schema, facts), {n: fact.kind for n, fact in facts.items()}


def _kept_facts(sides: RealTables, unit: str) -> dict[str, ColumnFacts]:
    kept = compared_facts(sides.train, sides.schema, [n for n in sides.train.names if n != unit])
    if not kept:
        raise ConfigError("every column is an identifier or free text; there is nothing to measure")
    return kept


def read_rows(path: Path, workspace: Workspace, names: Sequence[str]) -> Table:
    """Return synthetic rows from a file, of the named columns that it has."""
    table, _ = read_table(open_source(str(path), SourceOptions()), workspace)
    return table.select([n for n in names if n in table.names])
