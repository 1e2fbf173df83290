"""Which releases a person may be in, by dataset and date; nothing about the person is asked for, and no row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.errors import LedgerError
from privsynth.ledger.events import fold
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.names import identity
from privsynth.service.context import Service
from privsynth.service.decisions.comparing import report_of
from privsynth.service.decisions.release import draft_of
from privsynth.service.erasure.words import OUTSIDE_UNKNOWN, promise_words, state_words
from privsynth.service.retention.items import RetentionItem, items
from privsynth.service.retention.look_up import deletions_of
from privsynth.service.states import HAS_RELEASE, RunState
from privsynth.service.store.runs import Offer, RunRow, SourceRow

_A_DAY = timedelta(days=1)  # days of people are those of their zone; a day more on both sides holds all zones


@dataclass(frozen=True, kw_only=True)
class ReleaseOfPerson:
    """A release that the person may be in.

    Attributes:
      read_at: when its rows were read; of an upload, when it was sent.
      promise: what the guarantee says of one person, in sentences.
      stands: where it is: a draft, published, revoked, and with how many recipients.
      officer: what became of the officer's part, which holds exact figures.
    """

    run_id: str
    dataset: str
    state: RunState
    read_at: datetime
    manifest: str
    promise: list[str]
    stands: str
    officer: str

    def to_json(self) -> dict[str, Any]:
        """Return what a statement says of it."""
        return {
            "release": self.run_id, "dataset": self.dataset, "state": self.state.value.replace("_", " "),
            "rows_read_on": f"{self.read_at.astimezone(UTC):%Y-%m-%d}", "promise": self.promise,
            "stands": self.stands, "officers_part": self.officer,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DatasetOfPerson:
    """A dataset that the person was in.

    Attributes:
      releases: that the person may be in.
      excluded: how many cannot hold the person, by their dates.
      outside: what the ledger has of releases that the service did not make, in a sentence, or "".
      deletable: what can be deleted, or is held.
      sources: names of sources that are not the service's to delete from.
    """

    dataset: str
    releases: list[ReleaseOfPerson]
    excluded: int
    outside: str
    deletable: list[RetentionItem]
    sources: list[str]


def look_up(
    service: Service, session: Session, dataset: str, *, entered: date | None, removed: date | None
) -> DatasetOfPerson:
    """Return which releases of a dataset a person may be in whose data came in and went on these days.

    A release is left out only where its dates rule the person out: its rows were read before the person's came in, or
    were read from a database after they were gone. A file may be older than the day on which it was read.
    """
    wanted = select(RunRow).where(RunRow.state.in_(HAS_RELEASE)).order_by(RunRow.made_at)
    of_dataset = [run for run in session.scalars(wanted) if identity(run.dataset) == identity(dataset)]
    holding = [run for run in of_dataset if _may_hold(run, entered, removed)]
    kept = {item.name: item for item in items(service, session) if identity(item.dataset) == identity(dataset)}
    elsewhere = select(SourceRow).where(SourceRow.kind != "upload", SourceRow.retired_at.is_(None))
    return DatasetOfPerson(
        dataset=dataset, releases=[_told(service, session, run, kept) for run in holding],
        excluded=len(of_dataset) - len(holding), outside=_outside(service, session, dataset),
        deletable=[item for item in kept.values() if item.kind in ("upload", "officer", "draft", "left")],
        sources=sorted(one.name for one in session.scalars(elsewhere) if identity(one.dataset) == identity(dataset)),
    )  # fmt: skip


def _read_at(run: RunRow) -> datetime:
    return run.source.made_at if run.source.kind == "upload" else run.started_at or run.made_at


def _may_hold(run: RunRow, entered: date | None, removed: date | None) -> bool:
    first = _read_at(run)
    last = first if run.source.kind == "upload" else run.ended_at or first  # by then all rows were read
    if entered is not None and (last + _A_DAY).astimezone(UTC).date() < entered:
        return False
    return not (removed is not None and run.source.kind == "database" and (first - _A_DAY).date() > removed)


def _told(service: Service, session: Session, run: RunRow, kept: Mapping[str, RetentionItem]) -> ReleaseOfPerson:
    offers = list(session.scalars(select(Offer).where(Offer.run_id == run.id, Offer.accepted_at.is_not(None))))
    return ReleaseOfPerson(
        run_id=run.id, dataset=run.dataset, state=RunState(run.state), read_at=_read_at(run),
        manifest=run.manifest or "", promise=promise_words(_guarantee(draft_of(service, run.id) / "public", run)),
        stands=state_words(RunState(run.state), len(offers)), officer=_officer(session, run, kept),
    )  # fmt: skip


def _guarantee(public: Path, run: RunRow) -> Mapping[str, Any] | None:
    report = report_of(public, run.manifest)
    found = None if report is None else report.get("guarantee") or {}
    return found if found is None or isinstance(found, Mapping) else {}


def _officer(session: Session, run: RunRow, kept: Mapping[str, RetentionItem]) -> str:
    for one in deletions_of(session, run.id):
        if one.item.startswith(("officer-", "draft-")):
            return f"deleted on {one.begun_at:%Y-%m-%d}"
    found = [item for item in (kept.get(f"{kind}-{run.id}") for kind in ("officer", "draft")) if item is not None]
    if not found:
        return "kept while people still decide on this release"
    if held := next((item.hold for item in found if item.hold is not None), None):
        return f"held back from deletion: {held.reason}"
    due = min((item.due_at for item in found if item.due_at is not None), default=None)
    return "kept; no rule deletes it" if due is None else f"kept; a rule deletes it on {due:%Y-%m-%d}"


def _outside(service: Service, session: Session, dataset: str) -> str:
    try:
        charged = fold(Ledger.chosen(service.home).store.read()).charged(dataset)
    except LedgerError:
        return OUTSIDE_UNKNOWN
    known = set(session.scalars(select(RunRow.id)))
    others = [run for run in charged if run.run_id not in known and run.status == "completed"]
    if not others:
        return ""
    return (
        f"the ledger has {len(others)} release{'' if len(others) == 1 else 's'} of this dataset that the service did "
        "not make: look for them where they were made"
    )
