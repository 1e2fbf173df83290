"""Tables of what is held back from deletion, what was deleted, and what was answered to requests for erasure."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privsynth.service.store.columns import Base
from privsynth.service.store.people import DIGEST, Person

ITEM = String(120)  # characters: a kind, and a name of at most 64 digits


class HoldRow(Base):
    """An item that nobody may delete until somebody lifts the hold; the database refuses its deletion until then."""

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(ITEM, index=True)
    reason: Mapped[str] = mapped_column(Text)
    placed_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    placed_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    person: Mapped[Person] = relationship(lazy="joined")


class DeletionRow(Base):
    """A deletion: written before the first file goes, and completed once, with its certificate.

    Attributes:
      item: what is deleted, by the name that is also that of its certificate.
      what, rule: in words.
      run_id: of the release or run that it belongs to; None where it belongs to none.
      reason: why it was asked for; "" where a rule deletes it.
      person_id: who asked for it; None where a rule deletes it.
      due_at: when the rule says; None where no rule does.
      files: JSON: name below the service's folder -> [SHA-256, bytes].
      certificate: the signed file; None until everything is gone. `digest` is its SHA-256.
    """

    __tablename__ = "deletions"
    __table_args__ = (CheckConstraint("(done_at IS NULL) = (certificate IS NULL)", name="certified"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(ITEM, unique=True)
    what: Mapped[str] = mapped_column(Text)
    dataset: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[str | None] = mapped_column(String(40), index=True)
    rule: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    due_at: Mapped[datetime | None]
    begun_at: Mapped[datetime]
    files: Mapped[str] = mapped_column(Text)
    done_at: Mapped[datetime | None]
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[str | None] = mapped_column(DIGEST)
    person: Mapped[Person | None] = relationship(lazy="joined")


class ErasureRow(Base):
    """An answer to a request for erasure; of the person it holds a reference of the institution's files alone.

    Attributes:
      datasets: JSON, a list of names.
      statement: the signed file. `digest` is its SHA-256.
    """

    __tablename__ = "erasures"

    id: Mapped[int] = mapped_column(primary_key=True)
    case: Mapped[str] = mapped_column(String(40))
    datasets: Mapped[str] = mapped_column(Text)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    at: Mapped[datetime]
    statement: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(DIGEST)
    person: Mapped[Person] = relationship(lazy="joined")
