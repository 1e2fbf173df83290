"""Fixtures of a ledger."""

from ledger.accounts import ledger, used  # noqa: F401
from ledger.shared import empty, server, shared  # noqa: F401
