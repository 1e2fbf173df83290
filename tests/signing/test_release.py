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
from signing.forging import ALL_FILES, PREDICATE, put_envelope, read_envelope, read_statement

from privsynth.errors import OutputError, UnknownSigner, VerificationError
from privsynth.signing.envelope import Envelope, Signature, sign
from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.release import sign_folder
from privsynth.signing.verification import verify_folder, verify_report


def test_a_release_verifies_and_says_who(release, keyring, key, now):
    verified = verify_folder(release, [keyring], now)
    assert verified.to_json() == {
        "keyid": key.public.keyid,
        "fingerprint": key.public.fingerprint,
        "holder": "Data office",
        "signed_at": "2026-11-22T09:30:00Z",
        "valid_until": "2028-11-21T09:30:00Z",
        "kind": "public",
        "dataset": "admissions",
        "files": 7,
        "unchecked": 0,
        "promise": None,
        "release": None,
        "draft": None,
        "edition": None,
        "manifest": hashlib.sha256((release / "manifest.json").read_bytes()).hexdigest(),
        "envelope": hashlib.sha256((release / "attestation.dsse.json").read_bytes()).hexdigest(),
        "has_token": False,
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
    assert "make it again with a key" in str(caught.value)
    assert "fresh copy" not in str(caught.value)
    (release / "data.csv").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"(?s)changed: data\.csv.*UNSIGNED.*fresh copy"):
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
