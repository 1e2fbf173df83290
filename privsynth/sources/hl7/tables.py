"""HL7 v2 messages as tables: patients, visits, diagnoses, allergies and observations."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from privsynth.errors import SourceError
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import StatedTypes
from privsynth.sources.arrow_types import text_batch, text_schema
from privsynth.sources.header_checks import chosen_positions, refuse_unreadable
from privsynth.sources.hl7.layouts import LAYOUTS, Hl7Column
from privsynth.sources.hl7.messages import Segment, segments
from privsynth.sources.linked import Link, chosen, one_table, reading_order
from privsynth.sources.protocol import SkippedCells, Source, SourceOptions

SUFFIXES = (".hl7", ".hl7.gz", ".txt", ".txt.gz", ".er7", ".dat")
MAX_FILES = 2_000_000  # of a folder (own): their names are held in memory; interface engines write one a message
# Patients, visits, … that messages repeat and update (own): they are held in memory, about 1 kB each.
MAX_HELD = 5_000_000
_CONTEXT = ("PID", "PV1", "OBR")  # segments that those after them refer to
# What a new segment ends: the visit of a patient, the order of a visit.
_ENDS = {"MSH": _CONTEXT, "PID": ("PV1", "OBR"), "PV1": ("OBR",)}
_PATH = re.compile(r"(\w{3})-(\d+)(?:\.(\d+))?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
# Digits of a time (DTM, and TS before version 2.5) down to the second; the zone is as the message says it, wherever
# that is.
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(?:\.\d{1,6})?)?)?(?:[+-]\d{4})?")

_Path = tuple[str, int, int]  # segment, field, component


class Hl7Table:
    """One table of the messages in a folder, or in one file."""

    names_are_public = True  # they stand in the layout

    def __init__(self, files: Sequence[Path], name: str, label: str, options: SourceOptions) -> None:
        self.label = label
        self._files = files
        self._layout = LAYOUTS[name]
        self._options = options
        self._header = list(self._layout.columns)
        self._positions = chosen_positions(self._header, label, options)
        self.names = [self._header[position] for position in self._positions]
        self._columns = [(column, _paths(column)) for column in self._layout.columns.values()]
        self.arrow_schema = text_schema(self.names)
        self.stated_types = StatedTypes(columns={name: self._layout.columns[name].stated() for name in self.names})
        whole = [name for name in self.names if self._layout.columns[name].meaning == "count"]
        self.source_format = SourceFormat(whole_numbers=tuple(whole))

    def __repr__(self) -> str:
        return f"Hl7Table({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns."""
        found = (row for path in self._files for row in self._rows(path, skipped))
        rows = self._merged(found) if self._layout.same else found
        while batch := list(islice(rows, self._options.rows_per_batch(len(self._header)))):
            columns = [[row[position] or None for row in batch] for position in self._positions]
            yield text_batch(columns, self.arrow_schema, skipped, self._options)

    def _rows(self, path: Path, skipped: SkippedCells) -> Iterator[list[str | None]]:
        """Yield a row for each segment of the layout; "" where a message deletes a value."""
        context: dict[str, Segment] = {}
        for segment in segments(path, {*_CONTEXT, self._layout.segment}, skipped, self._options):
            for name in _ENDS.get(segment.name, ()):
                context.pop(name, None)
            context[segment.name] = segment
            if segment.name == self._layout.segment:
                yield [_cell(column, paths, context, skipped) for column, paths in self._columns]

    def _merged(self, rows: Iterator[list[str | None]]) -> Iterator[list[str | None]]:
        """Yield rows of which no two are the same thing, in the order in which each was first met.

        What becomes of one patient's rows depends on these alone.
        """
        at = [self._header.index(name) for name in self._layout.same]
        held: dict[tuple[str, ...], list[str | None]] = {}
        for row in rows:
            same = tuple(cell for cell in (row[position] for position in at) if cell)
            if len(same) < len(at):  # nothing tells whose or which it is
                yield row
            elif (before := held.get(same)) is None:
                if len(held) >= MAX_HELD:
                    raise SourceError(f"{self.label} has more than {MAX_HELD:,} rows to be merged; read it in parts")
                held[same] = row
            else:
                held[same] = [old if new is None else new for old, new in zip(before, row, strict=True)]
        yield from held.values()


