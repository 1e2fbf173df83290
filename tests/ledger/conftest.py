"""Fixtures of a ledger."""

from ledger.accounts import ledger, used  # noqa: F401
