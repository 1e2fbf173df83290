"""The resources in files of FHIR: NDJSON, one resource a line, and JSON, a Bundle or a resource a file; gzip by suffix.

A line that is no JSON is left out and counted. A JSON file that is not whole is an error: it is damaged, as a Parquet
file without its end is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from privsynth.errors import SourceError
from privsynth.sources.header_checks import refuse_unreadable
from privsynth.sources.protocol import SkippedCells, SourceOptions
from privsynth.sources.text.text_file import open_text, physical_lines

LINES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
WHOLE = (".json", ".json.gz")
MAX_LINE_CHARS = 16 << 20  # of a resource (own): documents carry pictures, tables do not need them
MAX_FILE_CHARS = 128 << 20  # of a Bundle, which is held in memory (own): a long life in Synthea's has 30 million
MAX_EXPONENT = 400  # of a decimal (own): beyond double precision; spelled out, "1e999999999" would fill the memory
MAX_FILES = 100_000  # of an export (own): one a patient
_BULK = re.compile(r"(?:[0-9]+[._-])?(?P<kind>[A-Z][A-Za-z]+)(?:[._-][0-9]+)*\.ndjson(?:\.gz)?")


def files_of(origin: str) -> list[Path]:
    """Return the files of an export by the path of its folder, or of one file.

    Raises:
      SourceError: there is none.
    """
    path = Path(origin)
    if not path.is_dir():
        refuse_unreadable(path)
        if not path.name.lower().endswith((*LINES, *WHOLE)):
            raise SourceError(f"{path} is no FHIR file; known are {', '.join((*LINES, *WHOLE))} and folders of them")
        return [path]
    found = sorted(entry for entry in path.iterdir() if entry.name[:1] not in "._" and _is_file(entry))
    if not found:
        raise SourceError(f"{path} is a folder without {', '.join((*LINES, *WHOLE))} files; give that of the export")
    if len(found) > MAX_FILES:
        raise SourceError(f"{path} has {len(found):,} files and the limit is {MAX_FILES:,}; join them as NDJSON")
    return found


def _is_file(path: Path) -> bool:
    return path.name.lower().endswith((*LINES, *WHOLE)) and path.is_file()


def resources(
    files: Sequence[Path], kind: str, skipped: SkippedCells, options: SourceOptions
) -> Iterator[dict[str, Any]]:
    """Yield the resources of a kind, such as "Patient", in the order of the files.

    Numbers are decimals, spelled as in the file. Lines in which the kind does not occur are passed over unread.

    Raises:
      SourceError: a JSON file is not whole, or is no FHIR.
    """
    for path in files:
        lines = path.name.lower().endswith(LINES)
        yield from (_of_lines if lines else _of_file)(path, kind, skipped, options)


def _of_lines(path: Path, kind: str, skipped: SkippedCells, options: SourceOptions) -> Iterator[dict[str, Any]]:
    word = f'"{kind}"'
    with open_text(path, _no_encoding(options)) as text:
        for line in physical_lines(text, MAX_LINE_CHARS):
            if word not in line:
                continue
            if len(line) > MAX_LINE_CHARS:
                skipped.long_lines += 1
                continue
            try:
                found = _decoded(line)
            except (ValueError, RecursionError):
                skipped.bad_json_lines += 1
                continue
            yield from _of_kind(found, kind)


def _of_file(path: Path, kind: str, skipped: SkippedCells, options: SourceOptions) -> Iterator[dict[str, Any]]:
    with open_text(path, _no_encoding(options)) as text:
        content = text.read(MAX_FILE_CHARS + 1)
    if len(content) > MAX_FILE_CHARS:
        raise SourceError(f"{path} is too large to be read at once; export it as NDJSON, one resource a line")
    try:
        found = _decoded(content)
    except (ValueError, RecursionError):
        raise SourceError(f"{path} is not whole, or no JSON; export it again") from None
    entries = found.get("entry") if isinstance(found, dict) and found.get("resourceType") == "Bundle" else None
    if entries is None:
        yield from _of_kind(found, kind)
    elif isinstance(entries, list):
        for entry in entries:
            yield from _of_kind(entry.get("resource") if isinstance(entry, dict) else None, kind)


def _of_kind(found: Any, kind: str) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict) and found.get("resourceType") == kind:
        yield found


def _no_encoding(options: SourceOptions) -> SourceOptions:
    return replace(options, encoding=None)  # FHIR is UTF-8


def _decoded(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"), parse_float=_number)


def _number(text: str) -> Decimal | float:
    number = Decimal(text)
    return number if abs(number.adjusted()) <= MAX_EXPONENT else float(text)


def named_kinds(files: Sequence[Path]) -> frozenset[str] | None:
    """Return the kinds of resources that the names of files state, as bulk exports call them: `Patient.0001.ndjson`.

    None where a name states none, so that anything may be in the file. No file is opened.
    """
    found = [_BULK.fullmatch(path.name) for path in files]
    return None if None in found else frozenset(match["kind"] for match in found if match)
