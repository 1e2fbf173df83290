"""Deciding on a release: the statement that `privsynth approve` signs, and its row, in one act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from privsynth.approvals.deciding import Prepared, SaidWords, examine, prepare
from privsynth.approvals.deciding import decide as write
from privsynth.approvals.statement import Approval
from privsynth.errors import CheckFailed, InputError, NotAllowed, PrivsynthError, ServiceUnavailable
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.on_record import answered_in
from privsynth.service.decisions.release import alone, draft_of, keyrings_of, released, require_other, signed_files
from privsynth.service.decisions.settling import settle, state_of
from privsynth.service.keys.attaching import is_elsewhere
from privsynth.service.record import record
from privsynth.service.retention.look_up import require_there
from privsynth.service.roles import Act
from privsynth.service.runs.transitions import to_state
from privsynth.service.sign_in import confirm
from privsynth.service.states import WHEN, RunState
from privsynth.service.store.people import Person, SignedIn
from privsynth.service.store.runs import DecisionRow, RunRow
from privsynth.signing.store import open_key
from privsynth.transparency.log import configured_log

CONFIRMED = timedelta(minutes=5)  # (own) for so long a password that was typed vouches for who is at the browser
ACTS = {"reviewed": Act.REVIEW, "changes": Act.REVIEW, "approved": Act.APPROVE, "rejected": Act.APPROVE}

OTHER_FILES = "the files of this release are not those that its run made; nothing was decided"
AGAINST_POLICY = (
    "the policy refuses this release. Nothing was decided: to approve it all the same, say that you approve it against "
    "the policy, and why"
)


@dataclass(frozen=True)
class TypedProof:
    """What a person types to show who they are.

    Attributes:
      passphrase: of their key.
      password: of their account; "" where it was typed a moment ago.
      address: from which it comes.
    """

    passphrase: str = ""
    password: str = ""
    address: str = ""


def decide(service: Service, caller: Caller, run_id: str, words: SaidWords, proof: TypedProof) -> RunRow:
    """Sign a decision on a release and enter it, or ask for changes, which nobody signs; return the run.

    Guarantee: there is no row without its signed file. A signed file that counts has its row, or the error says that it
      has none yet, and the next who looks at the release enters it.
    Raises:
      NotAllowed: the caller asked for the release, has another role, or did not type the password again.
      CheckFailed: the policy refuses it and nobody said why not, or the caller rejected it a moment ago.
      InputError: there is no such release, it cannot be decided on any more, or the key does not open.
      LogDamaged, LogUnavailable, OutputError, VerificationError: as `privsynth approve`.
    """
    if words.meaning not in ACTS:
        raise InputError(f"a decision is one of {', '.join(ACTS)}")
    caller.require(ACTS[words.meaning])
    require_decidable(service, caller, run_id, words)
    require_confirmed(service, caller, proof)
    with alone(service, run_id):
        settle(service, run_id)
        if words.meaning == "changes":
            return _entered(service, caller, run_id, words, file=None)
        return enter(service, caller, run_id, words, _prepared(service, caller, run_id, words, proof))


def enter(service: Service, caller: Caller, run_id: str, words: SaidWords, prepared: Prepared) -> RunRow:
    """Write a signed decision and enter it, and return the run. The caller holds the release (`alone`).

    Raises:
      As `decide`.
    """
    try:
        return _entered(service, caller, run_id, words, file=prepared)
    except (PrivsynthError, DBAPIError) as problem:
        if prepared.digest not in signed_files(draft_of(service, run_id)):
            raise  # nothing was decided
        return _entered_late(service, run_id, prepared.digest, problem)


def require_confirmed(service: Service, caller: Caller, proof: TypedProof) -> None:
    """Return if the person at the browser typed the password within the last minutes, or does so now.

    Who signs in elsewhere has no password here, and a program has a token: their key's passphrase has to do.

    Raises:
      NotAllowed: it is missing, or wrong.
    """
    if not asks_password(service, caller):
        return
    if not proof.password:
        raise NotAllowed("type your password again: you signed in more than five minutes ago")
    confirm(service, caller, proof.password, proof.address)
    with service.database.writing() as session:
        mine = update(SignedIn).where(SignedIn.form_token == caller.form_token)
        session.execute(mine.values(confirmed_at=service.now()))


def asks_password(service: Service, caller: Caller) -> bool:
    """Say whether a person has to type the password again before an act that cannot be undone."""
    if caller.confirmed_at is None or service.now() - caller.confirmed_at <= CONFIRMED:
        return False
    with service.database.reading() as session:
        return session.get_one(Person, caller.person_id).password is not None


def require_decidable(service: Service, caller: Caller, run_id: str, words: SaidWords) -> RunRow:
    """Return the run if its release can be decided on, by somebody else than who asked for it.

    Raises:
      NotAllowed, InputError: as `decide`.
    """
    with service.database.reading() as session:
        run = released(session, run_id)
        require_other(run, caller)
        _require_open(run)
        require_there(session, run_id)
        approves = state_of((row for row in run.decisions if row.person_id == caller.person_id), 1) == RunState.APPROVED
    if words.meaning == "changes":
        if not words.comment.strip():
            raise InputError("say what has to change")
        Approval("reviewed", words.comment, service.now(), ("", ""))  # the same rules for what people write
        if approves or RunState(run.state) == RunState.APPROVED:
            raise InputError("this release is approved, and to ask for changes would not take that back: reject it")
    return run


def _require_open(run: RunRow) -> None:
    if RunState(run.state) not in WHEN[Act.REVIEW]:
        raise InputError(f"this release is {run.state} already: there is nothing to decide any more")


def _prepared(service: Service, caller: Caller, run_id: str, words: SaidWords, proof: TypedProof) -> Prepared:
    if caller.key is None:
        raise InputError("you have no signing key yet: make one on the page 'Your key'")
    if is_elsewhere(service, caller.key):
        raise InputError("your key is not here: download the file to sign, sign it where the key is, and bring it back")
    now = service.now().replace(microsecond=0)
    seen = examine(draft_of(service, run_id), keyrings_of(service), now)
    with service.database.reading() as session:
        run = session.get_one(RunRow, run_id)
    if seen.about != (run.manifest, run.officer_manifest):
        raise CheckFailed(OTHER_FILES)
    if seen.lacks_reason(words):
        raise CheckFailed(AGAINST_POLICY)
    passphrase: Callable[[], bytes] = lambda: proof.passphrase.encode()  # noqa: E731
    opens = partial(open_key, service.home, caller.key, passphrase, now=now)
    return prepare(seen, words, opens, configured_log(service.home))


def _entered(service: Service, caller: Caller, run_id: str, words: SaidWords, *, file: Prepared | None) -> RunRow:
    """Add the row, write the signed file, and only then commit."""
    now = service.now()
    with service.database.writing() as session:
        run = session.get_one(RunRow, run_id)
        _require_open(run)
        row = DecisionRow(
            run_id=run_id, submitter_id=run.submitter_id, person_id=caller.person_id, meaning=words.meaning,
            comment=words.comment, file=None if file is None else file.digest,
            at=now if file is None else file.approval.signed_at,
        )  # fmt: skip
        _add(session, run, row)
        against = file is not None and file.against_policy
        record(
            session, "decide", f"run {run_id}", person_id=caller.person_id, at=now, meaning=words.meaning,
            file=row.file, against_policy=against,
        )  # fmt: skip
        if file is not None:
            write(file)
    return run


def _add(session: Session, run: RunRow, row: DecisionRow) -> None:
    session.add(row)
    session.flush()
    session.refresh(run, ["decisions"])
    to_state(session, run, state_of(run.decisions, run.needed, answered_in(session, run.id)), row.at)
    session.flush()


def _entered_late(service: Service, run_id: str, file: str, problem: PrivsynthError | DBAPIError) -> RunRow:
    """Enter a decision that was signed before something failed, and return the run."""
    try:
        settle(service, run_id)
        with service.database.reading() as session:
            run = session.get_one(RunRow, run_id)
    except (PrivsynthError, DBAPIError):
        raise ServiceUnavailable(
            "your decision is signed and kept, and could not be entered in the service's database now. Do not decide "
            "again: it is entered as soon as somebody opens this release"
        ) from problem
    entered = any(row.file == file for row in run.decisions)
    if entered and isinstance(problem, ServiceUnavailable | DBAPIError):
        return run
    raise problem
