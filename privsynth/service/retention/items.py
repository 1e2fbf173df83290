"""What can be deleted, and when a rule of the settings says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.orm import Session

from privsynth.approvals.decisions import FOLDER as DECISIONS
from privsynth.service.context import Service
from privsynth.service.sources.places import place_of
from privsynth.service.states import BUSY, RunState
from privsynth.service.store.retention import DeletionRow, HoldRow
from privsynth.service.store.runs import Offer, RecordedAct, RunRow, SourceRow
from privsynth.service.store.schedules import ScheduleRow, ScheduleState
from privsynth.signing._files import list_tree

_DECIDED = (RunState.PUBLISHED, RunState.REJECTED, RunState.REVOKED)
_LEFT = (RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED)
# Of the folder of a release: what the service needs to verify decisions, and never holds a row.
_STAYS = (f"draft/{DECISIONS}/", "lock")


@dataclass(frozen=True, kw_only=True)
class RetentionItem:
    """Something that the service keeps and can delete.

    Attributes:
      name: "upload-…", "officer-…", "draft-…", "left-…" or "offer-…": a kind, and a name that no other thing ever has.
      what: in words.
      rule: which rule deletes it, in words.
      due_at: when the rule does; None where no rule does, or nobody knows yet when.
      hold: that keeps it from being deleted, if there is one.
      busy: a run reads it now, an active schedule will, or an offer has not ended.
      run_id: of the run that it belongs to; None for an upload.
      row: number of its source or offer; None for files of a run.
    """

    name: str
    what: str
    dataset: str
    rule: str
    due_at: datetime | None
    hold: HoldRow | None = None
    busy: bool = False
    run_id: str | None = None
    row: int | None = None

    @property
    def kind(self) -> str:
        """The first part of its name."""
        return self.name.partition("-")[0]

    def is_due(self, now: datetime) -> bool:
        """Say whether its rule deletes it now."""
        return self.due_at is not None and self.due_at <= now and self.hold is None and not self.busy


def items(service: Service, session: Session) -> list[RetentionItem]:
    """Return everything that can be deleted and was not, what is due first before the rest."""
    gone = set(session.scalars(select(DeletionRow.item)))
    holds = {hold.item: hold for hold in session.scalars(select(HoldRow).where(HoldRow.lifted_at.is_(None)))}
    found = [
        *_uploads(service, session),
        *_releases(service, session),
        *_left(service, session),
        *_offers(service, session),
    ]
    kept = [_held(one, holds.get(one.name)) for one in found if one.name not in gone]
    return sorted(kept, key=lambda one: (one.due_at is None, one.due_at, one.name))


def files_of(service: Service, item: RetentionItem) -> dict[str, Path]:
    """Return name below the service's folder -> path, of the files of an item that are there.

    Raises:
      OSError: a folder cannot be listed.
    """
    if item.kind == "offer":
        return {}
    if item.kind == "upload":
        found = sorted((service.folder / "uploads").glob(f"{item.name.partition('-')[2]}.*"))
        return {f"uploads/{path.name}": path for path in found}
    assert item.run_id is not None
    folder = service.release_folder(item.run_id)
    inner = {"officer": "draft/officer/", "draft": "draft/", "left": ""}[item.kind]
    if not folder.is_dir():
        return {}
    return {
        f"releases/{item.run_id}/{name}": path
        for name, path in sorted(list_tree(folder).files.items())
        if name.startswith(inner) and not name.startswith(_STAYS)
    }


def _after(days: int, moment: datetime | None) -> datetime | None:
    return moment + timedelta(days=days) if days and moment is not None else None


def _held(item: RetentionItem, hold: HoldRow | None) -> RetentionItem:
    return item if hold is None else RetentionItem(**{**vars(item), "hold": hold})


def runs_read(session: Session) -> set[int]:
    """Return the numbers of the sources that a run reads, or will."""
    return set(session.scalars(select(RunRow.source_id).where(RunRow.state.in_(BUSY))))


def schedules_read(session: Session) -> set[int]:
    """Return the numbers of the sources that an active schedule will read; a retired one is read no more."""
    reads = select(ScheduleRow.source_id).where(ScheduleRow.state == ScheduleState.ACTIVE)
    return set(session.scalars(reads.join(SourceRow).where(SourceRow.retired_at.is_(None))))


def _last_uses(session: Session) -> dict[int, datetime]:
    """Return number of a source -> when a run of it was last asked for, or something was last done to its schedules.

    So a schedule that pauses leaves the time of the rule to resume it.
    """
    runs = select(RunRow.source_id, func.max(RunRow.made_at)).group_by(RunRow.source_id)
    about = literal("schedule ") + cast(ScheduleRow.id, String)
    acts = select(ScheduleRow.source_id, func.max(RecordedAct.at)).join(RecordedAct, RecordedAct.about == about)
    found: dict[int, datetime] = {}
    for source, at in [*session.execute(runs), *session.execute(acts.group_by(ScheduleRow.source_id))]:
        found[source] = max(at, found.get(source, at))
    return found


def _uploads(service: Service, session: Session) -> Iterator[RetentionItem]:
    days = service.settings.keep_uploads_days
    used, busy, scheduled = _last_uses(session), runs_read(session), schedules_read(session)
    for source in session.scalars(select(SourceRow).where(SourceRow.kind == "upload")):
        origin = place_of(service, source)
        if not origin:
            continue  # it is gone
        last = max(source.made_at, used.get(source.id, source.made_at))
        due, rule = _after(days, last), f"an uploaded file is deleted {days} days after its last run or schedule"
        rule = rule if days else ""
        if source.id in scheduled:
            due = None  # its last use is still to come
        if source.retired_at is not None:
            due, rule = source.retired_at, "an uploaded file is deleted when its source is retired"
        yield RetentionItem(
            name=f"upload-{Path(origin).name.partition('.')[0]}", what=f"the uploaded file of the source {source.name}",
            dataset=source.dataset, rule=rule, due_at=due, busy=source.id in busy | scheduled, row=source.id,
        )  # fmt: skip


def _releases(service: Service, session: Session) -> Iterator[RetentionItem]:
    settings = service.settings
    for run in session.scalars(select(RunRow).where(RunRow.state.in_(_DECIDED))):
        decided = max((one.at for one in run.decisions), default=run.ended_at or run.made_at)
        kinds = [("officer", "the officer's part of the release", settings.keep_officer_days)]
        if run.state == RunState.REJECTED:
            kinds.append(("draft", "both parts of the rejected release", settings.keep_rejected_days))
        for kind, what, days in kinds:
            due = _after(days, decided)
            rule = f"{what.replace('the release', 'a release').replace('the rejected', 'a rejected')} "
            rule += f"{'are' if kind == 'draft' else 'is'} deleted {days} days after the last decision"
            item = RetentionItem(
                name=f"{kind}-{run.id}", what=f"{what} {run.id}", dataset=run.dataset, rule=rule if due else "",
                due_at=due, run_id=run.id,
            )  # fmt: skip
            if files_of(service, item):
                yield item


def _left(service: Service, session: Session) -> Iterator[RetentionItem]:
    days = service.settings.keep_failed_days
    for run in session.scalars(select(RunRow).where(RunRow.state.in_(_LEFT))):
        due = _after(days, run.ended_at or run.made_at)
        item = RetentionItem(
            name=f"left-{run.id}", what=f"what the run {run.id} left, which ended without a release",
            dataset=run.dataset, due_at=due, run_id=run.id,
            rule=f"what a run left that ended without a release is deleted {days} days after its end" if due else "",
        )  # fmt: skip
        if files_of(service, item):
            yield item


def _offers(service: Service, session: Session) -> Iterator[RetentionItem]:
    days, now = service.settings.keep_offers_days, service.now()
    for offer in session.scalars(select(Offer)):
        ended = offer.withdrawn_at or offer.ends_at
        due = _after(days, ended)
        yield RetentionItem(
            name=f"offer-{offer.digest[:32]}", dataset=offer.run.dataset, due_at=due, busy=ended > now,
            run_id=offer.run_id, row=offer.id,
            what=f"the offer {offer.id} of the release {offer.run_id}, with its recipient",
            rule=f"an offer is deleted {days} days after it ended" if due else "",
        )  # fmt: skip
