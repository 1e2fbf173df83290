"""Releases: every changed byte is caught and named; trust comes from the keyring alone."""

import hashlib
import json
import os
import re
import shutil
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import ConfigError, InputError, OutputError, UnknownSigner, VerificationError
from privsynth.signing._files import list_tree
from privsynth.signing.envelope import Envelope, Signature, sign
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.release import EMPTY_ELEMENT, sign_folder
from privsynth.signing.statement import PAYLOAD_TYPE, Statement, Subject
from privsynth.signing.verification import Expected, verify_folder, verify_report

PREDICATE = {"kind": "public", "dataset": "admissions"}
ALL_FILES = [
    "attestation.dsse.json",
    "data.csv",
    "manifest.json",
    "model/model.json",
    "model/weights.bin",
    "report.html",
    "report.json",
    "schema.yaml",
]


def put_envelope(folder, envelope):
    """Put another envelope into both places, as a forger would."""
    text = envelope.to_json()
    html = (folder / "report.html").read_bytes()
    start, end = EMPTY_ELEMENT.encode().split(b"></")
    pattern = re.compile(re.escape(start) + b">.*?</" + re.escape(end), re.DOTALL)
    (folder / "report.html").write_bytes(pattern.sub(lambda _: start + b">" + text + b"</" + end, html))
    (folder / "attestation.dsse.json").write_bytes(text)


def read_envelope(folder):
    return Envelope.from_json((folder / "attestation.dsse.json").read_bytes())


def resign(folder, key, statement):
    put_envelope(folder, sign(statement.to_bytes(), PAYLOAD_TYPE, key))


def read_statement(folder):
    return Statement.from_bytes(read_envelope(folder).payload, payload_type=PAYLOAD_TYPE)


def test_a_release_verifies_and_says_who(release, keyring, key, now):
    verified = verify_folder(release, [keyring], now)
    assert verified.to_json() == {
        "keyid": key.public.keyid,
        "fingerprint": key.public.fingerprint,
        "holder": "Data office",
        "signed_at": "2026-11-22T09:30:00Z",
        "kind": "public",
        "dataset": "admissions",
        "files": 7,
        "unchecked": 0,
        "promise": None,
        "release": None,
    }
    assert sorted(str(p.relative_to(release)) for p in release.rglob("*") if p.is_file()) == ALL_FILES


def test_manifest_and_statement_hold_the_digests_of_the_bytes(release):
    html = (release / "report.html").read_bytes()
    text = (release / "attestation.dsse.json").read_bytes()
    assert html.count(text) == 1
    emptied = html.replace(text, b"")
    manifest = json.loads((release / "manifest.json").read_bytes())
    expected = {"report.html": emptied}
    for name in ("data.csv", "model/model.json", "model/weights.bin", "report.json", "schema.yaml"):
        expected[name] = (release / name).read_bytes()
    assert manifest["files"] == [
        {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(expected.items())
    ]
    subjects = {item.name: item.sha256 for item in read_statement(release).subjects}
    expected["manifest.json"] = (release / "manifest.json").read_bytes()
    assert subjects == {name: hashlib.sha256(data).hexdigest() for name, data in expected.items()}


def test_same_input_same_bytes(tmp_path, key, make_release):
    one, two = make_release(tmp_path / "one", key), make_release(tmp_path / "two", key)
    for name in ALL_FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_signing_again_replaces_the_attestation(release, other_key, key, keyring, now):
    with pytest.raises(UnknownSigner):
        verify_folder(release, [], now)
    sign_folder(release, predicate=PREDICATE, signer=other_key, holder="Other", signed_at=now)
    both = keyring.add(KeyEntry.for_key(other_key.public, holder="Other", not_before=now))
    assert verify_folder(release, [both], now).holder == "Other"


@pytest.fixture(scope="module")
def lasting_release(tmp_path_factory, key, make_release):
    return make_release(tmp_path_factory.mktemp("release"), key)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(ALL_FILES), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_changed_byte_of_any_file_is_caught_and_named(lasting_release, keyring, now, name, where, flip):
    path = lasting_release / name
    original = path.read_bytes()
    data = bytearray(original)
    data[int(where * len(data))] ^= flip
    path.write_bytes(data)
    try:
        with pytest.raises(VerificationError, match=re.escape(name)) as caught:
            verify_folder(lasting_release, [keyring], now)
        assert caught.value.exit_code == 5
        if name == "report.html":
            with pytest.raises(VerificationError, match=r"report\.html"):
                verify_report(path, [keyring], now)
    finally:
        path.write_bytes(original)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(ALL_FILES), cut=st.integers(1, 40), grow=st.binary(max_size=3))
