"""Deleting: written down before the first file goes, completed if it is interrupted, and certified once.

Order: the row (with digests), the files, the certificate as a file in privsynth's home, the row with the certificate.
Whatever is killed in between, the next look completes it: files that are gone stay gone, and a certificate that is
there is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.approvals.deciding import OpenKey
from privsynth.approvals.notices import MAX_BYTES, ROLES, Notice
from privsynth.errors import InputError, OutputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service, disk_error
from privsynth.service.decisions.release import alone
from privsynth.service.maker_key import own_maker_key
from privsynth.service.record import record
from privsynth.service.retention.certificate import certificate_of, digest_of_offer, row_of
from privsynth.service.retention.items import RetentionItem, files_of, items, runs_read, schedules_read
from privsynth.service.retention.tombstones import certificate_path, remove_files, tombstones
from privsynth.service.roles import Act
from privsynth.service.sources.places import place_of, seal_place
from privsynth.service.store.people import Person
from privsynth.service.store.retention import DeletionRow, HoldRow
from privsynth.service.store.runs import Offer, SourceRow
from privsynth.signing._files import atomic_write, digest_file, read_limited
from privsynth.workspace import open_locked


@contextmanager
def deleting_alone(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold others off who delete, or copy the service's folder; yields False where another one is at it."""
    try:
        lock = open_locked(folder / "retention.lock", wait=wait)
    except BlockingIOError:
        yield False
        return
    except OSError as error:
        raise disk_error(error) from None
    try:
        yield True
    finally:
        os.close(lock)


def delete_early(service: Service, caller: Caller, name: str, reason: str) -> DeletionRow:
    """Delete an item now, because somebody asks for it, and return the deletion.

    Raises:
      InputError: there is no such item, it is held or in use, or no reason is given.
      KeyFileError, ConfigError: the service's key does not open; nothing was deleted.
      OutputError: a file cannot be deleted; the deletion is completed later.
    """
    caller.require(Act.MANAGE_RETENTION)
    reason = line_of(reason, "say why it is deleted")
    opens = own_maker_key(service)
    opens(roles=ROLES)
    with deleting_alone(service.folder, wait=True):
        with service.database.reading() as session:
            item = known_item(service, session, name)
        if item.hold is not None or item.busy:
            raise InputError(
                "this is held back from deletion" if item.hold
                else "this is in use: wait until what uses it has ended, or retire a source that schedules use"
            )  # fmt: skip
        number = _begin(service, item, caller.person_id, reason)
        if number is None:
            raise InputError("its file is not there any more: there is nothing to delete")
        _finish(service, number, opens)
    with service.database.reading() as session:
        return session.get_one(DeletionRow, number)


def line_of(text: str, what: str) -> str:
    """Return a reason, which is one line.

    Raises:
      InputError: it is none.
    """
    text = text.strip()
    if not text or len(text) > 500 or not text.isprintable():
        raise InputError(f"{what}, in one line of at most 500 characters")
    return text


def known_item(service: Service, session: Session, name: str) -> RetentionItem:
    """Return an item by its name.

    Raises:
      InputError: there is none.
    """
    found = next((one for one in items(service, session) if one.name == name), None)
    if found is None:
        raise InputError("there is no such thing to delete, or it is deleted already")
    return found


def delete_due(service: Service) -> int:
    """Complete deletions that were interrupted, delete what is due, and return how many were completed.

    What is held or in use by the time its turn comes stays, and holds up none of the others.

    Raises:
      KeyFileError, ConfigError: the service's key does not open; nothing was deleted.
      OutputError: a file cannot be deleted.
    """
    with deleting_alone(service.folder, wait=False) as mine, service.database.reading() as session:
        if not mine:
            return 0
        unfinished = list(session.scalars(select(DeletionRow.id).where(DeletionRow.done_at.is_(None))))
        now = service.now()
        due = [one for one in items(service, session) if one.is_due(now)]
        if not unfinished and not due:
            return 0
        opens = own_maker_key(service)
        opens(roles=ROLES)  # before anything is gone: no deletion without its certificate
        session.close()
        done = 0
        for number in unfinished:
            _finish(service, number, opens)
            done += 1
        for item in due:
            try:
                begun = _begin(service, item, None, "")
            except InputError:  # it is held or in use by now; the others are due as ever
                continue
            if begun is not None:
                _finish(service, begun, opens)
                done += 1
        return done


