"""The folder of a release in the service, and who holds it while a decision is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from privsynth.approvals.decisions import FOLDER
from privsynth.approvals.statement import MAX_BYTES
from privsynth.errors import InputError, NotAllowed, OutputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service, disk_error
from privsynth.service.runs.look_up import sees
from privsynth.service.states import HAS_RELEASE, RunState
from privsynth.service.store.runs import RunRow
from privsynth.signing._files import read_limited
from privsynth.signing.keyring import Keyring
from privsynth.signing.store import load_keyring
from privsynth.signing.times.token import digest_of
from privsynth.workspace import open_locked


def draft_of(service: Service, run_id: str) -> Path:
    """Return the folder with the public part, the officer's and the decisions."""
    return service.release_folder(run_id) / "draft"


def edition_of(service: Service, run_id: str) -> Path:
    """Return the folder with the approved edition, which is there once it is published."""
    return service.release_folder(run_id) / "edition"


def keyrings_of(service: Service) -> list[Keyring]:
    """Return whom the institution trusts."""
    return [load_keyring(service.home)]


def released(session: Session, run_id: str) -> RunRow:
    """Return a run that has a release.

    Raises:
      InputError: there is none.
    """
    run = session.get(RunRow, run_id)
    if run is None or RunState(run.state) not in HAS_RELEASE:
        raise InputError("there is no such release")
    return run


def seen_release(session: Session, caller: Caller, run_id: str) -> RunRow:
    """Return a run that has a release which the person may see.

    Raises:
      InputError: there is none; one that they may not see is refused in the same words.
    """
    run = released(session, run_id)
    if not sees(caller, run):
        raise InputError("there is no such release")
    return run


def require_other(run: RunRow, caller: Caller) -> None:
    """Return if somebody else asked for the release: the database would refuse it, too.

    Raises:
      NotAllowed: the caller did.
    """
    if run.submitter_id == caller.person_id:
        raise NotAllowed("you asked for this release: somebody else has to decide on it")


def require_other_reader(run: RunRow, caller: Caller) -> None:
    """Return if the officer's part of a release may be shown: four eyes hold for what is read, too.

    Raises:
      NotAllowed: the caller asked for the release.
    """
    if run.submitter_id == caller.person_id:
        raise NotAllowed(
            "you asked for this release: somebody else has to read the officer's report and to decide on it"
        )


def signed_files(draft: Path) -> dict[str, str]:
    """Return SHA-256 -> name of the decisions beside a release.

    Raises:
      OutputError: they cannot be read.
    """
    try:
        paths = sorted((draft / FOLDER).glob("*.dsse.json"))
        return {digest_of(read_limited(path, MAX_BYTES * 2)): path.name for path in paths}
    except OSError as problem:
        raise OutputError(f"the decisions on this release cannot be read: {problem.strerror}") from None


@contextmanager
def alone(service: Service, run_id: str) -> Iterator[None]:
    """Hold others off who decide on the same release, or publish it."""
    folder = service.release_folder(run_id)
    try:
        lock = open_locked(folder / "lock", wait=True)
    except OSError as error:
        raise disk_error(error) from None
    try:
        yield
    finally:
        os.close(lock)
