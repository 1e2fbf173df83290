"""Certificates of deletions in privsynth's home: what they name is deleted again where a backup brings it back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from privsynth.approvals.notices import MAX_BYTES, Notice, own_notice
from privsynth.errors import OutputError, VerificationError
from privsynth.signing._files import read_limited
from privsynth.signing.store import load_keyring

FOLDER = "deletions"  # in privsynth's home, beside the service's folder, which a backup replaces


def certificate_path(home: Path, item: str) -> Path:
    """Return where the certificate of an item is kept."""
    return home / FOLDER / f"{item}.dsse.json"


def tombstones(home: Path) -> Iterator[tuple[Notice, bytes]]:
    """Yield each certificate of the home, verified, and its bytes.

    Raises:
      VerificationError, UnknownSigner, ConfigError: one was changed, or somebody else signed it.
    """
    keyrings = [load_keyring(home)]
    for path in sorted((home / FOLDER).glob("*.dsse.json")):
        notice = own_notice(path, keyrings)
        if notice.kind != "deletion" or certificate_path(home, str(notice.said.get("item"))) != path:
            raise VerificationError(f"{path} is the certificate of something else: put the one that belongs there back")
        yield notice, read_limited(path, MAX_BYTES)


def delete_again(home: Path, folder: Path) -> int:
    """Delete what the home's certificates name from a folder that a backup was copied into; return how many did.

    Raises:
      As `tombstones`; OutputError: a file cannot be deleted.
    """
    return sum(remove_files(folder, [one.name for one in notice.subjects]) > 0 for notice, _ in tombstones(home))


def remove_files(folder: Path, names: Iterable[str]) -> int:
    """Unlink files below the service's folder, and folders that are empty then; return how many were there.

    Raises:
      OutputError: one cannot be unlinked.
      VerificationError: a name leads out of the folder.
    """
    removed, root = 0, folder.resolve()
    parents: set[Path] = set()
    for name in names:
        path = root / name
        if ".." in Path(name).parts or Path(name).is_absolute() or not path.parent.resolve().is_relative_to(root):
            raise VerificationError("a certificate of deletion names a file outside of the service's folder")
        if "/" not in name:
            continue  # a row of the database
        try:
            path.unlink()
            removed += 1
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise OutputError(f"{name} cannot be deleted: {problem.strerror}. It is tried again") from None
        parents.add(path.parent)
    for parent in sorted(parents, key=lambda one: len(one.parts), reverse=True):
        _settle(parent, root)
    return removed


def _settle(parent: Path, root: Path) -> None:
    """Make the disk know that files of a folder are gone, and remove it and those above it that are empty."""
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        while root in parent.parent.parents and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent
    except OSError:
        return  # another one removed it, or it is not empty: the files are gone all the same
