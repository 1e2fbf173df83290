"""A person decides on a release: what is checked before, what is signed, and what is taken back if it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from privsynth.approvals.decisions import Standing, decision_fact, standing_of, write_decision
from privsynth.approvals.statement import MEANINGS, Approval
from privsynth.errors import CheckFailed, LogDamaged, LogUnavailable, Option, OutputError, VerificationError
from privsynth.signing.envelope import Signer
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import PublicKey
from privsynth.signing.times.token import digest_of
from privsynth.signing.verification import verify_run
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.log import TransparencyLog

OpenKey = Callable[..., tuple[Signer, KeyEntry]]  # `open_key` of a home, a name and a time: it still takes the roles


@dataclass(frozen=True)
class SaidWords:
    """What a person wants to say.

    Attributes:
      meaning: one of `MEANINGS`.
      comment: in the person's words.
      against_policy: approve although the policy of the release refuses it.
    """

    meaning: str
    comment: str = ""
    against_policy: bool = False


@dataclass(frozen=True)
class Examined:
    """A release whose parts were just verified, and the decisions on it.

    Attributes:
      run: its folder.
      stands: where it stands, without a log.
      about: SHA-256 of the manifests of both parts.
      now: when that was.
    """

    run: Path
    stands: Standing
    about: tuple[str, str]
    now: datetime

    def lacks_reason(self, words: SaidWords) -> bool:
        """Say whether words approve what the policy of the release refuses, without saying so and why."""
        policy = None if self.stands.verdicts is None else self.stands.verdicts.policy
        against = policy is not None and policy.refuses and words.meaning == "approved"
        return against and not (words.against_policy and bool(words.comment.strip()))


@dataclass(frozen=True)
class Prepared:
    """A decision that is signed and that nobody knows of yet.

    Attributes:
      run: folder of the release.
      approval: what it says.
      holder, key: who signed it.
      data: the file with it.
      log: in which it will be entered, if there is one.
    """

    run: Path
    approval: Approval
    holder: str
    key: PublicKey
    data: bytes
    log: TransparencyLog | None

    @property
    def against_policy(self) -> bool:
        """Whether it approves what the policy refuses."""
        policy = self.approval.policy
        return policy is not None and policy.refuses and self.approval.meaning == "approved"

    @property
    def digest(self) -> str:
        """SHA-256 of its file."""
        return digest_of(self.data)


@dataclass(frozen=True)
class EnteredDecision:
    """A decision that was made.

    Attributes:
      path: of its file.
      place: its index in the log, and the log's length; None without a log.
    """

    path: Path
    place: tuple[int, int] | None


def examine(run: Path, keyrings: Sequence[Keyring], now: datetime) -> Examined:
    """Verify both parts of a release, and read the decisions beside them.

    Raises:
      VerificationError, UnknownSigner, OutputError: as `standing` raises them.
    """
    release, officer = verify_run(run, keyrings, now)
    stands = standing_of((release, officer), run, keyrings, now, needed=1)
    return Examined(run, stands, (release.manifest, officer.manifest), now)


def prepare(seen: Examined, words: SaidWords, opens: OpenKey, log: TransparencyLog | None) -> Prepared:
    """Return a decision, signed; nothing is written yet.

    Args:
      opens: the key of who decides.
    Raises:
      CheckFailed: the policy refuses the release and nobody said that it is approved against it and why, who decides
        made the release, or the same person rejected it less than five minutes ago.
      LogDamaged, LogUnavailable: nothing could be entered in the log now.
      KeyFileError, ConfigError: the key does not open or may not decide, or the comment is no paragraph.
    """
    policy = None if seen.stands.verdicts is None else seen.stands.verdicts.policy
    if seen.lacks_reason(words):
        raise CheckFailed(
            "the policy refuses this release. Nothing was decided: to approve it all the same, say so with ",
            Option("against_policy"),
            ", and why with ",
            Option("comment"),
        )
    if log is not None:
        log.require_ready(seen.now)
    approval = Approval(words.meaning, words.comment, seen.now, seen.about, policy)
    key, entry = opens(roles=MEANINGS[words.meaning])
    if words.meaning != "rejected" and seen.stands.made_by(entry.holder, key.public.keyid):
        raise CheckFailed(
            f"{entry.holder} made this release, and who made a release neither reviews nor approves it: that is for "
            "somebody else, with a key of their own. Nothing was decided"
        )
    if before := seen.stands.rejection_before(approval, entry.holder):
        raise CheckFailed(
            f"{entry.holder} rejected this release at {before.signed_at:%H:%M:%S} UTC, and clocks differ: an approval "
            "counts only more than five minutes after it. Nothing was decided; try again then"
        )
    data = approval.signed(key, entry.holder).to_json()
    return Prepared(seen.run, approval, entry.holder, key.public, data, log)


def decide(prepared: Prepared) -> EnteredDecision:
    """Write a decision beside its release, and enter it in the log: both, or neither.

    Raises:
      OutputError: it cannot be written; or, as the message says, it is made and only its proof cannot be.
      LogDamaged, LogUnavailable: it could not be entered, and was taken back; or, as the message says, it is made.
    """
    path = write_decision(prepared.run, prepared.approval, prepared.key, prepared.data)
    if prepared.log is None:
        return EnteredDecision(path, None)
    fact = decision_fact(prepared.approval, prepared.key)
    return EnteredDecision(path, entered(prepared.log, fact, path, prepared.approval.signed_at))


def entered(log: TransparencyLog, fact: LogEntry, path: Path, now: datetime) -> tuple[int, int]:
    """Enter a decision, keep the proof beside it, and return its index and the length of the log.

    A decision that cannot be entered is taken back. A person who is interrupted between the two finds it beside the
    release and not in the log, where it does not count until `privsynth log append` enters it.
    """
    try:
        state = log.append([fact], now)
    except (LogDamaged, LogUnavailable) as problem:
        if _is_in(log, fact):
            raise type(problem)(*problem.parts, ". The decision itself is made, and in the log") from None
        try:
            path.unlink()
        except OSError:
            raise type(problem)(*problem.parts, f". {path} is signed, and counts once it is in the log") from None
        raise type(problem)(*problem.parts, ". Nothing was decided") from None
    index = state.index_of(fact)
    assert index is not None
    proof = path.with_suffix("").with_suffix(".tlog-proof")
    try:
        with proof.open("x", encoding="utf-8") as file:  # a new file: never what a link planted there points to
            file.write(state.proof(index).to_text())
    except OSError as problem:
        raise OutputError(
            f"{proof} cannot be written: {problem.strerror}. The decision itself is made, and in the log as number "
            f"{index}; privsynth log prove writes its proof"
        ) from None
    return index, state.checkpoint.size


def _is_in(log: TransparencyLog, fact: LogEntry) -> bool:
    """Say whether a fact was entered all the same: what failed may have come after it."""
    try:
        return log.read().index_of(fact) is not None
    except (VerificationError, LogUnavailable):
        return False
