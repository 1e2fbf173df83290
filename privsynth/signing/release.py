"""Sign and verify a release: a folder with report.html, or that page alone.

    report.html             digested with its attestation element emptied, which then holds the envelope
    manifest.json           path, SHA-256 and size of every file but itself and the envelope
    attestation.dsse.json   the envelope: a statement about every file of the manifest, and the manifest

What verifying shows: these bytes are the ones that the holder of a key signed, and the reader's own keyring
lists that key. Trust never comes from the files: the public key inside the statement only serves to tell
'intact, but nobody I know' (exit 6) from 'broken' (exit 5); anyone can make a release that says it is from
anyone. The time of signing is the signer's own word. Files that change after they were checked are out of
reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from privsynth.errors import ConfigError, InputError, Option, OutputError, UnknownSigner, VerificationError
from privsynth.signing import _claims, _manifest, _time
from privsynth.signing._embedding import EMPTY_ELEMENT, MAX_REPORT_BYTES, Page
from privsynth.signing._files import (
    Digest,
    Tree,
    atomic_write,
    digest_bytes,
    digest_file,
    list_tree,
    path_problems,
    read_limited,
    shown,
)
from privsynth.signing._problems import Problems
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope, Signer, sign, verify
from privsynth.signing.keyring import KeyEntry, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.statement import PAYLOAD_TYPE, Statement, Subject

__all__ = ["EMPTY_ELEMENT", "VerificationResult", "sign_folder", "verify_folder", "verify_report"]

REPORT = "report.html"
MANIFEST = "manifest.json"
ATTESTATION = "attestation.dsse.json"
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class VerificationResult:
    """A release that holds.

    Attributes:
      keyid, fingerprint: of the key that signed.
      holder: of that key, as the reader's keyring names it.
      signed_at: as the signer says.
      kind: "public" or "officer".
      dataset: name of the dataset.
      files: how many files were checked.
      unchecked: how many signed files were not there to check (a report sent alone); 0 for a folder.
    """

    keyid: str
    fingerprint: str
    holder: str
    signed_at: datetime
    kind: str
    dataset: str
    files: int
    unchecked: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data, every field present."""
        return {**self.__dict__, "signed_at": _time.to_text(self.signed_at)}


def sign_folder(
    folder: Path,
    *,
    predicate: Mapping[str, Any],
    signer: Signer | None,
    holder: str,
    signed_at: datetime,
) -> Envelope:
    """Write manifest.json and attestation.dsse.json, and put the envelope into report.html.

    Signing again replaces all three; every other file stays as it is. In a public folder `signed_at` should
    be the same reading of the clock as `created`: their difference would tell how long the run took.

    Args:
      folder: holds report.html with one empty attestation element (`EMPTY_ELEMENT`), and the other files.
      predicate: small JSON object: `kind` (public or officer) and `dataset` at least, also `created`,
        `tool_version`.
      signer: the key; None leaves the envelope without a signature: UNSIGNED.
      holder: who holds the key, as a hint for readers; unused without a signer.
      signed_at: the time, with a zone.
    Returns:
      The envelope that was written.
    Raises:
      ConfigError: the predicate lacks a part or has no JSON form.
      OutputError: report.html is missing, a link or an unsafe file name is in the folder, there are too many
        files for one envelope, or something cannot be read or written.
      VerificationError: report.html has no attestation element, or two.
    """
    try:
        tree = list_tree(folder)
        page, files = _digested(folder, tree)
        manifest = _manifest.to_bytes(files)
        everything = {**files, MANIFEST: digest_bytes(manifest)}
        subjects = tuple(Subject(name, everything[name].sha256) for name in sorted(everything))
        key = None if signer is None else signer.public
        claims = _claims.build(predicate, key=key, holder=holder, signed_at=signed_at)
        payload = _payload(Statement(subjects, claims))
        envelope = Envelope(payload, PAYLOAD_TYPE) if signer is None else sign(payload, PAYLOAD_TYPE, signer)
        text = envelope.to_json()
        if len(text) > MAX_ENVELOPE_BYTES:
            raise OutputError(f"{folder} has too many files for one signature ({len(files):,}); write bigger parts")
        atomic_write(folder / MANIFEST, manifest)
        atomic_write(folder / REPORT, page.with_envelope(text))
        atomic_write(folder / ATTESTATION, text)
    except OSError as problem:
        raise OutputError(f"{folder} cannot be signed: {problem.strerror}") from None
    return envelope


def _digested(folder: Path, tree: Tree) -> tuple[Page, dict[str, Digest]]:
    """Return the report, and the digest of every file that the manifest will list."""
    problems = [f"{shown(name)} is a link or a device" for name in tree.strange] + path_problems(tree.files)
    if REPORT not in tree.files:
        problems.append(f"{REPORT} is missing")
    if problems:
        raise OutputError(f"{folder} cannot be signed: {'; '.join(problems)}")
    page = Page.split(read_limited(tree.files[REPORT], MAX_REPORT_BYTES))
    others = {
        name: digest_file(path) for name, path in tree.files.items() if name not in (REPORT, MANIFEST, ATTESTATION)
    }
    return page, {**others, REPORT: page.digest()}


