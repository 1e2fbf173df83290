"""Tables of sources, runs, decisions, offers and acts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privsynth.service.states import RunState
from privsynth.service.store.columns import Base
from privsynth.service.store.people import DIGEST, NAME, Person

_STATES = ", ".join(f"'{state}'" for state in RunState)
MEANINGS = ("reviewed", "changes", "approved", "rejected")


class SourceRow(Base):
    """Where a sensitive table is; its place is sealed, and never shown again."""

    __tablename__ = "sources"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    dataset: Mapped[str] = mapped_column(String(200))  # its name in the ledger
    kind: Mapped[str] = mapped_column(String(20))
    place: Mapped[bytes] = mapped_column(LargeBinary)
    options: Mapped[str] = mapped_column(Text, default="{}")  # JSON: how to read it
    schema: Mapped[str] = mapped_column(Text, default="")  # YAML: what is declared about it
    made_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class RunRow(Base):
    """A request for a release, the run that makes it, and what became of the release.

    Attributes:
      id: name of the run, in the ledger and in both reports.
      settings: JSON of what was asked for.
      needed: how many people have to approve, by the policy of the time.
      state, sentence: where it is, and why, in words that hold no private value.
      lease_until: a worker that is alive moves it on; a run whose lease has passed is interrupted, never repeated.
      stage, share: how far the run is.
      cancelled: a person wants it to stop.
      manifest, officer_manifest: SHA-256 of the manifests of the release, once there is one.
      edition: SHA-256 of the manifest of the approved edition.
      exit_code: with which the command line would have ended; by public figures alone, as the submitter sees it.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("id", "submitter_id"),
        CheckConstraint(f"state IN ({_STATES})", name="known"),
        CheckConstraint("needed >= 1", name="somebody"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    dataset: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(Text)
    settings: Mapped[str] = mapped_column(Text)
    submitter_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime]
    needed: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), index=True)
    sentence: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    stage: Mapped[str] = mapped_column(String(80), default="")
    share: Mapped[float] = mapped_column(default=0.0)
    cancelled: Mapped[bool] = mapped_column(default=False)
    manifest: Mapped[str | None] = mapped_column(DIGEST)
    officer_manifest: Mapped[str | None] = mapped_column(DIGEST)
    edition: Mapped[str | None] = mapped_column(DIGEST)
    exit_code: Mapped[int | None]
    source: Mapped[SourceRow] = relationship(lazy="joined")
    submitter: Mapped[Person] = relationship(lazy="joined")
    decisions: Mapped[list[DecisionRow]] = relationship(lazy="selectin", order_by="DecisionRow.id", viewonly=True)


class DecisionRow(Base):
    """What a person decided about a release.

    Attributes:
      file: SHA-256 of the file with the signed statement; asking for changes is the one thing that nobody signs.

    Four eyes: the submitter's number stands in the row, tied to that of the run, and the database refuses a row in
    which it is also the number of who decides.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "submitter_id"], ["runs.id", "runs.submitter_id"]),
        CheckConstraint("person_id <> submitter_id", name="four_eyes"),
        CheckConstraint(f"meaning IN {MEANINGS}", name="known"),
        CheckConstraint("(meaning = 'changes') = (file IS NULL)", name="signed"),
        UniqueConstraint("file"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(40), index=True)
    submitter_id: Mapped[int]
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    meaning: Mapped[str] = mapped_column(String(20))
    comment: Mapped[str] = mapped_column(Text)
    file: Mapped[str | None] = mapped_column(DIGEST)
    at: Mapped[datetime]
    person: Mapped[Person] = relationship(lazy="joined")


class Offer(Base):
    """A published release that a named recipient may download for a while, once the terms are accepted."""

    __tablename__ = "offers"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), index=True)
    recipient: Mapped[str] = mapped_column(String(200))
    terms: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    made_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    run: Mapped[RunRow] = relationship(lazy="joined")


class RecordedAct(Base):
    """One thing that somebody did. Rows are only ever added, each carries the digest of the one before."""

    __tablename__ = "acts"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))  # None: the service itself, or a recipient
    act: Mapped[str] = mapped_column(String(40), index=True)
    about: Mapped[str] = mapped_column(String(200), index=True)
    detail: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(DIGEST, unique=True)  # one row follows each: two at once cannot both
    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    person: Mapped[Person | None] = relationship(lazy="joined")
