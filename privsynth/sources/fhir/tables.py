"""FHIR exports as tables: one a view, linked by the keys that the views state."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from privsynth.errors import ConfigError
from privsynth.schema.definition import TIME_KINDS, Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import FIRST_DATE, LAST_DATE, Family, StatedTypes
from privsynth.sources.arrow_types import cell_text, text_batch, text_schema
from privsynth.sources.fhir.resources import files_of, named_kinds, resources
from privsynth.sources.fhir.view import View, ViewColumn
from privsynth.sources.header_checks import check_names, chosen_positions, refuse_unreadable
from privsynth.sources.linked import Link, chosen, one_table, reading_order
from privsynth.sources.protocol import SkippedCells, Source, SourceOptions

SHIPPED = Path(__file__).parent / "views"
MAX_VIEW_BYTES = 1 << 20  # of a ViewDefinition (own)
CATEGORIES = "privsynth-categories"  # a tag of a column whose codes the standard fixes, joined by |
_TIMES = ("dateTime", "instant")
_WHOLE = ("integer", "integer64", "positiveInt", "unsignedInt")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
_REFERENCE = re.compile(r"(?:.*\.)?getReferenceKey\((\w+)\)")
# What is counted for a part that a view could not make of a resource (see `View.rows`).
_COUNTED = {
    "value": "unreadable_cells",
    "values": "nested_cells",
    "each": "unreadable_cells",
    "where": "unusable_records",
    "rows": "surplus_rows",
}


class FhirTable:
    """What one view makes of an export."""

    names_are_public = True  # they stand in the view

    def __init__(self, files: Sequence[Path], view: View, label: str, options: SourceOptions) -> None:
        self.label = label
        self._files = files
        self._view = view
        self._options = options
        header = [column.name for column in view.columns]
        check_names(header, label, options)
        self._positions = chosen_positions(header, label, options)
        columns = [view.columns[position] for position in self._positions]
        self.names = [column.name for column in columns]
        self.arrow_schema = text_schema(self.names)
        self.stated_types = _stated(columns)
        self.source_format = SourceFormat(
            whole_numbers=tuple(column.name for column in columns if column.type in _WHOLE),
            time_zones={column.name: "UTC" for column in columns if column.type in _TIMES},
        )

    def __repr__(self) -> str:
        return f"FhirTable({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns."""
        columns = [self._view.columns[position] for position in self._positions]
        rows = self._rows(skipped)
        while batch := list(islice(rows, self._options.rows_per_batch(len(self._view.columns)))):
            texts = [
                [_text(row[position], column, skipped) for row in batch]
                for position, column in zip(self._positions, columns, strict=True)
            ]
            yield text_batch(texts, self.arrow_schema, skipped, self._options)

    def _rows(self, skipped: SkippedCells) -> Iterator[list[Any]]:
        def count(what: str) -> None:
            name = _COUNTED[what]
            setattr(skipped, name, getattr(skipped, name) + 1)

        for resource in resources(self._files, self._view.resource, skipped, self._options):
            yield from self._view.rows(resource, count)


class FhirExport:
    """All tables of an export: those of the views that ship, or of a folder of views."""

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self.label = f"fhir:{origin}"
        files = files_of(origin)
        views, kinds = views_of(options.views), named_kinds(files)
        # Names that state no kind of which there is a view are no names of a bulk export.
        there = {name: view for name, view in views.items() if kinds is not None and view.resource in kinds}
        names = chosen(there or views, self.label, options)
        self._links = tuple(_links({name: views[name] for name in names}))
        each = replace(options, tables=None)
        order = reading_order(names, self._links)
        self._sources = {name: FhirTable(files, views[name], f"{self.label} ({name})", each) for name in order}

    def __repr__(self) -> str:
        return f"FhirExport({self.label}, {len(self._sources)} tables)"

    def tables(self) -> Mapping[str, Source]:
        """Return the tables by the names of their views, parents first."""
        return self._sources

    def links(self) -> tuple[Link, ...]:
        """Return which columns hold keys of other views."""
        return self._links


def open_table(origin: str, options: SourceOptions) -> FhirTable:
    """Open the table that `table` names."""
    views = views_of(options.views)
    name = one_table(views, f"fhir:{origin}", options)
    return FhirTable(files_of(origin), views[name], f"fhir:{origin} ({name})", replace(options, table=None))


def views_of(folder: str | None) -> dict[str, View]:
    """Return the views of a folder by the names of their files; without one those that ship.

    Raises:
      ConfigError: there is none, or a file is no view.
    """
    place = SHIPPED if folder is None else Path(folder)
    files = sorted(place.glob("*.json")) if place.is_dir() else []
    if not files:
        raise ConfigError(f"{place} is no folder of ViewDefinitions (.json); correct its path")
    return {path.stem: _view(path) for path in files}


def _view(path: Path) -> View:
    refuse_unreadable(path)
    try:
        if path.stat().st_size > MAX_VIEW_BYTES:
            raise ValueError
        definition = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is no JSON of at most {MAX_VIEW_BYTES:,} bytes; correct the view") from None
    return View(definition, f"the view {path}")


def _links(views: Mapping[str, View]) -> Iterator[Link]:
    """Yield the columns that are references to a kind of resource whose view has its key."""
    keys = {
        view.resource: (name, column.name)
        for name, view in views.items()
        for column in view.columns
        if column.path.text == "getResourceKey()"
    }
    for name, view in views.items():
        for column in view.columns:
            found = _REFERENCE.fullmatch(column.path.text)
            if found and found[1] in keys:
                parent, key = keys[found[1]]
                yield Link(name, (column.name,), parent, (key,))


def _stated(columns: Sequence[ViewColumn]) -> StatedTypes:
    """Return what the FHIR types of a view state; the standard says which codes some columns have."""
    stated: dict[str, Column] = {}
    families: dict[str, Family] = {}
    for column in columns:
        if column.type in _WHOLE:
            families[column.name] = "integer"
        elif found := _column(column):
            stated[column.name] = found
    return StatedTypes(columns=stated, families=families)


def _column(column: ViewColumn) -> Column | None:
    if column.tags.get(CATEGORIES):
        return Column(kind="categorical", categories=tuple(column.tags[CATEGORIES].split("|")))
    if column.path.text == "getResourceKey()" or _REFERENCE.fullmatch(column.path.text):
        return Column(kind="id", roles=("identifier",))
    kinds = {"boolean": "boolean", "date": "date", "decimal": "numeric", "code": "categorical"}
    kind = kinds.get(column.type) or ("datetime" if column.type in _TIMES else None)
    bounds = {"minimum": FIRST_DATE, "maximum": LAST_DATE} if kind in TIME_KINDS else {}
    return Column.model_validate({"kind": kind, **bounds}) if kind else None


def _text(value: Any, column: ViewColumn, skipped: SkippedCells) -> str | None:
    """Return a cell as text: times in UTC; dates and times of which a part is unknown are missing, and counted."""
    if isinstance(value, str):
        if column.type in _TIMES and not _DATE.fullmatch(value):
            return _in_utc(value, skipped)
        if column.type == "date" and not _DATE.fullmatch(value):
            skipped.unreadable_cells += 1
            return None
    return cell_text(value, skipped)


def _in_utc(text: str, skipped: SkippedCells) -> str | None:
    try:
        if _TIME.fullmatch(text):
            return cell_text(dt.datetime.fromisoformat(text), skipped)
    except ValueError:
        pass
    skipped.unreadable_cells += 1
    return None
