"""Tables of schedules, of what became of each due time, and of the budgets that schedules share."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privsynth.service.store.columns import Base
from privsynth.service.store.people import DIGEST, Person
from privsynth.service.store.runs import SourceRow


class ScheduleState(StrEnum):
    """Where a schedule is. The words are those of pages and of the API."""

    ACTIVE = "active"
    PAUSED = "paused"  # by a person, or by the service, with a sentence
    ENDED = "ended"


_STATES = ", ".join(f"'{state}'" for state in ScheduleState)


class ScheduleRow(Base):
    """A request for releases that are repeated.

    Attributes:
      owner_id: who asks for each of the releases, and so never decides on one.
      once: digest of what the owner's form or program called it: sent again, it is the same schedule.
      settings: JSON of the request, as that of a run.
      zone: the institution's time zone when it was made, by which it stays due.
      next_at: when it is due; None unless it is active.
      sentence: why it is not active.
    """

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="known"),
        CheckConstraint("(state = 'active') = (next_at IS NOT NULL)", name="due"),
        CheckConstraint("every IN ('week', 'month', 'quarter', 'year')", name="rhythm"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    once: Mapped[str] = mapped_column(DIGEST, unique=True)
    purpose: Mapped[str] = mapped_column(Text)
    settings: Mapped[str] = mapped_column(Text)
    every: Mapped[str] = mapped_column(String(10))
    first: Mapped[date]
    at: Mapped[time]
    zone: Mapped[str] = mapped_column(String(80))
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10), index=True)
    sentence: Mapped[str] = mapped_column(Text, default="")
    next_at: Mapped[datetime | None]
    source: Mapped[SourceRow] = relationship(lazy="joined")
    owner: Mapped[Person] = relationship(lazy="joined")
    firings: Mapped[list[FiringRow]] = relationship(lazy="selectin", order_by="FiringRow.due_at.desc()", viewonly=True)


class FiringRow(Base):
    """What became of one due time: a run, or a sentence that says why there is none.

    Exactly once: the database has one row of a schedule and a due time, whoever looks, how often, and at which clock.
    """

    __tablename__ = "firings"
    __table_args__ = (UniqueConstraint("run_id"), CheckConstraint("run_id IS NOT NULL OR sentence <> ''", name="told"))

    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    sentence: Mapped[str] = mapped_column(Text, default="")


class YearlyBudgetRow(Base):
    """What the schedules of a dataset may spend in any twelve months, in the ledger's units."""

    __tablename__ = "yearly_budgets"

    dataset: Mapped[str] = mapped_column(String(200), primary_key=True)  # what all spellings of its name share
    epsilon_units: Mapped[int] = mapped_column(BigInteger)
    delta_units: Mapped[int] = mapped_column(BigInteger)
    set_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    set_at: Mapped[datetime]
