"""Releases that their signer made to mislead: paths, manifests, statements and pages with tricks."""

import hashlib
import json

import pytest
from signing.forging import put_envelope, read_envelope, read_statement, resign

from privsynth.errors import VerificationError
from privsynth.signing.envelope import sign
from privsynth.signing.release import EMPTY_ELEMENT
from privsynth.signing.statement import PAYLOAD_TYPE, Statement, Subject
from privsynth.signing.verification import verify_folder, verify_report

TRICKS = [
    "../secret",
    "model/../../secret",
    "/etc/passwd",
    "C:/x",
    "a\\b",
    "a//b",
    "./a",
    "a/.",
    "a.",
    "a ",
    "a\x00b",
    "a\nb",
    "stream:x",
    "DATA.csv",
    "x" * 1025,
]


@pytest.mark.parametrize("trick", TRICKS)
def test_path_tricks_in_a_trusted_statement_are_refused(release, keyring, key, now, trick):
    (release.parent / "secret").write_bytes(b"")
    statement = read_statement(release)
    bad = Subject(trick, hashlib.sha256(b"").hexdigest())
    resign(release, key, Statement((*statement.subjects, bad), statement.predicate))
    with pytest.raises(VerificationError, match=r"the statement: the path"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize("trick", TRICKS)
def test_path_tricks_in_a_trusted_manifest_are_refused(release, keyring, key, now, trick):
    document = json.loads((release / "manifest.json").read_bytes())
    document["files"].append({"path": trick, "sha256": "0" * 64, "size": 0})
    replace_manifest(release, key, json.dumps(document).encode())
    with pytest.raises(VerificationError, match=r"manifest\.json: the path"):
        verify_folder(release, [keyring], now)


def replace_manifest(folder, key, data):
    """Sign a folder whose manifest says something else than its files, as a careless signer could."""
    (folder / "manifest.json").write_bytes(data)
    statement = read_statement(folder)
    new = Subject("manifest.json", hashlib.sha256(data).hexdigest())
    subjects = tuple(new if item.name == new.name else item for item in statement.subjects)
    resign(folder, key, Statement(subjects, statement.predicate))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b'"version": 1', b'"version": 1, "version": 1', "twice in one object"),
        (b'"size": 8', b'"size": 8, "size": 8', "twice in one object"),
        (b'"size": 8', b'"size": 9', r"wrong size or digest for data\.csv"),
        (b'"size": 8', b'"size": -1', "wrong type"),
        (b'"size": 8', b'"size": 8.0', "wrong type"),
        (b'"size": 8', b'"size": true', "wrong type"),
        (b'"path": "schema.yaml"', b'"path": "data.csv"', "twice"),
        (b'"path": "schema.yaml"', b'"path": "other.yaml"', "lists other files"),
        (b'"version": 1', b'"version": 2', "not a manifest"),
        (b'"version": 1', b'"version": 1, "more": 1', "not a manifest"),
    ],
)
def test_a_signed_manifest_that_contradicts_the_release_is_refused(release, keyring, key, now, old, new, sentence):
    data = (release / "manifest.json").read_bytes()
    # model.json is 8 bytes long as well; data.csv comes first.
    assert data.count(old) >= 1
    replace_manifest(release, key, data.replace(old, new, 1))
    with pytest.raises(VerificationError, match=sentence):
        verify_folder(release, [keyring], now)


def test_a_repeated_name_in_a_signed_statement_is_refused(release, keyring, key, now):
    payload = read_envelope(release).payload
    doubled = payload.replace(b'"kind":"public"', b'"kind":"officer","kind":"public"')
    assert doubled != payload
    put_envelope(release, sign(doubled, PAYLOAD_TYPE, key))
    with pytest.raises(VerificationError, match="the statement is not valid JSON"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize("dropped", ["report.html", "manifest.json"])
def test_a_statement_that_leaves_out_the_report_or_manifest(release, keyring, key, now, dropped):
    statement = read_statement(release)
    subjects = tuple(item for item in statement.subjects if item.name != dropped)
    resign(release, key, Statement(subjects, statement.predicate))
    with pytest.raises(VerificationError, match="must be about"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize(
    "change",
    [{"kind": "secret"}, {"signed_at": "yesterday"}, {"signer": {}}, {"signer": 3}, {"dataset": 1}],
    ids=str,
)
def test_a_signed_predicate_that_lacks_a_part(release, keyring, key, now, change):
    statement = read_statement(release)
    resign(release, key, Statement(statement.subjects, {**statement.predicate, **change}))
    with pytest.raises(VerificationError, match="lacks a part"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize(
    "html",
    [
        b"<p>no element</p>",
        f"{EMPTY_ELEMENT}{EMPTY_ELEMENT}".encode(),
        EMPTY_ELEMENT.replace("</script>", "").encode(),
        EMPTY_ELEMENT.replace("></", "><b></").encode(),
        EMPTY_ELEMENT.encode() + b'<SCRIPT ID="privsynth-attestation"></SCRIPT>',
    ],
    ids=["none", "twice", "never ends", "not empty", "twice in capitals"],
)
def test_the_report_must_have_one_element(tmp_path, key, keyring, make_release, now, html):
    with pytest.raises(VerificationError, match="attestation element"):
        make_release(tmp_path / "r", key, extra={"report.html": html})
    release = make_release(tmp_path / "s", key)
    (release / "report.html").write_bytes(html)
    for check, path in ((verify_folder, release), (verify_report, release / "report.html")):
        with pytest.raises(VerificationError, match=r"attestation element"):
            check(path, [keyring], now)


def test_a_marker_added_after_signing(release, keyring, now):
    with (release / "report.html").open("ab") as file:
        file.write(EMPTY_ELEMENT.encode())
    with pytest.raises(VerificationError, match="exactly one attestation element"):
        verify_folder(release, [keyring], now)


def test_an_oversized_envelope_is_not_read(release, keyring, now):
    with (release / "attestation.dsse.json").open("ab") as file:
        file.write(b" " * 10_000_000)
    with pytest.raises(VerificationError, match=r"attestation\.dsse\.json cannot be read: longer"):
        verify_folder(release, [keyring], now)
