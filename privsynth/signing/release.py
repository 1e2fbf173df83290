"""Sign a release: a folder with report.html.

    report.html             digested with its attestation element emptied, which then holds the envelope
    manifest.json           path, SHA-256 and size of every file but itself and the envelope
    attestation.dsse.json   the envelope: a statement about every file of the manifest, and the manifest
    attestation.tsr         if there is one: when that existed, by an authority; nobody signed it, it signs itself

`privsynth.signing.verification` checks what is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.errors import ConfigError, OutputError
from privsynth.signing._embedding import EMPTY_ELEMENT, MAX_REPORT_BYTES, Page
from privsynth.signing._files import (
    Digest,
    Tree,
    atomic_write,
    digest_bytes,
    digest_file,
    list_tree,
    manifest_bytes,
    path_problems,
    read_limited,
)
from privsynth.signing.envelope import MAX_ENVELOPE_BYTES, Envelope, Signer, sign
from privsynth.signing.statement import PAYLOAD_TYPE, Statement, Subject, build_predicate

__all__ = ["ATTESTATION", "EMPTY_ELEMENT", "MANIFEST", "REPORT", "REPORT_JSON", "TOKEN", "sign_folder"]

REPORT = "report.html"
REPORT_JSON = "report.json"
MANIFEST = "manifest.json"
ATTESTATION = "attestation.dsse.json"
TOKEN = "attestation.tsr"


def sign_folder(
    folder: Path,
    *,
    predicate: Mapping[str, Any],
    signer: Signer | None,
    holder: str,
    signed_at: datetime,
) -> Envelope:
    """Write manifest.json and attestation.dsse.json, and put the envelope into report.html.

    Signing again replaces all three, and takes away a time token, which was over the old envelope; every other file
    stays as it is. In a public folder `signed_at` should
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
        manifest = manifest_bytes(files)
        everything = {**files, MANIFEST: digest_bytes(manifest)}
        subjects = tuple(Subject(name, everything[name].sha256) for name in sorted(everything))
        key = None if signer is None else signer.public
        claims = build_predicate(predicate, key=key, holder=holder, signed_at=signed_at)
        payload = _payload(Statement(subjects, claims))
        envelope = Envelope(payload, PAYLOAD_TYPE) if signer is None else sign(payload, PAYLOAD_TYPE, signer)
        text = envelope.to_json()
        if len(text) > MAX_ENVELOPE_BYTES:
            raise OutputError(f"{folder} has too many files for one signature ({len(files):,}); write bigger parts")
        (folder / TOKEN).unlink(missing_ok=True)
        atomic_write(folder / MANIFEST, manifest)
        atomic_write(folder / REPORT, page.with_envelope(text))
        atomic_write(folder / ATTESTATION, text)
    except OSError as problem:
        raise OutputError(f"{folder} cannot be signed: {problem.strerror}") from None
    return envelope


def _digested(folder: Path, tree: Tree) -> tuple[Page, dict[str, Digest]]:
    """Return the report, and the digest of every file that the manifest will list."""
    problems = tree.problems() + path_problems(tree.files)
    if REPORT not in tree.files:
        problems.append(f"{REPORT} is missing")
    if problems:
        raise OutputError(f"{folder} cannot be signed: {'; '.join(problems)}")
    page = Page.split(read_limited(tree.files[REPORT], MAX_REPORT_BYTES))
    others = {
        name: digest_file(path)
        for name, path in tree.files.items()
        if name not in (REPORT, MANIFEST, ATTESTATION, TOKEN)
    }
    return page, {**others, REPORT: page.digest()}


def _payload(statement: Statement) -> bytes:
    try:
        return statement.to_bytes()
    except (TypeError, ValueError):
        raise ConfigError("the predicate of a release must be plain JSON: texts, finite numbers, lists") from None


def embedded_envelope(page: bytes) -> bytes:
    """Return the envelope that a report carries, as bytes and unverified; nothing if nobody signed it.

    Raises:
      VerificationError: the page has no place for one, or a damaged one.
    """
    return Page.split(page).embedded
