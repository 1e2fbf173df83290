"""Every error that privsynth raises on purpose, as one tree.

    PrivsynthError                 exit code 2 unless said otherwise
    ├── InputError                 what was given cannot be used
    │   ├── SourceError            a file or table cannot be read as a table
    │   ├── SchemaError            the schema is wrong, or does not fit the header
    │   ├── ConfigError            an option is missing, absurd or contradicts another
    │   ├── NotFittedError         a Synthesizer was asked for something before it was fitted
    │   ├── OutputError            the output folder exists, is read-only or full
    │   └── KeyFileError           a key is missing, unreadable, expired, or its passphrase is wrong
    ├── MissingPackageError        an extra of privsynth is not installed
    ├── CheckFailed                3: a check of the audit failed
    ├── BudgetError                4: the privacy budget says no
    │   ├── BudgetExceeded         the cap or the reservation would be passed
    │   └── LedgerError            the ledger is damaged, or an older copy of itself
    │       └── LedgerUnavailable  7: the ledger cannot be read or written now: its disk, rights or lock
    ├── VerificationError          5: a signature or a digest does not fit
    │   ├── UnknownSigner          6: intact, but the signer is in no keyring that was given
    │   ├── LogDamaged             the log of releases was changed, rolled back or rewritten
    │   └── ReleaseRevoked         9: intact, but revoked
    ├── LogUnavailable             7: the log of releases cannot be read or written now
    ├── ServiceUnavailable         7: the service, or its database, does not answer now
    │   └── TooManyRequests        it was asked too often, and serves again after a while
    ├── WorkerError                7: workers that count rows were lost again and again, or failed
    ├── NotAllowed                 10: the service knows who asks, and says no
    └── LittleToLearn              8: at this budget little can be learned from the table; a person may say: anyway

Messages are for the person at the keyboard: what is wrong, then what to do. They name columns, options, files and
counts that the user typed or that the header shows; never the value of a cell.

An option has two names: `dataset=…` for who calls the library, `--dataset` for who types a command. A message names it
by an `Option` among its parts, and whoever shows the message picks the name.
"""

from __future__ import annotations

import difflib
import shlex
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
# Exit codes without an error of this tree: EX_SOFTWARE of sysexits.h for one that nobody expected, and 128 + SIGINT, as
# shells report it, for a command that a person or the system stopped.
UNEXPECTED, STOPPED = 70, 130
ALIKE = 0.75  # of difflib's ratio (own): `colums`, `Diagnosis` and `admited` are found, `ward` is not for `word_count`


def meant(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", with the known public name that is most like another one; "" where none is."""
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=ALIKE)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""


@dataclass(frozen=True)
class Option:
    """An option, as a part of a message.

    Attributes:
      name: of the keyword argument; the option of the command line has hyphens for its underscores.
      value: an example of what to give; in capitals it stands for whatever fits.
      python: how it is written in Python, where that is not a keyword argument.

    >>> Option("unit", "row").in_python(), Option("unit", "row").in_shell()
    ('unit="row"', '--unit row')
    """

    name: str
    value: str | float | None = None
    python: str = ""

    def in_python(self) -> str:
        """Return it as one writes it in a call."""
        if self.python:
            return self.python
        quoted = isinstance(self.value, str) and not self.value.isupper()
        value = f'"{self.value}"' if quoted else "…" if self.value is None else self.value
        return f"{self.name}={value}"

    def in_words(self, labels: Mapping[str, str]) -> str:
        """Return it as a form calls it; where that has no such field, as one types it in a command."""
        if self.name not in labels:
            return self.in_shell()
        return f"'{labels[self.name]}'" + ("" if self.value is None else f" {self.value}")

    def in_shell(self) -> str:
        """Return it as one types it in a command."""
        flag = f"--{self.name.replace('_', '-')}"
        return flag if self.value is None else f"{flag} {shlex.quote(str(self.value))}"


