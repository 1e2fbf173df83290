"""Tables of webhooks, and of what is to be told to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privsynth.service.store.columns import Base


class WebhookState(StrEnum):
    """Where a webhook is. The words are those of pages and of the API."""

    ACTIVE = "active"
    DISABLED = "disabled"  # by a person, or by the service after a long failure, with a sentence
    REMOVED = "removed"


_STATES = ", ".join(f"'{state}'" for state in WebhookState)


class WebhookRow(Base):
    """An address that is told what happens to releases.

    Attributes:
      place: its URL, sealed, since it may hold a secret; `host` is what is shown of it.
      secret, old_secret: with which messages are signed, sealed; the old one signs, too, until `old_until`.
      events: kinds of events, separated by blanks.
      failing_since: of the first attempt that failed since one succeeded.
    """

    __tablename__ = "webhooks"
    __table_args__ = (CheckConstraint(f"state IN ({_STATES})", name="known"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    place: Mapped[bytes] = mapped_column(LargeBinary)
    host: Mapped[str] = mapped_column(String(300))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_until: Mapped[datetime | None]
    events: Mapped[str] = mapped_column(String(800))
    made_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))
    sentence: Mapped[str] = mapped_column(Text, default="")
    failing_since: Mapped[datetime | None]


class DeliveryRow(Base):
    """A message that is to be told, written in the transaction of what it tells.

    Attributes:
      message: its name, the same in every attempt, by which a receiver knows it again.
      body: what is sent, byte for byte.
      tries: attempts that were begun.
      next_at: when the next one is due; None once it is delivered or given up.
      reason: why the last attempt failed; "" where none did.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("message"),
        CheckConstraint("next_at IS NULL OR delivered_at IS NULL", name="once"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhooks.id"), index=True)
    message: Mapped[str] = mapped_column(String(40))
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None] = mapped_column(index=True)
    delivered_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    webhook: Mapped[WebhookRow] = relationship(lazy="joined")
