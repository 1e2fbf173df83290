"""Times of an authority: asked for by every way, kept beside what was signed, and refused where they do not hold."""

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from signed import FILES, make_release  # noqa: F401
from time_authority import Authority, Server

from privsynth.cli import main
from privsynth.errors import ConfigError, OutputError, VerificationError
from privsynth.signing.keys import SigningKey
from privsynth.signing.release import sign_folder
from privsynth.signing.store import NewKey, create_key, load_keyring, open_key
from privsynth.signing.times.authority import ask, check_address
from privsynth.signing.times.token import _latest, checked_time, load_roots
from privsynth.signing.verification import verify_folder

DATA = b"an envelope"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority") / "tsa")


@pytest.fixture(scope="module")
def served(authority):
    with Server(authority.answer) as server:
        yield server


def token_over(url, data=DATA):
    now = datetime.now(UTC)
    return ask(url, data, (), signed_at=now, now=now)


@pytest.fixture(scope="module")
def token(served):
    return token_over(served.url)


def check(token, root, *, digest=DIGEST, signed=0, clock=0):
    now = datetime.now(UTC)
    roots = load_roots(root)
    return checked_time(token, digest, roots, signed_at=now + timedelta(hours=signed), now=now + timedelta(hours=clock))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    now = datetime.now(UTC)
    create_key(tmp_path / "home", "office", NewKey("Data office"), passphrase=None, now=now)
    wanted = NewKey("Anna Berg", roles=("approver",))
    create_key(tmp_path / "home", "anna", wanted, passphrase=None, now=now)
    return tmp_path / "home"


