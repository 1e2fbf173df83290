"""Deciding with a key that is not here: the service writes what is to be signed, and takes the signed decision back."""

from __future__ import annotations

from datetime import datetime

from privsynth.approvals.deciding import Examined, Prepared, SaidWords, examine
from privsynth.approvals.offline import DecisionRequest
from privsynth.approvals.statement import MAX_BYTES, MEANINGS, Approval, opened
from privsynth.errors import CheckFailed, InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.deciding import (
    ACTS,
    AGAINST_POLICY,
    OTHER_FILES,
    TypedProof,
    enter,
    require_confirmed,
    require_decidable,
)
from privsynth.service.decisions.release import alone, draft_of, keyrings_of
from privsynth.service.decisions.settling import settle
from privsynth.service.store.runs import RunRow
from privsynth.signing.checks.trust import CLOCK_SKEW, judge
from privsynth.signing.devices.files import read_public
from privsynth.signing.keyring import entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.store import key_path
from privsynth.transparency.log import configured_log


def decision_request(service: Service, caller: Caller, run_id: str, words: SaidWords) -> DecisionRequest:
    """Return what a person signs elsewhere to decide on a release.

    Raises:
      NotAllowed, CheckFailed, InputError: as `decide`; ConfigError: the comment is no paragraph.
    """
    _require_signed(words.meaning)
    caller.require(ACTS[words.meaning])
    run = require_decidable(service, caller, run_id, words)
    with alone(service, run_id):
        settle(service, run_id)
        seen = _examined(service, run)
    if seen.lacks_reason(words):
        raise CheckFailed(AGAINST_POLICY)
    policy = None if seen.stands.verdicts is None else seen.stands.verdicts.policy
    asked = DecisionRequest(words.meaning, words.comment, seen.about, policy, run.dataset)
    asked.approval(service.now())
    return asked


def enter_signed(service: Service, caller: Caller, run_id: str, signed: str, proof: TypedProof) -> RunRow:
    """Enter a decision that the caller signed elsewhere, and return the run.

    Guarantee: it is by the caller's own key, on the release as it is now, made after it, and not earlier than what the
      caller decided before.
    Raises:
      VerificationError: it is no decision, or was changed.
      NotAllowed, CheckFailed, InputError, LogDamaged, LogUnavailable, OutputError: as `decide`.
    """
    data = signed.strip().encode(errors="replace") + b"\n"
    if len(data) > 2 * MAX_BYTES:
        raise InputError("this is too long for a signed decision: give the content of the file that was written")
    approval, key = opened(data)
    words = SaidWords(approval.meaning, approval.comment, against_policy=True)  # the policy is in what was signed
    caller.require(ACTS[approval.meaning])
    run = require_decidable(service, caller, run_id, words)
    _require_own_key(service, caller, key)
    require_confirmed(service, caller, proof)
    with alone(service, run_id):
        settle(service, run_id)
        seen, log = _examined(service, run), configured_log(service.home)
        holder = _holder(service, approval, key, seen.now)
        _require_about(seen, run, approval, caller)
        if seen.lacks_reason(words):
            raise CheckFailed(AGAINST_POLICY)
        if approval.meaning != "rejected" and seen.stands.made_by(holder, key.keyid):
            raise CheckFailed(f"{holder} made this release: somebody else has to decide on it")
        if seen.stands.rejection_before(approval, holder):
            raise CheckFailed("you rejected this release less than five minutes before you signed this: sign it again")
        if log is not None:
            log.require_ready(seen.now)
        return enter(service, caller, run_id, words, Prepared(seen.run, approval, holder, key, data, log))


def _require_signed(meaning: str) -> None:
    if meaning not in MEANINGS:
        raise InputError("to ask for changes needs no signature: do that on the page itself")


def _examined(service: Service, run: RunRow) -> Examined:
    seen = examine(draft_of(service, run.id), keyrings_of(service), service.now().replace(microsecond=0))
    if seen.about != (run.manifest, run.officer_manifest):
        raise CheckFailed(OTHER_FILES)
    return seen


def _require_own_key(service: Service, caller: Caller, key: PublicKey) -> None:
    if caller.key is None or read_public(key_path(service.home, caller.key).with_suffix(".pub")) != key:
        raise InputError("this decision is not signed with your own key, as the page 'Your key' shows it")


def _holder(service: Service, approval: Approval, key: PublicKey, now: datetime) -> str:
    entries = entries_by_key(keyrings_of(service)).get(key, [])
    entry, problem = judge(entries, MEANINGS[approval.meaning], approval.signed_at, now)
    if entry is None:
        raise InputError(problem or "your key is not in the keyring yet: a key admin enters it")
    return entry.holder


def _require_about(seen: Examined, run: RunRow, approval: Approval, caller: Caller) -> None:
    policy = None if seen.stands.verdicts is None else seen.stands.verdicts.policy
    if approval.release != seen.about or approval.policy != policy:
        raise CheckFailed(
            "this decision is on another release, or on another verdict of its policy. Nothing was decided"
        )
    if run.ended_at is not None and approval.signed_at + CLOCK_SKEW < run.ended_at:
        raise CheckFailed("this decision says that it was signed before the release was made. Nothing was decided")
    before = [row.at for row in run.decisions if row.person_id == caller.person_id and row.file is not None]
    if before and approval.signed_at <= max(before):
        raise CheckFailed("this decision was signed before your last one, or is the same: sign it again")
