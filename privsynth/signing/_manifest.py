"""manifest.json: every file of a release with its digest and size, for people and for other tools.

The signed statement holds the same digests and the digest of the manifest; the manifest adds the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privsynth.errors import VerificationError
from privsynth.signing._files import Digest, path_problems, shown
from privsynth.strict.json import dumps, loads

MAX_MANIFEST_BYTES = 10_000_000


def to_bytes(files: Mapping[str, Digest]) -> bytes:
    """Return the manifest as indented ASCII JSON, sorted by path."""
    entries = [{"path": name, "sha256": files[name].sha256, "size": files[name].size} for name in sorted(files)]
    return dumps({"files": entries, "version": 1}, indent=2) + b"\n"


def from_bytes(data: bytes) -> dict[str, Digest]:
    """Parse a manifest.

    Raises:
      VerificationError: not strict JSON, another version, a field too many or too few, a path listed twice,
        or a path that leaves the folder or does not mean the same file on every system.
    """
    document = loads(data, what="manifest.json", max_bytes=MAX_MANIFEST_BYTES, error=VerificationError)
    if not isinstance(document, dict) or set(document) != {"files", "version"} or document["version"] != 1:
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
