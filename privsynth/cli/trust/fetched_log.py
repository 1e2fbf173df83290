"""A log that somebody serves over HTTP, copied into a folder of this machine; nothing of it is believed for that."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError

from privsynth.errors import LogUnavailable

TIMEOUT_S = 30.0  # for an answer to begin and for each part of it (own)
MAX_ENTRIES = 1_000_000  # of a log that is fetched (own): a release a minute for two years
_TRIES = 3  # a log that grows meanwhile drops the file of its last entries, once the next one has them


def is_address(place: Path | str | None) -> bool:
    """Say whether a log is named by its address and not by its folder."""
    return str(place).startswith(("https://", "http://"))


@contextmanager
def fetched_log(address: str) -> Iterator[Path]:
    """Copy the log at an address into a folder, which is gone at the end; yields it.

    What was copied is to be checked like any other log: it may be damaged, old, or another one.

    Raises:
      LogUnavailable: it does not answer, has no log there, or one that is too long.
    """
    with TemporaryDirectory(prefix="privsynth-log-") as name:
        folder = Path(name)
        for left in reversed(range(_TRIES)):
            try:
                _copy(address.rstrip("/"), folder)
                break
            except HTTPError as problem:
                if problem.code == 404 and left:
                    continue
                raise LogUnavailable(f"{address} has no log, or no whole one: it answered {problem.code}") from None
            except (OSError, HTTPException, ValueError) as problem:
                why = getattr(problem, "reason", None) or type(problem).__name__
                raise LogUnavailable(f"the log at {address} cannot be fetched: {why}") from None
        yield folder


def _copy(address: str, folder: Path) -> None:
    from privsynth.transparency.log import NOTE, PUBLIC_KEY
    from privsynth.transparency.note import MAX_NOTE_BYTES
    from privsynth.transparency.tiles import MAX_BUNDLE_BYTES, names_of

    note = _get(f"{address}/{NOTE}", MAX_NOTE_BYTES)
    (folder / NOTE).write_bytes(note)
    (folder / PUBLIC_KEY).write_bytes(_get(f"{address}/{PUBLIC_KEY}", MAX_NOTE_BYTES))
    lines = note.decode("utf-8", "replace").splitlines()
    size = lines[1] if len(lines) > 1 else ""
    if not (size.isascii() and size.isdecimal()) or len(size) > 9 or int(size) > MAX_ENTRIES:
        raise LogUnavailable(f"what {address} has is no log, or one of more than {MAX_ENTRIES:,} entries")
    for name in names_of(int(size)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(_get(f"{address}/{name}", MAX_BUNDLE_BYTES))


def _get(address: str, most: int) -> bytes:
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read(most + 1)
    if len(data) > most:
        raise ValueError(f"a file of more than {most:,} bytes")
    return data
