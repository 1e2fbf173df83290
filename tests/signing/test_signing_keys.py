"""Keys: the RFC's vector, files that only their owner can read, and a sentence for each thing that is wrong."""

import hashlib
import os
import pickle
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privsynth.errors import KeyFileError, PrivsynthWarning, VerificationError
from privsynth.signing.keys import PublicKey, SigningKey

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def test_the_vector_of_the_rfc():
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(SEED))
    assert key.sign(b"\x72") == SIGNATURE
    assert key.public.spki == SPKI_PREFIX + PUBLIC
    key.public.verify(SIGNATURE, b"\x72")
    with pytest.raises(VerificationError):
        key.public.verify(SIGNATURE, b"\x73")
    with pytest.raises(VerificationError):
        SigningKey.generate().public.verify(SIGNATURE, b"\x72")


def test_keyid_and_fingerprint():
    public = PublicKey.from_spki(SPKI_PREFIX + PUBLIC)
    assert public.keyid == hashlib.sha256(SPKI_PREFIX + PUBLIC).hexdigest()
    groups = public.fingerprint.split(" ")
    assert [len(group) for group in groups] == [8] * 8
    assert "".join(groups) == public.keyid
    assert PublicKey.from_base64(public.to_base64()) == public


@pytest.mark.parametrize(
    "text", ["", "!", "AAAA", "MCowBQYDK2VwAyEA", "MCowBQYDK2VwAyEAPUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw="]
)
def test_public_key_refuses_other_text(text):
    with pytest.raises(KeyFileError, match="public key"):
        PublicKey.from_base64(text)


def test_public_key_refuses_another_algorithm():
    der = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="Ed25519"):
        PublicKey.from_spki(der)


def test_encrypted_file_round_trip(tmp_path, key):
    path = tmp_path / "office.pem"
    key.save(path, b"horse")
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert SigningKey.load(path, lambda: b"horse").public == key.public


def test_unencrypted_only_when_asked_and_then_nobody_is_asked(tmp_path, key):
    path = tmp_path / "demo.pem"
    key.save(path, None)
    assert b"BEGIN PRIVATE KEY" in path.read_bytes()

    def never():
        raise AssertionError("the passphrase was asked for")

    assert SigningKey.load(path, never).public == key.public


@pytest.mark.parametrize("passphrase", [b"horse", None])
def test_file_is_for_its_owner_alone_whatever_the_umask(tmp_path, key, passphrase):
    old = os.umask(0)
    try:
        key.save(tmp_path / "k.pem", passphrase)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600


def test_exposed_unencrypted_key_warns(tmp_path, key):
    path = tmp_path / "k.pem"
    key.save(path, None)
    path.chmod(0o644)
    with pytest.warns(PrivsynthWarning, match="chmod 600"):
        SigningKey.load(path, None)


def test_never_overwrites(tmp_path, key, other_key):
    path = tmp_path / "k.pem"
    key.save(path, b"horse")
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        other_key.save(path, b"horse")
    assert path.read_bytes() == before
    dangling = tmp_path / "dangling.pem"
    dangling.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError):
        key.save(dangling, b"horse")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("passphrase", "sentence"),
    [(lambda: b"donkey", "wrong passphrase"), (lambda: b"", "wrong passphrase"), (None, "is encrypted")],
)
def test_passphrase_wrong_empty_or_missing(tmp_path, key, passphrase, sentence):
    key.save(tmp_path / "k.pem", b"horse")
    with pytest.raises(KeyFileError, match=sentence) as caught:
        SigningKey.load(tmp_path / "k.pem", passphrase)
    assert "donkey" not in str(caught.value)


def test_empty_passphrase_is_not_encryption(tmp_path, key):
    with pytest.raises(KeyFileError, match="empty"):
        key.save(tmp_path / "k.pem", b"")
    assert not (tmp_path / "k.pem").exists()


def test_missing_folder_junk_big_and_foreign_files(tmp_path):
    with pytest.raises(KeyFileError, match="no key at"):
        SigningKey.load(tmp_path / "none.pem", None)
    with pytest.raises(KeyFileError, match="cannot be read"):
        SigningKey.load(tmp_path, None)
    (tmp_path / "junk.pem").write_bytes(b"not a key")
    with pytest.raises(KeyFileError, match="not a private key"):
        SigningKey.load(tmp_path / "junk.pem", None)
    (tmp_path / "big.pem").write_bytes(bytes(70_000))
    with pytest.raises(KeyFileError, match="too big"):
        SigningKey.load(tmp_path / "big.pem", None)
    foreign = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ec.pem").write_bytes(foreign)
    (tmp_path / "ec.pem").chmod(0o600)
    with pytest.raises(KeyFileError, match="not an Ed25519 key"):
        SigningKey.load(tmp_path / "ec.pem", None)


def test_secret_stays_out_of_text_and_pickles(key):
    secret = bytes(range(32))
    assert secret.hex() not in repr(key)
    assert key.public.fingerprint in repr(key)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(key)
