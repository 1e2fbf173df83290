"""What everybody may have: the keys that sign releases, the page that verifies them, what was revoked, and the log."""

from __future__ import annotations

from privsynth.approvals.revocations import MAX_BYTES
from privsynth.approvals.revoking import LIST
from privsynth.errors import InputError, LogUnavailable, OutputError
from privsynth.pages.verification import verify_page
from privsynth.service.context import Service
from privsynth.signing._files import read_limited
from privsynth.signing.keyring import MAKER, Keyring
from privsynth.signing.store import load_keyring
from privsynth.transparency.checkpoint import LogCheckpoint
from privsynth.transparency.log import NOTE, PUBLIC_KEY, configured_log
from privsynth.transparency.note import MAX_NOTE_BYTES
from privsynth.transparency.tiles import MAX_BUNDLE_BYTES, is_fixed

NO_LOG_FILE = "the log of releases has no such file: begin with its checkpoint, which says how long it is"


def public_keyring(service: Service) -> Keyring:
    """Return the keys that sign releases; who reviews and approves is the institution's own matter."""
    return Keyring(keys=tuple(entry for entry in load_keyring(service.home).keys if MAKER in entry.roles))


def public_verify_page(service: Service, log: str) -> str:
    """Return the page on which everybody verifies a release, with those keys built in.

    Args:
      log: the address of the log of releases.
    """
    return verify_page(public_keyring(service), log=log)


def revocations(service: Service) -> bytes:
    """Return the signed list of releases that must not be used any more.

    Raises:
      InputError: nothing was ever revoked.
      OutputError: the list cannot be read.
    """
    try:
        return read_limited(service.home / LIST, MAX_BYTES)
    except FileNotFoundError:
        raise InputError("nothing was revoked here yet") from None
    except OSError as problem:
        raise OutputError(f"the list of revocations cannot be read: {problem.strerror}") from None


def log_file(service: Service, name: str) -> tuple[bytes, bool]:
    """Return a public file of the log of releases, by its name there, and whether it can never change.

    Raises:
      InputError: there is none of that name, or no log.
      LogUnavailable, LogDamaged: the log cannot be read.
    """
    log = configured_log(service.home)
    if log is None:
        raise InputError("there is no log of releases here yet")
    try:
        note = read_limited(log.public / NOTE, MAX_NOTE_BYTES)
        if name == NOTE:
            return note, False
        if name == PUBLIC_KEY:
            return f"{log.key}\n".encode(), False
        public = log.public.resolve()
        there = is_fixed(name, LogCheckpoint.opened(note, log.key).size) and (public / name).resolve() == public / name
        if not there:  # no name of the log's; or a link to somewhere else
            raise InputError(NO_LOG_FILE)
        return read_limited(public / name, MAX_BUNDLE_BYTES), True
    except FileNotFoundError:
        raise InputError(NO_LOG_FILE) from None
    except OSError as problem:
        raise LogUnavailable(f"the log of releases cannot be read: {problem.strerror}") from None
