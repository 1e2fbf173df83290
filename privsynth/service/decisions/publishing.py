"""Publishing the approved edition of a release, and revoking a release: signed with the service's own key."""

from __future__ import annotations

from privsynth.approvals.revocations import ROLES as MAY_REVOKE
from privsynth.approvals.revocations import RevokedRelease, own_list
from privsynth.approvals.revoking import DAYS, LIST
from privsynth.approvals.revoking import revoke as add_to_list
from privsynth.errors import CheckFailed, InputError, PrivsynthError, ServiceUnavailable
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.deciding import TypedProof, require_confirmed
from privsynth.service.decisions.release import alone, draft_of, edition_of, keyrings_of, released, require_other
from privsynth.service.decisions.revoked_list import keep_list, office_of
from privsynth.service.decisions.settling import DoneNow, settle, situation_of
from privsynth.service.maker_key import own_maker_key
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.states import WHEN, RunState
from privsynth.service.store.runs import RunRow


def publish(service: Service, caller: Caller, run_id: str, *, comments: bool, proof: TypedProof) -> RunRow:
    """Make the approved edition of a release, and return the run.

    It is refused unless both the service's rows and the signed files say that enough people approve. The edition
    appears whole and in the log, and its state follows: where the database does not take that, the error says so, and
    the next who looks at the release enters it.

    Args:
      comments: whether recipients read what people wrote.
    Raises:
      NotAllowed: the caller asked for the release, has another role, or did not type the password again.
      InputError: there is no such release, or it is not approved.
      CheckFailed: files, log or the list of revocations say that it may not leave.
      OutputError, KeyFileError, VerificationError, LogDamaged, LogUnavailable: as `privsynth publish`.
    """
    from privsynth.editions.publishing import WantedEdition, asked_by  # half of what a service would load at its start
    from privsynth.editions.publishing import publish as make_edition
    from privsynth.policy.files import load_policy

    caller.require(Act.PUBLISH)
    _required(service, caller, run_id)
    require_confirmed(service, caller, proof)
    with alone(service, run_id):
        settle(service, run_id)
        run = _required(service, caller, run_id)
        stands = situation_of(service, run)
        if (reasons := stands.withheld(own_list(service.home / LIST, keyrings_of(service)))) is not None:
            raise CheckFailed(
                f"this release may not leave{''.join(f'; {one}' for one in reasons)}. Nothing was published"
            )
        keep_list(service)  # recipients ask for it from the first edition on
        now = service.now().replace(microsecond=0)
        with service.database.writing() as session:  # before the edition: whoever asked for it is known, come what may
            about = f"run {run_id}"
            record(session, "begin_publish", about, person_id=caller.person_id, at=now, comments=comments)
        policy = load_policy(service.settings.policy).policy
        asked = asked_by(stands, f"{policy.policy} {policy.version}", run.needed)
        wanted = WantedEdition(draft_of(service, run_id), edition_of(service, run_id), asked, comments, now)
        made = make_edition(service.home, stands, wanted, keyrings_of(service), own_maker_key(service))
        try:
            settle(service, run_id, DoneNow(RunState.PUBLISHED, "publish", caller.person_id, {"comments": comments}))
            with service.database.reading() as session:
                run = session.get_one(RunRow, run_id)
        except PrivsynthError as problem:
            raise ServiceUnavailable(
                "the edition is made, and could not be entered in the service's database now: it is entered as soon as "
                "somebody opens this release"
            ) from problem
        assert run.edition == made.digest
        return run


def revoke(service: Service, caller: Caller, run_id: str, reason: str, proof: TypedProof) -> RunRow:
    """Revoke a release: in the signed list that recipients ask for, in the log, and in the service; return the run.

    Raises:
      NotAllowed: the caller has another role, or did not type the password again.
      InputError: there is no such release, it is revoked already, or the reason is not one line.
      KeyFileError, VerificationError, LogDamaged, LogUnavailable: as `privsynth revoke`.
    """
    caller.require(Act.REVOKE)
    with service.database.reading() as session:
        run = released(session, run_id)
    if RunState(run.state) not in WHEN[Act.REVOKE] or run.manifest is None:
        raise InputError("this release is revoked already")
    require_confirmed(service, caller, proof)
    now = service.now().replace(microsecond=0)
    entry = RevokedRelease(run.manifest, reason.strip(), now)
    with alone(service, run_id):
        with service.database.writing() as session:
            record(session, "begin_revoke", f"run {run_id}", person_id=caller.person_id, at=now, reason=entry.reason)
        office = office_of(service)
        if office.log is not None:
            office.log.require_ready(now)
        known = own_list(office.path, office.keyrings)
        if known is None or known.about(run.manifest) is None:
            opened = own_maker_key(service)(roles=MAY_REVOKE)
            add_to_list(office, (entry,), opened, days=DAYS, now=now)
        try:
            settle(service, run_id, DoneNow(RunState.REVOKED, "revoke", caller.person_id, {"reason": entry.reason}))
        except PrivsynthError as problem:
            raise ServiceUnavailable(
                "the release is revoked in the list, and could not be marked so in the service's database now: that is "
                "done as soon as somebody opens it. Nobody can download it any more"
            ) from problem
    with service.database.reading() as session:
        return session.get_one(RunRow, run_id)


def _required(service: Service, caller: Caller, run_id: str) -> RunRow:
    with service.database.reading() as session:
        run = released(session, run_id)
    require_other(run, caller)
    if RunState(run.state) not in WHEN[Act.PUBLISH]:
        raise InputError(f"this release is not approved: its state is '{run.state.replace('_', ' ')}'")
    return run