def test_any_changed_end_of_any_file_is_caught_and_named(lasting_release, keyring, now, name, cut, grow):
    path = lasting_release / name
    original = path.read_bytes()
    path.write_bytes(original + grow if grow else original[:-cut])
    try:
        with pytest.raises(VerificationError, match=re.escape(name)):
            verify_folder(lasting_release, [keyring], now)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_named(release, keyring, now, name):
    (release / name).unlink()
    with pytest.raises(VerificationError, match=f"missing: {re.escape(name)}"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize("name", ["extra.csv", "model/extra.bin", "new/deep/file", ".hidden", "REPORT.html"])
def test_an_added_file_is_named(release, keyring, now, name):
    (release / name).parent.mkdir(parents=True, exist_ok=True)
    (release / name).write_bytes(b"")
    with pytest.raises(VerificationError, match=f"added: {re.escape(name)}"):
        verify_folder(release, [keyring], now)


def test_one_message_says_all_of_it_also_for_an_unknown_signer(release, keyring, now):
    (release / "data.csv").write_bytes(b"a,b\n1,3\n")
    (release / "schema.yaml").write_bytes(b"")
    (release / "report.json").unlink()
    (release / "extra.csv").write_bytes(b"")
    (release / "\x1b[2J").write_bytes(b"")
    for keyrings in ([keyring], []):
        with pytest.raises(VerificationError) as caught:
            verify_folder(release, keyrings, now)
        assert type(caught.value) is VerificationError
        message = str(caught.value)
        assert "changed: data.csv, schema.yaml\n" in message
        assert "missing: report.json\n" in message
        assert "added: '\\x1b[2J', extra.csv\n" in message
        assert "\x1b" not in message
        assert "report.html" not in message
        assert "a,b" not in message


def test_unknown_signer_is_exit_6_and_names_the_fingerprint(release, other_key, key, now):
    strangers = Keyring(keys=(KeyEntry.for_key(other_key.public, holder="Other", not_before=now),))
    for keyrings in ([], [strangers]):
        with pytest.raises(UnknownSigner, match=key.public.fingerprint) as caught:
            verify_folder(release, keyrings, now)
        assert caught.value.exit_code == 6


def test_the_holder_is_what_the_readers_keyring_says(tmp_path, make_release, other_key, now):
    release = make_release(tmp_path / "r", other_key)  # the statement says "Data office"
    ring = Keyring(keys=(KeyEntry.for_key(other_key.public, holder="Intern", not_before=now),))
    assert verify_folder(release, [ring], now).holder == "Intern"


def test_unsigned_says_so_and_still_names_changes(tmp_path, make_release, keyring, now):
    release = make_release(tmp_path / "r", None)
    with pytest.raises(VerificationError, match="UNSIGNED") as caught:
        verify_folder(release, [keyring], now)
    assert caught.value.exit_code == 5
    (release / "data.csv").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"(?s)changed: data\.csv.*UNSIGNED"):
        verify_folder(release, [keyring], now)


def test_a_removed_signature_is_unsigned(release, keyring, now):
    envelope = read_envelope(release)
    put_envelope(release, Envelope(envelope.payload, envelope.payload_type))
    with pytest.raises(VerificationError, match="UNSIGNED"):
        verify_folder(release, [keyring], now)


