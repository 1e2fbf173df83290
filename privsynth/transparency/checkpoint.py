"""Checkpoints of a log, and proofs that an entry is in it: texts that can be printed, mailed and kept.

Sources: C2SP tlog-checkpoint and tlog-proof@v1 (https://c2sp.org), and the request of tlog-witness for what brings a
later checkpoint to somebody who keeps an earlier one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from privsynth.errors import VerificationError
from privsynth.transparency.merkle import HASH_BYTES, check_consistency, check_inclusion, leaf_hash
from privsynth.transparency.note import VerifierKey, open_note

PROOF_HEADER = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES = 200_000  # (own) a checkpoint, an entry, and at most 63 hashes of 45 characters
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class LogCheckpoint:
    """What a log is at one moment.

    Attributes:
      origin: the name of the log.
      size: entries.
      root: of the Merkle tree over them (32 bytes).
    """

    origin: str
    size: int
    root: bytes

    def to_text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def opened(cls, note: bytes, key: VerifierKey) -> LogCheckpoint:
        """Return the checkpoint in a note that the log's key signed.

        Raises:
          VerificationError: it is no checkpoint, of another log, or the signature does not fit.
        """
        text = open_note(note, key)
        lines = text.splitlines()
        if len(lines) < 3 or not all(lines) or not _NUMBER.fullmatch(lines[1]):
            raise VerificationError("that is no checkpoint of a log: it has an origin, a size and a hash")
        if lines[0] != key.name:
            raise VerificationError(f"the checkpoint is of another log than {key.name}")
        return cls(lines[0], int(lines[1]), _hash(lines[2]))


@dataclass(frozen=True)
class LogProof:
    """That an entry stands in a log.

    Attributes:
      index: of the entry, from 0.
      entry: its bytes, which the format carries as extra data; believed only because the hashes fit.
      path: hashes from the leaf's sibling upwards.
      note: a signed checkpoint, as the log wrote it.
    """

    index: int
    entry: bytes
    path: tuple[bytes, ...]
    note: bytes

    def to_text(self) -> str:
        """Return the proof in the form tlog-proof@v1."""
        extra = f"extra {base64.b64encode(self.entry).decode()}"
        return "\n".join([PROOF_HEADER, extra, f"index {self.index}", *_lines(self.path), "", self.note.decode()])

    @classmethod
    def parse(cls, data: bytes) -> LogProof:
        """Return what `to_text` wrote; nothing is checked yet.

        Raises:
          VerificationError: it is no proof, or one without the entry.
        """
        wrong = VerificationError("that is no proof of a log with the entry in it (c2sp.org/tlog-proof@v1)")
        try:
            head, gap, note = data.decode("utf-8").partition("\n\n")
            lines = head.split("\n")
            extra, index = lines[1].removeprefix("extra "), lines[2].removeprefix("index ")
            entry = base64.b64decode(extra, validate=True)
            path = tuple(map(_hash, lines[3:]))
        except (IndexError, ValueError, binascii.Error):
            raise wrong from None
        found = cls(int(index) if _NUMBER.fullmatch(index) else -1, entry, path, note.encode())
        if len(data) > MAX_PROOF_BYTES or not gap or found.to_text().encode() != data:
            raise wrong
        return found

    def check(self, key: VerifierKey) -> LogCheckpoint:
        """Return the checkpoint, if the log signed it and the entry stands in it at this index.

        Raises:
          VerificationError: if not.
        """
        checkpoint = LogCheckpoint.opened(self.note, key)
        check_inclusion(leaf_hash(self.entry), self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


@dataclass(frozen=True)
class LogUpdate:
    """That a later checkpoint only adds to an earlier one.

    Attributes:
      old: entries of the earlier one.
      path: the proof of consistency.
      note: the later checkpoint, signed.
    """

    old: int
    path: tuple[bytes, ...]
    note: bytes

    def to_text(self) -> str:
        """Return the body of a request to a witness."""
        return "\n".join([f"old {self.old}", *_lines(self.path), "", self.note.decode()])

    @classmethod
    def parse(cls, data: bytes) -> LogUpdate:
        """Return what `to_text` wrote; nothing is checked yet.

        Raises:
          VerificationError: it is anything else.
        """
        wrong = VerificationError("that is no update of a checkpoint: 'old', a size, hashes, and a checkpoint")
        try:
            head, gap, note = data.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError:
            raise wrong from None
        size, *hashes = head.removeprefix("old ").split("\n")
        found = cls(int(size) if _NUMBER.fullmatch(size) else -1, tuple(map(_hash, hashes)), note.encode())
        if len(data) > MAX_PROOF_BYTES or not gap or found.to_text().encode() != data:
            raise wrong
        return found

    def check(self, earlier: LogCheckpoint, key: VerifierKey) -> LogCheckpoint:
        """Return the later checkpoint, if it is the log's and only adds to the earlier one.

        Raises:
          VerificationError: if not.
        """
        later = LogCheckpoint.opened(self.note, key)
        if (self.old, earlier.origin) != (earlier.size, later.origin):
            raise VerificationError("the update is from another checkpoint than the one that you keep")
        check_consistency(earlier.size, earlier.root, later.size, later.root, self.path)
        return later


def _lines(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]


def _hash(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if len(data) != HASH_BYTES or base64.b64encode(data).decode() != text:
        raise VerificationError("a hash in the checkpoint or proof is not the base64 of 32 bytes")
    return data
