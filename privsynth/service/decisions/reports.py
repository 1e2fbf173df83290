"""The two reports of a release, as pages: the officer's for who decides, the public one for who sees the run."""

from __future__ import annotations

from privsynth.errors import OutputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.release import draft_of, edition_of, released, require_other_reader, seen_release
from privsynth.service.record import record
from privsynth.service.retention.look_up import deletions_of, require_there
from privsynth.service.roles import Act
from privsynth.service.states import RunState
from privsynth.signing._embedding import MAX_REPORT_BYTES
from privsynth.signing._files import read_limited
from privsynth.signing.release import REPORT


def officer_report(service: Service, caller: Caller, run_id: str) -> bytes:
    """Return the officer's report; that somebody read it is put on record.

    Raises:
      InputError: there is no such release.
      NotAllowed: the caller has another role, or asked for the release.
      OutputError: it cannot be read.
    """
    caller.require(Act.SEE_OFFICER_REPORT)
    with service.database.writing() as session:
        require_other_reader(released(session, run_id), caller)
        require_there(session, run_id)
        about = f"run {run_id}"
        record(session, "read_officer_report", about, person_id=caller.person_id, at=service.now())
    return _page(service, run_id, "officer")


def public_report(service: Service, caller: Caller, run_id: str) -> bytes:
    """Return the public report: of the edition once there is one, else of the draft.

    Raises:
      InputError: there is no such release that the person may see.
      OutputError: it cannot be read.
    """
    caller.require(Act.SEE_RUNS)
    with service.database.reading() as session:
        run = seen_release(session, caller, run_id)
        if any(one.item.startswith("draft-") for one in deletions_of(session, run_id)):
            require_there(session, run_id)
    published = RunState(run.state) in (RunState.PUBLISHED, RunState.REVOKED) and run.edition is not None
    return _page(service, run_id, "edition" if published else "public")


def _page(service: Service, run_id: str, part: str) -> bytes:
    folder = edition_of(service, run_id) if part == "edition" else draft_of(service, run_id) / part
    try:
        return read_limited(folder / REPORT, MAX_REPORT_BYTES)
    except OSError as problem:
        raise OutputError(f"the report cannot be read: {problem.strerror}") from None
