"""Sources that a person sends: streamed to a file, counted, and bounded."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from dataclasses import replace
from filecmp import cmp
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service, disk_error
from privsynth.service.roles import Act
from privsynth.service.sources.places import UPLOADS, Place, place_of
from privsynth.service.sources.registry import NewSource, add_source, check_new, twin_of
from privsynth.service.store.runs import SourceRow

_SUFFIXES = re.compile(r"(?:\.[a-z0-9]{1,12}){1,2}")
MEGABYTE = 1_000_000  # bytes


class Upload:
    """A file that is being sent, inside a `with` block; without `keep` it is gone at its end.

    Its name is chosen here: of the sender's only the suffixes are taken. It is locked until it belongs to a source, so
    that the files that a killed server left can be told from those that are on their way.

    Raises, on entering:
      NotAllowed: the caller may not register a source.
      InputError: the name of the file has no suffix.
    """

    def __init__(self, service: Service, caller: Caller, file_name: str) -> None:
        from privsynth.sources.registry import file_suffixes

        caller.require(Act.REGISTER_SOURCE)
        suffix = "".join(Path(file_name.strip().lower()).suffixes[-2:])
        suffix = suffix if _SUFFIXES.fullmatch(suffix) else Path(file_name.strip().lower()).suffix
        if not _SUFFIXES.fullmatch(suffix):
            raise InputError("the name of the file ends with what it is, such as .csv, .csv.gz, .xlsx or .parquet")
        if suffix not in (known := file_suffixes()) and f".{suffix.rpartition('.')[2]}" not in known:
            raise InputError(f"a file that ends with {suffix} is no table that can be sent; send {', '.join(known)}")
        self._service, self._caller = service, caller
        self._limit = service.settings.upload_megabytes * MEGABYTE
        self._path = service.folder / UPLOADS / f"{secrets.token_hex(16)}{suffix}"
        self._size, self._kept, self._file = 0, False, -1

    def __enter__(self) -> Self:
        """Make the file, readable by the service alone."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as problem:
            raise disk_error(problem) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file unless it belongs to a source."""
        if not self._kept:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def write(self, part: bytes) -> None:
        """Add to the file.

        Raises:
          InputError: it is larger than the settings allow.
          OutputError: the disk is full.
        """
        self._size += len(part)
        if self._size > self._limit:
            raise InputError(f"this file is larger than {self._service.settings.upload_megabytes} MB, the most allowed")
        try:
            while part:
                part = part[os.write(self._file, part) :]
        except OSError as problem:
            raise disk_error(problem) from None

    def keep(self, new: NewSource) -> SourceRow:
        """Register what was sent as a source.

        Raises:
          InputError: as `register_source`.
          OutputError: the disk is full.
        """
        new = replace(new, kind="upload")
        check_new(new)
        twin = twin_of(self._service, self._caller, new, partial(cmp, self._path, shallow=False))
        if twin is not None:
            return twin
        try:
            os.fsync(self._file)
        except OSError as problem:  # some file systems find only now that there is no room
            raise disk_error(problem) from None
        source = add_source(self._service, self._caller, new, Place(str(self._path.resolve())))
        self._kept = True
        return source


def wipe_lost_uploads(service: Service) -> None:
    """Remove the files of uploads that were cut off when a server was killed."""
    with service.database.reading() as session:
        sources = session.scalars(select(SourceRow).where(SourceRow.kind == "upload")).all()
    known = {place_of(service, source) for source in sources}
    for path in (service.folder / UPLOADS).glob("*"):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if str(path.resolve()) not in known:
                path.unlink(missing_ok=True)
        except BlockingIOError:
            pass  # on its way
        finally:
            os.close(file)
