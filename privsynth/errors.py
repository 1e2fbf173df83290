"""Every error that privsynth raises on purpose, as one tree.

    PrivsynthError                 exit code 2 unless said otherwise
    ├── InputError                 what was given cannot be used
    │   ├── SourceError            a file or table cannot be read as a table
    │   ├── SchemaError            the schema is wrong, or does not fit the header
    │   ├── ConfigError            an option is missing, absurd or contradicts another
    │   ├── OutputError            the output folder exists, is read-only or full
    │   └── KeyFileError           a key is missing, unreadable, expired, or its passphrase is wrong
    ├── CheckFailed                3: a check of the audit failed
    ├── BudgetError                4: the privacy budget says no
    │   ├── BudgetExceeded         the cap or the reservation would be passed
    │   └── LedgerError            the ledger is locked, damaged, or an older copy of itself
    └── VerificationError          5: a signature or a digest does not fit
        └── UnknownSigner          6: intact, but the signer is in no keyring that was given

Messages are for the person at the keyboard: what is wrong, then what to do. They name columns, options, files and
counts that the user typed or that the header shows; never the value of a cell.
"""

from __future__ import annotations


class PrivsynthError(Exception):
    """Base of every error that privsynth raises on purpose."""

    exit_code = 2


class InputError(PrivsynthError):
    """What was given cannot be used."""


class SourceError(InputError):
    """A file, folder or database cannot be read as a table."""


class SchemaError(InputError):
    """The schema is not valid, or does not fit the header."""


class ConfigError(InputError):
    """An option is missing, absurd, or contradicts another."""


class OutputError(InputError):
    """The output folder exists already, cannot be written, or the disk is full."""


class KeyFileError(InputError):
    """A signing key or keyring is missing, unreadable or expired, or its passphrase is wrong."""


class CheckFailed(PrivsynthError):
    """A check of the audit failed; the reports say which."""

    exit_code = 3


class BudgetError(PrivsynthError):
    """The privacy budget refuses."""

    exit_code = 4


class BudgetExceeded(BudgetError):
    """A spend would pass its reservation, or a reservation the cap of its dataset."""


class LedgerError(BudgetError):
    """The ledger is locked, damaged, or an older copy of itself."""


class VerificationError(PrivsynthError):
    """A signature or a digest does not fit what was signed."""

    exit_code = 5


class UnknownSigner(VerificationError):
    """The release is intact, but no keyring that was given knows its signer."""

    exit_code = 6


class PrivsynthWarning(UserWarning):
    """A condition that a person should know of and that stops nothing."""
