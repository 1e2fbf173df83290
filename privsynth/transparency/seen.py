"""What this person has seen of logs: of each its key and the latest checkpoint, so that nobody shows an older one.

`logs-seen.json` in privsynth's folder. A log that was restored from a backup, or rewritten by somebody who has its key,
no longer adds to what was seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privsynth.errors import KeyFileError, LogDamaged, LogUnavailable
from privsynth.signing._files import atomic_write, read_limited
from privsynth.strict.json import dumps, loads
from privsynth.transparency.checkpoint import LogCheckpoint
from privsynth.transparency.note import VerifierKey
from privsynth.transparency.state import LogState

FILE = "logs-seen.json"
MAX_BYTES = 10_000_000  # (own) thousands of logs


class SeenLogs:
    """The memory of one person.

    Args:
      home: privsynth's folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / FILE

    def key_of(self, origin: str) -> VerifierKey | None:
        """Return the key under which a log was first seen."""
        known = self._read().get(origin)
        return None if known is None else VerifierKey.parse(known["key"])

    @property
    def kept(self) -> str:
        """The origin of the log that this person keeps, "" if none: it may neither vanish nor be replaced."""
        return str(self._document().get("kept", ""))

    def check(self, key: VerifierKey, state: LogState) -> None:
        """Return if a log has the key that it had, and only adds to what was seen of it.

        Raises:
          LogDamaged: another key, or it was rolled back or rewritten.
          LogUnavailable: the memory cannot be read.
        """
        known = self._read().get(key.name)
        if known is None:
            return
        if known["key"] != str(key):
            raise LogDamaged(
                f"the log {key.name} has another key than when you first saw it; ask its keeper, and if that is right "
                f"remove the log from {self._path}"
            )
        try:
            state.require_adds_to(LogCheckpoint.opened(known["checkpoint"].encode(), key))
        except LogDamaged as problem:
            raise LogDamaged(
                f"{problem} on this computer. If a backup was restored, put the newer files back; else keep what is "
                "there as evidence, and start a new log with 'privsynth log init'"
            ) from None

    def keep(self, key: VerifierKey, state: LogState, *, kept: bool = False) -> None:
        """Remember a state that `check` let pass.

        Args:
          kept: from now on this is the log that the person keeps.
        Raises:
          LogUnavailable: the memory cannot be written.
        """
        before = self._document()
        seen = {"key": str(key), "checkpoint": state.note.decode()}
        after = {**before, "version": 1, "logs": {**before.get("logs", {}), key.name: seen}}
        if kept:
            after["kept"] = key.name
        if after == before:
            return
        try:
            atomic_write(self._path, dumps(after, indent=2) + b"\n", mode=0o600)
        except OSError as problem:
            raise LogUnavailable(f"{self._path} cannot be written: {problem.strerror}") from None

    def _read(self) -> dict[str, Any]:
        logs: dict[str, Any] = self._document().get("logs", {})
        return logs

    def _document(self) -> dict[str, Any]:
        try:
            data = read_limited(self._path, MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as problem:
            raise LogUnavailable(f"{self._path} cannot be read: {problem.strerror}") from None
        document = loads(data, what=str(self._path), max_bytes=MAX_BYTES, error=LogDamaged)
        try:
            for known in document["logs"].values():
                VerifierKey.parse(known["key"])
                known["checkpoint"].encode()
        except (AttributeError, KeyError, TypeError, KeyFileError):
            raise LogDamaged(f"{self._path} is damaged; put it back from a backup") from None
        found: dict[str, Any] = document
        return found