class PrivsynthError(Exception):
    """Base of every error that privsynth raises on purpose. `str` speaks to who calls the library.

    Args:
      *parts: the message, in pieces: texts, and an `Option` wherever one is named.
    """

    exit_code = 2

    def __init__(self, *parts: str | Option) -> None:
        super().__init__(*parts)
        self.parts = parts

    def __str__(self) -> str:
        return "".join(part.in_python() if isinstance(part, Option) else part for part in self.parts)

    def in_words(self, labels: Mapping[str, str]) -> str:
        """Return the message for who sees a form with these labels of its fields."""
        return "".join(part.in_words(labels) if isinstance(part, Option) else part for part in self.parts)

    def in_shell(self) -> str:
        """Return the message for who typed a command."""
        return "".join(part.in_shell() if isinstance(part, Option) else part for part in self.parts)


class InputError(PrivsynthError):
    """What was given cannot be used."""


class SourceError(InputError):
    """A file, folder or database cannot be read as a table."""


class SchemaError(InputError):
    """The schema is not valid, or does not fit the header."""


class ConfigError(InputError):
    """An option is missing, absurd, or contradicts another."""


class NotFittedError(InputError):
    """A `Synthesizer` was asked for something before it was fitted."""


class OutputError(InputError):
    """The output folder exists already, cannot be written, or the disk is full."""


class KeyFileError(InputError):
    """A signing key or keyring is missing, unreadable or expired, or its passphrase is wrong."""


class MissingPackageError(PrivsynthError):
    """A package that this needs is not installed; the message names the extra that brings it."""


class CheckFailed(PrivsynthError):
    """A check of the audit failed; the reports say which."""

    exit_code = 3


class BudgetError(PrivsynthError):
    """The privacy budget refuses."""

    exit_code = 4


class BudgetExceeded(BudgetError):
    """A spend would pass its reservation, or a reservation the cap of its dataset."""


class LedgerError(BudgetError):
    """The ledger is damaged, or an older copy of itself."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written now: its disk is full or failing, its rights are wrong, or it is in use.

    No refusal of the budget: the same command can succeed when the cause is gone.
    """

    exit_code = 7


class VerificationError(PrivsynthError):
    """A signature or a digest does not fit what was signed."""

    exit_code = 5


class UnknownSigner(VerificationError):
    """The release is intact, but no keyring that was given knows its signer."""

    exit_code = 6


class LogDamaged(VerificationError):
    """The log of releases was changed, rolled back or rewritten, or lacks something."""


class ReleaseRevoked(VerificationError):
    """The release is intact, but somebody who may say so has revoked it."""

    exit_code = 9


class LogUnavailable(PrivsynthError):
    """The log of releases cannot be read or written now: its disk is full or failing, or its rights are wrong."""

    exit_code = 7


class ServiceUnavailable(PrivsynthError):
    """The service, or its database, does not answer now; nothing was changed."""

    exit_code = 7


class TooManyRequests(ServiceUnavailable):
    """The service was asked too often; it says after how many seconds it serves again."""

    def __init__(self, *parts: str | Option, retry_after_s: int = 60) -> None:
        super().__init__(*parts)
        self.retry_after_s = retry_after_s


class WorkerError(PrivsynthError):
    """What counts rows lost its workers again and again, or cannot be reached; or a task failed in one."""

    exit_code = 7


class NotAllowed(PrivsynthError):
    """The service knows who asks, and that person may not do this, or not in this state."""

    exit_code = 10


class LittleToLearn(PrivsynthError):
    """At this budget little can be learned from a table of this size; the message says what would help."""

    exit_code = 8


class PrivsynthWarning(UserWarning):
    """A condition that a person should know of and that stops nothing."""


def unexpected_sentence(error: BaseException) -> str:
    """Return what may be said about an error that nobody expected.

    Its own text is left out, since it may quote a cell; its type and the place in privsynth are not.
    """
    if isinstance(error, MemoryError):
        return "There is not enough memory for this table. Use a machine with more memory, or fewer rows or columns."
    return (
        f"privsynth met an error that it did not expect ({type(error).__name__} at {_place(error)}). Its text is not "
        "shown because it may quote the data. PRIVSYNTH_DEBUG=1 shows it; use that only where the data may be shown."
    )


def _place(error: BaseException) -> str:
    """Return file:line of the innermost frame inside privsynth."""
    place = "a place outside privsynth"
    for entry, line in traceback.walk_tb(error.__traceback__):
        path = Path(entry.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            place = f"privsynth/{path.relative_to(_PACKAGE).as_posix()}:{line}"
    return place
