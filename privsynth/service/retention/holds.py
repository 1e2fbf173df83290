"""Holds: what must not be deleted until somebody says that it may; and the page on all of it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.retention.deleting import known_item, line_of
from privsynth.service.retention.items import RetentionItem, items
from privsynth.service.roles import Act
from privsynth.service.settings import ServiceSettings
from privsynth.service.store.retention import DeletionRow, HoldRow

MOST = 500  # deletions on one page (own)


@dataclass(frozen=True, kw_only=True)
class RetentionPage:
    """What is kept, held and deleted.

    Attributes:
      rules: name of a setting -> what it is, and its value; 0 stands for never.
      items: what is kept, what is due first before the rest.
      holds: those that were lifted included, the newest first.
      deletions: the newest first.
    """

    rules: dict[str, tuple[str, int]]
    items: list[RetentionItem]
    holds: list[HoldRow]
    deletions: list[DeletionRow]


def retention_page(service: Service, caller: Caller) -> RetentionPage:
    """Return what is kept and until when, what is held, and what was deleted."""
    caller.require(Act.SEE_RETENTION)
    rules = {
        name: (str(field.description), getattr(service.settings, name))
        for name, field in ServiceSettings.model_fields.items()
        if name.startswith("keep_")
    }
    with service.database.reading() as session:
        holds = list(session.scalars(select(HoldRow).order_by(HoldRow.id.desc()).limit(MOST)))
        deletions = list(session.scalars(select(DeletionRow).order_by(DeletionRow.id.desc()).limit(MOST)))
        return RetentionPage(rules=rules, items=items(service, session), holds=holds, deletions=deletions)


def place_hold(service: Service, caller: Caller, item: str, reason: str) -> HoldRow:
    """Hold an item back from deletion, whatever a rule or a person says, until the hold is lifted.

    Raises:
      InputError: there is no such item, it is held already, or no reason is given.
    """
    caller.require(Act.MANAGE_RETENTION)
    reason, now = line_of(reason, "say why it is held"), service.now()
    with service.database.writing() as session:
        found = known_item(service, session, item)
        if found.hold is not None:
            raise InputError("this is held already")
        hold = HoldRow(item=item, reason=reason, placed_by=caller.person_id, placed_at=now)
        session.add(hold)
        session.flush()
        session.refresh(hold)
        record(session, "place_hold", item, person_id=caller.person_id, at=now, hold=hold.id, reason=reason)
    return hold


def lift_hold(service: Service, caller: Caller, hold_id: int, reason: str) -> HoldRow:
    """End a hold; what is due is deleted with the next look.

    Raises:
      InputError: there is no such hold, it is lifted already, or no reason is given.
    """
    caller.require(Act.MANAGE_RETENTION)
    reason, now = line_of(reason, "say why the hold is lifted"), service.now()
    with service.database.writing() as session:
        hold = session.get(HoldRow, hold_id)
        if hold is None or hold.lifted_at is not None:
            raise InputError("there is no such hold, or it is lifted already")
        hold.lifted_at = now
        record(session, "lift_hold", hold.item, person_id=caller.person_id, at=now, hold=hold.id, reason=reason)
    return hold


def certificate(service: Service, caller: Caller, deletion_id: int) -> tuple[str, bytes]:
    """Return the name and the bytes of the certificate of a deletion.

    Raises:
      InputError: there is no such deletion, or it is not completed yet.
    """
    caller.require(Act.SEE_RETENTION)
    with service.database.reading() as session:
        found = session.get(DeletionRow, deletion_id)
    if found is None or found.certificate is None:
        raise InputError("there is no such certificate; a deletion that was interrupted is completed within minutes")
    return f"{found.item}.dsse.json", found.certificate
