"""`DecisionPage`: what somebody who decides on a release has to know, apart from the reports themselves."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from privsynth.approvals.decisions import MissingDecision, Read
from privsynth.approvals.verdict import ReportVerdicts
from privsynth.errors import PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.comparing import ComparedRow, compared
from privsynth.service.decisions.deciding import asks_password
from privsynth.service.decisions.release import alone, released, require_other_reader
from privsynth.service.decisions.settling import settle, situation_of
from privsynth.service.keys.attaching import is_elsewhere
from privsynth.service.retention.look_up import gone_from
from privsynth.service.roles import Act
from privsynth.service.states import DECIDABLE, RunState
from privsynth.service.store.runs import RunRow


@dataclass(frozen=True)
class DecisionPage:
    """A release on which somebody may decide.

    Attributes:
      run: with its decisions.
      gone: when its files were deleted, in a sentence, or "".
      problem: why the files, the decisions or the log do not verify, or ""; nobody should decide then.
      verdicts: of the policy and the checks; None where they cannot be read.
      uncounted: signed files beside the release that do not count, with the reason.
      missing: decisions that the log has and that are gone.
      earlier: the last release of the same dataset that was published, if there is one; `compared` has the officer's
        figures of both, unless the caller asked for that one.
      key_elsewhere: whether only the public half of the caller's key is here, so that they sign elsewhere.
      asks_password: whether it has to be typed again.
    """

    run: RunRow
    gone: str
    problem: str
    verdicts: ReportVerdicts | None
    uncounted: tuple[Read, ...]
    missing: tuple[MissingDecision, ...]
    earlier: RunRow | None
    compared: list[ComparedRow]
    key_elsewhere: bool
    asks_password: bool

    @property
    def approvals(self) -> int:
        """How many people approve it, each by their last signed word."""
        return approvals_of(self.run)

    @property
    def open(self) -> bool:
        """Whether it can still be decided on."""
        return RunState(self.run.state) in DECIDABLE and not self.gone


def approvals_of(run: RunRow) -> int:
    """Return how many people approve a release, each by their last signed word."""
    last = {row.person_id: row.meaning for row in run.decisions if row.meaning in ("approved", "rejected")}
    return list(last.values()).count("approved")


def decision_page(service: Service, caller: Caller, run_id: str) -> DecisionPage:
    """Return what is to be known for a decision; what was signed and not entered yet is entered first.

    Raises:
      InputError: there is no such release.
      NotAllowed: the caller has another role, or asked for the release.
    """
    caller.require(Act.SEE_OFFICER_REPORT)
    with service.database.reading() as session:
        run = released(session, run_id)
        require_other_reader(run, caller)
        gone = gone_from(session, run_id)
    problem, stands = "", None
    try:
        if not gone:
            with alone(service, run_id):
                settle(service, run_id)
            stands = situation_of(service, run).found
    except PrivsynthError as found:
        problem = str(found)
    with service.database.reading() as session:
        run = released(session, run_id)
        earlier = session.scalars(
            select(RunRow).where(RunRow.dataset == run.dataset, RunRow.id != run_id, RunRow.state == RunState.PUBLISHED)
            .order_by(RunRow.ended_at.desc()).limit(1)
        ).first()  # fmt: skip
    entered = {row.file for row in run.decisions}
    return DecisionPage(
        run=run, gone=gone, problem=problem, verdicts=None if stands is None else stands.verdicts,
        uncounted=tuple(one for one in (() if stands is None else stands.read) if one.digest not in entered),
        missing=() if stands is None else stands.missing or (), earlier=earlier,
        compared=[] if earlier is None or earlier.submitter_id == caller.person_id else compared(service, run, earlier),
        key_elsewhere=is_elsewhere(service, caller.key), asks_password=asks_password(service, caller),
    )  # fmt: skip
