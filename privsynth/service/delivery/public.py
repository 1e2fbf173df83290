"""What everybody may have: the keys that sign releases, the page that verifies them, and what was revoked."""

from __future__ import annotations

from privsynth.approvals.revocations import MAX_BYTES
from privsynth.approvals.revoking import LIST
from privsynth.errors import InputError, OutputError
from privsynth.pages.verification import verify_page
from privsynth.service.context import Service
from privsynth.signing._files import read_limited
from privsynth.signing.keyring import MAKER, Keyring
from privsynth.signing.store import load_keyring


def public_keyring(service: Service) -> Keyring:
    """Return the keys that sign releases; who reviews and approves is the institution's own matter."""
    return Keyring(keys=tuple(entry for entry in load_keyring(service.home).keys if MAKER in entry.roles))


def public_verify_page(service: Service) -> str:
    """Return the page on which everybody verifies a release, with those keys built in."""
    return verify_page(public_keyring(service))


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
