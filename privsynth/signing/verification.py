"""Verify a release: a folder that `privsynth.signing.release` signed, or its report.html alone.

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

from privsynth.errors import ConfigError, InputError, Option, UnknownSigner, VerificationError
from privsynth.notebook import card, promise_text
from privsynth.signing._embedding import MAX_REPORT_BYTES, START, Page
from privsynth.signing._files import (
    MAX_MANIFEST_BYTES,
    Digest,
    Tree,
    digest_bytes,
    digest_file,
    list_tree,
    open_regular,
    parse_manifest,
    path_problems,
    read_limited,
    shown,
)
from privsynth.signing._problems import Problems
from privsynth.signing._promise import Promise, read_promise
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope, verify
from privsynth.signing.keyring import KeyEntry, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.release import ATTESTATION, MANIFEST, REPORT, REPORT_JSON
from privsynth.signing.statement import KINDS, Claims, Statement, parse_predicate
from privsynth.strict.time import to_text

__all__ = ["Expected", "Promise", "VerificationResult", "verify_folder", "verify_report", "verify_run"]

# What the clocks of two computers that are set by the network may differ by, with room to spare.
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
      promise: ε, δ and unit as the signed report.json states them; None where it states none or is not there.
      release: of an officer's folder: SHA-256 of the manifest of the public folder that it is about, or None.
      manifest: SHA-256 of the folder's own manifest, which stands for all of its files.
    """

    keyid: str
    fingerprint: str
    holder: str
    signed_at: datetime
    kind: str
    dataset: str
    files: int
    unchecked: int = 0
    promise: Promise | None = None
    release: str | None = None
    manifest: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data, every field present."""
        promise = None if self.promise is None else dict(self.promise.__dict__)
        return {**self.__dict__, "signed_at": to_text(self.signed_at), "promise": promise}

    def _repr_html_(self) -> str:
        alone = f"; {self.unchecked} more were not there to check" if self.unchecked else ""
        said = self.promise
        promise = "" if said is None else promise_text(said.epsilon, said.delta, said.unit, said.max_rows_per_unit)
        return card(
            f"Verified: {self.kind} release of {self.dataset}",
            [
                ("Promise", promise),
                ("Signed by", self.holder),
                ("Fingerprint", self.fingerprint),
                ("Signed at", f"{to_text(self.signed_at)} (the signer's word)"),
                ("Files", f"{self.files} checked{alone}"),
            ],
        )


@dataclass(frozen=True)
class Expected:
    """What a reader asked for: an intact folder of another kind or table is not what was asked for.

    Attributes:
      kind: "public" or "officer"; None takes either.
      dataset: its name; None takes any.
    Raises:
      ConfigError: another kind.
    """

    kind: str | None = None
    dataset: str | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ConfigError("the kind of a release is public or officer")

    def problems(self, claims: Claims) -> list[str]:
        """Return a sentence for each thing that differs."""
        found = []
        if self.kind not in (None, claims.kind):
            found.append(f"it is of the kind {claims.kind}, and {self.kind} was asked for")
        if self.dataset not in (None, claims.dataset):
            found.append(f"it is of the dataset '{shown(claims.dataset)}', and another was asked for")
        return found


ANYTHING = Expected()
# First bytes of files that people give instead of a folder.
_NOT_A_REPORT = {
    b"PK\x03\x04": "is a ZIP archive: unpack it, then verify the folder that comes out",
    b"\x1f\x8b": "is an archive: unpack it, then verify the folder that comes out",
    b"PAR1": "is a table, which bears no signature: verify the folder of the release that it came in",
}


@dataclass(frozen=True)
class _Opened:
    """An envelope whose signature fits, or that has none.

    Attributes:
      statement, claims: parsed from the bytes that were verified.
      key: who signed; None where unsigned.
      entries: of that key in the keyrings; empty if no keyring knows it.
    """

    statement: Statement
    claims: Claims
    key: PublicKey | None
    entries: tuple[KeyEntry, ...]


def verify_folder(
    folder: Path, keyrings: Sequence[Keyring], now: datetime, expected: Expected = ANYTHING
) -> VerificationResult:
    """Check every file of a release against its signature, and the signer against the reader's keyrings.

    Args:
      folder: as `sign_folder` left it. It may be reached by a link; links inside it are refused, never
        followed.
      keyrings: the reader's own. A revocation in any of them holds.
      now: the time, with a zone. A revoked key is refused whatever the clock and the time of signing say; a
        period has to cover the time of signing only.
      expected: what kind, and of which dataset.
    Returns:
      Who signed what, and how many files were checked.
    Raises:
      InputError: there is no such folder, or it cannot be listed.
      VerificationError: one message with every file that was changed, is missing or was added, and everything
        else that is wrong with the envelope, the signature or the key, or that is not as expected.
      UnknownSigner: all of it fits the key that the statement names, but no keyring has that key.
    """
    try:
        tree = list_tree(folder)
    except OSError as problem:
        raise InputError(f"there is no release to read at {folder}: {problem.strerror}") from None
    problems = Problems(other=tree.problems())
    page = _page(tree, problems)
    try:
        opened = _open_first(_envelopes(tree, page, problems), entries_by_key(keyrings))
        _check_files(tree, page, opened.statement, problems)
    except VerificationError as problem:
        problems.other.append(str(problem))
        raise problems.error(folder) from None
    problems.unexpected += expected.problems(opened.claims)
    entry = _trusted(folder, opened, problems, now)
    signed = {subject.name: subject.sha256 for subject in opened.statement.subjects}
    promise = read_promise(tree.files[REPORT_JSON], signed[REPORT_JSON]) if REPORT_JSON in signed else None
    return _result(opened, entry, files=len(signed), promise=promise)


def verify_run(
    folder: Path, keyrings: Sequence[Keyring], now: datetime, expected: Expected = ANYTHING
) -> tuple[VerificationResult, VerificationResult]:
    """Check a folder that holds both parts of a run, and that the officer's report is about that public release.

    Args, Raises: as `verify_folder`.
    Returns:
      Of the public part and of the officer's.
    """
    public, officer = (verify_folder(folder / kind, keyrings, now, Expected(kind, expected.dataset)) for kind in KINDS)
    problems = Problems()
    if (public.keyid, public.dataset) != (officer.keyid, officer.dataset):
        problems.unexpected.append("the officer's folder is of another signer or dataset than the one in 'public'")
    if officer.release is None:
        problems.unexpected.append("the officer's folder does not say which release it is about (an earlier version)")
    elif officer.release != public.manifest:
        problems.unexpected.append("the officer's report is about another release than the one in 'public'")
    if problems:
        raise problems.error(folder)
    return public, officer


def verify_report(
    html_file: Path, keyrings: Sequence[Keyring], now: datetime, expected: Expected = ANYTHING
) -> VerificationResult:
    """Check a report.html that came alone; its name does not matter. The other files were not there to check.

    Args, Raises: as `verify_folder`.
    Returns:
      Who signed; `files` is 1 and `unchecked` says how many signed files were not there.
    Raises:
      InputError: an archive or a table, with what to do instead.
    """
    html_file = html_file.resolve()
    try:
        _refuse_other_files(html_file)
        html = read_limited(html_file, MAX_REPORT_BYTES)
    except OSError as problem:
        raise InputError(f"there is no report to read at {html_file}: {problem.strerror}") from None
    if START not in html and not html.lstrip().startswith(b"<"):
        raise InputError(f"{html_file} is no report: give the folder of a release, or its report.html")
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
    problems.unexpected += expected.problems(opened.claims)
    entry = _trusted(html_file, opened, problems, now)
    return _result(opened, entry, files=1, unchecked=len(subjects) - 1)


def _refuse_other_files(path: Path) -> None:
    with open_regular(path) as file:
        first = file.read(4)
    for magic, sentence in _NOT_A_REPORT.items():
        if first.startswith(magic):
            raise InputError(f"{path} {sentence}")


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
    claims = parse_predicate(statement.predicate)
    if not envelope.signatures:
        return _Opened(statement, claims, None, ())
    if key is None:
        key = _named(envelope, claims)
    if claims.key != key or envelope.signatures[0].keyid != key.keyid:
        raise VerificationError("the statement names another key than the one that signed it")
    return _Opened(statement, claims, key, tuple(trusted.get(key, ())))


def _named(envelope: Envelope, claims: Claims) -> PublicKey:
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
                manifest = read_limited(tree.files[name], MAX_MANIFEST_BYTES)
                digests[name] = digest_bytes(manifest)
            else:
                digests[name] = digest_file(tree.files[name])
        except OSError as problem:
            problems.other.append(f"{name} cannot be read: {problem.strerror}")
    changed = [name for name, digest in digests.items() if digest.sha256 != subjects[name]]
    problems.changed += changed
    if MANIFEST not in digests or MANIFEST in changed:
        return
    listed = parse_manifest(manifest)
    if {name: digest.sha256 for name, digest in listed.items()} != {
        name: sha256 for name, sha256 in subjects.items() if name != MANIFEST
    }:
        problems.other.append(f"{MANIFEST} lists other files than the statement")
    wrong = [name for name in listed if name in digests and name not in changed and listed[name] != digests[name]]
    if wrong:
        problems.other.append(f"{MANIFEST} gives a wrong size or digest for {', '.join(wrong)}")


def _trusted(what: Path, opened: _Opened, problems: Problems, now: datetime) -> KeyEntry:
    """Return the entry that vouches for the signer, after every digest was checked; or raise all that is wrong."""
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
            f"{what} is intact, but no keyring that was read knows its signer, key {key.fingerprint}. It "
            f"says that it is from '{shown(claims.holder or '')}', which anyone can write. Ask them for the "
            "fingerprint and the keyring by another way than the release came, then verify it with ",
            Option("keyring", python="that keyring"),
        )
    return entry


def _result(
    opened: _Opened, entry: KeyEntry, *, files: int, unchecked: int = 0, promise: Promise | None = None
) -> VerificationResult:
    claims = opened.claims
    return VerificationResult(
        keyid=entry.keyid,
        fingerprint=entry.fingerprint,
        holder=entry.holder,
        signed_at=claims.signed_at,
        kind=claims.kind,
        dataset=claims.dataset,
        files=files,
        unchecked=unchecked,
        promise=promise,
        release=claims.release,
        manifest=next(item.sha256 for item in opened.statement.subjects if item.name == MANIFEST),
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
            f"it says it was signed on {to_text(signed_at)}, which is later than this computer's clock",
        )
    for entry in entries:
        if not entry.problem(signed_at):
            return entry, ""
    if not entries:
        return None, ""
    return None, f"{entries[0].problem(signed_at)}, and it says it was signed on {to_text(signed_at)}"
