"""The linked tables of a benchmark: reading, division of persons into training and holdout, and alignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from privsynth.audit.linked.linked_tables import LinkedTables
from privsynth.benchmark.config import FLAT, BenchmarkConfig, is_private
from privsynth.benchmark.splits import SPLIT_SEED
from privsynth.errors import ConfigError, Option, SchemaError
from privsynth.generators.sdv import PAR, LinkedFrames
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.linked.inputs import OpenedTables, open_linked
from privsynth.pipeline.linked.learn import persons_of_rows
from privsynth.pipeline.linked.outside import linked_sides, read_sides
from privsynth.schema.linked import LinkedSchema
from privsynth.sources.protocol import SourceOptions
from privsynth.sources.registry import open_tables
from privsynth.table import Table
from privsynth.workspace import Workspace


@dataclass(frozen=True, kw_only=True, repr=False)
class RealPersons:
    """The real persons of a benchmark, private, with their declarations.

    Attributes:
      train, holdout: name -> table, of the persons that generators see, and that they do not see.
      opened: the headers, and the schema as a run completes it.
      targets: columns of the persons' table to predict.
    """

    train: Mapping[str, Table]
    holdout: Mapping[str, Table]
    opened: OpenedTables
    targets: tuple[str, ...]

    def __repr__(self) -> str:
        return "RealPersons()"

    @property
    def schema(self) -> LinkedSchema:
        """How the tables are linked."""
        return self.opened.schema

    def read(self, folder: Path, workspace: Workspace) -> dict[str, Table]:
        """Return the synthetic tables of a folder."""
        return read_sides(self.schema, {"synthetic": folder}, SourceOptions(), workspace)["synthetic"]

    def beside(self, synthetic: Mapping[str, Table]) -> LinkedTables:
        """Return the three groups of persons side by side.

        Raises:
          ConfigError: a synthetic table lacks a column that is compared.
        """
        sides = {"real": self.train, "holdout": self.holdout, "synthetic": synthetic}
        found, lacking = linked_sides(self.schema, sides)
        if lacking:
            raise ConfigError(f"the synthetic tables lack the column '{lacking[0]}'")
        return found

    def frames(self) -> tuple[LinkedFrames, LinkedTables]:
        """Return the training persons without keys, and what is known of their columns."""
        tables = self.beside(self.train)
        rows = tables.train.rows
        frames = {name: one.frame for name, one in rows.items()}
        return LinkedFrames(frames, {name: rows[name].parent for name in tables.above}, tables.above), tables


def settle(config: BenchmarkConfig, schema: LinkedSchema) -> OpenedTables:
    """Return the opened tables, after all checks that need only headers.

    Raises:
      InputError: a table, the schema, an option or a target does not fit.
    """
    config.check_generators(linked=True)
    for name in config.generators:
        _check_fits(name, schema)
    opened = open_linked(_as_run(config), schema)
    for name in _targets(config, opened.schema):
        if name not in opened.physical[schema.root] or name in set(schema.links(schema.root)):
            raise ConfigError(
                f"the target '{name}' is no column of '{schema.root}' that can be predicted; check ", Option("target")
            )
    if config.holdout is not None:
        options = replace(SourceOptions.of(config.source_options), tables=opened.schema.modelled)
        for name, held in open_tables(config.holdout, options).tables().items():
            if missing := [column for column in opened.physical[name] if column not in held.names]:
                raise SchemaError(f"the holdout's table '{name}' lacks the column '{missing[0]}' of the table")
    return opened


def _check_fits(generator: str, schema: LinkedSchema) -> None:
    """Raise `ConfigError` if a generator cannot make tables that are linked in this way."""
    joined = generator.startswith(FLAT) or generator == PAR
    if joined and (below := len(schema.modelled) - 1) != 1:
        raise ConfigError(
            f"'{generator}' takes one table below that of the persons; the schema has {below}, leave it out"
        )
    if joined or not is_private(generator):
        for name in schema.modelled:
            parent = schema.tables[name].parent
            if max(len(schema.tables[name].key), 0 if parent is None else len(parent.columns)) > 1:
                raise ConfigError(f"'{generator}' takes keys of one column; that of '{name}' has more, leave it out")


def _as_run(config: BenchmarkConfig) -> SynthesizeConfig:
    return SynthesizeConfig(
        source=config.table,
        out=config.out,
        unit=config.unit,
        max_rows_per_unit=config.max_rows_per_unit,
        epsilon=1.0,
        source_options=config.source_options,
    )


def _targets(config: BenchmarkConfig, schema: LinkedSchema) -> tuple[str, ...]:
    return config.targets or tuple(schema.of_table(schema.root).with_role("target"))


def read_persons(config: BenchmarkConfig, schema: LinkedSchema, workspace: Workspace) -> RealPersons:
    """Read the tables and divide the persons, with the same division in every process.

    A row that several persons share goes to each side that one of them is on.

    Guarantee: none; the split is seeded, which no release may be. A benchmark never leaves the officer.
    """
    opened = settle(config, schema)
    origins: dict[str, object] = {"real": config.table}
    origins |= {} if config.holdout is None else {"holdout": config.holdout}
    sides = read_sides(opened.schema, origins, SourceOptions.of(config.source_options), workspace)
    if config.split is not None:
        sides = _split(sides["real"], opened.schema, config.split)
    if min(side[schema.root].n_rows for side in sides.values()) == 0:
        raise ConfigError("no person is left on one side; give more persons, or another ", Option("holdout_fraction"))
    return RealPersons(
        train=sides["real"], holdout=sides["holdout"], opened=opened, targets=_targets(config, opened.schema)
    )


def _split(tables: Mapping[str, Table], schema: LinkedSchema, fraction: float) -> dict[str, dict[str, Table]]:
    """Return the tables of the training and of the holdout persons; rows of nobody are in neither."""
    linked = persons_of_rows(tables, schema)
    coins = np.random.default_rng(SPLIT_SEED).random(len(linked[schema.root].row)) < fraction
    return {
        side: {name: tables[name].take(np.unique(one.row[coins[one.person] == out])) for name, one in linked.items()}
        for side, out in (("real", False), ("holdout", True))
    }


def write_frames(made: LinkedFrames, schema: LinkedSchema, train: Mapping[str, Table], folder: Path) -> None:
    """Write tables into a folder (Parquet), with keys of one column as the schema links them.

    Other columns of the source, which were not made, are empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in made.frames.items():
        declared = schema.tables[name]
        keys = {column: pd.Series(range(len(frame))) for column in declared.key}
        if declared.parent is not None:
            keys |= {column: pd.Series(made.parent[name]) for column in declared.parent.columns}
        whole = frame.reset_index(drop=True).assign(**keys).reindex(columns=train[name].names)
        whole.to_parquet(folder / f"{name}.parquet", index=False)
