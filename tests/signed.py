"""A fixed key, a fixed clock, and a small release that is signed afresh for each test."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privsynth.signing.keyring import KeyEntry, Keyring
from privsynth.signing.keys import SigningKey
from privsynth.signing.release import EMPTY_ELEMENT, sign_folder

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
FILES = {
    "report.html": f"<!doctype html><p>A r\u00e9port</p>{EMPTY_ELEMENT}<p>end</p>".encode(),
    "report.json": b'{"findings": []}\n',
    "data.csv": b"a,b\n1,2\n",
    "schema.yaml": b"columns: {}\n",
    "model/model.json": b'{"k": 1}',
    "model/weights.bin": bytes(range(64)),
}


@pytest.fixture(scope="session")
def now():
    return NOW


@pytest.fixture(scope="session")
def key():
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@pytest.fixture(scope="session")
def other_key():
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))


@pytest.fixture(scope="session")
def keyring(key):
    return Keyring(keys=(KeyEntry.for_key(key.public, holder="Data office", not_before=NOW),))


@pytest.fixture(scope="session")
def make_release():
    """Return a function that writes a small release into a new folder and signs it."""

    def make(folder, signer, *, signed_at=NOW, dataset="admissions", extra=None):
        for name, data in {**FILES, **(extra or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        predicate = {"kind": "public", "dataset": dataset, "created": "2026-11-22T09:30:00Z"}
        sign_folder(folder, predicate=predicate, signer=signer, holder="Data office", signed_at=signed_at)
        return folder

    return make


@pytest.fixture
def release(tmp_path, key, make_release):
    return make_release(tmp_path / "public", key)
