"""What became of a run: of its release, and of its budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privsynth.errors import STOPPED, UNEXPECTED, BudgetError, LedgerError
from privsynth.ledger.account import amount_text
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.reservation import Reservation
from privsynth.service.context import Service
from privsynth.service.states import RunState
from privsynth.signing._files import digest_file
from privsynth.signing.release import MANIFEST

DECIDE = "The release is made; now people decide."
NOTHING = "Nothing was spent."


@dataclass(frozen=True)
class RunOutcome:
    """The state that a run ends in, with a sentence and an exit code; of a release the digests of both manifests."""

    state: RunState
    sentence: str
    manifest: str | None = None
    officer_manifest: str | None = None
    exit_code: int = STOPPED


def outcome_of(service: Service, run_id: str, state: RunState, why: str, exit_code: int = STOPPED) -> RunOutcome:
    """Return what became of a run whose process is gone, and settle its reservation. The caller holds its lock.

    A release that is whole counts, whatever happened after it appeared. What was reserved and not drawn is given back:
    the ledger would refuse a process that wanted to draw afterwards.

    Args:
      state, why: where there is no release.
      exit_code: with which the command line would have ended.
    """
    draft = service.release_folder(run_id) / "draft"
    spent = settle(service, run_id, whole=draft.is_dir())
    if draft.is_dir():
        sentence = DECIDE if state == RunState.TO_DECIDE else f"{DECIDE} {why}"
        return RunOutcome(
            RunState.TO_DECIDE, sentence, _digest(draft / "public"), _digest(draft / "officer"), exit_code
        )
    if state == RunState.TO_DECIDE:
        state, why, exit_code = RunState.FAILED, "The release was made, and is not where it should be.", UNEXPECTED
    said = why if spent == NOTHING and "othing was spent" in why else f"{why} {spent}"
    return RunOutcome(state, said.strip(), exit_code=exit_code)


def _digest(folder: Path) -> str:
    return digest_file(folder / MANIFEST).sha256


def settle(service: Service, run_id: str, *, whole: bool) -> str:
    """Close the reservation of a run whose process is gone, and return what it cost, in a sentence."""
    try:
        ledger = Ledger.chosen(service.home)
        found = ledger.run(run_id)
        reservation = Reservation(ledger, dataset=found.dataset, run_id=run_id)
        if whole and found.status == "drawn":
            reservation.complete()
        else:
            reservation.close()
        found = ledger.run(run_id)
    except LedgerError:
        return "The ledger cannot be read or written now: what it reserved for this run stays spent."
    except BudgetError:
        return NOTHING  # it never came to a reservation
    if found.status == "refunded":
        return NOTHING
    return f"Noise had been drawn: {amount_text(found.charge)} of {found.dataset} stay spent."