def _begin(service: Service, item: RetentionItem, person_id: int | None, reason: str) -> int | None:
    """Write down what is to be deleted, with digests; return the number of the deletion, None where nothing is there.

    Raises:
      InputError: it is held or in use by now.
    """
    now = service.now()
    try:
        found = {
            name: (digest_file(path).sha256, path.stat().st_size) for name, path in files_of(service, item).items()
        }
    except OSError as problem:
        raise OutputError(f"{item.what} cannot be read: {problem.strerror}. Nothing was deleted") from None
    with service.database.writing() as session:
        held = select(HoldRow).where(HoldRow.item == item.name, HoldRow.lifted_at.is_(None))
        if session.scalars(held).first() is not None:
            raise InputError("this is held back from deletion")
        if item.kind == "offer":
            offer = session.get(Offer, item.row)
            found = {} if offer is None else {item.name: digest_of_offer(offer)}
        if item.kind == "upload":
            source = session.get_one(SourceRow, item.row)
            if source.id in runs_read(session) | schedules_read(session):
                raise InputError("this is in use by now: wait until what uses it has ended")
            source.retired_at = source.retired_at or now  # nobody asks for a release of what is going
            if not found:
                source.place = seal_place(service, source.name, "")
        if not found:
            record(session, "find_missing", item.name, person_id=person_id, at=now, what=item.what)
            return None
        row = DeletionRow(
            item=item.name, what=item.what, dataset=item.dataset, run_id=item.run_id, reason=reason,
            rule=item.rule if person_id is None else "a person asked for it", person_id=person_id, due_at=item.due_at,
            begun_at=now, files=json.dumps(found),
        )  # fmt: skip
        session.add(row)
        session.flush()
        record(session, "begin_deletion", item.name, person_id=person_id, at=now, files=len(found), reason=reason)
        return row.id


def _finish(service: Service, number: int, opens: OpenKey) -> None:
    with service.database.reading() as session:
        row = session.get_one(DeletionRow, number)
        asked_by = None if row.person_id is None else session.get_one(Person, row.person_id).display
    if row.done_at is not None:
        return
    files: dict[str, tuple[str, int]] = {name: (told[0], told[1]) for name, told in json.loads(row.files).items()}
    kind, now = row.item.partition("-")[0], service.now().replace(microsecond=0)
    of_release = kind in ("officer", "draft") and row.run_id is not None
    with alone(service, str(row.run_id)) if of_release else nullcontext():
        if kind != "offer":
            remove_files(service.folder, files)
    path = certificate_path(service.home, row.item)
    data = _certificate(path, row, certificate_of(row, files, asked_by, now), opens)
    with service.database.writing() as session:
        _forget(service, session, row.item)
        mine = session.get_one(DeletionRow, number)
        mine.done_at, mine.certificate, mine.digest = now, data, hashlib.sha256(data).hexdigest()
        record(session, "delete", row.item, person_id=row.person_id, at=now, certificate=mine.digest, rule=row.rule)


def _certificate(path: Path, row: DeletionRow, notice: Notice, opens: OpenKey) -> bytes:
    """Return the certificate that is there, or sign one and keep it: a deletion has one certificate."""
    try:
        if path.exists():
            return read_limited(path, MAX_BYTES)
        key, entry = opens(roles=ROLES)
        data = notice.signed(key, entry.holder).to_json()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        atomic_write(path, data, mode=0o600)
    except OSError as problem:
        raise OutputError(f"the certificate of {row.item} cannot be written: {problem.strerror}") from None
    return data


def _forget(service: Service, session: Session, item: str) -> None:
    """Take out of the database what it still says of an item: the place of an upload, the row of an offer."""
    kind, _, name = item.partition("-")
    if kind == "offer":
        for offer in session.scalars(select(Offer).where(Offer.digest.startswith(name))):
            session.delete(offer)
    if kind == "upload":
        for source in session.scalars(select(SourceRow).where(SourceRow.kind == "upload")):
            origin = place_of(service, source)
            if Path(origin).name.partition(".")[0] == name:
                source.place = seal_place(service, source.name, "")
                source.retired_at = source.retired_at or service.now()


def reapply(service: Service) -> int:
    """Enter deletions whose certificates are in the home and that the database does not know, and return how many.

    So it is after a backup was brought back that is older than they are. Their files go again.

    Raises:
      VerificationError, UnknownSigner, ConfigError: a certificate was changed, or somebody else signed it.
      OutputError: a file cannot be deleted.
    """
    with service.database.reading() as session:
        known = set(session.scalars(select(DeletionRow.item)))
    found = [(notice, data) for notice, data in tombstones(service.home) if notice.said["item"] not in known]
    if not found:
        return 0
    with deleting_alone(service.folder, wait=True):
        for notice, data in found:
            item = str(notice.said["item"])
            remove_files(service.folder, [one.name for one in notice.subjects])
            with service.database.writing() as session:
                if session.scalars(select(DeletionRow.id).where(DeletionRow.item == item)).first() is not None:
                    continue  # another worker was faster
                _forget(service, session, item)
                session.add(row_of(notice, data))
                record(session, "delete_again", item, person_id=None, at=service.now())
    return len(found)