class Hl7Messages:
    """All tables of the messages in a folder, or in one file."""

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self.label = f"hl7:{origin}"
        files = _files(Path(origin))
        names = chosen(LAYOUTS, self.label, options)
        self._links = tuple(link for link in _LINKS if {link.child, link.parent} <= set(names))
        each = replace(options, tables=None)
        order = reading_order(names, self._links)
        self._sources = {name: Hl7Table(files, name, f"{self.label} ({name})", each) for name in order}

    def __repr__(self) -> str:
        return f"Hl7Messages({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables, patients first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return that visits and allergies belong to patients, and diagnoses and observations to visits."""
        return self._links


_LINKS = (
    Link("visit", ("patient",), "patient", ("patient",)),
    Link("allergy", ("patient",), "patient", ("patient",)),
    Link("diagnosis", ("visit",), "visit", ("visit",)),
    Link("observation", ("visit",), "visit", ("visit",)),
)


def open_one(origin: str, options: SourceOptions) -> Hl7Table:
    """Open the table that `table` names."""
    name = one_table(LAYOUTS, f"hl7:{origin}", options)
    return Hl7Table(_files(Path(origin)), name, f"hl7:{origin} ({name})", replace(options, table=None))


def _files(path: Path) -> list[Path]:
    """Return the files of a folder in the order of their names, which engines begin with the time or a number."""
    if not path.is_dir():
        refuse_unreadable(path)
        return [path]
    found = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) and p.name[:1] not in "._")
    if not found:
        raise SourceError(f"{path} is a folder without {', '.join(SUFFIXES)} files; give that of the messages")
    if len(found) > MAX_FILES:
        raise SourceError(f"{path} has {len(found):,} files and the limit is {MAX_FILES:,}; join them, or read parts")
    return [file for file in found if file.is_file()]


def _paths(column: Hl7Column) -> list[_Path]:
    parts = [_PATH.fullmatch(path) for path in column.paths]
    return [(part[1], int(part[2]), int(part[3] or 1)) for part in parts if part]


def _cell(
    column: Hl7Column, paths: Sequence[_Path], context: Mapping[str, Segment], skipped: SkippedCells
) -> str | None:
    """Return the first of the paths that is valued, as the meaning of the column wants it."""
    if column.types and (context["OBX"].value(2, 1) or "") not in column.types:
        return None
    if column.meaning == "number":
        return _number(context["OBX"], skipped)
    values = (context[name].value(field, part) for name, field, part in paths if name in context)
    text = next((value for value in values if value is not None), None)
    if not text or column.meaning not in ("date", "time"):
        return text
    try:
        return _time(text, day=column.meaning == "date")
    except ValueError:
        skipped.unreadable_cells += 1
        return None


def _number(observation: Segment, skipped: SkippedCells) -> str | None:
    """Return a numeric result: NM and ST as they are, SN (`^5`, `=^5`) where it is one number and no bound or range."""
    parts = observation.components(5)
    if observation.value(2, 1) == "SN":
        sign, number, *rest = [*[part.strip() for part in parts], "", ""][:4]
        text = number if sign in ("", "=") and not any(rest) else ""
    else:
        text = parts[0].strip()
    if _NUMBER.fullmatch(text):
        return text
    skipped.unreadable_cells += bool(text) and observation.value(2, 1) == "NM"
    return None


def _time(text: str, *, day: bool) -> str:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    moment = dt.datetime(*(int(part) if part else 0 for part in found.groups()))  # type: ignore[arg-type]
    return moment.date().isoformat() if day or found[4] is None else moment.isoformat()
