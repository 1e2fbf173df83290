"""Compare the files of a release with its statement and its manifest."""

from __future__ import annotations

from privsynth.errors import VerificationError
from privsynth.signing._embedding import Page
from privsynth.signing._files import (
    MAX_MANIFEST_BYTES,
    Digest,
    Tree,
    digest_bytes,
    digest_file,
    parse_manifest,
    path_problems,
    read_limited,
)
from privsynth.signing.checks.problems import Problems
from privsynth.signing.release import ATTESTATION, MANIFEST, REPORT, TOKEN
from privsynth.signing.statement import Statement
from privsynth.signing.times.token import MAX_TOKEN_BYTES, looks_like_a_token


def subjects_of(statement: Statement) -> dict[str, str]:
    """Return path -> SHA-256, with paths that are safe to print and to compare."""
    subjects = {subject.name: subject.sha256 for subject in statement.subjects}
    problems = path_problems(subjects)
    if problems:
        raise VerificationError(f"the statement: {'; '.join(problems)}")
    if REPORT not in subjects or MANIFEST not in subjects or ATTESTATION in subjects:
        raise VerificationError(f"the statement must be about {REPORT} and {MANIFEST}, and not about {ATTESTATION}")
    return subjects


def has_token(tree: Tree) -> bool:
    """Say whether a time token is there; a file of that name that cannot be one is a file that was added."""
    try:
        return TOKEN in tree.files and looks_like_a_token(read_limited(tree.files[TOKEN], MAX_TOKEN_BYTES))
    except OSError:
        return False


def check_files(tree: Tree, page: Page | None, statement: Statement, problems: Problems) -> None:
    """Compare the folder with the statement, then the manifest with both."""
    subjects = subjects_of(statement)
    problems.added += tree.files.keys() - subjects.keys() - {ATTESTATION, TOKEN if has_token(tree) else ATTESTATION}
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
