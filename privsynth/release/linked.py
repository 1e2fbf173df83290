"""Files of linked tables: each table in a file of its own, below one folder."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from privsynth.codecs.written.rows import data_frame
from privsynth.codecs.written.texts import read_texts
from privsynth.errors import SourceError
from privsynth.release.delimited import write_texts
from privsynth.release.label import SYNTHETIC
from privsynth.release.parquet import write_parquet
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.model import LinkedModel
from privsynth.sampling.linked.written import written_tables, written_texts
from privsynth.sources.linked import Link


def linked_label(model: LinkedModel, digest: str, *, seed: int) -> dict[str, str]:
    """Return what every table says of itself: name -> text (see `privsynth.release.label.Label`).

    Args:
      digest: see `linked_digest`.
    """
    facts = {"label": SYNTHETIC, "dataset": model.dataset, "seed": str(seed), "model_sha256": digest}
    if (origin := model.origin) is not None:
        facts |= {"epsilon": f"{origin.epsilon:g}", "delta": f"{origin.delta:g}", "unit": origin.unit}
        facts["signer"] = origin.signer or "UNSIGNED"
    return facts


def links_of(model: LinkedModel, name: str) -> tuple[Link, ...]:
    """Return which written columns of a table repeat the key of a row above, or of one that is referred to."""
    declared, columns, found = model.schema.tables[name], set(model.models[name].columns), []
    for pointer in (*([] if declared.parent is None else [declared.parent]), *declared.refers_to):
        above = model.schema.tables[pointer.table].key
        if set(pointer.columns) <= columns and set(above) <= set(model.models[pointer.table].columns):
            found.append(Link(name, pointer.columns, pointer.table, above))
    return tuple(found)


def parquet_label(label: Mapping[str, str]) -> dict[str, str]:
    """Return a label as the key-value metadata of a Parquet file."""
    return {f"privsynth.{name}": value for name, value in label.items()}


def write_linked(
    model: LinkedModel,
    drawn: Mapping[str, DrawnTable],
    folder: Path,
    *,
    suffix: str,
    seed: int,
    label: Mapping[str, str],
) -> list[str]:
    """Write each table into a folder and return the names of the files.

    Args:
      suffix: "parquet" or "csv".
      label: of Parquet; a CSV file has no room for any.
    Raises:
      OSError: the disk is full or failing.
    """
    names = []
    for name in model.models:
        path = folder / f"{name}.{suffix}"
        if suffix == "csv":
            write_texts(written_texts(model, name, drawn, seed=seed), path, model.models[name].source_format)
        else:
            blocks = written_tables(model, name, drawn, seed=seed)
            first = next(blocks)
            write_parquet(chain([first], blocks), first.schema, path, parquet_label(label))
        names.append(path.name)
    return names


def read_reference(folder: Path, name: str) -> pa.Table | None:
    """Return a reference table in a folder, of a CSV file as texts (007 is no number); None if it is not there."""
    parquet, csv = folder / f"{name}.parquet", folder / f"{name}.csv"
    if parquet.is_file():
        return pq.read_table(parquet)
    if not csv.is_file():
        return None
    texts = pd.read_csv(csv, dtype=str, keep_default_na=False, na_values=[""])
    return pa.Table.from_pandas(texts, preserve_index=False)


def read_linked(model: LinkedModel, folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables in a folder by name, in the types in which they are drawn.

    Raises:
      SourceError: a table is not there, or was not written by the model.
    """
    found = {}
    for name in model.schema.tables:
        parquet, csv = folder / f"{name}.parquet", folder / f"{name}.csv"
        if parquet.is_file():
            found[name] = data_frame(pq.read_table(parquet))
        elif csv.is_file() and name not in model.models:
            found[name] = pd.read_csv(csv)
        elif csv.is_file():
            found[name] = _from_texts(model, name, csv)
        else:
            raise SourceError(f"{folder} has no table '{name}'; ask for a whole copy, and verify it")
    return found


def _from_texts(model: LinkedModel, name: str, path: Path) -> pd.DataFrame:
    table = model.models[name]
    sep = table.source_format.delimiter
    texts = pd.read_csv(path, sep=sep, dtype=str, keep_default_na=False, na_values=[""])
    keys = [column for column in table.columns if column in set(model.schema.links(name))]
    try:
        frame = data_frame(read_texts(table.visible, texts.drop(columns=keys), table.source_format))
        return frame.assign(**{key: texts[key] for key in keys})[list(table.columns)]
    except (ValueError, KeyError, pa.ArrowException):
        raise SourceError(f"{path} was not written by its model; verify it") from None
