"""Keys: the RFC's vector, files that only their owner can read, and a sentence for each thing that is wrong."""

import base64
import hashlib
import os
import pickle
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from privsynth.errors import KeyFileError, PrivsynthWarning, VerificationError
from privsynth.signing._algorithms import P256_ORDER
from privsynth.signing.keys import PublicKey, SigningKey

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
PASSPHRASE = b"horse battery staple"
# RFC 8032, section 5.1.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


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
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="Ed25519"):
        PublicKey.from_spki(der)


def test_p256_signs_verifies_and_is_kept_encrypted(tmp_path):
    made = SigningKey.generate("ecdsa-p256")
    made.save(tmp_path / "office.pem", PASSPHRASE)
    key = SigningKey.load(tmp_path / "office.pem", lambda: PASSPHRASE)
    assert (key.public, key.public.algorithm) == (made.public, "ecdsa-p256")
    assert PublicKey.from_base64(key.public.to_base64()) == key.public
    for n in range(32):  # a high s is made half of the time without care
        signature = key.sign(bytes([n]))
        assert signature == made.sign(bytes([n])), "RFC 6979: the same bytes, the same signature"
        assert key.public.fits(signature, bytes([n]))
        assert not key.public.fits(signature, bytes([n, n]))
        assert decode_dss_signature(signature)[1] <= P256_ORDER // 2


def test_a_key_of_one_algorithm_takes_no_signature_of_the_other(key):
    other = SigningKey.generate("ecdsa-p256")
    assert not other.public.fits(key.sign(b"x"), b"x")
    assert not key.public.fits(other.sign(b"x"), b"x")


def test_a_known_signature_of_p256_fits():
    """RFC 6979, A.2.5, message "sample" with SHA-256; its s is the higher one, of which the lower is taken."""
    x = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    y = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    public = PublicKey(ec.EllipticCurvePublicNumbers(int(x, 16), int(y, 16), ec.SECP256R1()).public_key())
    assert public.fits(encode_dss_signature(r, P256_ORDER - s), b"sample")
    assert not public.fits(encode_dss_signature(r, s), b"sample")
    private = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
    assert SigningKey(private).sign(b"sample") == encode_dss_signature(r, P256_ORDER - s)


def test_encrypted_file_round_trip(tmp_path, key):
    path = tmp_path / "office.pem"
    key.save(path, PASSPHRASE)
    assert path.read_bytes().startswith(b"-----BEGIN PRIVSYNTH ENCRYPTED PRIVATE KEY V1-----\n")
    assert SigningKey.load(path, lambda: PASSPHRASE).public == key.public


def test_unencrypted_only_when_asked_and_then_nobody_is_asked(tmp_path, key):
    path = tmp_path / "demo.pem"
    key.save(path, None)
    assert b"BEGIN PRIVATE KEY" in path.read_bytes()

    def never():
        raise AssertionError("the passphrase was asked for")

    assert SigningKey.load(path, never).public == key.public


@pytest.mark.parametrize("passphrase", [PASSPHRASE, None])
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
    key.save(path, PASSPHRASE)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        other_key.save(path, PASSPHRASE)
    assert path.read_bytes() == before
    dangling = tmp_path / "dangling.pem"
    dangling.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError):
        key.save(dangling, PASSPHRASE)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("passphrase", "sentence"),
    [(lambda: b"donkey", "wrong passphrase"), (lambda: b"", "wrong passphrase"), (None, "is encrypted")],
)
def test_passphrase_wrong_empty_or_missing(tmp_path, key, passphrase, sentence):
    key.save(tmp_path / "k.pem", PASSPHRASE)
    with pytest.raises(KeyFileError, match=sentence) as caught:
        SigningKey.load(tmp_path / "k.pem", passphrase)
    assert "donkey" not in str(caught.value)


def test_empty_passphrase_is_not_encryption(tmp_path, key):
    with pytest.raises(KeyFileError, match="empty"):
        key.save(tmp_path / "k.pem", b"")
    assert not (tmp_path / "k.pem").exists()


def opened_by_hand(data, passphrase):
    """Open an encrypted file by the published layout, with the standard library and one cipher."""
    parts = base64.b64decode(b"".join(data.splitlines()[1:-1]))
    secret = hashlib.scrypt(
        passphrase, salt=parts[1:17], n=1 << parts[0], r=8, p=1, dklen=32, maxmem=(1 << parts[0]) * 2048
    )
    label = b"PRIVSYNTH ENCRYPTED PRIVATE KEY V1"
    return parts[0], ChaCha20Poly1305(secret).decrypt(parts[17:29], parts[29:], label + parts[:29])


def test_a_passphrase_costs_what_owasp_asks_for_and_files_differ(tmp_path, key):
    key.save(tmp_path / "a.pem", PASSPHRASE)
    key.save(tmp_path / "b.pem", PASSPHRASE)
    log2_n, der = opened_by_hand((tmp_path / "a.pem").read_bytes(), PASSPHRASE)
    assert log2_n >= 17
    assert SigningKey(serialization.load_der_private_key(der, None)).public == key.public
    assert (tmp_path / "a.pem").read_bytes() != (tmp_path / "b.pem").read_bytes()