def _payload(statement: Statement) -> bytes:
    try:
        return statement.to_bytes()
    except (TypeError, ValueError):
        raise ConfigError("the predicate of a release must be plain JSON: texts, finite numbers, lists") from None


@dataclass(frozen=True)
class _Opened:
    """An envelope whose signature fits, or that has none.

    Attributes:
      statement, claims: parsed from the bytes that were verified.
      key: who signed; None where unsigned.
      entries: of that key in the keyrings; empty if no keyring knows it.
    """

    statement: Statement
    claims: _claims.Claims
    key: PublicKey | None
    entries: tuple[KeyEntry, ...]


def verify_folder(folder: Path, keyrings: Sequence[Keyring], now: datetime) -> VerificationResult:
    """Check every file of a release against its signature, and the signer against the reader's keyrings.

    Args:
      folder: as `sign_folder` left it. It may be reached by a link; links inside it are refused, never
        followed.
      keyrings: the reader's own. A revocation in any of them holds.
      now: the time, with a zone. A revoked key is refused whatever the clock and the time of signing say; a
        period has to cover the time of signing only.
    Returns:
      Who signed what, and how many files were checked.
    Raises:
      InputError: there is no such folder, or it cannot be listed.
      VerificationError: one message with every file that was changed, is missing or was added, and everything
        else that is wrong with the envelope, the signature or the key.
      UnknownSigner: all of it fits the key that the statement names, but no keyring has that key.
    """
    try:
        tree = list_tree(folder)
    except OSError as problem:
        raise InputError(f"there is no release to read at {folder}: {problem.strerror}") from None
    problems = Problems(other=[f"{shown(name)} is a link or a device" for name in tree.strange])
    page = _page(tree, problems)
    try:
        opened = _open_first(_envelopes(tree, page, problems), entries_by_key(keyrings))
        _check_files(tree, page, opened.statement, problems)
    except VerificationError as problem:
        problems.other.append(str(problem))
        raise problems.error(folder) from None
    return _conclude(folder, opened, problems, now=now, files=len(opened.statement.subjects))


def verify_report(html_file: Path, keyrings: Sequence[Keyring], now: datetime) -> VerificationResult:
    """Check a report.html that came alone; its name does not matter. The other files were not there to check.

    Args, Raises: as `verify_folder`.
    Returns:
      Who signed; `files` is 1 and `unchecked` says how many signed files were not there.
    """
    html_file = html_file.resolve()
    try:
        html = read_limited(html_file, MAX_REPORT_BYTES)
    except OSError as problem:
        raise InputError(f"there is no report to read at {html_file}: {problem.strerror}") from None
    problems = Problems()
    try:
        page = Page.split(html)
        opened = _open_first([page.embedded], entries_by_key(keyrings))
        subjects = _subjects(opened.statement)
    except VerificationError as problem:
        problems.other.append(str(problem))
        raise problems.error(html_file) from None
    if page.digest().sha256 != subjects[REPORT]:
        problems.changed.append(REPORT)
    return _conclude(html_file, opened, problems, now=now, files=1, unchecked=len(subjects) - 1)


def _page(tree: Tree, problems: Problems) -> Page | None:
    """Return the report in its parts, or None after saying why not."""
    if REPORT not in tree.files:
        return None
    try:
        return Page.split(read_limited(tree.files[REPORT], MAX_REPORT_BYTES))
    except OSError as problem:
        problems.other.append(f"{REPORT} cannot be read: {problem.strerror}")
    except VerificationError as problem:
        problems.other.append(str(problem))
    return None


def _envelopes(tree: Tree, page: Page | None, problems: Problems) -> list[bytes]:
    """Return the envelope beside the report and the one inside; say so if one is missing or differs."""
    found = [] if page is None or not page.embedded else [page.embedded]
    if page is not None and not page.embedded:
        problems.other.append(f"{REPORT} carries no envelope")
    if ATTESTATION not in tree.files:
        problems.missing.append(ATTESTATION)
        return found
    try:
        beside = read_limited(tree.files[ATTESTATION], MAX_ENVELOPE_BYTES)
    except OSError as problem:
        problems.other.append(f"{ATTESTATION} cannot be read: {problem.strerror}")
        return found
    if found and beside != found[0]:
        problems.other.append(f"the envelope inside {REPORT} differs from {ATTESTATION} beside it")
        return [beside, *found]
    return [beside]


def _open_first(envelopes: Sequence[bytes], trusted: Mapping[PublicKey, list[KeyEntry]]) -> _Opened:
    """Open the first envelope that holds; where they differ the release fails anyway, with more to say."""
    failures = []
    for data in envelopes:
        try:
            return _open(data, trusted)
        except VerificationError as problem:
            failures.append(problem)
    raise failures[0] if failures else VerificationError("it carries no envelope, so nobody signed it")


