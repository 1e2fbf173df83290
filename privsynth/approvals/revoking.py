"""Adding to the list of revocations of an office: one person at a time, in the list and in the log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from privsynth.approvals.revocations import RevocationList, RevokedRelease, own_list, save
from privsynth.errors import ConfigError
from privsynth.signing.envelope import Signer
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.log import TransparencyLog
from privsynth.workspace import folder_error, open_locked

LIST = "revocations.json"  # in privsynth's home
DAYS = 30  # for which a list is good, unless somebody says otherwise (own): recipients ask for it monthly


@dataclass(frozen=True)
class Office:
    """Who keeps a list, and where.

    Attributes:
      home: privsynth's folder, with the lock.
      path: of the list.
      keyrings: who may have signed the list that is there.
      log: in which revocations are entered too; None if there is none.
    """

    home: Path
    path: Path
    keyrings: Sequence[Keyring]
    log: TransparencyLog | None


def revoke(
    office: Office, added: tuple[RevokedRelease, ...], opened: tuple[Signer, KeyEntry], *, days: int, now: datetime
) -> RevocationList:
    """Add releases to the list, or sign it anew if there are none, and return it.

    Args:
      opened: the key that signs it, and its entry.
      days: how long the list is good.
    Raises:
      ConfigError: a release is in it already, nothing is revoked yet, or it cannot be written.
      VerificationError, UnknownSigner: the list that is there was changed.
      LogDamaged, LogUnavailable: the revocation cannot be entered in the log.
    """
    key, entry = opened
    with _alone(office.home):
        old = own_list(office.path, office.keyrings)
        known = () if old is None else old.revoked
        if not added and not known:
            raise ConfigError("nothing is revoked yet: name a release")
        if any(one.release == two.release for one in known for two in added):
            raise ConfigError("that release is in the list already")
        number = 1 if old is None else old.number + 1
        made = RevocationList(number, now, now + timedelta(days=days), (*known, *added))
        signed = made.signed(key, entry.holder)  # before the log has it: a device may fail
        if office.log is not None and added:
            kind = "superseded" if added[0].successor else "revoked"
            office.log.append([LogEntry(kind, added[0].release, key.public.keyid, now, added[0].successor)], now)
        save(office.path, signed)
    return made


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold others off who revoke at the same time: each list has all that the one before it had."""
    try:
        lock = open_locked(home / "revocations.lock", wait=True)
    except OSError as error:
        raise folder_error(home, error) from None
    try:
        yield
    finally:
        os.close(lock)
