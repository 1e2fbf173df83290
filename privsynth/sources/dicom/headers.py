"""The headers of DICOM files as a table: one row a file, one column an attribute, named by its keyword.

Source: DICOM PS3.5 (value representations) and PS3.6 (keywords). Pixels and other bulk data are never read.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydicom import config, dcmread
from pydicom.datadict import dictionary_is_retired, dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from privsynth.errors import ConfigError, SourceError
from privsynth.schema.definition import Column
from privsynth.schema.source_format import SourceFormat
from privsynth.schema.stated_types import Family, StatedTypes
from privsynth.sources.arrow_types import cell_text, text_batches, text_schema
from privsynth.sources.header_checks import check_names, refuse_unreadable
from privsynth.sources.protocol import SkippedCells, SourceOptions

MAX_FILES = 2_000_000  # of an archive (own): their names are held in memory
# Read unless `columns` says otherwise: keys, what was taken and how; no name, no date of birth, no free text.
USUAL = (
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "StudyDate", "Modality", "BodyPartExamined", "Laterality", "PatientPosition", "SOPClassUID",
    "Manufacturer", "ManufacturerModelName", "KVP", "ExposureTime", "XRayTubeCurrent", "SliceThickness",
    "MagneticFieldStrength", "RepetitionTime", "EchoTime", "Rows", "Columns", "NumberOfFrames", "BitsStored",
    "PhotometricInterpretation",
)  # fmt: skip
_KEYS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
# Bulk data, sequences, and what a reader cannot know the meaning of.
_REFUSED = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "AT"}
_WHOLE = {"IS", "US", "SS", "UL", "SL", "UV", "SV"}
_NUMBERS = {"DS", "FL", "FD"}
_DAYS = {"Y": 365.25, "M": 365.25 / 12, "W": 7.0, "D": 1.0}  # in the units of an age string (PS3.5, AS)
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")  # with points in files from before 1993


class DicomSource:
    """The files of a folder and of the folders in it, or one file.

    Raises:
      SourceError: there are none, or too many.
      ConfigError: a wanted column is no keyword of DICOM, or one of bulk data.
    """

    names_are_public = True  # they stand in the standard

    def __init__(self, origin: str, options: SourceOptions) -> None:
        self.label = f"dicom:{origin}"
        self._options = options
        self._files = _files(Path(origin))
        self.names = list(options.columns or USUAL)
        check_names(self.names, self.label, options)
        self._tags = [_tag(name, self.label) for name in self.names]
        self._kinds = [dictionary_VR(tag).partition(" ")[0] for tag in self._tags]
        self.arrow_schema = text_schema(self.names)
        self.stated_types = _stated(dict(zip(self.names, self._kinds, strict=True)))
        whole = [name for name, kind in zip(self.names, self._kinds, strict=True) if kind in _WHOLE or kind == "AS"]
        self.source_format = SourceFormat(whole_numbers=tuple(whole))

    def __repr__(self) -> str:
        return f"DicomSource({self.label}, {len(self.names)} columns)"

    def batches(self, skipped: SkippedCells) -> Iterator[pa.RecordBatch]:
        """Yield the rows as text columns; a file that is no DICOM is left out and counted."""
        yield from text_batches(self._rows(skipped), self.arrow_schema, skipped, self._options)

    def _rows(self, skipped: SkippedCells) -> Iterator[list[str | None]]:
        for path in self._files:
            with _quiet():
                header = self._header(path)
                if header is None:
                    skipped.unusable_records += 1
                    continue
                pairs = zip(self._tags, self._kinds, strict=True)
                row = [_cell(header, tag, kind, skipped) for tag, kind in pairs]
            yield row

    def _header(self, path: Path) -> Any:
        """Return the header of a file; None if it has none. A deflated one is not read: it may unfold to anything."""
        try:
            meta = read_file_meta_info(path)
            if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return None
            return dcmread(path, stop_before_pixels=True, specific_tags=list(self._tags))
        except Exception:  # pydicom raises whatever the bytes lead it to
            return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging: it quotes values."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        refuse_unreadable(path)
        return [path]
    found = [
        Path(folder) / name
        for folder, _, names in os.walk(path)
        for name in names
        if name[:1] != "." and name.upper() != "DICOMDIR"
    ]
    if not found:
        raise SourceError(f"{path} is a folder without files; give that of the images")
    if len(found) > MAX_FILES:
        raise SourceError(f"{path} has {len(found):,} files and the limit is {MAX_FILES:,}; read it in parts")
    return sorted(found)


def _tag(name: str, label: str) -> int:
    """Return the tag of a keyword that has one plain value."""
    tag = tag_for_keyword(name)
    if tag is None or dictionary_is_retired(tag):
        raise ConfigError(f"{name!r} is no keyword of DICOM's present dictionary; columns of {label} are such keywords")
    if dictionary_VR(tag).partition(" ")[0] in _REFUSED:
        raise ConfigError(f"{name} holds pixels, bulk data or a sequence, which are not read; leave it out")
    if dictionary_VM(tag) not in ("1", "1-n"):
        raise ConfigError(f"{name} has several values, which a cell cannot hold; leave it out")
    return tag


def _stated(kinds: dict[str, str]) -> StatedTypes:
    """Return what the value representations of the standard state."""
    columns: dict[str, Column] = {}
    families: dict[str, Family] = {}
    for name, kind in kinds.items():
        if name in _KEYS:
            columns[name] = Column(kind="id", roles=("identifier",))
        elif name == "PatientSex":
            columns[name] = Column(kind="categorical", categories=("F", "M", "O"))
        elif kind in ("CS", "UI"):
            columns[name] = Column(kind="categorical")
        elif kind == "DA":
            columns[name] = Column(kind="date")
        elif kind == "AS":
            columns[name] = Column(kind="integer")
        elif kind in _NUMBERS:
            columns[name] = Column(kind="numeric")
        elif kind in _WHOLE:
            families[name] = "integer"
    return StatedTypes(columns=columns, families=families)


def _cell(header: Any, tag: int, kind: str, skipped: SkippedCells) -> str | None:
    """Return a value as text: dates as ISO 8601, ages in whole years."""
    try:
        value = header[tag].value if tag in header else None
        if value is None or value == "":
            return None
        if kind == "DA":
            return "-".join(_parts(_DATE, str(value)))
        if kind == "AS":
            return _years(str(value))
        if isinstance(value, list) or type(value).__name__ == "MultiValue":
            skipped.nested_cells += 1
            return None
        if kind in _NUMBERS | _WHOLE:
            return cell_text(int(value) if kind in _WHOLE else float(value), skipped)
        return str(value).strip() or None
    except Exception:  # of a value that is not as its representation says
        skipped.unreadable_cells += 1
        return None


def _parts(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = pattern.fullmatch(text.strip())
    if found is None:
        raise ValueError
    return found.groups()


def _years(text: str) -> str:
    (number, unit) = _parts(re.compile(r"(\d{3})([YMWD])"), text)
    return str(int(int(number) * _DAYS[unit] / _DAYS["Y"] + 1e-9))
