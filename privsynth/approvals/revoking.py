"""Adding to the list of revocations of an office: one person at a time, in the list and in the log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from privsynth.approvals.deciding import OpenKey
from privsynth.approvals.revocations import ROLES, RevocationList, RevokedRelease, own_list, save
from privsynth.errors import ConfigError
from privsynth.signing.envelope import Signer
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.log import TransparencyLog
from privsynth.workspace import folder_error, open_locked

LIST = "revocations.json"  # in privsynth's home
DAYS = 30  # for which a list is good, unless somebody says otherwise (own): recipients ask for it monthly
RENEWED_BEFORE = 10  # days before its end (own): whoever fetches a list can rely on it for as long


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
    """Add releases to the list, or sign it anew if there are none, and return it. The first list may be empty.

    Args:
      opened: the key that signs it, and its entry.
      days: how long the list is good.
    Raises:
      ConfigError: a release is in it already, or it cannot be written.
      VerificationError, UnknownSigner: the list that is there was changed.
      LogDamaged, LogUnavailable: the revocation cannot be entered in the log.
    """
    with _alone(office.home):
        old = own_list(office.path, office.keyrings)
        if any(old is not None and old.about(one.release) is not None for one in added):
            raise ConfigError("that release is in the list already")
        return _signed(office, old, added, opened, (now, now + timedelta(days=days)))


def keep(office: Office, revoked: Sequence[RevokedRelease], opens: OpenKey, *, now: datetime) -> RevocationList | None:
    """Sign a list if there is none, if the one there lacks a release, or if it ends soon; None if it is well.

    Args:
      revoked: what is to be in it.
      opens: the key that signs it, opened only where that is needed.
    Raises:
      As `revoke`; KeyFileError: the key does not open.
    """
    with _alone(office.home):
        old = own_list(office.path, office.keyrings)
        lost = tuple(one for one in revoked if old is None or old.about(one.release) is None)
        if old is not None and not lost and now < old.expires_at - timedelta(days=RENEWED_BEFORE):
            return None
        return _signed(office, old, lost, opens(roles=ROLES), (now, now + timedelta(days=DAYS)))


def _signed(
    office: Office,
    old: RevocationList | None,
    added: tuple[RevokedRelease, ...],
    opened: tuple[Signer, KeyEntry],
    period: tuple[datetime, datetime],
) -> RevocationList:
    (key, entry), now = opened, period[0]
    # The second counts, so that no number comes twice where an older list, or none, was brought back from a backup.
    number = max(1 if old is None else old.number + 1, int(now.timestamp()))
    made = RevocationList(number, *period, (*(() if old is None else old.revoked), *added))
    signed = made.signed(key, entry.holder)  # before the log has it: a device may fail
    if office.log is not None and added:
        office.log.append([_fact(one, key) for one in added], now)
    save(office.path, signed)
    return made


def _fact(one: RevokedRelease, key: Signer) -> LogEntry:
    return LogEntry("superseded" if one.successor else "revoked", one.release, key.public.keyid, one.at, one.successor)


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
