"""Verify a release: a folder that `privsynth.signing.release` signed, or its report.html alone.

What verifying shows: these bytes are the ones that the holder of a key signed, and the reader's own keyring
lists that key. Trust never comes from the files: the public key inside the statement only serves to tell
'intact, but nobody I know' (exit 6) from 'broken' (exit 5); anyone can make a release that says it is from
anyone. The time of signing is the signer's own word. Files that change after they were checked are out of
reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.errors import InputError, Option, UnknownSigner, VerificationError
from privsynth.signing._embedding import MAX_REPORT_BYTES, START, Page
from privsynth.signing._files import Tree, list_tree, open_regular, read_limited, shown
from privsynth.signing.checks.edition import Edition, edition_of
from privsynth.signing.checks.files import check_files, has_token, subjects_of
from privsynth.signing.checks.opening import Opened, open_first
from privsynth.signing.checks.problems import Problems
from privsynth.signing.checks.promise import Promise, promise_of, read_report
from privsynth.signing.checks.result import ANYTHING, Expected, VerificationResult
from privsynth.signing.checks.trust import judge
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES
from privsynth.signing.keyring import MAKER, KeyEntry, Keyring, entries_by_key
from privsynth.signing.keys import PublicKey
from privsynth.signing.release import ATTESTATION, MANIFEST, REPORT, REPORT_JSON
from privsynth.signing.statement import KINDS, Claims

__all__ = [
    "Edition",
    "Expected",
    "Promise",
    "VerificationResult",
    "require_signable",
    "verify_folder",
    "verify_report",
    "verify_run",
]

# First bytes of files that people give instead of a folder.
_NOT_A_REPORT = {
    b"PK\x03\x04": "is a ZIP archive: unpack it, then verify the folder that comes out",
    b"\x1f\x8b": "is an archive: unpack it, then verify the folder that comes out",
    b"PAR1": "is a table, which bears no signature: verify the folder of the release that it came in",
}


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
    tree, opened, problems = _opened(folder, entries_by_key(keyrings))
    problems.unexpected += expected.problems(opened.claims)
    signed = {subject.name: subject.sha256 for subject in opened.statement.subjects}
    there = REPORT_JSON in signed and REPORT_JSON in tree.files
    report = read_report(tree.files[REPORT_JSON], signed[REPORT_JSON]) if there else None
    edition = _edition(report, opened.claims.draft, problems)
    entry = _trusted(folder, opened, problems, now)
    result = _result(opened, entry, files=len(signed), promise=promise_of(report), edition=edition)
    return replace(result, has_token=has_token(tree))


def require_signable(folder: Path, key: PublicKey) -> tuple[Claims, str]:
    """Return what a folder that nobody has signed says of itself, and the digest of its manifest; every file fits.

    Args:
      key: who will sign it; what this key has signed already may be signed again.
    Raises:
      InputError: there is no such folder.
      VerificationError: a file was changed, is missing or was added, or somebody else signed it.
    """
    _, opened, problems = _opened(folder, {}, cut_short=True)
    if opened.key not in (None, key):
        problems.other.append("another key signed it")
    if problems:
        raise problems.error(folder)
    return opened.claims, subjects_of(opened.statement)[MANIFEST]


def _opened(
    folder: Path, known: Mapping[PublicKey, list[KeyEntry]], *, cut_short: bool = False
) -> tuple[Tree, Opened, Problems]:
    """Return the files of a folder, its envelope, and what is wrong with both; every file was held against it.

    Args:
      cut_short: signing may have been: the page has a signature already, and the file beside it has none.
    Raises:
      InputError, VerificationError: as `verify_folder`, where there is nothing to go on with.
    """
    try:
        tree = list_tree(folder)
    except OSError as problem:
        raise InputError(f"there is no release to read at {folder}: {problem.strerror}") from None
    problems = Problems(other=tree.problems())
    page = _page(tree, problems)
    try:
        opened = open_first(_envelopes(tree, page, Problems() if cut_short else problems), known)
        check_files(tree, page, opened.statement, problems)
    except VerificationError as problem:
        problems.other.append(str(problem))
        raise problems.error(folder) from None
    return tree, opened, problems


def verify_run(
    folder: Path, keyrings: Sequence[Keyring], now: datetime, expected: Expected = ANYTHING
) -> tuple[VerificationResult, VerificationResult]:
    """Check a folder that holds both parts of a run, and that the officer's report is about that public release.

    Args, Raises: as `verify_folder`.
    Returns:
      Of the public part and of the officer's.
    """
    if (folder / MANIFEST).is_file() and not any((folder / kind).is_dir() for kind in KINDS):
        raise InputError(f"{folder} is one part of a release: give the folder that holds public/ and officer/")
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
        opened = open_first([page.embedded], entries_by_key(keyrings))
        subjects = subjects_of(opened.statement)
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


def _edition(report: Any, draft: str | None, problems: Problems) -> Edition | None:
    """Return who decided on an edition; nothing is said of a report.json that was changed or is missing anyway."""
    try:
        return edition_of(report, draft)
    except VerificationError as problem:
        if REPORT_JSON not in {*problems.changed, *problems.missing}:
            problems.other.append(str(problem))
        return None


def _trusted(what: Path, opened: Opened, problems: Problems, now: datetime) -> KeyEntry:
    """Return the entry that vouches for the signer, after every digest was checked; or raise all that is wrong."""
    key, claims = opened.key, opened.claims
    if key is None:
        problems.unsigned = True
        raise problems.error(what)
    entry, sentence = judge(opened.entries, (MAKER,), claims.signed_at, now)
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
    opened: Opened,
    entry: KeyEntry,
    *,
    files: int,
    unchecked: int = 0,
    promise: Promise | None = None,
    edition: Edition | None = None,
) -> VerificationResult:
    claims = opened.claims
    return VerificationResult(
        keyid=entry.keyid,
        fingerprint=entry.fingerprint,
        holder=entry.holder,
        signed_at=claims.signed_at,
        valid_until=entry.not_after,
        kind=claims.kind,
        dataset=claims.dataset,
        files=files,
        unchecked=unchecked,
        promise=promise,
        release=claims.release,
        draft=claims.draft,
        envelope=opened.digest,
        edition=edition,
        manifest=next(item.sha256 for item in opened.statement.subjects if item.name == MANIFEST),
    )
