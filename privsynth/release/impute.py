"""Fill the gaps of a table from a released model. The result holds the real rows of the input."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from privsynth import _validate
from privsynth._validate import in_range
from privsynth.errors import ConfigError, Option, OutputError
from privsynth.notebook import card
from privsynth.progress import Progress, no_progress
from privsynth.randomness import new_sampling_seed, sampling_rng
from privsynth.release.sample import model_folder
from privsynth.sampling.impute import Counts, impute_rows
from privsynth.sampling.linked.saved import is_linked
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.sampling.user_table import make_readers
from privsynth.sources.registry import SourceOptions, open_source, read_table
from privsynth.table import Table
from privsynth.workspace import Workspace, privsynth_home

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 50_000  # rows filled at once (own): some 100 MB. Another value fills in other values
MAX_DRAWS = 100  # multiple imputation gains little beyond (van Buuren 2018, *Flexible imputation*, section 2.8)
MARK = "filled_columns"
SENSITIVE = (
    "holds the real rows of the input with its gaps filled: as sensitive as the input, outside every privacy guarantee"
)


@dataclass(frozen=True, repr=False)
class ImputationResult:
    """What was written. The counts are exact figures about the input, for those who may see it.

    Attributes:
      files: one table for each draw.
      counts: of all draws together.
    """

    files: tuple[Path, ...]
    seed: int
    draws: int
    counts: Counts

    def __repr__(self) -> str:
        return f"ImputationResult(files={len(self.files)}, seed={self.seed}, draws={self.draws})"

    def _repr_html_(self) -> str:
        files = ", ".join(str(path) for path in self.files)
        note = "The files hold the real rows of the input: they are as sensitive as that."
        return card(
            "Filled tables", [("Files", files), ("Draws", str(self.draws)), ("Seed", str(self.seed))], note=note
        )


def impute(
    model: Path,
    source: str | Path | pd.DataFrame,
    out: Path,
    *,
    seed: int | None = None,
    draws: int = 1,
    mark: bool = False,
    source_options: SourceOptions | Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> ImputationResult:
    """Write a table with its gaps filled from a model, and beside it a label that says how private it is.

    Guarantee: none for the output, which holds real rows. The model's dataset spends nothing: the model is only
      sampled.
    Args:
      model: the folder `model` of a release, or the release's folder.
      source: the table with gaps: a path, a database URL or a DataFrame.
      out: a new .csv or .parquet file; with several draws, "-1", "-2" … is put before the suffix.
      draws: how many times the gaps are filled, independently, for multiple imputation.
      mark: add a column that names, row by row, the columns that were filled.
    Raises:
      SourceError: there is no model, or no table. OutputError: the file exists or cannot be written.
      ConfigError: model and table have no column in common, or an option is absurd.
    """
    _validate.whole_numbers(draws=draws, seed=seed)
    in_range(1, MAX_DRAWS, draws=draws)
    options = SourceOptions.of(source_options)
    chosen = new_sampling_seed() if seed is None else seed
    in_range(0, 2**63 - 1, seed=chosen)
    files = [out] if draws == 1 else [out.with_name(f"{out.stem}-{draw}{out.suffix}") for draw in range(1, draws + 1)]
    labels = [file.with_name(f"{file.name}.label.json") for file in files]
    for path in (*files, *labels):
        _check_file(path)
    if is_linked(model_folder(model)):
        raise ConfigError("gaps can be filled from a release of one table only; this one is of linked tables")
    loaded = SyntheticModel.load(model_folder(model))
    opened = open_source(source, options)
    if mark and MARK in opened.names:
        raise ConfigError(f"the table has a column '{MARK}' already; leave the mark out, or rename the column")
    counts = Counts()
    with Workspace(privsynth_home()) as workspace:
        table, _ = read_table(opened, workspace)
        readers = make_readers(loaded.codec, table)
        if not readers:
            raise ConfigError("the table has no column of the model; compare its header with the release's schema.yaml")
        staged: list[Path] = []
        for draw in range(draws):
            path = workspace.new_file(out.suffix)
            parts = _parts(loaded, readers, table, chosen, draw, counts, mark, progress, (draw, draws))
            _write(path, parts, getattr(opened, "delimiter", None) or ",")
            staged.append(path)
        for number, (path, file, label) in enumerate(zip(staged, files, labels, strict=True)):
            written = workspace.new_file(".json")
            written.write_text(_label(loaded, counts, chosen, number, draws), encoding="utf-8")
            _place(written, label)
            _place(path, file)
    return ImputationResult(tuple(files), chosen, draws, counts)


def _parts(
    model: SyntheticModel,
    readers: Mapping[str, Any],
    table: Table,
    seed: int,
    draw: int,
    counts: Counts,
    mark: bool,
    progress: Progress,
    place: tuple[int, int],
) -> Iterator[pa.Table]:
    """Yield the filled table, part by part; each part has its own randomness."""
    starts = range(0, table.n_rows, CHUNK_ROWS)
    for number, start in enumerate(starts):
        progress("filling", (place[0] + number / len(starts)) / place[1])
        rng = sampling_rng(seed, (draw << 32) + number)
        data, filled = impute_rows(model, readers, Table(table.data.slice(start, CHUNK_ROWS)), rng, counts)
        if mark:
            data = data.append_column(MARK, pa.array(_marks(filled, data.num_rows), pa.string()))
        yield data
    progress("filling", (place[0] + 1) / place[1])


def _marks(filled: Mapping[str, np.ndarray], n: int) -> list[str]:
    """Return (n,) names of the columns that were filled in each row, joined by semicolons."""
    marks: list[list[str]] = [[] for _ in range(n)]
    for name, there in filled.items():
        for row in np.flatnonzero(there).tolist():
            marks[row].append(name)
    return [";".join(names) for names in marks]


def _write(path: Path, parts: Iterator[pa.Table], delimiter: str) -> None:
    """Write a private file of the workspace."""
    try:
        if path.suffix == ".parquet":
            first = next(parts)
            with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
                writer.write_table(first)
                for part in parts:
                    writer.write_table(part)
            return
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            for number, part in enumerate(parts):
                if number == 0:
                    rows.writerow(part.column_names)
                columns = [column.cast(pa.string()).to_pylist() for column in part.columns]
                rows.writerows(zip(*columns, strict=True))
    except OSError as error:
        raise OutputError(f"the table cannot be written: {error.strerror}") from None


def _label(model: SyntheticModel, counts: Counts, seed: int, draw: int, draws: int) -> str:
    label = {
        "imputed": True,
        "synthetic": False,
        "warning": f"this table {SENSITIVE}",
        "model_of": model.dataset,
        "seed": seed,
        "draw": draw + 1,
        "draws": draws,
        "cells_filled_in_all_draws": dict(counts.filled),
    }
    return json.dumps(label, indent=1, ensure_ascii=False) + "\n"


def _check_file(path: Path) -> None:
    """Raise `OutputError` unless a new file of a known format can be made."""
    if path.suffix not in (".csv", ".parquet", ".json"):
        raise OutputError(f"{path.name} has a suffix that is not known; choose .csv or .parquet")
    try:
        if path.exists() or path.is_symlink():
            raise OutputError(f"{path} exists already; choose a new file, nothing is ever overwritten")
        if not path.absolute().parent.is_dir():
            raise OutputError(f"there is no folder {path.absolute().parent}; make it first")
    except (OSError, ValueError):
        raise OutputError("no file can be made at the place given with ", Option("out"), "; choose another") from None
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise OutputError(f"no file can be made in {path.absolute().parent}: it is read-only for you")


def _place(staged: Path, path: Path) -> None:
    """Move a finished file to its place in one step; it stays private (0600)."""
    partial = path.with_name(f".{path.name}.privsynth-partial")
    try:
        try:
            os.rename(staged, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copy2(staged, partial)
            os.rename(partial, path)
    except OSError as error:
        raise OutputError(f"the table cannot be written to {path}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
