"""What a reader has seen of the keyrings of a root, so that an older one is noticed when it comes again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from privsynth.errors import VerificationError
from privsynth.signing._memory import load_seen, save_seen
from privsynth.signing.roots.signed_keyring import SignedKeyring

MAX_BYTES = 1_000_000  # of the file (own): a root takes some hundred bytes
_KeyIds = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]


class Seen(BaseModel):
    """The newest keyring of a root that was accepted here.

    Attributes:
      roots: ids of the roots that followed each other, the last one in force.
      number, revision, digest: as of `SignedKeyring`.
      revoked: ids of the keys that key admins revoked in keyrings of this number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    roots: Annotated[_KeyIds, Field(min_length=1)]
    number: int
    revision: int
    digest: str
    revoked: _KeyIds = ()


_MEMORY = TypeAdapter(list[Seen])


def memory_path(home: Path) -> Path:
    """Return where it is kept."""
    return home / "seen-keyrings.json"


def advanced(seen: Seen, found: SignedKeyring) -> Seen:
    """Return what has been seen after another keyring of the same roots.

    Raises:
      VerificationError: the keyring, or the root that signed it, is an older one.
    """
    if seen.roots[-1] not in found.roots:
        raise VerificationError("it is signed by a root that has been replaced: a later root was seen here")
    if (found.number, found.revision) < (seen.number, seen.revision):
        raise VerificationError(
            f"it is number {found.number}, revision {found.revision}, and number {seen.number}, revision "
            f"{seen.revision} was seen here before: this is an older one, which may lack what was revoked since"
        )
    if found.number == seen.number and found.digest != seen.digest:
        raise VerificationError(f"another keyring of number {seen.number} was seen here before: the root signed two")
    if found.number == seen.number and not set(seen.revoked) <= set(found.revoked):
        raise VerificationError(
            f"it takes back a revocation of keyring {seen.number} that was seen here, which only the root may do: "
            "a key admin who was revoked may have signed it"
        )
    roots = seen.roots + tuple(root for root in found.roots if root not in seen.roots)
    return _seen(found, roots)


def _seen(found: SignedKeyring, roots: tuple[str, ...]) -> Seen:
    return Seen(
        roots=roots,
        number=found.number,
        revision=found.revision,
        digest=found.digest,
        revoked=found.revoked,
    )


def remember(home: Path, found: SignedKeyring, *, what: str = "the keyring") -> None:
    """Compare a keyring with what was seen before, and remember it.

    Warns where it cannot be remembered.

    Raises:
      VerificationError: it is older than what was seen.
      KeyFileError: what was seen cannot be read.
    """
    path = memory_path(home)
    known = load_seen(path, _MEMORY, what="keyrings", max_bytes=MAX_BYTES) or []
    mine = [seen for seen in known if set(seen.roots) & set(found.roots)]
    fresh = _seen(found, found.roots)
    try:
        for seen in mine:
            fresh = advanced(seen, found)
    except VerificationError as problem:
        raise VerificationError(
            f"{what} is no keyring to rely on: {problem}. Ask those who hold the root for their latest keyring"
        ) from None
    told = [*(seen for seen in known if seen not in mine), fresh]
    if told != known:
        save_seen(path, [item.model_dump(mode="json") for item in told], one="keyring")
