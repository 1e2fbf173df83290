"""The last step of a run that has paid: the release appears, and the ledger is told."""

from __future__ import annotations

import shlex
import warnings
from contextlib import ExitStack
from pathlib import Path

from privsynth.errors import BudgetError, OutputError, PrivsynthWarning
from privsynth.interrupts import no_interrupts
from privsynth.ledger.ledger import Reservation
from privsynth.privacy.budget import Bill
from privsynth.release.out_folder import OutFolder


def deliver(
    staged: Path, place: OutFolder, reservation: Reservation, bill: Bill, *, name: str, last: ExitStack
) -> None:
    """Let a release appear and tell the ledger, uninterrupted; one that cannot appear is kept in the home.

    Args:
      staged: the finished folder.
      name: of the folder under which it is kept.
      last: from the moment at which the release appears until this closes, nothing interrupts the run.
    Raises:
      OutputError: it could not appear; the message says where it is kept.
    """
    try:
        place.bring(staged)
        last.enter_context(no_interrupts())
        place.publish()
    except OutputError as error:
        last.enter_context(no_interrupts())
        try:
            kept = place.keep(staged, name)
        except OSError:
            raise error from None
        _complete(reservation, bill)
        raise OutputError(
            *error.parts,
            f". The release is whole and its cost is spent, so it was kept: {kept} is the folder that was to appear; "
            f"move it where there is room: mv {shlex.quote(str(kept))} PLACE",
        ) from None
    _complete(reservation, bill)


def _complete(reservation: Reservation, bill: Bill) -> None:
    """Tell the ledger that the release is whole. If its disk fails, the release is whole nevertheless."""
    budget = bill.plan.budget
    try:
        reservation.complete(min(bill.epsilon_spent(), budget.epsilon), min(bill.delta_spent(), budget.delta))
    except BudgetError as error:
        warnings.warn(
            "The release is whole, and the ledger had set its cost aside before; that it was completed could not be "
            f"recorded: {error}",
            PrivsynthWarning,
            stacklevel=2,
        )
