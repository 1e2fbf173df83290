"""Fixtures of a small signed release."""

from signed import key, keyring, make_release, now, other_key, release  # noqa: F401
