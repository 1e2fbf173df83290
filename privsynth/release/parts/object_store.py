"""`UrlDestination`: files below a URL, by a driver of fsspec, and what is said when it fails."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from privsynth.errors import ConfigError, MissingPackageError, Option, OutputError, PrivsynthError
from privsynth.extras import needs
from privsynth.release.parts.places import NOTES, PLAN
from privsynth.workspace import folder_error

_CHUNK = 1 << 20  # bytes that are hashed at once (own)
# Stores of buckets have no folders to be made, and their drivers may make a bucket instead, which is not ours to do.
_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory"}


class UrlDestination:
    """Files below a URL, by a driver of fsspec. Messages repeat nothing that a driver says: it may quote credentials.

    Args:
      url: of a folder that is not there yet; user and password are the driver's to find.
      scratch: a folder of this machine, which is made.
    Raises:
      ConfigError: the URL holds credentials.
      MissingPackageError: the driver is not installed.
    """

    def __init__(self, url: str, scratch: Path) -> None:
        self._check(url)
        self.shown, self.scratch = url.rstrip("/"), scratch
        self.left = f"all below {self.shown}"
        self._fs, self._root = self._driver(self.shown)
        self._makes_folders = self.shown.partition("://")[0] not in _BUCKETS
        try:
            scratch.mkdir()
        except OSError as error:
            raise folder_error(scratch.parent, error) from None

    @staticmethod
    def _check(url: str) -> None:
        try:
            parts = urlsplit(url)
            secret = parts.password is not None
        except ValueError:
            raise ConfigError(
                Option("out"), " holds an address that cannot be read; write it as s3://bucket/folder"
            ) from None
        if secret or parts.query or parts.fragment or "::" in url:
            raise ConfigError(
                Option("out"),
                " must be a plain address such as s3://bucket/folder: passwords and settings in it would show in the "
                "list of processes; the driver finds them in its own variables and files",
            )
        if not parts.netloc and not parts.path.strip("/"):
            raise ConfigError(Option("out"), " names no bucket and no folder; write s3://bucket/folder")

    @staticmethod
    def _driver(url: str) -> tuple[Any, str]:
        with needs("object-stores"):
            import fsspec
        scheme = url.partition("://")[0]
        try:
            kind = fsspec.get_filesystem_class(scheme)
        except ImportError:
            raise MissingPackageError(
                f"the driver that writes to {scheme}:// is not installed; install the package of fsspec's for it, such "
                "as s3fs for s3:// or gcsfs for gs://"
            ) from None
        except ValueError:
            raise ConfigError(
                f"nothing that is installed writes to {scheme}://; give a folder, or an address such as s3://bucket/folder"
            ) from None
        try:
            options = kind._get_kwargs_from_urls(url)
            return kind(**options), str(kind._strip_protocol(url)).rstrip("/")
        except Exception as error:
            raise url_error(url, error) from None

    def put(self, path: Path, name: str) -> None:
        """Move a finished file to its place, where it appears whole."""
        with self._failing():
            self._make_folder(name)
            self._fs.put_file(str(path), self._at(name))
        path.unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Write a small file; it appears whole."""
        with self._failing():
            self._make_folder(name)
            self._fs.pipe_file(self._at(name), text.encode("utf-8"))

    def note(self, name: str, text: str | None) -> None:
        """Write a note; None removes it."""
        if text is None:
            self.remove(f"{NOTES}/{name}")
        else:
            self.write(f"{NOTES}/{name}", text)

    def notes(self) -> dict[str, str]:
        """Return every note."""
        names = [name for name in self._found() if name.startswith(f"{NOTES}/")]
        with self._failing():
            return {
                name.partition("/")[2]: self._fs.cat_file(self._at(name)).decode("utf-8", "replace") for name in names
            }

    def facts(self, name: str) -> tuple[int, str] | None:
        """Return the size of a file and its SHA-256 in hex, read back; None if it is not there."""
        digest, size = hashlib.sha256(), 0
        with self._failing():
            try:
                with self._fs.open(self._at(name), "rb") as file:
                    while block := file.read(_CHUNK):
                        digest.update(block)
                        size += len(block)
            except FileNotFoundError:
                return None
        return size, digest.hexdigest()

    def names(self) -> set[str]:
        """Return the names of all files that were put there, finished or not."""
        return {name for name in self._found() if not name.startswith(f"{NOTES}/")}

    def _found(self) -> set[str]:
        with self._failing():
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root)
            except FileNotFoundError:
                return set()
        return {str(path)[len(self._root) :].lstrip("/") for path in found} - {""}

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._failing(), suppress(FileNotFoundError):
            self._fs.rm_file(self._at(name))

    def finish(self) -> None:
        """Remove the notes; all files are there by now."""
        # The plan goes first: without it nothing that is left of the notes means anything.
        self.note(PLAN, None)
        for name in self._found():
            if name.startswith(f"{NOTES}/"):
                self.remove(name)

    def drop(self) -> None:
        """Remove all that is there, as far as the store still answers."""
        with suppress(PrivsynthError):
            for name in sorted(self._found()):
                self.remove(name)

    def full(self, error: OSError) -> OutputError:
        """Return what to say of a failing disk under `scratch`, which is that of the private folder."""
        return folder_error(self.scratch.parent.parent, error)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _make_folder(self, name: str) -> None:
        if self._makes_folders:
            self._fs.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (PrivsynthError, MemoryError):
            raise
        except Exception as error:
            raise url_error(self.shown, error) from None


def url_error(url: str, error: Exception) -> OutputError:
    """Return what to say of what a driver raised, of which nothing is repeated."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, FileNotFoundError):
        reason = "its bucket or folder does not exist; make it first"
    elif isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        reason = "the store does not let you; check the credentials that its driver finds, and their rights"
    elif number in (errno.ENOSPC, errno.EDQUOT):
        reason = "there is no room left; free some space, or choose another place"
    else:
        reason = f"its driver failed ({type(error).__name__}); check the address and the network, and try again"
    return OutputError(f"nothing can be written to {url}: {reason}")