@pytest.fixture
def out(home, tmp_path, make_release):  # noqa: F811
    """A run that `office` signed just now."""
    now, folder = datetime.now(UTC), tmp_path / "run"
    key, _ = open_key(home, "office", None, now=now)
    for part in ("public", "officer"):
        make_release(folder / part, key, signed_at=now)
    (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
    manifest = verify_folder(folder / "public", [load_keyring(home)], now).manifest
    predicate = {"kind": "officer", "dataset": "admissions", "release": manifest}
    sign_folder(folder / "officer", predicate=predicate, signer=key, holder="Data office", signed_at=now)
    return folder


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(item) for item in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


# --- what a token shows ------------------------------------------------------------------------------------------


def test_a_token_says_when_and_by_whom(token, authority, served):
    found = check(token, authority.root)
    assert abs(found.at - datetime.now(UTC)) < timedelta(minutes=5)
    assert (found.authority, found.lapsed) == ("CN=Test time", False)
    later = found.at + timedelta(days=1)
    assert (
        found.sentence(later)
        == f"signed no later than {found.at:%Y-%m-%d %H:%M:%S} UTC, by CN=Test time (the authority's word)"
    )
    assert "so it does not show that it was valid then" in found.sentence(found.at - timedelta(days=1))
    kind, body = served.asked[0]
    assert kind == "application/timestamp-query"
    assert DATA not in body
    assert hashlib.sha256(DATA).digest() in body


def test_a_token_of_another_signature_is_refused(token, authority):
    with pytest.raises(VerificationError, match="over other bytes: it belongs to another signature"):
        check(token, authority.root, digest="00" * 32)


def test_an_authority_that_the_reader_does_not_know(token, tmp_path):
    other = Authority(tmp_path / "other")
    with pytest.raises(VerificationError, match="no authority that you trust"):
        check(token, other.root)


def test_an_authority_whose_certificate_had_expired(tmp_path):
    late = Authority(tmp_path / "late", days=-1)
    with Server(late.answer) as server:
        token = token_over(server.url)
        now = datetime.now(UTC)
        with pytest.raises(OutputError, match="its certificate was not valid then"):
            ask(server.url, DATA, load_roots(late.root), signed_at=now, now=now)
    with pytest.raises(VerificationError, match="its certificate was not valid then"):
        check(token, late.root)


# The false one stands before or after the true one in the set, or alone there.
@pytest.mark.parametrize(("title", "alone"), [("A", False), ("A famous authority " * 20, False), ("A", True)])
def test_a_second_certificate_of_the_same_number_names_nobody(token, authority, title, alone, tmp_path):
    from asn1crypto import cms, tsp
    from asn1crypto.x509 import Certificate as Parsed

    true = x509.load_pem_x509_certificate((authority.folder / "time.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, title[:60]) for _ in range(len(title))][:9])
    builder = x509.CertificateBuilder(true.issuer, subject, key.public_key(), true.serial_number)
    builder = builder.not_valid_before(true.not_valid_before_utc).not_valid_after(true.not_valid_after_utc)
    purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.TIME_STAMPING])
    false = builder.add_extension(purpose, critical=True).sign(key, hashes.SHA256())
    response = tsp.TimeStampResp.load(token)
    signed = response["time_stamp_token"]["content"]
    both = sorted(one.public_bytes(serialization.Encoding.DER) for one in ((false,) if alone else (true, false)))
    signed["certificates"] = cms.CertificateSet(
        [cms.CertificateChoices("certificate", Parsed.load(data)) for data in both]
    )
    trusted = tmp_path / "trusted.pem"  # the root, and the true one as well, as authorities hand them out
    trusted.write_bytes(authority.root.read_bytes() + (authority.folder / "time.pem").read_bytes())
    for roots in (authority.root, trusted):
        check(token, roots)
        with pytest.raises(VerificationError, match="no authority that you trust"):
            check(response.dump(force=True), roots)


def test_no_later_than_counts_the_accuracy_and_rounds_up():
    made = datetime(2026, 11, 30, 12, 0, 0, 900_000, tzinfo=UTC)
    for accuracy, second in ((None, 1), (SimpleNamespace(seconds=2, millis=500, micros=None), 4)):
        assert _latest(made, accuracy) == made.replace(second=second, microsecond=0)


def test_times_that_cannot_be(token, authority):
    with pytest.raises(VerificationError, match="before the time of signing that is claimed"):
        check(token, authority.root, signed=1)
    with pytest.raises(VerificationError, match="later than this computer's clock"):
        check(token, authority.root, clock=-1)
    assert check(token, authority.root, clock=24 * 40).lapsed


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_token_with_any_changed_byte_is_refused_or_says_the_same(token, authority, data):
    at = data.draw(st.integers(0, len(token) - 1))
    changed = bytearray(token)
    changed[at] ^= data.draw(st.integers(1, 255))
    whole = check(token, authority.root)
    try:
        found = check(bytes(changed), authority.root)
    except VerificationError:
        return
    assert found == whole


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(authority, data):
    with pytest.raises(VerificationError):
        check(data, authority.root)
    with pytest.raises(VerificationError):
        check(b"\x30\x81" + bytes([len(data)]) + data, authority.root)


# --- asking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "says"), [
    (500, "answers 500"),
    (302, "answers 302"),
    (b"<html>sign in</html>", "gave no time token"),
    (b"", "gave no time token"),
    (bytes.fromhex("30053003020102"), "refuses, with status 2"),
    (b"\x30\x83\x02\x00\x00" + bytes(131_072), "gave no time token"),
])  # fmt: skip
def test_answers_that_are_no_token(answer, says):
    with Server(lambda body: answer) as server, pytest.raises(OutputError, match=says):
        token_over(server.url)


def test_an_old_answer_is_not_taken_again(token):
    with Server(lambda body: token) as server, pytest.raises(OutputError, match="a question that was not asked"):
        token_over(server.url)


def test_a_token_that_the_roots_do_not_vouch_for_is_not_kept(served, tmp_path):
    now, other = datetime.now(UTC), Authority(tmp_path / "other")
    with pytest.raises(OutputError, match="gave a token that is of no use: no authority that you trust"):
        ask(served.url, DATA, load_roots(other.root), signed_at=now, now=now)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "tsa.example", "http://", "https://anna:pw@a/b"])
def test_addresses_that_are_not_asked(url):
    with pytest.raises(ConfigError):
        check_address(url)


# --- the commands ------------------------------------------------------------------------------------------------


