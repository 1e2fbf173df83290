"""Decisions beside a run: written one by one, never over one another, and read together.

out/public, out/officer     the release, signed by who made it
out/approvals/*.dsse.json   a decision each; the release's own files stay as they are
out/approvals/*.tlog-proof  that it is in the log, where there is one

Whoever may write into that folder can remove a decision. A log (`privsynth.transparency`) shows that: what it has and
the folder has not is missing, and a decision that it has not does not count.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.approvals.statement import MAX_BYTES, MEANINGS, Approval, opened
from privsynth.approvals.verdict import PolicyVerdict, ReportVerdicts, report_verdicts
from privsynth.errors import OutputError, VerificationError
from privsynth.signing._files import atomic_write, read_limited
from privsynth.signing.checks.trust import CLOCK_SKEW, judge
from privsynth.signing.envelope import Signer
from privsynth.signing.keyring import KeyEntry, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.times.token import digest_of
from privsynth.signing.verification import VerificationResult, verify_run
from privsynth.strict.time import to_text
from privsynth.transparency.entry import DECISIONS, LogEntry
from privsynth.transparency.state import LogState

FOLDER = "approvals"
NOT_LOGGED = "it is not in the log: have its keeper enter it with 'privsynth log append'"
NOT_TOLD = "the policy refuses the release, and it does not say that it approves against it"
MOST = 1_000  # decisions that are read (own): each costs a signature's time


@dataclass(frozen=True)
class Read:
    """A file with a decision, as it was found.

    Attributes:
      name: of the file.
      approval: what it says; None if it cannot be read.
      entry: of the key that signed it, in the reader's keyring; None if the decision does not count.
      problem: why it does not count, or "".
      blocks: whether it is, or may have been, a rejection: nobody should have to notice that it was damaged.
      index: of its entry in the log; None if it is in none, or nobody looked.
      key: that its signature fits.
      digest: SHA-256 of the file, hex.
    """

    name: str
    approval: Approval | None
    entry: KeyEntry | None
    problem: str
    blocks: bool = False
    index: int | None = None
    key: PublicKey | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        said = self.approval
        return {
            "file": self.name,
            "meaning": None if said is None else said.meaning,
            "comment": None if said is None else said.comment,
            "policy": None if said is None or said.policy is None else said.policy.to_json(),
            "signed_at": None if said is None else to_text(said.signed_at),
            "holder": None if self.entry is None else self.entry.holder,
            "fingerprint": None if self.entry is None else self.entry.fingerprint,
            "problem": self.problem,
            "log_index": self.index,
        }


@dataclass(frozen=True)
class MissingDecision:
    """A decision that was entered in the log, and is not beside the release any more.

    Attributes:
      index: of the entry.
      entry: what it says.
      holder: of the key, in the reader's keyring; "" if no keyring has it.
    """

    index: int
    entry: LogEntry
    holder: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        said = self.entry
        return {
            "log_index": self.index,
            "meaning": said.kind,
            "signed_at": to_text(said.signed_at),
            "holder": self.holder or None,
            "keyid": said.by,
        }


@dataclass(frozen=True)
class Standing:
    """Where a release stands.

    Attributes:
      release: who made it.
      needed: people who have to approve, none of whom made it: as many as the release's own policy asks for, or more.
      read: every decision that is there, in the order of time.
      makers: everybody whom a keyring names as the holder of the key that made the release.
      missing: decisions that the log has and the folder has not, with index and holder; None without a log.
      verdicts: of the officer's report; None if it has no report.json.
    """

    release: VerificationResult
    needed: int
    read: tuple[Read, ...]
    makers: frozenset[str]
    missing: tuple[MissingDecision, ...] | None = None
    verdicts: ReportVerdicts | None = None

    @property
    def last_words(self) -> dict[str, tuple[Approval, KeyEntry]]:
        """Person -> the last decision that counts: a later one takes the place of an earlier one, reviews aside.

        Times are the signers' word, and clocks may be ahead by `CLOCK_SKEW`: an approval takes the place of the same
        person's rejection only if it is later by more than that.
        """
        found: dict[str, tuple[Approval, KeyEntry]] = {}
        for one in self.read:
            if one.approval is None or one.entry is None or one.approval.meaning == "reviewed":
                continue
            person = person_named(one.entry.holder)
            if person not in found or not _too_soon(found[person][0], one.approval):
                found[person] = (one.approval, one.entry)
        return found

    def rejection_before(self, approval: Approval, holder: str) -> Approval | None:
        """Return this person's last word if it is a rejection that such an approval would not take the place of."""
        said = self.last_words.get(person_named(holder))
        return None if said is None or not _too_soon(said[0], approval) else said[0]

    def made_by(self, holder: str, keyid: str) -> bool:
        """Say whether a person made the release, by any of their keys."""
        return keyid == self.release.keyid or person_named(holder) in self.makers

    @property
    def approved_by(self) -> list[str]:
        """Holders who approve and did not make the release."""
        return [
            entry.holder
            for person, (approval, entry) in self.last_words.items()
            if approval.meaning == "approved" and person not in self.makers
        ]

    @property
    def rejected_by(self) -> list[str]:
        """Holders who reject it; one is enough."""
        return [entry.holder for approval, entry in self.last_words.values() if approval.meaning == "rejected"]

    @property
    def named(self) -> list[tuple[Approval, KeyEntry]]:
        """What an edition names, in the order of time: of each person who did not make it the last word and review."""
        last: dict[tuple[str, bool], tuple[Approval, KeyEntry]] = {}
        for one in self.read:
            if one.approval is not None and one.entry is not None:
                person = person_named(one.entry.holder)
                if person not in self.makers:
                    last[person, one.approval.meaning == "reviewed"] = (one.approval, one.entry)
        return sorted(last.values(), key=lambda said: said[0].signed_at)

    @property
    def unlogged(self) -> list[str]:
        """Names of the files whose decision would count if it were in the log."""
        return [one.name for one in self.read if one.problem == NOT_LOGGED]

    @property
    def state(self) -> str:
        """Return "rejected", "approved" or "open"."""
        if self.rejected_by:
            return "rejected"
        if self.missing or any(one.blocks for one in self.read):
            return "open"
        return "approved" if len(self.approved_by) >= self.needed else "open"


