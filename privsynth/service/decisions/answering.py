"""A submitter answers who asked for changes; the release then waits for decisions again."""

from __future__ import annotations

from privsynth.approvals.statement import Approval
from privsynth.errors import InputError, NotAllowed
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.on_record import answered_in
from privsynth.service.decisions.release import alone, seen_release
from privsynth.service.decisions.settling import settle, state_of
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.runs.transitions import to_state
from privsynth.service.states import WHEN, RunState
from privsynth.service.store.runs import RunRow


def answer_changes(service: Service, caller: Caller, run_id: str, comment: str) -> RunRow:
    """Answer who asked for changes, and return the run: the answer is on record, and people decide again.

    The release stays what it is. With other settings it is another run, which spends.

    Raises:
      InputError: there is no such release, nobody asks for changes, or nothing was answered.
      NotAllowed: somebody else submitted the run.
    """
    caller.require(Act.ANSWER_CHANGES)
    comment, now = comment.strip(), service.now()
    with service.database.reading() as session:
        _require_asked(seen_release(session, caller, run_id), caller)
    if not comment:
        raise InputError("say what you answer")
    Approval("reviewed", comment, now, ("", ""))  # the same rules for what people write
    with alone(service, run_id):
        settle(service, run_id)
        with service.database.writing() as session:
            run = session.get_one(RunRow, run_id)
            _require_asked(run, caller)
            after = max((row.id for row in run.decisions), default=0)
            about = f"run {run_id}"
            record(session, Act.ANSWER_CHANGES, about, person_id=caller.person_id, at=now, comment=comment, after=after)
            to_state(session, run, state_of(run.decisions, run.needed, answered_in(session, run_id)), now)
    return run


def _require_asked(run: RunRow, caller: Caller) -> None:
    if run.submitter_id != caller.person_id:
        raise NotAllowed("only who asked for a release answers what others ask about it")
    if RunState(run.state) not in WHEN[Act.ANSWER_CHANGES]:
        raise InputError("nobody asks for changes of this release now: there is nothing to answer")