def test_a_run_and_its_decisions_carry_times(out, served, authority):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    root = ("--timestamp-root", authority.root)
    run("approve", out, "--as", "anna", "--meaning", "approved", "--timestamp", served.url)
    assert len(list((out / "approvals").glob("*.tsr"))) == 1
    run("verify", out)
    assert "there is no time token at" in run("verify", out, *root, code=5).stderr
    stamped = run("timestamp", out, "--authority", served.url, *root).output
    assert stamped.count("Time token") == 2
    assert "has a time token already" in run("timestamp", out, "--authority", served.url).output
    assert all(path.read_bytes() == data for path, data in before.items())

    assert run("verify", out).output.count("a time token is there, and was not checked") == 2
    said = run("verify", out, *root).output
    assert said.count("signed no later than") == 3
    assert "approved by Anna Berg, signed no later than" in said
    told = json.loads(run("verify", out / "public", *root, "--json").output)
    assert told["time"]["authority"] == "CN=Test time"
    assert told["has_token"]
    for path in (out / "approvals").glob("*.tsr"):
        path.unlink()
    assert "approved by Anna Berg, without a time token" in run("verify", out, *root).output
    refused = run("verify", out / "public" / "report.html", *root, code=5).stderr
    assert "a report alone has no time token" in refused


def test_a_token_moved_to_another_release_or_decision_is_refused(out, served, authority):
    root = ("--timestamp-root", authority.root)
    run("approve", out, "--as", "anna", "--meaning", "approved")
    run("timestamp", out, "--authority", served.url)
    (mine,) = (out / "approvals").glob("*.tsr")
    kept = mine.read_bytes()
    shutil.copy(out / "public" / "attestation.tsr", mine)
    assert "belongs to another signature" in run("verify", out, *root, code=5).stderr
    mine.write_bytes(kept)
    shutil.copy(out / "officer" / "attestation.tsr", out / "public" / "attestation.tsr")
    assert "belongs to another signature" in run("verify", out, *root, code=5).stderr
    (out / "public" / "attestation.tsr").write_bytes(b"a note that nobody signed")
    assert "added: attestation.tsr" in run("verify", out / "public", code=5).stderr


def test_signing_again_takes_the_old_token_away(out, served, home, authority):
    run("timestamp", out / "public", "--authority", served.url)
    key = SigningKey.load(home / "keys" / "office.pem", None)
    predicate = {"kind": "public", "dataset": "admissions"}
    sign_folder(out / "public", predicate=predicate, signer=key, holder="Data office", signed_at=datetime.now(UTC))
    assert not (out / "public" / "attestation.tsr").exists()
    run("verify", out / "public")


def test_an_authority_that_is_down_takes_nothing_away(out, served):
    with Server(lambda body: 500) as server:
        gone = server.url
    told = run("approve", out, "--as", "anna", "--meaning", "approved", "--timestamp", gone)
    assert "It carries no time: the authority at" in told.stderr
    assert "cannot be reached: Connection refused" in told.stderr
    assert "approved by Anna Berg" in run("verify", out).output
    assert "cannot be reached" in run("timestamp", out, "--authority", gone, code=2).stderr
    assert not list(out.rglob("*.tsr"))
    assert run("timestamp", out, "--authority", served.url).output.count("Time token") == 3


def test_nothing_is_decided_where_the_address_is_none(out):
    told = run("approve", out, "--as", "anna", "--meaning", "approved", "--timestamp", "tsa.example", code=2)
    assert "begins with http" in told.stderr
    assert not (out / "approvals").exists()


def test_what_has_no_signature_gets_no_time(out, tmp_path, served):
    assert "holds nothing that was signed" in run("timestamp", tmp_path, "--authority", served.url, code=2).stderr
    predicate = {"kind": "public", "dataset": "admissions"}
    sign_folder(out / "public", predicate=predicate, signer=None, holder="", signed_at=datetime.now(UTC))
    assert "is UNSIGNED" in run("timestamp", out / "public", "--authority", served.url, code=5).stderr


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_roots_that_are_none(text, tmp_path, out):
    (tmp_path / "root.pem").write_text(text)
    told = run("verify", out / "public", "--timestamp-root", tmp_path / "root.pem", code=2)
    assert "holds no certificate in PEM form" in told.stderr
