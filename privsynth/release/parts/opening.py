"""From what was given as the place of rows to a `Destination`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from privsynth.release.out_folder import OutFolder
from privsynth.release.parts.object_store import UrlDestination
from privsynth.release.parts.places import Destination, FolderDestination, is_url, local_path
from privsynth.workspace import Workspace


@contextmanager
def opened(out: str | Path, home: Path) -> Iterator[Destination]:
    """Yield a place for new files; what is neither finished nor dropped in the block stays for a later run.

    Raises:
      OutputError: the place is taken, or cannot be written.
    """
    if is_url(out):
        with Workspace(home) as workspace:
            yield UrlDestination(str(out), workspace.folder / "scratch")
        return
    with OutFolder(local_path(out), home, resumable=True) as folder:
        yield FolderDestination(folder)
