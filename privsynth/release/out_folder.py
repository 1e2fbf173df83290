"""`OutFolder`: the place of a new folder, reserved before anything is spent, and filled in one step.

<parent>/.NAME.privsynth-partial/   0700; whoever holds it may let NAME appear, and nobody else
  lock                              held (flock) as long as the run lives
  whole/                            what is about to appear
<home>/work/out-<16 hex digits>     where that is, so that the next start can wipe what a killed run left there
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from privsynth.errors import Option, OutputError
from privsynth.workspace import PARTIAL, Workspace, folder_error, open_locked, sweeping

# Of the file system that holds the lock, not of who holds it: some network disks have no locks.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TRIES = 3  # attempts to lock (own): a holder that ends removes its lock file, and then the name is free


class OutFolder:
    """The name of a new folder, held as long as the `with` block lives.

    Args:
      out: the folder that will appear; it must not exist.
      home: where privsynth keeps its own files.
      least_bytes: refused if its disk has less room than that.
      resumable: the partial folder stays for a later run that goes on with it, unless `leave` says otherwise.

    Raises, on entering:
      OutputError: the place is taken, cannot be written, its name is too long or its disk is full, or another run is
        about to write there.
    """

    def __init__(self, out: Path, home: Path, *, least_bytes: int = 0, resumable: bool = False) -> None:
        self.out = out.absolute()
        self._resumable = self._left = resumable
        self._given, self._home, self._least_bytes = out, home, least_bytes
        self._partial = self.out.parent / f".{self.out.name}{PARTIAL}"
        self._whole = self._partial / "whole"
        self._made: list[Path] = []
        self._record: Path | None = None
        self._lock: int | None = None
        self._owner = 0

    def __enter__(self) -> Self:
        check_out(self._given)
        try:
            with sweeping(self._home) as work:
                if not self._resumable:
                    self._write_record(work)
                self._make_parents()
                self._lock, self._owner = self._take(), os.getpid()
            for entry in self._partial.iterdir():  # of a run that was killed
                if entry.name != "lock" and not self._resumable:
                    shutil.rmtree(entry)
            self._check_room()
            check_out(self._given)  # whoever held the name before may have used it
        except OSError as error:
            self._let_go()
            raise output_error(self._given, error) from None
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() == self._owner:  # a forked child leaves the block too
            self._let_go()

    def bring(self, staged: Path) -> None:
        """Take a finished folder to the disk where it is to appear; it keeps its times and rights.

        Raises:
          OutputError: the disk is full or failing. The staged folder is then where it was.
        """
        if staged == self._whole:
            return
        try:
            try:
                os.rename(staged, self._whole)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy(staged, self._whole)
        except OSError as error:
            shutil.rmtree(self._whole, ignore_errors=True)
            raise output_error(self._given, error) from None

    @property
    def whole(self) -> Path:
        """Where a folder that is to appear can be made at once on its own disk, instead of being brought there."""
        return self._whole

    @property
    def partial(self) -> Path:
        """The private folder that holds `whole`."""
        return self._partial

    def leave(self, stays: bool) -> None:
        """Say whether the partial folder stays when the block ends."""
        self._left = stays

    def publish(self) -> None:
        """Let what was brought appear under its name, in one step.

        Raises:
          OutputError: the name was taken meanwhile, or the disk fails.
        """
        if self.out.exists():
            raise OutputError(f"the output folder {self._given} appeared while the run was going on; it was left alone")
        try:
            os.rename(self._whole, self.out)
        except OSError as error:
            raise output_error(self._given, error) from None
        self._made = []

    def keep(self, staged: Path, name: str) -> Path:
        """Move a finished folder that cannot appear to `<home>/kept/<name>`, where no run wipes it; return the place.

        Raises:
          OSError: it cannot be moved there either.
        """
        kept = self._home / "kept"
        kept.mkdir(mode=0o700, exist_ok=True)
        os.rename(staged if staged.exists() else self._whole, kept / name)
        return kept / name

    def _write_record(self, work: Path) -> None:
        self._record = work / f"out-{secrets.token_hex(8)}"
        try:
            with open(os.open(self._record, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.fsencode(self._partial))
        except OSError as error:
            raise folder_error(work, error) from None

    def _make_parents(self) -> None:
        missing = [folder for folder in (self.out.parent, *self.out.parent.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            self._made.append(folder)

    def _take(self) -> int:
        """Return the open lock file of the partial folder, which is made if it is not there."""
        for _ in range(_TRIES):
            made = False
            with suppress(FileExistsError):  # left over, or in use: the lock tells
                self._partial.mkdir(mode=0o700)
                made = True
            if self._partial.is_symlink():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            try:
                lock = open_locked(self._partial / "lock", wait=False)
            except BlockingIOError:
                break
            except FileNotFoundError:  # its holder took it away just now
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS or not made:
                    raise
                return os.open(self._partial / "lock", os.O_RDWR | os.O_CLOEXEC)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(self._partial / "lock")):
                    return lock
            os.close(lock)
        raise OutputError(f"another run is about to write to {self._given}; choose another folder, or wait for its end")

    def _check_room(self) -> None:
        for folder in (self.out.parent, self._home):
            free = shutil.disk_usage(folder).free
            if free < self._least_bytes:
                raise OutputError(
                    f"the release takes {self._least_bytes / 1e6:,.0f} MB or more, and the disk of {folder} has "
                    f"{free / 1e6:,.0f} MB left; free some space, or choose another disk. Nothing was spent"
                )

    def _let_go(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            if not self._left:
                shutil.rmtree(self._partial, ignore_errors=True)
            os.close(lock)
        if self._record is not None:
            with suppress(OSError):
                self._record.unlink()
        for folder in reversed(self._made):
            with suppress(OSError):  # somebody else uses it by now
                folder.rmdir()
        self._made = []


@contextmanager
def filled(out: Path, home: Path, what: str) -> Iterator[Path]:
    """Yield an empty private folder; what the block puts there appears in the new folder `out`, all at once.

    Args:
      what: is written, for the message.
    Raises:
      OutputError: the place is taken, or the disk is full or failing.
    """
    with OutFolder(out, home) as place, Workspace(home) as workspace:
        staged = workspace.folder / "filled"
        try:
            staged.mkdir()
            yield staged
            for path in staged.iterdir():
                path.chmod(0o644)
        except OSError as error:
            raise OutputError(f"{what} cannot be written: {error.strerror}") from None
        staged.chmod(0o755)
        place.bring(staged)
        place.publish()


def _copy(folder: Path, place: Path) -> None:
    """Copy a folder with its times and rights; the first error is raised as it is, and ends the copying."""
    folders = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        (place / path.relative_to(folder)).mkdir(mode=0o700)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        shutil.copy2(path, place / path.relative_to(folder))
    for path in reversed(folders):  # what is put into a folder changes its time
        shutil.copystat(path, place / path.relative_to(folder))


def output_error(out: Path, error: OSError) -> OutputError:
    """Return what to say of an error in a new folder."""
    reason = error.strerror or "I/O error"
    if error.errno in _FULL:
        reason = "the disk is full; free some space, or choose another disk"
    if error.errno == errno.ENAMETOOLONG:
        reason = f"the name is too long: while it is written {len(PARTIAL) + 1} more characters are needed"
    return OutputError(f"the folder cannot be written to {out}: {reason}")


def check_out(out: Path) -> None:
    """Raise `OutputError` unless a new folder can be made at `out`."""
    try:
        if out.exists() or out.is_symlink():
            raise OutputError(f"the output folder {out} exists already; choose a new one, nothing is ever overwritten")
        parent = out.absolute().parent
        while not parent.exists():
            parent = parent.parent
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be searched, a NUL
        reason = (isinstance(error, OSError) and error.strerror) or "not a path"
        raise OutputError(
            "no folder can be made at the place given with ", Option("out"), f": {reason}; choose another"
        ) from None
    if not parent.is_dir():
        raise OutputError(f"no folder can be made in {parent}: it is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"no folder can be made in {parent}: it is read-only for you")
