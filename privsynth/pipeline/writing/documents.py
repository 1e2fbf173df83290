"""Write the documents of a release into its public folder."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from privsynth.exports.documents import documents
from privsynth.exports.facts import DataFile, ReleaseFacts, Steward
from privsynth.release.noisy.tables import CELLS, FACTS, PublishedTables
from privsynth.report.report_data import ReportData
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema
from privsynth.signing._files import digest_file


def data_file(
    folder: Path, path: str, *, rows: int, table: str = "", delimiter: str = ",", reference: bool = False
) -> DataFile:
    """Return what the documents say of a file of rows that was written.

    Args:
      folder: the public one. path: below it.
      rows: how many it has.
      delimiter: of delimited text; unused for Parquet.
    Raises:
      OSError: it cannot be read.
    """
    whole, text = folder / path, path.endswith(".csv")
    digest = digest_file(whole)
    return DataFile(
        path=path,
        table=table,
        columns=_header(whole, delimiter) if text else tuple(pq.read_schema(whole).names),
        rows=rows,
        sha256=digest.sha256,
        size=digest.size,
        reference=reference,
        delimiter=delimiter if text else "",
    )


def _header(path: Path, delimiter: str) -> tuple[str, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(next(csv.reader(file, delimiter=delimiter), ()))


def write_noisy(folder: Path, noisy: PublishedTables | None, label: Mapping[str, str]) -> list[str]:
    """Write the noisy tables that were paid for, if there are any, and return the names of the files.

    Args:
      folder: the public one.
      label: metadata of Parquet, see `privsynth.release.label`; these are no synthetic rows, and say so.
    Raises:
      OSError: the disk is full or failing.
    """
    if noisy is None:
        return []
    noisy.write(folder, {**label, "privsynth.label": "NOISY TABLES"})
    return [CELLS, FACTS]


def steward_of(schema: Schema | LinkedSchema) -> Steward | None:
    """Return what a schema declares for a record in a data catalogue."""
    return None if schema.catalogue is None else Steward(catalogue=schema.catalogue, period=schema.period())


def write_documents(folder: Path, report: ReportData, data: tuple[DataFile, ...], steward: Steward | None) -> None:
    """Write README.txt, the data dictionary, the cards and the descriptions for catalogues.

    Args:
      folder: the public one.
      steward: what was declared for a record in a data catalogue.
    Raises:
      OSError: the disk is full or failing.
    """
    for path, text in documents(ReleaseFacts(report=report, data=data, steward=steward)).items():
        (folder / path).parent.mkdir(exist_ok=True)
        with (folder / path).open("w", encoding="utf-8", newline="") as file:
            file.write(text)
