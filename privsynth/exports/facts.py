"""`ReleaseFacts`: all that the documents of a release are made of.

These are the public report, the files of rows beside it, and what the schema declares for a data catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from privsynth.report.records.promise import Guarantee
from privsynth.report.records.tables import ColumnRecord
from privsynth.report.report_data import ReportData
from privsynth.schema.catalogue import Catalogue, CoveredPeriod

SEPARATOR = ": "  # between a table and its column, in a report on linked tables


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One file of synthetic rows, or of a reference table.

    Attributes:
      path: below the public folder.
      table: its name; "" where there is one table.
      columns: names in the order of the file.
      rows: how many there are.
      sha256, size: of its bytes.
      reference: whether it is public and was passed through unchanged.
      delimiter: between cells; "" of Parquet.
    """

    path: str
    table: str
    columns: tuple[str, ...]
    rows: int
    sha256: str
    size: int
    reference: bool = False
    delimiter: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is delimited text, and not Parquet."""
        return bool(self.delimiter)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One column of the data dictionary.

    Attributes:
      table: "" where there is one table.
      record: what the report says of it.
      written: whether it stands in the files.
    """

    table: str
    name: str
    record: ColumnRecord
    written: bool


@dataclass(frozen=True, kw_only=True)
class Steward:
    """What the schema declares for a record in a data catalogue.

    Attributes:
      period: that the rows cover, by declared bounds; None where no column was named for it.
    """

    catalogue: Catalogue
    period: CoveredPeriod | None = None


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What is known of a release.

    Attributes:
      report: the public one.
      data: the files of rows.
      steward: what was declared for a catalogue; None for nothing.
    Raises:
      ValueError: the report is not public.
    """

    report: ReportData
    data: tuple[DataFile, ...]
    steward: Steward | None = None

    def __post_init__(self) -> None:
        if self.report.kind != "public":
            raise ValueError("documents beside a release are made of its public report alone")

    @property
    def guarantee(self) -> Guarantee:
        """What is promised; a public report always has it."""
        assert self.report.guarantee is not None
        return self.report.guarantee

    @property
    def signer(self) -> str:
        """Who signs, in words."""
        return self.report.signer or "nobody: this release is UNSIGNED"

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """The columns of all tables, as the files have them; then those of the source that no file has."""
        records = dict(self._records())
        found = []
        for file in self.data:
            for name in file.columns:
                record = records.pop((file.table, name), None) or _passed_through(name)
                found.append(Entry(table=file.table, name=name, record=record, written=True))
        rest = (Entry(table=t, name=n, record=record, written=False) for (t, n), record in records.items())
        return (*found, *rest)

    def _records(self) -> Iterator[tuple[tuple[str, str], ColumnRecord]]:
        tables = sorted((table.name for table in self.report.tables), key=len, reverse=True)
        for record in self.report.columns:
            table = next((t for t in tables if record.name.startswith(t + SEPARATOR)), "")
            yield (table, record.name.removeprefix(table + SEPARATOR) if table else record.name), record


def _passed_through(name: str) -> ColumnRecord:
    return ColumnRecord(
        name=name,
        kind="as in the source",
        domain="public",
        provenance="declared",
        treatment="a reference table: public, passed through unchanged",
    )
