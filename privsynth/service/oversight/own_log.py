"""The service's log of releases: made at its first start, with what was released before."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from privsynth.approvals.decisions import decision_facts
from privsynth.errors import UnknownSigner, VerificationError
from privsynth.service.context import Service
from privsynth.service.decisions.release import draft_of, edition_of, keyrings_of
from privsynth.service.store.runs import RunRow
from privsynth.signing.verification import verify_folder, verify_run
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.facts import release_fact
from privsynth.transparency.log import TransparencyLog, configured_log, log_folder
from privsynth.transparency.seen import SeenLogs
from privsynth.workspace import folder_error, open_locked


def ensure_log(service: Service) -> None:
    """Make the log if there is none, and enter the releases, decisions and editions that are there and verify.

    Raises:
      LogDamaged: the log that was kept is gone, or another lies in its place.
      LogUnavailable: it cannot be written, or PRIVSYNTH_LOG names a folder without a log.
      OutputError: a release cannot be read.
    """
    try:
        lock = open_locked(service.folder / "log.lock", wait=True)
    except OSError as error:
        raise folder_error(service.folder, error) from None
    try:
        if configured_log(service.home) is not None:
            return
        facts = sorted(_facts(service), key=lambda fact: fact.signed_at)
        log = TransparencyLog.create(log_folder(service.home), SeenLogs(service.home), None)
        log.append(facts, service.now())
    finally:
        os.close(lock)


def _facts(service: Service) -> list[LogEntry]:
    keyrings, now = keyrings_of(service), service.now()
    with service.database.reading() as session:
        runs = list(session.scalars(select(RunRow.id).where(RunRow.manifest.is_not(None))))
    found: list[LogEntry] = []
    for draft, edition in ((draft_of(service, run), edition_of(service, run)) for run in runs):
        with suppress(VerificationError, UnknownSigner):  # what does not verify may not leave, and is not entered
            if _whole(draft):
                public, officer = verify_run(draft, keyrings, now)
                decided = decision_facts(draft, (public.manifest, officer.manifest), keyrings)
                found += [release_fact(draft / "public"), *decided]
        with suppress(VerificationError, UnknownSigner):
            if edition.is_dir():
                verify_folder(edition, keyrings, now)
                found.append(release_fact(edition))
    return found


def _whole(draft: Path) -> bool:
    """Say whether both parts are there: a rule of retention may have deleted one."""
    return all((draft / part / "manifest.json").exists() for part in ("public", "officer"))
