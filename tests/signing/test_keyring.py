"""Keyrings: strict files, and validity at a time that is passed in."""

import base64
import hashlib
import json
import os
import stat
from datetime import timedelta

import pytest

from privsynth.errors import KeyFileError
from privsynth.signing.keyring import KeyEntry, Keyring


def test_file_round_trip_and_fields(tmp_path, keyring, key):
    path = tmp_path / "keyring.json"
    keyring.save(path)
    assert Keyring.load(path) == keyring
    assert json.loads(path.read_bytes()) == {
        "version": 2,
        "keys": [
            {
                "keyid": key.public.keyid,
                "algorithm": "ed25519",
                "public_key": key.public.to_base64(),
                "holder": "Data office",
                "roles": ["maker"],
                "not_before": "2026-11-22T09:30:00Z",
                "not_after": "2028-11-21T09:30:00Z",
                "status": "active",
                "revoked_at": None,
                "reason": "",
            }
        ],
    }
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.json"]


def test_failed_save_leaves_the_old_file(tmp_path, keyring, monkeypatch):
    path = tmp_path / "keyring.json"
    keyring.save(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(KeyFileError, match="No space left"):
        Keyring().save(path)
    assert Keyring.load(path) == keyring
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.json"]


def test_add_get_revoke_return_new_keyrings(keyring, key, other_key, now):
    entry = KeyEntry.for_key(other_key.public, holder="Other", not_before=now)
    both = keyring.add(entry)
    assert [item.holder for item in both.keys] == ["Data office", "Other"]
    assert len(keyring.keys) == 1
    assert both.get(other_key.public.keyid) == entry
    revoked = both.revoke(key.public.keyid, at=now, reason="laptop stolen")
    assert [item.status for item in revoked.keys] == ["revoked", "active"]
    assert Keyring.from_json(revoked.to_json()) == revoked
    with pytest.raises(KeyFileError, match="already"):
        revoked.revoke(key.public.keyid, at=now, reason="again")
    with pytest.raises(KeyFileError, match="already"):
        both.add(entry)
    with pytest.raises(KeyFileError, match="not in the keyring"):
        keyring.get(other_key.public.keyid)


def test_validity_says_which(keyring, key, now):
    entry = keyring.get(key.public.keyid)
    second = timedelta(seconds=1)
    entry.require_valid(entry.not_before)
    entry.require_valid(entry.not_after)
    with pytest.raises(KeyFileError, match="not valid before 2026-11-22"):
        entry.require_valid(entry.not_before - second)
    with pytest.raises(KeyFileError, match="expired on 2028-11-21"):
        entry.require_valid(entry.not_after + second)
    stolen = now + timedelta(days=3)
    revoked = keyring.revoke(key.public.keyid, at=stolen, reason="laptop stolen").get(key.public.keyid)
    for moment in (stolen, stolen - second, entry.not_before, entry.not_after + second):
        with pytest.raises(KeyFileError, match=r"revoked on 2026-11-25.*laptop stolen"):
            revoked.require_valid(moment)


def test_a_keyring_is_its_owners_alone_whatever_the_umask(tmp_path, keyring):
    path = tmp_path / "keyring.json"
    old = os.umask(0)
    try:
        keyring.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o666)
        keyring.save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_keyring_that_everybody_may_change_is_not_read(tmp_path, keyring):
    path = tmp_path / "keyring.json"
    keyring.save(path)
    path.chmod(0o646)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Keyring.load(path)
    path.chmod(0o664)
    assert Keyring.load(path) == keyring


def test_a_key_of_small_order_is_not_read(keyring):
    document = json.loads(keyring.to_json())
    spki = bytes.fromhex("302a300506032b6570032100") + bytes(32)  # y = 0: a point of order 4
    public, keyid = base64.b64encode(spki).decode(), hashlib.sha256(spki).hexdigest()
    document["keys"][0] |= {"public_key": public, "keyid": keyid}
    with pytest.raises(KeyFileError, match="anybody can make signatures"):
        Keyring.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_for_key_refuses_absurd_days(key, now, days):
    with pytest.raises(KeyFileError):
        KeyEntry.for_key(key.public, holder="x", not_before=now, days=days)


@pytest.mark.parametrize("holder", ["", "a\nb", "\x1b[2J", "x" * 201])
def test_for_key_refuses_a_holder_that_cannot_be_printed(key, now, holder):
    with pytest.raises(KeyFileError, match="holder"):
        KeyEntry.for_key(key.public, holder=holder, not_before=now)


def test_for_key_refuses_a_time_without_zone(key, now):
    with pytest.raises(KeyFileError, match="zone"):
        KeyEntry.for_key(key.public, holder="x", not_before=now.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keyid", "0" * 64),
        ("algorithm", "rsa"),
        ("public_key", "AAAA"),
        ("public_key", 3),
        ("role", "approver"),
        ("not_before", "2026-11-22"),
        ("not_before", "2026-11-22T09:30:00+01:00"),
        ("not_before", 1763803800),
        ("not_before", "2030-11-22T09:30:00Z"),
        ("not_after", None),
        ("status", "revoked"),
        ("status", "unknown"),
        ("revoked_at", "2026-11-22T09:30:00Z"),
        ("reason", None),
        ("extra", 1),
    ],
)
def test_parser_refuses_a_changed_entry(keyring, field, value):
    document = json.loads(keyring.to_json())
    document["keys"][0][field] = value
    with pytest.raises(KeyFileError, match="not a keyring"):
        Keyring.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"version": 3, "keys": []}', b'{"version": 1, "version": 1, "keys": []}', b"\xff"]
)
def test_parser_refuses_other_files(data):
    with pytest.raises(KeyFileError):
        Keyring.from_json(data)


def test_parser_refuses_a_key_twice_and_a_repeated_name(keyring):
    document = json.loads(keyring.to_json())
    document["keys"] *= 2
    with pytest.raises(KeyFileError, match="twice"):
        Keyring.from_json(json.dumps(document).encode())
    doubled = keyring.to_json().replace(b'"reason": ""', b'"reason": "", "status": "active"')
    with pytest.raises(KeyFileError, match="twice"):
        Keyring.from_json(doubled)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(KeyFileError, match="no keyring at"):
        Keyring.load(tmp_path / "none.json")
    with pytest.raises(KeyFileError, match="cannot be read"):
        Keyring.load(tmp_path)
