"""Several keyrings as one, for a root to sign: what each person exported at home. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from privsynth.errors import KeyFileError
from privsynth.signing.keyring import ROLES, KeyEntry, Keyring
from privsynth.strict.time import to_text


def joined(keyrings: Iterable[tuple[str, Keyring]]) -> Keyring:
    """Return one keyring with the keys of several, in the order given.

    A key may be in several of them if they say the same of it. Only a revocation needs to be in one: it holds, whatever
    an older export says, and of several the earliest.

    Args:
      keyrings: what to call each in a message, and the keyring.
    Raises:
      KeyFileError: two of them contradict each other on whose a key is, what it may do, or until when it is valid; or
        none of them has a key.
    """
    known: dict[str, tuple[str, KeyEntry]] = {}
    for where, keyring in keyrings:
        for entry in keyring.keys:
            there, before = known.get(entry.keyid, (where, entry))
            if differs := _contradiction(before, entry):
                raise KeyFileError(
                    f"{there} and {where} contradict each other on key {entry.fingerprint}: {differs}. Ask "
                    f"{before.holder} which holds, and give that one alone"
                )
            known[entry.keyid] = (there, _revoked_first(before, entry))
    if not known:
        raise KeyFileError("there is no key in what you gave; a keyring is what 'privsynth keys export NAME' prints")
    return Keyring(keys=tuple(entry for _, entry in known.values()))


def _contradiction(one: KeyEntry, other: KeyEntry) -> str:
    """Return what two entries of a key say differently, revocations aside; "" if nothing."""
    told = {
        "it is of": [entry.holder for entry in (one, other)],
        "it may": [" and ".join(ROLES[role] for role in entry.roles) for entry in (one, other)],
        "it is valid from": [to_text(entry.not_before) for entry in (one, other)],
        "it is valid until": [to_text(entry.not_after) for entry in (one, other)],
    }
    return ", ".join(f"{what} {first} or {second}" for what, (first, second) in told.items() if first != second)


def _revoked_first(one: KeyEntry, other: KeyEntry) -> KeyEntry:
    revoked = [entry for entry in (one, other) if entry.revoked_at is not None]
    return min(revoked, key=lambda entry: to_text(entry.revoked_at or entry.not_after), default=one)