def _open(data: bytes, trusted: Mapping[PublicKey, list[KeyEntry]]) -> _Opened:
    """Parse an envelope once and check its signature: by a trusted key, else by the key it names."""
    envelope = Envelope.from_json(data)
    if len(envelope.signatures) > 1:
        raise VerificationError("the envelope has several signatures; a release has one")
    try:
        key = verify(envelope, trusted)[0]
    except VerificationError:
        key = None
    statement = Statement.from_bytes(envelope.payload, payload_type=envelope.payload_type)
    claims = _claims.parse(statement.predicate)
    if not envelope.signatures:
        return _Opened(statement, claims, None, ())
    if key is None:
        key = _named(envelope, claims)
    if claims.key != key or envelope.signatures[0].keyid != key.keyid:
        raise VerificationError("the statement names another key than the one that signed it")
    return _Opened(statement, claims, key, tuple(trusted.get(key, ())))


def _named(envelope: Envelope, claims: _claims.Claims) -> PublicKey:
    """Return the key that the statement names, if the signature fits it: intact, not trusted."""
    try:
        return verify(envelope, [] if claims.key is None else [claims.key])[0]
    except VerificationError:
        raise VerificationError(
            "the signature does not fit: the statement was changed, or another key signed it"
        ) from None


def _subjects(statement: Statement) -> dict[str, str]:
    """Return path -> SHA-256, with paths that are safe to print and to compare."""
    subjects = {subject.name: subject.sha256 for subject in statement.subjects}
    problems = path_problems(subjects)
    if problems:
        raise VerificationError(f"the statement: {'; '.join(problems)}")
    if REPORT not in subjects or MANIFEST not in subjects or ATTESTATION in subjects:
        raise VerificationError(f"the statement must be about {REPORT} and {MANIFEST}, and not about {ATTESTATION}")
    return subjects


def _check_files(tree: Tree, page: Page | None, statement: Statement, problems: Problems) -> None:
    """Compare the folder with the statement, then the manifest with both."""
    subjects = _subjects(statement)
    problems.added += tree.files.keys() - subjects.keys() - {ATTESTATION}
    # A link in the place of a file has been named as a link already.
    problems.missing += subjects.keys() - tree.files.keys() - set(tree.strange)
    digests: dict[str, Digest] = {} if page is None else {REPORT: page.digest()}
    manifest = b""
    for name in (subjects.keys() & tree.files.keys()) - {REPORT}:
        try:
            if name == MANIFEST:
                manifest = read_limited(tree.files[name], _manifest.MAX_MANIFEST_BYTES)
                digests[name] = digest_bytes(manifest)
            else:
                digests[name] = digest_file(tree.files[name])
        except OSError as problem:
            problems.other.append(f"{name} cannot be read: {problem.strerror}")
    changed = [name for name, digest in digests.items() if digest.sha256 != subjects[name]]
    problems.changed += changed
    if MANIFEST not in digests or MANIFEST in changed:
        return
    listed = _manifest.from_bytes(manifest)
    if {name: digest.sha256 for name, digest in listed.items()} != {
        name: sha256 for name, sha256 in subjects.items() if name != MANIFEST
    }:
        problems.other.append(f"{MANIFEST} lists other files than the statement")
    wrong = [name for name in listed if name in digests and name not in changed and listed[name] != digests[name]]
    if wrong:
        problems.other.append(f"{MANIFEST} gives a wrong size or digest for {', '.join(wrong)}")


def _conclude(
    what: Path, opened: _Opened, problems: Problems, *, now: datetime, files: int, unchecked: int = 0
) -> VerificationResult:
    """Judge the signer, after every digest was checked."""
    key, claims = opened.key, opened.claims
    if key is None:
        problems.other.append("it is UNSIGNED: anyone can have made it")
        raise problems.error(what)
    entry, sentence = _judge(opened.entries, claims.signed_at, now)
    if sentence:
        problems.other.append(sentence)
    if problems:
        raise problems.error(what)
    if entry is None:
        raise UnknownSigner(
            f"{what} is intact, but no keyring that was given knows its signer, key {key.fingerprint}. It "
            f"says that it is from '{shown(claims.holder or '')}', which anyone can write. Ask them for the "
            "fingerprint and the keyring by another way than the release came, then verify it with ",
            Option("keyring", python="that keyring"),
        )
    return VerificationResult(
        keyid=key.keyid,
        fingerprint=key.fingerprint,
        holder=entry.holder,
        signed_at=claims.signed_at,
        kind=claims.kind,
        dataset=claims.dataset,
        files=files,
        unchecked=unchecked,
    )


def _judge(entries: Sequence[KeyEntry], signed_at: datetime, now: datetime) -> tuple[KeyEntry | None, str]:
    """Return the entry that vouches for a signature, or a sentence why none does; or neither."""
    for entry in entries:
        if entry.status == "revoked":
            # Without a time stamp from a third party a thief could claim an earlier time of signing.
            return None, f"{entry.problem(now)}; signatures that claim an earlier time are refused as well"
    if signed_at > now + CLOCK_SKEW:
        return (
            None,
            f"it says it was signed on {_time.to_text(signed_at)}, which is later than this computer's clock",
        )
    for entry in entries:
        if not entry.problem(signed_at):
            return entry, ""
    if not entries:
        return None, ""
    return None, f"{entries[0].problem(signed_at)}, and it says it was signed on {_time.to_text(signed_at)}"
