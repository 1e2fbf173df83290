"""Security and fraud logs in ArcSight's Common Event Format (`cef:PATH`): a row an event, with or without syslog.

Source: the implementation standard of ArcSight's Common Event Format, CEF:0 and CEF:1. Which keys an extension has is
private, as the members of JSON lines are: columns are those of the standard that are listed here, or those of
`columns`, each a key or the label of a custom one (`cs1Label`).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from privsynth.errors import SourceError
from privsynth.schema.definition import Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family, StatedTypes
from privsynth.sources.arrow_types import text_batches, text_schema
from privsynth.sources.header_checks import check_names, refuse_unreadable
from privsynth.sources.protocol import Adapter, SkippedCells, SourceOptions
from privsynth.sources.text.text_file import open_text, physical_lines

SUFFIXES = (".cef", ".cef.gz", ".log", ".log.gz", ".txt", ".txt.gz")
MAX_FILES = 100_000  # of a folder (own): their names are held in memory
HEADER = ("deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity")
_WHO = ("suser", "duser", "suid", "duid", "src", "dst", "shost", "dhost", "smac", "dmac")
_TIMES = ("rt", "start", "end")
_CODES = ("act", "app", "cat", "outcome", "proto", "reason", "deviceDirection", *HEADER[:-1])
_WHOLE = ("cnt", "spt", "dpt", "in", "out")
# Read unless `columns` says otherwise: no message, request, file or note, which are texts.
USUAL = (*HEADER, *_TIMES, "suser", "duser", "src", "dst", "spt", "dpt", *_CODES[:6], *("cnt", "in", "out"))
_SEVERITIES = (*map(str, range(11)), "Unknown", "Low", "Medium", "High", "Very-High")
# What stands before may be a header of syslog, of any kind.
_EVENT = re.compile(r"(?:^|(?<=\s))CEF:\s?\d{1,2}(?:\.\d)?\|" + r"([^|\\]*(?:\\.[^|\\]*)*)\|" * 6 + "(.*)", re.DOTALL)
_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z0-9_.\[\]-]{1,200})=")
_ESCAPE = re.compile(r"\\([\\=|nr])")
_MEANT = {"n": "\n", "r": "\r"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONE = r"(?: (UTC|GMT|Z|[+-]\d\d:?\d\d))?"
_TIME = re.compile(r"([A-Z][a-z]{2}) (\d\d?) (\d{4}) (\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?" + _ZONE)
_MILLISECONDS = re.compile(r"\d{10,15}")


class CefSource:
    """The events of a log, or of the logs in a folder in the order of their names."""

    names_are_public = True  # they stand in the standard, or in the options

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self.label = f"cef:{origin}"
        self._files = _files(Path(origin))
        self._options = options
        self.names = list(options.columns or USUAL)
        check_names(self.names, self.label, options)
        self.arrow_schema = text_schema(self.names)
        self.stated_types = _stated(self.names)
        self.source_format = SourceFormat(whole_numbers=tuple(name for name in self.names if name in _WHOLE))

    def __repr__(self) -> str:
        return f"CefSource({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the events as rows of texts; lines that are no events are left out and counted."""
        yield from text_batches(self._rows(skipped), self.arrow_schema, skipped, self._options)

    def _rows(self, skipped: SkippedCells) -> Iterator[list[str | None]]:
        for path in self._files:
            with open_text(path, self._options) as text:
                for line in physical_lines(text, self._options.max_record_chars):
                    if len(line) > self._options.max_record_chars:
                        skipped.long_lines += 1
                        continue
                    event = _event(line)
                    if event is not None:
                        yield [_cell(name, event, skipped) for name in self.names]
                    elif line.strip():
                        skipped.unusable_records += 1


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        refuse_unreadable(path, may_be_empty=True)
        return [path]
    found = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES) and p.name[:1] != "." and p.is_file())
    if not found:
        raise SourceError(f"{path} is a folder without {', '.join(SUFFIXES)} files; give that of the logs")
    if len(found) > MAX_FILES:
        raise SourceError(f"{path} has more than {MAX_FILES:,} files; read it in parts")
    return found


def _event(line: str) -> dict[str, str] | None:
    """Return the header and the extension of an event, custom keys also under their labels; None if it is none."""
    found = _EVENT.search(line.rstrip("\r\n"))
    if found is None:
        return None
    *header, extension = found.groups()
    keys = list(_KEY.finditer(extension))
    starts = [key.start() for key in keys] + [len(extension)]
    event = {key[1]: extension[key.end() : starts[at + 1]].strip() for at, key in enumerate(keys)}
    labelled = {label: event[key.removesuffix("Label")] for key, label in event.items() if _labels(key, event)}
    event = {**labelled, **event, **{name: text.strip() for name, text in zip(HEADER, header, strict=True)}}
    return {name: _ESCAPE.sub(lambda sign: _MEANT.get(sign[1], sign[1]), text) for name, text in event.items()}


def _labels(key: str, event: dict[str, str]) -> bool:
    return key.endswith("Label") and key.removesuffix("Label") in event


def _cell(name: str, event: dict[str, str], skipped: SkippedCells) -> str | None:
    text = event.get(name)
    if not text or name not in _TIMES:
        return text or None
    try:
        return _time(text)
    except (ValueError, OverflowError):
        skipped.unreadable_cells += 1
        return None


def _time(text: str) -> str:
    """Return a time: milliseconds since 1970 and times with a zone in UTC, others as they are."""
    if _MILLISECONDS.fullmatch(text):
        return dt.datetime.fromtimestamp(int(text) // 1_000, dt.UTC).replace(tzinfo=None).isoformat()
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    month, *numbers, zone = found.groups()
    day, year, *clock = map(int, numbers)
    moment = dt.datetime(year, _MONTHS.index(month) + 1, day, *clock)  # type: ignore[arg-type]
    if zone and zone[0] in "+-":
        offset = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        moment -= offset if zone[0] == "+" else -offset
    return moment.isoformat()


def _stated(names: list[str]) -> StatedTypes:
    """Return what the standard's dictionary says of its keys."""
    columns: dict[str, Column] = {}
    families: dict[str, Family] = {}
    for name in names:
        if name in _WHO:
            columns[name] = Column(kind="id", roles=("identifier",))
        elif name == "severity":
            columns[name] = Column(kind="categorical", categories=_SEVERITIES)
        elif name in _TIMES:
            columns[name] = Column(kind="datetime", precision=1)
        elif name in _CODES:
            columns[name] = Column(kind="categorical")
        elif name in _WHOLE:
            families[name] = "integer"
    return StatedTypes(columns=columns, families=families)


SOURCE = Adapter(what="a log of CEF events", open=CefSource, prefixes=("cef",), options=("encoding",), has_header=False)
