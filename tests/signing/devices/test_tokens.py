"""Keys in a PKCS#11 token: registered, used by every command that signs, and refused with a sentence."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from signed import FILES
from softhsm import DRIVER, PIN

from privsynth.cli import main
from privsynth.errors import KeyFileError, LogUnavailable
from privsynth.signing.devices.device_key import check_uri
from privsynth.signing.devices.files import InDevice
from privsynth.signing.devices.pkcs11 import TokenUri
from privsynth.signing.keyring import Keyring
from privsynth.signing.release import sign_folder
from privsynth.signing.store import NewKey, change_passphrase, create_key, load_keyring, open_key, rotate_key
from privsynth.signing.verification import verify_folder
from privsynth.transparency.entry import LogEntry
from privsynth.transparency.log import TransparencyLog
from privsynth.transparency.seen import SeenLogs

P256_KEY, ED25519_KEY, P384_KEY, RSA_KEY = 1, 2, 3, 4
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BOTH = [(P256_KEY, "ecdsa-p256"), (ED25519_KEY, "ed25519")]


class Asked:
    """Gives a PIN, and counts how often."""

    def __init__(self, pin=PIN):
        self.pin, self.times = pin, 0

    def __call__(self):
        self.times += 1
        return self.pin.encode()


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(item) for item in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    assert PIN not in result.output
    return result.output


def register(home, token, number=P256_KEY, name="office", pin=None, **more):
    wanted = NewKey("Data office", device=InDevice(token.uri(number)), **more)
    return create_key(home, name, wanted, passphrase=pin or Asked(), now=NOW)


@pytest.mark.parametrize(("number", "algorithm"), BOTH)
def test_a_release_is_signed_in_the_token_and_verifies_anywhere(token, home, tmp_path, make_release, number, algorithm):
    run("keys", "init", "--name", "office", "--holder", "Data office", "--device", token.uri(number))
    entry = load_keyring(home).keys[0]
    assert entry.algorithm == algorithm
    assert sorted(path.name for path in (home / "keys").iterdir()) == ["office.device", "office.pub"]
    asked = Asked()
    now = datetime.now(UTC)
    key, _ = open_key(home, "office", asked, now=now)
    release = make_release(tmp_path / "public", key, signed_at=now)
    assert asked.times == 1
    assert verify_folder(release, [Keyring(keys=(entry,))], now).fingerprint == entry.fingerprint
    assert f"in a device: {token.uri(number)}" in run("keys", "list")


@pytest.mark.parametrize(("number", "_algorithm"), BOTH)
def test_every_command_that_signs_takes_such_a_key(token, home, tmp_path, make_release, number, _algorithm):
    device = ("--device", token.uri(number))
    run("keys", "init", "--name", "maker", "--holder", "Maker", "--role", "maker", *device)
    run("keys", "init", "--name", "second", "--holder", "Second", "--role", "approver", "--no-passphrase")
    now = datetime.now(UTC)
    key, _ = open_key(home, "maker", Asked(), now=now)
    folder = tmp_path / "run"
    make_release(folder / "public", key, signed_at=now)
    make_release(folder / "officer", key, signed_at=now)
    (folder / "officer" / "report.html").write_bytes(FILES["report.html"])
    manifest = verify_folder(folder / "public", [load_keyring(home)], now).manifest
    about = {"kind": "officer", "dataset": "admissions", "release": manifest}
    sign_folder(folder / "officer", predicate=about, signer=key, holder="Maker", signed_at=now)

    run("verify", folder)
    run("approve", folder, "--as", "second", "--meaning", "approved")
    run("revoke", folder, "--as", "maker", "--reason", "a test")
    run("verify", folder, "--revocations", home / "revocations.json", code=9)

    # A root is in no keyring itself: it is the token's other key.
    run("keys", "root", "init", "root", "--device", token.uri(P256_KEY + ED25519_KEY - number))
    root, first, next_ = ("--root", home / "roots" / "root.pub"), tmp_path / "first.keyring", tmp_path / "next.keyring"
    run("keys", "root", "sign", home / "keyring.json", first)
    assert "number 1" in run("verify", folder / "public", "--keyring", first, *root)
    run("keys", "root", "rotate", "root", "next", "--no-passphrase")
    run("keys", "root", "sign", home / "keyring.json", next_, "--as", "next")
    assert "number 2" in run("verify", folder / "public", "--keyring", next_, *root)


def test_an_approver_and_a_key_admin_sign_in_the_token(token, home, tmp_path, make_release):
    run("keys", "init", "--name", "admin", "--role", "key-admin", "--device", token.uri(P256_KEY))
    run("keys", "init", "--name", "other", "--no-passphrase")
    run("keys", "root", "init", "root", "--no-passphrase")
    signed, after = tmp_path / "signed.keyring", tmp_path / "after.keyring"
    run("keys", "root", "sign", home / "keyring.json", signed)
    other = next(entry for entry in load_keyring(home).keys if entry.holder == "other")
    more = ("--root", home / "roots" / "root.pub", "--key", other.keyid, "--as", "admin", "--reason", "lost")
    run("keys", "root", "revoke", signed, after, *more)
    lines = after.read_bytes().splitlines()
    assert json.loads(lines[-1])["payloadType"] == "application/vnd.privsynth.revocation+json"


def test_a_file_is_replaced_by_a_token_and_back(token, home):
    create_key(home, "file", NewKey("Data office"), passphrase=None, now=NOW)
    later = NOW + timedelta(days=1)
    device = InDevice(token.uri(ED25519_KEY))
    old, new = rotate_key(home, "file", "token", passphrase=Asked(), now=later, device=device)
    assert (old.not_after, new.holder, new.algorithm) == (later, "Data office", "ed25519")
    _, back = rotate_key(home, "token", "again", passphrase=None, now=later + timedelta(days=1))
    assert (home / "keys" / "again.pem").exists()
    assert back.algorithm == "ed25519"


def test_the_pin_is_in_no_file_and_no_log(token, home, caplog):
    caplog.set_level(logging.DEBUG)
    register(home, token)
    key, _ = open_key(home, "office", Asked(), now=NOW)
    key.sign(b"something")
    assert not [path for path in home.rglob("*") if path.is_file() and PIN.encode() in path.read_bytes()]
    assert PIN not in caplog.text
    assert PIN not in repr(key)
    with pytest.raises(TypeError, match="never pickled"):
        key.__reduce__()


def test_a_wrong_pin_is_tried_once(token, home):
    asked = Asked("9999")
    with pytest.raises(KeyFileError, match=r"wrong PIN for the token 'Office HSM'; it was tried once") as refused:
        register(home, token, pin=asked)
    assert asked.times == 1
    assert "9999" not in str(refused.value)
    assert not (home / "keys").exists()
    register(home, token)
    with pytest.raises(KeyFileError, match="wrong PIN"):
        open_key(home, "office", asked, now=NOW)


def test_nobody_who_can_be_asked(token, home):
    register(home, token)
    with pytest.raises(KeyFileError, match="the device asks for its PIN"):
        open_key(home, "office", None, now=NOW)


def test_a_token_that_is_taken_out_and_put_back(token, home):
    register(home, token)
    key, _ = open_key(home, "office", Asked(), now=NOW)
    token.take_out()
    with pytest.raises(KeyFileError, match="the token 'Office HSM' is not there; plug it in"):
        key.sign(b"at the end of a run")
    asked = Asked()
    with pytest.raises(KeyFileError, match="is not there"):
        open_key(home, "office", asked, now=NOW)
    assert asked.times == 0
    token.put_back()
    signature = key.sign(b"at the end of a run")
    assert key.public.fits(signature, b"at the end of a run")


@pytest.mark.parametrize(("number", "says"), [
    (P384_KEY, "neither Ed25519 nor ECDSA on P-256"),
    (RSA_KEY, "neither Ed25519 nor ECDSA on P-256"),
    (9, "has no public key of that id"),
])  # fmt: skip
def test_a_key_of_another_kind_or_none(token, home, number, says):
    with pytest.raises(KeyFileError, match=says):
        register(home, token, number)


def test_two_keys_of_one_id(token, home):
    token.generate(7)
    token.generate(7)
    with pytest.raises(KeyFileError, match="2 keys that fit"):
        register(home, token, 7)


def test_a_key_that_was_replaced_in_the_token_is_noticed_before_anything_is_done(token, home):
    token.generate(8)
    register(home, token, 8)
    with token.opened() as session:
        for one in list(session.get_objects({})):
            if one.id == bytes([8]):
                one.destroy()
    token.generate(8)
    with pytest.raises(KeyFileError, match="signs with another key than the registered one"):
        open_key(home, "office", Asked(), now=NOW)


def test_a_public_half_that_is_not_the_tokens_is_refused(token, home, tmp_path):
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "other.pem").write_bytes(other.public_bytes(*form))
    wanted = NewKey("Data office", device=InDevice(token.uri(P256_KEY), tmp_path / "other.pem"))
    with pytest.raises(KeyFileError, match="signs with another key than the registered one"):
        create_key(home, "office", wanted, passphrase=Asked(), now=NOW)
    assert not (home / "keyring.json").exists()

    # Whoever swaps the file later gains nothing: the key is not in the keyring, or the token does not fit it.
    register(home, token)
    register(home, token, ED25519_KEY, "second")
    keys = home / "keys"
    (keys / "office.pub").write_bytes((keys / "second.pub").read_bytes())
    with pytest.raises(KeyFileError, match="of another kind than the registered one"):
        open_key(home, "office", Asked(), now=NOW)


def test_a_file_that_everybody_may_change_names_no_driver(token, home):
    register(home, token)
    for path, mode in ((home / "keys" / "office.device", 0o666), (home / "keys", 0o777)):
        kept = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(KeyFileError, match="can be changed by everybody"):
            open_key(home, "office", Asked(), now=NOW)
        path.chmod(kept)
    open_key(home, "office", Asked(), now=NOW)


def test_a_key_in_two_places_is_ambiguous(token, home):
    register(home, token)
    (home / "keys" / "office.pem").write_bytes(b"")
    with pytest.raises(KeyFileError, match="in a file and in a device"):
        open_key(home, "office", Asked(), now=NOW)


def test_a_name_is_taken_and_a_pin_is_not_changed_here(token, home):
    register(home, token)
    with pytest.raises(KeyFileError, match="exists already"):
        create_key(home, "office", NewKey("Data office"), passphrase=None, now=NOW)
    with pytest.raises(KeyFileError, match="has its own tools to change the PIN"):
        change_passphrase(home, "office", old=Asked(), new=Asked())


def test_the_signer_of_securesystemslib_for_tokens_works_too(token, home, tmp_path, monkeypatch):
    register(home, token)
    public = load_keyring(home).keys[0].public
    handle = serialization.load_der_public_key(public.spki)
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "key.pem").write_bytes(handle.public_bytes(*form))
    monkeypatch.setenv("PYKCS11LIB", DRIVER)
    device = ("--device", "hsm:1?label=Office+HSM", "--public-key", tmp_path / "key.pem")
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "another"))
    assert "hsm:1" in run("keys", "init", "--name", "office", *device)
    key, _ = open_key(tmp_path / "another", "office", Asked(), now=datetime.now(UTC))
    assert key.public == public
    monkeypatch.setenv("PYKCS11LIB", "/nowhere.so")
    with pytest.raises(KeyFileError, match="the device cannot sign"):
        open_key(tmp_path / "another", "office", Asked(), now=datetime.now(UTC))


@pytest.mark.parametrize(("uri", "says"), [
    ("pkcs11:token=A;id=%01?module-path=/x&pin-value=1234", "holds no PIN"),
    ("pkcs11:token=A;id=%01?module-path=/x&pin-source=/etc/pin", "holds no PIN"),
    ("hsm:1?label=A&pin=1234", "holds no PIN"),
    ("hv:key?token=s.123", "holds no PIN"),
    ("azurekms://anna:1234@vault.example.org/keys/a", "holds no PIN"),
    ("awskms:arn:aws:kms:eu-west-1:1:key/2?pass=1234", "holds no PIN"),
    ("file2:/home/me/key.pem", "in no device"),
    ("office", "named by a URI"),
    ("pkcs11:id=%01\x1b[2J", "named by a URI"),
    ("pkcs11:" + "a" * 1_000, "named by a URI"),
])  # fmt: skip
def test_uris_that_are_not_kept(uri, says):
    with pytest.raises(KeyFileError, match=says):
        check_uri(uri)


@pytest.mark.parametrize(("uri", "says"), [
    ("pkcs11:id=%01", "does not name the device's driver"),
    ("pkcs11:id=%01?module-path=opensc.so", "does not name the device's driver"),
    ("pkcs11:token=A?module-path={driver}", "does not say which key"),
    ("pkcs11:id=%01;type=public?module-path={driver}", "names no private key"),
    ("pkcs11:id=%01;slot-id=3?module-path={driver}", "is not understood: 'slot-id'"),
    ("pkcs11:id=%01;id=%02?module-path={driver}", "is not understood: 'id'"),
    ("pkcs11:id=%01;%74oken=A?module-path={driver}", "is not understood"),
    ("pkcs11:id=%01?module-path=/nowhere.so", "no driver at /nowhere.so"),
    ("pkcs11:id=%01?module-path=/etc/hostname", "does not work"),
    ("pkcs11:token=Other;id=%01?module-path={driver}", "the token 'Other' is not there"),
    ("pkcs11:serial=00;id=%01?module-path={driver}", "is not there"),
    ("nothing:1", "for others export it there"),
])  # fmt: skip
def test_uris_that_lead_to_no_key(token, home, uri, says):
    wanted = NewKey("Data office", device=InDevice(uri.format(driver=DRIVER)))
    asked = Asked()
    with pytest.raises(KeyFileError, match=says):
        create_key(home, "office", wanted, passphrase=asked, now=NOW)
    assert asked.times == 0


@given(st.text(alphabet="pkcs11:;?&=%0aZ/-tokenidmodulepath", max_size=60))
def test_any_uri_is_read_or_refused(rest):
    try:
        place = TokenUri.parse(f"pkcs11:{rest}")
    except KeyFileError:
        return
    assert place.module.is_absolute()
    assert place.id or place.object


def test_options_that_contradict_each_other(token, home):
    more = ("--name", "office", "--device", token.uri(P256_KEY))
    assert "a device has its own PIN" in run("keys", "init", *more, "--no-passphrase", code=2)
    assert "name it with --device" in run("keys", "init", "--public-key", Path(__file__), code=2)


# --- the key of a log -------------------------------------------------------------------------------------------


def test_a_log_signs_its_checkpoints_in_the_token(token, home, tmp_path, make_release, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_LOG_PIN", PIN)
    assert "is an Ed25519 key" in run("log", "init", "--device", token.uri(P256_KEY), code=2)
    run("log", "init", "--origin", "st-mary.example/log", "--device", token.uri(ED25519_KEY))
    assert sorted(path.name for path in (home / "log").iterdir()) == ["log.device", "log.pub", "public"]
    run("keys", "init", "--name", "office", "--no-passphrase")
    now = datetime.now(UTC)
    key, _ = open_key(home, "office", None, now=now)
    release = make_release(tmp_path / "public", key, signed_at=now)
    assert "Entered 1 of 1" in run("log", "append", release)
    run("log", "verify", release)
    assert PIN.encode() not in b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())

    token.take_out()
    second = make_release(tmp_path / "second", key, signed_at=now, dataset="other")
    told = run("log", "append", second, code=7)
    assert "the key of the log in" in told
    assert "is not there; plug it in" in told
    monkeypatch.delenv("PRIVSYNTH_LOG_PIN")
    run("log", "verify", release)  # whoever only reads needs no device
    token.put_back()
    log = TransparencyLog(home / "log", SeenLogs(home))
    with pytest.raises(LogUnavailable, match="set PRIVSYNTH_LOG_PIN to its PIN"):
        log.require_ready(datetime.now(UTC))


def test_an_entry_is_made_only_while_the_token_is_there(token, home):
    asked = Asked()
    log = TransparencyLog.create(
        home / "log", SeenLogs(home), "st-mary.example/log", device=InDevice(token.uri(ED25519_KEY)), pin=asked
    )
    log = TransparencyLog(log.folder, SeenLogs(home), pin=asked)
    log.require_ready(NOW)
    assert asked.times == 2  # once each
    token.take_out()
    with pytest.raises(LogUnavailable, match="cannot sign"):
        log.append([LogEntry("release", "00" * 32, "11" * 32, NOW)], NOW)
    token.put_back()
    assert log.append([LogEntry("release", "00" * 32, "11" * 32, NOW)], NOW).checkpoint.size == 1
    assert asked.times == 2