def _order(one: Read) -> tuple[str, bool, str]:
    """Return what sorts decisions by time; of one second a rejection is the last, whatever the files are called."""
    if one.approval is None:
        return "", False, one.name
    return to_text(one.approval.signed_at), one.approval.meaning == "rejected", one.name


def _too_soon(before: Approval, after: Approval) -> bool:
    rejected = (before.meaning, after.meaning) == ("rejected", "approved")
    return rejected and after.signed_at - before.signed_at <= CLOCK_SKEW


def person_named(holder: str) -> str:
    """Return what tells people apart: two keys, or two spellings, of one holder are one person."""
    return " ".join(unicodedata.normalize("NFKC", holder).split()).casefold()


def record(run: Path, approval: Approval, key: Signer, holder: str) -> Path:
    """Sign a decision and write it beside a run, as a new file, and return that.

    Raises:
      OutputError: it cannot be written.
      KeyFileError: a device that holds the key does not sign.
    """
    return write_decision(run, approval, key.public, approval.signed(key, holder).to_json())


def write_decision(run: Path, approval: Approval, key: PublicKey, data: bytes) -> Path:
    """Write a signed decision beside a run, as a new file in one step, and return that.

    Raises:
      OutputError: it cannot be written; nothing is left of it, since half a decision would block the release.
    """
    folder = run / FOLDER
    stamp = to_text(approval.signed_at).replace(":", "").replace("-", "")
    path = folder / f"{stamp}-{approval.meaning}-{key.keyid[:8]}.dsse.json"
    if os.path.lexists(path):
        raise OutputError(f"{path} is there already; wait a second, and try again")
    try:
        folder.mkdir(exist_ok=True)
        atomic_write(path, data)
    except OSError as problem:
        raise OutputError(f"{folder} cannot be written: {problem.strerror}") from None
    return path


def decision_fact(approval: Approval, key: PublicKey) -> LogEntry:
    """Return what a log has of a decision: no comment, and nothing of the officer's folder."""
    return LogEntry(approval.meaning, approval.release[0], key.keyid, approval.signed_at)


def decision_facts(run: Path, about: tuple[str, str], keyrings: Sequence[Keyring]) -> list[LogEntry]:
    """Return what a log is to have of the decisions beside a run: those on this release, by keys that are known.

    Raises:
      OutputError: they cannot be read.
    """
    found, known = [], entries_by_key(keyrings)
    for path in _paths(run / FOLDER):
        try:
            approval, key = opened(read_limited(path, MAX_BYTES * 2))
        except VerificationError:
            continue
        except OSError as problem:
            raise OutputError(f"{path} cannot be read: {problem.strerror}") from None
        if approval.release == about and key in known:
            found.append(decision_fact(approval, key))
    return sorted(found, key=lambda fact: fact.signed_at)


