"""Where files are put: a new folder of this machine, or below a URL that a driver of fsspec writes to.

A place takes whole files, and keeps notes of what is finished apart from them until everything is there. In a folder
all files appear at once. An object store has no such step: there `_label.json` comes last, and the notes, below
`_unfinished/`, go after it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from privsynth.errors import ConfigError, Option, OutputError
from privsynth.release.out_folder import OutFolder, output_error

PLAN = "plan.json"  # the note that says what a run makes (see `journal`)
NOTES = "_unfinished"  # as other programs pass over names that begin with an underscore
_LOCAL = ("file://", "local://")


class Destination(Protocol):
    """Where files are put.

    Attributes:
      shown: the place, for a message.
      left: what is to be removed where a stopped run left something.
      scratch: a folder of this machine in which files are written first.
    """

    shown: str
    left: str
    scratch: Path

    def put(self, path: Path, name: str) -> None:
        """Move a finished file to its place, where it appears whole."""
        ...

    def write(self, name: str, text: str) -> None:
        """Write a small file; it appears whole."""
        ...

    def note(self, name: str, text: str | None) -> None:
        """Write a note; None removes it."""
        ...

    def notes(self) -> dict[str, str]:
        """Return every note."""
        ...

    def facts(self, name: str) -> tuple[int, str] | None:
        """Return the size of a file and its SHA-256 in hex, read back; None if it is not there."""
        ...

    def names(self) -> set[str]:
        """Return the names of all files that were put there, finished or not."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def finish(self) -> None:
        """Let the files appear for good, without notes."""
        ...

    def drop(self) -> None:
        """Remove all that is there; what is not dropped stays for a later run."""
        ...

    def full(self, error: OSError) -> OutputError:
        """Return what to say of a failing disk under `scratch`."""
        ...


def is_url(out: str | Path) -> bool:
    """Return whether a place is below a URL, and not a folder of this machine."""
    return isinstance(out, str) and "://" in out and not out.startswith(_LOCAL)


def local_path(out: str | Path) -> Path:
    """Return the folder of this machine that is meant.

    Raises:
      ConfigError: it is not on this machine.
    """
    if is_url(out):
        raise ConfigError(Option("out"), " must be a folder of this machine for these files; copy them from there")
    text = str(out)
    return Path(next((text.removeprefix(start) for start in _LOCAL if text.startswith(start)), text))


class FolderDestination:
    """A new folder. Files and notes lie in its partial folder, on the same disk."""

    def __init__(self, folder: OutFolder) -> None:
        self._folder, self.shown, self.left = folder, str(folder.out), str(folder.partial)
        self._whole, self._notes, self.scratch = folder.whole, folder.partial / NOTES, folder.partial / "scratch"
        begun = (self._notes / PLAN).exists()
        if not begun:
            self.drop()  # until there is a plan
        with self._failing():
            for old in (self.scratch,) if begun else (self.scratch, self._whole, self._notes):
                shutil.rmtree(old, ignore_errors=True)
            for made in (self._whole, self._notes, self.scratch):
                made.mkdir(exist_ok=True)

    def put(self, path: Path, name: str) -> None:
        """Move a finished file to its place, where it appears whole."""
        with self._failing():
            target = self._whole / name
            target.parent.mkdir(exist_ok=True)
            with path.open("rb") as file:
                os.fsync(file.fileno())  # what is noted as finished must not be lost to a power cut
            path.replace(target)

    def write(self, name: str, text: str) -> None:
        """Write a small file; it appears whole."""
        with self._failing():
            self._write(self._whole / name, text)

    def note(self, name: str, text: str | None) -> None:
        """Write a note; None removes it."""
        with self._failing():
            if text is None:
                (self._notes / name).unlink(missing_ok=True)
            else:
                self._write(self._notes / name, text)
        if name == PLAN:  # from now on there is something to go on with
            self._folder.leave(True)

    def _write(self, target: Path, text: str) -> None:
        half = self.scratch / f"{target.name}.half"
        half.write_text(text, encoding="utf-8")
        with half.open("rb") as file:
            os.fsync(file.fileno())
        half.replace(target)

    def notes(self) -> dict[str, str]:
        """Return every note."""
        with self._failing():
            return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in self._notes.iterdir()}

    def facts(self, name: str) -> tuple[int, str] | None:
        """Return the size of a file and its SHA-256 in hex, read back; None if it is not there."""
        return facts_of(self._whole / name)

    def names(self) -> set[str]:
        """Return the names of all files that were put there, finished or not."""
        return {path.relative_to(self._whole).as_posix() for path in self._whole.rglob("*") if path.is_file()}

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._failing():
            (self._whole / name).unlink(missing_ok=True)
            with suppress(OSError):  # the folder of a value, if nothing else is there
                if "/" in name:
                    (self._whole / name).parent.rmdir()

    def finish(self) -> None:
        """Let the folder appear under its name, in one step."""
        with self._failing():
            for path in self._whole.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
            self._whole.chmod(0o755)
        self._folder.publish()
        self.drop()

    def drop(self) -> None:
        """Remove all that is there, when the block ends."""
        self._folder.leave(False)

    def full(self, error: OSError) -> OutputError:
        """Return what to say of a failing disk under `scratch`, which is that of the folder."""
        return output_error(self._folder.out, error)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self._folder.out, error) from None


def facts_of(path: Path) -> tuple[int, str] | None:
    """Return the size of a file of this machine and its SHA-256 in hex; None if it is not there."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