def test_changed_statement_under_the_old_signature(release, keyring, now):
    envelope = read_envelope(release)
    payload = envelope.payload.replace(b'"admissions"', b'"admissionz"')
    assert payload != envelope.payload
    put_envelope(release, Envelope(payload, envelope.payload_type, envelope.signatures))
    with pytest.raises(VerificationError, match="signature does not fit"):
        verify_folder(release, [keyring], now)


def test_a_signature_over_another_type_is_refused(release, keyring, key, now):
    put_envelope(release, sign(read_envelope(release).payload, "application/json", key))
    with pytest.raises(VerificationError, match="something else than an in-toto statement"):
        verify_folder(release, [keyring], now)


def test_second_signature_and_lying_ids_are_refused(release, keyring, key, other_key, now):
    envelope = read_envelope(release)
    mine = envelope.signatures[0]
    theirs = Signature(other_key.public.keyid, other_key.sign(envelope.pae()))
    put_envelope(release, Envelope(envelope.payload, envelope.payload_type, (mine, theirs)))
    with pytest.raises(VerificationError, match="several signatures"):
        verify_folder(release, [keyring], now)
    lying = Signature(other_key.public.keyid, mine.sig)
    put_envelope(release, Envelope(envelope.payload, envelope.payload_type, (lying,)))
    with pytest.raises(VerificationError, match="another key"):
        verify_folder(release, [keyring], now)
    # Signed by a stranger, while the statement still names the trusted key.
    put_envelope(release, Envelope(envelope.payload, envelope.payload_type, (theirs,)))
    with pytest.raises(VerificationError, match="signature does not fit") as caught:
        verify_folder(release, [keyring], now)
    assert not isinstance(caught.value, UnknownSigner)


def test_an_envelope_swapped_in_from_another_release(tmp_path, key, make_release, keyring, now):
    mine = make_release(tmp_path / "mine", key)
    other = make_release(tmp_path / "other", key, dataset="other", extra={"data.csv": b"a,b\n9,9\n"})
    shutil.copy(other / "attestation.dsse.json", mine)
    with pytest.raises(VerificationError, match=r"report\.html differs from attestation\.dsse\.json"):
        verify_folder(mine, [keyring], now)
    put_envelope(mine, read_envelope(other))
    with pytest.raises(VerificationError, match=r"changed: data\.csv, manifest\.json\n"):
        verify_folder(mine, [keyring], now)


def test_period_of_the_key_is_judged_at_the_time_of_signing(tmp_path, key, make_release, now):
    entry = KeyEntry.for_key(key.public, holder="Data office", not_before=now, days=10)
    ring = Keyring(keys=(entry,))
    later = now + timedelta(days=400)
    good = make_release(tmp_path / "good", key, signed_at=now + timedelta(days=10))
    assert verify_folder(good, [ring], later).holder == "Data office"
    late = make_release(tmp_path / "late", key, signed_at=now + timedelta(days=11))
    with pytest.raises(VerificationError, match="expired on 2026-12-02"):
        verify_folder(late, [ring], later)
    early = make_release(tmp_path / "early", key, signed_at=now - timedelta(days=1))
    with pytest.raises(VerificationError, match="not valid before 2026-11-22"):
        verify_folder(early, [ring], later)
    renewed = Keyring(keys=(KeyEntry.for_key(key.public, holder="Data office", not_before=now, days=99),))
    assert verify_folder(late, [ring, renewed], later).holder == "Data office"


def test_a_revoked_key_is_refused_whatever_time_it_claims(release, keyring, key, now):
    stolen = now + timedelta(days=5)
    revoked = keyring.revoke(key.public.keyid, at=stolen, reason="laptop stolen")
    behind = timedelta(days=400)  # a clock that was never set
    for keyrings in ([revoked], [keyring, revoked], [revoked, keyring]):
        for clock in (stolen, stolen - timedelta(seconds=1), now - behind):
            with pytest.raises(VerificationError, match=r"revoked on 2026-11-27.*laptop stolen") as caught:
                verify_folder(release, keyrings, clock)
            assert caught.value.exit_code == 5


