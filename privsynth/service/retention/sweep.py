"""The look that a worker takes every minute: what is due goes, and who signed in long ago is forgotten."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session

from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.retention.deleting import delete_due, reapply
from privsynth.service.store.columns import Base
from privsynth.service.store.people import ApiToken, Invitation, SignedIn, SignInAttempt

EVERY_S = 60.0  # between two looks (own): a retired upload is gone within a minute


def sweep(service: Service) -> int:
    """Delete again what a backup brought back, delete what is due, and return how many deletions were completed.

    Raises:
      As `reapply` and `delete_due`.
    """
    again = reapply(service)
    forget_sign_ins(service)
    return again + delete_due(service)


def forget_sign_ins(service: Service) -> None:
    """Remove ended sessions, invitations, tokens and attempts to sign in that are older than the settings say.

    They hold no file and get no certificate; how many they were is on record.
    """
    now = service.now()
    before = now - timedelta(days=service.settings.keep_sign_ins_days)
    old: dict[str, tuple[type[Base], ColumnElement[bool]]] = {
        "sessions": (SignedIn, SignedIn.seen_at < before),
        "invitations": (Invitation, Invitation.ends_at < before),
        "tokens": (ApiToken, or_(ApiToken.ends_at < before, ApiToken.revoked_at < before)),
        "attempts": (SignInAttempt, SignInAttempt.at < before),
    }

    def count(session: Session) -> dict[str, int]:
        return {
            name: session.scalar(select(func.count()).select_from(table).where(where)) or 0
            for name, (table, where) in old.items()
        }

    with service.database.reading() as session:  # nearly always there is nothing, and writers exclude each other
        if not any(count(session).values()):
            return
    with service.database.writing() as session:
        counts = count(session)
        for table, where in old.values():
            session.execute(delete(table).where(where))
        record(session, "forget_sign_ins", "service", person_id=None, at=now, **counts)
