"""Whose word a signature is: the entries of its key in the reader's keyrings, at the time of signing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from privsynth.signing.keyring import KeyEntry
from privsynth.strict.time import to_text

# What the clocks of two computers that are set by the network may differ by, with room to spare.
CLOCK_SKEW = timedelta(minutes=5)


def judge(
    entries: Sequence[KeyEntry], roles: Sequence[str], signed_at: datetime, now: datetime
) -> tuple[KeyEntry | None, str]:
    """Return the entry that vouches for a signature, or a sentence why none does; or neither, for an unknown key.

    Args:
      entries: of the key that signed, in all keyrings; a revocation in any of them holds.
      roles: the entry needs one of them.
      signed_at: as the signer says.
      now: the reader's clock.
    """
    for entry in entries:
        if entry.status == "revoked":
            # Without a time stamp from a third party a thief could claim an earlier time of signing.
            return None, f"{entry.problem(now)}; signatures that claim an earlier time are refused as well"
    if signed_at > now + CLOCK_SKEW:
        return None, f"it says it was signed on {to_text(signed_at)}, which is later than this computer's clock"
    for entry in entries:
        if not entry.problem(signed_at, roles):
            return entry, ""
    if not entries:
        return None, ""
    return None, f"{entries[0].problem(signed_at, roles)}, and it says it was signed on {to_text(signed_at)}"