def test_both_copies_of_the_envelope_spelt_anew_are_refused(release, keyring, now):
    text = (release / "attestation.dsse.json").read_bytes()
    html = (release / "report.html").read_bytes()
    indented = json.dumps(json.loads(text), indent=2).encode() + b"\n"
    (release / "attestation.dsse.json").write_bytes(indented)
    (release / "report.html").write_bytes(html.replace(text, indented))
    with pytest.raises(VerificationError, match="not written as privsynth writes one"):
        verify_folder(release, [keyring], now)


def test_a_time_of_signing_in_the_future_is_refused(release, keyring, now):
    assert verify_folder(release, [keyring], now - timedelta(minutes=5))
    with pytest.raises(VerificationError, match="later than this computer's clock"):
        verify_folder(release, [keyring], now - timedelta(minutes=6))


def test_links_are_refused_and_never_followed(release, keyring, key, now, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_bytes((release / "data.csv").read_bytes())
    (release / "data.csv").unlink()
    (release / "data.csv").symlink_to(outside)
    (release / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(VerificationError) as caught:
        verify_folder(release, [keyring], now)
    assert "data.csv is a link" in str(caught.value)
    assert "more is a link" in str(caught.value)
    with pytest.raises(OutputError, match=r"data\.csv is a link"):
        sign_folder(release, predicate=PREDICATE, signer=key, holder="x", signed_at=now)


@pytest.mark.parametrize("name", ["report.html", "manifest.json", "attestation.dsse.json"])
def test_a_link_in_the_place_of_a_special_file(release, keyring, now, tmp_path, name):
    (release / name).rename(tmp_path / "moved")
    (release / name).symlink_to(tmp_path / "moved")
    with pytest.raises(VerificationError, match=f"{re.escape(name)} is a link"):
        verify_folder(release, [keyring], now)


def test_a_pipe_does_not_hang(release, keyring, now):
    os.mkfifo(release / "pipe")
    with pytest.raises(VerificationError, match="pipe is a link, a device or"):
        verify_folder(release, [keyring], now)


def test_the_folder_itself_may_be_reached_by_a_link(release, keyring, now, tmp_path):
    (tmp_path / "latest").symlink_to(release, target_is_directory=True)
    assert verify_folder(tmp_path / "latest", [keyring], now).files == 7


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


def test_a_lone_report(release, keyring, now, tmp_path):
    lone = tmp_path / "from mail.html"
    shutil.copy(release / "report.html", lone)
    verified = verify_report(lone, [keyring], now)
    assert (verified.files, verified.unchecked, verified.holder) == (1, 6, "Data office")
    with pytest.raises(UnknownSigner):
        verify_report(lone, [], now)
    lone.write_bytes(lone.read_bytes().replace(b"end", b"END"))
    for keyrings in ([keyring], []):
        with pytest.raises(VerificationError, match=r"changed: report\.html") as caught:
            verify_report(lone, keyrings, now)
        assert not isinstance(caught.value, UnknownSigner)


def test_a_reader_may_say_what_is_expected(release, keyring, now):
    for expected in (Expected("public"), Expected(dataset="admissions"), Expected("public", "admissions")):
        assert verify_folder(release, [keyring], now, expected).kind == "public"
        assert verify_report(release / "report.html", [keyring], now, expected).dataset == "admissions"
    for expected, sentence in ((Expected("officer"), "of the kind public"), (Expected(dataset="x"), "'admissions'")):
        for check, path in ((verify_folder, release), (verify_report, release / "report.html")):
            for keyrings in ([keyring], []):
                with pytest.raises(VerificationError, match=sentence) as caught:
                    check(path, keyrings, now, expected)
                assert caught.value.exit_code == 5
    with pytest.raises(ConfigError, match="public or officer"):
        Expected("private")


GUARANTEE = {"epsilon": 1.5, "delta": 1e-6, "unit": "patient_id", "max_rows_per_unit": 3}


def test_the_promise_is_read_from_the_signed_report(tmp_path, key, keyring, make_release, now):
    report = json.dumps({"guarantee": GUARANTEE}).encode()
    release = make_release(tmp_path / "r", key, extra={"report.json": report})
    assert verify_folder(release, [keyring], now).to_json()["promise"] == GUARANTEE
    assert verify_report(release / "report.html", [keyring], now).promise is None


@pytest.mark.parametrize(
    "report",
    [
        b"{}",
        b"[]",
        b"\xff",
        b'{"guarantee": null}',
        b'{"guarantee": {"epsilon": 1e999}}',
        *(
            json.dumps({"guarantee": {**GUARANTEE, **wrong}}).encode()
            for wrong in (
                {"epsilon": "1"}, {"epsilon": True}, {"epsilon": 0}, {"delta": 1}, {"delta": -1}, {"delta": None},
                {"unit": 1}, {"unit": ""}, {"max_rows_per_unit": 0}, {"max_rows_per_unit": 1.5},
            )
        ),
    ],
)  # fmt: skip
def test_a_promise_that_cannot_be_read_is_none_and_the_files_verify(tmp_path, key, keyring, make_release, now, report):
    release = make_release(tmp_path / "r", key, extra={"report.json": report})
    assert verify_folder(release, [keyring], now).promise is None


def test_files_that_systems_leave_are_named_as_such_and_still_refused(release, keyring, now):
    (release / "model" / ".DS_Store").write_bytes(b"x")
    (release / "Thumbs.db").write_bytes(b"x")
    with pytest.raises(VerificationError, match=r"added: Thumbs\.db, model/\.DS_Store") as caught:
        verify_folder(release, [keyring], now)
    assert "Delete them, then verify again" in str(caught.value)
    assert "Do not rely on it" not in str(caught.value)
    (release / "data.csv").write_bytes(b"")
    with pytest.raises(VerificationError, match="Do not rely on it"):
        verify_folder(release, [keyring], now)


def test_folders_nested_deeply_are_an_addition(release, keyring, now, monkeypatch):
    monkeypatch.chdir(release)  # one step at a time: the whole path is longer than a system takes
    for _ in range(1_500):
        os.mkdir("d")
        os.chdir("d")
    try:
        with pytest.raises(VerificationError, match="a folder that lies too deep"):
            verify_folder(release, [keyring], now)
    finally:  # by hand: shutil.rmtree recurses
        for _ in range(1_500):
            os.chdir("..")
            os.rmdir("d")


def test_too_many_files_are_not_listed(release, keyring, now, monkeypatch):
    monkeypatch.setattr("privsynth.signing._files.MAX_ENTRIES", 9)  # eight files and a folder
    verify_folder(release, [keyring], now)
    (release / "more").write_bytes(b"")
    with pytest.raises(InputError, match="more than 9"):
        verify_folder(release, [keyring], now)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"PK\x03\x04" + bytes(100), "unpack it"),
        (b"\x1f\x8b" + bytes(100), "unpack it"),
        (b"PAR1" + bytes(70_000_000), "verify the folder"),
        (b"a,b\n1,2\n", "give the folder"),
        (b"", "give the folder"),
    ],
    ids=["zip", "gz", "parquet", "csv", "empty"],
)
def test_a_file_that_is_no_report_gets_a_sentence_that_helps(tmp_path, keyring, now, data, sentence):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match=sentence):
        verify_report(tmp_path / "file", [keyring], now)


