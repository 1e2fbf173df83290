"""Keys of clouds: any URI that securesystemslib has a signer for; here one whose answers a test decides."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, Signature, Signer

from privsynth.errors import KeyFileError
from privsynth.signing._algorithms import P256_ORDER
from privsynth.signing.devices.device_key import DeviceKey
from privsynth.signing.devices.files import InDevice
from privsynth.signing.keyring import Keyring
from privsynth.signing.store import NewKey, create_key, load_keyring, open_key
from privsynth.signing.verification import verify_folder

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
URI = "testkms:projects/office/keys/release"


class Cloud(Signer):
    """A cloud's key service: it holds the keys, and what it answers is for the test to say."""

    keys = {}  # noqa: RUF012
    secrets = []  # noqa: RUF012
    wants_secret = False
    wrong = None

    def __init__(self, key, public_key, handler):
        self._key, self._public, self._handler = key, public_key, handler

    @property
    def public_key(self):
        return self._public

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri, public_key, secrets_handler=None):
        return cls(cls.keys[priv_key_uri], public_key, secrets_handler)

    def sign(self, payload):
        if self.wants_secret:
            self.secrets.append(self._handler("token"))
        if self.wrong is not None:
            raise self.wrong
        if isinstance(self._key, Ed25519PrivateKey):
            made = self._key.sign(payload)
        else:
            r, s = decode_dss_signature(self._key.sign(payload, ec.ECDSA(hashes.SHA256())))
            made = encode_dss_signature(r, max(s, P256_ORDER - s))  # a cloud returns either; here always the higher
        return Signature(self.public_key.keyid, made.hex())


@pytest.fixture(params=[lambda: ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate])
def cloud(request, tmp_path, monkeypatch):
    """A key service with one key, whose public half was exported to a file."""
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "testkms", Cloud)
    key = request.param()
    monkeypatch.setattr(Cloud, "keys", {URI: key})
    monkeypatch.setattr(Cloud, "secrets", [])
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "cloud.pem").write_bytes(key.public_key().public_bytes(*form))
    return InDevice(URI, tmp_path / "cloud.pem")


def never():
    raise AssertionError("nothing is asked for")


def test_a_cloud_signs_without_a_pin(cloud, tmp_path, make_release):
    home = tmp_path / "home"
    entry = create_key(home, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
    key, _ = open_key(home, "office", never, now=NOW)
    release = make_release(tmp_path / "public", key)
    assert verify_folder(release, [Keyring(keys=(entry,))], NOW).holder == "Data office"


def test_a_secret_is_asked_for_once(cloud, tmp_path, monkeypatch):
    monkeypatch.setattr(Cloud, "wants_secret", True)
    answers = iter([b"only once"])
    create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=lambda: next(answers), now=NOW)
    answers = iter([b"only once"])
    key, _ = open_key(tmp_path, "office", lambda: next(answers), now=NOW)
    key.sign(b"more")
    assert set(Cloud.secrets) == {"only once"}


def test_what_a_cloud_says_is_one_line_without_the_secret(cloud, tmp_path, monkeypatch):
    create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
    monkeypatch.setattr(Cloud, "wants_secret", True)
    monkeypatch.setattr(Cloud, "wrong", RuntimeError("permission denied for hunter2\x1b[31m\nsecond line"))
    with pytest.raises(KeyFileError) as refused:
        open_key(tmp_path, "office", lambda: b"hunter2", now=NOW)
    assert str(refused.value) == "the device cannot sign: RuntimeError (permission denied for (PIN)?[31m)"


@pytest.mark.parametrize("said", [
    KeyError("4'7\"1\\ä x"),  # whose text is that of repr
    RuntimeError(ascii("4'7\"1\\ä x")),
    RuntimeError(json.dumps("4'7\"1\\ä x")),
    RuntimeError("https://kms.example/login?pin=4%277%221%5C%C3%A4%20x"),
    RuntimeError("https://kms.example/login?pin=4%277%221%5C%C3%A4+x"),
])  # fmt: skip
def test_a_secret_is_taken_out_as_libraries_write_it(cloud, tmp_path, monkeypatch, said):
    create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
    monkeypatch.setattr(Cloud, "wants_secret", True)
    monkeypatch.setattr(Cloud, "wrong", said)
    with pytest.raises(KeyFileError) as refused:
        open_key(tmp_path, "office", lambda: "4'7\"1\\ä x".encode(), now=NOW)
    assert "(PIN)" in str(refused.value)
    assert "1" not in str(refused.value)


def test_a_cloud_whose_key_was_replaced(cloud, tmp_path, monkeypatch):
    create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
    kind = type(Cloud.keys[URI])
    fresh = Ed25519PrivateKey.generate() if kind is Ed25519PrivateKey else ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setattr(Cloud, "keys", {URI: fresh})
    with pytest.raises(KeyFileError, match="signs with another key than the registered one"):
        open_key(tmp_path, "office", never, now=NOW)


def test_a_cloud_that_answers_nonsense(cloud, tmp_path, monkeypatch):
    create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
    public = load_keyring(tmp_path).keys[0].public
    key = DeviceKey(URI, public, never)
    for answer in ("", "zz", "00" * 64, None):
        monkeypatch.setattr(Cloud, "sign", lambda self, data, answer=answer: Signature("k", answer))
        with pytest.raises(KeyFileError):
            key.sign(b"data")


def test_a_scheme_that_nobody_signs_for(tmp_path, cloud):
    wanted = NewKey("Data office", device=InDevice("nothing:1", cloud.public_file))
    with pytest.raises(KeyFileError, match=r"no signer is known for 'nothing:'; there are .*gcpkms:.*testkms:"):
        create_key(tmp_path, "office", wanted, passphrase=never, now=NOW)


def test_what_is_no_public_key(tmp_path, cloud):
    (tmp_path / "cloud.pem").write_text("not a key")
    with pytest.raises(KeyFileError, match="is not a public key in PEM form"):
        create_key(tmp_path, "office", NewKey("Data office", device=cloud), passphrase=never, now=NOW)
