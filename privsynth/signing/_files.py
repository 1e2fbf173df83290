"""Files of a release: listed without following links, digested in streams, named without tricks.

manifest.json lists them with digest and size, for people and for other tools. The signed statement holds the same
digests and the digest of the manifest; the manifest adds the sizes.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from privsynth.errors import VerificationError
from privsynth.strict.json import dumps, loads

MAX_PATH_CHARACTERS = 1_024  # fewer than PATH_MAX of Linux (4,096) and macOS (1,024 bytes with the folder before it)
# An envelope of 10 MB has room for some 75,000 files.
MAX_ENTRIES = 200_000
MAX_MANIFEST_BYTES = 10_000_000  # of the list of a folder's files (own)
_CHUNK_BYTES = 1 << 20  # read at once while a file is hashed (own)
_FORBIDDEN = re.compile(r'[\\:*?"<>|]')


@dataclass(frozen=True)
class Digest:
    """SHA-256 in hex, and the number of bytes it was taken over."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Tree:
    """What a folder holds.

    Attributes:
      files: path with forward slashes -> where it is; ordinary files only.
      strange: paths of links, pipes, sockets, devices, and of folders too deep to have a name; none was opened.
    """

    files: dict[str, Path]
    strange: tuple[str, ...]

    def problems(self) -> list[str]:
        """Return a sentence for each path that no release may hold."""
        return [f"{shown(name)} is a link, a device or a folder that lies too deep" for name in self.strange]


def list_tree(folder: Path) -> Tree:
    """Return everything under a folder, links not followed. Empty folders carry no bytes and are left out.

    Raises:
      OSError: if a folder cannot be listed, or there are more than 200,000 entries.
    """
    files: dict[str, Path] = {}
    strange: list[str] = []
    for name, entry in _walk(folder):
        if entry.is_file(follow_symlinks=False):
            files[name] = Path(entry.path)
        else:
            strange.append(name)
    return Tree(files, tuple(sorted(strange)))


def _walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield path and entry of all that is no folder, and of folders that lie too deep to be looked into."""
    waiting, seen = [("", folder)], 0
    while waiting:
        prefix, here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                seen += 1
                if seen > MAX_ENTRIES:
                    raise OSError(0, f"more than {MAX_ENTRIES:,} files and folders")
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False) and len(name) < MAX_PATH_CHARACTERS:
                    waiting.append((f"{name}/", Path(entry.path)))
                else:
                    yield name, entry


def open_regular(path: Path) -> BinaryIO:
    """Open an ordinary file for reading; a link put in its place meanwhile is refused.

    Raises:
      OSError: if it is a link, a folder or a device, or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not an ordinary file")
    return os.fdopen(descriptor, "rb")


def read_limited(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of an ordinary file.

    Raises:
      OSError: if it cannot be read, or is longer than `max_bytes`.
    """
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(0, f"longer than {max_bytes:,} bytes")
    return data


def digest_file(path: Path) -> Digest:
    """Return the digest of an ordinary file, read one megabyte at a time.

    Raises:
      OSError: if it cannot be read.
    """
    state, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
            size += len(chunk)
    return Digest(state.hexdigest(), size)


def digest_bytes(*parts: bytes) -> Digest:
    """Return the digest of bytes put one after the other."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return Digest(state.hexdigest(), sum(map(len, parts)))


def path_problem(name: str) -> str:
    """Return what is wrong with one path of a manifest, or "": it must mean the same file on every system."""
    if not name or len(name) > MAX_PATH_CHARACTERS:
        return "is empty or too long"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is absolute"
    if not name.isprintable() or _FORBIDDEN.search(name):
        return "has a backslash, a colon or another character that not every system allows"
    parts = name.split("/")
    if ".." in parts:
        return "leaves the folder"
    if any(not part or part == "." or part != part.rstrip(". ") for part in parts):
        return "has an empty part, or one that ends with a dot or a space"
    return ""


def path_problems(names: Iterable[str]) -> list[str]:
    """Return a sentence for each path that is a trick, or that differs from another only in case."""
    problems = []
    seen: dict[str, str] = {}
    for name in names:
        problem = path_problem(name)
        if problem:
            problems.append(f"the path {shown(name)} {problem}")
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            problems.append(f"the paths {shown(other)} and {shown(name)} are the same file on some systems")
    return problems


def anyone_may_write(path: Path) -> bool:
    """Say whether everybody on this machine may replace a file, or what is in a folder without a sticky bit."""
    mode = path.stat().st_mode
    return os.name == "posix" and bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def shown(text: str) -> str:
    """Return text from a file or folder so that a terminal shows it and does not obey it."""
    return text if text.isprintable() else ascii(text)


def atomic_write(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write a file in one step: a reader sees the old bytes or the new ones.

    Args:
      mode: of the file from its first moment; None keeps that of an old file, and leaves a new one to the umask.
    Raises:
      OSError: if it cannot be written; no half-written file is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    if mode is None and path.exists():
        kept: int | None = stat.S_IMODE(path.stat().st_mode)
    else:
        kept = mode
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if kept is not None:
            temporary.chmod(kept)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def manifest_bytes(files: Mapping[str, Digest]) -> bytes:
    """Return the manifest as indented ASCII JSON, sorted by path."""
    entries = [{"path": name, "sha256": files[name].sha256, "size": files[name].size} for name in sorted(files)]
    return dumps({"files": entries, "version": 1}, indent=2) + b"\n"


def parse_manifest(data: bytes) -> dict[str, Digest]:
    """Parse a manifest.

    Raises:
      VerificationError: not strict JSON, another version, a field too many or too few, a path listed twice,
        or a path that leaves the folder or does not mean the same file on every system.
    """
    document = loads(data, what="manifest.json", max_bytes=MAX_MANIFEST_BYTES, error=VerificationError)
    if not isinstance(document, dict) or set(document) != {"files", "version"}:
        raise VerificationError("manifest.json is not a manifest of version 1")
    if type(document["version"]) is not int or document["version"] != 1:
        raise VerificationError("manifest.json is not a manifest of version 1")
    entries = document["files"]
    if not isinstance(entries, list):
        raise VerificationError("manifest.json has no list of files")
    files: dict[str, Digest] = {}
    for entry in entries:
        name, digest = _entry(entry)
        if name in files:
            raise VerificationError(f"manifest.json lists {shown(name)} twice")
        files[name] = digest
    problems = path_problems(files)
    if problems:
        raise VerificationError(f"manifest.json: {'; '.join(problems)}")
    return files


def _entry(entry: Any) -> tuple[str, Digest]:
    if not isinstance(entry, dict) or set(entry) != {"path", "sha256", "size"}:
        raise VerificationError("an entry of manifest.json must have path, sha256 and size, nothing else")
    name, sha256, size = entry["path"], entry["sha256"], entry["size"]
    if not isinstance(name, str) or not isinstance(sha256, str) or type(size) is not int or size < 0:
        raise VerificationError("an entry of manifest.json has a field of the wrong type")
    return name, Digest(sha256, size)