def test_a_lone_report_that_was_never_signed(tmp_path, keyring, make_release, now):
    release = make_release(tmp_path / "r", None)
    with pytest.raises(VerificationError, match="UNSIGNED"):
        verify_report(release / "report.html", [keyring], now)
    (release / "report.html").write_text(EMPTY_ELEMENT)
    with pytest.raises(VerificationError, match="envelope"):
        verify_report(release / "report.html", [keyring], now)


def test_nothing_there(tmp_path, keyring, now):
    with pytest.raises(InputError, match="no release"):
        verify_folder(tmp_path / "none", [keyring], now)
    with pytest.raises(InputError, match="no report"):
        verify_report(tmp_path / "none.html", [keyring], now)
    with pytest.raises(VerificationError, match=r"missing: attestation\.dsse\.json"):
        verify_folder(tmp_path, [keyring], now)


@pytest.mark.parametrize(
    "predicate",
    [
        {},
        {"kind": "secret", "dataset": "x"},
        {"kind": "public"},
        {**PREDICATE, "signed_at": "x"},
        {**PREDICATE, "signer": {}},
        {**PREDICATE, "epsilon": float("inf")},
        {**PREDICATE, "raw": b""},
    ],
    ids=str,
)
def test_signing_refuses_a_predicate_and_leaves_the_folder_as_it_was(release, key, now, predicate):
    before = {name: (release / name).read_bytes() for name in ALL_FILES}
    with pytest.raises(ConfigError):
        sign_folder(release, predicate=predicate, signer=key, holder="x", signed_at=now)
    assert {name: (release / name).read_bytes() for name in ALL_FILES} == before


