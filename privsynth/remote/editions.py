"""A published edition that is downloaded, as a new folder."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from privsynth.errors import OutputError, VerificationError
from privsynth.remote.connection import Connection

MEGABYTE = 1_000_000  # bytes
MOST_FILES = 10_000  # in an edition (own): a release has some twenty


def download_edition(connection: Connection, run_id: str, out: Path, most_megabytes: int) -> None:
    """Write the edition of a run into a new folder, whole or not at all.

    Raises:
      OutputError: the folder is there already or cannot be written, or the edition is larger than is allowed.
      VerificationError: what was sent is no archive of an edition.
    """
    if out.exists():
        raise OutputError(f"{out} is there already; choose another name, or move it away")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            archive, inner = Path(folder) / "edition.zip", Path(folder) / "edition"
            connection.download(f"/runs/{run_id}/edition", archive, most_megabytes * MEGABYTE)
            inner.mkdir()
            _unpack(archive, inner, most_megabytes * MEGABYTE)
            inner.rename(out)
    except OSError as problem:
        raise OutputError(f"{out} cannot be written: {problem.strerror}") from None


def _unpack(archive: Path, folder: Path, most_bytes: int) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > most_bytes:
                raise OutputError(f"the edition is larger than {most_bytes // MEGABYTE:,} MB, the most that is taken")
            for entry in entries:
                place = PurePosixPath(entry.filename)
                if entry.is_dir() or place.is_absolute() or ".." in place.parts or "\\" in entry.filename:
                    raise VerificationError("what the service sent is no archive of an edition; nothing was kept")
                target = folder.joinpath(*place.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as file, target.open("xb") as out:  # a size that lies ends with an error
                    shutil.copyfileobj(file, out)
    except (zipfile.BadZipFile, NotImplementedError, FileExistsError, EOFError):
        raise VerificationError("what the service sent is no archive of an edition; nothing was kept") from None
