"""Files and rows brought together: what was signed and counts has its row, and a run the state that the rows say.

A decision is a signed file, which counts everywhere, and a row, which the service goes by. The row is written first and
committed last, so that there is none without its file. What is left to go wrong is a database that does not take the
commit: then the file is there without its row, and whoever looks at the release next enters it, by `settle`. So are
decisions entered that somebody signed with `privsynth approve`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.approvals.decisions import Read
from privsynth.approvals.revocations import own_list
from privsynth.approvals.revoking import LIST
from privsynth.approvals.situation import Situation, situation
from privsynth.service.context import Service
from privsynth.service.decisions.on_record import answered_in
from privsynth.service.decisions.release import draft_of, edition_of, keyrings_of, released, signed_files
from privsynth.service.record import record
from privsynth.service.roles import Act, may
from privsynth.service.runs.transitions import to_state
from privsynth.service.states import DECIDABLE, NEXT, RunState
from privsynth.service.store.people import Person
from privsynth.service.store.runs import DecisionRow, RunRow
from privsynth.signing.store import names
from privsynth.signing.verification import Expected, verify_folder
from privsynth.transparency.log import configured_log

_OWN_KEY = re.compile(r"person([1-9][0-9]*)-[1-9][0-9]*")


def situation_of(service: Service, run: RunRow) -> Situation:
    """Return where a release stands by its files and the log, all of which are verified.

    Raises:
      VerificationError, UnknownSigner, LogDamaged, LogUnavailable, OutputError: as `situation`.
    """
    log = configured_log(service.home)
    draft = draft_of(service, run.id)
    return situation(draft, keyrings_of(service), log, needed=run.needed, now=service.now())


class DoneNow(NamedTuple):
    """What a person has just done, which brings a release to a state: recorded in the transaction that enters it."""

    state: RunState
    act: str
    person_id: int
    detail: dict[str, Any]


def settle(service: Service, run_id: str, done: DoneNow | None = None) -> None:
    """Enter what is signed, counts, and is not in the database: decisions, the edition, a revocation.

    Nearly always there is nothing. The caller holds the release (`alone`).

    Args:
      done: what the caller has just done; without it, what is entered is recorded as the service's own act.
    Raises:
      As `situation_of`, where there is something to enter; ServiceUnavailable: the database does not answer.
    """
    _settle_decisions(service, run_id)
    with service.database.reading() as session:
        run = released(session, run_id)
    if RunState(run.state) != RunState.REVOKED and is_listed(service, run):
        _to_state(service, run_id, RunState.REVOKED, "enter_revocation", edition=run.edition, done=done)
    elif RunState(run.state) == RunState.APPROVED and edition_of(service, run_id).is_dir():
        found = verify_folder(edition_of(service, run_id), keyrings_of(service), service.now(), Expected("public"))
        if found.draft == run.manifest:
            _to_state(service, run_id, RunState.PUBLISHED, "enter_edition", edition=found.manifest, done=done)


def is_listed(service: Service, run: RunRow) -> bool:
    """Say whether the list of revocations has a release, also where the database does not know it yet.

    Raises:
      VerificationError, UnknownSigner, ConfigError: the list was changed, or cannot be read.
    """
    found = own_list(service.home / LIST, keyrings_of(service))
    entries = [found.about(one) for one in (run.manifest, run.edition) if found is not None and one is not None]
    return any(entry is not None and not entry.successor for entry in entries)


def _to_state(
    service: Service, run_id: str, state: RunState, act: str, *, edition: str | None, done: DoneNow | None
) -> None:
    with service.database.writing() as session:
        run = session.get_one(RunRow, run_id)
        if state not in NEXT[RunState(run.state)]:
            return
        now, run.edition = service.now(), edition
        to_state(session, run, state, now)
        own = done if done is not None and done.state == state else DoneNow(state, act, 0, {})
        by = own.person_id or None
        record(session, own.act, f"run {run_id}", person_id=by, at=now, edition=edition, **own.detail)


def _settle_decisions(service: Service, run_id: str) -> None:
    with service.database.reading() as session:
        run = released(session, run_id)
        entered = {row.file for row in _rows(session, run_id)}
    fresh = signed_files(draft_of(service, run_id)).keys() - entered
    if not fresh or RunState(run.state) not in DECIDABLE:
        return
    found = [one for one in situation_of(service, run).found.read if one.digest in fresh]
    with service.database.writing() as session:
        run = session.get_one(RunRow, run_id)
        entered = {row.file for row in _rows(session, run_id)}
        people = _people_by_key(service, session)
        made = []
        for one in found:
            person = people.get("" if one.key is None else one.key.keyid)
            if person is None or one.digest in entered or not counts(one, run, person):
                continue
            assert one.approval is not None
            said = one.approval
            made.append(DecisionRow(
                run_id=run_id, submitter_id=run.submitter_id, person_id=person.id, meaning=said.meaning,
                comment=said.comment, file=one.digest, at=said.signed_at,
            ))  # fmt: skip
            session.add(made[-1])
            session.flush()
            record(
                session, "enter_decision", f"run {run_id}", person_id=None, at=service.now(), meaning=said.meaning,
                file=one.digest, signed_by=person.id,
            )  # fmt: skip
        if made:
            state = state_of(_rows(session, run_id), run.needed, answered_in(session, run_id))
            to_state(session, run, state, service.now())


def counts(one: Read, run: RunRow, person: Person) -> bool:
    """Say whether a signed decision counts for the service: by the keyring and the log, and by the person's role."""
    if one.approval is None or one.entry is None or person.id == run.submitter_id:
        return False
    return may(person.roles, Act.REVIEW if one.approval.meaning == "reviewed" else Act.APPROVE)


def state_of(rows: Iterable[DecisionRow], needed: int, answered: int = 0) -> RunState:
    """Return the state of a release by the decisions on it, in the order in which they were entered.

    Of each person the last signed word counts, reviews aside. Whoever asked for changes asks for them until they review
    or decide, or until the submitter answers. Signed words alone approve and reject, as for `privsynth status`.

    Args:
      answered: number of the last row that the submitter answered (`answered_in`); 0 for none.
    """
    last: dict[int, str] = {}
    asking: set[int] = set()
    for row in rows:
        asks = row.meaning == "changes" and row.id > answered
        (asking.add if asks else asking.discard)(row.person_id)
        if row.meaning in ("approved", "rejected"):
            last[row.person_id] = row.meaning
    if "rejected" in last.values():
        return RunState.REJECTED
    if list(last.values()).count("approved") >= needed:
        return RunState.APPROVED
    return RunState.CHANGES_ASKED if asking else RunState.TO_DECIDE


def _rows(session: Session, run_id: str) -> list[DecisionRow]:
    return list(session.scalars(select(DecisionRow).where(DecisionRow.run_id == run_id).order_by(DecisionRow.id)))


def _people_by_key(service: Service, session: Session) -> dict[str, Person]:
    """Return key id -> whose key it is, those that were replaced included."""
    people = list(session.scalars(select(Person)))
    by_number, by_name = {person.id: person for person in people}, {person.key: person for person in people}
    found = {}
    for keyid, name in names(service.home).items():
        own = _OWN_KEY.fullmatch(name)
        person = by_number.get(int(own[1])) if own else by_name.get(name)
        if person is not None:
            found[keyid] = person
    return found