def standing(
    run: Path, keyrings: Sequence[Keyring], now: datetime, *, needed: int, log: LogState | None = None
) -> Standing:
    """Return where a release stands: both parts are verified, then every decision beside them.

    Args:
      log: what a log says, if there is one: a decision counts only if it is there, and none may be missing.
    Raises:
      VerificationError: the release itself does not verify.
      UnknownSigner: no keyring knows who made it.
      OutputError: the decisions cannot be read.
    """
    found = standing_of(verify_run(run, keyrings, now), run, keyrings, now, needed=needed)
    if log is None:
        return found
    logged = tuple(_logged(one, log) for one in found.read)
    missing = tuple(_missing(found.release.manifest, logged, log, entries_by_key(keyrings)))
    return replace(found, read=logged, missing=missing)


def standing_of(
    verified: tuple[VerificationResult, VerificationResult],
    run: Path,
    keyrings: Sequence[Keyring],
    now: datetime,
    *,
    needed: int,
) -> Standing:
    """Return where a release stands, without a log, whose parts `verify_run` has just verified.

    Raises:
      OutputError: the decisions cannot be read.
    """
    release, officer = verified
    folder, about = run / FOLDER, (release.manifest, officer.manifest)
    verdicts = report_verdicts(run)
    policy = None if verdicts is None else verdicts.policy
    try:
        known = entries_by_key(keyrings)
        read = [_told_of(policy, _read(path, about, known, now)) for path in _paths(folder)]
    except OSError as problem:
        raise OutputError(f"{folder} cannot be read: {problem.strerror}") from None
    read.sort(key=_order)
    makers = frozenset(
        person_named(entry.holder) for key, entries in known.items() if key.keyid == release.keyid for entry in entries
    )
    most = max(needed, 1 if verdicts is None else verdicts.approvals)
    return Standing(release, most, tuple(read), makers, verdicts=verdicts)


def _told_of(policy: PolicyVerdict | None, one: Read) -> Read:
    """Return a decision; one that approves what the policy refuses counts only if it says so."""
    if policy is None or not policy.refuses or one.approval is None or one.entry is None:
        return one
    if one.approval.meaning != "approved" or one.approval.policy == policy:
        return one
    return replace(one, entry=None, problem=NOT_TOLD)


def _paths(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.dsse.json")) if folder.is_dir() else []
    if len(paths) > MOST:
        raise OutputError(f"{folder} holds more than {MOST:,} decisions; move those of other releases away")
    return paths


def _logged(one: Read, log: LogState) -> Read:
    """Return a decision with its place in the log; one that has none does not count."""
    if one.approval is None or one.key is None:
        return one
    index = log.index_of(decision_fact(one.approval, one.key))
    if index is not None or one.entry is None:
        # Whoever keeps the log knew the key of a rejection that is in it, even if this reader does not.
        blocks = one.blocks or (index is not None and one.entry is None and one.approval.meaning == "rejected")
        return replace(one, index=index, blocks=blocks)
    return replace(one, entry=None, problem=NOT_LOGGED, blocks=one.approval.meaning == "rejected")


def _missing(
    release: str, read: Sequence[Read], log: LogState, known: Mapping[PublicKey, list[KeyEntry]]
) -> Iterator[MissingDecision]:
    there = {one.index for one in read}
    holders = {key.keyid: entries[0].holder for key, entries in known.items()}
    for index, entry in enumerate(log.entries):
        if entry.release == release and entry.kind in DECISIONS and index not in there:
            yield MissingDecision(index, entry, holders.get(entry.by, ""))


def _read(path: Path, about: tuple[str, str], known: Mapping[PublicKey, list[KeyEntry]], now: datetime) -> Read:
    data = read_limited(path, MAX_BYTES * 2)
    try:
        approval, key = opened(data)
    except VerificationError as problem:
        return Read(path.name, None, None, str(problem), blocks=True)
    if approval.release != about:
        return Read(path.name, approval, None, "it is about another release")
    return replace(_judged(path.name, approval, key, known, now), key=key, digest=digest_of(data))


def _judged(
    name: str, approval: Approval, key: PublicKey, known: Mapping[PublicKey, list[KeyEntry]], now: datetime
) -> Read:
    entries = known.get(key, [])
    if not entries:
        return Read(name, approval, None, f"no keyring has its key, {key.fingerprint}")
    entry, why_not = judge(entries, MEANINGS[approval.meaning], approval.signed_at, now)
    if len({person_named(one.holder) for one in entries}) > 1:
        entry, why_not = None, f"the keyrings name different holders of its key, {key.fingerprint}"
    return Read(name, approval, entry, why_not, blocks=entry is None and approval.meaning == "rejected")
