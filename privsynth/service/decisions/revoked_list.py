"""The signed list of revocations kept whole and current: from the first day on, and after a backup came back."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.approvals.revocations import RevocationList, RevokedRelease
from privsynth.approvals.revoking import LIST, Office, keep
from privsynth.service.context import Service
from privsynth.service.decisions.release import keyrings_of
from privsynth.service.maker_key import own_maker_key
from privsynth.service.record import record
from privsynth.service.states import RunState
from privsynth.service.store.runs import RecordedAct, RunRow
from privsynth.transparency.log import configured_log

LOST_REASON = "revoked earlier; the list that gave the reason was lost"


def office_of(service: Service) -> Office:
    """Return who keeps the list of a service, and where.

    Raises:
      LogDamaged, LogUnavailable: the log cannot be used.
    """
    return Office(service.home, service.home / LIST, keyrings_of(service), configured_log(service.home))


def keep_list(service: Service) -> RevocationList | None:
    """Sign the list anew where it is not there, lacks what the database or the log revoked, or ends soon.

    Returns None if it is well, as it nearly always is.

    Raises:
      As `privsynth.approvals.revoking.keep`; ServiceUnavailable: the database does not answer.
    """
    office, now = office_of(service), service.now().replace(microsecond=0)
    with service.database.reading() as session:
        revoked = {one.release: one for one in _in_database(session)}
    entries = () if office.log is None else office.log.read().entries
    for entry in entries:
        if entry.kind == "revoked":
            revoked.setdefault(entry.release, RevokedRelease(entry.release, LOST_REASON, entry.signed_at))
    made = keep(office, list(revoked.values()), own_maker_key(service), now=now)
    if made is not None:
        with service.database.writing() as session:
            told = {"number": made.number, "revoked": len(made.revoked)}
            record(session, "sign_revocations", "service", person_id=None, at=now, **told)
    return made


def _in_database(session: Session) -> Iterator[RevokedRelease]:
    """Yield what was revoked, each as the list had it where the service itself revoked it."""
    for run in session.scalars(select(RunRow).where(RunRow.state == RunState.REVOKED)):
        if run.manifest is None:
            continue
        acts = {act.act: act for act in session.scalars(
            select(RecordedAct).where(RecordedAct.about == f"run {run.id}").order_by(RecordedAct.id)
        )}  # fmt: skip
        begun, entered = acts.get("begin_revoke"), acts.get("enter_revocation")
        reason = LOST_REASON if begun is None else json.loads(begun.detail)["reason"]
        act = begun or entered
        yield RevokedRelease(run.manifest, reason, run.made_at if act is None else act.at)