def test_signing_refuses_a_time_without_zone(release, key, now):
    with pytest.raises(ValueError, match="zone"):
        sign_folder(release, predicate=PREDICATE, signer=key, holder="x", signed_at=now.replace(tzinfo=None))


@pytest.mark.parametrize(
    "extra", [{"a\\b": b""}, {"a:b": b""}, {"DATA.CSV": b""}, {"a ": b""}, {"\udcff": b""}], ids=ascii
)
def test_signing_refuses_file_names_that_verifying_would_refuse(tmp_path, key, make_release, extra):
    with pytest.raises(OutputError, match="the path"):
        make_release(tmp_path / "r", key, extra=extra)


def test_signing_keeps_the_mode_of_the_report_and_leaves_no_temporary_files(tmp_path, key, make_release, now):
    release = make_release(tmp_path / "r", key)
    (release / "report.html").chmod(0o640)
    sign_folder(release, predicate=PREDICATE, signer=key, holder="x", signed_at=now)
    assert (release / "report.html").stat().st_mode & 0o777 == 0o640
    assert sorted(str(p.relative_to(release)) for p in release.rglob("*") if p.is_file()) == ALL_FILES


def test_the_private_key_is_nowhere_in_the_release(release):
    secret = bytes(range(32))
    names = [name for name in ALL_FILES if name != "model/weights.bin"]  # which counts from 0 on purpose
    for data in [(release / name).read_bytes() for name in names] + [read_envelope(release).payload]:
        assert secret not in data
        assert secret.hex().encode() not in data


def test_a_link_swapped_in_after_the_listing_is_not_opened(release, keyring, now, tmp_path, monkeypatch):
    listing = list_tree(release)
    (release / "data.csv").rename(tmp_path / "moved.csv")
    (release / "data.csv").symlink_to(tmp_path / "moved.csv")
    monkeypatch.setattr("privsynth.signing.verification.list_tree", lambda _: listing)
    with pytest.raises(VerificationError, match=r"data\.csv cannot be read"):
        verify_folder(release, [keyring], now)


def test_a_signed_hint_with_the_id_of_another_key_is_refused(release, keyring, key, other_key, now):
    statement = read_statement(release)
    signer = {**statement.predicate["signer"], "keyid": other_key.public.keyid}
    resign(release, key, Statement(statement.subjects, {**statement.predicate, "signer": signer}))
    with pytest.raises(VerificationError, match="lacks a part"):
        verify_folder(release, [keyring], now)
