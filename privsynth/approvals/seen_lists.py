"""What a reader has seen of lists of revocations, so that an older one is noticed when it comes again.

By holder, as the reader's keyring names them: a list goes on when its signer's key is replaced.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from privsynth.approvals.revocations import RevocationList
from privsynth.errors import VerificationError
from privsynth.signing._memory import load_seen, save_seen
from privsynth.strict.json import dumps
from privsynth.strict.time import to_text

FILE = "seen-revocations.json"
MAX_BYTES = 100_000_000  # of the file (own): a revocation takes 64 bytes
_Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]


class SeenList(BaseModel):
    """The newest list of a holder that was accepted here.

    Attributes:
      number: of the list.
      entries: a digest of each of its revocations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    number: int
    entries: _Texts

    @classmethod
    def of(cls, found: RevocationList) -> SeenList:
        """Return what is remembered of a list."""
        told = (dumps([one.release, one.reason, to_text(one.at), one.successor]) for one in found.revoked)
        return cls(number=found.number, entries=tuple(hashlib.sha256(entry).hexdigest() for entry in told))

    def check(self, later: SeenList) -> None:
        """Return if a list may come after this one.

        Raises:
          VerificationError: it is older, another of the same number, or lacks a revocation.
        """
        if later.number < self.number:
            raise VerificationError(
                f"it is number {later.number}, and number {self.number} was seen here before: this is an older one, "
                "which may lack what was revoked since"
            )
        if later.number == self.number and later != self:
            raise VerificationError(f"another list of number {self.number} was seen here before")
        if lost := set(self.entries) - set(later.entries):
            raise VerificationError(f"it lacks revocations that were seen here before ({len(lost)})")


_MEMORY = TypeAdapter(dict[str, SeenList])


def remember(home: Path, found: RevocationList, holder: str) -> None:
    """Compare a list that may be relied on with what was seen of its holder before, and remember it.

    Warns where it cannot be remembered.

    Raises:
      VerificationError: it is older than what was seen.
      KeyFileError: what was seen cannot be read.
    """
    path, fresh = home / FILE, SeenList.of(found)
    known = load_seen(path, _MEMORY, what="lists of revocations", max_bytes=MAX_BYTES) or {}
    if (before := known.get(holder)) is not None:
        try:
            before.check(fresh)
        except VerificationError as problem:
            raise VerificationError(
                f"the list of revocations does not count: {problem}. Ask {holder} for the latest one"
            ) from None
    if before != fresh:
        told = {**known, holder: fresh}
        save_seen(path, {name: one.model_dump(mode="json") for name, one in told.items()}, one="list")