@pytest.mark.parametrize("passphrase", [b"x", b"fourteen chars", "äöüäöüäöüäöüäö".encode()])
def test_a_short_passphrase_is_refused_for_a_new_file(tmp_path, key, passphrase):
    with pytest.raises(KeyFileError, match="at least 15 characters"):
        key.save(tmp_path / "k.pem", passphrase)
    assert not (tmp_path / "k.pem").exists()


@pytest.mark.parametrize("place", [0, 5, 20, 40, -1])
def test_a_changed_byte_of_an_encrypted_file_is_caught(tmp_path, key, place):
    path = tmp_path / "k.pem"
    key.save(path, PASSPHRASE)
    first, *body, last = path.read_bytes().splitlines(keepends=True)
    parts = bytearray(base64.b64decode(b"".join(body)))
    parts[place] ^= 1
    path.write_bytes(first + base64.encodebytes(bytes(parts)) + last)
    with pytest.raises(KeyFileError, match="damaged"):
        SigningKey.load(path, lambda: PASSPHRASE)


@pytest.mark.parametrize("body", [b"", b"AAAA\n", b"!\n", base64.encodebytes(b"\xff" + bytes(100)), b"EQ" * 8 + b"\n"])
def test_a_damaged_encrypted_file_is_a_sentence_before_anything_costs(tmp_path, body):
    label = b"PRIVSYNTH ENCRYPTED PRIVATE KEY V1-----\n"
    (tmp_path / "k.pem").write_bytes(b"-----BEGIN " + label + body + b"-----END " + label)
    with pytest.raises(KeyFileError, match="damaged"):
        SigningKey.load(tmp_path / "k.pem", lambda: PASSPHRASE)


def test_a_file_of_an_earlier_version_opens_with_advice_and_is_written_again(tmp_path, key):
    path = tmp_path / "office.pem"
    old = serialization.BestAvailableEncryption(b"x")
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, old))
    path.chmod(0o644)
    with pytest.warns(PrivsynthWarning, match="privsynth keys passphrase office"):
        loaded = SigningKey.load(path, lambda: b"x")
    assert loaded.public == key.public
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="at least 15"):
        loaded.encrypt_again(path, b"x")
    assert path.read_bytes() == before
    loaded.encrypt_again(path, PASSPHRASE)
    assert SigningKey.load(path, lambda: PASSPHRASE).public == key.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["office.pem"]


def times(scalar, point):
    """Multiply a point of edwards25519 by the formulas of RFC 8032, section 5.1.4, in affine coordinates."""
    total = (0, 1)
    for _ in range(scalar):
        (x1, y1), (x2, y2) = total, point
        shared = D * x1 * x2 * y1 * y2
        total = (
            (x1 * y2 + x2 * y1) * pow(1 + shared, -1, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - shared, -1, P) % P,
        )
    return total


def points_of_small_order():
    """Return the eight points that eight times are the identity: multiples of one of order 8, found by its equation."""
    root = pow(2, (P - 1) // 4, P)  # of -1
    for sign in (1, -1):  # d y^4 + 2 y^2 - 1 = 0, with x^2 = -y^2
        square = (-1 + sign * square_root(1 + D)) * pow(D, -1, P) % P
        if pow(square, (P - 1) // 2, P) == 1:
            y = square_root(square)
            first = (root * y % P, y)
            return {times(k, first) for k in range(8)}
    raise AssertionError("there is a point of order 8")


def square_root(a):
    found = pow(a, (P + 3) // 8, P)
    if found * found % P != a % P:
        found = found * pow(2, (P - 1) // 4, P) % P
    assert found * found % P == a % P
    return found


def test_points_of_small_order_and_second_spellings_are_no_keys():
    points = points_of_small_order()
    assert len(points) == 8
    assert all(times(8, point) == (0, 1) for point in points)
    spellings = [y | sign << 255 for _, y in points for sign in (0, 1)]
    spellings += [y + P | sign << 255 for y in range(19) for sign in (0, 1)]  # not below the field's size
    for number in spellings:
        with pytest.raises(KeyFileError, match="anybody can make signatures"):
            PublicKey.from_spki(SPKI_PREFIX + number.to_bytes(32, "little"))
    PublicKey.from_spki(SPKI_PREFIX + (4 * pow(5, -1, P) % P).to_bytes(32, "little"))  # the base point


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
    foreign = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ec.pem").write_bytes(foreign)
    (tmp_path / "ec.pem").chmod(0o600)
    with pytest.raises(KeyFileError, match="neither an Ed25519 nor a P-256 key"):
        SigningKey.load(tmp_path / "ec.pem", None)


def test_secret_stays_out_of_text_and_pickles(key):
    secret = bytes(range(32))
    assert secret.hex() not in repr(key)
    assert key.public.fingerprint in repr(key)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(key)
