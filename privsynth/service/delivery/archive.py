"""The edition of a release as one ZIP archive: its files, verified, and nothing else."""

from __future__ import annotations

import os
import re
import secrets
import zipfile
from pathlib import Path

from privsynth.errors import CheckFailed, OutputError, ReleaseRevoked, VerificationError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.release import alone, edition_of, keyrings_of, seen_release
from privsynth.service.decisions.settling import is_listed
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.signing._files import list_tree
from privsynth.signing.verification import Expected, verify_folder

_BLOCK = 1 << 20  # bytes that are read at once (own)


def archive_of(service: Service, run: RunRow) -> Path:
    """Return the archive of a published edition, which is made when it is asked for first.

    Guarantee: every file in it is one of the edition whose digest the run has; the officer's folder, the draft and the
      decisions are elsewhere.
    Raises:
      VerificationError: the edition is not the one that was published.
      OutputError: it cannot be written.
    """
    place = service.release_folder(run.id) / f"edition-{(run.edition or '')[:16]}.zip"
    with alone(service, run.id):
        if not place.exists():
            _write(service, run, place)
    return place


def begin_own_download(service: Service, caller: Caller, run_id: str) -> tuple[RunRow, Path]:
    """Put on record that a person of the institution downloads a published edition; return the run and the archive.

    Raises:
      InputError: there is no such release that the person may see.
      CheckFailed, ReleaseRevoked: it is not published, or was revoked.
      VerificationError, OutputError: as `archive_of`.
    """
    caller.require(Act.DOWNLOAD)
    with service.database.reading() as session:
        run = seen_release(session, caller, run_id)
    if RunState(run.state) == RunState.REVOKED or is_listed(service, run):
        raise ReleaseRevoked("this release was revoked: do not use it, and delete what you have of it")
    if RunState(run.state) != RunState.PUBLISHED:
        raise CheckFailed("this release is not published: nothing of it leaves before")
    archive = archive_of(service, run)
    with service.database.writing() as session:
        record(session, "download", f"run {run_id}", person_id=caller.person_id, at=service.now())
    return run, archive


def file_name(run: RunRow) -> str:
    """Return a name for who downloads it: letters, digits and hyphens only."""
    name = re.sub(r"[^a-z0-9]+", "-", run.dataset.lower()).strip("-")[:60] or "release"
    return f"{name}-{(run.edition or '')[:8]}.zip"


def _write(service: Service, run: RunRow, place: Path) -> None:
    edition = edition_of(service, run.id)
    found = verify_folder(edition, keyrings_of(service), service.now(), Expected("public"))
    if found.manifest != run.edition or found.draft != run.manifest:
        raise VerificationError("the edition on the disk is not the one that was published; nothing was handed out")
    partial = place.with_name(f".{place.name}.{secrets.token_hex(8)}.tmp")
    when = found.signed_at.timetuple()[:6]
    try:
        with zipfile.ZipFile(partial, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, path in sorted(list_tree(edition).files.items()):
                info = zipfile.ZipInfo(name, when)
                info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
                info.file_size = path.stat().st_size
                with path.open("rb") as file, archive.open(info, "w") as out:
                    while block := file.read(_BLOCK):
                        out.write(block)
        os.replace(partial, place)
    except OSError as problem:
        raise OutputError(f"the archive of the edition cannot be written: {problem.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
