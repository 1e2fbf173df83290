"""The ledger's one secret, and the keys that are derived from it."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from privsynth.errors import ConfigError, LedgerError, Option
from privsynth.ledger.events import Event, chain_holds
from privsynth.ledger.stores.protocol import KEY_BYTES


def chain_key(secret: bytes) -> bytes:
    """Return the key (32 bytes) of the chain of events and of the head."""
    return hmac.digest(secret, b"privsynth ledger chain 1", "sha256")


def fingerprint_key(secret: bytes) -> bytes:
    """Return the key (32 bytes) of content fingerprints."""
    return hmac.digest(secret, b"privsynth content fingerprint 1", "sha256")


def common_key(held: bytes | None, given: bytes | None, events: Sequence[Event], *, lost: bool = False) -> bytes:
    """Return the secret under which events may be taken in: that which is here, or else that which was given.

    Args:
      lost: nobody has the key of the events any more; a new one begins, under which they do not hold.
    Raises:
      ConfigError: there is none, it has the wrong length, or another one is here.
      LedgerError: the events are not chained under it.
    """
    if lost and held is None and given is None:
        return secrets.token_bytes(KEY_BYTES)
    secret = held if held is not None else given
    if secret is None:
        raise ConfigError(
            "The ledger's key is not here. Give the copy of it that was kept: ", Option("key", "FILE"), "."
        )
    if given is not None and given != secret:
        raise ConfigError("Another key of a ledger is here already. Choose another PRIVSYNTH_HOME.")
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"The key of a ledger has {KEY_BYTES} bytes. Give the file that `budget copy-key` wrote.")
    if not chain_holds(events, chain_key(secret)):
        raise LedgerError(
            "The events that were given are damaged, or were written under another key. Nothing was changed."
        )
    return secret
