"""The one private folder of a run: the only place outside memory where rows may lie, and it is always wiped.

    <home>/work/            0700
      .sweep                held while a folder is made or left-over folders are wiped
      out-<16 hex digits>   where a run is about to write its output (see `privsynth.release.out_folder`)
      run-<16 hex digits>/  0700, one for each run
        lock                held (flock) as long as the run lives

Spilled rows lie in files (0600) that have no name any more when the first row is written: the system frees them when
the process ends, however it ends. Parts of a large table have names, since workers open them, too. They and what else
a run puts into its folder it wipes when it ends, fails or is interrupted. A run that was killed cannot: its lock is
free from that moment on, and the next run that starts wipes the folder.
Wiping removes files; on SSDs and journalling file systems overwriting them first would promise more than it does, so
the disk itself should be encrypted.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from privsynth.errors import OutputError

if TYPE_CHECKING:
    import pyarrow as pa

PARTIAL = ".privsynth-partial"  # ends the name of a folder in which an output is written before it appears
_RUN_FOLDER = re.compile(r"run-[0-9a-f]{16}")
_RECORD = re.compile(r"out-[0-9a-f]{16}")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def privsynth_home() -> Path:
    """Return the folder where privsynth keeps its own files, and make it (0700) if it is not there.

    It is `PRIVSYNTH_HOME`, else `privsynth` in the XDG data folder (`~/.local/share`). A folder that exists keeps its
    permissions: it may be shared on purpose, and the folders of runs inside it are private in any case.

    Raises:
      OutputError: the folder cannot be made.
    """
    chosen = os.environ.get("PRIVSYNTH_HOME")
    if chosen:
        home = Path(chosen).expanduser()
    else:
        data = os.environ.get("XDG_DATA_HOME", "")
        # The XDG specification says that a relative path must be ignored.
        home = (Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share") / "privsynth"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise folder_error(home, error) from None
    return home


class Workspace:
    """A private folder that lives as long as its `with` block.

    Attributes:
      folder: the folder of this run (0700); readable inside the block only.

    Example:
      >>> with Workspace(privsynth_home()) as workspace:  # doctest: +SKIP
      ...     data = workspace.spill(batches, schema)
    """

    def __init__(self, home: Path) -> None:
        self._work = Path(home) / "work"
        self._folder: Path | None = None
        self._lock: int | None = None
        self._owner = 0
        self._files = 0
        self._mapped: list[mmap.mmap] = []

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        if self._folder is None:
            raise RuntimeError("the workspace is not open: use it in a with block")
        return self._folder

    def __enter__(self) -> Self:
        try:
            with sweeping(self._work.parent) as work:
                # Named only after the lock is ours: the lock of sweeping keeps another run from wiping it before that.
                folder = work / f"run-{secrets.token_hex(8)}"
                folder.mkdir(mode=0o700)
                self._lock = open_locked(folder / "lock", wait=True)
                self._folder, self._owner = folder, os.getpid()
        except OSError as error:
            raise folder_error(self._work, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        folder, lock = self._folder, self._lock
        if folder is None or lock is None or os.getpid() != self._owner:
            return  # a forked child leaves the block too, and must not wipe what its parent still reads
        self._folder = self._lock = None
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)

    def new_file(self, suffix: str) -> Path:
        """Make an empty private file (0600) in the folder and return its path."""
        path = self.folder / f"{self._files:05d}{suffix}"
        self._files += 1
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise folder_error(self.folder, error) from None
        return path

    def spill(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
        """Write batches to a private file without a name, one at a time, and return them mapped from it.

        Args:
          batches: record batches of `schema`; only one is in memory at a time.
          schema: the schema of every batch.

        Returns:
          A table whose buffers are pages of the file, so that it costs address space and not memory. The file is gone
          when the last reference to the table goes, or the process ends, also by SIGKILL.

        Raises:
          OutputError: the disk or the quota is full, or the file cannot be written.
        """
        import pyarrow as pa

        file = self._nameless()
        try:
            # Only the writing is guarded: an OSError of the source must not be reported as a full disk.
            with self._writing():
                writer = pa.ipc.new_file(file, schema)
            for batch in batches:
                with self._writing():
                    writer.write_batch(batch)
            with self._writing():
                writer.close()
                file.flush()
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        finally:
            with contextlib.suppress(OSError):  # closing flushes what a full disk refused already
                file.close()
        self._mapped.append(pages)
        return pa.ipc.open_file(pa.py_buffer(pages)).read_all()

    def _nameless(self) -> BinaryIO:
        """Open a new file of the folder and take its name away before anything is in it."""
        path = self.new_file(".arrow")
        with self._writing():
            file = path.open("r+b")
            path.unlink()
        return file

    def let_go(self) -> None:
        """Take the pages of spilled rows that were read so far out of memory; what is read again comes back.

        The system would do so itself when memory is short, but until then they count as ours.
        """
        for pages in self._mapped:
            pages.madvise(mmap.MADV_DONTNEED)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise folder_error(self.folder, error) from None


def open_locked(path: Path, *, wait: bool) -> int:
    """Open a lock file and lock it; `BlockingIOError` when `wait` is False and somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def sweeping(home: Path) -> Iterator[Path]:
    """Wipe what killed runs left, then hold other sweeps off inside the block; yields the folder of all runs.

    Raises:
      OutputError: the folder cannot be made or locked.
    """
    work = home / "work"
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep = open_locked(work / ".sweep", wait=True)
    except OSError as error:
        raise folder_error(work, error) from None
    try:
        _wipe_left_overs(work)
        yield work
    finally:
        os.close(sweep)


def _wipe_left_overs(work: Path) -> None:
    """Wipe the folders of runs that live no more; nothing that does not look like one is ever touched."""
    for entry in list(os.scandir(work)):
        if _RUN_FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            _wipe_unless_held(Path(entry.path))
        elif _RECORD.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            with contextlib.suppress(OSError):  # a disk that is away or not for us: the next start tries again
                _wipe_recorded(Path(entry.path))


def _wipe_recorded(record: Path) -> None:
    partial = Path(os.fsdecode(record.read_bytes()))
    looks_right = partial.name.endswith(PARTIAL) and partial.is_dir() and not partial.is_symlink()
    if (not looks_right or _wipe_unless_held(partial)) and partial.parent.exists():
        record.unlink(missing_ok=True)


def _wipe_unless_held(folder: Path) -> bool:
    """Wipe a folder with a lock in it, unless a run that lives holds the lock; return whether it is gone."""
    try:
        lock = open_locked(folder / "lock", wait=False)
    except OSError:
        return not folder.exists()  # held, or just wiped by its owner
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
    return not folder.exists()


def folder_error(folder: Path, error: OSError) -> OutputError:
    """Return what to say of an error in the private folder."""
    if error.errno in _DISK_FULL:
        return OutputError(
            f"the disk with the private folder {folder} is full; free some space, or set PRIVSYNTH_HOME "
            "to a folder on a larger disk"
        )
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return OutputError(
        f"the private folder {folder} cannot be written ({reason}); set PRIVSYNTH_HOME to a folder of your own"
    )
