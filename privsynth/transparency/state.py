"""What a log says at one checkpoint, checked down to the last entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from privsynth.errors import LogDamaged, VerificationError
from privsynth.transparency.checkpoint import LogCheckpoint, LogProof, LogUpdate
from privsynth.transparency.entry import START, LogEntry
from privsynth.transparency.merkle import consistency_proof, inclusion_proof, leaf_hash, root


@dataclass(frozen=True)
class LogState:
    """All entries, and the signed checkpoint that they fit.

    Attributes:
      checkpoint, note: as parsed, and as the log signed it.
      raw: the entries' bytes, which are hashed.
      entries: what they say.
    """

    checkpoint: LogCheckpoint
    note: bytes
    raw: tuple[bytes, ...]
    entries: tuple[LogEntry, ...]

    @classmethod
    def checked(cls, checkpoint: LogCheckpoint, note: bytes, raw: Sequence[bytes]) -> LogState:
        """Return the state, if the entries are those of the checkpoint, in a chain and in the order of time.

        Raises:
          LogDamaged: they are not.
        """
        leaves = [leaf_hash(data) for data in raw]
        if root(leaves) != checkpoint.root:
            raise LogDamaged("the entries of the log are not those of its checkpoint: somebody changed one")
        try:
            entries = [LogEntry.from_bytes(data) for data in raw]
        except VerificationError as problem:
            raise LogDamaged(str(problem)) from None
        before, time = START, None
        for index, (entry, leaf) in enumerate(zip(entries, leaves, strict=True)):
            if entry.previous != before:
                raise LogDamaged(f"entry {index} of the log does not follow the one before it")
            if time is not None and entry.logged_at is not None and entry.logged_at < time:
                raise LogDamaged(f"entry {index} of the log is dated before the one before it")
            before, time = leaf.hex(), entry.logged_at
        return cls(checkpoint, note, tuple(raw), tuple(entries))

    @cached_property
    def leaves(self) -> list[bytes]:
        """Hashes of the entries."""
        return [leaf_hash(data) for data in self.raw]

    def about(self, release: str) -> Iterator[tuple[int, LogEntry]]:
        """Yield index and entry of what names a public manifest, also as the other one."""
        for index, entry in enumerate(self.entries):
            if release in (entry.release, entry.other):
                yield index, entry

    def index_of(self, fact: LogEntry) -> int | None:
        """Return where a fact stands, or None."""
        return next((index for index, entry in enumerate(self.entries) if entry.fact == fact.fact), None)

    def proof(self, index: int) -> LogProof:
        """Return the proof that an entry is in the log.

        Raises:
          IndexError: there is no such entry.
        """
        return LogProof(index, self.raw[index], tuple(inclusion_proof(self.leaves, index)), self.note)

    def update_since(self, earlier: LogCheckpoint) -> LogUpdate:
        """Return the proof that this state only adds to an earlier one.

        Raises:
          LogDamaged: it does not: the log was rolled back or rewritten, or shown to somebody in two versions.
        """
        self.require_adds_to(earlier)
        return LogUpdate(earlier.size, tuple(consistency_proof(self.leaves, earlier.size)), self.note)

    def require_adds_to(self, earlier: LogCheckpoint) -> None:
        """Return if this state only adds to an earlier one.

        Raises:
          LogDamaged: it does not.
        """
        now = self.checkpoint
        if earlier.origin != now.origin:
            raise LogDamaged(f"the earlier checkpoint is of the log {earlier.origin}, and this is {now.origin}")
        if earlier.size > now.size:
            raise LogDamaged(
                f"the log {now.origin} was rolled back: it has {now.size:,} entries, and {earlier.size:,} were seen"
            )
        if root(self.leaves[: earlier.size]) != earlier.root:
            raise LogDamaged(
                f"the log {now.origin} was rewritten: its first {earlier.size:,} entries are not those that were seen"
            )
